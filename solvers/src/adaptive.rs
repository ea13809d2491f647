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
