//! Claims about paths with given ends: (FM.11) to (FM.20).
//!
//! Moments of a normal variable are integrated with the nodes of
//! Gauss–Hermite quadrature for three points, `0` and `±√3` with weights
//! `2/3` and `1/6`: exact for polynomials up to degree 5.

use super::cases::{Case, Cases, largest};
use super::{Measured, Twin};
use crate::path;

/// A dozen roundings of numbers of size 10.
const ROUNDING: f64 = 1e-13;

const NODES: [f64; 3] = [-1.732_050_807_568_877_2, 0.0, 1.732_050_807_568_877_2];
const WEIGHTS: [f64; 3] = [1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0];

/// The worst residual among 1 to 3 coordinates, each with its own `x` and
/// `x₁`, at one `t` and `σ`: the formulas act coordinate by coordinate.
/// `one` is called with `(t, x, x₁, σ)`.
fn worst_coordinate(case: &mut Case, one: impl Fn(f64, f64, f64, f64) -> f64) -> f64 {
    let t = case.uniform("t", 0.0, 0.95);
    let sigma = case.uniform("sigma", 0.05, 0.5);
    let d = 1 + case.below(3);
    let x = case.point("x", d, -3.0, 3.0);
    let x1 = case.point("x1", d, -3.0, 3.0);
    largest(x.iter().zip(x1).map(|(&x, x1)| one(t, x, x1, sigma)))
}

/// A claim that holds to rounding in each coordinate.
fn each_coordinate(cases: &Cases, one: impl Fn(f64, f64, f64, f64) -> f64) -> Measured {
    cases.worst(ROUNDING, |case| worst_coordinate(case, &one))
}

pub(super) fn ends(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |t, x0, x1, _| {
        let (start, end) = twin.pick((0.0, 1.0), (1.0, 0.0));
        let bits = |a: f64, b: f64| f64::from(u8::from(a.to_bits() != b.to_bits()));
        let misses = bits(path::joint_position(start, x0, x1), x0)
            + bits(path::joint_position(end, x0, x1), x1);
        // In between it is a convex combination, so the distances to the ends
        // are in the ratio of the times.
        let x = path::joint_position(t, x0, x1);
        misses + ((x - x0) * (1.0 - t) - (x1 - x) * t).abs()
    })
}

/// A line has no third derivative: differences leave rounding, `ε·10/h`.
pub(super) fn joint_velocity(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |t, x0, x1, _| {
        let h = 0.125;
        let ends = (
            path::joint_position(t + h, x0, x1),
            path::joint_position(t - h, x0, x1),
        );
        let rate = (ends.0 - ends.1) / (2.0 * h);
        rate - twin.pick(1.0, -1.0) * path::joint_velocity(x0, x1)
    })
}

/// Mean and variance of a particle, over normal `x₀` and `ε`.
fn moments(t: f64, x1: f64, sigma: f64, epsilon_scale: f64) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for (x0, w0) in NODES.iter().zip(WEIGHTS) {
        for (epsilon, w1) in NODES.iter().zip(WEIGHTS) {
            let x = path::thick_position(t, *x0, x1, sigma, epsilon_scale * epsilon);
            let weight = w0 * w1;
            sums = (sums.0 + weight * x, sums.1 + weight * (x - t * x1).powi(2));
        }
    }
    sums
}

pub(super) fn singular_moments(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |t, _, x1, _| {
        let (mean, variance) = moments(t, x1, 0.0, 1.0);
        let claimed = twin.pick(path::singular_variance(t), 1.0 - t);
        (mean - t * x1).abs() + (variance - claimed).abs()
    })
}

pub(super) fn singular_velocity(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |t, x, x1, _| {
        let t = t.max(0.01);
        // The line through x that ends at x1 began at x0.
        let x0 = (x - t * x1) / (1.0 - t);
        let wrong = (x1 - x) / t;
        let v = twin.pick(path::singular_velocity(t, x, x1), wrong);
        // x0 is of size up to 6/(1 − t) = 120.
        (v - path::joint_velocity(x0, x1)) / 120.0
    })
}

