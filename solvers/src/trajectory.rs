//! **Trajectory**: a solution that is kept, to be asked for its value at any
//! time it has passed.
//!
//! Of each accepted step it keeps the state and the sums of slopes that dense
//! output (RK.10) is made of, so a value costs no evaluation of the field, has
//! the method's `dense_order`, and is the one, in bits, that
//! [`save_at`](crate::Solve::save_at) would have saved.

use crate::dense::weight;
use crate::error::Error;
use crate::space::Space;

/// Takes in the steps of a solve as they are accepted.
pub(crate) trait Keeper<S> {
    /// A solve of these states begins.
    fn begin(&mut self, t0: f64, y0: &S, rows: usize);
    /// Some of its rows were moved on.
    fn keep(&mut self, piece: Piece<S>);
}

/// The solution within one accepted step of some rows.
#[derive(Clone, Debug)]
pub(crate) struct Piece<S> {
    /// The rows of the whole batch.
    pub(crate) rows: Vec<usize>,
    /// Where the step began, its length, and where it ended, which is earlier
    /// than its length says if an event cut it: for each row, or once for all.
    pub(crate) t: Vec<f64>,
    pub(crate) h: Vec<f64>,
    pub(crate) next: Vec<f64>,
    /// The state at its beginning.
    pub(crate) y: S,
    /// The sums `Σ dₘᵢkᵢ` of (RK.10).
    pub(crate) sums: Vec<S>,
}

impl<S: Clone> Piece<S> {
    /// The step of the row in this place: `t`, `h`, `next`.
    pub(crate) fn step(&self, place: usize) -> (f64, f64, f64) {
        let place = if self.t.len() == 1 { 0 } else { place };
        (self.t[place], self.h[place], self.next[place])
    }

    /// The states of all its rows, each at its `θ`.
    pub(crate) fn at<P: Space<State = S>>(&self, space: &P, theta: &[f64]) -> S {
        let (mut out, mut before) = (self.y.clone(), self.y.clone());
        for (m, sum) in self.sums.iter().enumerate() {
            let steps = theta.iter().enumerate();
            let steps = steps.map(|(i, &theta)| self.step(i).1 * weight(m, theta));
            let steps: Vec<f64> = steps.collect();
            space.combine(&mut out, &before, &steps, &[(1.0, sum)]);
            std::mem::swap(&mut out, &mut before);
        }
        before
    }

    /// Only the rows in these places.
    pub(crate) fn of<P: Space<State = S>>(&self, space: &P, places: &[usize]) -> Self {
        let pick = |column: &[f64]| match column {
            [all] => vec![*all],
            each => places.iter().map(|&i| each[i]).collect(),
        };
        Piece {
            rows: places.iter().map(|&i| self.rows[i]).collect(),
            t: pick(&self.t),
            h: pick(&self.h),
            next: pick(&self.next),
            y: space.take(&self.y, places),
            sums: self.sums.iter().map(|s| space.take(s, places)).collect(),
        }
    }
}

/// How far into a step from `t` to `next` a time `s` lies, in units of `h`; 1
/// where it is the step's own end, in bits.
pub(crate) fn share_of_step((t, h, next): (f64, f64, f64), s: f64) -> f64 {
    // An event may have cut the step: its end is not 1 then.
    let whole = s == next && (t + h - next).abs() <= f64::EPSILON * next.abs();
    if whole { 1.0 } else { ((s - t) / h).min(1.0) }
}

/// A stored solution. It is empty until a solve has filled it:
///
/// ```
/// use solvers::{Adaptive, Rows, Solve, Trajectory, methods};
///
/// let space = Rows::<f64>::new(1);
/// let mut decay = |_: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>| {
///     for (dy, y) in dy.iter_mut().zip(y) { *dy = -y; }
/// };
/// let plan = Adaptive::new(0.0, 2.0, 1e-8)?;
/// let mut path = Trajectory::new();
/// Solve::new(&space, &mut decay)
///     .kept_in(&mut path)
///     .adaptive(&methods::DORMAND_PRINCE, vec![1.0, 2.0], &plan)?;
/// let y = path.at(&space, 0.37)?;
/// assert!((y[1] - 2.0 * (-0.37f64).exp()).abs() < 1e-7);
/// assert!(path.at(&space, 2.1).is_err());
/// # Ok::<(), solvers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trajectory<S> {
    start: Option<(f64, S)>,
    pieces: Vec<Piece<S>>,
    /// For each row its steps in their order: the piece, and its place there.
    steps: Vec<Vec<(usize, usize)>>,
}

impl<S> Default for Trajectory<S> {
    fn default() -> Self {
        Trajectory {
            start: None,
            pieces: vec![],
            steps: vec![],
        }
    }
}

