//! **The lesson on products**: three versions beside cuBLAS's.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{expect_len, extent};
use crate::device::{Buffer, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) const TILE: &str = include_str!("tile.cuh");

pub(super) static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    let files = [("tile.cuh", TILE), ("matmul.cu", include_str!("matmul.cu"))];
    Source::of("matmul", &files)
});

/// The versions, in rising complexity; see `matmul.cu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatmulVersion {
    /// One thread an element, everything from device memory.
    Naive,
    /// Tiles of both factors in shared memory.
    Tiled,
    /// Sixteen elements a thread, in registers.
    Blocked,
}

impl MatmulVersion {
    /// Every version, once.
    pub const ALL: [MatmulVersion; 3] = [
        MatmulVersion::Naive,
        MatmulVersion::Tiled,
        MatmulVersion::Blocked,
    ];
}

/// `A·B` of row-major matrices `[m, k]` and `[k, n]`. For work that is to be
/// fast take [`matmul`](crate::matmul).
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn matmul_lesson(
    version: MatmulVersion,
    a: &Buffer<f32>,
    b: &Buffer<f32>,
    [m, n, k]: [usize; 3],
) -> Result<Buffer<f32>, CudaError> {
    expect_len("matmul_lesson", a, &[m, k])?;
    expect_len("matmul_lesson", b, &[k, n])?;
    let device = a.device();
    let mut c = device.uninitialised(m * n)?;
    let (kernel, tile, threads) = match version {
        MatmulVersion::Naive => ("matmul_naive", 16, [16, 16, 1]),
        MatmulVersion::Tiled => ("matmul_tiled", 16, [16, 16, 1]),
        MatmulVersion::Blocked => ("matmul_blocked", 64, [256, 1, 1]),
    };
    let e = |n| extent("matmul_lesson", n);
    let grid = Grid {
        blocks: [e(n.div_ceil(tile))?, e(m.div_ceil(tile))?, 1],
        threads,
    };
    let arguments = [
        (&mut c).into(),
        a.into(),
        b.into(),
        e(m)?.into(),
        e(n)?.into(),
        e(k)?.into(),
    ];
    // SAFETY: the buffers have the shapes checked above.
    unsafe { device.launch(&SOURCE, kernel, grid, &arguments)? };
    Ok(c)
}