pub(super) fn thick_moments(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |t, _, x1, sigma| {
        let (_, variance) = moments(t, x1, sigma, 1.0);
        let wrong = path::singular_variance(t) + sigma;
        variance - twin.pick(path::variance(t, sigma), wrong)
    })
}

pub(super) fn thick_particle(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |t, _, x1, sigma| {
        // The wrong twin lets the thickness grow with time.
        let (mean, variance) = moments(t, x1, sigma, twin.pick(1.0, t));
        (mean - t * x1).abs() + (variance - path::variance(t, sigma)).abs()
    })
}

pub(super) fn initial_variance(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |_, x, x1, sigma| {
        let claimed = twin.pick(path::initial_variance(sigma), 1.0);
        let (_, variance) = moments(0.0, x1, sigma, 1.0);
        let shape = path::density(0.0, x, x1, sigma) - path::normal_density(x, claimed);
        (variance - claimed).abs() + shape.abs()
    })
}

/// `σ̇/σ` by differences of `ln σ_t`.
pub(super) fn gaussian_field(cases: &Cases, twin: Twin) -> Measured {
    // Third derivatives of ln σ_t reach 2/σ³ = 2·10⁴ at 1 − t = σ = 0.05.
    cases.second_order(2e-4, 1e-3, |case, h| {
        worst_coordinate(case, |t, x, x1, sigma| {
            let log_deviation = |t: f64| 0.5 * path::variance(t, sigma).ln();
            let rate = (log_deviation(t + h) - log_deviation(t - h)) / (2.0 * h);
            let by_rates = x1 + twin.pick(1.0, -1.0) * rate * (x - t * x1);
            by_rates - path::gaussian_velocity(t, x, x1, sigma)
        })
    })
}

pub(super) fn final_field(cases: &Cases, twin: Twin) -> Measured {
    each_coordinate(cases, |t, x, x1, sigma| {
        // The wrong twin drops x₁σ² from the numerator.
        let wrong = (1.0 - t) * (x1 - x) / path::variance(t, sigma);
        let found = twin.pick(path::velocity(t, x, x1, sigma), wrong);
        let end = path::velocity(1.0, x, x1, 1e-5).to_bits() != x1.to_bits();
        let form = path::gaussian_velocity(t, x, x1, sigma);
        // Slopes reach 1/(2σ) = 10, on distances of 6.
        (found - form).abs() / 60.0 + f64::from(u8::from(end))
    })
}

/// The mean of `x₁ − x₀` over the posterior of `x₀` given `x` and `x₁`, by the
/// trapezoidal rule.
pub(super) fn mean_joint_velocity(cases: &Cases, twin: Twin) -> Measured {
    const POINTS: i32 = 2000;
    each_coordinate(cases, |t, x, x1, sigma| {
        let sigma = sigma.max(0.1);
        // A point the path can reach, within two deviations; elsewhere the
        // integrals underflow.
        let x = t * x1 + path::variance(t, sigma).sqrt() * x * (2.0 / 3.0);
        let (mut mass, mut mean) = (0.0, 0.0);
        for i in -POINTS..=POINTS {
            let x0 = 12.0 * f64::from(i) / f64::from(POINTS);
            let likelihood =
                path::normal_density(x - path::joint_position(t, x0, x1), sigma * sigma);
            let weight = path::normal_density(x0, 1.0) * likelihood;
            mass += weight;
            mean += weight * path::joint_velocity(x0, x1);
        }
        // The wrong twin takes x₀ from the prior, whose mean is 0.
        let posterior = path::mean_joint_velocity(t, x, x1, sigma);
        (mean / mass - twin.pick(posterior, x1)) / 60.0
    })
}
