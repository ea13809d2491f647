//! **Adjoints**: what the end of a solve makes of its start, backwards.
//!
//! All of them ask the field for its *pull*, the transposed derivative, and
//! know nothing of how it is computed.
//!
//! * `discrete.rs`: the derivative of the steps themselves, exact to rounding,
//!   with states stored sparsely by `checkpoint.rs`;
//! * `continuous.rs`: the differential equation of the derivative, solved
//!   backwards on the grid of the way there; as accurate as its steps;
//! * `adaptive.rs`: the same with steps chosen on the way back;
//! * `reversible.rs`: the derivative of reversible steps, with nothing stored.

mod adaptive;
mod checkpoint;
mod continuous;
mod discrete;
mod reversible;

pub use adaptive::{AdaptiveAdjoint, adaptive_adjoint};
pub use checkpoint::forward_steps;
pub use continuous::{ContinuousAdjoint, continuous_adjoint};
pub use discrete::{DiscreteAdjoint, discrete_adjoint};
pub use reversible::{ReversibleAdjoint, reversible_adjoint};

/// The transposed derivative of a field `f(t, y; θ)`.
pub trait Pull<S> {
    /// Writes `(∂f/∂y)ᵀ ȳ` over `out`, and adds `weight · (∂f/∂θ)ᵀ ȳ` to the
    /// gradient of parameters, if there are any; of a weight of 0 nothing need
    /// be computed.
    fn pull(&mut self, t: &[f64], y: &S, y_bar: &S, weight: f64, out: &mut S);
}

impl<S, F: FnMut(&[f64], &S, &S, f64, &mut S)> Pull<S> for F {
    fn pull(&mut self, t: &[f64], y: &S, y_bar: &S, weight: f64, out: &mut S) {
        self(t, y, y_bar, weight, out);
    }
}
