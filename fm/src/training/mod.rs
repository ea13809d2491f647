//! **Training** a velocity network on the objective (FM.21).
//!
//! One step: draw a batch of data, noise and times; pair noise with data by
//! the coupling; regress the network on the velocity of the straight path.
//! Everything random is a function of the seed and the number of the step, so
//! a training killed anywhere resumes to the same bits, on any number of
//! threads.

mod settings;
mod source;
mod standardisation;
mod trainer;

pub use settings::Settings;
pub use source::Source;
pub use standardisation::Standardisation;
pub use trainer::{Trainer, VelocityModel};
