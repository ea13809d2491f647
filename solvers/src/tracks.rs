//! **Tracks**: where the samples are, and what they do next.
//!
//! While all samples make the same steps there is one entry for all of them,
//! and what is decided is decided once. Steps of their own need an entry for
//! each.

use crate::control::{Controller, History};
use crate::end::Counts;
use crate::step::Times;
use crate::vectors::{Vectorized, widest_of};

/// An entry for each active row, or a single one while they move together.
#[derive(Clone, Debug)]
pub(crate) struct Tracks {
    pub(crate) t: Vec<f64>,
    pub(crate) h: Vec<f64>,
    /// Where the step ends: `t + h`, but in bits what it is meant to be.
    pub(crate) next: Vec<f64>,
    /// The error of the step, in units of what is allowed.
    pub(crate) error: Vec<f64>,
    /// DOP853's second estimate.
    pub(crate) third: Vec<f64>,
    /// What to multiply the step by, and room to find it.
    pub(crate) factor: Vec<f64>,
    pub(crate) room: Vec<f64>,
    pub(crate) history: History,
    pub(crate) accept: Vec<bool>,
    /// Rows that have arrived may still stand in the batch, and are stepped on
    /// by nothing.
    pub(crate) arrived: Vec<bool>,
    /// Steps accepted and rejected, and evaluations.
    pub(crate) accepted: Vec<usize>,
    pub(crate) rejected: Vec<usize>,
    pub(crate) evaluations: Vec<usize>,
    /// Whether values within this step were asked for.
    pub(crate) looked: Vec<bool>,
}

impl Tracks {
    /// At the start.
    pub(crate) fn new(t0: f64, entries: usize) -> Self {
        Tracks {
            t: vec![t0; entries],
            h: vec![0.0; entries],
            next: vec![t0; entries],
            error: vec![0.0; entries],
            third: vec![0.0; entries],
            factor: vec![1.0; entries],
            room: vec![0.0; entries],
            history: History::new(entries),
            accept: vec![true; entries],
            arrived: vec![false; entries],
            accepted: vec![0; entries],
            rejected: vec![0; entries],
            evaluations: vec![0; entries],
            looked: vec![false; entries],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.t.len()
    }

    /// What an entry needed so far.
    pub(crate) fn counts(&self, i: usize) -> Counts {
        Counts {
            accepted: self.accepted[i],
            rejected: self.rejected[i],
            evaluations: self.evaluations[i],
        }
    }

    /// The entry of a row.
    pub(crate) fn entry(&self, row: usize) -> usize {
        if self.len() == 1 { 0 } else { row }
    }

    /// A column with a number for each row.
    pub(crate) fn spread(&self, column: &[f64], out: &mut [f64]) {
        match column {
            [all] => out.fill(*all),
            each => out.copy_from_slice(each),
        }
    }

    pub(crate) fn times(&self) -> Times<'_> {
        Times {
            t: &self.t,
            h: &self.h,
            next: &self.next,
        }
    }

    /// From one entry for all to one for each.
    pub(crate) fn part(&mut self, rows: usize) {
        if self.len() == 1 && rows != 1 {
            self.pick(&vec![0; rows]);
        }
    }

    /// Only these entries, in this order.
    pub(crate) fn pick(&mut self, entries: &[usize]) {
        fn picked<T: Copy>(from: &mut Vec<T>, entries: &[usize]) {
            *from = entries.iter().map(|&i| from[i]).collect();
        }
        for column in [
            &mut self.t,
            &mut self.h,
            &mut self.next,
            &mut self.error,
            &mut self.third,
            &mut self.factor,
            &mut self.room,
        ] {
            picked(column, entries);
        }
        for column in [
            &mut self.accepted,
            &mut self.rejected,
            &mut self.evaluations,
        ] {
            picked(column, entries);
        }
        for column in [&mut self.accept, &mut self.arrived, &mut self.looked] {
            picked(column, entries);
        }
        self.history.pick(entries);
    }

