//! **Dense output**: values within a step, from slopes that are there already.
//!
//! ```math
//! y(t + \theta h) = y + h \sum_m w_m(\theta) \sum_i d_{mi} k_i, \qquad
//! w_m(\theta) = \theta^{\lfloor m/2 \rfloor + 1} (1 - \theta)^{\lceil m/2 \rceil} \tag{RK.10}
//! ```
//!
//! The functions `θ, θ(1−θ), θ²(1−θ), θ²(1−θ)², …` alternate between the two
//! ends (Hairer, Nørsett and Wanner, *Solving ODEs I*, II.6). So the first rows
//! of `d` follow from the method: `d₀ = b` meets the end; `d₁ = e₁ − b` meets
//! the slope at the beginning; and `d₂ = 2b − e₁ − eₛ` the slope at the end, if
//! the last stage is evaluated there. Only further rows are data.
//! `tableau.rs` holds them to their order, (RK.8).

use crate::order::Ring;

/// What dense output has beyond the rows that follow from the method.
#[derive(Clone, Copy, Debug)]
pub struct Dense<N: 'static, const S: usize> {
    /// The order of the values within the step.
    pub order: usize,
    /// What joins smoothly at the ends of steps.
    pub smoothness: Smoothness,
    /// The rows of `d` that do not follow.
    pub rows: &'static [[N; S]],
}

/// How the pieces of two steps meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smoothness {
    /// In value, and with the right slope after but not before.
    Values,
    /// In value and slope.
    Slopes,
}

impl<N, const S: usize> Dense<N, S> {
    /// Pieces that meet in value.
    #[must_use]
    pub const fn continuous(order: usize, rows: &'static [[N; S]]) -> Self {
        Dense {
            order,
            smoothness: Smoothness::Values,
            rows,
        }
    }

    /// Pieces that meet in value and slope. Needs a stage at the result.
    #[must_use]
    pub const fn smooth(order: usize, rows: &'static [[N; S]]) -> Self {
        Dense {
            order,
            smoothness: Smoothness::Slopes,
            rows,
        }
    }

    /// The number of functions `w`.
    pub(crate) const fn functions(&self) -> usize {
        match self.smoothness {
            Smoothness::Values => self.rows.len() + 2,
            Smoothness::Slopes => self.rows.len() + 3,
        }
    }

    /// The rows that follow from the weights; `end` is the stage at the
    /// result.
    pub(crate) fn derived<R: Ring>(&self, b: &[R], end: Option<usize>) -> Vec<Vec<R>> {
        let row = |number_of_b: i64, slopes: &[usize], sign: i64| {
            let entry = |(i, b): (usize, &R)| {
                let unit = i64::from(slopes.contains(&i)) * sign;
                b.times(&R::integer(number_of_b)).plus(&R::integer(unit))
            };
            b.iter().enumerate().map(entry).collect()
        };
        let mut rows = vec![b.to_vec(), row(-1, &[0], 1)];
        if let (Smoothness::Slopes, Some(end)) = (self.smoothness, end) {
            rows.push(row(2, &[0, end], -1));
        }
        rows
    }
}

/// `w_m(θ)`.
#[must_use]
pub(crate) fn weight(m: usize, theta: f64) -> f64 {
    let zeros = (m / 2 + 1) as i32;
    let ones = m.div_ceil(2) as i32;
    theta.powi(zeros) * (1.0 - theta).powi(ones) // (RK.10)
}

/// The coefficient of `θ^power` in `w_m`.
#[must_use]
pub(crate) const fn power_coefficient(m: usize, power: usize) -> i64 {
    let (zeros, ones) = (m / 2 + 1, m.div_ceil(2));
    if power < zeros || power > zeros + ones {
        return 0;
    }
    let chosen = power - zeros;
    let (mut binomial, mut i) = (1, 0);
    while i < chosen {
        binomial = binomial * (ones - i) as i64 / (i + 1) as i64;
        i += 1;
    }
    if chosen.is_multiple_of(2) {
        binomial
    } else {
        -binomial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies (RK.10).
    #[test]
    fn the_functions_are_the_alternating_products_and_their_expansions() {
        let by_hand: [fn(f64) -> f64; 5] = [
            |x| x,
            |x| x * (1.0 - x),
            |x| x * x * (1.0 - x),
            |x| x * x * (1.0 - x) * (1.0 - x),
            |x| x * x * x * (1.0 - x) * (1.0 - x),
        ];
        for theta in [0.0_f64, 0.25, 0.7, 1.0] {
            for m in 0..7 {
                let sum: f64 = (1..=8)
                    .map(|j| power_coefficient(m, j) as f64 * theta.powi(j as i32))
                    .sum();
                // Seven terms of size at most 12.
                assert!((weight(m, theta) - sum).abs() <= 1e-14, "{m}");
            }
            for (m, w) in by_hand.iter().enumerate() {
                assert!((weight(m, theta) - w(theta)).abs() <= 1e-15, "{m}");
            }
        }
    }
}
