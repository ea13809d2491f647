//! **Adams–Bashforth**: one evaluation a step, from slopes already known.
//!
//! ```math
//! y_{n+1} = y_n + h \sum_{j=0}^{k-1} \beta_j\, f(t_{n-j}, y_{n-j}) \tag{AB.1}
//! ```
//!
//! The slope is extrapolated by the polynomial through the last `k`, so the
//! order is `k` if powers below `k` are integrated exactly:
//!
//! ```math
//! \sum_{j=0}^{k-1} \beta_j (-j)^m = \frac{1}{m+1}, \qquad m < k \tag{AB.2}
//! ```
//!
//! which is checked when this is compiled. The grid must be uniform; the first
//! `k − 1` steps are RK4's. Bashforth and Adams 1883; Hairer, Nørsett and
//! Wanner, *Solving ODEs I*, III.1.

use crate::end::{End, Outcome};
use crate::error::Error;
use crate::fraction::{Fraction, frac};
use crate::method::Terms;
use crate::methods::RK4;
use crate::space::{Field, Space};
use crate::step::{Stages, Times, weighted};
use crate::time_grid::TimeGrid;

/// A method of Adams and Bashforth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdamsBashforth {
    beta: &'static [Fraction],
}

/// Order 2.
pub const AB2: AdamsBashforth = AdamsBashforth::checked(&[frac(3, 2), frac(-1, 2)]);
/// Order 3.
pub const AB3: AdamsBashforth = AdamsBashforth::checked(&[frac(23, 12), frac(-4, 3), frac(5, 12)]);
/// Order 4.
pub const AB4: AdamsBashforth =
    AdamsBashforth::checked(&[frac(55, 24), frac(-59, 24), frac(37, 24), frac(-3, 8)]);

impl AdamsBashforth {
    /// # Panics
    /// If the order is not the number of coefficients.
    const fn checked(beta: &'static [Fraction]) -> Self {
        let mut m = 0;
        while m < beta.len() {
            let mut sum = Fraction::ZERO;
            let mut j = 0;
            while j < beta.len() {
                let power = frac((-(j as i128)).pow(m as u32), 1);
                sum = sum.plus(beta[j].times(power));
                j += 1;
            }
            assert!(
                sum.is(frac(1, m as i128 + 1)),
                "powers are integrated exactly"
            ); // (AB.2)
            m += 1;
        }
        AdamsBashforth { beta }
    }

    /// The order, and the number of slopes used.
    #[must_use]
    pub fn order(&self) -> usize {
        self.beta.len()
    }

    /// Solves on a uniform grid.
    ///
    /// # Errors
    /// If the grid is not uniform to rounding, or has fewer intervals than the
    /// order.
    pub fn solve<P: Space, F: Field<P::State>>(
        &self,
        space: &P,
        field: &mut F,
        y0: P::State,
        grid: &TimeGrid,
    ) -> Result<End<P::State>, Error> {
        let (nodes, k) = (grid.nodes(), self.order());
        self.check(nodes)?;
        let rows = space.rows(&y0);
        let mut end = End::at_start(&y0, nodes[0], rows);
        let mut stages = Stages::new(&RK4, &y0, rows);
        let (mut y, mut next) = (y0.clone(), y0.clone());
        // The latest slope first.
        let mut slopes = vec![y0; k];
        let beta: Vec<f64> = self.beta.iter().map(|b| b.to_f64()).collect();
        let beta = Terms::of(&beta);
        let mut times = vec![nodes[0]; rows];
        for (n, interval) in nodes.windows(2).enumerate() {
            let h = [interval[1] - interval[0]];
            slopes.rotate_right(1);
            let made = if n + 1 < k {
                stages.forget();
                let step = Times {
                    t: &interval[..1],
                    h: &h,
                    next: &interval[1..],
                };
                let made = stages.attempt((space, field), &RK4, (step, &y));
                std::mem::swap(&mut next, &mut stages.y);
                slopes[0].clone_from(&stages.k[0]);
                made
            } else {
                times.fill(interval[0]);
                field.eval(&times, &y, &mut slopes[0]);
                weighted(&beta, &slopes, |terms| {
                    space.combine(&mut next, &y, &h, terms); // (AB.1)
                });
                1
            };
            if let Some(sample) = space.non_finite_row(&next) {
                end.note_evaluations(made);
                let t = interval[0];
                end.outcome = Outcome::NonFinite { t, sample };
                break;
            }
            std::mem::swap(&mut y, &mut next);
            end.note_step(made, interval[1]);
        }
        end.state = y;
        Ok(end)
    }

    fn check(&self, nodes: &[f64]) -> Result<(), Error> {
        let count = nodes.len() - 1;
        if count < self.order() {
            return Err(Error::Argument {
                name: "the number of intervals",
                value: count as f64,
                expected: "at least the order of the multistep method",
            });
        }
        let span = nodes[count] - nodes[0];
        let h = span / count as f64;
        // Nodes are rounded once, and so are their differences.
        let largest = nodes[0].abs().max(nodes[count].abs());
        let off = |w: &[f64]| !((w[1] - w[0] - h).abs() <= 4.0 * f64::EPSILON * largest);
        match nodes.windows(2).find(|w| off(w)) {
            Some(w) => Err(Error::Argument {
                name: "an interval of the grid",
                value: w[1] - w[0],
                expected: "all alike",
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each coefficient a little off, and two that are exchanged.
    ///
    /// Verifies (AB.2).
    #[test]
    fn wrong_coefficients_do_not_pass() {
        let passes = |beta: &[(i128, i128)]| {
            let beta: Vec<Fraction> = beta.iter().map(|&(p, q)| frac(p, q)).collect();
            let beta: &'static [Fraction] = beta.leak();
            std::panic::catch_unwind(|| AdamsBashforth::checked(beta)).is_ok()
        };
        assert!(passes(&[(3, 2), (-1, 2)]));
        assert!(!passes(&[(301, 200), (-1, 2)]));
        assert!(!passes(&[(3, 2), (-101, 200)]));
        assert!(!passes(&[(-1, 2), (3, 2)]));
        // Its sum is 1, and its first moment is wrong.
        assert!(!passes(&[(2, 1), (-1, 1)]));
        assert!(!passes(&[(1, 2)]));
    }
}
