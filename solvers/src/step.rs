//! **Step**: the one place where stages are evaluated.

use crate::method::Method;
use crate::space::{Field, Space};

/// How a solve ended. A value, not an error: the state reached comes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// At `t₁`.
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
    /// Calls of the field, on whatever rows were active.
    pub evaluations: usize,
    /// Evaluations times rows, summed: the work.
    pub sample_evaluations: usize,
    /// Accepted steps, summed over samples.
    pub accepted: usize,
    /// Rejected steps, summed over samples.
    pub rejected: usize,
}

/// The buffers of a step, made once.
pub(crate) struct Stages<S> {
    pub(crate) k: Vec<S>,
    pub(crate) y: S,
    pub(crate) times: Vec<f64>,
    fresh: bool,
}

impl<S: Clone> Stages<S> {
    pub(crate) fn new(method: &Method, y: &S, rows: usize) -> Self {
        Stages {
            k: vec![y.clone(); method.stages()],
            y: y.clone(),
            times: vec![0.0; rows],
            fresh: true,
        }
    }

    /// One trial step of every row from `(t, y)` by `h`: fills the stages and
    /// leaves the result in `y` of the buffers. Returns the evaluations made.
    /// `end` bounds the times: a node rounded past it is moved back.
    pub(crate) fn attempt<P, F>(
        &mut self,
        (space, field): (&P, &mut F),
        method: &Method,
        (t, y): (&[f64], &S),
        (h, end): (&[f64], f64),
    ) -> usize
    where
        P: Space<State = S>,
        F: Field<S>,
    {
        let mut evaluations = 0;
        for i in 0..method.stages() {
            if i == 0 && !self.fresh {
                continue;
            }
            for (time, (&t, &h)) in self.times.iter_mut().zip(t.iter().zip(h)) {
                let node = t + method.c[i] * h;
                *time = if h > 0.0 {
                    node.min(end)
                } else {
                    node.max(end)
                };
            }
            let (earlier, rest) = self.k.split_at_mut(i);
            weighted(&method.a[i].0, earlier, |terms| {
                space.combine(&mut self.y, y, h, terms);
            });
            field.eval(&self.times, &self.y, &mut rest[0]); // (RK.1)
            evaluations += 1;
        }
        if !method.first_same_as_last {
            weighted(&method.b.0, &self.k, |terms| {
                space.combine(&mut self.y, y, h, terms); // (RK.2)
            });
        }
        self.fresh = true;
        evaluations
    }

    /// The last stage becomes the first of the next step.
    pub(crate) fn reuse_last(&mut self) {
        let last = self.k.len() - 1;
        self.k.swap(0, last);
        self.fresh = false;
    }

    /// The first stage is still right: the state did not change.
    pub(crate) fn keep_first(&mut self) {
        self.fresh = false;
    }
}

/// Most stages of the methods at hand.
const MOST_STAGES: usize = 16;

/// Calls `f` with the stages paired with their coefficients, on the stack.
pub(crate) fn weighted<S, R>(
    coefficients: &[(usize, f64)],
    k: &[S],
    f: impl FnOnce(&[(f64, &S)]) -> R,
) -> R {
    let Some(first) = k.first() else {
        return f(&[]);
    };
    let mut terms = [(0.0, first); MOST_STAGES];
    for (term, &(stage, c)) in terms.iter_mut().zip(coefficients) {
        *term = (c, &k[stage]);
    }
    f(&terms[..coefficients.len()])
}
