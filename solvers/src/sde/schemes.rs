//! **Schemes**: steps for stochastic differential equations, (SD.1).
//!
//! The diffusion is given as a function of state and increment, `g(t, y)·ΔW`,
//! so the noise may be of any shape.

use crate::end::{End, Outcome};
use crate::space::{Field, Space};
use crate::time_grid::TimeGrid;

/// Increments `W(t₁) − W(t₀)` of a motion, in the shape of a state.
pub trait Increments<S> {
    /// Writes them over `out`, which has the right shape.
    fn between(&self, t0: f64, t1: f64, out: &mut S);
}

/// `g(t, y)·ΔW`.
pub trait Diffusion<S> {
    /// Writes it over `out`.
    fn apply(&mut self, t: f64, y: &S, dw: &S, out: &mut S);
}

impl<S, F: FnMut(f64, &S, &S, &mut S)> Diffusion<S> for F {
    fn apply(&mut self, t: f64, y: &S, dw: &S, out: &mut S) {
        self(t, y, dw, out);
    }
}

/// Milstein's correction `½ g ∂g/∂y (ΔW² − h)`, for noise of which each
/// component acts on one coordinate alone: written over the last argument from
/// `(t, y, ΔW, h)`.
pub type Correction<'a, S> = &'a mut dyn FnMut(f64, &S, &S, f64, &mut S);

/// How a step is made.
pub enum Scheme<'a, S> {
    /// Euler and Maruyama, for Itô's integral; strong order 1/2, weak order 1.
    ///
    /// ```math
    /// y_1 = y_0 + f(t_0, y_0)\,h + g(t_0, y_0)\,\Delta W \tag{SD.3}
    /// ```
    ///
    /// Maruyama 1955; Kloeden and Platen, *Numerical Solution of Stochastic
    /// Differential Equations*, 10.2.
    EulerMaruyama,
    /// Heun, for Stratonovich's integral; strong order 1 if the components of
    /// the noise commute.
    ///
    /// ```math
    /// \tilde y = y_0 + f_0 h + g_0 \Delta W, \qquad
    /// y_1 = y_0 + \tfrac12 (f_0 + \tilde f)\,h + \tfrac12 (g_0 + \tilde g)\,\Delta W \tag{SD.4}
    /// ```
    ///
    /// Rümelin, SIAM J. Numer. Anal. 19 (1982) 604–613.
    Heun,
    /// Milstein, for Itô's integral and diagonal noise; strong order 1.
    ///
    /// ```math
    /// y_1 = y_0 + f h + g\,\Delta W + \tfrac12\, g\,\frac{\partial g}{\partial y}\,(\Delta W^2 - h) \tag{SD.5}
    /// ```
    ///
    /// Milstein, Theory Probab. Appl. 19 (1974) 557–562.
    Milstein(Correction<'a, S>),
}

impl<S> std::fmt::Debug for Scheme<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Scheme::EulerMaruyama => "EulerMaruyama",
            Scheme::Heun => "Heun",
            Scheme::Milstein(_) => "Milstein",
        })
    }
}

/// Solves on a grid that rises, along the path of a motion.
///
/// # Panics
/// If the grid falls: Itô's integral looks ahead in time only.
pub fn solve_sde<P: Space>(
    space: &P,
    (drift, diffusion): (&mut impl Field<P::State>, &mut impl Diffusion<P::State>),
    mut scheme: Scheme<'_, P::State>,
    motion: &impl Increments<P::State>,
    y0: P::State,
    grid: &TimeGrid,
) -> End<P::State> {
    let (nodes, rows) = (grid.nodes(), space.rows(&y0));
    assert!(
        nodes[0] < nodes[1],
        "the grid of a stochastic equation rises"
    );
    let mut end = End::at_start(&y0, nodes[0], rows);
    let (ones, mut times) = ([1.0], vec![0.0; rows]);
    let mut y = y0.clone();
    let mut room = vec![y0; 6];
    let [dw, f, g, next, f1, g1] = &mut room[..] else {
        unreachable!("six were made");
    };
    for interval in nodes.windows(2) {
        let (t, t1) = (interval[0], interval[1]);
        let h = t1 - t;
        motion.between(t, t1, dw);
        times.fill(t);
        drift.eval(&times, &y, f);
        diffusion.apply(t, &y, dw, g); // (SD.1)
        let mut made = 1;
        match &mut scheme {
            Scheme::EulerMaruyama => {
                space.combine(next, &y, &ones, &[(h, f), (1.0, g)]); // (SD.3)
            }
            Scheme::Heun => {
                space.combine(next, &y, &ones, &[(h, f), (1.0, g)]);
                times.fill(t1);
                drift.eval(&times, next, f1);
                diffusion.apply(t1, next, dw, g1);
                made += 1;
                let terms = [(0.5 * h, &*f), (0.5 * h, f1), (0.5, g), (0.5, g1)];
                space.combine(next, &y, &ones, &terms); // (SD.4)
            }
            Scheme::Milstein(correction) => {
                correction(t, &y, dw, h, g1);
                space.combine(next, &y, &ones, &[(h, f), (1.0, g), (1.0, g1)]); // (SD.5)
            }
        }
        if let Some(sample) = space.non_finite_row(next) {
            end.note_evaluations(made);
            end.outcome = Outcome::NonFinite { t, sample };
            break;
        }
        std::mem::swap(&mut y, next);
        end.note_step(made, t1);
    }
    end.state = y;
    end
}
