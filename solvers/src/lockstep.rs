//! **Lockstep**: a batch that shares its steps, block by block.
//!
//! A block goes through all stages of a step while they are in the cache, and
//! the next one uses the same buffers. Of each block only the two ends of the
//! step are kept, with their slopes: four arrays, where the whole batch at once
//! goes through nine for every stage. The errors of the blocks make one
//! decision for all.

use crate::adaptive::Adaptive;
use crate::end::{End, Outcome};
use crate::integrate::{mixed, worst};
use crate::method::{Estimator, Method, Terms};
use crate::norm::{Mean, larger};
use crate::space::{Field, Space};
use crate::step::{Stages, weighted};
use crate::tracks::Tracks;
use std::mem::swap;

/// What is kept of a block between its turns.
struct Block<S> {
    /// Its rows in the whole batch.
    rows: Vec<usize>,
    y: S,
    slope: S,
    /// The result of the step, and the slope there.
    next: S,
    last: S,
}

impl<S> Block<S> {
    /// Puts its own arrays in the place of the buffers', or takes them back.
    fn exchange(&mut self, stages: &mut Stages<S>, last: usize) {
        swap(&mut self.slope, &mut stages.k[0]);
        swap(&mut self.last, &mut stages.k[last]);
        swap(&mut self.next, &mut stages.y);
    }
}

/// A solve under way.
pub(crate) struct Lockstep<'a, P: Space, F> {
    space: &'a P,
    field: &'a mut F,
    method: &'a Method,
    plan: &'a Adaptive,
    estimator: &'a Estimator,
    /// What is made of the samples' errors.
    mean: Mean,
    blocks: Vec<Block<P::State>>,
    /// The buffers of all blocks but the last, which may be shorter, and its.
    stages: [Stages<P::State>; 2],
    tracks: Tracks,
    /// A number for each row of a block.
    room: Vec<f64>,
}

