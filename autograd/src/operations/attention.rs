//! **Attention**: each query takes a mean of values, weighted by how well its
//! key fits.

use super::stacks;
use crate::algebra::{Algebra, Transpose};
use crate::tensor::Tensor;

/// Attention.
impl<A: Algebra> Tensor<A> {
    /// Scaled dot-product attention with this array as the queries `[…, T, D]`,
    /// keys `[…, S, D]` and values `[…, S, E]`: the result is `[…, T, E]`. The
    /// axes before, such as batch and heads, are broadcast.
    ///
    /// ```math
    /// Y = P\,V, \qquad P_{ts} = \operatorname{softmax}_s\Big(
    /// \frac{1}{\sqrt D} \sum_d Q_{td} K_{sd}\Big) \tag{AD.46}
    /// ```
    ///
    /// Where a mask is given, broadcast to `[…, T, S]`, query `t` sees key `s`
    /// only if the mask is not 0 there; a query that sees nothing gives 0, with
    /// slope 0 ([`softmax_where`](Tensor::softmax_where)). What is hidden must
    /// still be finite numbers: its weight is 0, and `0·∞` is NaN. Memory is
    /// that of all `T·S` weights. Vaswani et al. 2017, eq. 1.
    ///
    /// ```
    /// use autograd::{Cpu, Tensor};
    /// let x = Tensor::<Cpu<f64>>::new(&[2, 1], vec![1.0, -1.0]);
    /// let y = x.attention(&x, &x, Some(&x.causal_mask(2, 2)));
    /// assert_eq!(y.to_vec()[0], 1.0); // the first sees itself alone
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    #[must_use]
    pub fn attention(&self, keys: &Self, values: &Self, mask: Option<&Tensor<A::Base>>) -> Self {
        let (q, k, v) = (self.shape(), keys.shape(), values.shape());
        assert!(
            q.rank() >= 2 && k.rank() >= 2 && v.rank() >= 2,
            "attention: queries {q}, keys {k} and values {v}: stacks of matrices were expected"
        );
        let (width, tokens) = (q[q.rank() - 1], k[k.rank() - 2]);
        assert!(
            width == k[k.rank() - 1] && tokens == v[v.rank() - 2],
            "attention: queries {q}, keys {k} and values {v} are not […, T, D], […, S, D] and […, S, E]"
        );
        let scaled = self / (width.max(1) as f64).sqrt();
        let (scaled, keys) = stacks::broadcast("attention", &scaled, keys);
        let scores = scaled.matmul_with(Transpose::No, &keys, Transpose::Yes);
        let last = scores.rank() - 1;
        let weights = match mask {
            Some(mask) => scores.softmax_where(last, mask),
            None => scores.softmax(last),
        };
        weights.matmul(values) // (AD.46)
    }

    /// The mask with which query `t` sees the keys `0..=t`, `[queries, keys]`:
    /// ones on and below the diagonal, where this array lives.
    #[track_caller]
    #[must_use]
    pub fn causal_mask(&self, queries: usize, keys: usize) -> Tensor<A::Base> {
        self.stop().full_like(&[queries, keys], 1.0).tril(0)
    }
}
