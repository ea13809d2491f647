//! **Gaussian mixture**: the oracle.
//!
//! If the data are a mixture of Gaussians and the noise is standard normal,
//! everything about the path is known in closed form, and samplers, plots and
//! tests run without a network. With `vₖ = a²sₖ² + b² + σ²`,
//! `cₖ = aȧsₖ² + bḃ`, `gₖ = −(x − amₖ)/vₖ` and the posterior weights `rₖ(x)`
//! of the components:
//!
//! ```math
//! p_t = \sum_k w_k\,\mathcal N(x; a m_k, v_k I), \quad
//! u_t = \sum_k r_k U_k, \quad U_k = \dot a m_k + \tfrac{c_k}{v_k}(x - a m_k), \quad
//! \nabla \log p_t = \sum_k r_k g_k \tag{E.2}
//! ```
//!
//! ```math
//! \nabla\!\cdot u_t = \sum_k r_k \tfrac{d\,c_k}{v_k} + \sum_k r_k (g_k - s)\cdot U_k, \qquad
//! \Delta \log p_t = \sum_k r_k\bigl(\|g_k\|^2 - \tfrac{d}{v_k}\bigr) - \|s\|^2 \tag{E.3}
//! ```
//!
//! where `s` is the score. Components with `sₖ = 0` are points: then `u` is the
//! exact minimiser of the objective on a finite data set.

use crate::Error;
use crate::schedule::Schedule;
use autograd::{Algebra, Tensor};
use ndarray::ArrayView2;
use rand::{Rng, RngExt};
use std::f64::consts::TAU;

/// `Σ wₖ N(mₖ, sₖ² I)`, the distribution of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    stds: Vec<f64>,
}

/// A path from noise to a mixture: the schedule, and the thickness `σ` of
/// constant noise added on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct MixturePath {
    /// The data.
    pub target: Mixture,
    /// The coefficients.
    pub schedule: Schedule,
    /// `σ_min`.
    pub sigma: f64,
}

/// The oracle's answers at one time and point.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// `log p_t(x)`.
    pub log_p: f64,
    /// `u_t(x)`.
    pub velocity: Vec<f64>,
    /// `∇ log p_t(x)`.
    pub score: Vec<f64>,
    /// `∇·u_t(x)`.
    pub divergence: f64,
    /// `Δ log p_t(x)`.
    pub laplacian: f64,
}

impl Mixture {
    /// A mixture from weights, means and standard deviations.
    ///
    /// # Errors
    /// If the lists differ in length or are empty, a weight is not positive,
    /// the weights do not sum to 1 within 1e-9, the means differ in dimension
    /// or are not finite, or a deviation is negative or not finite.
    pub fn new(weights: Vec<f64>, means: Vec<Vec<f64>>, stds: Vec<f64>) -> Result<Self, Error> {
        let count = weights.len();
        if count == 0 || means.len() != count || stds.len() != count {
            let given = format!("{count}, {} and {}", means.len(), stds.len());
            return Err(Error::argument(
                "the number of weights, means and deviations",
                given,
                "one equal positive number",
            ));
        }
        if let Some(w) = weights.iter().find(|w| !(**w > 0.0)) {
            return Err(Error::argument("a weight", w, "a positive number"));
        }
        let total: f64 = weights.iter().sum();
        if !((total - 1.0).abs() <= 1e-9) {
            return Err(Error::argument("the sum of the weights", total, "1"));
        }
        let dimension = means[0].len();
        if dimension == 0 || means.iter().any(|m| m.len() != dimension) {
            return Err(Error::argument(
                "a mean",
                dimension,
                "one positive dimension",
            ));
        }
        if let Some(x) = means.iter().flatten().find(|x| !x.is_finite()) {
            return Err(Error::argument("a mean", x, "a finite number"));
        }
        if let Some(s) = stds.iter().find(|s| !(s.is_finite() && **s >= 0.0)) {
            return Err(Error::argument("a deviation", s, "a number from 0"));
        }
        Ok(Mixture {
            weights,
            means,
            stds,
        })
    }

    /// Eight Gaussians of deviation 1 on a circle of radius 5, the common
    /// benchmark.
    #[must_use]
    pub fn eight_gaussians() -> Self {
        let mean = |k: u32| {
            let (sin, cos) = (TAU * f64::from(k) / 8.0).sin_cos();
            vec![5.0 * cos, 5.0 * sin]
        };
        Mixture {
            weights: vec![0.125; 8],
            means: (0..8).map(mean).collect(),
            stds: vec![1.0; 8],
        }
    }

    /// A finite data set, `[n, d]` with n and d at least 1 and all numbers
    /// finite: each point with weight 1/n and deviation 0.
    ///
    /// # Errors
    /// If there is no point, or a number is not finite.
    pub fn of_points<F: Into<f64> + Copy>(points: ArrayView2<'_, F>) -> Result<Self, Error> {
        let n = points.nrows();
        let means = points.rows().into_iter();
        let means = means.map(|row| row.iter().map(|&x| x.into()).collect());
        Self::new(vec![1.0 / n as f64; n], means.collect(), vec![0.0; n])
    }