impl<'a, P: Space, F: Field<P::State>> Lockstep<'a, P, F> {
    /// In blocks of `size` rows, of which `y0` has at least one.
    pub(crate) fn new(
        (space, field): (&'a P, &'a mut F),
        (method, estimator): (&'a Method, &'a Estimator),
        (plan, mean): (&'a Adaptive, Mean),
        (y0, size): (&P::State, usize),
    ) -> Self {
        let count = space.rows(y0);
        let block = |first: usize| {
            let rows: Vec<usize> = (first..count.min(first + size)).collect();
            let y = space.take(y0, &rows);
            let [slope, next, last] = [(); 3].map(|()| y.clone());
            Block {
                rows,
                y,
                slope,
                next,
                last,
            }
        };
        let blocks: Vec<_> = (0..count).step_by(size).map(block).collect();
        let stages = [0, blocks.len() - 1].map(|i| {
            let block = &blocks[i];
            Stages::for_many(method, &block.y, block.rows.len())
        });
        Lockstep {
            space,
            field,
            method,
            plan,
            estimator,
            mean,
            blocks,
            stages,
            tracks: Tracks::new(plan.t0, 1),
            room: vec![0.0; size],
        }
    }

    /// All of it, into `end`.
    pub(crate) fn integrate(mut self, mut end: End<P::State>) -> End<P::State> {
        let (count, t1) = (end.times.len(), self.plan.t1);
        if let Some(sample) = self.space.non_finite_row(&end.state) {
            let t = self.plan.t0;
            end.outcome = Outcome::NonFinite { t, sample };
            return end;
        }
        end.note_evaluations(self.begin());
        let (mut known, mut failed) = (true, None);
        for _ in 0..self.plan.max_steps {
            let step = [self.tracks.t[0], self.tracks.h[0], self.tracks.next[0]];
            let made = self.attempt(known, step);
            end.evaluations += made;
            end.sample_evaluations += made * count;
            self.tracks
                .judge(&self.plan.controller, self.estimator.order());
            let accepted = self.tracks.accept[0];
            if self.tracks.advance(made, t1) {
                failed = Some(self.culprit(known, step));
            }
            known = !accepted || self.method.first_same_as_last;
            if accepted {
                for block in &mut self.blocks {
                    swap(&mut block.y, &mut block.next);
                    swap(&mut block.slope, &mut block.last);
                }
            }
            if self.tracks.arrived[0] || failed.is_some() {
                break;
            }
        }
        end.outcome = match (failed, self.tracks.arrived[0]) {
            (Some(outcome), _) => outcome,
            (None, true) => Outcome::Done,
            (None, false) => Outcome::MaxSteps {
                t: self.tracks.t[0],
                sample: 0,
            },
        };
        for block in &self.blocks {
            self.space.put(&mut end.state, &block.rows, &block.y);
        }
        end.times.fill(self.tracks.t[0]);
        let counts = self.tracks.counts(0);
        end.counts.fill(counts);
        (end.accepted, end.rejected) = (counts.accepted * count, counts.rejected * count);
        end
    }

    /// Lends the buffers to each block in turn, and makes of the errors of
    /// blocks, of which `f` finds two, those of the batch.
    fn each(
        &mut self,
        mut f: impl FnMut((&P, &mut F), &mut Stages<P::State>, &P::State, &mut [f64]) -> [f64; 2],
    ) -> [f64; 2] {
        let (last, blocks) = (self.method.stages() - 1, self.blocks.len());
        let (mut sums, mut count) = ([0.0; 2], 0);
        for (i, block) in self.blocks.iter_mut().enumerate() {
            let stages = &mut self.stages[usize::from(i + 1 == blocks)];
            let rows = block.rows.len();
            block.exchange(stages, last);
            let errors = f(
                (self.space, self.field),
                stages,
                &block.y,
                &mut self.room[..rows],
            );
            block.exchange(stages, last);
            count += rows;
            for (sum, e) in sums.iter_mut().zip(errors) {
                *sum = match self.mean {
                    Mean::RootMeanSquare => *sum + rows as f64 * e * e,
                    Mean::Largest => larger(*sum, e),
                };
            }
        }
        match self.mean {
            Mean::RootMeanSquare => sums.map(|sum| (sum / count as f64).sqrt()),
            Mean::Largest => sums,
        }
    }

    /// The first slopes and the first step, (RK.12). Returns the evaluations
    /// made.
    fn begin(&mut self) -> usize {
        let (plan, norm) = (self.plan, (&self.plan.norm, self.mean));
        let direction = (plan.t1 - plan.t0).signum();
        let [size, slope] = self.each(|(space, field), stages, y, room| {
            stages.begin(field, plan.t0, y);
            [y, &stages.k[0]].map(|x| space.batch_norm(room, (y, y), &[1.0], &[(1.0, x)], norm))
        });
        let (step, made) = if let Some(h) = plan.first_step {
            (h.min(plan.span()), 1)
        } else {
            let h0 = plan.probing_step(size, slope);
            let [bend, _] = self.each(|(space, field), stages, y, room| {
                stages.probe((space, field), (plan.t0, plan.t1, y), &[direction * h0]);
                let terms = [(1.0, &stages.k[1]), (-1.0, &stages.k[0])];
                [space.batch_norm(room, (y, y), &[1.0], &terms, norm), 0.0]
            });
            let order = self.estimator.order();
            (plan.starting_step(h0, slope, bend / h0, order), 2)
        };
        self.tracks.evaluations[0] += made;
        self.tracks.aim(0, direction * step, plan.t1);
        made
    }

    /// A trial step of all blocks and its error. Returns the evaluations made.
    fn attempt(&mut self, known: bool, step: [f64; 3]) -> usize {
        let (method, norm) = (self.method, (&self.plan.norm, self.mean));
        let (first, second) = match self.estimator {
            Estimator::Embedded { weights, .. } => (weights, None),
            Estimator::FifthAndThird { fifth, third } => (fifth, Some(third)),
        };
        let mut made = 0;
        let [error, third] = self.each(|problem, stages, y, room| {
            let space = problem.0;
            made = stages.try_step(problem, method, (known, &step, y));
            let mut size = |row: &Terms| {
                weighted(row, &stages.k, |terms| {
                    space.batch_norm(room, (y, &stages.y), &step[1..2], terms, norm)
                })
            };
            [size(first), second.map_or(0.0, size)]
        });
        self.tracks.error[0] = match second {
            None => error,
            Some(_) => mixed(error, third),
        };
        made
    }

    /// The step is too small to move anything: why, and because of which sample.
    /// The slopes of all blocks but the last are gone, so the attempt that led
    /// here is made once more; its evaluations are not counted again.
    fn culprit(&mut self, known: bool, step: [f64; 3]) -> Outcome {
        let (method, norm, estimator) = (self.method, &self.plan.norm, self.estimator);
        let mut errors = Vec::new();
        self.each(|problem, stages, y, room| {
            let space = problem.0;
            stages.try_step(problem, method, (known, &step, y));
            weighted(estimator.weights(), &stages.k, |terms| {
                space.error_norm(room, (y, &stages.y), &[1.0], terms, norm);
            });
            errors.extend_from_slice(room);
            [0.0; 2]
        });
        let (t, sample) = (self.tracks.t[0], worst(&errors));
        match self.tracks.error[0].is_finite() {
            true => Outcome::StepUnderflow { t, sample },
            false => Outcome::NonFinite { t, sample },
        }
    }
}
