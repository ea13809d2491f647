//! **AdamW and the moving average** of all parameters.

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

/// The versions, in rising complexity; see `adamw.cu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdamwVersion {
    /// A launch for the moments, one for the parameters, one for their average.
    Composed,
    /// One launch.
    #[default]
    Fused,
}

impl AdamwVersion {
    /// Every version, once.
    pub const ALL: [AdamwVersion; 2] = [AdamwVersion::Composed, AdamwVersion::Fused];
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
    /// Learning rates, in the bits of doubles.
    rates: Buffer<u64>,
    /// What a step is given that has no loss.
    no_loss: Buffer<f32>,
    config: AdamwConfig,
}

/// Where an optimiser stands after some steps; all lists are as long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdamwPoint {
    /// `θ`.
    pub parameters: Vec<f32>,
    /// The moving average of `θ`.
    pub average: Vec<f32>,
    /// `m`.
    pub first: Vec<f32>,
    /// `v`.
    pub second: Vec<f32>,
    /// Steps taken.
    pub steps: u64,
}

/// Words of the state: six numbers, four counts, eight single numbers.
const STATE: usize = 14;
/// Where the number of steps stands in it.
const STEPS: usize = 6;
/// Most learning rates of a list.
const RATES: usize = 1024;

impl Adamw {
    /// Most learning rates that are taken at once.
    pub const RATES: usize = RATES;

