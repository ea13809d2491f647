//! **Pointwise functions**: the formula sheet.
//!
//! Each line of the table states a function of one number: its value, and its
//! slope in terms of the argument `x` and the value `y = f(x)`. Nothing about
//! the function is said anywhere else: the CPU loop, the forward and reverse
//! rule, all higher derivatives and the entry in the checker's enumeration
//! are made from these two expressions.
//!
//! ```math
//! y_i = f(x_i), \qquad \dot y_i = f'(x_i)\,\dot x_i, \qquad \bar x_i = f'(x_i)\,\bar y_i \tag{AD.1}
//! ```
//!
//! A pointwise map is diagonal, hence its own transpose: the same slope serves
//! forward and reverse mode.
//!
//! Conventions where calculus gives no answer stand with each function. They
//! choose a subgradient where there is one: `abs`, `relu` and `sign` have slope
//! 0 at 0; `maximum` and `minimum` share the slope equally at a tie.
//!
//! Functions of two numbers are stated in the same way, with a slope by each.

use crate::algebra::Algebra;
use crate::map::Side;
use crate::num::Num;
use crate::tensor::Tensor;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

/// Whether the slope is a formula, or constant. A constant slope must never be
/// computed as `0·x + c`, which is NaN at infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SlopeKind {
    /// The slope is the formula in the table.
    Formula,
    /// The slope is 1 everywhere.
    One,
    /// The slope is 0 everywhere (a step function).
    Zero,
}

