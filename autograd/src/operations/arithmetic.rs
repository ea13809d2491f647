//! **Arithmetic**: the operators `+ − × ÷` between tensors and numbers, for
//! values and references on both sides.

use super::pointwise::binary;
use crate::algebra::Algebra;
use crate::finite::checked;
use crate::linear::Linear;
use crate::pointwise::{Binary, Unary};
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `c·x`.
#[track_caller]
fn scale<A: Algebra>(x: Tensor<A>, c: f64) -> Tensor<A> {
    x.linear(&Linear::Scale(c))
}

/// `x + c`.
#[track_caller]
fn shift<A: Algebra>(x: Tensor<A>, c: f64) -> Tensor<A> {
    checked("shift", Tensor(A::unary(Unary::Shift(c), x.0)))
}

/// Writes an operator for values and references on both sides.
macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr, |$x:ident, $c:ident| $with_number:expr, |$d:ident, $y:ident| $number_with:expr) => {
        impl<A: Algebra> $trait<Tensor<A>> for Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: Tensor<A>) -> Tensor<A> {
                binary($op, self, other)
            }
        }
        impl<A: Algebra> $trait<&Tensor<A>> for Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: &Tensor<A>) -> Tensor<A> {
                binary($op, self, other.clone())
            }
        }
        impl<A: Algebra> $trait<Tensor<A>> for &Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: Tensor<A>) -> Tensor<A> {
                binary($op, self.clone(), other)
            }
        }
        impl<A: Algebra> $trait<&Tensor<A>> for &Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: &Tensor<A>) -> Tensor<A> {
                binary($op, self.clone(), other.clone())
            }
        }
        impl<A: Algebra> $trait<f64> for Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, $c: f64) -> Tensor<A> {
                let $x = self;
                $with_number
            }
        }
        impl<A: Algebra> $trait<f64> for &Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, $c: f64) -> Tensor<A> {
                let $x = self.clone();
                $with_number
            }
        }
        impl<A: Algebra> $trait<Tensor<A>> for f64 {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, $y: Tensor<A>) -> Tensor<A> {
                let $d = self;
                $number_with
            }
        }
        impl<A: Algebra> $trait<&Tensor<A>> for f64 {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, y: &Tensor<A>) -> Tensor<A> {
                let ($d, $y) = (self, y.clone());
                $number_with
            }
        }
    };
}

operator!(Add, add, Binary::Add, |x, c| shift(x, c), |c, y| shift(
    y, c
));
operator!(Sub, sub, Binary::Sub, |x, c| shift(x, -c), |c, y| shift(
    scale(y, -1.0),
    c
));
operator!(Mul, mul, Binary::Mul, |x, c| scale(x, c), |c, y| scale(
    y, c
));
operator!(Div, div, Binary::Div, |x, c| scale(x, c.recip()), |c, y| {
    scale(y.recip(), c)
});

impl<A: Algebra> Neg for Tensor<A> {
    type Output = Tensor<A>;
    #[track_caller]
    fn neg(self) -> Tensor<A> {
        scale(self, -1.0)
    }
}

impl<A: Algebra> Neg for &Tensor<A> {
    type Output = Tensor<A>;
    #[track_caller]
    fn neg(self) -> Tensor<A> {
        scale(self.clone(), -1.0)
    }
}
