//! **End**: how a solve ended, where, and what it cost.

/// How a solve ended. A value, not an error: the state reached comes with it.
///
/// With steps of its own, a sample that fails stays where it was and the others
/// go on to their end, as they would alone; of several that fail, the first by
/// its number is named. On a grid and with common steps the first failure ends
/// the solve for all; named is the sample that caused it: the first one whose
/// numbers are not finite, or the one with the largest error.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Every sample is at `t₁`, or at the event that ended it.
    Done,
    /// The step limit was reached.
    MaxSteps {
        /// Where the first sample is that is not at `t₁` yet.
        t: f64,
        /// The row.
        sample: usize,
    },
    /// The state of a sample stopped being a number.
    NonFinite {
        /// Where its last step began.
        t: f64,
        /// The row.
        sample: usize,
    },
    /// The step of a sample fell below the spacing of numbers at `t`.
    StepUnderflow {
        /// Where.
        t: f64,
        /// The row.
        sample: usize,
    },
    /// The observer asked to stop.
    Stopped,
}

impl Outcome {
    /// The sample that failed, if one did.
    #[must_use]
    pub fn sample(&self) -> Option<usize> {
        match *self {
            Outcome::MaxSteps { sample, .. }
            | Outcome::NonFinite { sample, .. }
            | Outcome::StepUnderflow { sample, .. } => Some(sample),
            Outcome::Done | Outcome::Stopped => None,
        }
    }

    /// The same in a batch that has `count` rows before these.
    fn behind(mut self, count: usize) -> Self {
        if let Outcome::MaxSteps { sample, .. }
        | Outcome::NonFinite { sample, .. }
        | Outcome::StepUnderflow { sample, .. } = &mut self
        {
            *sample += count;
        }
        self
    }
}

/// Where a solve ended and what it cost.
#[derive(Clone, Debug)]
pub struct End<S> {
    /// The state reached.
    pub state: S,
    /// The time reached, for each sample.
    pub times: Vec<f64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The states at the times that were asked for, in their order. A sample
    /// that did not get there has its initial state there; see `saved_count`.
    pub saved: Vec<S>,
    /// How many of the times that were asked for each sample has passed.
    pub saved_count: Vec<usize>,
    /// The times of events, for each sample in the order they happened.
    pub events: Vec<Vec<f64>>,
    /// Calls of the field, on whatever rows were active; in blocks, the most
    /// that a block took.
    pub evaluations: usize,
    /// Evaluations times rows, summed: the work.
    pub sample_evaluations: usize,
    /// Accepted steps, summed over samples.
    pub accepted: usize,
    /// Rejected steps, summed over samples.
    pub rejected: usize,
    /// What each sample needed. With steps of its own it is the same alone and
    /// in any batch, so the sum of evaluations is the least that
    /// `sample_evaluations` could have been.
    pub counts: Vec<Counts>,
}

/// The steps of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that were accepted.
    pub accepted: usize,
    /// Steps that were tried in vain.
    pub rejected: usize,
    /// Evaluations of the field while the sample was under way, those included
    /// that values within its own steps asked for.
    pub evaluations: usize,
}

impl<S: Clone> End<S> {
    /// Nothing has happened yet.
    pub(crate) fn at_start(y0: &S, t0: f64, rows: usize) -> Self {
        End {
            state: y0.clone(),
            times: vec![t0; rows],
            outcome: Outcome::Done,
            saved: vec![],
            saved_count: vec![0; rows],
            events: vec![vec![]; rows],
            evaluations: 0,
            sample_evaluations: 0,
            accepted: 0,
            rejected: 0,
            counts: vec![Counts::default(); rows],
        }
    }

    /// Notes one more step of all rows, which all methods without steps of
    /// their own make.
    pub(crate) fn note_step(&mut self, evaluations: usize, to: f64) {
        self.note_evaluations(evaluations);
        self.times.fill(to);
        self.accepted += self.counts.len();
        for counts in &mut self.counts {
            counts.accepted += 1;
        }
    }

    /// Notes evaluations of all rows.
    pub(crate) fn note_evaluations(&mut self, made: usize) {
        self.evaluations += made;
        self.sample_evaluations += made * self.counts.len();
        for counts in &mut self.counts {
            counts.evaluations += made;
        }
    }

    /// Takes in what happened to the rows from `first` on, but for states.
    pub(crate) fn gather(&mut self, first: usize, part: Self) {
        let rows = first..first + part.times.len();
        self.times[rows.clone()].copy_from_slice(&part.times);
        self.saved_count[rows.clone()].copy_from_slice(&part.saved_count);
        self.events[rows.clone()].clone_from_slice(&part.events);
        self.counts[rows].copy_from_slice(&part.counts);
        self.evaluations = self.evaluations.max(part.evaluations);
        self.sample_evaluations += part.sample_evaluations;
        self.accepted += part.accepted;
        self.rejected += part.rejected;
        self.note(part.outcome.behind(first));
    }

    /// Takes in how a sample ended: the failure of the first one stays.
    pub(crate) fn note(&mut self, outcome: Outcome) {
        let place = |outcome: Outcome| outcome.sample().unwrap_or(usize::MAX);
        if self.outcome == Outcome::Done || place(outcome) < place(self.outcome) {
            self.outcome = outcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the order in which samples fail, and that they are noted in.
    #[test]
    fn the_first_of_the_samples_that_failed_is_named() {
        let late = Outcome::StepUnderflow { t: 2.0, sample: 3 };
        let early = Outcome::NonFinite { t: 1.0, sample: 5 };
        let limit = Outcome::MaxSteps { t: 0.5, sample: 4 };
        for order in [
            [early, late, limit],
            [late, limit, early],
            [limit, early, late],
        ] {
            let mut end = End::at_start(&(), 0.0, 6);
            for outcome in order {
                end.note(outcome);
                end.note(Outcome::Done);
            }
            assert_eq!(end.outcome, late);
        }
        let mut end = End::at_start(&(), 0.0, 6);
        end.note(Outcome::Done);
        end.note(Outcome::Stopped);
        assert_eq!(end.outcome, Outcome::Stopped);
        end.note(early);
        assert_eq!(end.outcome, early);
        assert_eq!(early.behind(10).sample(), Some(15));
        assert_eq!(Outcome::Done.behind(10), Outcome::Done);
    }
}
