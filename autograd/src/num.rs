//! **Num**: the few things a pointwise formula may do with its argument.
//!
//! The value and the slope of every pointwise function are written once
//! (`pointwise.rs`), generic over `Num`. Read with `f32` or `f64` they are the
//! inner loop of a kernel; read with [`Tensor<A>`](crate::Tensor) the slope is
//! an expression that can itself be differentiated, which is where second and
//! higher derivatives come from. The trait stays private: its by-value
//! methods would shadow the ones users call on a tensor.
//!
//! NaN propagates through every function here, the selections included.
//!
//! In `f32` the functions that networks are made of are polynomials that a
//! compiler can turn into vector instructions; the others are computed in `f64`
//! and rounded once. In `f64` they are the platform's, and `erf`, `erfc` and
//! `ln_gamma` those of the crate `libm`.

use crate::algebra::Algebra;
use crate::cpu::polynomial;
use crate::gamma;
use crate::pointwise::Unary;
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Writes the trait, and for each elementary function how a number and how an
/// array computes it.
macro_rules! elementary {
    ($( $(#[$doc:meta])* $name:ident $(($parameter:ident: $type:ty))?: $in_f64:expr, $in_f32:expr, $op:expr; )*) => {
        /// A number, or an array of numbers that behaves like one.
        pub(crate) trait Num:
            Clone
            + Add<Output = Self>
            + Sub<Output = Self>
            + Mul<Output = Self>
            + Div<Output = Self>
            + Neg<Output = Self>
        {
            /// `x + c`.
            fn plus(self, c: f64) -> Self;
            /// `c·x`.
            fn times(self, c: f64) -> Self;
            /// The constant `c`, wherever this number lives.
            fn constant(&self, c: f64) -> Self;
            /// `then` where `a < b`, else `otherwise`.
            fn if_less(a: Self, b: Self, then: Self, otherwise: Self) -> Self;
            /// `then` where `a = b`, else `otherwise`.
            fn if_equal(a: Self, b: Self, then: Self, otherwise: Self) -> Self;
            /// The larger of the two.
            fn maximum(self, other: Self) -> Self;
            /// The smaller of the two.
            fn minimum(self, other: Self) -> Self;
            /// `aᵇ`.
            fn pow(self, b: Self) -> Self;
            /// The angle of the point (`x`, `y`), where `self` is `y`.
            fn atan2(self, x: Self) -> Self;
            /// `√(a² + b²)`.
            fn hypot(self, b: Self) -> Self;
            $( $(#[$doc])* fn $name(self $(, $parameter: $type)?) -> Self; )*
        }

        impl Num for f64 {
            pairs! { f64 }
            $( #[inline(always)] fn $name(self $(, $parameter: $type)?) -> Self { ($in_f64)(self) } )*
        }

        impl Num for f32 {
            pairs! { f32 }
            $( #[inline(always)] fn $name(self $(, $parameter: $type)?) -> Self { ($in_f32)(self) } )*
        }

        impl<A: Algebra> Num for Tensor<A> {
            fn plus(self, c: f64) -> Self { self + c }
            fn times(self, c: f64) -> Self { self * c }
            fn constant(&self, c: f64) -> Self { self.full_like(&self.shape(), c) }
            fn if_less(a: Self, b: Self, then: Self, otherwise: Self) -> Self {
                Tensor::select(&a.lt(&b), &then, &otherwise)
            }
            fn if_equal(a: Self, b: Self, then: Self, otherwise: Self) -> Self {
                Tensor::select(&a.eq(&b), &then, &otherwise)
            }
            fn maximum(self, other: Self) -> Self { Tensor::maximum(&self, &other) }
            fn minimum(self, other: Self) -> Self { Tensor::minimum(&self, &other) }
            fn pow(self, b: Self) -> Self { Tensor::pow(&self, &b) }
            fn atan2(self, x: Self) -> Self { Tensor::atan2(&self, &x) }
            fn hypot(self, b: Self) -> Self { Tensor::hypot(&self, &b) }
            $( fn $name(self $(, $parameter: $type)?) -> Self { self.unary($op) } )*
        }
    };
}

/// What two numbers of one type do, and the exact operations with a constant.
macro_rules! pairs {
    ($float:ty) => {
        #[inline(always)]
        fn plus(self, c: f64) -> Self {
            self + c as $float
        }
        #[inline(always)]
        fn times(self, c: f64) -> Self {
            self * c as $float
        }
        #[inline(always)]
        fn constant(&self, c: f64) -> Self {
            c as $float
        }
        #[inline(always)]
        fn if_less(a: Self, b: Self, then: Self, otherwise: Self) -> Self {
            if a < b { then } else { otherwise }
        }
        #[inline(always)]
        fn if_equal(a: Self, b: Self, then: Self, otherwise: Self) -> Self {
            if a == b { then } else { otherwise }
        }
        #[inline(always)]
        fn maximum(self, other: Self) -> Self {
            if self.is_nan() || self > other {
                self
            } else {
                other
            }
        }
        #[inline(always)]
        fn minimum(self, other: Self) -> Self {
            if self.is_nan() || self < other {
                self
            } else {
                other
            }
        }
        #[inline(always)]
        fn pow(self, b: Self) -> Self {
            f64::powf(self.into(), b.into()) as $float
        }
        #[inline(always)]
        fn atan2(self, x: Self) -> Self {
            f64::atan2(self.into(), x.into()) as $float
        }
        #[inline(always)]
        fn hypot(self, b: Self) -> Self {
            f64::hypot(self.into(), b.into()) as $float
        }
    };
}

/// One function of `f64` for `f32`, rounded once at the end.
#[inline(always)]
fn rounded(f: impl Fn(f64) -> f64) -> impl Fn(f32) -> f32 {
    move |x| f(f64::from(x)) as f32
}

#[rustfmt::skip]
elementary! {
    // name and parameter       in f64                in f32                     of arrays
    /// `1/x`.
    recip:                      f64::recip,           f32::recip,                Unary::Recip;
    /// `x²`.
    square:                     |x| x * x,            |x| x * x,                 Unary::Square;
    /// `√x`.
    sqrt:                       f64::sqrt,            f32::sqrt,                 Unary::Sqrt;
    /// `xⁿ`.
    powi(n: i32):               |x| f64::powi(x, n),  |x| f32::powi(x, n),       Unary::Powi(n);
    /// `xᶜ`.
    powf(c: f64):               |x| f64::powf(x, c),  rounded(|x| x.powf(c)),    Unary::Powf(c);
    /// `eˣ`.
    exp:                        f64::exp,             polynomial::exp,           Unary::Exp;
    /// `eˣ − 1`.
    exp_m1:                     f64::exp_m1,          polynomial::exp_m1,        Unary::ExpM1;
    /// `ln x`.
    ln:                         f64::ln,              polynomial::ln,            Unary::Ln;
    /// `ln(1 + x)`.
    ln_1p:                      f64::ln_1p,           polynomial::ln_1p,         Unary::Ln1p;
    /// `sin x`.
    sin:                        f64::sin,             polynomial::sin,           Unary::Sin;
    /// `cos x`.
    cos:                        f64::cos,             polynomial::cos,           Unary::Cos;
    /// `tan x`.
    tan:                        f64::tan,             rounded(f64::tan),         Unary::Tan;
    /// `arcsin x`.
    asin:                       f64::asin,            rounded(f64::asin),        Unary::Asin;
    /// `arccos x`.
    acos:                       f64::acos,            rounded(f64::acos),        Unary::Acos;
    /// `arctan x`.
    atan:                       f64::atan,            rounded(f64::atan),        Unary::Atan;
    /// `sinh x`.
    sinh:                       f64::sinh,            rounded(f64::sinh),        Unary::Sinh;
    /// `cosh x`.
    cosh:                       f64::cosh,            rounded(f64::cosh),        Unary::Cosh;
    /// `tanh x`.
    tanh:                       f64::tanh,            polynomial::tanh,          Unary::Tanh;
    /// `arsinh x`.
    asinh:                      libm::asinh,          rounded(libm::asinh),      Unary::Asinh;
    /// `arcosh x`.
    acosh:                      acosh_f64,            rounded(acosh_f64),        Unary::Acosh;
    /// `artanh x`.
    atanh:                      libm::atanh,          rounded(libm::atanh),      Unary::Atanh;
    /// `1/(1 + e⁻ˣ)`.
    sigmoid:                    logistic_f64,         polynomial::sigmoid,       Unary::Sigmoid;
    /// `ln(1 + eˣ)`.
    softplus:                   softplus_f64,         softplus_f32,              Unary::Softplus;
    /// `erf x`.
    erf:                        libm::erf,            polynomial::erf,           Unary::Erf;
    /// `1 − erf x`.
    erfc:                       libm::erfc,           polynomial::erfc,          Unary::Erfc;
    /// `ln Γ(x)`.
    ln_gamma:                   gamma::ln_gamma,      rounded(gamma::ln_gamma),  Unary::LnGamma;
    /// `ψ⁽ⁿ⁾(x)`.
    polygamma(n: u8):           |x| gamma::polygamma(n, x), rounded(|x| gamma::polygamma(n, x)), Unary::Polygamma(n);
    /// `|x|`.
    abs:                        f64::abs,             f32::abs,                  Unary::Abs;
    // Written with comparisons so that 0 ↦ 0 and NaN ↦ NaN.
    /// −1, 0 or 1.
    sign:                       |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x },
                                |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x }, Unary::Sign;
    /// 1 where `x > 0`, else 0.
    step:                       |x| if x > 0.0 { 1.0 } else if x <= 0.0 { 0.0 } else { x },
                                |x| if x > 0.0 { 1.0 } else if x <= 0.0 { 0.0 } else { x }, Unary::Step;
    // "Not positive" is asked this way round so that NaN stays NaN.
    /// `x` where `x > 0`, else 0.
    relu:                       |x| if x <= 0.0 { 0.0 } else { x },
                                |x| if x <= 0.0 { 0.0 } else { x },              Unary::Relu;
    /// The largest whole number not above `x`.
    floor:                      f64::floor,           f32::floor,                Unary::Floor;
    /// The smallest whole number not below `x`.
    ceil:                       f64::ceil,            f32::ceil,                 Unary::Ceil;
    /// The nearest whole number, the even one if there are two.
    round:                      f64::round_ties_even, f32::round_ties_even,      Unary::Round;
}

/// `arcosh x`. Below −2 the library's formula cancels to a number where there
/// is no value.
#[inline(always)]
fn acosh_f64(x: f64) -> f64 {
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}

/// `1/(1 + e⁻ˣ)`; for `x → −∞`, `e⁻ˣ = ∞` and the quotient is the right 0.
#[inline(always)]
fn logistic_f64(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `max(x, 0) + ln(1 + e^{−|x|})`: neither term can overflow.
#[inline(always)]
fn softplus_f64(x: f64) -> f64 {
    Num::relu(x) + (-x.abs()).exp().ln_1p()
}

/// As [`softplus_f64`].
#[inline(always)]
fn softplus_f32(x: f32) -> f32 {
    Num::relu(x) + polynomial::ln_1p(polynomial::exp(-x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two roundings of `ln` and one of the quotient that corrects it, each
    /// about 1 ulp; against the library's `f64`, whose error is none here.
    #[test]
    fn softplus_keeps_its_digits_in_both_tails() {
        let mut worst = 0f64;
        for i in -8000..=2000 {
            let x = i as f32 * 0.01;
            let exact = f64::from(x).max(0.0) + (-f64::from(x).abs()).exp().ln_1p();
            let ulp = f64::from((exact as f32).next_up()) - f64::from(exact as f32);
            let miss = (f64::from(Num::softplus(x)) - exact).abs() / ulp;
            // NaN must not pass for small.
            worst = if miss <= worst { worst } else { miss };
        }
        assert!(worst <= 4.0, "{worst} ulp");
    }
}
