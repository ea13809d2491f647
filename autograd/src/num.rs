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

use crate::algebra::Algebra;
use crate::cpu::polynomial;
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

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
    /// `1/x`.
    fn recip(self) -> Self;
    /// `x²`.
    fn square(self) -> Self;
    /// `√x`.
    fn sqrt(self) -> Self;
    /// `eˣ`.
    fn exp(self) -> Self;
    /// `ln x`.
    fn ln(self) -> Self;
    /// `sin x`.
    fn sin(self) -> Self;
    /// `cos x`.
    fn cos(self) -> Self;
    /// `tanh x`.
    fn tanh(self) -> Self;
    /// `1/(1 + e⁻ˣ)`.
    fn sigmoid(self) -> Self;
    /// `ln(1 + eˣ)`.
    fn softplus(self) -> Self;
    /// `xⁿ`.
    fn powi(self, n: i32) -> Self;
    /// `|x|`.
    fn abs(self) -> Self;
    /// −1, 0 or 1.
    fn sign(self) -> Self;
    /// 1 where `x > 0`, else 0.
    fn step(self) -> Self;
    /// `x` where `x > 0`, else 0.
    fn relu(self) -> Self;
    /// The larger of the two.
    fn maximum(self, other: Self) -> Self;
    /// The smaller of the two.
    fn minimum(self, other: Self) -> Self;
}

/// What `f32` and `f64` share; only the transcendental functions differ.
macro_rules! num_for_float {
    ($float:ty, $exp:path, $ln:path, $sin:path, $cos:path, $tanh:path, $sigmoid:path, $ln_1p:path) => {
        impl Num for $float {
            #[inline(always)]
            fn plus(self, c: f64) -> Self {
                self + c as $float
            }
            #[inline(always)]
            fn times(self, c: f64) -> Self {
                self * c as $float
            }
            #[inline(always)]
            fn recip(self) -> Self {
                1.0 / self
            }
            #[inline(always)]
            fn square(self) -> Self {
                self * self
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$float>::sqrt(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline(always)]
            fn sin(self) -> Self {
                $sin(self)
            }
            #[inline(always)]
            fn cos(self) -> Self {
                $cos(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $tanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                $sigmoid(self)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                // max(x, 0) + ln(1 + e^{-|x|}): neither term can overflow.
                Num::relu(self) + $ln_1p($exp(-self.abs()))
            }
            #[inline(always)]
            fn powi(self, n: i32) -> Self {
                <$float>::powi(self, n)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$float>::abs(self)
            }
            #[inline(always)]
            fn sign(self) -> Self {
                // Written with comparisons so that 0 ↦ 0 and NaN ↦ NaN.
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    -1.0
                } else {
                    self
                }
            }
            #[inline(always)]
            fn step(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self <= 0.0 {
                    0.0
                } else {
                    self
                }
            }
            #[inline(always)]
            fn relu(self) -> Self {
                // "not positive" is asked this way round so that NaN stays NaN.
                if self <= 0.0 { 0.0 } else { self }
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
        }
    };
}

num_for_float!(
    f64,
    f64::exp,
    f64::ln,
    f64::sin,
    f64::cos,
    f64::tanh,
    logistic_f64,
    f64::ln_1p
);
num_for_float!(
    f32,
    polynomial::exp,
    polynomial::ln,
    polynomial::sin,
    polynomial::cos,
    polynomial::tanh,
    polynomial::sigmoid,
    ln_1p_f32
);

/// `1/(1 + e⁻ˣ)`; for `x → −∞`, `e⁻ˣ = ∞` and the quotient is the right 0.
#[inline(always)]
fn logistic_f64(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + u)` for `u` in [0, 1]: the rounding of `1 + u` is undone to first
/// order (Higham, *Accuracy and Stability of Numerical Algorithms*, 1.14.1).
#[inline(always)]
fn ln_1p_f32(u: f32) -> f32 {
    let w = 1.0 + u;
    let corrected = polynomial::ln(w) * (u / (w - 1.0));
    if w == 1.0 { u } else { corrected }
}

impl<A: Algebra> Num for Tensor<A> {
    fn plus(self, c: f64) -> Self {
        self + c
    }
    fn times(self, c: f64) -> Self {
        self * c
    }
    fn recip(self) -> Self {
        Tensor::recip(&self)
    }
    fn square(self) -> Self {
        Tensor::square(&self)
    }
    fn sqrt(self) -> Self {
        Tensor::sqrt(&self)
    }
    fn exp(self) -> Self {
        Tensor::exp(&self)
    }
    fn ln(self) -> Self {
        Tensor::ln(&self)
    }
    fn sin(self) -> Self {
        Tensor::sin(&self)
    }
    fn cos(self) -> Self {
        Tensor::cos(&self)
    }
    fn tanh(self) -> Self {
        Tensor::tanh(&self)
    }
    fn sigmoid(self) -> Self {
        Tensor::sigmoid(&self)
    }
    fn softplus(self) -> Self {
        Tensor::softplus(&self)
    }
    fn powi(self, n: i32) -> Self {
        Tensor::powi(&self, n)
    }
    fn abs(self) -> Self {
        Tensor::abs(&self)
    }
    fn sign(self) -> Self {
        Tensor::sign(&self)
    }
    fn step(self) -> Self {
        Tensor::step(&self)
    }
    fn relu(self) -> Self {
        Tensor::relu(&self)
    }
    fn maximum(self, other: Self) -> Self {
        Tensor::maximum(&self, &other)
    }
    fn minimum(self, other: Self) -> Self {
        Tensor::minimum(&self, &other)
    }
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
