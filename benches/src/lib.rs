//! Questions about speed, asked with criterion, and the training step that is
//! raced against other frameworks.

pub mod clock;
pub mod hand_written;
pub mod in_turn;
pub mod one_thread;
pub mod race;
pub mod training_step;
