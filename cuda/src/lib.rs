//! # cuda: device, memory and kernels
//!
//! The GPU side of flowgrad: it knows arrays of numbers on a device and the
//! kernels that work on them, but no tape and no rule of differentiation (a
//! "pull" here is an ordinary kernel).
//!
//! The crate builds on any machine. Without the feature `cuda` it can only
//! say so; with it, the libraries of CUDA are looked for when the program
//! runs, and what is missing is named by [`CudaUnavailable`].
//!
//! ```
//! use cuda::{DeviceChoice, Found};
//! let choice: DeviceChoice = "auto".parse().unwrap();
//! let found = Found::look();
//! println!("{found}");
//! assert_eq!(choice.wants_cuda(&found).unwrap(), found.usable().is_ok());
//! ```
//!
//! ## Reading order
//! 1. `choice.rs`, `unavailable.rs`, `found.rs`: is there a GPU?

mod choice;
mod found;
#[cfg(feature = "cuda")]
mod libraries;
#[cfg(feature = "cuda")]
mod probe;
mod unavailable;

pub use choice::{DeviceChoice, UnknownDevice};
pub use found::{DeviceFacts, Found, Version};
pub use unavailable::CudaUnavailable;
