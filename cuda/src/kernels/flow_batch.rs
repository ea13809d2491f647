//! **A batch for flow matching** in one launch, and plain draws of random
//! numbers with the CPU's bits.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{POLYNOMIAL, expect_len, extent, numbers_of};
use crate::device::{Buffer, Device, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    let files = [
        ("polynomial.cuh", POLYNOMIAL),
        ("philox.cuh", include_str!("philox.cuh")),
        ("flow_batch.cu", include_str!("flow_batch.cu")),
    ];
    Source::of("flow_batch", &files)
});

/// Names a sequence of random numbers: `Draw` of `autograd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The seed of the whole run.
    pub seed: u64,
    /// What the numbers are for.
    pub stream: u32,
    /// The step of the training.
    pub step: u32,
}

/// Which law numbers are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// In [0, 1), multiples of 2⁻²⁴.
    Uniform,
    /// Mean 0 and variance 1.
    Normal,
}

/// `n` numbers at places `first`, `first + 1`, … of a sequence.
///
/// # Errors
/// If the device refuses.
pub fn random(
    device: &Device,
    law: Law,
    sequence: Sequence,
    first: u64,
    n: usize,
) -> Result<Buffer<f32>, CudaError> {
    let kernel = match law {
        Law::Uniform => "uniform_draw",
        Law::Normal => "normal_draw",
    };
    let mut x = device.uninitialised(n)?;
    let arguments = [
        (&mut x).into(),
        sequence.seed.into(),
        sequence.stream.into(),
        sequence.step.into(),
        first.into(),
        extent("random", n)?.into(),
    ];
    // SAFETY: the kernel writes n numbers.
    unsafe { device.launch(&SOURCE, kernel, Grid::over(n), &arguments)? };
    Ok(x)
}

/// The streams of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowStreams {
    /// Of `x₀`.
    pub noise: u32,
    /// Of `t`.
    pub time: u32,
    /// Of the rows of the data.
    pub data: u32,
}

/// The versions, in rising complexity; see `flow_batch.cu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowVersion {
    /// One element a thread.
    Element,
    /// The four of one evaluation of Philox.
    #[default]
    Four,
}

impl FlowVersion {
    /// Every version, once.
    pub const ALL: [FlowVersion; 2] = [FlowVersion::Element, FlowVersion::Four];
}

/// A batch: `[batch, d]` but for the times and the rows, `[batch]`.
#[derive(Debug)]
pub struct FlowBatch {
    /// Noise.
    pub x0: Buffer<f32>,
    /// `(1 − t)·x₀ + t·x₁`.
    pub xt: Buffer<f32>,
    /// `x₁ − x₀`.
    pub target: Buffer<f32>,
    /// Times in [0, 1).
    pub t: Buffer<f32>,
    /// Which rows of the data.
    pub row: Buffer<u32>,
}

/// Draws batches from rows of data; the step counts itself.
#[derive(Debug)]
pub struct FlowSource {
    data: Buffer<f32>,
    rows: usize,
    d: usize,
    /// `struct FlowDraw`, in words of 4 bytes.
    state: Buffer<u32>,
    /// The same as it was when it was last written.
    first: [u32; STATE],
}

/// Words of the state.
const STATE: usize = 6;
/// Where the step stands in it.
const STEP: usize = 5;

impl FlowSource {
    /// A source of batches from data `[rows, d]`; its first batch is that of
    /// step 0.
    ///
    /// # Errors
    /// If there are no rows, not as many numbers, or the device refuses.
    pub fn new(
        data: Buffer<f32>,
        [rows, d]: [usize; 2],
        seed: u64,
        streams: FlowStreams,
    ) -> Result<Self, CudaError> {
        expect_len("flow_batch", &data, &[rows, d])?;
        if rows == 0 {
            return Err(CudaError::mismatch(
                "flow_batch",
                "no rows",
                "one row at least",
            ));
        }
        extent("flow_batch", rows * d)?;
        // Advanced before each batch, so the step begins one before 0.
        let state = [
            seed as u32,
            (seed >> 32) as u32,
            streams.noise,
            streams.time,
            streams.data,
            u32::MAX,
        ];
        Ok(FlowSource {
            state: data.device().upload(&state)?,
            data,
            rows,
            d,
            first: state,
        })
    }

    /// Goes on with the batch of this step. Not inside a graph.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn go_on_at(&mut self, step: u32) -> Result<(), CudaError> {
        // Advanced before each batch.
        self.first[STEP] = step.wrapping_sub(1);
        self.state.write(&self.first)
    }

    /// The next batch; two launches, which a graph may record.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn next(&mut self, batch: usize, version: FlowVersion) -> Result<FlowBatch, CudaError> {
        let device = self.data.device();
        let n = numbers_of("flow_batch", &[batch, self.d])?;
        let advance = [(&mut self.state).into()];
        // SAFETY: the state has the words of `struct FlowDraw`.
        unsafe { device.launch(&SOURCE, "flow_advance", Grid::line(1, 1), &advance)? };
        let e = |n| extent("flow_batch", n);
        let mut out = FlowBatch {
            x0: device.uninitialised(n)?,
            xt: device.uninitialised(n)?,
            target: device.uninitialised(n)?,
            t: device.uninitialised(batch)?,
            row: device.uninitialised(batch)?,
        };
        let (kernel, threads) = match version {
            FlowVersion::Element => ("flow_batch_element", n),
            FlowVersion::Four => ("flow_batch_four", n.div_ceil(4)),
        };
        e(n + 3)?;
        let arguments = [
            (&mut out.x0).into(),
            (&mut out.xt).into(),
            (&mut out.target).into(),
            (&mut out.t).into(),
            (&mut out.row).into(),
            (&self.data).into(),
            (&self.state).into(),
            e(batch)?.into(),
            e(self.d)?.into(),
            e(self.rows)?.into(),
        ];
        // SAFETY: the batch has the shapes of the kernel, rows are below `rows`.
        unsafe { device.launch(&SOURCE, kernel, Grid::over(threads), &arguments)? };
        Ok(out)
    }
}
