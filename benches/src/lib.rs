//! Questions about speed, asked with criterion, and the training step that is
//! raced against other frameworks.

pub mod training_step;
