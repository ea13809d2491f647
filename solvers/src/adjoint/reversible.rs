//! **Reversible adjoint**: the derivative of reversible Heun's steps, (RV.1).
//!
//! Each step is taken back, and the cotangents of `y`, `ŷ` and of the slope at
//! `ŷ`, which the next step uses again, go back with it:
//!
//! ```math
//! \begin{aligned}
//! \bar f_1 &\leftarrow \bar f_1 + \tfrac h2 \bar y_1, &
//! \bar{\hat y}_1 &\leftarrow \bar{\hat y}_1 + \Bigl(\frac{\partial f}{\partial y}(\hat y_1)\Bigr)^{\!\mathsf T} \bar f_1, \\
//! \bar y_0 &= \bar y_1 + 2\bar{\hat y}_1, \quad \bar{\hat y}_0 = -\bar{\hat y}_1, &
//! \bar f_0 &= \tfrac h2 \bar y_1 + h\,\bar{\hat y}_1
//! \end{aligned} \tag{AJ.4}
//! ```
//!
//! Exact for the steps that were made, up to the rounding of taking them back,
//! with nothing stored.

use super::Pull;
use crate::reversible::{Companions, ReversibleStep};
use crate::space::{Field, Space};
use crate::time_grid::TimeGrid;

/// What a reversible adjoint found.
#[derive(Clone, Debug)]
pub struct ReversibleAdjoint<S> {
    /// The start, come back to.
    pub start: Companions<S>,
    /// The cotangent of the start, at which both companions are.
    pub start_bar: S,
    /// Evaluations of the field and, as many, of its pull.
    pub evaluations: usize,
}

/// The cotangent of the start, from the end of
/// [`reversible_heun`](crate::reversible_heun) and the cotangent of its `y`; the
/// grid is that of the way there.
pub fn reversible_adjoint<P: Space>(
    space: &P,
    (field, pull): (&mut impl Field<P::State>, &mut impl Pull<P::State>),
    (end, end_bar): (Companions<P::State>, &P::State),
    grid: &TimeGrid,
) -> ReversibleAdjoint<P::State> {
    let (nodes, rows) = (grid.nodes(), space.rows(&end.y));
    let sum = |out: &mut P::State, y: &P::State, terms: &[(f64, &P::State)]| {
        space.combine(out, y, &[1.0], terms);
    };
    let mut zero = end_bar.clone();
    sum(&mut zero, end_bar, &[(-1.0, end_bar)]);
    let (mut y_bar, mut hat_bar, mut f_bar) = (end_bar.clone(), zero.clone(), zero.clone());
    let (mut pulled, mut room) = (zero.clone(), zero.clone());
    let mut stepper = ReversibleStep::new(space, field, end, nodes[nodes.len() - 1]);
    let (mut evaluations, mut times) = (1, vec![0.0; rows]);
    for interval in nodes.windows(2).rev() {
        let h = interval[1] - interval[0];
        times.fill(interval[1]);
        sum(&mut room, &f_bar, &[(0.5 * h, &y_bar)]);
        std::mem::swap(&mut f_bar, &mut room);
        pull.pull(&times, &stepper.state.hat, &f_bar, 1.0, &mut pulled);
        sum(&mut room, &hat_bar, &[(1.0, &pulled)]);
        std::mem::swap(&mut hat_bar, &mut room);
        sum(&mut f_bar, &zero, &[(0.5 * h, &y_bar), (h, &hat_bar)]);
        sum(&mut room, &y_bar, &[(2.0, &hat_bar)]); // (AJ.4)
        std::mem::swap(&mut y_bar, &mut room);
        sum(&mut room, &zero, &[(-1.0, &hat_bar)]);
        std::mem::swap(&mut hat_bar, &mut room);
        stepper.go(space, field, (interval[1], interval[0]));
        evaluations += 1;
    }
    times.fill(nodes[0]);
    pull.pull(&times, &stepper.state.hat, &f_bar, 1.0, &mut pulled);
    sum(&mut room, &y_bar, &[(1.0, &hat_bar), (1.0, &pulled)]);
    ReversibleAdjoint {
        start: stepper.state,
        start_bar: room,
        evaluations,
    }
}
