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
//! 1. `choice.rs`, `precision.rs`, `unavailable.rs`, `found.rs`: is there a GPU?
//! 2. `device.rs`, `pool.rs`, `resident.rs`: memory and launches.
//! 3. `source.rs`, `compile.rs`, `cubin_cache.rs`, `usage.rs`: from text to
//!    machine code.
//! 4. `product.rs`, `graph.rs`: cuBLAS, and recorded work.
//! 5. `expression.rs`, `formula.rs`: pointwise kernels, printed from formulas.
//! 6. `kernels/`: each a `.cu` file to study, with the function that launches it.

mod choice;
#[cfg(feature = "cuda")]
mod compile;
#[cfg(feature = "cuda")]
mod cubin_cache;
#[cfg(feature = "cuda")]
mod device;
mod error;
mod expression;
mod formula;
mod found;
#[cfg(feature = "cuda")]
mod graph;
#[cfg(feature = "cuda")]
mod kernels;
#[cfg(feature = "cuda")]
mod libraries;
#[cfg(feature = "cuda")]
mod pool;
mod precision;
#[cfg(feature = "cuda")]
mod probe;
#[cfg(feature = "cuda")]
mod product;
#[cfg(feature = "cuda")]
mod resident;
mod source;
mod unavailable;
#[cfg(feature = "cuda")]
mod usage;

pub use choice::{DeviceChoice, UnknownDevice};
#[cfg(feature = "cuda")]
pub use compile::{Compiled, compile};
#[cfg(feature = "cuda")]
pub use device::{Argument, Buffer, Device, Element, Grid};
pub use error::CudaError;
pub use expression::Expr;
pub use formula::Formula;
pub use found::{DeviceFacts, Found, Version};
#[cfg(feature = "cuda")]
pub use graph::Graph;
#[cfg(feature = "cuda")]
pub use kernels::{
    adamw::{Adamw, AdamwConfig, AdamwPoint, AdamwVersion},
    bf16::{Bf16, rounded},
    constant::{filled, scaled, shifted},
    dense::{Activation, Linear, LinearPull, LinearVersion, linear_silu, linear_silu_pull},
    diary::Diary,
    flow_batch::{FlowBatch, FlowSource, FlowStreams, FlowVersion, Law, Sequence, random},
    matmul::{MatmulVersion, matmul_lesson},
    mlp::{MlpPull, MlpShape, MlpVersion, NarrowMlp},
    places::{Places, ScatterVersion, gather, scatter_add},
    reduce::{SumVersion, column_sums, sum, sum_axis},
    softmax::{SoftmaxVersion, softmax},
    sources,
    stages::{RowNorm, Steps, choose_rows, combine_stages, combine_stages_composed, error_norms},
    unfold::{ImageWindows, convolve, fold, unfold},
    view::{View, largest, read_view, running_sum, write_view},
};
#[cfg(feature = "cuda")]
pub use pool::{Memory, PoolCounts};
pub use precision::{Precision, UnknownPrecision};
#[cfg(feature = "cuda")]
pub use probe::driver_version;
#[cfg(feature = "cuda")]
pub use product::{Factor, matmul};
pub use source::Source;
pub use unavailable::CudaUnavailable;
#[cfg(feature = "cuda")]
pub use usage::Usage;
