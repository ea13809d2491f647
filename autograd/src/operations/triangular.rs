//! **Triangles**: keeping one half of a matrix, and solving with it.

use super::stacks;
use crate::algebra::{Algebra, Transpose};
use crate::cpu::Cpu;
use crate::primitive::Primitive;
use crate::real::Real;
use crate::tensor::Tensor;

/// One half of a matrix, with its diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Triangle {
    /// On and below the diagonal.
    Lower,
    /// On and above the diagonal.
    Upper,
}

/// Triangles of the matrices in the last two axes.
impl<A: Algebra> Tensor<A> {
    /// The elements on and below a diagonal, zeros above it: those `(i, j)`
    /// with `j − i ≤ diagonal`; 0 is the main diagonal. What is cut off may be
    /// infinite or NaN: it is left out, not multiplied by 0.
    #[track_caller]
    #[must_use]
    pub fn tril(&self, diagonal: isize) -> Self {
        self.where_offset("tril", |offset| offset <= diagonal)
    }

    /// The elements on and above a diagonal, zeros below it: those `(i, j)`
    /// with `j − i ≥ diagonal`. See [`tril`](Tensor::tril).
    #[track_caller]
    #[must_use]
    pub fn triu(&self, diagonal: isize) -> Self {
        self.where_offset("triu", |offset| offset >= diagonal)
    }

    /// The elements whose `j − i` is wanted, zeros elsewhere.
    #[track_caller]
    fn where_offset(&self, name: &str, wanted: impl Fn(isize) -> bool) -> Self {
        let shape = self.shape();
        let [.., m, n] = shape[..] else {
            panic!("{name}: two axes were expected, the shape is {shape}");
        };
        let places = (0..m * n).map(|place| (place % n) as isize - (place / n) as isize);
        let mask: Vec<f64> = places.map(|offset| f64::from(wanted(offset))).collect();
        let mask = self.stop().lift(&[m, n], &mask).broadcast_to(&shape);
        Self::select(&mask, self, &self.zeros_like())
    }

    /// The solution `X` of `T X = B`, or of `Tᵀ X = B`, where `T` is one
    /// triangle of this array `[…, n, n]` and `B` is `[…, n, m]`: one column
    /// for each right-hand side. The axes before are broadcast.
    ///
    /// ```math
    /// X = T^{-1} B, \qquad \dot X = T^{-1}\big(\dot B - \operatorname{tri}(\dot T)\,X\big), \qquad
    /// \bar B = T^{-\mathsf T}\bar X, \quad \bar T = -\operatorname{tri}(\bar B X^{\mathsf T}) \tag{AD.47}
    /// ```
    ///
    /// Giles, *Collected matrix derivative results*, 2008, §2.3.1. The other
    /// triangle is never read, whatever stands there, and has slope 0. A zero
    /// on the diagonal divides by zero, element by element: ±∞ or NaN, as
    /// `1/x` does.
    ///
    /// Accuracy: the solution of a matrix whose elements differ by at most
    /// about `nε/2`, relatively, from those given (Higham, *Accuracy and
    /// Stability of Numerical Algorithms*, theorem 8.5).
    ///
    /// # Panics
    /// If this array is not square or the shapes do not fit.
    #[track_caller]
    #[must_use]
    pub fn solve_triangular(&self, b: &Self, triangle: Triangle, transpose: Transpose) -> Self {
        let (s, t) = (self.shape(), b.shape());
        let n = stacks::square("solve_triangular", &s);
        assert!(
            t.rank() >= 2 && t[t.rank() - 2] == n,
            "solve_triangular: {s} and right-hand sides {t}: […, {n}, m] was expected"
        );
        let (matrix, b) = stacks::broadcast("solve_triangular", self, b);
        let solve = Solve {
            triangle,
            transpose,
        };
        Self::primitive(&solve, &[matrix, b])
    }
}

/// `X = op(T)⁻¹ B` of two arrays with equal stacks.
#[derive(Clone, Debug)]
struct Solve {
    triangle: Triangle,
    transpose: Transpose,
}

impl Solve {
    #[track_caller]
    fn of<A: Algebra>(&self, matrix: &Tensor<A>, b: &Tensor<A>) -> Tensor<A> {
        matrix.solve_triangular(b, self.triangle, self.transpose)
    }

    /// The part of a matrix that is read.
    fn part<A: Algebra>(&self, matrix: &Tensor<A>) -> Tensor<A> {
        match self.triangle {
            Triangle::Lower => matrix.tril(0),
            Triangle::Upper => matrix.triu(0),
        }
    }
}

impl Primitive for Solve {
    fn name(&self) -> &'static str {
        "solve_triangular"
    }

    fn value<F: Real>(&self, inputs: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        let (matrix, mut x) = (&inputs[0], inputs[1].clone());
        let shape = x.shape();
        let [.., n, m] = shape[..] else {
            unreachable!("solve_triangular checks the shapes")
        };
        if shape.count() > 0 {
            let matrices = matrix.as_slice().chunks_exact(n * n);
            for (matrix, x) in matrices.zip(x.as_mut_slice().chunks_exact_mut(n * m)) {
                substitute(self, n, m, matrix, x);
            }
        }
        x
    }

    fn push<A: Algebra>(
        &self,
        inputs: &[Tensor<A>],
        x: &Tensor<A>,
        input: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        if input == 1 {
            return self.of(&inputs[0], &v);
        }
        let moved = self.part(&v).matmul_with(self.transpose, x, Transpose::No);
        -self.of(&inputs[0], &moved) // (AD.47)
    }

    fn pull<A: Algebra>(
        &self,
        inputs: &[Tensor<A>],
        x: &Tensor<A>,
        input: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        use Transpose::{No, Yes};
        let transposed = Solve {
            triangle: self.triangle,
            transpose: self.transpose.flipped(),
        };
        let b_bar = transposed.of(&inputs[0], &w);
        if input == 1 {
            return b_bar;
        }
        let outer = match self.transpose {
            No => b_bar.matmul_with(No, x, Yes),
            // T enters as Tᵀ: transpose the rule.
            Yes => x.matmul_with(No, &b_bar, Yes),
        };
        -self.part(&outer) // (AD.47)
    }
}

/// Substitution, forwards or backwards, on all `m` right-hand sides at once:
/// `x` holds `B` and becomes `X`, row by row.
fn substitute<F: Real>(solve: &Solve, n: usize, m: usize, matrix: &[F], x: &mut [F]) {
    let entry = |i: usize, k: usize| match solve.transpose {
        Transpose::No => matrix[i * n + k],
        Transpose::Yes => matrix[k * n + i],
    };
    let forwards = (solve.triangle == Triangle::Lower) == (solve.transpose == Transpose::No);
    for step in 0..n {
        let i = if forwards { step } else { n - 1 - step };
        let (before, rest) = x.split_at_mut(i * m);
        let (row, after) = rest.split_at_mut(m);
        // The rows already solved, and the place of the first of them.
        let (solved, first) = if forwards {
            (before, 0)
        } else {
            (after, i + 1)
        };
        for (k, other) in (first..).zip(solved.chunks_exact(m)) {
            let factor = entry(i, k);
            for (x, &y) in row.iter_mut().zip(other) {
                *x -= factor * y;
            }
        }
        let pivot = entry(i, i);
        for x in row {
            *x /= pivot;
        }
    }
}
