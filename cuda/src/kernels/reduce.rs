//! **Sums** in two stages, in an order that depends on the shape alone.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{blocks_of_rows, extent, numbers_of};
use crate::device::{Buffer, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("reduce", &[("reduce.cu", include_str!("reduce.cu"))]));

/// The versions of a sum, in rising complexity; see `reduce.cu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SumVersion {
    /// One thread a block.
    Serial,
    /// A tree in shared memory.
    Tree,
    /// A tree through the registers of a warp.
    #[default]
    Shuffle,
}

impl SumVersion {
    /// Every version, once.
    pub const ALL: [SumVersion; 3] = [SumVersion::Serial, SumVersion::Tree, SumVersion::Shuffle];
}

/// Elements that a block of the first stage sums.
const SHARE: usize = 2048;
/// Rows that a block sums of each of its columns.
const ROWS: usize = 256;

/// `Σᵢ xᵢ`, 0 for none: one number.
///
/// # Errors
/// If the device refuses.
pub fn sum(x: &Buffer<f32>, version: SumVersion) -> Result<Buffer<f32>, CudaError> {
    let (kernel, threads) = match version {
        SumVersion::Serial => ("sum_serial", 1),
        SumVersion::Tree => ("sum_tree", 256),
        SumVersion::Shuffle => ("sum_shuffle", 256),
    };
    let device = x.device();
    if x.is_empty() {
        return device.zeros(1);
    }
    let stage = |x: &Buffer<f32>, blocks: usize, share: usize| {
        let mut sums = device.uninitialised(blocks)?;
        let (n, share) = (extent("sum", x.len())?, extent("sum", share)?);
        let arguments = [(&mut sums).into(), x.into(), n.into(), share.into()];
        // SAFETY: block b reads elements [b·share, (b+1)·share) below n and
        // writes sum b.
        unsafe { device.launch(&SOURCE, kernel, Grid::line(blocks, threads), &arguments)? };
        Ok(sums)
    };
    let blocks = x.len().div_ceil(SHARE);
    let sums = stage(x, blocks, SHARE)?;
    match blocks {
        1 => Ok(sums),
        _ => stage(&sums, 1, blocks),
    }
}

/// `Σᵢ Xᵢⱼ` for each column `j` of a matrix `[rows, columns]`.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn column_sums(x: &Buffer<f32>, rows: usize, columns: usize) -> Result<Buffer<f32>, CudaError> {
    let device = x.device();
    super::expect_len("column_sums", x, &[rows, columns])?;
    if rows == 0 {
        return device.zeros(columns);
    }
    let stage = |x: &Buffer<f32>, rows: usize| {
        let along_y = blocks_of_rows("column_sums", rows, ROWS)?;
        let blocks = along_y as usize;
        let mut sums = device.uninitialised(numbers_of("column_sums", &[blocks, columns])?)?;
        let e = |n| extent("column_sums", n);
        let grid = Grid {
            blocks: [e(columns.div_ceil(32))?, along_y, 1],
            threads: [32, 8, 1],
        };
        let arguments = [
            (&mut sums).into(),
            x.into(),
            e(rows)?.into(),
            e(columns)?.into(),
            e(ROWS)?.into(),
        ];
        // SAFETY: x is [rows, columns], the sums are [blocks, columns].
        unsafe { device.launch(&SOURCE, "column_sums", grid, &arguments)? };
        Ok::<_, CudaError>((sums, blocks))
    };
    let (mut sums, mut left) = stage(x, rows)?;
    while left > 1 {
        (sums, left) = stage(&sums, left)?;
    }
    Ok(sums)
}

/// `Σₖ X[o, k, i]` of an array `[outer, n, inner]`: `[outer, inner]`.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn sum_axis(x: &Buffer<f32>, axes: [usize; 3]) -> Result<Buffer<f32>, CudaError> {
    let device = x.device();
    let [outer, n, inner] = axes;
    super::expect_len("sum_axis", x, &axes)?;
    let count = numbers_of("sum_axis", &[outer, inner])?;
    let mut sums = device.uninitialised(count)?;
    let e = |n| extent("sum_axis", n);
    e(count)?;
    let arguments = [
        (&mut sums).into(),
        x.into(),
        e(outer)?.into(),
        e(n)?.into(),
        e(inner)?.into(),
    ];
    let grid = Grid::over(count);
    // SAFETY: x is [outer, n, inner], the sums are [outer, inner].
    unsafe { device.launch(&SOURCE, "sum_axis", grid, &arguments)? };
    Ok(sums)
}
