//! **Metrics**: how far samples are from the data.

mod wasserstein;

pub use wasserstein::{Floor, noise_floor, w2};