    /// The number of coordinates.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.means[0].len()
    }

    /// Weights, means and deviations.
    pub fn components(&self) -> impl Iterator<Item = (f64, &[f64], f64)> {
        let both = self.means.iter().zip(&self.stds);
        let all = self.weights.iter().zip(both);
        all.map(|(&w, (m, &s))| (w, m.as_slice(), s))
    }

    /// One sample.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f64> {
        let mut u: f64 = rng.random();
        let mut chosen = self.weights.len() - 1;
        for (k, w) in self.weights.iter().enumerate() {
            if u < *w {
                chosen = k;
                break;
            }
            u -= w;
        }
        let (mean, std) = (&self.means[chosen], self.stds[chosen]);
        mean.iter().map(|m| m + std * normal(rng)).collect()
    }
}

/// A standard normal number, by Box and Muller.
pub fn normal(rng: &mut impl Rng) -> f64 {
    // 1 − u is in (0, 1], which keeps the logarithm finite.
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
}

impl MixturePath {
    /// The path to a mixture.
    ///
    /// # Errors
    /// If `σ` is negative or not finite.
    pub fn new(target: Mixture, schedule: Schedule, sigma: f64) -> Result<Self, Error> {
        if !(sigma.is_finite() && sigma >= 0.0) {
            return Err(Error::argument("sigma", sigma, "a number from 0"));
        }
        Ok(MixturePath {
            target,
            schedule,
            sigma,
        })
    }

    /// Everything at time `t` in [0, 1] and point `x`.
    ///
    /// # Panics
    /// If `x` has another dimension than the mixture, or `t` is outside [0, 1].
    #[track_caller]
    #[must_use]
    pub fn at(&self, t: f64, x: &[f64]) -> Local {
        let d = self.target.dimension();
        assert_eq!(x.len(), d, "a point of the mixture's dimension");
        let c = self.schedule.at(t);
        let parts: Vec<Part> = self
            .target
            .components()
            .map(|(w, m, s)| {
                let v = c.a * c.a * s * s + c.b * c.b + self.sigma * self.sigma;
                let slope = (c.a * c.a_dot * s * s + c.b * c.b_dot) / v;
                let offset = |i: usize| x[i] - c.a * m[i];
                let square: f64 = (0..d).map(|i| offset(i).powi(2)).sum();
                Part {
                    log_weight: w.ln() - 0.5 * square / v - 0.5 * d as f64 * (TAU * v).ln(),
                    slope,
                    v,
                    // Eₖ and gₖ
                    velocity: (0..d).map(|i| c.a_dot * m[i] + slope * offset(i)).collect(),
                    score: (0..d).map(|i| -offset(i) / v).collect(),
                }
            })
            .collect();
        combine(&parts, d)
    }

    /// `u_t(x)` for rows `x` of `[B, D]` at the times `t`, one for each row,
    /// in any algebra, so that it can be differentiated by `x`.
    ///
    /// # Panics
    /// If the shapes do not fit, or a time is outside [0, 1].
    #[must_use]
    pub fn velocity<A: Algebra>(&self, t: &[f64], x: &Tensor<A>) -> Tensor<A> {
        let (batch, d) = (x.size(0), self.target.dimension());
        let k = self.target.weights.len();
        assert_eq!(batch, t.len(), "one time for each row");
        let (mut log_w, mut am) = (Vec::new(), Vec::new());
        let (mut half_v, mut slope, mut am_dot) = (Vec::new(), Vec::new(), Vec::new());
        for &t in t {
            let c = self.schedule.at(t);
            for (w, m, s) in self.target.components() {
                let v = c.a * c.a * s * s + c.b * c.b + self.sigma * self.sigma;
                log_w.push(w.ln() - 0.5 * d as f64 * v.ln());
                half_v.push(-0.5 / v);
                slope.push((c.a * c.a_dot * s * s + c.b * c.b_dot) / v);
                am.extend(m.iter().map(|m| c.a * m));
                am_dot.extend(m.iter().map(|m| c.a_dot * m));
            }
        }
        let offset = x.reshape(&[batch, 1, d]) - x.lift(&[batch, k, d], &am);
        let square = offset.square().sum_axis(2);
        let log_r = x.lift(&[batch, k], &log_w) + square * x.lift(&[batch, k], &half_v);
        let r = log_r.softmax(1).reshape(&[batch, k, 1]);
        let u = x.lift(&[batch, k, d], &am_dot) + x.lift(&[batch, k, 1], &slope) * offset;
        (r * u).sum_axis(1) // (E.2)
    }

    /// A point of the path: `a x₁ + b x₀ + σε`.
    ///
    /// # Panics
    /// If `t` is outside [0, 1].
    pub fn sample(&self, t: f64, rng: &mut impl Rng) -> Vec<f64> {
        let c = self.schedule.at(t);
        let x1 = self.target.sample(rng);
        let noise = |rng: &mut _| c.b * normal(rng) + self.sigma * normal(rng);
        x1.iter().map(|x1| c.a * x1 + noise(rng)).collect() // (E.1)
    }
}

