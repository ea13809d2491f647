//! **Learning rate**: warm-up, then half a cosine, or either, or neither.
//!
//! ```math
//! \eta_n = \eta\,\min\bigl(1, \tfrac nw\bigr)\cdot
//! \tfrac12\Bigl(1 + \cos \pi \frac{\max(n - w, 0)}{N - w}\Bigr) \tag{AD.30}
//! ```
//!
//! Steps `n` count from 1 to `N`. The first factor rises in a straight line
//! over `w` steps (Goyal and others 2017), the second falls to 0 at step `N`
//! (Loshchilov and Hutter 2017); without warm-up or without an end, its factor
//! is 1.

use std::f64::consts::PI;

/// The rate as a function of the step.
///
/// ```
/// use autograd::LearningRate;
/// let rate = LearningRate::warm_up_cosine(2.0, 100, 5100);
/// assert_eq!([1, 50, 100, 2600].map(|n| rate.at(n)), [0.02, 1.0, 2.0, 1.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// `η`, the largest rate.
    pub peak: f64,
    /// `w`, steps of warm-up; 0 for none.
    pub warm_up: u64,
    /// `N`, where the cosine ends; `None` for a rate that does not fall.
    pub steps: Option<u64>,
}

impl LearningRate {
    /// Always the same.
    #[must_use]
    pub fn constant(peak: f64) -> Self {
        Self::linear_warm_up(peak, 0)
    }

    /// Up to the peak over `warm_up` steps, then constant.
    #[must_use]
    pub fn linear_warm_up(peak: f64, warm_up: u64) -> Self {
        LearningRate {
            peak,
            warm_up,
            steps: None,
        }
    }

    /// From the peak down to 0 at the last of `steps`.
    #[must_use]
    pub fn cosine(peak: f64, steps: u64) -> Self {
        Self::warm_up_cosine(peak, 0, steps)
    }

    /// Up to the peak over `warm_up` steps, then down to 0 at the last of
    /// `steps`.
    #[must_use]
    pub fn warm_up_cosine(peak: f64, warm_up: u64, steps: u64) -> Self {
        LearningRate {
            peak,
            warm_up,
            steps: Some(steps),
        }
    }

    /// The rate of step `n`, counted from 1. Beyond the last step it is 0.
    #[must_use]
    pub fn at(&self, n: u64) -> f64 {
        if n <= self.warm_up {
            return self.peak * n as f64 / self.warm_up as f64;
        }
        let Some(steps) = self.steps else {
            return self.peak;
        };
        let left = (steps.max(n) - self.warm_up).max(1) as f64;
        let phase = (n - self.warm_up) as f64 / left;
        self.peak * 0.5 * (1.0 + (PI * phase).cos()) // (AD.30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies (AD.30).
    #[test]
    fn it_rises_to_the_peak_and_falls_to_zero() {
        let rate = LearningRate::warm_up_cosine(2.0, 100, 5000);
        assert_eq!(rate.at(50), 1.0);
        assert_eq!(rate.at(100), 2.0);
        // Halfway down the cosine; cos(π/2) is 6·10⁻¹⁷ in floating point.
        assert!((rate.at(2550) - 1.0).abs() <= 1e-15);
        // A third and two thirds down: (1 ± ½)/2 of the peak.
        let thirds = LearningRate::warm_up_cosine(2.0, 100, 3100);
        assert!((thirds.at(1100) - 1.5).abs() <= 1e-15);
        assert!((thirds.at(2100) - 0.5).abs() <= 1e-15);
        for n in [5000, 5001, 9000] {
            assert!(rate.at(n).abs() <= 1e-15, "step {n}");
        }
        // It falls from one step to the next, and is nowhere negative.
        assert!((100..5000).all(|n| rate.at(n + 1) < rate.at(n) && rate.at(n) > 0.0));
    }

    /// Verifies (AD.30).
    #[test]
    fn either_part_can_be_left_out() {
        let constant = LearningRate::constant(0.25);
        assert!((1..1000).all(|n| constant.at(n) == 0.25));
        let warm = LearningRate::linear_warm_up(1.0, 4);
        assert_eq!(
            [1, 2, 3, 4, 5, 900].map(|n| warm.at(n)),
            [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
        );
        let cosine = LearningRate::cosine(1.0, 2);
        assert!((cosine.at(1) - 0.5).abs() <= 1e-15);
        for steps in 0..4 {
            let short = LearningRate::warm_up_cosine(1.0, 3, steps);
            assert!((1..8).all(|n| (0.0..=1.0).contains(&short.at(n))));
        }
    }
}
