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
//! Conventions where calculus gives no answer: `abs`, `relu` and `sign` have
//! slope 0 at 0; `maximum` and `minimum` share the slope equally at a tie.

use crate::num::Num;

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

/// Writes the enum, its list, and the dispatch on it from the formula sheet.
macro_rules! formula_sheet {
    ($( $(#[$doc:meta])* $name:ident $(($parameter:ident: $type:ty = $sample:expr))?, $label:literal, on $domain:expr, $kind:ident,
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
                match self { $( Unary::$name $(($parameter))? => { $(let _ = $parameter;)? $label } ),* }
            }

            /// Where the checker may look: an interval on which the function
            /// is smooth and neither overflows nor vanishes.
            #[must_use]
            pub fn domain(self) -> (f64, f64) {
                match self { $( Unary::$name $(($parameter))? => { $(let _ = $parameter;)? $domain } ),* }
            }

            pub(crate) fn slope_kind(self) -> SlopeKind {
                match self { $( Unary::$name $(($parameter))? => { $(let _ = $parameter;)? SlopeKind::$kind } ),* }
            }

            /// Runs `visitor` with the function as a type of its own, so that
            /// the match happens once and not for each element.
            #[inline(always)]
            pub(crate) fn visit<V: UnaryVisitor>(self, visitor: V) -> V::Out {
                match self { $( Unary::$name $(($parameter))? => visitor.visit(sheet::$name { $($parameter)? }) ),* }
            }
        }

        /// One type for each line of the sheet.
        mod sheet {
            use super::{Function, Num};
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
    // name            label       smooth on     slope     value                     slope, from x and y = f(x)
    /// `x + c`.
    Shift(c: f64 = 0.5), "shift",   on (-2.0, 2.0), One,     |x| x.plus(c),            |x, _y| x;
    /// `1/x`.
    Recip,             "recip",    on (0.5, 2.0),  Formula, |x| x.recip(),            |_x, y| -y.square();
    /// `x²`.
    Square,            "square",   on (-2.0, 2.0), Formula, |x| x.square(),           |x, _y| x.times(2.0);
    /// `√x`; slope ∞ at 0.
    Sqrt,              "sqrt",     on (0.5, 2.0),  Formula, |x| x.sqrt(),             |_x, y| y.recip().times(0.5);
    /// `xⁿ`.
    Powi(n: i32 = 3),  "powi",     on (0.5, 2.0),  Formula, |x| x.powi(n),            |x, _y| x.powi(n - 1).times(f64::from(n));
    /// `eˣ`.
    Exp,               "exp",      on (-2.0, 2.0), Formula, |x| x.exp(),              |_x, y| y;
    /// `ln x`.
    Ln,                "ln",       on (0.5, 2.0),  Formula, |x| x.ln(),               |x, _y| x.recip();
    /// `sin x`.
    Sin,               "sin",      on (-2.0, 2.0), Formula, |x| x.sin(),              |x, _y| x.cos();
    /// `cos x`.
    Cos,               "cos",      on (-2.0, 2.0), Formula, |x| x.cos(),              |x, _y| -x.sin();
    /// `tanh x`.
    Tanh,              "tanh",     on (-2.0, 2.0), Formula, |x| x.tanh(),             |_x, y| (-y.square()).plus(1.0);
    /// `σ(x) = 1/(1 + e⁻ˣ)`; the slope `σ(x)·σ(−x)` does not cancel for large `x`.
    Sigmoid,           "sigmoid",  on (-2.0, 2.0), Formula, |x| x.sigmoid(),          |x, y| y * (-x).sigmoid();
    /// `ln(1 + eˣ)`, computed as `max(x, 0) + ln(1 + e^{−|x|})`.
    Softplus,          "softplus", on (-2.0, 2.0), Formula, |x| x.softplus(),         |x, _y| x.sigmoid();
    /// `x·σ(x)`, also called swish.
    Silu,              "silu",     on (-2.0, 2.0), Formula, |x| x.clone() * x.sigmoid(), |x, y| { let s = x.sigmoid(); s.clone() + y * (-s).plus(1.0) };
    /// `max(x, 0)`; slope 0 at 0.
    Relu,              "relu",     on (0.5, 2.0),  Formula, |x| x.relu(),             |x, _y| x.step();
    /// `|x|`; slope 0 at 0.
    Abs,               "abs",      on (-2.0, -0.5), Formula, |x| x.abs(),             |x, _y| x.sign();
    /// −1, 0 or 1.
    Sign,              "sign",     on (0.5, 2.0),  Zero,    |x| x.sign(),             |x, _y| x;
    /// 1 where `x > 0`, else 0.
    Step,              "step",     on (0.5, 2.0),  Zero,    |x| x.step(),             |x, _y| x;
}

/// A function of two numbers, applied to each pair of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a·b`.
    Mul,
    /// `a/b`.
    Div,
    /// The larger of the two; a tie shares the slope.
    Maximum,
    /// The smaller of the two; a tie shares the slope.
    Minimum,
}

impl Binary {
    /// Every function of two numbers, once.
    pub const ALL: &'static [Binary] = &[
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Maximum,
        Binary::Minimum,
    ];

    /// The name users call it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Maximum => "maximum",
            Binary::Minimum => "minimum",
        }
    }

    /// The value.
    #[inline(always)]
    pub(crate) fn value<N: Num>(self, a: N, b: N) -> N {
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Maximum => a.maximum(b),
            Binary::Minimum => a.minimum(b),
        }
    }
}
