//! **Losses**: one number that says how far predictions are from targets.
//!
//! All are means, so that a step does not depend on how many examples make a
//! batch; the mean of nothing is NaN. Shapes are not broadcast: `[B]` against
//! `[B, 1]` would silently compare everything with everything.

use crate::algebra::Algebra;
use crate::index::Index;
use crate::tensor::Tensor;

/// Losses of predictions, rank 0 unless said otherwise.
impl<A: Algebra> Tensor<A> {
    /// The mean of the squared errors `(xᵢ − yᵢ)²` over all elements.
    #[track_caller]
    #[must_use]
    pub fn mse(&self, target: &Self) -> Self {
        self.check_target("mse", target);
        (self - target).square().mean()
    }

    /// The mean of the absolute errors `|xᵢ − yᵢ|` over all elements; slope 0
    /// where they are equal.
    #[track_caller]
    #[must_use]
    pub fn mae(&self, target: &Self) -> Self {
        self.check_target("mae", target);
        (self - target).abs().mean()
    }

    /// The mean over all elements of Huber's function of the error
    /// `e = x − y`: a parabola up to `|e| = δ`, straight beyond.
    ///
    /// ```math
    /// h(e) = \tfrac12 c^2 + \delta\,|e - c|, \quad c = \min(\max(e, -\delta), \delta),
    /// \qquad h'(e) = c \tag{AD.41}
    /// ```
    ///
    /// which is `e²/2` inside and `δ(|e| − δ/2)` outside. The second
    /// derivative, 1 inside and 0 outside, is 1 at `±δ`. Huber, *Robust
    /// estimation of a location parameter*, Ann. Math. Statist. 35 (1964).
    ///
    /// # Panics
    /// If `delta` is not positive and finite.
    #[track_caller]
    #[must_use]
    pub fn huber(&self, target: &Self, delta: f64) -> Self {
        self.check_target("huber", target);
        assert!(
            delta > 0.0 && delta < f64::INFINITY,
            "huber: delta {delta} is not positive and finite"
        );
        let e = self - target;
        let c = e.clamp((-delta, delta));
        let h = 0.5 * c.square() + delta * (e - c).abs(); // (AD.41)
        h.mean()
    }

    /// The cross entropy of each row of logits with its class,
    /// `[…, K] → […]`; the numbers of `classes` stand in row-major order of
    /// the result.
    ///
    /// ```math
    /// \ell = \ln \sum_k e^{x_k} - x_c, \qquad \frac{\partial \ell}{\partial x_k}
    /// = \operatorname{softmax}(x)_k - [k = c] \tag{AD.42}
    /// ```
    ///
    /// Never below 0 by more than rounding; no exponential overflows. The
    /// error is about `ε(1 + |ℓ|)`, that is absolute where the loss is small.
    /// A logit −∞ is a class that is excluded: with slope 0, or with loss ∞ if
    /// it is the row's class.
    ///
    /// # Panics
    /// If there is not one class for each row, or one is not below `K`.
    #[track_caller]
    #[must_use]
    pub fn cross_entropy_rows(&self, classes: &Index) -> Self {
        let shape = self.shape();
        assert!(
            shape.rank() >= 1,
            "cross_entropy: rows of logits were expected, the shape is {shape}"
        );
        let axis = shape.rank() - 1;
        let (rows, kinds) = (shape.without(axis), shape[axis]);
        assert!(
            classes.len() == rows.count(),
            "cross_entropy: {} classes for logits of shape {shape}",
            classes.len()
        );
        if let Some(&bad) = classes.as_slice().iter().find(|&&c| c >= kinds) {
            panic!("cross_entropy: class {bad}, but logits of shape {shape} know {kinds}");
        }
        let logarithms = self.log_softmax(axis);
        let own = logarithms.take_along_axis(axis, classes, 1);
        -own.reshape(&rows) // (AD.42)
    }

    /// The mean of [`cross_entropy_rows`](Tensor::cross_entropy_rows).
    #[track_caller]
    #[must_use]
    pub fn cross_entropy(&self, classes: &Index) -> Self {
        self.cross_entropy_rows(classes).mean()
    }

    /// The mean over all elements of the cross entropy between a label `y` in
    /// [0, 1] and the probability `σ(x)` of the logit `x`.
    ///
    /// ```math
    /// \ell = y\,\ln(1 + e^{-x}) + (1 - y)\,\ln(1 + e^{x}), \qquad
    /// \frac{\partial\ell}{\partial x} = \sigma(x) - y \tag{AD.43}
    /// ```
    ///
    /// No term is negative and none overflows, so the value keeps its digits
    /// also where it is tiny. The shorter `softplus(x) − yx` would lose them.
    #[track_caller]
    #[must_use]
    pub fn binary_cross_entropy(&self, labels: &Self) -> Self {
        self.check_target("binary_cross_entropy", labels);
        let (yes, no) = ((-self).softplus(), self.softplus());
        let loss = labels * yes + (1.0 - labels) * no; // (AD.43)
        loss.mean()
    }

    #[track_caller]
    fn check_target(&self, name: &str, target: &Self) {
        let (have, want) = (target.shape(), self.shape());
        assert!(
            have == want,
            "{name}: predictions of shape {want} against targets of shape {have}"
        );
    }
}
