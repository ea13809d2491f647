//! **Networks**, built from the algebra like any other program.

mod convolution;
mod dense;
mod embedding;
mod initial;
mod mlp;
mod normalisation;
mod residual_block;
mod residual_mlp;
mod time_features;
mod unet;

pub use convolution::Conv2d;
pub use dense::Dense;
pub use embedding::ClassEmbedding;
pub use mlp::Mlp;
pub use normalisation::{GroupNorm, LayerNorm};
pub use residual_block::ResidualBlock;
pub use residual_mlp::{ResidualLayer, ResidualMlp};
pub use time_features::TimeFeatures;
pub use unet::{Level, UNet, UNetConfig};
