//! **Adaptive steps**: what an adaptive solve is asked for, and its first step.

use crate::control::Controller;
use crate::error::Error;
use crate::norm::{Mean, Norm, Tolerance};

/// How the samples of a batch share their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// Each sample has its own, and its answer and its counts do not depend on
    /// the others, in bits, if the rows of the field do not. Samples that have
    /// arrived are put aside, and when a quarter of the active ones have, the
    /// batch is compacted, so that the field is not evaluated for rows that need
    /// nothing. A field that looks at the whole batch sees who is left, each at
    /// its own time: for such a field this is not a solution of its equation.
    PerSample,
    /// All have the same: cheapest in calls of the field, but the error is a
    /// property of the batch. The mean is taken over the samples' errors. The
    /// field always gets all rows in their order, as it does on a grid, until
    /// a sample is stopped by an event; so it may look at the whole batch, and
    /// the bits are those of one system of all coordinates.
    Shared(Mean),
}

/// How to solve adaptively.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// Where to begin.
    pub t0: f64,
    /// Where to end; before `t0` for a solve backwards.
    pub t1: f64,
    /// The error allowed and how it is measured.
    pub norm: Norm,
    /// The law of steps.
    pub controller: Controller,
    /// How the samples share their steps.
    pub batch: Batch,
    /// The first step, a positive length; found from the field if `None`.
    pub first_step: Option<f64>,
    /// Attempts after which to give up.
    pub max_steps: usize,
}

impl Adaptive {
    /// Relative and absolute tolerance alike, steps of their own for each
    /// sample by the law I, at most 10 000 attempts.
    ///
    /// # Errors
    /// If a time is not finite, both are equal, or the tolerance is not
    /// positive.
    pub fn new(t0: f64, t1: f64, tolerance: f64) -> Result<Self, Error> {
        let plan = Adaptive {
            t0,
            t1,
            norm: Norm {
                tolerance: Tolerance {
                    relative: tolerance,
                    absolute: tolerance,
                },
                mean: Mean::RootMeanSquare,
                leading: None,
            },
            controller: Controller::I,
            batch: Batch::PerSample,
            first_step: None,
            max_steps: 10_000,
        };
        plan.check().map(|()| plan)
    }

