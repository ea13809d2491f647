//! **Solve**: a problem, and what is wanted of its solution.

use crate::adaptive::{Adaptive, Batch};
use crate::end::{End, Outcome};
use crate::error::Error;
use crate::event::Event;
use crate::integrate::{Run, Steps};
use crate::lockstep::Lockstep;
use crate::method::Method;
use crate::space::{Field, Space};
use crate::time_grid::TimeGrid;
use crate::trajectory::{Keeper, Trajectory};
use std::ops::ControlFlow;

/// A problem: the space, the field, who watches, and what is to be kept.
pub struct Solve<'a, P: Space, F> {
    pub(crate) space: &'a P,
    pub(crate) field: &'a mut F,
    pub(crate) observer: Option<Observer<'a, P::State>>,
    pub(crate) save_at: &'a [f64],
    pub(crate) event: Option<Event<'a, P::State>>,
    block: Option<usize>,
    /// Who keeps the steps.
    pub(crate) keeper: Option<&'a mut dyn Keeper<P::State>>,
    /// The row of the whole batch that is the first of this block.
    pub(crate) first: usize,
}

/// Sees each step: the times of the active samples and their states. It may
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
            save_at: &[],
            event: None,
            block: None,
            keeper: None,
            first: 0,
        }
    }

    /// Shows the start and the state after every attempted step to `observer`.
    #[must_use]
    pub fn observed(mut self, observer: Observer<'a, P::State>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Keeps the states at these times, which must go strictly in the
    /// direction of the solve, within its interval. Steps are not changed for
    /// them: values come from dense output, of the method's `dense_order`.
    #[must_use]
    pub fn save_at(mut self, times: &'a [f64]) -> Self {
        self.save_at = times;
        self
    }

    /// Keeps the whole solution, so that it can be asked for its value at any
    /// time later. What was in `trajectory` is forgotten. Each step then
    /// allocates what it keeps: a state, and as many sums of slopes as dense
    /// output has functions.
    #[must_use]
    pub fn kept_in(self, trajectory: &'a mut Trajectory<P::State>) -> Self {
        self.keeper(trajectory)
    }

    /// Hands each accepted step to `keeper`.
    pub(crate) fn keeper(mut self, keeper: &'a mut dyn Keeper<P::State>) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// Looks for an event.
    #[must_use]
    pub fn event(mut self, event: Event<'a, P::State>) -> Self {
        self.event = Some(event);
        self
    }

    /// Solves this many samples at a time, from beginning to end, so that the
    /// stages of a block stay in the cache where those of the whole batch do
    /// not; measure whether that pays. The answers are the same, in bits. The
    /// field must not tell rows by their place, and an observer sees one block
    /// after the other.
    ///
    /// A batch that shares steps chosen by its error goes through each of them
    /// block by block, if nothing is observed, saved, kept or looked for; its
    /// error is then the same sum in another order, so that its answer is the
    /// same to rounding. If something is, it is not divided.
    ///
    /// # Panics
    /// If `rows` is 0.
    #[must_use]
    pub fn in_blocks(mut self, rows: usize) -> Self {
        assert!(rows > 0, "a block needs at least one row");
        self.block = Some(rows);
        self
    }

    /// Solves with one step for each interval of the grid. A sample's answer
    /// does not depend on the other samples of the batch, in bits, if the rows
    /// of the field do not; a field that looks at the whole batch gets all rows,
    /// in their order, at every step, but for blocks and for samples that an
    /// event has stopped.
    ///
    /// # Errors
    /// If the times of `save_at` are not in order within the grid.
    pub fn fixed(
        self,
        method: &'a Method,
        y0: P::State,
        grid: &'a TimeGrid,
    ) -> Result<End<P::State>, Error> {
        let nodes = grid.nodes();
        check_saves(self.save_at, nodes[0], nodes[nodes.len() - 1])?;
        Ok(self.run(method, Steps::Grid(nodes), y0))
    }

    /// Solves with steps chosen by the error estimate.
    ///
    /// # Errors
    /// If the method has no error estimate, the plan makes no sense, or the
    /// times of `save_at` are not in order within its interval.
    pub fn adaptive(
        self,
        method: &'a Method,
        y0: P::State,
        plan: &'a Adaptive,
    ) -> Result<End<P::State>, Error> {
        let Some(estimator) = &method.estimator else {
            return Err(Error::NoEstimator {
                method: method.name,
            });
        };
        plan.check()?;
        check_saves(self.save_at, plan.t0, plan.t1)?;
        let mut solve = self;
        if let Batch::Shared(mean) = plan.batch {
            let block = solve.block.take();
            let asked = solve.observer.is_some() || solve.event.is_some();
            let kept = solve.keeper.is_some() || !solve.save_at.is_empty();
            let count = solve.space.rows(&y0);
            if let Some(block) = block
                && block < count
                && !(asked || kept)
            {
                let problem = (solve.space, solve.field);
                let how = (method, estimator);
                let lockstep = Lockstep::new(problem, how, (plan, mean), (&y0, block));
                return Ok(lockstep.integrate(End::at_start(&y0, plan.t0, count)));
            }
        }
        Ok(solve.run(method, Steps::Chosen { plan, estimator }, y0))
    }
}

impl<'a, P: Space, F: Field<P::State>> Solve<'a, P, F> {
    /// All of it, block by block if there are blocks.
    fn run(mut self, method: &'a Method, steps: Steps<'a>, y0: P::State) -> End<P::State> {
        let count = self.space.rows(&y0);
        if let Some(keeper) = &mut self.keeper {
            keeper.begin(steps.ends().0, &y0, count);
        }
        let block = self.block.unwrap_or(count).max(1);
        if block >= count {
            return Run::new(self, method, steps, y0).integrate();
        }
        let space = self.space;
        let mut whole = End::at_start(&y0, steps.ends().0, count);
        whole.saved = vec![y0.clone(); self.save_at.len()];
        for first in (0..count).step_by(block) {
            let rows: Vec<usize> = (first..count.min(first + block)).collect();
            let part =
                Run::new(self.part(first), method, steps, space.take(&y0, &rows)).integrate();
            space.put(&mut whole.state, &rows, &part.state);
            for (all, part) in whole.saved.iter_mut().zip(&part.saved) {
                space.put(all, &rows, part);
            }
            let stopped = part.outcome == Outcome::Stopped;
            whole.gather(first, part);
            if stopped {
                break;
            }
        }
        whole
    }

    /// The same problem, lent for one block.
    fn part(&mut self, first: usize) -> Solve<'_, P, F> {
        Solve {
            space: self.space,
            field: self.field,
            observer: match &mut self.observer {
                Some(observer) => Some(&mut **observer),
                None => None,
            },
            save_at: self.save_at,
            event: self.event.as_mut().map(Event::lend),
            block: None,
            keeper: match &mut self.keeper {
                Some(keeper) => Some(&mut **keeper),
                None => None,
            },
            first,
        }
    }
}

fn check_saves(times: &[f64], t0: f64, t1: f64) -> Result<(), Error> {
    let (low, high) = (t0.min(t1), t0.max(t1));
    if let Some(&value) = times.iter().find(|t| !(low..=high).contains(t)) {
        return Err(Error::Argument {
            name: "a time to save at",
            value,
            expected: "a time within the interval of the solve",
        });
    }
    let in_order = |w: &[f64]| (w[1] - w[0]) * (t1 - t0) > 0.0;
    match times.windows(2).position(|w| !in_order(w)) {
        Some(place) => Err(Error::Grid { place }),
        None => Ok(()),
    }
}
