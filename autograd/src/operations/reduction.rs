//! **Reductions**: many elements become one.
//!
//! Sums are linear maps. The largest element has a derivative of its own; the
//! rest is composed: the product of halves, for example, is right at zeros in
//! every order of derivative, where dividing by an element would not be.

use crate::algebra::Algebra;
use crate::finite::checked;
use crate::linear::Linear;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Reductions. Those named `_axis` take the axis out of the shape.
impl<A: Algebra> Tensor<A> {
    /// The sum of all elements, rank 0.
    #[track_caller]
    #[must_use]
    pub fn sum(&self) -> Self {
        let (from, to) = (self.shape(), Shape::scalar());
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Sum { from, to })
    }

    /// The mean of all elements, rank 0; NaN for an empty array.
    #[track_caller]
    #[must_use]
    pub fn mean(&self) -> Self {
        self.sum() / self.shape().count() as f64
    }

    /// The sum along an axis, which is kept with extent 1.
    #[track_caller]
    #[must_use]
    pub fn sum_axis_keep(&self, axis: usize) -> Self {
        self.check_axis("sum_axis_keep", axis);
        let from = self.shape();
        let to = from.with(axis, 1);
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Sum { from, to })
    }

    /// The sum along an axis, which is taken out of the shape.
    #[track_caller]
    #[must_use]
    pub fn sum_axis(&self, axis: usize) -> Self {
        self.check_axis("sum_axis", axis);
        let shape = self.shape().without(axis);
        self.sum_axis_keep(axis).reshape(&shape)
    }

    /// The mean along an axis, which is taken out of the shape.
    #[track_caller]
    #[must_use]
    pub fn mean_axis(&self, axis: usize) -> Self {
        self.check_axis("mean_axis", axis);
        self.sum_axis(axis) / self.shape()[axis] as f64
    }

    /// The variance, `Σ(xᵢ − x̄)²/(n − c)`, of all elements, rank 0; `c` is the
    /// correction: 0 for the variance of these numbers, 1 for the unbiased
    /// estimate from a sample.
    #[track_caller]
    #[must_use]
    pub fn var(&self, correction: f64) -> Self {
        self.reshape(&[self.shape().count()])
            .var_axis(0, correction)
    }

    /// The variance along an axis; see [`var`](Tensor::var).
    #[track_caller]
    #[must_use]
    pub fn var_axis(&self, axis: usize, correction: f64) -> Self {
        self.check_axis("var_axis", axis);
        let n = self.shape()[axis] as f64;
        let deviation = self - self.sum_axis_keep(axis) / n;
        deviation.square().sum_axis(axis) / (n - correction)
    }

    /// The largest element, rank 0; ties share the slope equally, NaN wins, −∞
    /// for an empty array.
    #[track_caller]
    #[must_use]
    pub fn max(&self) -> Self {
        self.reshape(&[self.shape().count()]).max_axis(0)
    }

    /// The largest along an axis; see [`max`](Tensor::max).
    #[track_caller]
    #[must_use]
    pub fn max_axis(&self, axis: usize) -> Self {
        self.check_axis("max_axis", axis);
        let shape = self.shape().without(axis);
        self.max_axis_keep(axis).reshape(&shape)
    }

    #[track_caller]
    pub(crate) fn max_axis_keep(&self, axis: usize) -> Self {
        checked("max_axis", Tensor(A::max_axis(&self.0, axis)))
    }

    /// The smallest element, rank 0; ties share the slope equally, NaN wins, ∞
    /// for an empty array.
    #[track_caller]
    #[must_use]
    pub fn min(&self) -> Self {
        -(-self).max()
    }

    /// The smallest along an axis; see [`min`](Tensor::min).
    #[track_caller]
    #[must_use]
    pub fn min_axis(&self, axis: usize) -> Self {
        -(-self).max_axis(axis)
    }

    /// The product of all elements, rank 0; 1 for an empty array.
    #[track_caller]
    #[must_use]
    pub fn prod(&self) -> Self {
        self.reshape(&[self.shape().count()]).prod_axis(0)
    }

    /// The product along an axis, by halves: its derivatives of every order
    /// are products again, hence right where elements are 0.
    #[track_caller]
    #[must_use]
    pub fn prod_axis(&self, axis: usize) -> Self {
        self.check_axis("prod_axis", axis);
        let shape = self.shape();
        if shape[axis] == 0 {
            return self.full_like(&shape.without(axis), 1.0);
        }
        let mut product = self.clone();
        let mut left = shape[axis];
        while left > 1 {
            let half = left / 2;
            let pairs = product.slice(axis, 0, half) * product.slice(axis, half, half);
            product = if left % 2 == 1 {
                Self::concat(&[&pairs, &product.slice(axis, left - 1, 1)], axis)
            } else {
                pairs
            };
            left = left.div_ceil(2);
        }
        product.reshape(&shape.without(axis))
    }

    /// The Euclidean norm `√Σxᵢ²` of all elements, rank 0; slope 0 at 0.
    #[track_caller]
    #[must_use]
    pub fn norm(&self) -> Self {
        self.reshape(&[self.shape().count()]).norm_axis(0)
    }

    /// The Euclidean norm along an axis; slope 0 at 0. Squares are taken
    /// relative to the largest magnitude, so they neither overflow nor vanish.
    #[track_caller]
    #[must_use]
    pub fn norm_axis(&self, axis: usize) -> Self {
        self.check_axis("norm_axis", axis);
        // The scale cancels, so it needs no derivative.
        let magnitude = self.stop().abs().max_axis_keep(axis);
        let (zero, one) = (magnitude.zeros_like(), magnitude.ones_like());
        let infinity = magnitude.full_like(&magnitude.shape(), f64::INFINITY);
        let usable = magnitude.gt(&zero) * magnitude.lt(&infinity);
        let scale = Tensor::constant(&Tensor::select(&usable, &magnitude, &one));
        let squares = (self / &scale).square().sum_axis_keep(axis);
        // Where the sum is 0 the root is taken of 1 instead, and not used.
        let is_zero = squares.stop().eq(&zero);
        let safe = Tensor::select(&is_zero, &squares.ones_like(), &squares);
        let root = Tensor::select(&is_zero, &squares, &safe.sqrt());
        let shape = self.shape().without(axis);
        (root * scale).reshape(&shape)
    }
}
