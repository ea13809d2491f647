//! Claims about mixing conditional paths into one: (FM.6), (FM.8) to (FM.10).

use super::cases::{Case, Cases, largest};
use super::{Measured, Twin};
use crate::marginal::{LineDensity, ProductMixture, posterior_mean_velocity};
use crate::mixture::{Local, Mixture, MixturePath};
use crate::path;
use crate::schedule::Schedule;

/// The trapezoidal rule over smooth functions that vanish at both ends is
/// exact to rounding: 500 terms of size 1 in each factor, and a quotient of
/// two such sums.
const QUADRATURE: f64 = 1e-10;

/// The oracle for a straight path to a mixture in 1 to 3 dimensions, a time
/// and a point.
struct Place {
    path: MixturePath,
    t: f64,
    x: Vec<f64>,
}

fn place(case: &mut Case) -> Place {
    let d = 1 + case.below(3);
    let target = case.mixture(d);
    let sigma = case.uniform("sigma", 0.0, 0.3);
    // Up to t = 0.85 the conditional density is at least 0.15/0.85 wide in x₁,
    // three nodes of the rule, and its error e^{−2π²·3²}.
    let t = case.uniform("t", 0.1, 0.85);
    let path = MixturePath::new(target, Schedule::CondOt, sigma).expect("valid");
    let x = case.on(&path, t);
    Place { path, t, x }
}

impl Place {
    fn oracle(&self) -> Local {
        self.path.at(self.t, &self.x)
    }

    /// The density `q` of the data: normal in every coordinate of a component.
    fn data(&self) -> ProductMixture<impl Fn(f64) -> f64> {
        let axis = |mean: f64, std: f64| LineDensity {
            density: move |x1: f64| path::normal_density(x1 - mean, std * std),
            interval: (mean - 10.0 * std, mean + 10.0 * std),
        };
        let components = self.path.target.components();
        let terms = components.map(|(w, m, s)| (w, m.iter().map(|&m| axis(m, s)).collect()));
        ProductMixture {
            terms: terms.collect(),
        }
    }
}

pub(super) fn marginal_density(cases: &Cases, twin: Twin) -> Measured {
    cases.worst(QUADRATURE, |case| {
        let place = place(case);
        let sigma = place.path.sigma + twin.pick(0.0, 0.1);
        let p = place.data().marginal(place.t, &place.x, sigma);
        p.ln() - place.oracle().log_p
    })
}

pub(super) fn marginal_velocity(cases: &Cases, twin: Twin) -> Measured {
    cases.worst(QUADRATURE, |case| {
        let place = place(case);
        let (t, x, sigma) = (place.t, &place.x, place.path.sigma);
        let data = place.data();
        // The wrong twin forgets to divide by p.
        let flux = |j: usize| data.flux(t, x, sigma, j);
        let v = match twin {
            Twin::True => data.velocity(t, x, sigma),
            Twin::Wrong => (0..x.len()).map(flux).collect(),
        };
        let u = place.oracle().velocity;
        let errors = v.iter().zip(&u).map(|(v, u)| (v - u) / u.abs().max(1.0));
        largest(errors)
    })
}

pub(super) fn flux_swap(cases: &Cases, twin: Twin) -> Measured {
    // Differences of quadratures: a larger step keeps rounding away.
    cases.second_order(4e-3, 1e-2, |case, h| {
        let place = place(case);
        let (t, x, sigma) = (place.t, &place.x, place.path.sigma);
        let data = place.data();
        let slope = |j: usize| {
            let flux = |step: f64| {
                let mut moved = x.clone();
                moved[j] += step;
                data.flux(t, &moved, sigma, j)
            };
            (flux(h) - flux(-h)) / (2.0 * h)
        };
        let divergence: f64 = (0..x.len()).map(slope).sum();
        let rate = (data.marginal(t + h, x, sigma) - data.marginal(t - h, x, sigma)) / (2.0 * h);
        rate + twin.pick(1.0, -1.0) * divergence
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
        largest(found.iter().zip(&u).map(|(v, u)| (v - u) / size))
    })
}
