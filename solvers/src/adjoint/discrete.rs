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
use crate::method::{Method, Terms};
use crate::space::{Field, Space};
use crate::step::{Stages, Times, node, weighted};
use crate::time_grid::TimeGrid;
use std::cell::RefCell;

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
    let (mut evaluations, mut pulls) = (0, 0);
    let mut back = StepBack::new(space, method, (y0, end_bar));
    let stages = RefCell::new(Stages::new(method, y0, rows));
    let mut attempt = |n: usize, y: &P::State| {
        let mut stages = stages.borrow_mut();
        stages.forget();
        let h = [nodes[n + 1] - nodes[n]];
        evaluations += stages.attempt((space, field), method, (times(nodes, n, &h), y));
    };
    let attempt = RefCell::new(&mut attempt);
    let mut forward = |n: usize, y: &P::State, out: &mut P::State| {
        attempt.borrow_mut()(n, y);
        out.clone_from(&stages.borrow().y);
    };
    let mut visit = |n: usize, y: &P::State| {
        attempt.borrow_mut()(n, y);
        let h = [nodes[n + 1] - nodes[n]];
        let step = (times(nodes, n, &h), y, &stages.borrow().k[..]);
        pulls += back.step(space, pull, step);
    };
    backwards(grid.intervals(), places, y0, &mut forward, &mut visit);
    DiscreteAdjoint {
        start_bar: back.lambda(),
        evaluations,
        pulls,
    }
}

/// The step on an interval of the grid.
fn times<'a>(nodes: &'a [f64], n: usize, h: &'a [f64; 1]) -> Times<'a> {
    Times {
        t: &nodes[n..=n],
        h,
        next: &nodes[n + 1..n + 2],
    }
}

/// Room for steps back, and the method transposed.
struct StepBack<'a, S> {
    method: &'a Method,
    /// For each stage that has an effect, the last first: its number, and what
    /// (AJ.2) makes its cotangent of, the last entry being `λ`.
    transposed: Vec<(usize, Terms)>,
    /// The sum of all `ℓ`.
    sum: Terms,
    /// `ℓ` of each stage, and `λ`.
    l: Vec<S>,
    /// The argument of a stage, and its cotangent.
    y: S,
    bar: S,
    zero: S,
    times: Vec<f64>,
}

impl<'a, S: Clone> StepBack<'a, S> {
    fn new<P: Space<State = S>>(space: &P, method: &'a Method, (y, end_bar): (&S, &S)) -> Self {
        let mut zero = y.clone();
        space.combine(&mut zero, y, &[1.0], &[(-1.0, y)]);
        let stages = method.stages();
        let entry = |terms: &Terms, i: usize| terms.0.iter().find(|(j, _)| *j == i).map(|x| x.1);
        let mut transposed: Vec<(usize, Terms)> = Vec::new();
        for i in (0..stages).rev() {
            let later = transposed.iter().map(|(j, _)| *j);
            let later = later.filter_map(|j| Some((j, entry(&method.a[j], i)?)));
            let own = entry(&method.b, i).map(|b| (stages, b));
            let terms: Vec<(usize, f64)> = later.chain(own).collect();
            // A stage may have no effect on the result, such as the last of a
            // step whose last stage is the first of the next.
            if !terms.is_empty() {
                transposed.push((i, Terms(terms)));
            }
        }
        let mut l = vec![zero.clone(); stages];
        l.push(end_bar.clone());
        StepBack {
            method,
            sum: Terms(transposed.iter().map(|(i, _)| (*i, 1.0)).collect()),
            transposed,
            l,
            y: y.clone(),
            bar: y.clone(),
            zero,
            times: vec![0.0; space.rows(y)],
        }
    }

    /// Takes `λ` from the end of a step to its beginning. Returns the number
    /// of pulls.
    fn step<P: Space<State = S>>(
        &mut self,
        space: &P,
        pull: &mut impl Pull<S>,
        (times, y, k): (Times<'_>, &S, &[S]),
    ) -> usize {
        let stages = self.method.stages();
        for (i, column) in &self.transposed {
            weighted(column, &self.l, |terms| {
                space.combine(&mut self.bar, &self.zero, times.h, terms);
            });
            weighted(&self.method.a[*i], k, |terms| {
                space.combine(&mut self.y, y, times.h, terms);
            });
            node(&mut self.times, times, self.method.c[*i]);
            pull.pull(&self.times, &self.y, &self.bar, 1.0, &mut self.l[*i]);
        }
        weighted(&self.sum, &self.l, |terms| {
            space.combine(&mut self.bar, &self.l[stages], &[1.0], terms); // (AJ.2)
        });
        std::mem::swap(&mut self.l[stages], &mut self.bar);
        self.transposed.len()
    }

    /// The cotangent that was come to.
    fn lambda(mut self) -> S {
        self.l.swap_remove(self.method.stages())
    }
}
