//! **Within a step**: what is asked for between its ends is found on dense
//! output, after the step was accepted: events, values to be saved, and the
//! pieces of a trajectory.

use crate::event::{Bracket, Then};
use crate::integrate::Run;
use crate::space::{Field, Space};
use crate::step::{interpolate, weighted};
use crate::trajectory::{Piece, share_of_step};

/// Room for values within a step.
pub(crate) struct Within<S> {
    y: S,
    scratch: S,
    steps: Vec<f64>,
}

impl<P: Space, F: Field<P::State>> Run<'_, P, F> {
    /// Events, values within the step, and the step itself.
    pub(crate) fn record(&mut self) {
        self.tracks.looked.fill(false);
        if self.solve.event.is_some() {
            self.find_events();
        }
        if !self.end.saved.is_empty() {
            while self.save() {}
        }
        if self.solve.keeper.is_some() {
            self.keep();
        }
    }

    /// Whether a row was moved on by this step.
    fn accepted(&self, row: usize) -> bool {
        self.tracks.accept[self.tracks.entry(row)]
    }

    /// The step of a row: `t`, `h`, `next`.
    fn step(&self, row: usize) -> (f64, f64, f64) {
        let (tracks, i) = (&self.tracks, self.tracks.entry(row));
        (tracks.t[i], tracks.h[i], tracks.next[i])
    }

    /// Saves the next value of every row that passes a time to save at.
    /// Whether there was one.
    fn save(&mut self) -> bool {
        let save_at = self.solve.save_at;
        let mut theta = vec![1.0; self.rows.len()];
        let mut passed: Vec<(usize, usize)> = Vec::new();
        for (i, &row) in self.rows.iter().enumerate() {
            let which = self.end.saved_count[row];
            if self.accepted(i) && which < save_at.len() {
                let ((t, h, next), s) = (self.step(i), save_at[which]);
                if (s - t) * h > 0.0 && (next - s) * h >= 0.0 {
                    theta[i] = share_of_step((t, h, next), s);
                    passed.push((which, i));
                }
            }
        }
        passed.sort_unstable();
        if passed.is_empty() {
            return false;
        }
        self.look_within(&theta);
        let within = self.within.as_ref().expect("made by the look");
        let space = self.solve.space;
        for group in passed.chunk_by(|a, b| a.0 == b.0) {
            let here: Vec<usize> = group.iter().map(|&(_, i)| i).collect();
            let there: Vec<usize> = here.iter().map(|&i| self.rows[i]).collect();
            let part = space.take(&within.y, &here);
            space.put(&mut self.end.saved[group[0].0], &there, &part);
            for row in there {
                self.end.saved_count[row] += 1;
            }
        }
        true
    }

    /// The stages that only dense output needs, for the rows that ask for
    /// values before the end of the step.
    fn complete(&mut self, asks: impl Fn(usize) -> bool) {
        let extra = self.method.c.len() - self.method.stages();
        let mut any = false;
        for row in 0..self.rows.len() {
            let i = self.tracks.entry(row);
            if asks(row) && !self.tracks.looked[i] {
                self.tracks.looked[i] = true;
                self.tracks.evaluations[i] += extra;
            }
            any |= asks(row);
        }
        if any {
            let problem = (self.solve.space, &mut *self.solve.field);
            let from = (self.tracks.times(), &self.y);
            let made = self.stages.complete(problem, self.method, from);
            self.end.evaluations += made;
            self.end.sample_evaluations += made * self.rows.len();
        }
    }

    /// The states at `t + θh` into `within`.
    fn look_within(&mut self, theta: &[f64]) {
        self.complete(|row| theta[row] < 1.0);
        let within = self.within.get_or_insert_with(|| Within {
            y: self.y.clone(),
            scratch: self.y.clone(),
            steps: vec![],
        });
        interpolate(
            self.solve.space,
            self.method,
            (&self.y, &self.stages.k),
            (&self.tracks.h, theta),
            (&mut within.y, &mut within.scratch, &mut within.steps),
        );
    }

    /// Notes the crossings within the step, and cuts the step of a row that
    /// stops at its own.
    fn find_events(&mut self) {
        let Some(event) = self.solve.event.take() else {
            return;
        };
        let count = self.rows.len();
        let mut after = vec![0.0; count];
        self.tracks.spread(&self.tracks.next, &mut self.room);
        (event.function)(&self.room, &self.stages.y, &mut after);
        let mut brackets: Vec<Option<Bracket>> = (0..count)
            .map(|i| {
                let before = self.sign[i];
                let counts = self.accepted(i) && event.crossing.happens(before, after[i]);
                counts.then(|| Bracket::new(before, after[i]))
            })
            .collect();
        let theta = |brackets: &[Option<Bracket>]| -> Vec<f64> {
            let place = |b: &Option<Bracket>| b.as_ref().map_or(1.0, |b| b.theta);
            brackets.iter().map(place).collect()
        };
        let time = |(t, h, next): (f64, f64, f64), theta: f64| {
            if theta == 1.0 { next } else { t + theta * h }
        };
        let mut signs = vec![0.0; count];
        while brackets.iter().flatten().any(|b| !b.done()) {
            let theta = theta(&brackets);
            self.look_within(&theta);
            let within = self.within.as_ref().expect("made by the look");
            let times: Vec<f64> = (0..count).map(|i| time(self.step(i), theta[i])).collect();
            (event.function)(&times, &within.y, &mut signs);
            for (bracket, &sign) in brackets.iter_mut().zip(&signs) {
                if let Some(bracket) = bracket
                    && !bracket.done()
                {
                    bracket.look(sign);
                }
            }
        }
        let theta = theta(&brackets);
        let crossed: Vec<bool> = brackets.iter().map(Option::is_some).collect();
        if crossed.contains(&true) {
            for i in (0..count).filter(|&i| crossed[i]) {
                let time = time(self.step(i), theta[i]);
                self.end.events[self.rows[i]].push(time);
            }
            if event.then == Then::Stop {
                self.look_within(&theta);
                let within = self.within.as_ref().expect("made by the look");
                let space = self.solve.space;
                space.choose(&mut self.stages.y, &within.y, &crossed);
                // From here on some rows are at rest and others are not.
                self.tracks.part(count);
                for i in (0..count).filter(|&i| crossed[i]) {
                    self.tracks.next[i] = time(self.step(i), theta[i]);
                    self.tracks.arrived[i] = true;
                }
            }
        }
        for (i, &sign) in after.iter().enumerate() {
            if self.accepted(i) {
                self.sign[i] = sign;
            }
        }
        self.solve.event = Some(event);
    }

    /// Hands the step of the accepted rows to who keeps them.
    fn keep(&mut self) {
        let count = self.rows.len();
        let accepted: Vec<bool> = (0..count).map(|i| self.accepted(i)).collect();
        let here: Vec<usize> = (0..count).filter(|&i| accepted[i]).collect();
        if here.is_empty() {
            return;
        }
        self.complete(|row| accepted[row]);
        let (space, tracks) = (self.solve.space, &self.tracks);
        let mut zero = self.y.clone();
        space.combine(&mut zero, &self.y, &[1.0], &[(-1.0, &self.y)]);
        let sums = self.method.dense.iter().map(|row| {
            let mut sum = zero.clone();
            weighted(row, &self.stages.k, |terms| {
                space.combine(&mut sum, &zero, &[1.0], terms);
            });
            sum
        });
        let first = self.solve.first;
        let mut piece = Piece {
            rows: self.rows.iter().map(|row| first + row).collect(),
            t: tracks.t.clone(),
            h: tracks.h.clone(),
            next: tracks.next.clone(),
            sums: sums.collect(),
            y: self.y.clone(),
        };
        if here.len() < count {
            piece = piece.of(space, &here);
        }
        if let Some(keeper) = &mut self.solve.keeper {
            keeper.keep(piece);
        }
    }
}
