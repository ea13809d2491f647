//! **Sampling**: noise moved along the field becomes data.
//!
//! ```math
//! \frac{dx}{dt} = v_t(x) \tag{FM.4}
//! ```
//! ```math
//! x_1 = \phi_1(x_0) = x_0 + \int_0^1 v_t(x_t)\,dt \tag{FM.5}
//! ```
//!
//! With a learned field the integral is done by an ODE solver:
//!
//! ```math
//! x_1 \approx x_0 + \int_0^1 v_\theta(x_t, t)\,dt, \qquad
//! \text{Euler, midpoint, RK4 or Dormand–Prince} \tag{FM.22}
//! ```
//!
//! Time runs from 0 (noise) to 1 (data).

use crate::Error;
use crate::batches::Batches;
use autograd::{Algebra, Index, Tensor};
use solvers::{Adaptive, End, Method, Norm, Outcome, Solve, Space, TimeGrid};
use std::cell::RefCell;

/// The space of `[B, D]` tensors: the same stepper runs plain arrays,
/// variables and duals, on the processor and on a GPU.
#[derive(Debug)]
pub struct TensorSpace<A: Batches> {
    /// What is kept from one step to the next.
    room: RefCell<A::Room>,
}

impl<A: Batches> TensorSpace<A> {
    /// The space.
    #[must_use]
    pub fn new() -> Self {
        TensorSpace {
            room: RefCell::default(),
        }
    }
}

impl<A: Batches> Default for TensorSpace<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Batches> Space for TensorSpace<A> {
    type State = Tensor<A>;

    fn rows(&self, y: &Tensor<A>) -> usize {
        y.size(0)
    }

    fn combine(&self, out: &mut Tensor<A>, y: &Tensor<A>, h: &[f64], terms: &[(f64, &Tensor<A>)]) {
        *out = A::combine(&mut self.room.borrow_mut(), y, h, terms);
    }

    fn error_norm(
        &self,
        out: &mut [f64],
        between: (&Tensor<A>, &Tensor<A>),
        h: &[f64],
        terms: &[(f64, &Tensor<A>)],
        norm: &Norm,
    ) {
        A::error_norms(&mut self.room.borrow_mut(), out, between, h, terms, norm);
    }

    fn non_finite_row(&self, y: &Tensor<A>) -> Option<usize> {
        A::broken_row(y)
    }

    fn take(&self, y: &Tensor<A>, rows: &[usize]) -> Tensor<A> {
        y.gather(&Index::new(rows.to_vec()))
    }

    fn put(&self, y: &mut Tensor<A>, rows: &[usize], part: &Tensor<A>) {
        let all = y.size(0);
        let mut source: Vec<usize> = (0..all).collect();
        for (i, &row) in rows.iter().enumerate() {
            source[row] = all + i;
        }
        *y = Tensor::concat(&[y, part], 0).gather(&Index::new(source));
    }

    fn choose(&self, a: &mut Tensor<A>, b: &Tensor<A>, choose_b: &[bool]) {
        if choose_b.contains(&true) {
            *a = match choose_b.contains(&false) {
                true => A::choose(a, b, choose_b),
                false => b.clone(),
            };
        }
    }
}

/// How to go from noise to data.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Equal steps of one method.
    Fixed(&'static Method, usize),
    /// Dormand–Prince with steps chosen for each sample.
    Adaptive(f64),
}

/// Samples, with what they cost.
#[derive(Clone, Debug)]
pub struct Sampled<A: Algebra> {
    /// `[B, D]`.
    pub x1: Tensor<A>,
    /// Calls of the field (NFE).
    pub evaluations: usize,
}

/// Moves `x0` of `[B, D]` from `t = 0` to `t = 1` along a field that takes
/// times, one for each row, and points.
///
/// # Errors
/// If the plan makes no sense, or the solve does not reach `t = 1`.
pub fn sample<A: Batches>(
    x0: &Tensor<A>,
    plan: &Plan,
    velocity: impl Fn(&[f64], &Tensor<A>) -> Tensor<A>,
) -> Result<Sampled<A>, Error> {
    let forth = Way {
        from: 0.0,
        to: 1.0,
        leading: None,
    };
    follow(x0, forth, plan, velocity)
}

/// From where to where, and how many coordinates count for the error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) leading: Option<usize>,
}

/// Follows a field from one time to another.
pub(crate) fn follow<A: Batches>(
    begin: &Tensor<A>,
    way: Way,
    plan: &Plan,
    velocity: impl Fn(&[f64], &Tensor<A>) -> Tensor<A>,
) -> Result<Sampled<A>, Error> {
    let space = TensorSpace::new();
    let mut field = |t: &[f64], x: &Tensor<A>, dx: &mut Tensor<A>| {
        *dx = velocity(t, x); // (FM.4)
    };
    let solve = Solve::new(&space, &mut field);
    let refused = |e: solvers::Error| Error::Solver {
        ending: e.to_string(),
        expected: format!("a plan from t = {} to t = {}", way.from, way.to),
    };
    let end: End<Tensor<A>> = match plan {
        Plan::Fixed(method, steps) => {
            let grid = TimeGrid::uniform(way.from, way.to, *steps).map_err(refused)?;
            solve.fixed(method, begin.clone(), &grid) // (FM.22)
        }
        Plan::Adaptive(tolerance) => {
            let mut plan = Adaptive::new(way.from, way.to, *tolerance).map_err(refused)?;
            plan.norm.leading = way.leading;
            solve.adaptive(&solvers::methods::DORMAND_PRINCE, begin.clone(), &plan)
        }
    }
    .map_err(refused)?;
    match end.outcome {
        Outcome::Done => Ok(Sampled {
            x1: end.state, // (FM.5)
            evaluations: end.evaluations,
        }),
        early => Err(stopped(early)),
    }
}

/// What to tell of a solve that did not reach its end.
pub(crate) fn stopped(early: Outcome) -> Error {
    let (ending, expected) = match early {
        Outcome::NonFinite { t, sample } => (
            format!("the numbers of row {sample} are not finite in the step from t = {t}"),
            "a field that is finite along its trajectories",
        ),
        Outcome::StepUnderflow { t, sample } => (
            format!("the step of row {sample} at t = {t} is too small to advance"),
            "a looser tolerance, or a smoother field",
        ),
        Outcome::MaxSteps { t, sample } => (
            format!("the largest number of steps brought row {sample} to t = {t}"),
            "a looser tolerance, or a smoother field",
        ),
        other => (format!("{other:?}"), "to reach the end"),
    };
    Error::Solver {
        ending,
        expected: expected.to_owned(),
    }
}
