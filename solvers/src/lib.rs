//! # solvers: initial value problems
//!
//! ```math
//! \frac{dy}{dt} = f(t, y), \qquad y(t_0) = y_0 \tag{RK.1}
//! ```
//!
//! ```
//! use solvers::{Rows, Solve, TimeGrid, methods};
//!
//! // Two samples of dy/dt = −y, one row each.
//! let space = Rows::<f64>::new(1);
//! let mut decay = |_t: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>| {
//!     for (dy, y) in dy.iter_mut().zip(y) { *dy = -y; } // (RK.1)
//! };
//! let grid = TimeGrid::uniform(0.0, 1.0, 20)?;
//! let end = Solve::new(&space, &mut decay).fixed(&methods::RK4, vec![1.0, 2.0], &grid)?;
//! assert!((end.state[1] - 2.0 * (-1.0f64).exp()).abs() < 1e-6);
//! assert_eq!(end.evaluations, 80);
//! # Ok::<(), solvers::Error>(())
//! ```
//!
//! The crate knows no array type: a [`Space`] says how states are combined and
//! measured, so the same stepper runs plain arrays and tensors that take
//! derivatives. Time is `f64` everywhere. The direction of time is the sign of
//! `t₁ − t₀`; nothing is evaluated outside of `[t₀, t₁]`, and the last time is
//! `t₁` in bits.
//!
//! For plain arrays a step after the first allocates nothing, unless it is kept
//! or looked into: by a trajectory, an adaptive adjoint, an event, times to save
//! at.
//!
//! ## Reading order
//! `fraction.rs`, `trees.rs`, `tableau.rs` (what makes a method right, checked
//! when it is compiled), `order.rs` (the same conditions for any numbers),
//! `methods.rs` (the data), `dense.rs`, `stability.rs`, `space.rs`, `step.rs`
//! (the step), `norm.rs`, `control.rs`, `adaptive.rs`, `tracks.rs`, `integrate.rs`
//! (the loop), `lockstep.rs`, `within.rs`, `event.rs`, `trajectory.rs`; for speed,
//! `rows/`, `vectors.rs` and `root.rs`. Then, each for itself: `multistep.rs`,
//! `exponential.rs`, `reversible.rs`, `adjoint/`, `sde/`.

mod adaptive;
pub mod adjoint;
mod control;
mod dense;
mod dop853;
mod end;
mod error;
mod event;
mod examine;
mod exponential;
mod fraction;
mod integrate;
mod lockstep;
mod method;
pub mod methods;
mod multistep;
mod norm;
pub mod order;
mod printed;
mod reversible;
mod root;
mod rows;
pub mod sde;
mod solve;
mod space;
pub mod stability;
mod step;
mod tableau;
mod time_grid;
mod tracks;
mod trajectory;
pub mod trees;
mod tsitouras;
mod vectors;
mod within;

pub use adaptive::{Adaptive, Batch};
pub use adjoint::{
    Pull, adaptive_adjoint, continuous_adjoint, discrete_adjoint, forward_steps, reversible_adjoint,
};
pub use control::Controller;
pub use dense::{Dense, Smoothness};
pub use end::{Counts, End, Outcome};
pub use error::Error;
pub use event::{Crossing, Event, Sign, Then};
pub use examine::{Examination, examine, with_wrong_weight};
pub use exponential::{ExponentialOrder, exponential};
pub use fraction::Fraction;
pub use method::{Estimator, Method, Terms};
pub use multistep::{AB2, AB3, AB4, AdamsBashforth};
pub use norm::{Mean, Norm, Tolerance};
pub use printed::{Coefficient, Printed};
pub use reversible::{Companions, reversible_heun};
pub use rows::{Number, Rows};
pub use solve::Solve;
pub use space::{Field, Space};
pub use tableau::{Estimate, Tableau};
pub use time_grid::TimeGrid;
pub use trajectory::Trajectory;
