//! **The continuity equation**: probability is moved, never made.
//!
//! A flow map `φ_t` carries points along a velocity field; the density it
//! carries and the velocity together are a flux:
//!
//! ```math
//! \frac{d}{dt}\phi_t(x) = v_t(\phi_t(x)), \qquad J_t(x) = p_t(x)\,v_t(x) \tag{FM.1}
//! ```
//! ```math
//! \frac{\partial p_t(x)}{\partial t} + \nabla\!\cdot\bigl(p_t(x)\,v_t(x)\bigr) = 0 \tag{FM.2}
//! ```
//! ```math
//! \frac{\partial p_t(x)}{\partial t} + \nabla\!\cdot J_t(x) = 0 \tag{FM.3}
//! ```
//!
//! Divided by `p` the equation says `∂ₜ log p + ∇·v + v·∇log p = 0`, which does
//! not underflow in the tails. For a path conditioned on a data point it reads
//!
//! ```math
//! \partial_t\,p_t(x \mid x_1) + \nabla\!\cdot\bigl(p_t(x \mid x_1)\,v_t(x \mid x_1)\bigr) = 0 \tag{FM.7}
//! ```
//!
//! The residuals below replace derivatives by central differences of step `h`
//! and therefore vanish like `h²` if, and only if, the field moves the density.

/// A density moved by a velocity: what the equation is about.
pub trait Transport {
    /// `log p_t(x)`.
    fn log_density(&self, t: f64, x: &[f64]) -> f64;
    /// `v_t(x)`.
    fn velocity(&self, t: f64, x: &[f64]) -> Vec<f64>;
}

/// The flux `J = p·v`, divided by the density `p(x)` at a reference point so
/// that it neither under- nor overflows.
fn relative_flux(path: &impl Transport, t: f64, x: &[f64], log_reference: f64) -> Vec<f64> {
    let p = (path.log_density(t, x) - log_reference).exp();
    path.velocity(t, x).iter().map(|v| p * v).collect() // (FM.1)
}

/// `(∂ₜp + ∇·J)/p` at `(t, x)`, all derivatives by central differences.
pub fn flux_residual(path: &impl Transport, t: f64, x: &[f64], h: f64) -> f64 {
    let here = path.log_density(t, x);
    let p = |t: f64| (path.log_density(t, x) - here).exp();
    let mut sum = (p(t + h) - p(t - h)) / (2.0 * h);
    for i in 0..x.len() {
        let flux = |step: f64| {
            let mut moved = x.to_vec();
            moved[i] += step;
            relative_flux(path, t, &moved, here)[i]
        };
        sum += (flux(h) - flux(-h)) / (2.0 * h); // (FM.3)
    }
    sum
}

/// `∂ₜ log p + ∇·v + v·∇log p`, the first by central differences, the others
/// given: the residual of the equation where divergence and score are known.
pub fn log_residual(
    path: &impl Transport,
    (t, x): (f64, &[f64]),
    divergence: f64,
    score: &[f64],
    h: f64,
) -> f64 {
    let rate = (path.log_density(t + h, x) - path.log_density(t - h, x)) / (2.0 * h);
    let carried = path
        .velocity(t, x)
        .into_iter()
        .zip(score)
        .map(|(v, s)| v * s);
    rate + divergence + carried.sum::<f64>() // (FM.2)
}

/// The path to one data point, with thickness, as a transport; (FM.13) and
/// (FM.14) for `σ = 0`.
#[derive(Clone, Debug)]
pub struct ConditionalPath {
    /// `x₁`.
    pub data: Vec<f64>,
    /// `σ_min`.
    pub sigma: f64,
}

impl Transport for ConditionalPath {
    fn log_density(&self, t: f64, x: &[f64]) -> f64 {
        let variance = crate::path::variance(t, self.sigma);
        let square = |(x, x1): (&f64, &f64)| (x - t * x1).powi(2);
        let squares: f64 = x.iter().zip(&self.data).map(square).sum();
        let d = x.len() as f64;
        -0.5 * squares / variance - 0.5 * d * (std::f64::consts::TAU * variance).ln()
    }
    fn velocity(&self, t: f64, x: &[f64]) -> Vec<f64> {
        let each = x.iter().zip(&self.data);
        each.map(|(&x, &x1)| crate::path::velocity(t, x, x1, self.sigma)) // (FM.7)
            .collect()
    }
}

impl Transport for crate::mixture::MixturePath {
    fn log_density(&self, t: f64, x: &[f64]) -> f64 {
        self.at(t, x).log_p
    }
    fn velocity(&self, t: f64, x: &[f64]) -> Vec<f64> {
        self.at(t, x).velocity
    }
}
