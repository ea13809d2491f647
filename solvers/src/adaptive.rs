//! **Adaptive steps**, each sample with its own.
//!
//! Every row has its own time and step. Rows that have arrived are put aside,
//! and when half of the active ones have, the batch is compacted, so that the
//! field is not evaluated for rows that need nothing. A sample's answer is the
//! same in any batch, in bits, if the rows of the field are.

use crate::control::factor;
use crate::error::Error;
use crate::fixed::Solve;
use crate::method::{Estimator, Method};
use crate::space::{Field, Space};
use crate::step::{End, Outcome, Stages, weighted};

/// The error allowed in a step: `absolute + relative·|y|`, coordinate by
/// coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative to the size of the coordinate.
    pub relative: f64,
    /// In the coordinate's own unit.
    pub absolute: f64,
}

impl Tolerance {
    /// The size of an error in units of what is allowed: 1 is just acceptable.
    ///
    /// ```math
    /// e = \Bigl(\frac1d \sum_{i=1}^d \Bigl(\frac{\text{error}_i}{\text{absolute} +
    /// \text{relative}\cdot\max(|y_{0,i}|, |y_{1,i}|)}\Bigr)^2\Bigr)^{1/2} \tag{RK.5}
    /// ```
    ///
    /// The coordinates come as `(error, y₀, y₁)`; a NaN among them gives NaN.
    #[must_use]
    pub fn norm(&self, coordinates: impl ExactSizeIterator<Item = (f64, f64, f64)>) -> f64 {
        let d = coordinates.len() as f64;
        let squares = coordinates.map(|(error, y0, y1)| {
            // `max` drops a NaN; a NaN in y must not vanish here.
            let poison = 0.0 * (y0 + y1);
            let size = y0.abs().max(y1.abs()) + poison;
            (error / (self.absolute + self.relative * size)).powi(2)
        });
        (squares.sum::<f64>() / d).sqrt() // (RK.5)
    }
}

/// How to solve adaptively.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// Where to begin.
    pub t0: f64,
    /// Where to end; before `t0` for a solve backwards.
    pub t1: f64,
    /// The error allowed.
    pub tolerance: Tolerance,
    /// Attempts after which to give up.
    pub max_steps: usize,
}

impl Adaptive {
    /// Relative and absolute tolerance alike, at most 10 000 attempts.
    ///
    /// # Errors
    /// If a time is not finite, both are equal, or the tolerance is not
    /// positive.
    pub fn new(t0: f64, t1: f64, tolerance: f64) -> Result<Self, Error> {
        let argument = |name, value, expected| Error::Argument {
            name,
            value,
            expected,
        };
        for (name, t) in [("t0", t0), ("t1", t1)] {
            if !t.is_finite() {
                return Err(argument(name, t, "a finite number"));
            }
        }
        if t0 == t1 {
            return Err(argument("t1", t1, "another time than t0"));
        }
        if !(tolerance > 0.0 && tolerance.is_finite()) {
            return Err(argument("the tolerance", tolerance, "a positive number"));
        }
        Ok(Adaptive {
            t0,
            t1,
            tolerance: Tolerance {
                relative: tolerance,
                absolute: tolerance,
            },
            max_steps: 10_000,
        })
    }
}

/// The samples still under way.
struct Active<S> {
    /// Their rows in the whole batch.
    rows: Vec<usize>,
    t: Vec<f64>,
    h: Vec<f64>,
    y: S,
    rejected: Vec<bool>,
}

