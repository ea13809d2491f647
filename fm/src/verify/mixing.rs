//! Claims about mixing conditional paths into one: (FM.6), (FM.8) to (FM.10).

use super::cases::{Case, Cases};
use super::{Measured, Twin};
use crate::marginal::{LineDensity, posterior_mean_velocity};
use crate::mixture::{Mixture, MixturePath};
use crate::path;
use crate::schedule::Schedule;

/// The trapezoidal rule over smooth functions that vanish at both ends is
/// exact to rounding: 4000 terms of size 1, and a quotient of two such sums.
const QUADRATURE: f64 = 1e-10;

/// A mixture on the line, the oracle for its straight path, and a point.
struct Line {
    target: Mixture,
    sigma: f64,
    t: f64,
    x: f64,
}

fn line(case: &mut Case) -> Line {
    let target = case.mixture(1);
    let sigma = case.uniform("sigma", 0.0, 0.3);
    // Up to t = 0.85 the conditional density is at least 0.15/0.85 wide in x₁,
    // thirty nodes of the rule.
    let t = case.uniform("t", 0.1, 0.85);
    let path = MixturePath::new(target.clone(), Schedule::CondOt, sigma).expect("valid");
    let x = case.on(&path, t)[0];
    Line {
        target,
        sigma,
        t,
        x,
    }
}

impl Line {
    fn oracle(&self) -> crate::mixture::Local {
        let path = MixturePath::new(self.target.clone(), Schedule::CondOt, self.sigma);
        path.expect("valid").at(self.t, &[self.x])
    }

    /// Runs `f` with the density `q` of the data.
    fn with_density<R>(&self, f: impl FnOnce(&LineDensity<'_>) -> R) -> R {
        let q = |x1: f64| {
            let terms = self.target.components();
            let terms = terms.map(|(w, m, s)| w * path::normal_density(x1 - m[0], s * s));
            terms.sum()
        };
        // Ten deviations of 1.5 beyond the outermost mean.
        f(&LineDensity {
            density: &q,
            interval: (-18.0, 18.0),
        })
    }
}

pub(super) fn marginal_density(cases: &Cases, twin: Twin) -> Measured {
    cases.worst(QUADRATURE, |case| {
        let line = line(case);
        let sigma = twin.pick(line.sigma, line.sigma + 0.1);
        let p = line.with_density(|q| q.marginal(line.t, line.x, sigma));
        p.ln() - line.oracle().log_p
    })
}

pub(super) fn marginal_velocity(cases: &Cases, twin: Twin) -> Measured {
    cases.worst(QUADRATURE, |case| {
        let line = line(case);
        let (t, x, sigma) = (line.t, line.x, line.sigma);
        // The wrong twin forgets to divide by p.
        let v = line.with_density(|q| twin.pick(q.velocity(t, x, sigma), q.flux(t, x, sigma)));
        let u = line.oracle().velocity[0];
        (v - u) / u.abs().max(1.0)
    })
}

pub(super) fn flux_swap(cases: &Cases, twin: Twin) -> Measured {
    // Differences of quadratures: a larger step keeps rounding away.
    cases.second_order(4e-3, 1e-2, |case, h| {
        let line = line(case);
        let (t, x, sigma) = (line.t, line.x, line.sigma);
        line.with_density(|q| {
            let divergence = (q.flux(t, x + h, sigma) - q.flux(t, x - h, sigma)) / (2.0 * h);
            let rate = (q.marginal(t + h, x, sigma) - q.marginal(t - h, x, sigma)) / (2.0 * h);
            rate + twin.pick(1.0, -1.0) * divergence
        })
    })
}

pub(super) fn posterior_expectation(cases: &Cases, twin: Twin) -> Measured {
    // Exponents of size up to 10³ are rounded before they are exponentiated.
    cases.worst(1e-11, |case| {
        let (n, d) = (2 + case.below(6), 1 + case.below(3));
        let data: Vec<Vec<f64>> = (0..n).map(|_| case.point("data", d, -3.0, 3.0)).collect();
        let weights = vec![1.0 / n as f64; n];
        let target = Mixture::new(weights, data.clone(), vec![0.0; n]).expect("valid");
        let (t, sigma) = (case.uniform("t", 0.1, 0.9), case.uniform("sigma", 0.0, 0.3));
        let path = MixturePath::new(target, Schedule::CondOt, sigma).expect("valid");
        let x = case.on(&path, t);
        let u = path.at(t, &x).velocity;
        let posterior = posterior_mean_velocity(t, &x, &data, sigma);
        // The wrong twin weighs all data alike: the prior for the posterior.
        let prior: Vec<f64> = (0..d)
            .map(|i| {
                let each = data.iter().map(|x1| path::velocity(t, x[i], x1[i], sigma));
                each.sum::<f64>() / n as f64
            })
            .collect();
        let found = twin.pick(posterior, prior);
        let size = u.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        let errors = found.iter().zip(&u).map(|(v, u)| (v - u).abs() / size);
        errors.fold(0.0, f64::max)
    })
}
