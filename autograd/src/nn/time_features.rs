//! **Time features**: how a network is told the time.

use crate::algebra::Algebra;
use crate::tensor::Tensor;
use std::f64::consts::TAU;

/// The functions of `t` in [0, 1] that a network sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFeatures {
    /// `t` itself.
    Plain,
    /// `t`, `sin 2πkt` and `cos 2πkt` for `k = 1, …, K`: lets a smooth network
    /// resolve times `1/K` apart.
    Fourier(usize),
}

impl TimeFeatures {
    /// How many features there are.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            TimeFeatures::Plain => 1,
            TimeFeatures::Fourier(k) => 1 + 2 * k,
        }
    }

    /// The features `[B, count]` of times `[B, 1]`.
    #[track_caller]
    #[must_use]
    pub fn of<A: Algebra>(self, t: &Tensor<A>) -> Tensor<A> {
        match self {
            TimeFeatures::Plain | TimeFeatures::Fourier(0) => t.clone(),
            TimeFeatures::Fourier(count) => {
                let frequencies: Vec<f64> = (1..=count).map(|k| TAU * k as f64).collect();
                let phase = t * t.lift(&[1, count], &frequencies);
                Tensor::concat(&[t, &phase.sin(), &phase.cos()], 1)
            }
        }
    }
}
