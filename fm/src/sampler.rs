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
use autograd::{Algebra, Cpu, Index, Real, Tensor};
use solvers::{Adaptive, End, Method, Norm, Outcome, Solve, Space, TimeGrid};
use std::marker::PhantomData;

/// The space of `[B, D]` tensors: the same stepper runs plain arrays,
/// variables and duals.
#[derive(Clone, Copy, Debug, Default)]
pub struct TensorSpace<A>(PhantomData<A>);

impl<A: Algebra> TensorSpace<A> {
    /// The space.
    #[must_use]
    pub fn new() -> Self {
        TensorSpace(PhantomData)
    }
}

/// The numbers of a tensor, whatever its algebra records besides.
fn numbers<A: Algebra>(x: &Tensor<A>) -> Vec<f64>
where
    A::Base: Numbers,
{
    x.stop().inner().to_f64()
}

/// Plain tensors that can be looked at from the host.
pub trait Numbers {
    /// All elements, row-major.
    fn to_f64(&self) -> Vec<f64>;
}

impl<F: Real> Numbers for Cpu<F> {
    fn to_f64(&self) -> Vec<f64> {
        self.as_slice().iter().map(|x| x.wide()).collect()
    }
}

impl<A: Algebra> Space for TensorSpace<A>
where
    A::Base: Numbers,
{
    type State = Tensor<A>;

    fn rows(&self, y: &Tensor<A>) -> usize {
        y.size(0)
    }

    fn combine(&self, out: &mut Tensor<A>, y: &Tensor<A>, h: &[f64], terms: &[(f64, &Tensor<A>)]) {
        let mut sum: Option<Tensor<A>> = None;
        for &(c, k) in terms {
            sum = Some(match sum {
                Some(sum) => sum + c * k,
                None => c * k,
            });
        }
        *out = match sum {
            // A common step is a number; steps of their own are a column.
            Some(sum) if h.windows(2).all(|w| w[0].to_bits() == w[1].to_bits()) => {
                y + h.first().copied().unwrap_or(0.0) * sum
            }
            Some(sum) => y + y.lift(&[h.len(), 1], h) * sum,
            None => y.clone(),
        };
    }

    fn error_norm(
        &self,
        out: &mut [f64],
        (y0, y1): (&Tensor<A>, &Tensor<A>),
        h: &[f64],
        terms: &[(f64, &Tensor<A>)],
        norm: &Norm,
    ) {
        let d = y0.size(1);
        let (y0, y1) = (numbers(y0), numbers(y1));
        let terms: Vec<(f64, Vec<f64>)> = terms.iter().map(|(c, k)| (*c, numbers(k))).collect();
        for (r, out) in out.iter_mut().enumerate() {
            let h = if h.len() == 1 { h[0] } else { h[r] };
            *out = norm.of((r * d..(r + 1) * d).map(|i| {
                let error: f64 = terms.iter().map(|(c, k)| c * k[i]).sum();
                (h * error, y0[i], y1[i])
            }));
        }
    }

    fn non_finite_row(&self, y: &Tensor<A>) -> Option<usize> {
        let place = numbers(y).iter().position(|x| !x.is_finite())?;
        Some(place / y.size(1).max(1))
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
pub fn sample<A: Algebra>(
    x0: &Tensor<A>,
    plan: &Plan,
    velocity: impl Fn(&[f64], &Tensor<A>) -> Tensor<A>,
) -> Result<Sampled<A>, Error>
where
    A::Base: Numbers,
{
    let space = TensorSpace::new();
    let mut field = |t: &[f64], x: &Tensor<A>, dx: &mut Tensor<A>| {
        *dx = velocity(t, x); // (FM.4)
    };
    let solve = Solve::new(&space, &mut field);
    let refused = |e: solvers::Error| Error::Solver {
        ending: e.to_string(),
        expected: "a plan from t = 0 to t = 1".to_owned(),
    };
    let end: End<Tensor<A>> = match plan {
        Plan::Fixed(method, steps) => {
            let grid = TimeGrid::uniform(0.0, 1.0, *steps).map_err(refused)?;
            solve.fixed(method, x0.clone(), &grid) // (FM.22)
        }
        Plan::Adaptive(tolerance) => {
            let plan = Adaptive::new(0.0, 1.0, *tolerance).map_err(refused)?;
            solve.adaptive(&solvers::methods::DORMAND_PRINCE, x0.clone(), &plan)
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
        Outcome::MaxSteps => (
            "the largest number of steps did not reach t = 1".to_owned(),
            "a looser tolerance, or a smoother field",
        ),
        other => (format!("{other:?}"), "to reach t = 1"),
    };
    Error::Solver {
        ending,
        expected: expected.to_owned(),
    }
}