impl<P: Space, F: Field<P::State>> Solve<'_, P, F> {
    /// Solves with steps chosen for each sample by the embedded estimate.
    ///
    /// # Errors
    /// If the method has no embedded weights.
    pub fn adaptive(
        mut self,
        method: &Method,
        y0: P::State,
        plan: &Adaptive,
    ) -> Result<End<P::State>, Error> {
        let Some(Estimator::Embedded { weights, .. }) = &method.estimator else {
            return Err(Error::NoEstimator {
                method: method.name,
            });
        };
        let count = self.space.rows(&y0);
        let mut end = End {
            state: y0.clone(),
            times: vec![plan.t0; count],
            outcome: Outcome::Done,
            evaluations: 0,
            sample_evaluations: 0,
            accepted: 0,
            rejected: 0,
        };
        let mut active = Active {
            rows: (0..count).collect(),
            t: vec![plan.t0; count],
            h: vec![0.0; count],
            rejected: vec![false; count],
            y: y0,
        };
        let mut stages = Stages::new(method, &active.y, count);
        if let Some(sample) = self.space.non_finite_row(&active.y) {
            end.outcome = Outcome::NonFinite { t: plan.t0, sample };
            return Ok(end);
        }
        self.first_steps(plan, &mut active, &mut stages, &mut end);
        let mut errors = vec![0.0; count];
        let mut accept = vec![false; count];
        if self.show(&active.t, &active.y) {
            end.outcome = Outcome::Stopped;
            return Ok(end);
        }
        for _ in 0..plan.max_steps {
            if active.rows.is_empty() {
                break;
            }
            let problem = (self.space, &mut *self.field);
            let made = stages.attempt(
                problem,
                method,
                (&active.t, &active.y),
                (&active.h, plan.t1),
            );
            end.evaluations += made;
            end.sample_evaluations += made * active.rows.len();
            weighted(&weights.0, &stages.k, |terms| {
                let between = (&active.y, &stages.y);
                self.space
                    .error_norm(&mut errors, between, &active.h, terms, plan.tolerance);
            });
            let failure = judge(plan, method, &errors, &mut active, &mut accept, &mut end);
            // FSAL for rows that move on, the old first stage for the others.
            let last = method.stages() - 1;
            self.space.choose(&mut active.y, &stages.y, &accept);
            if method.first_same_as_last {
                let (first, rest) = stages.k.split_at_mut(1);
                self.space.choose(&mut first[0], &rest[last - 1], &accept);
                stages.keep_first();
            }
            for (i, &row) in active.rows.iter().enumerate() {
                end.times[row] = active.t[i];
            }
            if let Some(outcome) = failure {
                end.outcome = outcome;
                self.space.put(&mut end.state, &active.rows, &active.y);
                return Ok(end);
            }
            self.compact(plan, &mut active, &mut stages, &mut end);
            errors.truncate(active.rows.len());
            accept.truncate(active.rows.len());
            let stop = match active.rows.is_empty() {
                true => self.show(&end.times, &end.state),
                false => self.show(&active.t, &active.y),
            };
            if stop && !active.rows.is_empty() {
                end.outcome = Outcome::Stopped;
                break;
            }
        }
        if !active.rows.is_empty() {
            self.space.put(&mut end.state, &active.rows, &active.y);
            if end.outcome == Outcome::Done {
                end.outcome = Outcome::MaxSteps;
            }
        }
        Ok(end)
    }

    /// A first step for each sample: such that an explicit Euler step changes
    /// the state by a hundredth of its scale (Hairer, Nørsett and Wanner, II.4,
    /// first half of the algorithm), and never past `t1`.
    fn first_steps(
        &mut self,
        plan: &Adaptive,
        active: &mut Active<P::State>,
        stages: &mut Stages<P::State>,
        end: &mut End<P::State>,
    ) {
        let count = active.rows.len();
        stages.times.fill(plan.t0);
        self.field.eval(&stages.times, &active.y, &mut stages.k[0]);
        end.evaluations += 1;
        end.sample_evaluations += count;
        stages.keep_first();
        let span = plan.t1 - plan.t0;
        let (mut size, mut slope) = (vec![0.0; count], vec![0.0; count]);
        let between = (&active.y, &active.y);
        let ones = vec![1.0; count];
        let norm = |out: &mut [f64], k: &P::State| {
            self.space
                .error_norm(out, between, &ones, &[(1.0, k)], plan.tolerance);
        };
        norm(&mut size, &active.y);
        norm(&mut slope, &stages.k[0]);
        for (h, (size, slope)) in active.h.iter_mut().zip(size.iter().zip(&slope)) {
            // A vanishing or non-finite slope says nothing about the scale of
            // time; then a hundredth of the interval is tried.
            let usable = *size >= 1e-5 && *slope >= 1e-5 && slope.is_finite();
            let step = match usable {
                true => 0.01 * size / slope,
                false => 0.01 * span.abs(),
            };
            *h = step.min(span.abs()) * span.signum();
        }
    }

    /// Puts finished rows aside, once half of the active ones are finished.
    fn compact(
        &self,
        plan: &Adaptive,
        active: &mut Active<P::State>,
        stages: &mut Stages<P::State>,
        end: &mut End<P::State>,
    ) {
        let under_way = |t: &f64| t.to_bits() != plan.t1.to_bits();
        // Counted before they are listed: most steps end here and allocate
        // nothing.
        if 2 * active.t.iter().filter(|t| under_way(t)).count() > active.rows.len() {
            return;
        }
        let left: Vec<usize> = (0..active.rows.len())
            .filter(|&i| under_way(&active.t[i]))
            .collect();
        self.space.put(&mut end.state, &active.rows, &active.y);
        active.y = self.space.take(&active.y, &left);
        for k in &mut stages.k {
            *k = self.space.take(k, &left);
        }
        stages.y = active.y.clone();
        stages.times.truncate(left.len());
        let pick = |v: &[f64]| left.iter().map(|&i| v[i]).collect::<Vec<_>>();
        (active.t, active.h) = (pick(&active.t), pick(&active.h));
        active.rejected = left.iter().map(|&i| active.rejected[i]).collect();
        active.rows = left.iter().map(|&i| active.rows[i]).collect();
    }
}

/// Accepts or rejects the step of each row and sets its next one.
fn judge<S>(
    plan: &Adaptive,
    method: &Method,
    errors: &[f64],
    active: &mut Active<S>,
    accept: &mut [bool],
    end: &mut End<S>,
) -> Option<Outcome> {
    let mut failure = None;
    for (i, &error) in errors.iter().enumerate() {
        let (t, h) = (active.t[i], active.h[i]);
        if h == 0.0 {
            accept[i] = false; // It has arrived already.
            continue;
        }
        accept[i] = error <= 1.0;
        let factor = factor(error, (method.order - 1) as u32, active.rejected[i]);
        active.rejected[i] = !accept[i];
        if accept[i] {
            end.accepted += 1;
            let arrived = (t + h - plan.t1) * h.signum() >= 0.0;
            active.t[i] = if arrived { plan.t1 } else { t + h };
        } else {
            end.rejected += 1;
        }
        let left = plan.t1 - active.t[i];
        let next = h * factor;
        // A rest shorter than a step, or about to be, is taken whole.
        active.h[i] = if next.abs() >= left.abs() { left } else { next };
        let sample = active.rows[i];
        if left != 0.0 && active.t[i] + active.h[i] == active.t[i] && failure.is_none() {
            failure = Some(match error.is_nan() || error == f64::INFINITY {
                true => Outcome::NonFinite { t, sample },
                false => Outcome::StepUnderflow { t, sample },
            });
        }
    }
    failure
}