    /// Accepts or rejects each entry by its error, and finds what to multiply
    /// its step by.
    pub(crate) fn judge(&mut self, law: &Controller, estimate_order: usize) {
        let room = (&mut self.room[..], &mut self.factor[..]);
        law.factors(&self.error, estimate_order, &mut self.history, room);
        let ready = self.error.iter().zip(&self.arrived);
        for (accept, (error, arrived)) in self.accept.iter_mut().zip(ready) {
            *accept = (*error <= 1.0) & !arrived;
        }
    }

    /// Sets the next step of an entry.
    pub(crate) fn aim(&mut self, i: usize, wish: f64, t1: f64) {
        (self.h[i], self.next[i]) = aimed(self.t[i], wish, t1);
    }

    /// Moves the accepted entries on and aims anew, after an attempt of this
    /// many evaluations. Whether there is an entry whose step is too small to
    /// move it.
    pub(crate) fn advance(&mut self, evaluations: usize, t1: f64) -> bool {
        let entries = self.len();
        let advance = Advance {
            tracks: self,
            evaluations,
            t1,
        };
        widest_of(entries, advance) && self.still_stuck(t1)
    }

    /// After an accepted step the next one is at least to the next number there
    /// is: only a rejection says that it would have to be smaller, and why.
    fn still_stuck(&mut self, t1: f64) -> bool {
        let mut stuck = false;
        for i in 0..self.len() {
            if self.is_stuck(i) && self.accept[i] {
                let t = self.t[i];
                let next = if t1 > t { t.next_up() } else { t.next_down() };
                (self.h[i], self.next[i]) = (next - t, next);
            }
            stuck |= self.is_stuck(i);
        }
        stuck
    }

    /// Whether the next step of an entry is too small to move it.
    pub(crate) fn is_stuck(&self, i: usize) -> bool {
        !self.arrived[i] && self.next[i] == self.t[i]
    }

    /// On a grid: all that are under way move to the next interval, if there
    /// is one.
    pub(crate) fn advance_on_grid(&mut self, evaluations: usize, interval: Option<(f64, f64)>) {
        for i in 0..self.len() {
            if self.arrived[i] && !self.accept[i] {
                continue;
            }
            self.accepted[i] += 1;
            self.evaluations[i] += evaluations;
            self.t[i] = self.next[i];
            match interval {
                Some(interval) if !self.arrived[i] => self.take(i, interval),
                _ => {
                    (self.arrived[i], self.accept[i], self.h[i]) = (true, false, 0.0);
                }
            }
        }
    }

    /// The whole interval as the next step.
    pub(crate) fn take(&mut self, i: usize, (from, to): (f64, f64)) {
        (self.t[i], self.h[i], self.next[i]) = (from, to - from, to);
    }
}

/// The next step from `t` and where it ends; one that would leave less than
/// nothing takes the whole rest, and ends at `t1` in bits.
#[inline(always)]
fn aimed(t: f64, wish: f64, t1: f64) -> (f64, f64) {
    let left = t1 - t;
    let next = t + wish;
    let whole = (wish.abs() >= left.abs()) | ((t1 - next) * wish <= 0.0);
    if whole { (left, t1) } else { (wish, next) }
}

/// See `Tracks::advance`. Column by column: a loop over many at once would have
/// to ask whether any of them overlap.
struct Advance<'a> {
    tracks: &'a mut Tracks,
    evaluations: usize,
    t1: f64,
}

