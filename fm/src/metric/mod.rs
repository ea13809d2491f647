//! **Metrics**: how far samples are from the data.

mod path_energy;
mod two_sample;
mod wasserstein;

pub use path_energy::{normalised_path_energy, path_energy, straightness};
pub use two_sample::{mean_nearest_distance, two_sample_accuracy};
pub use wasserstein::{Floor, noise_floor, w2};
