//! **Softmax** and the logarithm of a sum of exponentials.

use crate::algebra::Algebra;
use crate::real::Real;
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

    /// `exp xᵢ / Σ exp xⱼ` along an axis, which is kept. A −∞ has weight 0; where
    /// all are −∞ it is NaN, unlike [`softmax_where`](Tensor::softmax_where).
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

    /// The softmax along an axis, which is kept, of the elements where `mask` is
    /// not 0, and 0 elsewhere; the mask is broadcast.
    ///
    /// ```math
    /// p_i = \frac{m_i\,e^{x_i}}{\sum_j m_j\,e^{x_j}}, \quad m_i \in \{0, 1\}, \qquad
    /// p = 0 \text{ where every } m_j e^{x_j} \text{ is } 0 \tag{AD.50}
    /// ```
    ///
    /// Where nothing is left to choose from, by the mask or because all is −∞,
    /// value and slope are 0 and not `0/0`. What is masked is left out, not
    /// multiplied by 0: it may be infinite or NaN.
    #[track_caller]
    #[must_use]
    pub fn softmax_where(&self, axis: usize, mask: &Tensor<A::Base>) -> Self {
        self.check_axis("softmax_where", axis);
        let (s, m) = (self.shape(), mask.shape());
        assert!(
            m.broadcast(&s) == Some(s),
            "softmax_where: the mask {m} does not broadcast to {s}"
        );
        let mask = mask.broadcast_to(&s);
        // What is masked takes the place of the maximum, so that no infinity
        // appears on the way, and is left out afterwards.
        let lowest = mask.full_like(&s, lowest::<A::Scalar>());
        let visible = Tensor::select(&mask, &self.stop(), &lowest);
        let shift = Self::constant(&visible.finite_max(axis).broadcast_to(&s));
        let e = (Self::select(&mask, self, &shift) - shift).exp();
        let e = Self::select(&mask, &e, &e.zeros_like());
        let total = e.sum_axis_keep(axis);
        let empty = total.stop().eq(&total.stop().zeros_like());
        let total = Self::select(&empty, &total.ones_like(), &total);
        e / total // (AD.50)
    }

    /// The maximum as a constant (the shift cancels, so it needs no
    /// derivative), with ±∞ and NaN replaced by 0: `∞ − ∞` would be NaN.
    #[track_caller]
    fn finite_max(&self, axis: usize) -> Self {
        let max = self.stop().max_axis_keep(axis);
        let zero = max.zeros_like();
        let distance = 0.0 * &max; // 0 where finite, NaN where not
        Tensor::constant(&Tensor::select(&distance.eq(&zero), &max, &zero))
    }
}

/// The lowest finite number of a type.
fn lowest<F: Real>() -> f64 {
    F::min_value().wide()
}
