//! **Likelihood**: how probable a point is under the flow.
//!
//! Along a trajectory the logarithm of the density falls at the rate of the
//! divergence (the continuity equation (FM.1), seen by a particle), so that
//! of a point of the data is found by following it back to the noise:
//!
//! ```math
//! \log p_1(x_1) = \log \mathcal N(x_0; 0, I) - \int_0^1 \nabla\!\cdot v_t(x_t)\,dt, \qquad
//! x_0 = x_1 - \int_0^1 v_t(x_t)\,dt \tag{LK.1}
//! ```
//!
//! (Chen and others 2018; Grathwohl and others 2019.) The divergence is the
//! exact trace, by `D` derivatives of the field, or Hutchinson's estimate by
//! one, whose mean is the exact logarithm. Its probe is drawn once for each
//! row and stays with it, because a solver cannot follow a random field: it is
//! carried as coordinates that do not move.
//!
//! Everything is done where the points live, on the processor or on a GPU.

use crate::Error;
use crate::batches::Batches;
use crate::sampler::{Plan, Way, follow};
use autograd::{Draw, Dual, Probe, Tensor, divergence, hutchinson};
use std::f64::consts::TAU;

/// How the divergence is found.
#[derive(Clone, Copy, Debug)]
pub enum Trace {
    /// By one derivative for each coordinate.
    Exact,
    /// By one derivative along a probe.
    Estimated(Probe, Draw),
}

/// Points and how probable they are.
#[derive(Clone, Debug)]
pub struct Likelihood<A: Batches> {
    /// `log p₁(x₁)` in nats, `[B, 1]`.
    pub log_density: Tensor<A>,
    /// The noise they come from, `[B, D]`.
    pub x0: Tensor<A>,
    /// Calls of the field with its derivatives.
    pub evaluations: usize,
}

/// The logarithm of the density of points `[B, D]` under the flow of a field
/// that takes times, one for each row, and points.
///
/// # Errors
/// If the plan makes no sense, or the solve does not reach `t = 0`.
pub fn log_likelihood<A: Batches>(
    x1: &Tensor<A>,
    plan: &Plan,
    trace: Trace,
    velocity: impl Fn(&[f64], &Tensor<Dual<A>>) -> Tensor<Dual<A>>,
) -> Result<Likelihood<A>, Error> {
    let (rows, d) = (x1.size(0), x1.size(1));
    let none = x1.full_like(&[rows, 1], 0.0);
    // Points, the integral so far, and the probe if there is one.
    let probe = match trace {
        Trace::Exact => None,
        Trace::Estimated(law, draw) => Some(law.like(x1, draw)),
    };
    let begin = match &probe {
        None => Tensor::concat(&[x1, &none], 1),
        Some(z) => Tensor::concat(&[x1, &none, z], 1),
    };
    let field = |t: &[f64], y: &Tensor<A>| {
        let x = y.slice(1, 0, d);
        let field = |x: &Tensor<Dual<A>>| velocity(t, x);
        let column = |trace: Tensor<A>| trace.reshape(&[t.len(), 1]);
        match probe {
            None => {
                let (v, trace) = divergence(field, &x);
                Tensor::concat(&[&v, &column(trace)], 1)
            }
            Some(_) => {
                let z = y.slice(1, d + 1, d);
                let (v, trace) = hutchinson(field, &x, &z);
                Tensor::concat(&[&v, &column(trace), &z.zeros_like()], 1)
            }
        }
    };
    // The probe must not loosen the mean over the coordinates.
    let back = Way {
        from: 1.0,
        to: 0.0,
        leading: Some(d + 1),
    };
    let end = follow(&begin, back, plan, field)?;
    let x0 = end.x1.slice(1, 0, d);
    let integral = end.x1.slice(1, d, 1); // Backwards, so with the sign of (LK.1).
    let noise = -0.5 * x0.square().sum_axis(1).reshape(&[rows, 1]) - 0.5 * d as f64 * TAU.ln();
    Ok(Likelihood {
        log_density: noise + integral, // (LK.1)
        x0,
        evaluations: end.evaluations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Mixture, MixturePath};
    use crate::schedule::Schedule;
    use autograd::Cpu;
    use solvers::methods::RK4;

    type Points = Tensor<Cpu<f64>>;

    fn path(mixture: Mixture) -> MixturePath {
        MixturePath::new(mixture, Schedule::CondOt, 0.0).expect("a path")
    }

    fn two() -> Mixture {
        let centres = vec![vec![0.5, -0.3], vec![-0.6, 0.4]];
        Mixture::new(vec![0.3, 0.7], centres, vec![0.5, 0.8]).expect("valid")
    }

    fn points() -> Points {
        let numbers = [0.1, 0.2, -0.7, 0.9, 1.3, -0.4, 0.0, 0.6];
        Points::new(&[4, 2], numbers.to_vec())
    }

    /// The largest error of the logarithm with so many steps of RK4.
    fn error(steps: usize, sign: f64) -> f64 {
        let path = path(two());
        let plan = Plan::Fixed(&RK4, steps);
        let found = log_likelihood(&points(), &plan, Trace::Exact, |t, x| path.velocity(t, x));
        let found = found.expect("it arrives");
        let noise = found.x0.square().sum_axis(1).reshape(&[4, 1]);
        let noise = -0.5 * noise - TAU.ln();
        let integral = sign * (&found.log_density - &noise);
        let found = noise + integral;
        let rows = points().to_vec();
        let pairs = rows.chunks(2).zip(found.to_vec());
        let errors = pairs.map(|(x, found)| (found - path.at(1.0, x).log_p).abs());
        errors.fold(0.0, f64::max)
    }

    /// The density of a mixture is known, so the error is the solver's: order
    /// four. The wrong twin adds the divergence where it is subtracted.
    ///
    /// Verifies (LK.1).
    #[test]
    fn the_likelihood_of_a_mixture_is_its_density_to_the_order_of_the_solver() {
        let slope = (error(64, 1.0) / error(128, 1.0)).log2();
        assert!((slope - 4.0).abs() <= 0.1, "{slope}");
        assert!(error(64, 1.0) <= 1e-8);
        assert!(error(64, -1.0) > 0.1, "the twin is seen");
    }

    /// Over many probes the mean of the estimate is the exact logarithm, within
    /// five of its standard errors; with steps for each row the probes stay
    /// with their rows.
    #[test]
    fn the_estimate_has_the_exact_mean() {
        let path = path(two());
        let field = |t: &[f64], x: &Tensor<Dual<Cpu<f64>>>| path.velocity(t, x);
        let plan = Plan::Adaptive(1e-6);
        let exact = log_likelihood(&points(), &plan, Trace::Exact, field).expect("it arrives");
        let copies = 500;
        let many = points()
            .broadcast_to(&[copies, 4, 2])
            .reshape(&[4 * copies, 2]);
        let trace = Trace::Estimated(Probe::Rademacher, Draw::seed(3));
        let found = log_likelihood(&many, &plan, trace, field).expect("it arrives");
        let found = found.log_density.to_vec();
        for (row, exact) in exact.log_density.to_vec().into_iter().enumerate() {
            let own: Vec<f64> = found.iter().skip(row).step_by(4).copied().collect();
            let n = own.len() as f64;
            let mean = own.iter().sum::<f64>() / n;
            let variance = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let error = (variance / n).sqrt();
            assert!(error < 0.05 && variance > 0.0, "{error}");
            assert!((mean - exact).abs() <= 5.0 * error + 1e-4, "{mean} {exact}");
        }
    }
}