/// Writes the enum, its list, the methods of [`Tensor`], and the dispatch from
/// the formula sheet.
macro_rules! formula_sheet {
    ($( $(#[$doc:meta])* $name:ident $(($parameter:ident: $type:ty = $sample:expr))?, $method:ident, on $domain:expr, ulps ($double:literal, $single:literal), $kind:expr,
        |$x:ident| $value:expr, |$sx:ident, $sy:ident| $slope:expr; )*) => {
        /// A function of one number, applied to each element.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Unary { $( $(#[$doc])* $name $(($type))? ),* }

        impl Unary {
            /// Every function of the sheet, once; parametrised ones with a
            /// sample parameter. The checker walks this list, so a function
            /// cannot be added without being checked.
            pub const ALL: &'static [Unary] = &[ $( Unary::$name $(($sample))? ),* ];

            /// The name users call it by.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Unary::$name $(($parameter))? => { $(let _ = $parameter;)? stringify!($method) } ),* }
            }

            /// Where the checker may look: an interval on which the function
            /// is smooth and neither overflows nor vanishes.
            #[must_use]
            pub fn domain(self) -> (f64, f64) {
                match self { $( Unary::$name $(($parameter))? => { $(let _ = $parameter;)? $domain } ),* }
            }

            /// How far a value may be off in `f64` and in `f32`, in units of the
            /// last place where it is normal. Reference values hold it to this.
            #[must_use]
            pub fn ulps(self) -> (f64, f64) {
                match self { $( Unary::$name $(($parameter))? => { $(let _ = $parameter;)? ($double as f64, $single as f64) } ),* }
            }

            pub(crate) fn slope_kind(self) -> SlopeKind {
                use SlopeKind::{Formula, One, Zero};
                match self { $( Unary::$name $(($parameter))? => { $(let _ = $parameter;)? $kind } ),* }
            }

            /// Runs `visitor` with the function as a type of its own, so that
            /// the match happens once and not for each element.
            #[inline(always)]
            pub(crate) fn visit<V: UnaryVisitor>(self, visitor: V) -> V::Out {
                match self { $( Unary::$name $(($parameter))? => visitor.visit(sheet::$name { $($parameter)? }) ),* }
            }
        }

        /// Functions of one number, for each element.
        impl<A: Algebra> Tensor<A> {
            $( $(#[$doc])*
            ///
            #[doc = concat!("Within ", stringify!($double), " units of the last place in `f64`, ", stringify!($single), " in `f32`.")]
            #[track_caller] #[must_use]
            pub fn $method(&self $(, $parameter: $type)?) -> Self { self.unary(Unary::$name $(($parameter))?) } )*
        }

        /// One type for each line of the sheet.
        mod sheet {
            use super::*;
            $(
                #[derive(Clone, Copy)]
                pub(super) struct $name { $(pub(super) $parameter: $type)? }
                impl Function for $name {
                    #[inline(always)]
                    fn value<N: Num>(self, $x: N) -> N { $(let $parameter = self.$parameter;)? $value }
                    #[inline(always)]
                    fn slope<N: Num>(self, $sx: N, $sy: N) -> N { $(let $parameter = self.$parameter; let _ = $parameter;)? $slope }
                }
            )*
        }
    };
}

/// Value and slope of one function, for any kind of number.
pub(crate) trait Function: Copy + Send + Sync {
    /// `f(x)`.
    fn value<N: Num>(self, x: N) -> N;
    /// `f'(x)`, given also `y = f(x)`.
    fn slope<N: Num>(self, x: N, y: N) -> N;
}

/// Something to be done with a [`Function`], whichever it is.
pub(crate) trait UnaryVisitor {
    /// The result.
    type Out;
    /// Does it.
    fn visit<F: Function>(self, f: F) -> Self::Out;
}

// Where the slope is constant its formula is never read; `x` stands there.
#[rustfmt::skip]
formula_sheet! {
    // name              method       smooth on         f64, f32         slope     value                       slope, from x and y = f(x)
    /// `x + c`.
    Shift(c: f64 = 0.5), shift,       on (-2.0, 2.0),   ulps (0.5, 1),   One,      |x| x.plus(c),              |x, _y| x;

    // Powers.
    /// `1/x`; ±∞ at ±0.
    Recip,               recip,       on (0.5, 2.0),    ulps (0.5, 0.5), Formula,  |x| x.recip(),              |_x, y| -y.square();
    /// `x²`.
    Square,              square,      on (-2.0, 2.0),   ulps (0.5, 0.5), Formula,  |x| x.square(),             |x, _y| x.times(2.0);
    /// `√x`; NaN below 0, slope ∞ at 0.
    Sqrt,                sqrt,        on (0.5, 2.0),    ulps (0.5, 0.5), Formula,  |x| x.sqrt(),               |_x, y| y.recip().times(0.5);
    /// `1/√x`; NaN below 0, ∞ at 0.
    Rsqrt,               rsqrt,       on (0.5, 2.0),    ulps (1, 1),     Formula,  |x| x.sqrt().recip(),       |x, y| (y / x).times(-0.5);
    /// `xⁿ` for a whole number `n`; 1 for `n = 0`, at 0 too.
    Powi(n: i32 = 3),    powi,        on (0.5, 2.0),    ulps (2, 2),     exponent(f64::from(n)), |x| x.powi(n), |x, _y| x.powi(n.saturating_sub(1)).times(f64::from(n));
    /// `xᶜ`; NaN for `x < 0` unless `c` is whole.
    Powf(c: f64 = 2.5),  powf,        on (0.5, 2.0),    ulps (1, 1),     exponent(c), |x| x.powf(c),           |x, _y| x.powf(c - 1.0).times(c);

    // Exponential and logarithm.
    /// `eˣ`.
    Exp,                 exp,         on (-2.0, 2.0),   ulps (1, 1),     Formula,  |x| x.exp(),                |_x, y| y;
    /// `eˣ − 1`, without cancellation near 0.
    ExpM1,               exp_m1,      on (-2.0, 2.0),   ulps (1, 2),     Formula,  |x| x.exp_m1(),             |x, _y| x.exp();
    /// `ln x`; −∞ at 0, NaN below.
    Ln,                  ln,          on (0.5, 2.0),    ulps (1, 1),     Formula,  |x| x.ln(),                 |x, _y| x.recip();
    /// `ln(1 + x)`, without cancellation near 0; −∞ at −1, NaN below.
    Ln1p,                ln_1p,       on (-0.5, 2.0),   ulps (1, 2.5),   Formula,  |x| x.ln_1p(),              |x, _y| x.plus(1.0).recip();

    // Circular and hyperbolic functions, in radians.
    /// `sin x`.
    Sin,                 sin,         on (-2.0, 2.0),   ulps (1, 1),     Formula,  |x| x.sin(),                |x, _y| x.cos();
    /// `cos x`.
    Cos,                 cos,         on (-2.0, 2.0),   ulps (1, 1),     Formula,  |x| x.cos(),                |x, _y| -x.sin();
    /// `tan x`.
    Tan,                 tan,         on (-0.7, 0.7),   ulps (1, 1),     Formula,  |x| x.tan(),                |_x, y| y.square().plus(1.0);
    /// `arcsin x` in [−π/2, π/2]; NaN outside [−1, 1], slope ∞ at the ends.
    Asin,                asin,        on (-0.5, 0.5),   ulps (1, 1),     Formula,  |x| x.asin(),               |x, _y| one_minus_square(x).sqrt().recip();
    /// `arccos x` in [0, π]; NaN outside [−1, 1], slope −∞ at the ends.
    Acos,                acos,        on (-0.5, 0.5),   ulps (1, 1),     Formula,  |x| x.acos(),               |x, _y| -one_minus_square(x).sqrt().recip();
    /// `arctan x` in [−π/2, π/2].
    Atan,                atan,        on (-0.7, 0.7),   ulps (1, 1),     Formula,  |x| x.atan(),               |x, _y| x.square().plus(1.0).recip();
    /// `sinh x`.
    Sinh,                sinh,        on (-2.0, 2.0),   ulps (2, 1),     Formula,  |x| x.sinh(),               |x, _y| x.cosh();
    /// `cosh x`.
    Cosh,                cosh,        on (-2.0, 2.0),   ulps (2, 1),     Formula,  |x| x.cosh(),               |x, _y| x.sinh();
    /// `tanh x`.
    Tanh,                tanh,        on (-0.8, 0.8),   ulps (2.5, 2.5), Formula,  |x| x.tanh(),               |_x, y| one_minus_square(y);
    /// `arsinh x`; its slope is written so that `x²` cannot overflow.
    Asinh,               asinh,       on (-0.7, 0.7),   ulps (2, 1),     Formula,  |x| x.asinh(),              |x, _y| { let one = x.constant(1.0); x.hypot(one).recip() };
    /// `arcosh x`; NaN below 1, slope ∞ at 1.
    Acosh,               acosh,       on (2.0, 3.0),    ulps (2, 1),     Formula,  |x| x.acosh(),              |x, _y| (x.clone().plus(-1.0).sqrt() * x.plus(1.0).sqrt()).recip();
    /// `artanh x`; ±∞ at ±1, NaN outside.
    Atanh,               atanh,       on (-0.5, 0.5),   ulps (2, 1),     Formula,  |x| x.atanh(),              |x, _y| one_minus_square(x).recip();

    // Rectifiers and sigmoids.
    /// `σ(x) = 1/(1 + e⁻ˣ)`; the slope `σ(x)·σ(−x)` does not cancel for large `x`.
    Sigmoid,             sigmoid,     on (-2.0, 2.0),   ulps (2, 2.5),   Formula,  |x| x.sigmoid(),            |x, y| y * (-x).sigmoid();
    /// `ln σ(x) = −ln(1 + e⁻ˣ)`, without overflow.
    LogSigmoid,          log_sigmoid, on (-2.0, 2.0),   ulps (2, 4),     Formula,  |x| -(-x).softplus(),       |x, _y| (-x).sigmoid();
    /// `ln(1 + eˣ)`, computed as `max(x, 0) + ln(1 + e^{−|x|})`.
    Softplus,            softplus,    on (-2.0, 2.0),   ulps (2, 4),     Formula,  |x| x.softplus(),           |x, _y| x.sigmoid();
    /// `x·σ(x)`, also called swish.
    Silu,                silu,        on (-2.0, 2.0),   ulps (2.5, 3),   Formula,  |x| x.clone() * x.sigmoid(), |x, y| { let s = x.sigmoid(); s.clone() + y * (-s).plus(1.0) };
    /// `x·Φ(x)` with the normal distribution function `Φ`: the exact GELU of
    /// Hendrycks and Gimpel 2016. Its relative error grows like `x²` in the far
    /// left tail, where the value vanishes; the bounds are those at −35 and −12.
    Gelu,                gelu,        on (-2.0, 2.0),   ulps (256, 128), Formula,  |x| x.clone() * normal_cdf(x), |x, _y| normal_cdf(x.clone()) + x.clone() * normal_density(x);
    /// `½x(1 + tanh √(2/π)(x + 0.044715x³))`, the approximation of GELU that
    /// many published networks use. Its relative error grows in the far left
    /// tail, where the value vanishes.
    GeluTanh,            gelu_tanh,   on (-2.0, 2.0),   ulps (128, 32),  Formula,  |x| { let u = gelu_argument(x.clone()); x * u.sigmoid() },
        |x, _y| { let u = gelu_argument(x.clone()); let s = u.clone().sigmoid(); s.clone() + x.clone() * s * (-u).sigmoid() * gelu_argument_slope(x) };
    /// `max(x, 0)`; slope 0 at 0.
    Relu,                relu,        on (0.5, 2.0),    ulps (0, 0),     Formula,  |x| x.relu(),               |x, _y| x.step();
    /// `x` where `x > 0`, else `c·x`; slope `c` at 0.
    LeakyRelu(c: f64 = 0.01), leaky_relu, on (-2.0, -0.5), ulps (0.5, 1),   Formula, |x| { let below = x.clone().times(c); if_positive(x.clone(), x, below) },
        |x, _y| { let (one, below) = (x.constant(1.0), x.constant(c)); if_positive(x, one, below) };
    /// `x` where `x > 0`, else `c(eˣ − 1)`; slope `c` at 0.
    Elu(c: f64 = 1.5),   elu,         on (-2.0, -0.5),  ulps (2, 2.5),   Formula,  |x| { let below = x.clone().exp_m1().times(c); if_positive(x.clone(), x, below) },
        |x, _y| { let (one, below) = (x.constant(1.0), x.clone().exp().times(c)); if_positive(x, one, below) };
    /// `λ·elu(x)` with the two constants of Klambauer et al. 2017, for which
    /// mean 0 and variance 1 are a fixed point; slope `λα` at 0.
    Selu,                selu,        on (-2.0, -0.5),  ulps (2, 3),     Formula,  |x| { let below = x.clone().exp_m1().times(SELU_SCALE * SELU_ALPHA); if_positive(x.clone(), x.times(SELU_SCALE), below) },
        |x, _y| { let (above, below) = (x.constant(SELU_SCALE), x.clone().exp().times(SELU_SCALE * SELU_ALPHA)); if_positive(x, above, below) };

    // Special functions.
    /// The error function, `2/√π ∫₀ˣ e^{−u²} du`.
    Erf,                 erf,         on (-1.0, 1.0),   ulps (1, 2),     Formula,  |x| x.erf(),                |x, _y| (-x.square()).exp().times(FRAC_2_SQRT_PI);
    /// `1 − erf x`, without cancellation for large `x`.
    Erfc,                erfc,        on (-1.0, 1.0),   ulps (2, 8),     Formula,  |x| x.erfc(),               |x, _y| (-x.square()).exp().times(-FRAC_2_SQRT_PI);
    /// `ln Γ(x)` for `x ≥ 0`; NaN below.
    LnGamma,             ln_gamma,    on (1.5, 3.0),    ulps (2, 1),     Formula,  |x| x.ln_gamma(),           |x, _y| x.polygamma(0);
    /// `ψ⁽ⁿ⁾(x)`, the derivative of order `n + 1` of `ln Γ`, for `x ≥ 0`; NaN below.
    Polygamma(n: u8 = 1), polygamma,  on (1.5, 3.0),    ulps (2, 1),     Formula,  |x| x.polygamma(n),         |x, _y| x.polygamma(n.saturating_add(1));

    // Kinks and steps.
    /// `|x|`; slope 0 at 0.
    Abs,                 abs,         on (-2.0, -0.5),  ulps (0, 0),     Formula,  |x| x.abs(),                |x, _y| x.sign();
    /// `x`, but no less and no more than these two; slope 1 at the ends, 0 beyond.
    Clamp(ends: (f64, f64) = (-1.0, 3.0)), clamp, on (0.5, 2.0), ulps (0, 0), Formula, |x| { let (low, high) = (x.constant(ends.0), x.constant(ends.1)); x.maximum(low).minimum(high) },
        |x, _y| { let (zero, one) = (x.constant(0.0), x.constant(1.0)); let (low, high) = (x.constant(ends.0), x.constant(ends.1));
            let below_high = N::if_less(high, x.clone(), zero.clone(), one); N::if_less(x, low, zero, below_high) };
    /// −1, 0 or 1; slope 0.
    Sign,                sign,        on (0.5, 2.0),    ulps (0, 0),     Zero,     |x| x.sign(),               |x, _y| x;
    /// 1 where `x > 0`, else 0; slope 0.
    Step,                step,        on (0.5, 2.0),    ulps (0, 0),     Zero,     |x| x.step(),               |x, _y| x;
    /// The largest whole number not above `x`; slope 0.
    Floor,               floor,       on (0.1, 0.9),    ulps (0, 0),     Zero,     |x| x.floor(),              |x, _y| x;
    /// The smallest whole number not below `x`; slope 0.
    Ceil,                ceil,        on (0.1, 0.9),    ulps (0, 0),     Zero,     |x| x.ceil(),               |x, _y| x;
    /// The nearest whole number, of two the even one; slope 0.
    Round,               round,       on (0.6, 1.4),    ulps (0, 0),     Zero,     |x| x.round(),              |x, _y| x;
}

/// The slope of a power with this exponent: `c·xᶜ⁻¹` would be `0·∞` at 0 for
/// `c = 0`.
fn exponent(c: f64) -> SlopeKind {
    match c {
        0.0 => SlopeKind::Zero,
        1.0 => SlopeKind::One,
        _ => SlopeKind::Formula,
    }
}

/// `1 − x²`, by factors: near `±1` the square would round away what is left.
#[inline(always)]
fn one_minus_square<N: Num>(x: N) -> N {
    (-x.clone()).plus(1.0) * x.plus(1.0)
}

/// `then` where `x > 0`, else `otherwise`.
#[inline(always)]
fn if_positive<N: Num>(x: N, then: N, otherwise: N) -> N {
    N::if_less(x.constant(0.0), x, then, otherwise)
}

/// The standard normal distribution function `Φ(x) = ½ erfc(−x/√2)`.
#[inline(always)]
fn normal_cdf<N: Num>(x: N) -> N {
    x.times(-FRAC_1_SQRT_2).erfc().times(0.5)
}

/// The standard normal density `φ(x) = e^{−x²/2}/√(2π)`.
#[inline(always)]
fn normal_density<N: Num>(x: N) -> N {
    x.square()
        .times(-0.5)
        .exp()
        .times(0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI)
}

/// `2√(2/π)`, in the argument of [`Unary::GeluTanh`].
const GELU_RATE: f64 = SQRT_2 * FRAC_2_SQRT_PI;
/// The coefficient of the cube there.
const GELU_CUBE: f64 = 0.044_715;

/// `u(x) = 2√(2/π)(x + 0.044715x³)`: `½(1 + tanh ½u) = σ(u)`, and `σ` does not
/// cancel where `tanh` is near −1.
#[inline(always)]
fn gelu_argument<N: Num>(x: N) -> N {
    (x.clone().square().times(GELU_CUBE).plus(1.0) * x).times(GELU_RATE)
}

/// `u'(x)`.
#[inline(always)]
fn gelu_argument_slope<N: Num>(x: N) -> N {
    x.square().times(3.0 * GELU_CUBE).plus(1.0).times(GELU_RATE)
}

/// `λ` of [`Unary::Selu`].
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// `α` of [`Unary::Selu`].
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// Writes the enum of functions of two numbers, its list, the values and the
/// two slopes of each.
macro_rules! pair_sheet {
    ($( $(#[$doc:meta])* $name:ident, $label:literal, |$a:ident, $b:ident| $value:expr, |$sa:ident, $sb:ident, $sy:ident| $by_a:expr, $by_b:expr; )*) => {
        /// A function of two numbers, applied to each pair of elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Binary { $( $(#[$doc])* $name ),* }

        impl Binary {
            /// Every function of two numbers, once.
            pub const ALL: &'static [Binary] = &[ $( Binary::$name ),* ];

            /// The name users call it by.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Binary::$name => $label ),* }
            }

            /// The value.
            #[inline(always)]
            pub(crate) fn value<N: Num>(self, a: N, b: N) -> N {
                match self { $( Binary::$name => { let ($a, $b) = (a, b); $value } ),* }
            }

            /// The partial derivatives by `a` and by `b`, given also the value `y`.
            pub(crate) fn slope<N: Num>(self, by: Side, a: N, b: N, y: N) -> N {
                match (self, by) { $(
                    (Binary::$name, Side::Left) => { let ($sa, $sb, $sy) = (a, b, y); let _ = (&$sa, &$sb, &$sy); $by_a }
                    (Binary::$name, Side::Right) => { let ($sa, $sb, $sy) = (a, b, y); let _ = (&$sa, &$sb, &$sy); $by_b }
                )* }
            }
        }

        /// Calls a loop with the operation as a constant, so that it has no
        /// match in it.
        macro_rules! for_each_binary {
            ($op:expr, $job:ident, $x:expr, $y:expr) => {
                match $op { $( Binary::$name => dispatch($job::<_, { Binary::$name as u8 }>($x, $y)), )* }
            };
        }
        pub(crate) use for_each_binary;
    };
}

#[rustfmt::skip]
pair_sheet! {
    // name   label      value                 slopes by a and by b, from a, b and y = f(a, b)
    /// `a + b`.
    Add,     "add",     |a, b| a + b,          |a, b, y| a.constant(1.0), a.constant(1.0);
    /// `a − b`.
    Sub,     "sub",     |a, b| a - b,          |a, b, y| a.constant(1.0), a.constant(-1.0);
    /// `a·b`.
    Mul,     "mul",     |a, b| a * b,          |a, b, y| b, a;
    /// `a/b`.
    Div,     "div",     |a, b| a / b,          |a, b, y| b.recip(), -(y / b);
    /// The larger of the two; a tie shares the slope.
    Maximum, "maximum", |a, b| a.maximum(b),   |a, b, y| share(b, a), share(a, b);
    /// The smaller of the two; a tie shares the slope.
    Minimum, "minimum", |a, b| a.minimum(b),   |a, b, y| share(a, b), share(b, a);
    /// `aᵇ`. The slope by `a` is 0 where `b = 0` (`a⁰ = 1` at 0 too), and the
    /// slope by `b` is 0 where `aᵇ = 0`, its limit.
    Pow,     "pow",     |a, b| a.pow(b),       |a, b, y|
        { let (zero, power) = (b.constant(0.0), a.pow(b.clone().plus(-1.0)) * b.clone()); N::if_equal(b, zero.clone(), zero, power) },
        { let (zero, growth) = (y.constant(0.0), y.clone() * a.ln()); N::if_equal(y, zero.clone(), zero, growth) };
    /// The angle of the point (`b`, `a`) in (−π, π]; its slopes are NaN at the
    /// origin, where no direction is meant.
    Atan2,   "atan2",   |a, b| a.atan2(b),     |a, b, y|
        { let h = b.clone().hypot(a); b / h.clone() / h },
        { let h = b.hypot(a.clone()); -(a / h.clone() / h) };
    /// `√(a² + b²)` without overflow; slopes 0 at the origin.
    Hypot,   "hypot",   |a, b| a.hypot(b),     |a, b, y| over_length(a, y), over_length(b, y);
}

/// 1 where `loser < winner`, ½ at a tie, else 0.
fn share<N: Num>(loser: N, winner: N) -> N {
    let (none, half, all) = (
        loser.constant(0.0),
        loser.constant(0.5),
        loser.constant(1.0),
    );
    let tied = N::if_equal(loser.clone(), winner.clone(), half, none);
    N::if_less(loser, winner, all, tied)
}

/// `x/h`, and 0 where `h = 0`.
fn over_length<N: Num>(x: N, h: N) -> N {
    let zero = h.constant(0.0);
    N::if_equal(h.clone(), zero.clone(), zero, x / h)
}