    /// Whether it makes sense: fields may have been changed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |name, value, expected| {
            Err(Error::Argument {
                name,
                value,
                expected,
            })
        };
        for (name, t) in [("t0", self.t0), ("t1", self.t1)] {
            if !t.is_finite() {
                return refuse(name, t, "a finite number");
            }
        }
        if self.t0 == self.t1 {
            return refuse("t1", self.t1, "another time than t0");
        }
        let Tolerance { relative, absolute } = self.norm.tolerance;
        // One of them may be 0, for purely relative or absolute control.
        let sizes = [relative, absolute].map(|x| x >= 0.0 && x.is_finite());
        if !(sizes[0] && sizes[1] && relative + absolute > 0.0) {
            let wrong = if sizes[0] { absolute } else { relative };
            return refuse("the tolerance", wrong, "a positive number");
        }
        if let Some(h) = self.first_step
            && !(h > 0.0 && h.is_finite())
        {
            return refuse("the first step", h, "a positive number");
        }
        let Controller {
            safety,
            least,
            most,
            beta,
        } = self.controller;
        for (name, value, holds, expected) in [
            (
                "the safety factor",
                safety,
                safety > 0.0 && safety <= 1.0,
                "above 0, at most 1",
            ),
            (
                "the least factor",
                least,
                least > 0.0 && least < 1.0,
                "between 0 and 1",
            ),
            ("the largest factor", most, most >= 1.0, "at least 1"),
        ] {
            if !holds {
                return refuse(name, value, expected);
            }
        }
        if let Some(&exponent) = beta.iter().find(|b| !b.is_finite()) {
            return refuse("an exponent of the controller", exponent, "a finite number");
        }
        if self.norm.leading == Some(0) {
            return refuse("the number of coordinates in the norm", 0.0, "at least 1");
        }
        Ok(())
    }

    /// The length of the interval.
    pub(crate) fn span(&self) -> f64 {
        (self.t1 - self.t0).abs()
    }

    /// A step small enough that an explicit Euler step says how the slope
    /// changes: a hundredth of the state's size over the slope's.
    pub(crate) fn probing_step(&self, size: f64, slope: f64) -> f64 {
        let usable = size >= 1e-5 && slope >= 1e-5 && slope.is_finite();
        // Nothing is known of the scale of time if either vanishes.
        let step = if usable { 0.01 * size / slope } else { 1e-6 };
        step.min(self.span())
    }

    /// A first step whose error is about a hundredth of what is allowed.
    ///
    /// ```math
    /// h = \min\Bigl(100\,h_0,\ \Bigl(\frac{0.01}{\max(d_1, d_2)}\Bigr)^{1/(\hat p+1)}\Bigr), \qquad
    /// d_2 = \frac{\lVert f(t_0 + h_0, y_0 + h_0 f_0) - f_0 \rVert}{h_0} \tag{RK.12}
    /// ```
    ///
    /// with `d₁ = ‖f₀‖`: Hairer, Nørsett and Wanner, *Solving ODEs I*, II.4.
    pub(crate) fn starting_step(&self, h0: f64, d1: f64, d2: f64, order: usize) -> f64 {
        let steepest = crate::norm::larger(d1, d2);
        let step = if steepest <= 1e-15 {
            (1e-3 * h0).max(1e-6)
        } else {
            (0.01 / steepest).powf(1.0 / (order + 1) as f64) // (RK.12)
        };
        // A slope that is not finite leaves the probing step; the attempts
        // that follow find out whether a shorter one helps.
        let step = if step.is_finite() { step } else { h0 };
        step.min(100.0 * h0).min(self.span())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Adaptive {
        Adaptive::new(3.0, 1.0, 1e-3).expect("a plan")
    }

    /// Why a plan with this tolerance is refused, or nothing.
    fn with_tolerance(relative: f64, absolute: f64) -> Option<String> {
        let mut plan = plan();
        plan.norm.tolerance = Tolerance { relative, absolute };
        plan.check().err().map(|error| error.to_string())
    }

    #[test]
    fn one_of_the_tolerances_may_be_zero_and_the_wrong_one_is_named() {
        assert_eq!(with_tolerance(0.0, 1e-3), None);
        assert_eq!(with_tolerance(1e-3, 0.0), None);
        for (relative, absolute, wrong) in [
            (0.0, 0.0, "0"),
            (-1.0, 2.0, "-1"),
            (2.0, -1.0, "-1"),
            (f64::NAN, 1e-3, "NaN"),
            (1e-3, f64::NAN, "NaN"),
            (f64::INFINITY, 1e-3, "inf"),
            (1e-3, f64::INFINITY, "inf"),
        ] {
            let said = with_tolerance(relative, absolute).expect("it is refused");
            let value = format!("the tolerance is {wrong};");
            assert!(said.starts_with(&value), "{relative} {absolute}: {said}");
        }
    }

    #[test]
    fn first_steps_and_norms_of_nothing_are_refused() {
        for (h, fits) in [
            (0.1, true),
            (0.0, false),
            (-0.1, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            let mut plan = plan();
            plan.first_step = Some(h);
            assert_eq!(plan.check().is_ok(), fits, "{h}");
        }
        let mut plan = plan();
        plan.norm.leading = Some(0);
        assert!(plan.check().is_err());
        plan.norm.leading = Some(1);
        assert!(plan.check().is_ok());
    }

    #[test]
    fn a_law_that_cannot_shrink_or_grow_a_step_is_refused() {
        let law = Controller::PI;
        for (controller, fits) in [
            (law, true),
            (Controller { safety: 1.0, ..law }, true),
            (Controller { safety: 1.1, ..law }, false),
            (Controller { safety: 0.0, ..law }, false),
            (Controller { least: 1.0, ..law }, false),
            (Controller { least: 0.0, ..law }, false),
            (Controller { most: 1.0, ..law }, true),
            (Controller { most: 0.9, ..law }, false),
            (
                Controller {
                    most: f64::NAN,
                    ..law
                },
                false,
            ),
            (
                Controller {
                    beta: [0.7, f64::INFINITY, 0.0],
                    ..law
                },
                false,
            ),
        ] {
            let mut plan = plan();
            plan.controller = controller;
            assert_eq!(plan.check().is_ok(), fits, "{controller:?}");
        }
    }

    #[test]
    fn a_probing_step_is_a_hundredth_of_the_scale_of_time() {
        let plan = plan();
        assert_eq!(plan.span(), 2.0);
        assert_eq!(plan.probing_step(2.0, 4.0), 0.01 * 2.0 / 4.0);
        assert_eq!(plan.probing_step(1e-5, 1e-5), 0.01);
        assert_eq!(plan.probing_step(1e6, 1.0), 2.0, "no longer than the span");
        for (size, slope) in [
            (9e-6, 1.0),
            (1.0, 9e-6),
            (1.0, f64::INFINITY),
            (1.0, f64::NAN),
        ] {
            assert_eq!(plan.probing_step(size, slope), 1e-6, "{size} {slope}");
        }
    }

    /// Verifies (RK.12).
    #[test]
    fn a_first_step_is_hairers() {
        let plan = plan();
        let near = |found: f64, expected: f64| {
            assert!(
                (found - expected).abs() <= 4.0 * f64::EPSILON * expected,
                "{found}"
            );
        };
        // The steeper of both: (0.01/4)^(1/2) and (0.01/8)^(1/3).
        near(plan.starting_step(0.01, 4.0, 1.0, 1), 0.05);
        near(
            plan.starting_step(0.01, 1.0, 8.0, 2),
            (0.01f64 / 8.0).cbrt(),
        );
        near(plan.starting_step(1e-4, 4.0, 1.0, 1), 0.01);
        near(plan.starting_step(0.5, 1e-6, 0.0, 1), 2.0);
        // Nothing moves: a thousandth of the probing step, or a millionth.
        near(plan.starting_step(0.5, 0.0, 0.0, 1), 5e-4);
        near(plan.starting_step(1e-4, 0.0, 1e-15, 1), 1e-6);
        near(plan.starting_step(1e-9, 0.0, 0.0, 1), 1e-7);
        // What is not finite leaves the probing step.
        near(plan.starting_step(0.02, f64::NAN, 1.0, 1), 0.02);
        near(plan.starting_step(0.02, 1.0, f64::NAN, 1), 0.02);
    }
}
