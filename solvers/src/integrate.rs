//! **Integrate**: step after step to the end, on a grid or by the error.
//!
//! A pass of the loop makes a trial step for all active rows, judges it,
//! records what is asked for within it (`within.rs`), moves the accepted rows
//! on (`tracks.rs`), and puts aside those that have arrived.

use crate::adaptive::{Adaptive, Batch};
use crate::end::{End, Outcome};
use crate::event::Event;
use crate::method::{Estimator, Method};
use crate::solve::Solve;
use crate::space::{Field, Space};
use crate::step::{Stages, weighted};
use crate::tracks::Tracks;
use crate::within::Within;

/// Where steps come from.
#[derive(Clone, Copy)]
pub(crate) enum Steps<'a> {
    /// The intervals of a grid.
    Grid(&'a [f64]),
    /// The error estimate.
    Chosen {
        plan: &'a Adaptive,
        estimator: &'a Estimator,
    },
}

impl Steps<'_> {
    /// Where the solve begins and ends.
    pub(crate) fn ends(&self) -> (f64, f64) {
        match self {
            Steps::Grid(nodes) => (nodes[0], nodes[nodes.len() - 1]),
            Steps::Chosen { plan, .. } => (plan.t0, plan.t1),
        }
    }

    /// Whether each sample has steps of its own.
    fn of_their_own(&self) -> bool {
        match self {
            Steps::Grid(_) => false,
            Steps::Chosen { plan, .. } => plan.batch == Batch::PerSample,
        }
    }
}

/// A solve under way.
pub(crate) struct Run<'a, P: Space, F> {
    pub(crate) solve: Solve<'a, P, F>,
    pub(crate) method: &'a Method,
    pub(crate) steps: Steps<'a>,
    /// The number of the grid's interval.
    interval: usize,
    /// The rows of the whole batch that are active, and their states.
    pub(crate) rows: Vec<usize>,
    pub(crate) y: P::State,
    pub(crate) tracks: Tracks,
    pub(crate) stages: Stages<P::State>,
    /// The evaluations of this attempt.
    pub(crate) made: usize,
    /// A number for each row: norms of errors, or times to be shown.
    pub(crate) room: Vec<f64>,
    /// The event's function at `t`.
    pub(crate) sign: Vec<f64>,
    /// Room for values within a step, made when it is first needed.
    pub(crate) within: Option<Within<P::State>>,
    pub(crate) end: End<P::State>,
}

impl<'a, P: Space, F: Field<P::State>> Run<'a, P, F> {
    pub(crate) fn new(
        solve: Solve<'a, P, F>,
        method: &'a Method,
        steps: Steps<'a>,
        y0: P::State,
    ) -> Self {
        let count = solve.space.rows(&y0);
        let (t0, _) = steps.ends();
        let mut end = End::at_start(&y0, t0, count);
        end.saved = vec![y0.clone(); solve.save_at.len()];
        let entries = if steps.of_their_own() { count } else { 1 };
        Run {
            method,
            steps,
            interval: 0,
            stages: Stages::new(method, &y0, count),
            rows: (0..count).collect(),
            y: y0,
            tracks: Tracks::new(t0, entries),
            made: 0,
            room: vec![0.0; count],
            sign: vec![0.0; count],
            within: None,
            end,
            solve,
        }
    }

    /// All of it.
    pub(crate) fn integrate(mut self) -> End<P::State> {
        if self.rows.is_empty() {
            return self.finish(Outcome::Done);
        }
        if let Some(outcome) = self.begin() {
            return self.finish(outcome);
        }
        self.compact();
        let most = match self.steps {
            // The last of its intervals ends it.
            Steps::Grid(_) => usize::MAX,
            Steps::Chosen { plan, .. } => plan.max_steps,
        };
        for _ in 0..most {
            if self.rows.is_empty() {
                break;
            }
            self.attempt();
            if let Some(outcome) = self.judge() {
                return self.finish(outcome);
            }
            self.record();
            if let Some(outcome) = self.advance() {
                return self.finish(outcome);
            }
            self.compact();
            if self.show() && !self.rows.is_empty() {
                return self.finish(Outcome::Stopped);
            }
        }
        let outcome = match self.under_way().first() {
            None => Outcome::Done,
            Some(&i) => Outcome::MaxSteps {
                t: self.tracks.t[self.tracks.entry(i)],
                sample: self.rows[i],
            },
        };
        self.finish(outcome)
    }

