//! **The marginal path**: one field for all data.
//!
//! Mixing the conditional paths over the data gives the marginal density,
//!
//! ```math
//! p_t(x) = \int p_t(x \mid x_1)\,q(x_1)\,dx_1, \qquad v_t = J_t / p_t \tag{FM.6}
//! ```
//!
//! and the field that moves it is the posterior mean of the conditional ones
//! (the marginal-velocity theorem):
//!
//! ```math
//! v_t(x) = \int v_t(x \mid x_1)\,\frac{p_t(x \mid x_1)\,q(x_1)}{p_t(x)}\,dx_1 \tag{FM.8}
//! ```
//! ```math
//! p_t v_t = \int v_t(x \mid x_1)\,p_t(x \mid x_1)\,q(x_1)\,dx_1, \qquad
//! -\nabla\!\cdot(p_t v_t) = \int \partial_t p_t(x \mid x_1)\,q(x_1)\,dx_1 = \partial_t p_t \tag{FM.9}
//! ```
//! ```math
//! p_t(x_1 \mid x) = \frac{p_t(x \mid x_1)\,q(x_1)}{p_t(x)}, \qquad
//! v_t(x) = \mathbb E_{x_1 \sim p_t(x_1 \mid x)}\bigl[v_t(x \mid x_1)\bigr] \tag{FM.10}
//! ```
//!
//! The integrals are done here one coordinate at a time. A density that is a
//! mixture of products, $`q(x_1) = \sum_k w_k \prod_i q_{ki}(x_{1i})`$, allows
//! it in any number of dimensions: what is integrated against it is a product
//! as well, and the integral of a product is the product of the integrals
//! (Fubini). On the line it is the trapezoidal rule, which converges faster
//! than any power for smooth functions that vanish at both ends (Trefethen and
//! Weideman, SIAM Review 2014).

use crate::path;

/// A density on the line, with the interval outside of which it and its
/// products vanish in double precision.
#[derive(Clone, Debug)]
pub struct LineDensity<Q> {
    /// `q(x₁)`.
    pub density: Q,
    /// Where to integrate.
    pub interval: (f64, f64),
}

/// Nodes of the trapezoidal rule.
const NODES: u32 = 500;

impl<Q: Fn(f64) -> f64> LineDensity<Q> {
    /// `∫ f(x₁) q(x₁) dx₁`.
    #[must_use]
    pub fn integral(&self, f: impl Fn(f64) -> f64) -> f64 {
        let (low, high) = self.interval;
        let h = (high - low) / f64::from(NODES);
        let node = |i: u32| low + h * f64::from(i);
        let terms = (0..=NODES).map(|i| f(node(i)) * (self.density)(node(i)));
        h * terms.sum::<f64>()
    }
}

/// The density `q` of the data as a mixture of products: weights `wₖ`, and for
/// each a density `qₖᵢ` for every coordinate.
#[derive(Clone, Debug)]
pub struct ProductMixture<Q> {
    /// `(wₖ, [qₖ₁, …, qₖ_d])`.
    pub terms: Vec<(f64, Vec<LineDensity<Q>>)>,
}

impl<Q: Fn(f64) -> f64> ProductMixture<Q> {
    /// `∫ ∏ᵢ fᵢ(x₁ᵢ) q(x₁) dx₁`, where `factor` is `fᵢ(x₁ᵢ)`, called with `i`
    /// and `x₁ᵢ`.
    #[must_use]
    pub fn integral(&self, factor: impl Fn(usize, f64) -> f64) -> f64 {
        let product = |axes: &[LineDensity<Q>]| -> f64 {
            let each = axes.iter().enumerate();
            each.map(|(i, q)| q.integral(|x1| factor(i, x1))).product()
        };
        self.terms.iter().map(|(w, axes)| w * product(axes)).sum()
    }

    /// `p_t(x)`, for the path with thickness `σ`.
    #[must_use]
    pub fn marginal(&self, t: f64, x: &[f64], sigma: f64) -> f64 {
        self.integral(|i, x1| path::density(t, x[i], x1, sigma)) // (FM.6)
    }

    /// Coordinate `j` of the flux `p_t(x)·v_t(x)` as the mixture of
    /// conditional fluxes.
    #[must_use]
    pub fn flux(&self, t: f64, x: &[f64], sigma: f64, j: usize) -> f64 {
        self.integral(|i, x1| {
            let v = if i == j {
                path::velocity(t, x[i], x1, sigma)
            } else {
                1.0
            };
            v * path::density(t, x[i], x1, sigma) // (FM.9)
        })
    }

    /// `v_t(x)`.
    #[must_use]
    pub fn velocity(&self, t: f64, x: &[f64], sigma: f64) -> Vec<f64> {
        let p = self.marginal(t, x, sigma);
        let coordinates = 0..x.len();
        coordinates.map(|j| self.flux(t, x, sigma, j) / p).collect() // (FM.8)
    }
}

/// The marginal field of finitely many equally likely data points: the
/// posterior weights `p(x₁|x)`, and the mean of the conditional velocities
/// under them. This is what a network would learn that memorises its data.
#[must_use]
pub fn posterior_mean_velocity(t: f64, x: &[f64], data: &[Vec<f64>], sigma: f64) -> Vec<f64> {
    let variance = path::variance(t, sigma);
    let log_weight = |x1: &Vec<f64>| {
        let squares = x.iter().zip(x1).map(|(x, x1)| (x - t * x1).powi(2));
        -0.5 * squares.sum::<f64>() / variance
    };
    let logs: Vec<f64> = data.iter().map(log_weight).collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|l| (l - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mean = |i: usize| {
        let each = data.iter().zip(&weights);
        let terms = each.map(|(x1, w)| w / total * path::velocity(t, x[i], x1[i], sigma)); // (FM.10)
        terms.sum()
    };
    (0..x.len()).map(mean).collect()
}