/// What one component contributes.
struct Part {
    log_weight: f64,
    slope: f64,
    v: f64,
    velocity: Vec<f64>,
    score: Vec<f64>,
}

/// The sums over components, with weights shifted by the largest.
fn combine(parts: &[Part], d: usize) -> Local {
    let largest = parts
        .iter()
        .fold(f64::NEG_INFINITY, |m, p| m.max(p.log_weight));
    let weights: Vec<f64> = parts
        .iter()
        .map(|p| (p.log_weight - largest).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let mean = |f: &dyn Fn(&Part) -> f64| {
        let terms = parts.iter().zip(&weights).map(|(p, w)| w / total * f(p));
        terms.sum::<f64>()
    };
    let velocity: Vec<f64> = (0..d).map(|i| mean(&|p| p.velocity[i])).collect();
    let score: Vec<f64> = (0..d).map(|i| mean(&|p| p.score[i])).collect();
    let dot = |u: &[f64], v: &[f64]| u.iter().zip(v).map(|(a, b)| a * b).sum::<f64>();
    let divergence = mean(&|p| {
        d as f64 * p.slope + dot(&p.score, &p.velocity) - dot(&score, &p.velocity) // (E.3)
    });
    let laplacian = mean(&|p| dot(&p.score, &p.score) - d as f64 / p.v) - dot(&score, &score);
    Local {
        log_p: largest + total.ln(),
        velocity,
        score,
        divergence,
        laplacian,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Cpu, divergence};
    use serde_json::Value;

    fn list(v: &Value) -> Vec<f64> {
        let items = v.as_array().expect("a list").iter();
        items.map(|x| x.as_f64().expect("a number")).collect()
    }

    /// Against values computed by another system's automatic differentiation.
    ///
    /// Verifies (E.2), (E.3).
    #[test]
    fn the_oracle_agrees_with_independent_numbers_and_with_autodiff() {
        let text = include_str!("../tests/data/gmm_refs.json");
        let refs: Value = serde_json::from_str(text).expect("valid JSON");
        let mut compared = 0;
        for case in refs["cases"].as_array().expect("a list") {
            let schedule = match case["schedule"].as_str().expect("a name") {
                "cond_ot" => Schedule::CondOt,
                "cosine" => Schedule::Cosine,
                "linear_vp" => Schedule::LinearVp,
                other => panic!("no schedule {other}"),
            };
            let means = case["means"].as_array().expect("a list").iter();
            let target = Mixture::new(
                list(&case["weights"]),
                means.map(list).collect(),
                list(&case["stds"]),
            );
            let sigma = case["sigma"].as_f64().expect("a number");
            let path = MixturePath::new(target.expect("valid"), schedule, sigma).expect("valid");
            for point in case["points"].as_array().expect("a list") {
                let number = |key: &str| point[key].as_f64().expect("a number");
                let (t, x) = (number("t"), list(&point["x"]));
                let local = path.at(t, &x);
                // Relative to the size of the number: some fifty roundings and
                // a cancellation of the size of the largest score.
                let close = |found: f64, expected: f64, what: &str| {
                    let error = (found - expected).abs() / expected.abs().max(1.0);
                    assert!(
                        error <= 1e-11,
                        "{what} at t = {t}: {found} against {expected}"
                    );
                };
                close(local.log_p, number("log_p"), "log p");
                close(local.divergence, number("divergence"), "divergence");
                close(local.laplacian, number("laplacian_log_p"), "laplacian");
                for (found, expected) in local.velocity.iter().zip(list(&point["velocity"])) {
                    close(*found, expected, "velocity");
                }
                for (found, expected) in local.score.iter().zip(list(&point["score"])) {
                    close(*found, expected, "score");
                }
                let row = Tensor::<Cpu<f64>>::new(&[1, x.len()], x.clone());
                let (u, div) = divergence(|x| path.velocity(&[t], x), &row);
                close(div.item(), local.divergence, "autodiff divergence");
                for (found, expected) in u.as_slice().iter().zip(&local.velocity) {
                    close(*found, *expected, "tensor velocity");
                }
                compared += 1;
            }
        }
        assert_eq!(compared, 30);
    }

    #[test]
    fn impossible_mixtures_are_refused() {
        let one = |w, s| Mixture::new(vec![w], vec![vec![0.0]], vec![s]);
        assert!(one(1.0, 1.0).is_ok());
        for bad in [
            one(0.5, 1.0),
            one(f64::NAN, 1.0),
            one(1.0, -1.0),
            one(1.0, f64::NAN),
        ] {
            assert!(bad.is_err());
        }
        assert!(Mixture::new(vec![], vec![], vec![]).is_err());
        let target = one(1.0, 1.0).expect("valid");
        assert!(MixturePath::new(target, Schedule::CondOt, f64::NAN).is_err());
    }
}
