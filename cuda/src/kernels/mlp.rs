//! **A narrow velocity network**, whole, in one launch.
//!
//! ```math
//! h^{0} = (x, s), \qquad h^{i+1} = \mathrm{silu}(h^{i} W^{i} + b^{i}),
//! \qquad v = h^{L} W^{L} + b^{L} \tag{CU.4}
//! ```
//!
//! `x` are points and `s` features of the time. Sampling evaluates this some
//! ten times for each sample, and needs nothing of what lies between. Training
//! needs its pull,
//!
//! ```math
//! \delta^{L} = \bar v, \qquad
//! \delta^{i-1} = (\delta^{i} {W^{i}}^{\mathsf T}) \circ \mathrm{silu}'(z^{i-1}), \qquad
//! \bar W^{i} = {h^{i}}^{\mathsf T} \delta^{i} \tag{CU.5}
//! ```
//!
//! which computes `z` again and keeps nothing in between either.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::bf16::BF16;
use super::matmul::MMA;
use super::reduce::column_sums;
use super::{POLYNOMIAL, expect_len, extent, numbers_of};
use crate::device::{Buffer, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

/// What its kernels share.
const SHARED: &str = include_str!("mlp.cuh");

/// The text for one width, which is known when it is compiled.
fn source(name: &str, width: &str) -> Source {
    let files = [
        ("width", width),
        ("polynomial.cuh", POLYNOMIAL),
        ("bf16.cuh", BF16),
        ("mma.cuh", MMA),
        ("mlp.cuh", SHARED),
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

/// Bytes of shared memory that a block has unasked, on every GPU.
const SHARED_BYTES: usize = 48 << 10;

/// Rows that a tile of the pull may have.
const TILES: [usize; 3] = [32, 16, 8];

/// Rows of a tile of the pull: the most that fit with all their `z`.
fn rows_of_tile(width: usize, hidden: usize) -> Option<usize> {
    // Of too many layers nothing fits, however many they are.
    let layers = hidden.saturating_add(2);
    let bytes = |rows: usize| {
        let row = layers.saturating_mul(rows).saturating_add(16);
        row.saturating_mul(4 * (width + 1))
    };
    let fits = |rows: &usize| bytes(*rows) <= SHARED_BYTES;
    TILES.into_iter().find(fits)
}

/// For each width and number of rows the shallowest and the deepest network
/// whose pull has tiles of so many, as (width, hidden layers).
pub(super) fn extreme_pulls() -> Vec<(usize, usize)> {
    let classes = [32, 64, 128].map(|width| TILES.map(|rows| (width, rows)));
    let extremes = classes.as_flattened().iter().flat_map(|&(width, rows)| {
        let depths = (1..64).filter(move |&hidden| rows_of_tile(width, hidden) == Some(rows));
        let (first, last) = (depths.clone().min(), depths.max());
        [first, last.filter(|_| first != last)].map(|hidden| hidden.map(|hidden| (width, hidden)))
    });
    extremes.flatten().collect()
}

/// The text of the pull for one width and number of hidden layers.
pub(super) fn pull_source(width: usize, hidden: usize) -> Option<Source> {
    let rows = rows_of_tile(width, hidden)?;
    let extents = format!("#define WIDTH {width}u\n#define HIDDEN {hidden}u\n#define ROWS {rows}u");
    let files = [
        ("extents", extents.as_str()),
        ("polynomial.cuh", POLYNOMIAL),
        ("mlp.cuh", SHARED),
        ("mlp_pull.cu", include_str!("mlp_pull.cu")),
    ];
    Some(Source::of(&format!("mlp_pull_{width}_{hidden}"), &files))
}

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
    /// How many parameters: weights and biases, layer by layer. The largest
    /// number, which no buffer has, if they are more.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let MlpShape {
            inputs,
            width,
            hidden,
            outputs,
        } = *self;
        let layer = |from: usize, to: usize| from.saturating_add(1).saturating_mul(to);
        let between = hidden.saturating_sub(1).saturating_mul(layer(width, width));
        let ends = layer(inputs, width).saturating_add(layer(width, outputs));
        between.saturating_add(ends)
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

/// Slopes of `Σ ⟨v̄, v⟩`.
#[derive(Debug)]
pub struct MlpPull {
    /// By the parameters, flat as they are.
    pub parameters: Buffer<f32>,
    /// By what goes in, `[rows, inputs]`.
    pub inputs: Buffer<f32>,
}

/// A network ready to be evaluated.
#[derive(Debug)]
pub struct NarrowMlp<'a> {
    shape: MlpShape,
    source: &'static Source,
    parameters: &'a Buffer<f32>,
    /// The parameters in the order of fragments.
    packed: Buffer<u32>,
    /// The text of the pull, if its tiles fit.
    pull: Option<Source>,
}

/// Coordinates of a point, features, and how far apart rows of features are.
struct Extents {
    d: usize,
    q: usize,
    step: usize,
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
        let layer = shape.width * shape.width / 2 + shape.width;
        let words = numbers_of("narrow_mlp", &[shape.hidden + 1, layer])?;
        let packed = parameters.device().uninitialised(words)?;
        let mut net = NarrowMlp {
            shape,
            source,
            parameters,
            packed,
            pull: pull_source(shape.width, shape.hidden),
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

    /// How points and features make up what goes in.
    fn extents(
        &self,
        x: &Buffer<f32>,
        features: &Buffer<f32>,
        rows: usize,
    ) -> Result<Extents, CudaError> {
        let inputs = self.shape.inputs;
        let d = (x.len() / rows).min(inputs);
        let q = inputs - d;
        expect_len("narrow_mlp", x, &[rows, d])?;
        // One row of features is for all.
        let step = match features.len() == q {
            true => 0,
            false => q,
        };
        if step > 0 || q == 0 {
            expect_len("narrow_mlp", features, &[rows, q])?;
        }
        Ok(Extents { d, q, step })
    }

    /// The pull of `v_bar`, `[rows, outputs]`, in one launch and the sum over
    /// its blocks; points and features as in [`velocity`](Self::velocity).
    ///
    /// # Errors
    /// If the shapes do not fit, if so many layers do not fit into shared
    /// memory, or the device refuses.
    pub fn pull(
        &self,
        x: &Buffer<f32>,
        features: &Buffer<f32>,
        rows: usize,
        v_bar: &Buffer<f32>,
    ) -> Result<MlpPull, CudaError> {
        /// More blocks than any GPU has room for at once, twice over.
        const BLOCKS: usize = 264;
        let device = x.device();
        let MlpShape {
            inputs,
            width,
            hidden,
            outputs,
        } = self.shape;
        expect_len("narrow_mlp", v_bar, &[rows, outputs])?;
        let (Some(source), Some(tile)) = (&self.pull, rows_of_tile(width, hidden)) else {
            let given = format!("{hidden} hidden layers of {width}");
            let expected = "fewer, for their tiles to fit into shared memory";
            return Err(CudaError::mismatch("narrow_mlp", given, expected));
        };
        if rows == 0 {
            return Ok(MlpPull {
                parameters: device.zeros(self.parameters.len())?,
                inputs: device.uninitialised(0)?,
            });
        }
        let Extents { d, q, step } = self.extents(x, features, rows)?;
        // By the shape alone, so that the order of additions is.
        let tiles = rows.div_ceil(tile * BLOCKS);
        let blocks = rows.div_ceil(tile * tiles);
        let sums_of = numbers_of("mlp_pull", &[blocks, self.parameters.len()])?;
        let mut sums = device.uninitialised(sums_of)?;
        let mut inputs_bar = device.uninitialised(numbers_of("mlp_pull", &[rows, inputs])?)?;
        let e = |n| extent("mlp_pull", n);
        let arguments = [
            (&mut sums).into(),
            (&mut inputs_bar).into(),
            x.into(),
            features.into(),
            self.parameters.into(),
            v_bar.into(),
            e(rows)?.into(),
            e(d)?.into(),
            e(q)?.into(),
            e(step)?.into(),
            e(outputs)?.into(),
            e(tiles)?.into(),
        ];
        // SAFETY: the buffers have the shapes checked above, the sums one row
        // of parameters a block.
        unsafe { device.launch(source, "mlp_pull", Grid::line(blocks, 256), &arguments)? }; // (CU.5)
        Ok(MlpPull {
            parameters: column_sums(&sums, blocks, self.parameters.len())?,
            inputs: inputs_bar,
        })
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
        let Extents { d, q, step } = self.extents(x, features, rows)?;
        let mut v = device.uninitialised(numbers_of("velocity", &[rows, outputs])?)?;
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

#[cfg(test)]
mod tests {
    use super::{extreme_pulls, rows_of_tile};

    /// Every number of rows that a network can have, and nothing between two
    /// of the list has another.
    #[test]
    fn the_extreme_pulls_have_tiles_of_all_sizes() {
        let pulls = extreme_pulls();
        let begin = [(32, 1), (32, 9), (32, 10), (32, 20), (32, 21), (32, 42)];
        assert_eq!(pulls[..6], begin);
        for width in [32, 64, 128] {
            let rows = |hidden: usize| rows_of_tile(width, hidden);
            let changes = (1..100).filter(|&hidden| rows(hidden) != rows(hidden + 1));
            for last in changes {
                assert!(pulls.contains(&(width, last)), "{width} {last}");
            }
            assert_eq!(rows(100), None, "{width}");
        }
        // 128 columns leave no room for 32 rows.
        assert_eq!(rows_of_tile(128, 1), Some(16));
    }
}
