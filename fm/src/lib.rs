//! # Flow matching
//!
//! Draw noise, draw data, move one to the other on a straight line, and learn
//! the mean velocity: that is flow matching. This crate states its equations
//! once each, next to the code that computes them, and checks every one of
//! them numerically (`flowgrad verify`).
//!
//! `t = 0` is noise, `t = 1` is data, everywhere.
//!
//! ## Reading order
//! 1. [`path`]: single particles and conditional paths, (FM.11) to (FM.20).
//! 2. [`continuity`]: how a velocity moves a density, (FM.1) to (FM.3), (FM.7).
//! 3. [`marginal`]: one field for all data, (FM.6), (FM.8) to (FM.10).
//! 4. [`mixture`]: the oracle, where all of it is known in closed form.
//! 5. [`objective`] and [`sampler`]: learning the field and using it,
//!    (FM.21), (FM.4), (FM.5), (FM.22).
//! 6. [`likelihood`]: how probable a point is, (LK.1).
//! 7. [`verify`]: the proof of all of these, by number.
//! 8. [`compute`] and [`batches`]: the same on a GPU.

pub mod batches;
pub mod compute;
pub mod continuity;
pub mod coupling;
pub mod dataset;
mod error;
pub mod event_time;
pub mod likelihood;
pub mod marginal;
pub mod metric;
pub mod mixture;
pub mod objective;
mod ordinary_file;
pub mod path;
pub mod report;
pub mod sampler;
pub mod schedule;
pub mod training;
pub mod trajectory;
pub mod verify;

pub use error::Error;