impl<S: Clone> Trajectory<S> {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From where to where the solution of a row is known; nothing of a row
    /// that no solve has begun.
    #[must_use]
    pub fn span(&self, row: usize) -> Option<(f64, f64)> {
        let (t0, _) = self.start.as_ref()?;
        let end = match self.steps.get(row)?.last() {
            Some(&(piece, place)) => self.pieces[piece].step(place).2,
            None => *t0,
        };
        Some((*t0, end))
    }

    /// The number of accepted steps of a row.
    #[must_use]
    pub fn steps(&self, row: usize) -> usize {
        self.steps.get(row).map_or(0, Vec::len)
    }

    /// All rows at one time.
    ///
    /// # Errors
    /// If a row has not passed that time.
    pub fn at<P: Space<State = S>>(&self, space: &P, t: f64) -> Result<S, Error> {
        self.at_each(space, &vec![t; self.steps.len()])
    }

    /// Each row at its own time, in the order of the rows.
    ///
    /// # Errors
    /// If a row has not passed its time, or there is not a time for each row.
    pub fn at_each<P: Space<State = S>>(&self, space: &P, times: &[f64]) -> Result<S, Error> {
        let refuse = |name, value, expected| {
            Err(Error::Argument {
                name,
                value,
                expected,
            })
        };
        let Some((_, y0)) = &self.start else {
            let expected = "a trajectory that a solve has filled";
            return refuse("the number of kept steps", 0.0, expected);
        };
        if times.len() != self.steps.len() {
            let count = times.len() as f64;
            return refuse("the number of times", count, "one for each row");
        }
        // Which rows are looked up in which piece: (piece, place, row).
        let mut wanted = Vec::with_capacity(times.len());
        for (row, &t) in times.iter().enumerate() {
            let (from, to) = self.span(row).expect("a row of the solve");
            if !(from.min(to)..=from.max(to)).contains(&t) {
                let expected = "a time that the sample has passed";
                return refuse("a time to look at", t, expected);
            }
            // The first step that does not end before it.
            let ends_before = |&(piece, place): &(usize, usize)| {
                let next = self.pieces[piece].step(place).2;
                (t - next) * (to - from) > 0.0
            };
            let step = self.steps[row].partition_point(ends_before);
            if let Some(&(piece, place)) = self.steps[row].get(step) {
                wanted.push((piece, place, row));
            }
        }
        wanted.sort_unstable();
        // A row that never moved is where it began.
        let mut out = y0.clone();
        for group in wanted.chunk_by(|a, b| a.0 == b.0) {
            let piece = &self.pieces[group[0].0];
            let rows: Vec<usize> = group.iter().map(|&(_, _, row)| row).collect();
            let places: Vec<usize> = group.iter().map(|&(_, place, _)| place).collect();
            let thetas = group
                .iter()
                .map(|&(_, place, row)| share_of_step(piece.step(place), times[row]));
            let thetas: Vec<f64> = thetas.collect();
            let values = match places.len() == piece.rows.len() {
                true => piece.at(space, &thetas),
                false => piece.of(space, &places).at(space, &thetas),
            };
            space.put(&mut out, &rows, &values);
        }
        Ok(out)
    }
}

impl<S: Clone> Keeper<S> for Trajectory<S> {
    fn begin(&mut self, t0: f64, y0: &S, rows: usize) {
        *self = Trajectory {
            start: Some((t0, y0.clone())),
            pieces: vec![],
            steps: vec![vec![]; rows],
        };
    }

    fn keep(&mut self, piece: Piece<S>) {
        for (place, &row) in piece.rows.iter().enumerate() {
            self.steps[row].push((self.pieces.len(), place));
        }
        self.pieces.push(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_step_is_its_whole_unless_an_event_cut_it() {
        // Ends that t + h meets in bits, and that it misses by a rounding.
        for (t, h, next) in [
            (0.0, 1.0, 1.0),
            (0.1, 0.2, 0.3),
            (-0.2, 0.3, 0.1),
            (7.1, -6.0, 1.1),
        ] {
            assert_eq!(share_of_step((t, h, next), next), 1.0, "{t} {h}");
            let half = share_of_step((t, h, next), t + 0.5 * h);
            assert!((half - 0.5).abs() <= 1e-15, "{t} {h}: {half}");
            assert_eq!(share_of_step((t, h, next), t), 0.0);
        }
        // Far from 0 a rounding is larger.
        for (t, h, next) in [(1000.1, 0.2, 1000.3), (1000.1, 0.7, 1000.8)] {
            assert!((next - t) / h < 1.0 && t + h != next);
            assert_eq!(share_of_step((t, h, next), next), 1.0, "{t} {h}");
        }
        // Cut at three tenths: the end is three tenths of what was computed.
        for (t, h, next) in [(0.0, 1.0, 0.3), (5.0, -1.0, 4.7)] {
            let found = share_of_step((t, h, next), next);
            assert!((found - 0.3).abs() <= 1e-15, "{t} {h}: {found}");
        }
        // Rounded past the end, it is not beyond.
        assert_eq!(share_of_step((0.0, 0.1, 0.1), 0.1f64.next_up()), 1.0);
    }
}
