//! **Products**: matrices and dense layers.

use crate::algebra::{Algebra, Transpose};
use crate::finite::checked;
use crate::pointwise::Unary;
use crate::tensor::Tensor;

/// Products.
impl<A: Algebra> Tensor<A> {
    /// The product of two matrices, `[m, k] · [k, n] → [m, n]`.
    #[track_caller]
    #[must_use]
    pub fn matmul(&self, other: &Self) -> Self {
        self.matmul_with(Transpose::No, other, Transpose::No)
    }

    #[track_caller]
    pub(crate) fn matmul_with(&self, ta: Transpose, other: &Self, tb: Transpose) -> Self {
        let (a, b) = (self.shape(), other.shape());
        assert!(
            a.rank() == 2 && b.rank() == 2,
            "matmul: {a} times {b}: two matrices were expected"
        );
        let inner_a = if ta == Transpose::No { a[1] } else { a[0] };
        let inner_b = if tb == Transpose::No { b[0] } else { b[1] };
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