impl Vectorized for Advance<'_> {
    /// Whether the step of an entry is too small to move it.
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let (tracks, t1) = (self.tracks, self.t1);
        let states = || tracks.accept.iter().zip(&tracks.arrived);
        for (total, (accept, arrived)) in tracks.evaluations.iter_mut().zip(states()) {
            // An entry that has arrived is only moved by the step to there.
            let moves = *accept | !*arrived;
            *total += if moves { self.evaluations } else { 0 };
        }
        for (total, (accept, arrived)) in tracks.rejected.iter_mut().zip(states()) {
            *total += usize::from(!(*accept | *arrived));
        }
        for (total, accept) in tracks.accepted.iter_mut().zip(&tracks.accept) {
            *total += usize::from(*accept);
        }
        for (t, (next, accept)) in tracks
            .t
            .iter_mut()
            .zip(tracks.next.iter().zip(&tracks.accept))
        {
            *t = if *accept { *next } else { *t };
        }
        for (arrived, t) in tracks.arrived.iter_mut().zip(&tracks.t) {
            // At the end, or at an event that stops it.
            *arrived |= t.to_bits() == t1.to_bits();
        }
        let mut stuck = false;
        let ends = tracks.h.iter_mut().zip(&mut tracks.next);
        let from = tracks.t.iter().zip(&tracks.factor).zip(&tracks.arrived);
        for ((h, next), ((&t, &factor), &arrived)) in ends.zip(from) {
            let (step, to) = aimed(t, *h * factor, t1);
            *h = if arrived { 0.0 } else { step };
            *next = if arrived { *next } else { to };
            stuck |= !arrived & (to == t);
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step ends before `t1`, or at it and is then the whole rest.
    #[test]
    fn a_step_never_leaves_a_rest_that_is_none() {
        for i in 0..2000 {
            let x = |k: f64| (f64::from(i) * k).sin();
            let (t, t1) = (2.0 * x(0.7), 2.0 * x(1.9));
            let left = t1 - t;
            for wish in [
                0.3 * left,
                left,
                left.next_down(),
                left.next_up(),
                2.0 * left,
                left * (1.0 - 1e-12),
            ] {
                let (h, next) = aimed(t, wish, t1);
                if next == t1 {
                    assert_eq!(h, left, "{t} {t1} {wish}");
                } else {
                    assert_eq!((h, next), (wish, t + wish));
                    assert!((t1 - next) * left > 0.0, "{t} {t1} {wish}");
                }
            }
        }
    }

    #[test]
    fn what_is_accepted_moves_and_what_has_arrived_rests() {
        // Under way and accepted, rejected, arrived before, arrived now at an
        // event, and accepted at the end.
        let mut tracks = Tracks::new(0.0, 5);
        tracks.h = vec![0.25, 0.25, 0.0, 0.1, 0.5];
        tracks.next = vec![0.25, 0.25, 1.0, 0.1, 1.0];
        tracks.t = vec![0.0, 0.0, 1.0, 0.0, 0.5];
        tracks.accept = vec![true, false, false, true, true];
        tracks.arrived = vec![false, false, true, true, false];
        tracks.factor = vec![2.0, 0.5, 0.2, 3.0, 3.0];
        assert!(!tracks.advance(7, 1.0));
        assert_eq!(tracks.t, [0.25, 0.0, 1.0, 0.1, 1.0]);
        assert_eq!(tracks.h, [0.5, 0.125, 0.0, 0.0, 0.0]);
        assert_eq!(tracks.next[..2], [0.75, 0.125]);
        assert_eq!(tracks.arrived, [false, false, true, true, true]);
        assert_eq!(tracks.accepted, [1, 0, 0, 1, 1]);
        assert_eq!(tracks.rejected, [0, 1, 0, 0, 0]);
        assert_eq!(tracks.evaluations, [7, 7, 0, 7, 7]);
    }

    /// After an acceptance a step is made at least to the next number; after a
    /// rejection one that would not move is the end.
    #[test]
    fn a_step_is_too_small_only_after_a_rejection() {
        for (t1, after) in [(2.0, 1f64.next_up()), (0.0, 1f64.next_down())] {
            let mut tracks = Tracks::new(1.0, 2);
            let h = 1e-18 * (t1 - 1.0);
            tracks.h = vec![h; 2];
            tracks.next = vec![1.0; 2];
            tracks.accept = vec![true, true];
            assert!(!tracks.advance(1, t1));
            assert_eq!(tracks.next, [after; 2]);
            assert_eq!(tracks.h, [after - 1.0; 2]);
            tracks.accept = vec![true, false];
            tracks.factor = vec![1.0, 1e-3];
            assert!(tracks.advance(1, t1));
            assert_eq!([0, 1].map(|i| tracks.is_stuck(i)), [false, true]);
        }
    }
}
