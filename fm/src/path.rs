//! **Conditional paths**: what is known of a path when its ends are.
//!
//! Conditioned on both ends, a particle moves on a straight line:
//!
//! ```math
//! x_t = \psi_t(x_0, x_1) = (1-t)\,x_0 + t\,x_1, \qquad p_t(x \mid x_0, x_1) = \delta(x - \psi_t(x_0, x_1)) \tag{FM.11}
//! ```
//! ```math
//! v_t(x \mid x_0, x_1) = \frac{d}{dt}\psi_t(x_0, x_1) = x_1 - x_0 \tag{FM.12}
//! ```
//!
//! Conditioned on the data point alone, `x₀ ~ N(0, I)` is still random:
//!
//! ```math
//! p_t(x \mid x_1) = \mathcal N\bigl(x;\ t\,x_1,\ (1-t)^2 I\bigr) \tag{FM.13}
//! ```
//! ```math
//! v_t(x \mid x_1) = \frac{x_1 - x}{1-t} \tag{FM.14}
//! ```
//!
//! The field is singular at `t = 1`. Constant noise of size `σ_min` on the way
//! makes it finite:
//!
//! ```math
//! p_t(x \mid x_1) = \mathcal N\bigl(x;\ t\,x_1,\ [(1-t)^2 + \sigma_{\min}^2]\,I\bigr) \tag{FM.15}
//! ```
//! ```math
//! x_t = (1-t)\,x_0 + t\,x_1 + \sigma_{\min}\,\epsilon, \qquad x_0, \epsilon \sim \mathcal N(0, I) \tag{FM.16}
//! ```
//! ```math
//! p_0 = \mathcal N\bigl(0,\ (1 + \sigma_{\min}^2)\,I\bigr) \tag{FM.17}
//! ```
//!
//! For any Gaussian path the velocity follows from mean and deviation; with
//! `μ = t x₁` and `σ_t² = (1−t)² + σ_min²` it becomes
//!
//! ```math
//! v_t(x \mid x_1) = \dot\mu_t + \frac{\dot\sigma_t}{\sigma_t}(x - \mu_t)
//! = x_1 - \frac{1-t}{(1-t)^2 + \sigma_{\min}^2}\,(x - t\,x_1) \tag{FM.18}
//! ```
//! ```math
//! v_t(x \mid x_1) = \frac{(1-t)(x_1 - x) + x_1\,\sigma_{\min}^2}{(1-t)^2 + \sigma_{\min}^2},
//! \qquad v_1(x \mid x_1) = x_1 \tag{FM.19}
//! ```
//!
//! and it is the mean of (FM.12) over what `x₀` can be:
//!
//! ```math
//! v_t(x \mid x_1) = \mathbb E\bigl[x_1 - x_0 \mid x_t = x,\, x_1\bigr] \tag{FM.20}
//! ```
//!
//! A bounded velocity is not a bounded slope: the Jacobian of (FM.19) reaches
//! `1/(2σ_min)` at `1 − t = σ_min`. Everything acts coordinate by coordinate,
//! so the functions are written for one.

use std::f64::consts::TAU;

/// The particle between its ends.
#[must_use]
pub fn joint_position(t: f64, x0: f64, x1: f64) -> f64 {
    (1.0 - t) * x0 + t * x1 // (FM.11)
}

/// Its velocity.
#[must_use]
pub fn joint_velocity(x0: f64, x1: f64) -> f64 {
    x1 - x0 // (FM.12)
}

/// The variance of the path to a point, without thickness.
#[must_use]
pub fn singular_variance(t: f64) -> f64 {
    (1.0 - t) * (1.0 - t) // (FM.13)
}

/// The velocity towards `x1`, for `t < 1`; infinite or NaN at `t = 1`.
#[must_use]
pub fn singular_velocity(t: f64, x: f64, x1: f64) -> f64 {
    (x1 - x) / (1.0 - t) // (FM.14)
}

/// The variance of the path with thickness.
#[must_use]
pub fn variance(t: f64, sigma: f64) -> f64 {
    singular_variance(t) + sigma * sigma // (FM.15)
}

/// The density of the path with thickness, in one coordinate.
#[must_use]
pub fn density(t: f64, x: f64, x1: f64, sigma: f64) -> f64 {
    normal_density(x - t * x1, variance(t, sigma))
}

/// The density of a centred normal variable.
#[must_use]
pub fn normal_density(x: f64, variance: f64) -> f64 {
    (-0.5 * x * x / variance).exp() / (TAU * variance).sqrt()
}

/// The particle with thickness; `ε` is drawn once and kept for all times.
#[must_use]
pub fn thick_position(t: f64, x0: f64, x1: f64, sigma: f64, epsilon: f64) -> f64 {
    joint_position(t, x0, x1) + sigma * epsilon // (FM.16)
}

/// The variance of the path with thickness at `t = 0`. Sampling begins from
/// variance 1 all the same: a shift of `σ²/2` in deviation.
#[must_use]
pub fn initial_variance(sigma: f64) -> f64 {
    1.0 + sigma * sigma // (FM.17)
}

/// The velocity by mean and deviation.
#[must_use]
pub fn gaussian_velocity(t: f64, x: f64, x1: f64, sigma: f64) -> f64 {
    x1 - (1.0 - t) / variance(t, sigma) * (x - t * x1) // (FM.18)
}

/// The same in its final form, `x1` in bits at `t = 1` for `σ > 0`.
#[must_use]
pub fn velocity(t: f64, x: f64, x1: f64, sigma: f64) -> f64 {
    if t == 1.0 && sigma > 0.0 {
        return x1;
    }
    ((1.0 - t) * (x1 - x) + x1 * sigma * sigma) / variance(t, sigma) // (FM.19)
}

/// `E[x₀ | x_t = x, x₁]`: linear regression of `x₀` on `x_t − t x₁`.
#[must_use]
pub fn posterior_noise(t: f64, x: f64, x1: f64, sigma: f64) -> f64 {
    (1.0 - t) / variance(t, sigma) * (x - t * x1)
}

/// The mean of the joint velocity.
#[must_use]
pub fn mean_joint_velocity(t: f64, x: f64, x1: f64, sigma: f64) -> f64 {
    joint_velocity(posterior_noise(t, x, x1, sigma), x1) // (FM.20)
}