    /// The first steps, what is asked for at the start, and a first look.
    fn begin(&mut self) -> Option<Outcome> {
        let (t0, _) = self.steps.ends();
        if let Some(sample) = self.solve.space.non_finite_row(&self.y) {
            let outcome = Outcome::NonFinite { t: t0, sample };
            if !self.steps.of_their_own() {
                return Some(outcome);
            }
            self.end.note(outcome);
            let space = self.solve.space;
            for (row, arrived) in self.tracks.arrived.iter_mut().enumerate() {
                let alone = space.take(&self.y, &[row]);
                *arrived = space.non_finite_row(&alone).is_some();
            }
        }
        match self.steps {
            Steps::Grid(nodes) => self.tracks.take(0, (nodes[0], nodes[1])),
            Steps::Chosen { plan, estimator } => self.first_steps(plan, estimator),
        }
        if self.solve.save_at.first() == Some(&t0) {
            self.end.saved_count.fill(1);
        }
        if let Some(Event { function, .. }) = &mut self.solve.event {
            self.room.fill(t0);
            function(&self.room, &self.y, &mut self.sign);
        }
        self.show().then_some(Outcome::Stopped)
    }

    /// A first step for each sample, (RK.12).
    fn first_steps(&mut self, plan: &Adaptive, estimator: &Estimator) {
        let direction = (plan.t1 - plan.t0).signum();
        let (space, field) = (self.solve.space, &mut *self.solve.field);
        let (tracks, stages, y) = (&mut self.tracks, &mut self.stages, &self.y);
        let mut made = stages.begin(field, plan.t0, y);
        if let Some(h) = plan.first_step {
            tracks.h.fill(h.min(plan.span()) * direction);
        } else {
            let ones = vec![1.0; tracks.len()];
            let mut norms = |terms: &[(f64, &P::State)]| {
                let (mut out, room) = (ones.clone(), &mut self.room);
                measure((space, plan), (&mut out, room), (y, y), &ones, terms);
                out
            };
            let (size, slope) = (norms(&[(1.0, y)]), norms(&[(1.0, &stages.k[0])]));
            let pairs = size.iter().zip(&slope);
            let probe = pairs.map(|(&d0, &d1)| direction * plan.probing_step(d0, d1));
            let probe: Vec<f64> = probe.collect();
            made += stages.probe((space, field), (plan.t0, plan.t1, y), &probe);
            let bend = norms(&[(1.0, &stages.k[1]), (-1.0, &stages.k[0])]);
            for (i, h) in tracks.h.iter_mut().enumerate() {
                let (h0, bend) = (probe[i].abs(), bend[i] / probe[i].abs());
                *h = direction * plan.starting_step(h0, slope[i], bend, estimator.order());
            }
        }
        self.end.note_evaluations(made);
        for i in 0..tracks.len() {
            tracks.evaluations[i] += made;
            tracks.aim(i, tracks.h[i], plan.t1);
        }
    }

    fn attempt(&mut self) {
        let problem = (self.solve.space, &mut *self.solve.field);
        let from = (self.tracks.times(), &self.y);
        self.made = self.stages.attempt(problem, self.method, from);
        self.end.evaluations += self.made;
        self.end.sample_evaluations += self.made * self.rows.len();
    }

    /// Accepts or rejects the step of each row.
    fn judge(&mut self) -> Option<Outcome> {
        match self.steps {
            Steps::Grid(_) => {
                let row = self.broken_row()?;
                for (made, arrived) in self.tracks.evaluations.iter_mut().zip(&self.tracks.arrived)
                {
                    *made += if *arrived { 0 } else { self.made };
                }
                let t = self.tracks.t[self.tracks.entry(row)];
                let sample = self.rows[row];
                Some(Outcome::NonFinite { t, sample })
            }
            Steps::Chosen { plan, estimator } => {
                self.estimate(plan, estimator);
                self.tracks.judge(&plan.controller, estimator.order());
                None
            }
        }
    }

    /// The first row under way whose result is not finite.
    fn broken_row(&self) -> Option<usize> {
        let space = self.solve.space;
        let first = space.non_finite_row(&self.stages.y)?;
        if !self.tracks.arrived[self.tracks.entry(first)] {
            return Some(first);
        }
        // Rows that have arrived are stepped on with the others, to no effect.
        let under_way = self.under_way();
        let rest = space.take(&self.stages.y, &under_way);
        space.non_finite_row(&rest).map(|i| under_way[i])
    }

    /// The rows of the active batch that have not arrived.
    fn under_way(&self) -> Vec<usize> {
        let all = 0..self.rows.len();
        all.filter(|&i| !self.tracks.arrived[self.tracks.entry(i)])
            .collect()
    }

