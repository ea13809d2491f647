//! **A narrow velocity network**, whole, in one launch.
//!
//! ```math
//! h^{0} = (x, s), \qquad h^{i+1} = \mathrm{silu}(h^{i} W^{i} + b^{i}),
//! \qquad v = h^{L} W^{L} + b^{L} \tag{CU.4}
//! ```
//!
//! `x` are points and `s` features of the time. Sampling evaluates this some
//! ten times for each sample, and needs nothing of what lies between.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::bf16::BF16;
use super::matmul::MMA;
use super::{POLYNOMIAL, expect_len, extent};
use crate::device::{Buffer, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

/// The text for one width, which is known when it is compiled.
fn source(name: &str, width: &str) -> Source {
    let files = [
        ("width", width),
        ("polynomial.cuh", POLYNOMIAL),
        ("bf16.cuh", BF16),
        ("mma.cuh", MMA),
        ("mlp.cu", include_str!("mlp.cu")),
    ];
    Source::of(name, &files)
}

pub(super) static WIDTH_32: LazyLock<Source> =
    LazyLock::new(|| source("mlp_32", "#define WIDTH 32u"));
pub(super) static WIDTH_64: LazyLock<Source> =
    LazyLock::new(|| source("mlp_64", "#define WIDTH 64u"));
pub(super) static WIDTH_128: LazyLock<Source> =
    LazyLock::new(|| source("mlp_128", "#define WIDTH 128u"));

/// The versions, in rising complexity; see `mlp.cu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MlpVersion {
    /// Activations in shared memory, single precision: the bits of one
    /// `linear_silu` after the other.
    #[default]
    Shared,
    /// Activations in registers, bfloat16 on tensor cores.
    Tensor,
}

impl MlpVersion {
    /// Every version, once.
    pub const ALL: [MlpVersion; 2] = [MlpVersion::Shared, MlpVersion::Tensor];
}

/// The extents of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpShape {
    /// Coordinates of a point and features of the time; `width` at most.
    pub inputs: usize,
    /// Of each hidden layer: 32, 64 or 128.
    pub width: usize,
    /// Hidden layers, one at least.
    pub hidden: usize,
    /// Numbers that come out; `width` at most.
    pub outputs: usize,
}

impl MlpShape {
    /// How many parameters: weights and biases, layer by layer.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let MlpShape {
            inputs,
            width,
            hidden,
            outputs,
        } = *self;
        (inputs + 1) * width
            + hidden.saturating_sub(1) * (width + 1) * width
            + (width + 1) * outputs
    }

    /// The kernels of this width.
    fn source(&self) -> Option<&'static Source> {
        match self.width {
            32 => Some(&WIDTH_32),
            64 => Some(&WIDTH_64),
            128 => Some(&WIDTH_128),
            _ => None,
        }
    }
}

/// A network ready to be evaluated.
#[derive(Debug)]
pub struct NarrowMlp<'a> {
    shape: MlpShape,
    source: &'static Source,
    parameters: &'a Buffer<f32>,
    /// The parameters in the order of fragments.
    packed: Buffer<u32>,
}

impl<'a> NarrowMlp<'a> {
    /// A network with these parameters, flat: `W⁰, b⁰, W¹, …`, each `Wⁱ`
    /// row-major `[inputs, outputs]`. That is the order of `Mlp::leaves` and
    /// of [`Adamw`](crate::Adamw)'s buffers.
    ///
    /// # Errors
    /// If the extents are not those that there are kernels for, or the device
    /// refuses.
    pub fn new(shape: MlpShape, parameters: &'a Buffer<f32>) -> Result<Self, CudaError> {
        let narrow = |n: usize| (1..=shape.width).contains(&n);
        let fits = narrow(shape.inputs) && narrow(shape.outputs) && shape.hidden > 0;
        let (Some(source), true) = (shape.source(), fits) else {
            let given = format!("{shape:?}");
            let expected = "width 32, 64 or 128, inputs and outputs up to it, a hidden layer";
            return Err(CudaError::mismatch("narrow_mlp", given, expected));
        };
        expect_len("narrow_mlp", parameters, &[shape.parameters()])?;
        let words = (shape.hidden + 1) * (shape.width * shape.width / 2 + shape.width);
        let packed = parameters.device().uninitialised(words)?;
        let mut net = NarrowMlp {
            shape,
            source,
            parameters,
            packed,
        };
        net.pack()?;
        Ok(net)
    }

    fn pack(&mut self) -> Result<(), CudaError> {
        let e = |n| extent("mlp_pack", n);
        let words = self.packed.len();
        e(words)?;
        let arguments = [
            (&mut self.packed).into(),
            self.parameters.into(),
            e(self.shape.inputs)?.into(),
            e(self.shape.hidden)?.into(),
            e(self.shape.outputs)?.into(),
        ];
        let device = self.parameters.device();
        // SAFETY: both buffers have the lengths of the shape.
        unsafe { device.launch(self.source, "mlp_pack", Grid::over(words), &arguments) }
    }

    /// `v` for points `[rows, d]` and features `[rows, q]`, or `[1, q]` if all
    /// have the same time; `d + q` are the inputs. `[rows, outputs]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device refuses.
    pub fn velocity(
        &self,
        x: &Buffer<f32>,
        features: &Buffer<f32>,
        rows: usize,
        version: MlpVersion,
    ) -> Result<Buffer<f32>, CudaError> {
        let device = x.device();
        let outputs = self.shape.outputs;
        if rows == 0 {
            return device.uninitialised(0);
        }
        let d = x.len() / rows;
        let q = self.shape.inputs.saturating_sub(d);
        expect_len("velocity", x, &[rows, d])?;
        let step = match features.len() == q {
            true => 0,
            false => q,
        };
        if step > 0 || d + q != self.shape.inputs {
            expect_len("velocity", features, &[rows, q])?;
            expect_len("velocity", x, &[rows, self.shape.inputs - q])?;
        }
        let mut v = device.uninitialised(rows * outputs)?;
        let e = |n| extent("velocity", n);
        let (kernel, grid, parameters) = match version {
            MlpVersion::Shared => {
                let grid = Grid::line(rows.div_ceil(64), 256);
                ("mlp_shared", grid, self.parameters.into())
            }
            MlpVersion::Tensor => {
                let grid = Grid::line(rows.div_ceil(64), 128);
                ("mlp_tensor", grid, (&self.packed).into())
            }
        };
        let arguments = [
            (&mut v).into(),
            x.into(),
            features.into(),
            parameters,
            e(rows)?.into(),
            e(d)?.into(),
            e(q)?.into(),
            e(step)?.into(),
            e(self.shape.hidden)?.into(),
            e(outputs)?.into(),
        ];
        // SAFETY: the buffers have the shapes checked above, the parameters
        // those of the network.
        unsafe { device.launch(self.source, kernel, grid, &arguments)? }; // (CU.4)
        Ok(v)
    }
}
