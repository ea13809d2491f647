//! **Map**: a derivative, as the linear map it is.
//!
//! The derivative of `y = f(x₁, …, xₙ)` is a list of pairs (input, linear
//! map). Forward mode *pushes* a tangent through each map and adds; reverse
//! mode *pulls* a cotangent through each transpose. So an operation states
//! its derivative once, here, and both modes follow.
//!
//! ```math
//! \dot y = \sum_i M_i\,\dot x_i, \qquad \bar x_i = M_i^{\mathsf T}\,\bar y \tag{AD.3}
//! ```

use crate::algebra::{Algebra, Transpose};
use crate::linear::Linear;
use crate::pointwise::{Binary, Function, SlopeKind, Unary, UnaryVisitor};
use crate::tensor::Tensor;
use std::fmt::Debug;
use std::rc::Rc;

/// The way to make a derivative when it is wanted; `None` where it is 0.
pub(crate) type Derivative<'a, A> = &'a dyn Fn() -> Option<Map<A>>;

/// A linear map given by a user's operation.
pub(crate) trait LinearMap<A: Algebra>: Debug {
    /// `M·v`.
    fn push(&self, v: Tensor<A>) -> Tensor<A>;
    /// `Mᵀ·w`.
    fn pull(&self, w: Tensor<A>) -> Tensor<A>;
}

/// Which of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// A linear map between arrays, written with values of the algebra `A`, so
/// that where `A` itself takes derivatives the map can be differentiated too.
#[derive(Clone, Debug)]
pub(crate) enum Map<A: Algebra> {
    /// `v ↦ v`.
    Identity,
    /// A rearrangement.
    Linear(Linear),
    /// `v ↦ d ∘ v`.
    Diagonal(Tensor<A>),
    /// `v ↦ f'(x) ∘ v`, the slope being computed when it is needed.
    Slope {
        op: Unary,
        x: Tensor<A>,
        y: Tensor<A>,
    },
    /// `v ↦ ∂f/∂a ∘ v` or `v ↦ ∂f/∂b ∘ v` of a function of two numbers, the
    /// slope being computed when it is needed.
    Partial {
        op: Binary,
        side: Side,
        a: Tensor<A>,
        b: Tensor<A>,
        y: Tensor<A>,
    },
    /// `v ↦ op(v)·op(b)` for the left factor, `v ↦ op(a)·op(v)` for the right.
    Matmul {
        variable: Side,
        other: Tensor<A>,
        ta: Transpose,
        tb: Transpose,
    },
    /// `v ↦ Σ w ∘ v` along an axis, which keeps extent 1.
    Contraction { weights: Tensor<A>, axis: usize },
    /// `v` where its side of the mask was chosen, else 0. Not a product with
    /// the mask: `0·∞` would be NaN.
    Select { mask: Tensor<A::Base>, side: Side },
    /// A user's own.
    Custom(Rc<dyn LinearMap<A>>),
}

impl<A: Algebra> Map<A> {
    /// `M·v`, the tangent after the operation.
    pub(crate) fn push(&self, v: Tensor<A>) -> Tensor<A> {
        match self {
            Map::Identity => v,
            Map::Linear(l) => v.linear(l),
            Map::Diagonal(d) => d * v,
            Map::Slope { op, x, y } => Tensor(A::chain(*op, v.0, &x.0, &y.0)),
            Map::Partial { op, side, a, b, y } => {
                op.slope(*side, a.clone(), b.clone(), y.clone()) * v
            }
            #[rustfmt::skip]
            Map::Matmul { variable: Side::Left, other, ta, tb } => v.matmul_with(*ta, other, *tb),
            #[rustfmt::skip]
            Map::Matmul { variable: Side::Right, other, ta, tb } => other.matmul_with(*ta, &v, *tb),
            Map::Contraction { weights, axis } => (weights * v).sum_axis_keep(*axis),
            Map::Select { mask, side } => chosen(mask, *side, &v),
            Map::Custom(m) => m.push(v),
        }
    }

    /// `Mᵀ·w`, the cotangent before the operation.
    pub(crate) fn pull(&self, w: Tensor<A>) -> Tensor<A> {
        match self {
            Map::Linear(l) => w.linear(&l.transpose()), // (AD.2)
            Map::Matmul {
                variable,
                other,
                ta,
                tb,
            } => pull_matmul(*variable, other, *ta, *tb, &w),
            Map::Contraction { weights, .. } => weights * w,
            Map::Custom(m) => m.pull(w), // (AD.3)
            // Diagonal maps are their own transposes.
            Map::Identity
            | Map::Diagonal(_)
            | Map::Slope { .. }
            | Map::Partial { .. }
            | Map::Select { .. } => self.push(w), // (AD.1)
        }
    }
}

/// The matrix product is linear in each factor, and its transposes are matrix
/// products again.
///
/// ```math
/// C = AB: \qquad \dot C = \dot A B + A \dot B, \qquad
/// \bar A = \bar C B^{\mathsf T}, \quad \bar B = A^{\mathsf T}\bar C \tag{AD.4}
/// ```
fn pull_matmul<A: Algebra>(
    variable: Side,
    other: &Tensor<A>,
    ta: Transpose,
    tb: Transpose,
    w: &Tensor<A>,
) -> Tensor<A> {
    use Transpose::{No, Yes};
    match (variable, ta, tb) {
        // A enters as Aᵀ: transpose the rule, (W·Bᵀ)ᵀ = B·Wᵀ.
        (Side::Left, Yes, _) => other.matmul_with(tb, w, Yes),
        (Side::Left, No, _) => w.matmul_with(No, other, tb.flipped()), // (AD.4)
        (Side::Right, _, No) => other.matmul_with(ta.flipped(), w, No),
        (Side::Right, _, Yes) => w.matmul_with(Yes, other, ta),
    }
}

