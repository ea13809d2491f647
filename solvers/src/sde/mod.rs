//! **Stochastic differential equations**, driven by Brownian motion.
//!
//! ```math
//! dX = f(t, X)\,dt + g(t, X)\,dW \tag{SD.1}
//! ```
//!
//! `brownian.rs` is the motion, a function of a seed; `schemes.rs` are the
//! steps.

mod brownian;
mod schemes;

pub use brownian::{Brownian, philox};
pub use schemes::{Correction, Diffusion, Increments, Scheme, solve_sde};
