//! **Tracks**: where the samples are, and what they do next.
//!
//! While all samples make the same steps there is one entry for all of them,
//! and what is decided is decided once. Steps of their own need an entry for
//! each.

use crate::control::{Controller, History};
use crate::end::Counts;
use crate::step::Times;

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
    pub(crate) history: Vec<History>,
    pub(crate) accept: Vec<bool>,
    /// Rows that have arrived may still stand in the batch, and are stepped on
    /// by nothing.
    pub(crate) arrived: Vec<bool>,
    pub(crate) counts: Vec<Counts>,
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
            history: vec![History::NEW; entries],
            accept: vec![true; entries],
            arrived: vec![false; entries],
            counts: vec![Counts::default(); entries],
            looked: vec![false; entries],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.t.len()
    }

    /// Whether one entry stands for all of these rows.
    pub(crate) fn together(&self, rows: usize) -> bool {
        self.len() == 1 && rows != 1
    }

    /// The entry of a row.
    pub(crate) fn of(&self, row: usize) -> usize {
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
        if self.together(rows) {
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
        picked(&mut self.history, entries);
        picked(&mut self.accept, entries);
        picked(&mut self.arrived, entries);
        picked(&mut self.counts, entries);
        picked(&mut self.looked, entries);
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

    /// Sets the next step of an entry; one that would leave less than nothing
    /// takes the whole rest, and ends at `t1` in bits.
    #[inline(always)]
    pub(crate) fn aim(&mut self, i: usize, wish: f64, t1: f64) {
        let left = t1 - self.t[i];
        let next = self.t[i] + wish;
        let whole = (wish.abs() >= left.abs()) | ((t1 - next) * wish <= 0.0);
        (self.h[i], self.next[i]) = if whole { (left, t1) } else { (wish, next) };
    }

    /// Moves the accepted entries on and aims anew, after an attempt of this
    /// many evaluations. The first entry, if there is one, whose step is too
    /// small to move it.
    pub(crate) fn advance(&mut self, evaluations: usize, t1: f64) -> Option<usize> {
        let mut stuck = None;
        for i in (0..self.len()).rev() {
            let accept = self.accept[i];
            if self.arrived[i] && !accept {
                continue;
            }
            self.counts[i].add(evaluations, accept);
            self.t[i] = if accept { self.next[i] } else { self.t[i] };
            let t = self.t[i];
            // At the end, or at an event that stops it.
            if self.arrived[i] || t.to_bits() == t1.to_bits() {
                (self.arrived[i], self.h[i]) = (true, 0.0);
                continue;
            }
            self.aim(i, self.h[i] * self.factor[i], t1);
            if self.next[i] == t {
                stuck = Some(i);
            }
        }
        stuck
    }

    /// On a grid: all that are under way move to the next interval, if there
    /// is one.
    pub(crate) fn advance_on_grid(&mut self, evaluations: usize, interval: Option<(f64, f64)>) {
        for i in 0..self.len() {
            if self.arrived[i] && !self.accept[i] {
                continue;
            }
            self.counts[i].add(evaluations, true);
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
