//! **Cholesky**: the triangular root of a symmetric positive definite matrix,
//! and what follows from it: solving, and the logarithm of the determinant.
//!
//! All read the symmetric part `½(A + Aᵀ)` of the matrices in the last two
//! axes. For a symmetric matrix that is the matrix itself, bit for bit, and the
//! gradient comes out symmetric, as in textbooks: that of `ln det A` is `A⁻¹`.
//! To have one triangle read alone, mirror it first:
//! `a.tril(0) + a.tril(-1).swap_axes(…)`.
//!
//! A matrix that is not positive definite, to working accuracy, has no such
//! root: its triangle is NaN, and so is all that is computed from it. The other
//! matrices of the stack are not touched by that, and
//! [`trap_non_finite`](crate::trap_non_finite) names the line.

use super::stacks;
use super::triangular::Triangle;
use crate::algebra::{Algebra, Transpose};
use crate::cpu::Cpu;
use crate::primitive::Primitive;
use crate::real::Real;
use crate::tensor::Tensor;

/// Symmetric positive definite matrices `[…, n, n]`; their symmetric part is
/// read, and what is not positive definite gives NaN.
impl<A: Algebra> Tensor<A> {
    /// The lower triangular `L` with positive diagonal and `L Lᵀ = ½(A + Aᵀ)`.
    ///
    /// ```math
    /// A = LL^{\mathsf T}, \qquad \dot L = L\,\Phi\big(L^{-1}\dot A L^{-\mathsf T}\big), \qquad
    /// \bar A = \operatorname{sym}\big(L^{-\mathsf T}\,\Phi(L^{\mathsf T}\bar L)\,L^{-1}\big) \tag{AD.48}
    /// ```
    ///
    /// where `Φ` keeps the lower triangle and halves the diagonal, and `sym` is
    /// the symmetric part. Murray, *Differentiation of the Cholesky
    /// decomposition*, 2016.
    ///
    /// Accuracy: `L Lᵀ` differs from `A`, element by element, by at most about
    /// `(n + 1)ε/2` times `|L||Lᵀ|` (Higham, *Accuracy and Stability of
    /// Numerical Algorithms*, theorem 10.3).
    ///
    /// ```
    /// use autograd::{Cpu, Tensor};
    /// let a = Tensor::<Cpu<f64>>::new(&[2, 2], vec![4.0, 2.0, 2.0, 10.0]);
    /// assert_eq!(a.cholesky().to_vec(), [2.0, 0.0, 1.0, 3.0]);
    /// assert!((-a).cholesky().to_vec()[0].is_nan());
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square.
    #[track_caller]
    #[must_use]
    pub fn cholesky(&self) -> Self {
        stacks::square("cholesky", &self.shape());
        let rank = self.rank();
        let symmetric = 0.5 * (self + self.swap_axes(rank - 2, rank - 1));
        Self::primitive(&Cholesky, &[symmetric])
    }

    /// The solution `X` of `A X = B` for right-hand sides `B`, `[…, n, m]`: two
    /// triangular systems, no inverse. The axes before are broadcast.
    ///
    /// # Panics
    /// If the matrices are not square or the shapes do not fit.
    #[track_caller]
    #[must_use]
    pub fn solve_spd(&self, b: &Self) -> Self {
        let (s, t) = (self.shape(), b.shape());
        let n = stacks::square("solve_spd", &s);
        assert!(
            t.rank() >= 2 && t[t.rank() - 2] == n,
            "solve_spd: {s} and right-hand sides {t}: […, {n}, m] was expected"
        );
        let root = self.cholesky();
        let half = root.solve_triangular(b, Triangle::Lower, Transpose::No);
        root.solve_triangular(&half, Triangle::Lower, Transpose::Yes)
    }

    /// The logarithm of the determinant, `[…, n, n] → […]`; 0 for `n = 0`. It
    /// neither overflows nor vanishes where the determinant does.
    ///
    /// ```math
    /// \ln\det A = 2\sum_i \ln L_{ii}, \qquad \overline{A} = \bar y\,A^{-1} \tag{AD.49}
    /// ```
    ///
    /// # Panics
    /// If the matrices are not square.
    #[track_caller]
    #[must_use]
    pub fn logdet(&self) -> Self {
        let axis = self.rank().saturating_sub(2);
        stacks::square("logdet", &self.shape());
        2.0 * self.cholesky().diagonal().ln().sum_axis(axis) // (AD.49)
    }
}

/// The root of matrices that are symmetric already; only their lower triangle
/// is read. Its derivative is that among symmetric matrices.
#[derive(Clone, Debug)]
struct Cholesky;

impl Primitive for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }

    fn value<F: Real>(&self, inputs: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        let mut root = inputs[0].tril(0);
        let n = root.size(root.rank() - 1);
        if n > 0 {
            for matrix in root.as_mut_slice().chunks_exact_mut(n * n) {
                factorise(n, matrix);
            }
        }
        root
    }

    fn push<A: Algebra>(
        &self,
        _: &[Tensor<A>],
        root: &Tensor<A>,
        _: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        // v is symmetric, so transposing L⁻¹v gives vL⁻ᵀ.
        let half = solve(root, &v, Transpose::No);
        let both = solve(root, &transposed(&half), Transpose::No);
        root.matmul_with(Transpose::No, &lower_half(&both), Transpose::No) // (AD.48)
    }

    fn pull<A: Algebra>(
        &self,
        _: &[Tensor<A>],
        root: &Tensor<A>,
        _: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        let w = w.tril(0);
        let inside = lower_half(&root.matmul_with(Transpose::Yes, &w, Transpose::No));
        let half = solve(root, &inside, Transpose::Yes);
        // The transpose of L⁻ᵀΦL⁻¹, which has the same symmetric part.
        solve(root, &transposed(&half), Transpose::Yes) // (AD.48)
    }
}

/// `Φ`: the lower triangle, with half the diagonal.
#[track_caller]
fn lower_half<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    0.5 * (x.tril(0) + x.tril(-1))
}

#[track_caller]
fn solve<A: Algebra>(root: &Tensor<A>, b: &Tensor<A>, transpose: Transpose) -> Tensor<A> {
    root.solve_triangular(b, Triangle::Lower, transpose)
}

#[track_caller]
fn transposed<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    x.swap_axes(x.rank() - 2, x.rank() - 1)
}

/// Row by row, in place: `Lᵢⱼ = (Aᵢⱼ − Σₖ LᵢₖLⱼₖ)/Lⱼⱼ`, the sum over `k < j`.
fn factorise<F: Real>(n: usize, a: &mut [F]) {
    for i in 0..n {
        let (above, row) = a.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..][..=j];
            row[j] = (row[j] - inner(&row[..j], other)) / other[j];
        }
        let pivot = row[i] - inner(&row[..i], &row[..i]);
        // NaN is refused with the rest.
        if !(pivot > F::zero() && pivot.is_finite()) {
            for i in 0..n {
                a[i * n..][..=i].fill(F::nan());
            }
            return;
        }
        row[i] = pivot.sqrt();
    }
}

/// `Σ xₖyₖ` over the shorter length.
fn inner<F: Real>(x: &[F], y: &[F]) -> F {
    x.iter().zip(y).map(|(&x, &y)| x * y).sum()
}
