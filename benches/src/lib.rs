//! Questions about speed, asked with criterion, and the training step that is
//! raced against other frameworks.

pub mod clock;
#[cfg(feature = "cuda")]
pub mod device_clock;
#[cfg(feature = "cuda")]
pub mod device_step;
pub mod device_table;
pub mod floor;
pub mod hand_written;
pub mod in_turn;
pub mod one_thread;
pub mod race;
pub mod training_step;
pub mod within_bounds;
