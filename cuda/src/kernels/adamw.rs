//! **AdamW and the moving average** of all parameters in one launch.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{expect_len, extent};
use crate::device::{Buffer, Device, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("adamw", &[("adamw.cu", include_str!("adamw.cu"))]));

/// The constants of the method; see `autograd/src/adam.rs` and `ema.rs`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamwConfig {
    /// `β₁`, memory of the mean.
    pub beta1: f64,
    /// `β₂`, memory of the square.
    pub beta2: f64,
    /// `ε`, added to the root.
    pub epsilon: f64,
    /// `λ`, decoupled weight decay.
    pub weight_decay: f64,
    /// `d`, memory of the moving average.
    pub average_decay: f64,
}

/// A flat optimiser: parameters, their average and their moments.
#[derive(Debug)]
pub struct Adamw {
    /// `θ`.
    pub parameters: Buffer<f32>,
    /// The moving average of `θ`.
    pub average: Buffer<f32>,
    /// `m`.
    pub first: Buffer<f32>,
    /// `v`.
    pub second: Buffer<f32>,
    /// `struct AdamwState`, in words of 8 bytes.
    state: Buffer<u64>,
}

/// Words of the state: six numbers, the steps, eight single numbers.
const STATE: usize = 11;
/// Where the learning rate stands in it.
const RATE: usize = 5;

impl Adamw {
    /// No steps taken, moments zero, the average at the parameters.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn new(
        device: &Device,
        parameters: &[f32],
        config: AdamwConfig,
        learning_rate: f64,
    ) -> Result<Self, CudaError> {
        extent("adamw", parameters.len())?;
        let mut state = [0; STATE];
        let numbers = [
            config.beta1,
            config.beta2,
            config.epsilon,
            config.weight_decay,
            config.average_decay,
            learning_rate,
        ];
        for (word, number) in state.iter_mut().zip(numbers) {
            *word = number.to_bits();
        }
        Ok(Adamw {
            parameters: device.upload(parameters)?,
            average: device.upload(parameters)?,
            first: device.zeros(parameters.len())?,
            second: device.zeros(parameters.len())?,
            state: device.upload(&state)?,
        })
    }

    /// Changes the learning rate from the next step on. Not inside a graph.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<(), CudaError> {
        let mut state = self.state.download()?;
        state[RATE] = rate.to_bits();
        self.state.write(&state)
    }

    /// One step, in place; two launches, which a graph may record.
    ///
    /// # Errors
    /// If there are not as many slopes as parameters, or the device refuses.
    pub fn step(&mut self, gradient: &Buffer<f32>) -> Result<(), CudaError> {
        let n = self.parameters.len();
        expect_len("adamw", gradient, &[n])?;
        let device = gradient.device();
        let advance = [(&mut self.state).into()];
        // SAFETY: the state has the words of `struct AdamwState`.
        unsafe { device.launch(&SOURCE, "adamw_advance", Grid::line(1, 1), &advance)? };
        let arguments = [
            (&mut self.parameters).into(),
            (&mut self.average).into(),
            (&mut self.first).into(),
            (&mut self.second).into(),
            gradient.into(),
            (&self.state).into(),
            extent("adamw", n)?.into(),
        ];
        // SAFETY: all buffers but the state have n elements.
        unsafe { device.launch(&SOURCE, "adamw", Grid::over(n), &arguments) }
    }
}