    /// No steps taken, moments zero, the average at the parameters; one
    /// learning rate for all steps.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn new(
        device: &Device,
        parameters: &[f32],
        config: AdamwConfig,
        learning_rate: f64,
    ) -> Result<Self, CudaError> {
        let zeros = vec![0.0; parameters.len()];
        let start = AdamwPoint {
            parameters: parameters.to_vec(),
            average: parameters.to_vec(),
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        };
        let mut adamw = Self::at(device, &start, config)?;
        adamw.set_learning_rate(learning_rate)?;
        Ok(adamw)
    }

    /// Goes on from a point; the learning rate is 0 until it is set.
    ///
    /// # Errors
    /// If the lists are not as long, or the device refuses.
    pub fn at(device: &Device, point: &AdamwPoint, config: AdamwConfig) -> Result<Self, CudaError> {
        extent("adamw", point.parameters.len())?;
        let n = point.parameters.len();
        let others = [&point.average, &point.first, &point.second];
        if let Some(other) = others.iter().find(|list| list.len() != n) {
            return Err(CudaError::mismatch("adamw", other.len(), n));
        }
        let mut adamw = Adamw {
            parameters: device.upload(&point.parameters)?,
            average: device.upload(&point.average)?,
            first: device.upload(&point.first)?,
            second: device.upload(&point.second)?,
            state: device.zeros(STATE)?,
            rates: device.zeros(RATES)?,
            no_loss: device.zeros(1)?,
            config,
        };
        adamw.set_learning_rates(point.steps, &[0.0])?;
        Ok(adamw)
    }

    /// Where it stands; waits for the steps before.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn point(&self) -> Result<AdamwPoint, CudaError> {
        Ok(AdamwPoint {
            parameters: self.parameters.download()?,
            average: self.average.download()?,
            first: self.first.download()?,
            second: self.second.download()?,
            steps: self.state.download()?[STEPS],
        })
    }

    /// One learning rate from the next step on. Not inside a graph; copies the
    /// number of steps to the host.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<(), CudaError> {
        let steps = self.state.download()?[STEPS];
        self.set_learning_rates(steps, &[rate])
    }

    /// The learning rates of the steps that follow the first `steps`; the last
    /// of them stays. Not inside a graph, but a graph that was recorded follows
    /// them. `steps` must be the number of steps taken: nothing is copied to
    /// the host to find it out.
    ///
    /// # Errors
    /// If there are none or more than [`RATES`](Self::RATES), or the device
    /// refuses.
    pub fn set_learning_rates(&mut self, steps: u64, rates: &[f64]) -> Result<(), CudaError> {
        if rates.is_empty() || rates.len() > RATES {
            let expected = format!("1 to {RATES} rates");
            return Err(CudaError::mismatch("adamw", rates.len(), expected));
        }
        let mut list = [0; RATES];
        for (word, rate) in list.iter_mut().zip(rates) {
            *word = rate.to_bits();
        }
        let mut state = [0; STATE];
        let config = self.config;
        let numbers = [
            config.beta1,
            config.beta2,
            config.epsilon,
            config.weight_decay,
            config.average_decay,
        ];
        for (word, number) in state.iter_mut().zip(numbers) {
            *word = number.to_bits();
        }
        state[STEPS..STEPS + 3].copy_from_slice(&[steps, steps + 1, rates.len() as u64]);
        self.rates.write(&list)?;
        self.state.write(&state)
    }

    /// One step, in place; two launches, which a graph may record.
    ///
    /// # Errors
    /// If there are not as many slopes as parameters, or the device refuses.
    pub fn step(&mut self, gradient: &Buffer<f32>) -> Result<(), CudaError> {
        let n = self.parameters.len();
        expect_len("adamw", gradient, &[n])?;
        self.step_parts(&[(0, gradient)], None)
    }

    /// The same step by a version of the lesson; the bits are the same.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_by(
        &mut self,
        version: AdamwVersion,
        gradient: &Buffer<f32>,
    ) -> Result<(), CudaError> {
        if version == AdamwVersion::Fused {
            return self.step(gradient);
        }
        let n = self.parameters.len();
        expect_len("adamw", gradient, &[n])?;
        self.advance(None)?;
        let device = self.parameters.device().clone();
        let count = extent("adamw", n)?;
        let moments = [
            (&mut self.first).into(),
            (&mut self.second).into(),
            gradient.into(),
            (&self.state).into(),
            count.into(),
        ];
        // SAFETY: all buffers but the state have n elements, here and below.
        unsafe { device.launch(&SOURCE, "adamw_moments", Grid::over(n), &moments)? };
        let moved = [
            (&mut self.parameters).into(),
            (&self.first).into(),
            (&self.second).into(),
            (&self.state).into(),
            count.into(),
        ];
        // SAFETY: as above.
        unsafe { device.launch(&SOURCE, "adamw_move", Grid::over(n), &moved)? };
        let averaged = [
            (&mut self.average).into(),
            (&self.parameters).into(),
            (&self.state).into(),
            count.into(),
        ];
        // SAFETY: as above.
        unsafe { device.launch(&SOURCE, "adamw_average", Grid::over(n), &averaged) }
    }

    /// Makes the constants of the next step.
    fn advance(&mut self, loss: Option<&Buffer<f32>>) -> Result<(), CudaError> {
        let loss = loss.unwrap_or(&self.no_loss);
        expect_len("adamw", loss, &[1])?;
        let device = self.parameters.device().clone();
        let advance = [(&mut self.state).into(), (&self.rates).into(), loss.into()];
        // SAFETY: the state has the words of `struct AdamwState`, there are
        // as many rates as it says, and one loss.
        unsafe { device.launch(&SOURCE, "adamw_advance", Grid::line(1, 1), &advance) }
    }

    /// The same for slopes in parts, each with the place of its first
    /// parameter: a launch for each, and one more. What no part covers is not
    /// changed. If a loss (one number) is given and not finite, neither this
    /// step nor any later one changes anything.
    ///
    /// # Errors
    /// If a part lies beyond the parameters, the loss is not one number, or the
    /// device refuses.
    pub fn step_parts(
        &mut self,
        gradient: &[(usize, &Buffer<f32>)],
        loss: Option<&Buffer<f32>>,
    ) -> Result<(), CudaError> {
        self.advance(loss)?;
        let device = self.parameters.device().clone();
        for &(first, slopes) in gradient {
            let n = slopes.len();
            let part = |x: &Buffer<f32>| x.part(first, n);
            let mut parameters = part(&self.parameters)?;
            let mut average = part(&self.average)?;
            let (mut mean, mut square) = (part(&self.first)?, part(&self.second)?);
            let arguments = [
                (&mut parameters).into(),
                (&mut average).into(),
                (&mut mean).into(),
                (&mut square).into(),
                slopes.into(),
                (&self.state).into(),
                extent("adamw", n)?.into(),
            ];
            // SAFETY: all buffers but the state have n elements.
            unsafe { device.launch(&SOURCE, "adamw", Grid::over(n), &arguments)? };
        }
        Ok(())
    }
}
