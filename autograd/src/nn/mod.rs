//! **Networks**, built from the algebra like any other program.

mod dense;
mod mlp;
mod time_features;

pub use dense::Dense;
pub use mlp::Mlp;
pub use time_features::TimeFeatures;
