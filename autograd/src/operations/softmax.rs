//! **Softmax** and the logarithm of a sum of exponentials.

use crate::algebra::{Algebra, Compare};
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

    /// The maximum as a constant (the shift cancels, so it has no derivative),
    /// with ±∞ replaced by 0: `∞ − ∞` would be NaN.
    fn finite_max(&self, axis: usize) -> Self {
        let max = Tensor::<A::Base>(self.0.max_axis(axis));
        let zero = max.zeros_like();
        let distance = 0.0 * &max; // 0 where finite, NaN where not
        let finite = Tensor(<A::Base as Algebra>::compare(
            Compare::Equal,
            &distance.0,
            &zero.0,
        ));
        Tensor::constant(&Tensor::select(&finite, &max, &zero))
    }
}