/// `v` where the mask chose this side, else 0.
fn chosen<A: Algebra>(mask: &Tensor<A::Base>, side: Side, v: &Tensor<A>) -> Tensor<A> {
    let zero = v.zeros_like();
    match side {
        Side::Left => Tensor::select(mask, v, &zero),
        Side::Right => Tensor::select(mask, &zero, v),
    }
}

/// The derivative of a pointwise function of one number; `None` where it is 0.
pub(crate) fn of_unary<A: Algebra>(op: Unary, x: &Tensor<A>, y: &Tensor<A>) -> Option<Map<A>> {
    match op.slope_kind() {
        SlopeKind::Zero => None,
        SlopeKind::One => Some(Map::Identity),
        SlopeKind::Formula => Some(Map::Slope {
            op,
            x: x.clone(),
            y: y.clone(),
        }),
    }
}

/// The derivative of `y = op(a, b)` by one of its operands.
pub(crate) fn of_binary<A: Algebra>(
    op: Binary,
    side: Side,
    a: &Tensor<A>,
    b: &Tensor<A>,
    y: &Tensor<A>,
) -> Map<A> {
    match (op, side) {
        (Binary::Add, _) | (Binary::Sub, Side::Left) => Map::Identity,
        (Binary::Sub, Side::Right) => Map::Linear(Linear::Scale(-1.0)),
        (Binary::Mul, Side::Left) => Map::Diagonal(b.clone()),
        (Binary::Mul, Side::Right) => Map::Diagonal(a.clone()),
        _ => Map::Partial {
            op,
            side,
            a: a.clone(),
            b: b.clone(),
            y: y.clone(),
        },
    }
}

/// The derivative of `y = max xᵢ` along an axis: those that reach it share the
/// slope equally, which is a subgradient.
pub(crate) fn of_max<A: Algebra>(x: &Tensor<A>, y: &Tensor<A>, axis: usize) -> Map<A> {
    let reached = x.stop().eq(&y.stop());
    let share = &reached / reached.sum_axis_keep(axis);
    let weights = Tensor::constant(&share);
    Map::Contraction { weights, axis }
}

/// The derivative of a matrix product by one of its factors.
pub(crate) fn of_matmul<A: Algebra>(
    variable: Side,
    other: &Tensor<A>,
    ta: Transpose,
    tb: Transpose,
) -> Map<A> {
    Map::Matmul {
        variable,
        other: other.clone(),
        ta,
        tb,
    }
}

/// `v ∘ f'(x)` by composition: the slope as an expression of the algebra.
pub(crate) fn chain_composed<A: Algebra>(
    op: Unary,
    v: Tensor<A>,
    x: Tensor<A>,
    y: Tensor<A>,
) -> Tensor<A> {
    struct Slope<A: Algebra>(Tensor<A>, Tensor<A>);
    impl<A: Algebra> UnaryVisitor for Slope<A> {
        type Out = Tensor<A>;
        fn visit<F: Function>(self, f: F) -> Tensor<A> {
            f.slope(self.0, self.1)
        }
    }
    match op.slope_kind() {
        SlopeKind::Zero => v.zeros_like(),
        SlopeKind::One => v,
        SlopeKind::Formula => v * op.visit(Slope(x, y)),
    }
}

/// A dense layer by composition of product, broadcast sum and function.
///
/// ```math
/// z = xW + \mathbf 1 b^{\mathsf T}, \qquad h = f(z) \tag{AD.5}
/// ```
pub(crate) fn dense_composed<A: Algebra>(x: &A, w: &A, b: &A, f: Option<Unary>) -> (A, A) {
    let product = Tensor(A::matmul(x, Transpose::No, w, Transpose::No));
    let z = product + Tensor(b.clone()); // (AD.5)
    let h = match f {
        Some(op) => A::unary(op, z.0.clone()),
        None => z.0.clone(),
    };
    (z.0, h)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;

    /// Where a derivative is simpler than a product with its slope, it is still
    /// what the slope of the formula sheet gives, in bits.
    #[test]
    fn shortcuts_are_the_slopes_of_the_sheet() {
        let x = |numbers: [f64; 3]| Tensor::<Cpu<f64>>::new(&[3], numbers.to_vec());
        let (a, b, v) = (
            x([0.7, -3.0, 1e-3]),
            x([1.9, 0.3, -7.0]),
            x([0.1, -0.2, 11.0]),
        );
        for op in [Binary::Add, Binary::Sub, Binary::Mul] {
            let y = a.binary(op, &b);
            for side in [Side::Left, Side::Right] {
                let short = of_binary(op, side, &a, &b, &y);
                assert!(!matches!(short, Map::Partial { .. }), "{op:?}");
                let [a, b, y] = [&a, &b, &y].map(Clone::clone);
                #[rustfmt::skip]
                let long = Map::Partial { op, side, a, b, y };
                let (short, long) = (short.push(v.clone()), long.push(v.clone()));
                assert_eq!(short.to_vec(), long.to_vec(), "{op:?} {side:?}");
            }
        }
    }
}
