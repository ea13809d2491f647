//! **Discrete adjoint**: the derivative of the steps that were made.
//!
//! A Runge–Kutta step maps `y₀` to `y₁` through its stages. Transposed, the
//! cotangent `λ` of `y₁` goes back through them, the last first:
//!
//! ```math
//! \bar k_i = h\Bigl(b_i \lambda + \sum_{j>i} a_{ji}\,\ell_j\Bigr), \qquad
//! \ell_i = \Bigl(\frac{\partial f}{\partial y}(Y_i)\Bigr)^{\!\mathsf T} \bar k_i, \qquad
//! \bar y_0 = \lambda + \sum_i \ell_i \tag{AJ.2}
//! ```
//!
//! This is exact for the numbers that were computed, whatever their error.
//! Hager, Numer. Math. 87 (2000) 247–282; Sanz-Serna, SIAM Rev. 58 (2016) 3–33.

use super::Pull;
use super::checkpoint::backwards;
use crate::method::Method;
use crate::space::{Field, Space};
use crate::step::{Stages, Times, weighted};
use crate::time_grid::TimeGrid;

/// What a discrete adjoint found.
#[derive(Clone, Debug)]
pub struct DiscreteAdjoint<S> {
    /// The cotangent of the start.
    pub start_bar: S,
    /// Evaluations of the field.
    pub evaluations: usize,
    /// Calls of its pull.
    pub pulls: usize,
}

/// The cotangent of the start `y0` of a solve on a grid, from the cotangent of
/// its end. `places` states are kept besides the start; the others are made
/// again, at the cost (AJ.1). With a place for each step nothing is made more
/// than once.
pub fn discrete_adjoint<P: Space>(
    space: &P,
    (field, pull): (&mut impl Field<P::State>, &mut impl Pull<P::State>),
    method: &Method,
    y0: &P::State,
    grid: &TimeGrid,
    end_bar: &P::State,
    places: usize,
) -> DiscreteAdjoint<P::State> {
    let (nodes, rows) = (grid.nodes(), space.rows(y0));
    let mut stages = Stages::new(method, y0, rows);
    let mut found = DiscreteAdjoint {
        start_bar: end_bar.clone(),
        evaluations: 0,
        pulls: 0,
    };
    let field = std::cell::RefCell::new((field, &mut stages, 0));
    let interval = |n: usize| {
        let (t, next) = (nodes[n], nodes[n + 1]);
        (vec![t; rows], vec![next - t; rows], vec![next; rows])
    };
    let attempt = |n: usize, y: &P::State| {
        let (field, stages, evaluations) = &mut *field.borrow_mut();
        let (t, h, next) = interval(n);
        let times = Times {
            t: &t,
            h: &h,
            next: &next,
        };
        stages.forget();
        *evaluations += stages.attempt((space, *field), method, (times, y));
    };
    let mut forward = |n: usize, y: &P::State| {
        attempt(n, y);
        field.borrow().1.y.clone()
    };
    let mut back = StepBack::new(space, method, y0);
    let mut visit = |n: usize, y: &P::State| {
        attempt(n, y);
        let state = field.borrow();
        let (t, h, next) = interval(n);
        let times = Times {
            t: &t,
            h: &h,
            next: &next,
        };
        found.pulls += back.step(space, pull, (times, y, &state.1.k), &mut found.start_bar);
    };
    backwards(grid.intervals(), places, y0, &mut forward, &mut visit);
    let evaluations = field.borrow().2;
    found.evaluations = evaluations;
    found
}

/// Room for one step back.
struct StepBack<'a, S> {
    method: &'a Method,
    /// `ℓ` of each stage.
    l: Vec<S>,
    /// The argument of a stage, and its cotangent.
    y: S,
    bar: S,
    zero: S,
    times: Vec<f64>,
}

impl<'a, S: Clone> StepBack<'a, S> {
    fn new<P: Space<State = S>>(space: &P, method: &'a Method, y: &S) -> Self {
        let rows = space.rows(y);
        let mut zero = y.clone();
        space.combine(&mut zero, y, &vec![1.0; rows], &[(-1.0, y)]);
        StepBack {
            method,
            l: vec![zero.clone(); method.stages()],
            y: y.clone(),
            bar: y.clone(),
            zero,
            times: vec![0.0; rows],
        }
    }

    /// Takes `λ` from the end of a step to its beginning. Returns the number
    /// of pulls.
    fn step<P: Space<State = S>>(
        &mut self,
        space: &P,
        pull: &mut impl Pull<S>,
        (times, y, k): (Times<'_>, &S, &[S]),
        lambda: &mut S,
    ) -> usize {
        let (method, ones) = (self.method, vec![1.0; self.times.len()]);
        let mut used = Vec::new();
        for i in (0..method.stages()).rev() {
            let weight = |terms: &crate::Terms| terms.0.iter().find(|(j, _)| *j == i).map(|x| x.1);
            let later = used
                .iter()
                .filter_map(|&j| Some((j, weight(&method.a[j])?)));
            let later: Vec<(usize, f64)> = later.collect();
            let own = weight(&method.b);
            // A stage that the result does not depend on, such as the last of
            // a step whose last stage is the first of the next.
            if own.is_none() && later.is_empty() {
                continue;
            }
            let mut terms: Vec<(f64, &S)> = later.iter().map(|&(j, a)| (a, &self.l[j])).collect();
            terms.extend(own.map(|b| (b, &*lambda)));
            space.combine(&mut self.bar, &self.zero, times.h, &terms);
            weighted(&method.a[i], k, |terms| {
                space.combine(&mut self.y, y, times.h, terms);
            });
            crate::step::node(&mut self.times, times, method.c[i]);
            pull.pull(&self.times, &self.y, &self.bar, 1.0, &mut self.l[i]);
            used.push(i);
        }
        let terms: Vec<(f64, &S)> = used.iter().map(|&i| (1.0, &self.l[i])).collect();
        space.combine(&mut self.bar, lambda, &ones, &terms); // (AJ.2)
        std::mem::swap(lambda, &mut self.bar);
        used.len()
    }
}
