//! **A dense layer with SiLU**, fused, and its pull.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::matmul::TILE;
use super::reduce::column_sums;
use super::{POLYNOMIAL, blocks_of_rows, expect_len, extent, numbers_of};
use crate::device::{Buffer, Grid};
use crate::error::CudaError;
use crate::precision::Precision;
use crate::product::{Factor, matmul};
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    let files = [
        ("polynomial.cuh", POLYNOMIAL),
        ("tile.cuh", TILE),
        ("dense.cu", include_str!("dense.cu")),
    ];
    Source::of("dense", &files)
});

/// Rows of a block in the pull.
const ROWS: usize = 256;

/// How the layer is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearVersion {
    /// In one launch, with the product of `tile.cuh`.
    Fused,
    /// The product by cuBLAS, the rest in one launch.
    Cublas(Precision),
}

/// A dense layer's arguments: `x` is `[rows, inputs]`, `w` is
/// `[inputs, outputs]`, `b` is `[outputs]`, all row-major.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// The rows that go in.
    pub x: &'a Buffer<f32>,
    /// The weights.
    pub w: &'a Buffer<f32>,
    /// The bias.
    pub b: &'a Buffer<f32>,
    /// How many rows.
    pub rows: usize,
    /// Numbers of a row that goes in.
    pub inputs: usize,
}

/// What a layer gives: `z = x·W + b` and `h = silu(z)`, `[rows, outputs]`.
#[derive(Debug)]
pub struct Activation {
    /// Before the function.
    pub z: Buffer<f32>,
    /// Behind it.
    pub h: Buffer<f32>,
}

/// `z = x·W + b`, `h = z·σ(z)`.
///
/// # Errors
/// If the shapes do not fit, or the device refuses.
pub fn linear_silu(layer: Linear<'_>, version: LinearVersion) -> Result<Activation, CudaError> {
    let Linear {
        x,
        w,
        b,
        rows,
        inputs,
    } = layer;
    let outputs = b.len();
    expect_len("linear_silu", x, &[rows, inputs])?;
    expect_len("linear_silu", w, &[inputs, outputs])?;
    let device = x.device();
    let e = |n| extent("linear_silu", n);
    let n = numbers_of("linear_silu", &[rows, outputs])?;
    match version {
        LinearVersion::Fused => {
            let blocks = blocks_of_rows("linear_silu", rows, 64)?;
            let mut h = device.uninitialised(n)?;
            let mut z = device.uninitialised(n)?;
            let grid = Grid {
                blocks: [e(outputs.div_ceil(64))?, blocks, 1],
                threads: [256, 1, 1],
            };
            let arguments = [
                (&mut z).into(),
                (&mut h).into(),
                x.into(),
                w.into(),
                b.into(),
                e(rows)?.into(),
                e(inputs)?.into(),
                e(outputs)?.into(),
            ];
            // SAFETY: all buffers have the shapes of the layer.
            unsafe { device.launch(&SOURCE, "linear_silu", grid, &arguments)? };
            Ok(Activation { z, h })
        }
        LinearVersion::Cublas(precision) => {
            let factors = (Factor::plain(x), Factor::plain(w));
            let mut z = matmul(factors.0, factors.1, 1, [rows, outputs, inputs], precision)?;
            let mut h = device.uninitialised(n)?;
            let arguments = [
                (&mut z).into(),
                (&mut h).into(),
                b.into(),
                e(n)?.into(),
                e(outputs)?.into(),
            ];
            let grid = Grid::over(n);
            // SAFETY: z and h have n elements, b has `outputs`.
            unsafe { device.launch(&SOURCE, "bias_silu", grid, &arguments)? };
            Ok(Activation { z, h })
        }
    }
}

/// What the pull gives: cotangents of the layer's three arguments.
#[derive(Debug)]
pub struct LinearPull {
    /// Of `x`.
    pub x: Buffer<f32>,
    /// Of `W`.
    pub w: Buffer<f32>,
    /// Of `b`.
    pub b: Buffer<f32>,
}

/// `z̄ = h̄ ∘ silu'(z)`, `b̄ = Σ z̄`, `W̄ = xᵀ z̄`, `x̄ = z̄ Wᵀ`: two products of
/// cuBLAS, and one launch for `z̄` and the first stage of `b̄`.
///
/// # Errors
/// If the shapes do not fit, or the device refuses.
pub fn linear_silu_pull(
    layer: Linear<'_>,
    out: &Activation,
    h_bar: &Buffer<f32>,
    precision: Precision,
) -> Result<LinearPull, CudaError> {
    let Linear {
        x,
        w,
        b,
        rows,
        inputs,
    } = layer;
    let outputs = b.len();
    for buffer in [&out.z, &out.h, h_bar] {
        expect_len("linear_silu_pull", buffer, &[rows, outputs])?;
    }
    expect_len("linear_silu_pull", x, &[rows, inputs])?;
    expect_len("linear_silu_pull", w, &[inputs, outputs])?;
    let device = x.device();
    let e = |n| extent("linear_silu_pull", n);
    let blocks = blocks_of_rows("linear_silu_pull", rows, ROWS)?;
    let mut z_bar = device.uninitialised(h_bar.len())?;
    let sums_of = numbers_of("linear_silu_pull", &[blocks as usize, outputs])?;
    let mut sums = device.uninitialised(sums_of)?;
    let grid = Grid {
        blocks: [e(outputs.div_ceil(32))?, blocks, 1],
        threads: [32, 8, 1],
    };
    let arguments = [
        (&mut z_bar).into(),
        (&mut sums).into(),
        h_bar.into(),
        (&out.z).into(),
        (&out.h).into(),
        e(rows)?.into(),
        e(outputs)?.into(),
        e(ROWS)?.into(),
    ];
    // SAFETY: the sums are [blocks, outputs], the rest [rows, outputs].
    unsafe { device.launch(&SOURCE, "silu_pull", grid, &arguments)? };
    let (zb, xf, wf) = (
        Factor::plain(&z_bar),
        Factor::transposed(x),
        Factor::transposed(w),
    );
    Ok(LinearPull {
        x: matmul(zb, wf, 1, [rows, inputs, outputs], precision)?,
        w: matmul(xf, zb, 1, [inputs, outputs, rows], precision)?,
        b: column_sums(&sums, blocks as usize, outputs)?,
    })
}
