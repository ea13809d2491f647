//! **Reversible Heun**: a step that can be taken back to rounding.
//!
//! ```math
//! \hat y_1 = 2y_0 - \hat y_0 + h f(t_0, \hat y_0), \qquad
//! y_1 = y_0 + \tfrac h2\bigl(f(t_0, \hat y_0) + f(t_1, \hat y_1)\bigr) \tag{RV.1}
//! ```
//!
//! The same formula with `−h` leads from `(y₁, ŷ₁)` back to `(y₀, ŷ₀)`. So
//! a gradient needs no stored states: they are made again on the way back. One
//! evaluation a step, order 2. Kidger, Foster, Li and Lyons, *Efficient and
//! accurate gradients for neural SDEs*, NeurIPS 2021.

use crate::end::{End, Outcome};
use crate::space::{Field, Space};
use crate::time_grid::TimeGrid;

/// A state and its companion.
#[derive(Clone, Debug, PartialEq)]
pub struct Companions<S> {
    /// The solution.
    pub y: S,
    /// Where the slopes are taken.
    pub hat: S,
}

impl<S: Clone> Companions<S> {
    /// Both at the start.
    #[must_use]
    pub fn at(y: S) -> Self {
        Companions { hat: y.clone(), y }
    }
}

/// Solves on a grid. On the reversed grid, from the end, it returns to the
/// start.
pub fn reversible_heun<P: Space, F: Field<P::State>>(
    space: &P,
    field: &mut F,
    start: Companions<P::State>,
    grid: &TimeGrid,
) -> End<Companions<P::State>> {
    let (nodes, rows) = (grid.nodes(), space.rows(&start.y));
    let mut end = End::at_start(&start, nodes[0], rows);
    let mut stepper = ReversibleStep::new(space, field, start, nodes[0]);
    end.note_evaluations(1);
    let mut before = stepper.state.clone();
    for interval in nodes.windows(2) {
        before.y.clone_from(&stepper.state.y);
        before.hat.clone_from(&stepper.state.hat);
        stepper.go(space, field, (interval[0], interval[1]));
        if let Some(sample) = space.non_finite_row(&stepper.state.y) {
            end.note_evaluations(1);
            let t = interval[0];
            end.outcome = Outcome::NonFinite { t, sample };
            stepper.state = before;
            break;
        }
        end.note_step(1, interval[1]);
    }
    end.state = stepper.state;
    end
}

/// A state under way, with the slope at its companion.
pub(crate) struct ReversibleStep<S> {
    pub(crate) state: Companions<S>,
    pub(crate) slope: S,
    spare: (S, S),
    times: Vec<f64>,
}

impl<S: Clone> ReversibleStep<S> {
    pub(crate) fn new<P, F>(space: &P, field: &mut F, start: Companions<S>, t: f64) -> Self
    where
        P: Space<State = S>,
        F: Field<S>,
    {
        let times = vec![t; space.rows(&start.y)];
        let mut slope = start.y.clone();
        field.eval(&times, &start.hat, &mut slope);
        ReversibleStep {
            spare: (start.y.clone(), start.y.clone()),
            state: start,
            slope,
            times,
        }
    }

    /// From `t0` to `t1`, later or earlier.
    pub(crate) fn go<P, F>(&mut self, space: &P, field: &mut F, (t0, t1): (f64, f64))
    where
        P: Space<State = S>,
        F: Field<S>,
    {
        let (h, ones) = (t1 - t0, [1.0]);
        let Companions { y, hat } = &mut self.state;
        let (next, slope) = (&mut self.spare.0, &mut self.spare.1);
        // ŷ₁ = y + ((y − ŷ) + h f).
        space.combine(next, y, &ones, &[(1.0, y), (-1.0, hat), (h, &self.slope)]);
        std::mem::swap(hat, next);
        self.times.fill(t1);
        field.eval(&self.times, hat, slope);
        space.combine(next, y, &ones, &[(0.5 * h, &self.slope), (0.5 * h, slope)]); // (RV.1)
        std::mem::swap(y, next);
        std::mem::swap(&mut self.slope, slope);
    }
}
