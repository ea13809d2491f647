//! **Learning rate**: linear warm-up, then half a cosine down to zero.
//!
//! ```math
//! \eta_n = \eta \begin{cases} n/w & n \le w \\
//! \tfrac12\bigl(1 + \cos \pi \tfrac{n - w}{N - w}\bigr) & n > w \end{cases} \tag{TR.1}
//! ```
//!
//! Steps `n` count from 1 to `N`; Loshchilov and Hutter 2017.

use std::f64::consts::PI;

/// The rate as a function of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// `η`, the largest rate.
    pub peak: f64,
    /// `w`, steps of warm-up.
    pub warm_up: u64,
    /// `N`, steps in all.
    pub steps: u64,
}

impl LearningRate {
    /// Warm-up over a fiftieth of the training, at most 200 steps.
    #[must_use]
    pub fn new(peak: f64, steps: u64) -> Self {
        LearningRate {
            peak,
            warm_up: (steps / 50).min(200),
            steps,
        }
    }

    /// The rate of step `n`, counted from 1.
    #[must_use]
    pub fn at(&self, n: u64) -> f64 {
        if n <= self.warm_up {
            return self.peak * n as f64 / self.warm_up as f64;
        }
        let left = (self.steps.max(n) - self.warm_up).max(1) as f64;
        let phase = (n - self.warm_up) as f64 / left;
        self.peak * 0.5 * (1.0 + (PI * phase).cos()) // (TR.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies (TR.1).
    #[test]
    fn it_rises_to_the_peak_and_falls_to_zero() {
        let rate = LearningRate::new(2.0, 5000);
        assert_eq!(rate.warm_up, 100);
        assert_eq!(rate.at(50), 1.0);
        assert_eq!(rate.at(100), 2.0);
        // Halfway down the cosine; cos(π/2) is 6·10⁻¹⁷ in floating point.
        assert!((rate.at(2550) - 1.0).abs() <= 1e-15);
        assert!(rate.at(5000).abs() <= 1e-15);
        let short = LearningRate::new(1.0, 3);
        assert_eq!(short.warm_up, 0);
        assert!((1..=3).all(|n| short.at(n).is_finite()));
    }
}
