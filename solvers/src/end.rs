//! **End**: how a solve ended, where, and what it cost.

/// How a solve ended. A value, not an error: the state reached comes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Every sample is at `t₁`, or at the event that ended it.
    Done,
    /// The step limit was reached; some samples are not at `t₁` yet.
    MaxSteps,
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
        }
    }

    /// Takes in what happened to the rows from `first` on, but for states.
    pub(crate) fn gather(&mut self, first: usize, part: Self) {
        let rows = first..first + part.times.len();
        self.times[rows.clone()].copy_from_slice(&part.times);
        self.saved_count[rows.clone()].copy_from_slice(&part.saved_count);
        self.events[rows].clone_from_slice(&part.events);
        self.evaluations = self.evaluations.max(part.evaluations);
        self.sample_evaluations += part.sample_evaluations;
        self.accepted += part.accepted;
        self.rejected += part.rejected;
        self.outcome = match part.outcome {
            Outcome::NonFinite { t, sample } => Outcome::NonFinite {
                t,
                sample: first + sample,
            },
            Outcome::StepUnderflow { t, sample } => Outcome::StepUnderflow {
                t,
                sample: first + sample,
            },
            other => other,
        };
    }
}
