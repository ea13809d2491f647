//! **Training** a velocity network on the objective (FM.21).
//!
//! One step: draw a batch of data, noise and times; pair noise with data by
//! the coupling; regress the network on the velocity of the straight path.
//! Everything random is a function of the seed and the number of the step, so
//! a training killed anywhere resumes to the same bits, on any number of
//! threads; on a GPU to the same bits too, which are others: `on_device.rs`.

mod learner;
#[cfg(feature = "cuda")]
mod on_device;
mod settings;
mod source;
mod standardisation;
mod trainer;

/// What random numbers are for: no two purposes share a stream.
mod stream {
    pub(super) const PARAMETERS: u32 = 1;
    pub(super) const NOISE: u32 = 2;
    pub(super) const TIME: u32 = 3;
    pub(super) const DATA: u32 = 4;
    pub(super) const THICKNESS: u32 = 5;
    pub(super) const COUPLING: u32 = 6;
    pub(super) const FLOOR: u32 = 7;
}

pub use settings::Settings;
pub use source::Source;
pub use standardisation::Standardisation;
pub use trainer::{Trainer, VelocityModel};
