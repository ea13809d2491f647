//! **The objective**: regress the network on the velocity of single particles.
//!
//! ```math
//! \mathcal L(\theta) = \mathbb E_{t \sim U[0,1],\ x_1 \sim q,\ x_0 \sim \mathcal N(0, I)}
//! \bigl\| v_\theta\bigl((1-t)x_0 + t x_1 + \sigma_{\min}\epsilon,\ t\bigr) - (x_1 - x_0) \bigr\|^2 \tag{FM.21}
//! ```
//!
//! The thickness noise `ε` does not depend on time, so it enters the input and
//! not the target. The minimum is not 0: even the right field misses the
//! single particle by the irreducible loss
//!
//! ```math
//! L^* = \int_0^1 \mathbb E\,\bigl\|(x_1 - x_0) - u_t(x_t)\bigr\|^2 dt \tag{E.4}
//! ```
//!
//! which is `(π/2)·s·d` for data `N(m, s²I)` in `d` dimensions.

use crate::mixture::{MixturePath, normal};
use autograd::{Algebra, Tensor};
use rand::{Rng, RngExt};

/// A batch of particles: all of shape `[B, D]` but the times, `[B, 1]`.
#[derive(Clone, Debug)]
pub struct Particles<A: Algebra> {
    /// `t`, uniform in [0, 1).
    pub t: Tensor<A>,
    /// Noise.
    pub x0: Tensor<A>,
    /// Data.
    pub x1: Tensor<A>,
    /// `σ_min·ε`, if the path has thickness.
    pub thickness: Option<Tensor<A>>,
}

/// The same batch as the network meets it: where the particles are, and where
/// they go.
#[derive(Clone, Debug)]
pub struct OnPath<A: Algebra> {
    /// `t`, of `[B, 1]`.
    pub t: Tensor<A>,
    /// `(1 − t)·x₀ + t·x₁ + σ_min·ε`, of `[B, D]`.
    pub xt: Tensor<A>,
    /// `x₁ − x₀`, of `[B, D]`.
    pub target: Tensor<A>,
}

impl<A: Algebra> Particles<A> {
    /// The particles at their times.
    #[must_use]
    pub fn on_path(&self) -> OnPath<A> {
        let Particles {
            t,
            x0,
            x1,
            thickness,
        } = self;
        let xt = (1.0 - t) * x0 + t * x1;
        let target = x1 - x0;
        OnPath {
            t: t.clone(),
            xt: match thickness {
                Some(noise) => xt + noise,
                None => xt,
            },
            target,
        }
    }
}

/// `Σ ‖v(t, x_t) − (x₁ − x₀)‖²` over the batch: divide by its size for the
/// mean. `velocity` takes times `[B, 1]` and points `[B, D]`.
#[track_caller]
pub fn loss_sum<A: Algebra>(
    velocity: impl FnOnce(&Tensor<A>, &Tensor<A>) -> Tensor<A>,
    particles: &Particles<A>,
) -> Tensor<A> {
    regression(velocity, &particles.on_path())
}

/// The same for particles that are on their path already.
#[track_caller]
pub fn regression<A: Algebra>(
    velocity: impl FnOnce(&Tensor<A>, &Tensor<A>) -> Tensor<A>,
    batch: &OnPath<A>,
) -> Tensor<A> {
    let OnPath { t, xt, target } = batch;
    (velocity(t, xt) - target).square().sum() // (FM.21)
}

/// An estimate of a loss, with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

/// `E ‖target − v_t(x_t)‖²` over `samples` particles of a straight path to a
/// mixture, for a field `v`; with the path's own field, `L*`.
pub fn mean_loss(
    path: &MixturePath,
    samples: u32,
    rng: &mut impl Rng,
    field: impl Fn(f64, &[f64]) -> Vec<f64>,
    target: impl Fn(f64, f64) -> f64,
) -> Estimate {
    let (mut sum, mut squares) = (0.0, 0.0);
    for i in 0..samples {
        // Times in strata: the same expectation with less noise.
        let t = (f64::from(i) + rng.random::<f64>()) / f64::from(samples);
        let x1 = path.target.sample(rng);
        let x0: Vec<f64> = x1.iter().map(|_| normal(rng)).collect();
        let ends = x0.iter().zip(&x1);
        let xt: Vec<f64> = ends
            .clone()
            .map(|(&x0, &x1)| crate::path::thick_position(t, x0, x1, path.sigma, normal(rng)))
            .collect();
        let v = field(t, &xt);
        let terms = ends
            .zip(&v)
            .map(|((&x0, &x1), v)| (target(x0, x1) - v).powi(2));
        let loss: f64 = terms.sum();
        sum += loss;
        squares += loss * loss;
    }
    let n = f64::from(samples);
    let mean = sum / n;
    Estimate {
        mean,
        error: ((squares / n - mean * mean).max(0.0) / n).sqrt(),
    }
}

/// `L*` for a straight path to a mixture, by `samples` particles.
pub fn irreducible_loss(path: &MixturePath, samples: u32, rng: &mut impl Rng) -> Estimate {
    let field = |t: f64, x: &[f64]| path.at(t, x).velocity;
    mean_loss(path, samples, rng, field, crate::path::joint_velocity) // (E.4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::Mixture;
    use crate::schedule::Schedule;
    use autograd::{Draw, Philox};
    use std::f64::consts::FRAC_PI_2;

    /// Five standard errors: a false alarm has probability 6e-7, and the seed
    /// is fixed.
    ///
    /// Verifies (E.4).
    #[test]
    fn the_irreducible_loss_of_a_gaussian_is_known() {
        let (s, d) = (0.7, 3);
        let target = Mixture::new(vec![1.0], vec![vec![1.0, -2.0, 0.5]], vec![s]);
        let path = MixturePath::new(target.expect("valid"), Schedule::CondOt, 0.0);
        let mut rng = Philox::new(Draw::seed(4));
        let found = irreducible_loss(&path.expect("valid"), 40_000, &mut rng);
        let exact = FRAC_PI_2 * s * f64::from(d);
        assert!(
            (found.mean - exact).abs() <= 5.0 * found.error,
            "{found:?} {exact}"
        );
        assert!(found.error <= 0.03, "the estimate means something");
    }
}
