//! **Operations**: what one can do with a [`Tensor`](crate::Tensor), a file
//! for each family. Here shapes are checked and broadcast; what is computed
//! and how it is differentiated is said in `pointwise.rs`, `linear.rs` and
//! `map.rs`, or follows by composition.

mod arithmetic;
mod attention;
mod cholesky;
mod convolution;
mod einsum;
mod losses;
mod normalisation;
mod pointwise;
mod pooling;
mod product;
mod rearrangement;
mod reduction;
mod softmax;
mod stacks;
mod triangular;

pub use convolution::Convolution;
pub use pooling::Pooling;
pub use triangular::Triangle;
