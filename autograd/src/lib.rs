//! # autograd: the algebra of arrays and its derivatives
//!
//! A program is written once, generic over an [`Algebra`]:
//!
//! ```
//! use autograd::{Algebra, Cpu, Tensor, grad, jvp};
//!
//! fn energy<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
//!     (x.sin() * x).sum()
//! }
//!
//! let x = Tensor::<Cpu<f64>>::new(&[2], vec![0.5, 1.0]);
//! let value = energy(&x);             // read with plain arrays
//! let slope = grad(energy, &x);       // read with variables: reverse mode
//! let (same, along) = jvp(energy, &x, &x.ones_like()); // with duals: forward mode
//! assert_eq!(value.item(), same.item());
//! assert!((slope.sum().item() - along.item()).abs() < 1e-15);
//! ```
//!
//! ## Reading order
//! 1. `linear.rs`: linear maps and their transposes, where it all begins.
//! 2. `pointwise.rs`: the formula sheet.
//! 3. `map.rs`: a derivative is a list of (input, linear map).
//! 4. `dual.rs` and `tape.rs`, `var.rs`: pushing forward, pulling back.
//! 5. `algebra.rs`, `tensor.rs`: how one text has many readings.
//! 6. `derivative.rs`, `pullback.rs`, `jacobian.rs`, `hessian.rs`,
//!    `divergence.rs`, `probe.rs`, `laplacian.rs`, `checkpoint.rs`, `shard.rs`:
//!    what one does with it.
//! 7. `check/`: how each derivative is proved.

mod algebra;
mod archive;
pub mod check;
mod checkpoint;
mod cpu;
mod derivative;
#[cfg(feature = "cuda")]
mod device_array;
mod differentiated;
mod divergence;
mod dual;
mod ema;
#[cfg(feature = "cuda")]
mod expression;
mod fault;
mod finite;
mod gamma;
mod global_norm;
mod hessian;
mod index;
mod jacobian;
mod laplacian;
mod learning_rate;
mod linear;
mod map;
mod nn;
mod num;
mod operations;
mod optimiser;
mod philox;
mod pointwise;
mod primitive;
mod probe;
mod pullback;
mod real;
mod shape;
mod shard;
mod tape;
mod tensor;
mod tree;
mod var;

pub use algebra::{Algebra, Compare, Transpose};
pub use archive::{Archive, ArchiveError, replace_file};
pub use checkpoint::checkpoint;
pub use cpu::Cpu;
pub use derivative::{grad, hvp, jvp, value_and_grad, value_and_grad_partial, vjp, vjp_partial};
#[cfg(feature = "cuda")]
pub use device_array::Cuda;
pub use divergence::{divergence, divergence_reverse, hutchinson};
pub use dual::Dual;
pub use ema::Ema;
#[cfg(feature = "cuda")]
pub use expression::pointwise_kernels;
pub use finite::trap_non_finite;
pub use global_norm::{NotFinite, clip_global_norm, global_norm};
pub use hessian::hessian;
pub use index::Index;
pub use jacobian::{jacobian, jacobian_forward, jacobian_reverse};
pub use laplacian::laplacian;
pub use learning_rate::LearningRate;
pub use linear::{End, Linear, Windows};
pub use nn::{
    ClassEmbedding, Conv2d, Dense, GroupNorm, LayerNorm, Level, Mlp, ResidualBlock, ResidualLayer,
    ResidualMlp, TimeFeatures, UNet, UNetConfig,
};
pub use operations::{Convolution, Pooling, Triangle};
pub use optimiser::{
    Adam, AdamConfig, Lion, LionConfig, Memory, Muon, MuonConfig, Optimiser, Sgd, SgdConfig,
    orthogonalise,
};
pub use philox::{Draw, Philox};
pub use pointwise::{Binary, Unary};
pub use primitive::Primitive;
pub use probe::Probe;
pub use pullback::Pullback;
pub use real::Real;
pub use shape::{MAX_RANK, Shape};
pub use shard::sum_over_shards;
pub use tensor::Tensor;
pub use tree::Tree;
pub use var::Var;
