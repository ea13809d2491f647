//! **Products**: matrices and dense layers.

use crate::algebra::{Algebra, Transpose};
use crate::finite::checked;
use crate::pointwise::Unary;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Products.
impl<A: Algebra> Tensor<A> {
    /// The products of matrices in the last two axes,
    /// `[…, m, k] · […, k, n] → […, m, n]`; the axes before are broadcast.
    #[track_caller]
    #[must_use]
    pub fn matmul(&self, other: &Self) -> Self {
        let (a, b) = (self.shape(), other.shape());
        assert!(
            a.rank() >= 2 && b.rank() >= 2,
            "matmul: {a} times {b}: two matrices were expected"
        );
        if b.rank() == 2 && a.rank() > 2 {
            // One matrix on the right: all rows are one tall matrix.
            let (stack, k) = (&a[..a.rank() - 1], a[a.rank() - 1]);
            let rows = stack.iter().product();
            let product = self.reshape(&[rows, k]).matmul(other);
            return product.reshape(&[stack, &[b[1]]].concat());
        }
        let (m, n) = (&a[a.rank() - 2..], &b[b.rank() - 2..]);
        let (s, t) = (
            Shape::new(&a[..a.rank() - 2]),
            Shape::new(&b[..b.rank() - 2]),
        );
        let Some(stack) = s.broadcast(&t) else {
            panic!("matmul: {a} times {b}: stacks {s} and {t} do not broadcast together");
        };
        let left = self.broadcast_to(&[&stack, m].concat());
        let right = other.broadcast_to(&[&stack, n].concat());
        left.matmul_with(Transpose::No, &right, Transpose::No)
    }

    /// Stacks of equal shape.
    #[track_caller]
    pub(crate) fn matmul_with(&self, ta: Transpose, other: &Self, tb: Transpose) -> Self {
        let (a, b) = (self.shape(), other.shape());
        let (i, j) = (a.rank() - 2, b.rank() - 2);
        let inner_a = if ta == Transpose::No { a[i + 1] } else { a[i] };
        let inner_b = if tb == Transpose::No { b[j] } else { b[j + 1] };
        assert!(
            inner_a == inner_b,
            "matmul: {a} times {b}: inner sizes {inner_a} and {inner_b} differ"
        );
        checked("matmul", Tensor(A::matmul(&self.0, ta, &other.0, tb)))
    }

    /// A dense layer `f(x·w + b)` in one pass: `x` is `[B, K]`, `w` is
    /// `[K, H]`, `b` is `[H]`; no function means the identity.
    #[track_caller]
    #[must_use]
    pub fn dense(&self, w: &Self, b: &Self, f: Option<Unary>) -> Self {
        let (s, t, u) = (self.shape(), w.shape(), b.shape());
        assert!(
            s.rank() == 2 && t.rank() == 2 && u.rank() == 1 && s[1] == t[0] && t[1] == u[0],
            "dense: {s} times {t} plus {u}: [B, K] times [K, H] plus [H] was expected"
        );
        checked("dense", Tensor(A::dense(&self.0, &w.0, &b.0, f)))
    }
}