    /// The error of each row, in units of what is allowed.
    fn estimate(&mut self, plan: &Adaptive, estimator: &Estimator) {
        let (space, stages, y) = (self.solve.space, &self.stages, &self.y);
        let (room, tracks) = (&mut self.room, &mut self.tracks);
        let mut norms = |out: &mut [f64], row| {
            weighted(row, &stages.k, |terms| {
                let between = (y, &stages.y);
                measure((space, plan), (out, room), between, &tracks.h, terms);
            });
        };
        match estimator {
            Estimator::Embedded { weights, .. } => norms(&mut tracks.error, weights),
            Estimator::FifthAndThird { fifth, third } => {
                norms(&mut tracks.error, fifth);
                norms(&mut tracks.third, third);
                for (e, e3) in tracks.error.iter_mut().zip(&tracks.third) {
                    *e = mixed(*e, *e3);
                }
            }
        }
        if let Batch::Shared(mean) = plan.batch
            && tracks.len() > 1
        {
            // Some rows stopped at events; the others still share their steps.
            let errors = tracks.error.iter().zip(&tracks.arrived);
            let under_way = errors.filter_map(|(e, arrived)| (!arrived).then_some(*e));
            let under_way: Vec<f64> = under_way.collect();
            tracks.error.fill(mean.over(&under_way));
        }
    }

    /// Moves accepted rows on and sets their next steps.
    fn advance(&mut self) -> Option<Outcome> {
        match self.steps {
            Steps::Grid(nodes) => {
                self.move_on();
                self.interval += 1;
                let next = nodes.get(self.interval + 1);
                let interval = next.map(|&next| (nodes[self.interval], next));
                self.tracks.advance_on_grid(self.made, interval);
                None
            }
            Steps::Chosen { plan, estimator } => {
                let mut outcome = None;
                if self.tracks.advance(self.made, plan.t1) {
                    // Who failed is seen from both ends of the step.
                    match self.steps.of_their_own() {
                        true => self.give_up(),
                        false => outcome = Some(self.culprit(plan, estimator)),
                    }
                }
                self.move_on();
                outcome
            }
        }
    }

    /// The states of accepted rows, and the slopes that the next step can use.
    fn move_on(&mut self) {
        let (space, accept) = (self.solve.space, &self.tracks.accept);
        let accepted = accept.iter().filter(|accept| **accept).count();
        let every = accepted == accept.len();
        if every {
            std::mem::swap(&mut self.y, &mut self.stages.y);
        } else if accepted > 0 {
            space.choose(&mut self.y, &self.stages.y, accept);
        }
        match (self.method.first_same_as_last, accepted) {
            (_, 0) => self.stages.keep_first(),
            (true, _) if every => self.stages.reuse_last(self.method),
            (true, _) => self.stages.reuse_last_of(space, self.method, accept),
            (false, _) => self.stages.forget(),
        }
    }

    /// Notes each sample whose own step is too small, and lets it rest.
    fn give_up(&mut self) {
        for i in 0..self.rows.len() {
            if self.tracks.is_stuck(i) {
                let (t, sample) = (self.tracks.t[i], self.rows[i]);
                self.end.note(match self.tracks.error[i].is_finite() {
                    true => Outcome::StepUnderflow { t, sample },
                    false => Outcome::NonFinite { t, sample },
                });
                (self.tracks.arrived[i], self.tracks.h[i]) = (true, 0.0);
            }
        }
    }

    /// A common step is too small: why, and because of which sample.
    fn culprit(&mut self, plan: &Adaptive, estimator: &Estimator) -> Outcome {
        let (space, stages) = (self.solve.space, &self.stages);
        let (y, room) = (&self.y, &mut self.room);
        weighted(estimator.weights(), &stages.k, |terms| {
            space.error_norm(room, (y, &stages.y), &[1.0], terms, &plan.norm);
        });
        let under_way = self.under_way();
        let errors: Vec<f64> = under_way.iter().map(|&i| self.room[i]).collect();
        let worst = under_way[worst(&errors)];
        let (entry, sample) = (self.tracks.entry(worst), self.rows[worst]);
        let t = self.tracks.t[entry];
        match self.tracks.error[entry].is_finite() {
            true => Outcome::StepUnderflow { t, sample },
            false => Outcome::NonFinite { t, sample },
        }
    }

