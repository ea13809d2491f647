//! **Softmax** and the logarithm of a sum of exponentials.

use crate::algebra::Algebra;
use crate::tensor::Tensor;

/// Sums of exponentials.
impl<A: Algebra> Tensor<A> {
    /// `ln Σ exp xᵢ` along an axis, which is taken out of the shape; exact
    /// shift by the maximum, so it neither overflows nor underflows.
    #[track_caller]
    #[must_use]
    pub fn logsumexp(&self, axis: usize) -> Self {
        self.check_axis("logsumexp", axis);
        let shift = self.finite_max(axis);
        let sum = (self - &shift).exp().sum_axis_keep(axis).ln() + shift;
        sum.reshape(&self.shape().without(axis))
    }

    /// `exp xᵢ / Σ exp xⱼ` along an axis, which is kept.
    #[track_caller]
    #[must_use]
    pub fn softmax(&self, axis: usize) -> Self {
        self.check_axis("softmax", axis);
        let e = (self - &self.finite_max(axis)).exp();
        &e / &e.sum_axis_keep(axis)
    }

    /// `ln softmax(x)ᵢ = xᵢ − ln Σ exp xⱼ` along an axis, which is kept; finite
    /// also where the softmax itself rounds to 0.
    #[track_caller]
    #[must_use]
    pub fn log_softmax(&self, axis: usize) -> Self {
        self.check_axis("log_softmax", axis);
        let kept = self.shape().with(axis, 1);
        let shifted = self - self.finite_max(axis);
        let normaliser = shifted.logsumexp(axis).reshape(&kept);
        shifted - normaliser
    }

    /// The maximum as a constant (the shift cancels, so it needs no
    /// derivative), with ±∞ and NaN replaced by 0: `∞ − ∞` would be NaN.
    fn finite_max(&self, axis: usize) -> Self {
        let max = self.stop().max_axis_keep(axis);
        let zero = max.zeros_like();
        let distance = 0.0 * &max; // 0 where finite, NaN where not
        Tensor::constant(&Tensor::select(&distance.eq(&zero), &max, &zero))
    }
}
