//! **Continuous adjoint**: the differential equation of the derivative.
//!
//! Along a solution the cotangent `λ` of the state obeys
//!
//! ```math
//! \frac{d\lambda}{dt} = -\Bigl(\frac{\partial f}{\partial y}\Bigr)^{\!\mathsf T} \lambda, \qquad
//! \bar\theta = \int_{t_0}^{t_1} \Bigl(\frac{\partial f}{\partial\theta}\Bigr)^{\!\mathsf T} \lambda\,dt \tag{AJ.3}
//! ```
//!
//! State and cotangent are solved together, backwards from the end, so nothing
//! is stored. The state is then not the one of the way there, but another
//! approximation of it: the gradient is that of the flow to the order of the
//! method, and not that of any sequence of steps. Pontryagin et al. 1962; Chen
//! et al., *Neural ordinary differential equations*, NeurIPS 2018.

use super::Pull;
use crate::method::Method;
use crate::space::{Field, Space};
use crate::step::{Times, node, weighted};
use crate::time_grid::TimeGrid;

/// What a continuous adjoint found.
#[derive(Clone, Debug)]
pub struct ContinuousAdjoint<S> {
    /// The start, come back to.
    pub start: S,
    /// Its cotangent.
    pub start_bar: S,
    /// Evaluations of the field and, as many, of its pull.
    pub evaluations: usize,
}

/// The cotangent of the start, from the end of a solve and its cotangent; the
/// grid is that of the way there and is gone through backwards. Nothing is
/// decided on the way, so what is not finite in the field comes out as it is.
pub fn continuous_adjoint<P: Space>(
    space: &P,
    (field, pull): (&mut impl Field<P::State>, &mut impl Pull<P::State>),
    method: &Method,
    (end, end_bar): (&P::State, &P::State),
    grid: &TimeGrid,
) -> ContinuousAdjoint<P::State> {
    let rows = space.rows(end);
    let (mut y, mut lambda) = (end.clone(), end_bar.clone());
    let (mut at, mut at_bar) = (end.clone(), end.clone());
    let stages = method.stages();
    let (mut k, mut l) = (vec![end.clone(); stages], vec![end.clone(); stages]);
    let mut times = vec![0.0; rows];
    let mut evaluations = 0;
    for interval in grid.nodes().windows(2).rev() {
        let h = [interval[0] - interval[1]];
        // λ' = −l: steps of l go the other way.
        let minus = [-h[0]];
        let step = Times {
            t: &interval[1..],
            h: &h,
            next: &interval[..1],
        };
        for i in 0..stages {
            // A stage at the result has no weight and serves no other.
            if method.first_same_as_last && i + 1 == stages {
                continue;
            }
            weighted(&method.a[i], &k[..i], |terms| {
                space.combine(&mut at, &y, &h, terms);
            });
            weighted(&method.a[i], &l[..i], |terms| {
                space.combine(&mut at_bar, &lambda, &minus, terms);
            });
            node(&mut times, step, method.c[i]);
            field.eval(&times, &at, &mut k[i]);
            let own = method.b.0.iter().find(|(j, _)| *j == i);
            let weight = own.map_or(0.0, |(_, b)| b * minus[0]);
            pull.pull(&times, &at, &at_bar, weight, &mut l[i]);
            evaluations += 1;
        }
        weighted(&method.b, &k, |terms| space.combine(&mut at, &y, &h, terms));
        weighted(&method.b, &l, |terms| {
            space.combine(&mut at_bar, &lambda, &minus, terms); // (AJ.3)
        });
        std::mem::swap(&mut y, &mut at);
        std::mem::swap(&mut lambda, &mut at_bar);
    }
    ContinuousAdjoint {
        start: y,
        start_bar: lambda,
        evaluations,
    }
}
