//! **Pointwise operations**: functions of one and of two numbers, for each
//! element, with broadcasting; comparisons and selection.
//!
//! The functions of one number are methods written by the
//! [formula sheet](crate::Unary).

use crate::algebra::{Algebra, Compare};
use crate::finite::checked;
use crate::pointwise::{Binary, Unary};
use crate::primitive::Primitive;
use crate::tensor::Tensor;

/// Functions of one and two numbers.
impl<A: Algebra> Tensor<A> {
    /// Any function of the [formula sheet](Unary).
    #[track_caller]
    #[must_use]
    pub fn unary(&self, op: Unary) -> Self {
        checked(op.name(), Tensor(A::unary(op, self.0.clone())))
    }

    /// `ψ(x) = Γ'(x)/Γ(x)` for `x ≥ 0`; NaN below.
    #[track_caller]
    #[must_use]
    pub fn digamma(&self) -> Self {
        self.polygamma(0)
    }

    /// `aᵇ`, broadcasting. The slope by `a` is 0 where `b = 0`, the slope by
    /// `b` is 0 where `aᵇ = 0`.
    #[track_caller]
    #[must_use]
    pub fn pow(&self, exponent: &Self) -> Self {
        self.binary(Binary::Pow, exponent)
    }

    /// The angle of the points (`x`, `self`) in (−π, π], broadcasting; slopes
    /// NaN at the origin.
    #[track_caller]
    #[must_use]
    pub fn atan2(&self, x: &Self) -> Self {
        self.binary(Binary::Atan2, x)
    }

    /// `√(a² + b²)` without overflow, broadcasting; slopes 0 at the origin.
    #[track_caller]
    #[must_use]
    pub fn hypot(&self, other: &Self) -> Self {
        self.binary(Binary::Hypot, other)
    }

    /// The larger of two, broadcasting; a tie shares the slope equally.
    #[track_caller]
    #[must_use]
    pub fn maximum(&self, other: &Self) -> Self {
        binary(Binary::Maximum, self.clone(), other.clone())
    }

    /// The smaller of two, broadcasting; a tie shares the slope equally.
    #[track_caller]
    #[must_use]
    pub fn minimum(&self, other: &Self) -> Self {
        binary(Binary::Minimum, self.clone(), other.clone())
    }

    /// Any function of [two numbers](Binary), broadcasting.
    #[track_caller]
    #[must_use]
    pub fn binary(&self, op: Binary, other: &Self) -> Self {
        binary(op, self.clone(), other.clone())
    }

    #[track_caller]
    fn compare(name: &str, op: Compare, a: &Self, b: &Self) -> Tensor<A::Base> {
        let (a, b) = broadcast(name, a.clone(), b.clone());
        Tensor(A::compare(op, &a.0, &b.0))
    }

    /// 1 where `self < other`, else 0, broadcasting; no derivative.
    #[track_caller]
    #[must_use]
    pub fn lt(&self, other: &Self) -> Tensor<A::Base> {
        Self::compare("lt", Compare::Less, self, other)
    }

    /// 1 where `self > other`, else 0, broadcasting; no derivative.
    #[track_caller]
    #[must_use]
    pub fn gt(&self, other: &Self) -> Tensor<A::Base> {
        Self::compare("gt", Compare::Less, other, self)
    }

    /// 1 where `self ≤ other`, else 0, broadcasting; no derivative.
    #[track_caller]
    #[must_use]
    pub fn le(&self, other: &Self) -> Tensor<A::Base> {
        Self::compare("le", Compare::LessEqual, self, other)
    }

    /// 1 where `self ≥ other`, else 0, broadcasting; no derivative.
    #[track_caller]
    #[must_use]
    pub fn ge(&self, other: &Self) -> Tensor<A::Base> {
        Self::compare("ge", Compare::LessEqual, other, self)
    }

    /// 1 where `self = other`, else 0, broadcasting; no derivative.
    #[track_caller]
    #[must_use]
    pub fn eq(&self, other: &Self) -> Tensor<A::Base> {
        Self::compare("eq", Compare::Equal, self, other)
    }

    /// 1 where `self ≠ other`, NaN included, else 0, broadcasting; no
    /// derivative.
    #[track_caller]
    #[must_use]
    pub fn ne(&self, other: &Self) -> Tensor<A::Base> {
        1.0 - Self::compare("ne", Compare::Equal, self, other)
    }

    /// `a` where `mask` is not 0, else `b`. All three have one shape.
    ///
    /// What is not chosen gets the cotangent 0, and 0 times an infinite slope
    /// is NaN: to avoid `ln 0`, select its argument before, not its value after.
    #[track_caller]
    #[must_use]
    pub fn select(mask: &Tensor<A::Base>, a: &Self, b: &Self) -> Self {
        let (m, s, t) = (mask.shape(), a.shape(), b.shape());
        assert!(
            m == s && s == t,
            "select: mask {m}, {s} and {t} must have one shape"
        );
        let y = Tensor(A::select(&mask.0, a.0.clone(), b.0.clone()));
        checked("select", y)
    }

    /// An operation of the user's own.
    #[track_caller]
    #[must_use]
    pub fn primitive<P: Primitive>(op: &P, inputs: &[Self]) -> Self {
        checked(op.name(), Tensor(A::primitive(op, inputs)))
    }
}

/// Both arrays stretched to their common shape.
#[track_caller]
pub(super) fn broadcast<A: Algebra>(
    name: &str,
    a: Tensor<A>,
    b: Tensor<A>,
) -> (Tensor<A>, Tensor<A>) {
    let (s, t) = (a.shape(), b.shape());
    if s == t {
        return (a, b);
    }
    match s.broadcast(&t) {
        Some(to) => (a.broadcast_to(&to), b.broadcast_to(&to)),
        None => panic!("{name}: shapes {s} and {t} do not broadcast together"),
    }
}

#[track_caller]
pub(super) fn binary<A: Algebra>(op: Binary, a: Tensor<A>, b: Tensor<A>) -> Tensor<A> {
    let (a, b) = broadcast(op.name(), a, b);
    checked(op.name(), Tensor(A::binary(op, a.0, b.0)))
}