    /// Puts arrived rows aside, once a quarter of the active ones have arrived.
    fn compact(&mut self) {
        // Counted before they are listed: most steps end here and allocate
        // nothing.
        let arrived = &self.tracks.arrived;
        let under_way = arrived.iter().filter(|arrived| !**arrived).count();
        if 4 * under_way > 3 * arrived.len() {
            return;
        }
        let left = self.under_way();
        let space = self.solve.space;
        let rest = (!left.is_empty()).then(|| space.take(&self.y, &left));
        self.deposit();
        self.rows = left.iter().map(|&i| self.rows[i]).collect();
        self.sign = left.iter().map(|&i| self.sign[i]).collect();
        self.room.truncate(left.len());
        self.within = None;
        if let Some(rest) = rest {
            self.tracks.pick(&left);
            self.y = rest;
            self.stages.keep(space, &left);
        }
    }

    /// The active rows' states, times and counts into the whole batch. What is
    /// left in their place is of no use.
    fn deposit(&mut self) {
        for (i, &row) in self.rows.iter().enumerate() {
            let entry = self.tracks.entry(i);
            self.end.times[row] = self.tracks.t[entry];
            self.end.counts[row] = self.tracks.counts(entry);
        }
        if self.rows.len() == self.end.times.len() {
            std::mem::swap(&mut self.end.state, &mut self.y);
        } else if !self.rows.is_empty() {
            let space = self.solve.space;
            space.put(&mut self.end.state, &self.rows, &self.y);
        }
    }

    /// Whether the observer, if there is one, asks to stop.
    fn show(&mut self) -> bool {
        let Some(observer) = &mut self.solve.observer else {
            return false;
        };
        if self.rows.is_empty() {
            return observer(&self.end.times, &self.end.state).is_break();
        }
        self.tracks.spread(&self.tracks.t, &mut self.room);
        observer(&self.room, &self.y).is_break()
    }

    fn finish(mut self, outcome: Outcome) -> End<P::State> {
        self.deposit();
        let counts = &self.end.counts;
        self.end.accepted = counts.iter().map(|counts| counts.accepted).sum();
        self.end.rejected = counts.iter().map(|counts| counts.rejected).sum();
        self.end.note(outcome);
        self.end
    }
}

/// The place of the first number that is not finite, or else of the largest.
pub(crate) fn worst(errors: &[f64]) -> usize {
    let size = |i: &usize| match errors[*i].is_finite() {
        true => errors[*i],
        false => f64::INFINITY,
    };
    // The first of equals.
    let larger = |a: usize, b: usize| if size(&b) > size(&a) { b } else { a };
    (0..errors.len()).reduce(larger).unwrap_or(0)
}

/// Two estimates that vanish to orders 5 and 3, mixed into one that vanishes to
/// order 7:
///
/// ```math
/// e = \frac{e_5^2}{\sqrt{e_5^2 + 0.01\,e_3^2}} = O(h^8) \tag{RK.13}
/// ```
///
/// Hairer, Nørsett and Wanner, *Solving ODEs I*, II.10.
pub(crate) fn mixed(fifth: f64, third: f64) -> f64 {
    let square = fifth * fifth;
    // Also where it is too small for a number: 0/0 would be a rejection.
    if square == 0.0 {
        return 0.0;
    }
    square / (square + 0.01 * third * third).sqrt() // (RK.13)
}

/// The size of `h·Σ c·k` for each entry of the tracks: that of its row, or that
/// of the batch. In `room` there is a number for each row.
fn measure<P: Space>(
    (space, plan): (&P, &Adaptive),
    (out, room): (&mut [f64], &mut [f64]),
    between: (&P::State, &P::State),
    h: &[f64],
    terms: &[(f64, &P::State)],
) {
    match (plan.batch, &mut *out) {
        (Batch::Shared(mean), [all]) => {
            *all = space.batch_norm(room, between, h, terms, (&plan.norm, mean));
        }
        _ => space.error_norm(out, between, h, terms, &plan.norm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_the_first_that_is_no_number_or_else_the_largest() {
        assert_eq!(worst(&[0.5, 3.0, 1.0, 3.0]), 1);
        assert_eq!(worst(&[0.5, 3.0, f64::NAN, f64::INFINITY]), 2);
        assert_eq!(worst(&[f64::INFINITY, f64::NAN]), 0);
        assert_eq!(worst(&[]), 0);
    }

    /// Two estimates of 0, or too small for their squares, are no rejection.
    #[test]
    fn small_estimates_are_mixed_into_a_small_one() {
        assert_eq!(mixed(0.0, 0.0), 0.0);
        assert_eq!(mixed(1e-200, 1e-200), 0.0);
        assert_eq!(mixed(3.0, 0.0), 3.0);
        assert!((mixed(3.0, 40.0) - 9.0 / 5.0).abs() <= 1e-15);
        assert!(mixed(f64::NAN, 1.0).is_nan() && mixed(1.0, f64::NAN).is_nan());
    }
}
