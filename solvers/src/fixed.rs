//! **Fixed steps**: one step for each interval of a grid, for all samples.

use crate::error::Error;
use crate::method::Method;
use crate::space::{Field, Space};
use crate::step::{End, Outcome, Stages};
use crate::time_grid::TimeGrid;
use std::ops::ControlFlow;

/// A problem: the space, the field, and who watches.
pub struct Solve<'a, P: Space, F> {
    pub(crate) space: &'a P,
    pub(crate) field: &'a mut F,
    pub(crate) observer: Option<Observer<'a, P::State>>,
}

/// Sees each accepted step: the times of the samples and their states. It may
/// stop the solve.
pub(crate) type Observer<'a, S> = &'a mut dyn FnMut(&[f64], &S) -> ControlFlow<()>;

impl<P: Space, F> std::fmt::Debug for Solve<'_, P, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solve").finish_non_exhaustive()
    }
}

impl<'a, P: Space, F: Field<P::State>> Solve<'a, P, F> {
    /// `dy/dt = field(t, y)` in a space.
    pub fn new(space: &'a P, field: &'a mut F) -> Self {
        Solve {
            space,
            field,
            observer: None,
        }
    }

    /// Shows every accepted step to `observer`, the start included.
    #[must_use]
    pub fn observed(mut self, observer: Observer<'a, P::State>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Solves with one step for each interval of the grid. A sample's answer
    /// does not depend on the other samples of the batch.
    ///
    /// # Errors
    /// None at present beyond those of the grid's construction.
    pub fn fixed(
        mut self,
        method: &Method,
        y0: P::State,
        grid: &TimeGrid,
    ) -> Result<End<P::State>, Error> {
        let rows = self.space.rows(&y0);
        let nodes = grid.nodes();
        let last = nodes[nodes.len() - 1];
        let mut y = y0;
        let mut stages = Stages::new(method, &y, rows);
        let (mut t, mut h) = (vec![nodes[0]; rows], vec![0.0; rows]);
        let mut end = (Outcome::Done, 0, 0);
        let mut stop = self.show(&t, &y);
        for interval in nodes.windows(2) {
            if stop {
                end.0 = Outcome::Stopped;
                break;
            }
            t.fill(interval[0]);
            h.fill(interval[1] - interval[0]);
            let problem = (self.space, &mut *self.field);
            end.1 += stages.attempt(problem, method, (&t, &y), (&h, last));
            if let Some(sample) = self.space.non_finite_row(&stages.y) {
                let t = interval[0];
                end.0 = Outcome::NonFinite { t, sample };
                break;
            }
            std::mem::swap(&mut y, &mut stages.y);
            end.2 += rows;
            t.fill(interval[1]);
            if method.first_same_as_last {
                stages.reuse_last();
            }
            stop = self.show(&t, &y);
        }
        let (outcome, evaluations, accepted) = end;
        Ok(End {
            state: y,
            times: t,
            outcome,
            evaluations,
            sample_evaluations: evaluations * rows,
            accepted,
            rejected: 0,
        })
    }

    /// Whether the observer, if there is one, asks to stop.
    pub(crate) fn show(&mut self, t: &[f64], y: &P::State) -> bool {
        match &mut self.observer {
            Some(observer) => observer(t, y).is_break(),
            None => false,
        }
    }
}
