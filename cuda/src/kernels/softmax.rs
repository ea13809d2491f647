//! **Softmax** and the logarithm of a sum of exponentials, along rows.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{POLYNOMIAL, expect_len, extent};
use crate::device::{Buffer, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    let files = [
        ("polynomial.cuh", POLYNOMIAL),
        ("softmax.cu", include_str!("softmax.cu")),
    ];
    Source::of("softmax", &files)
});

/// The versions, in rising complexity; see `softmax.cu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoftmaxVersion {
    /// One thread a row.
    Serial,
    /// One warp a row.
    #[default]
    Warp,
}

impl SoftmaxVersion {
    /// Every version, once.
    pub const ALL: [SoftmaxVersion; 2] = [SoftmaxVersion::Serial, SoftmaxVersion::Warp];
}

/// The softmax of each row of a matrix `[rows, columns]`, and the logarithm of
/// each row's sum of exponentials, `[rows]`.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn softmax(
    x: &Buffer<f32>,
    rows: usize,
    columns: usize,
    version: SoftmaxVersion,
) -> Result<(Buffer<f32>, Buffer<f32>), CudaError> {
    expect_len("softmax", x, &[rows, columns])?;
    let device = x.device();
    let mut p = device.uninitialised(x.len())?;
    let mut l = device.uninitialised(rows)?;
    let (kernel, grid) = match version {
        SoftmaxVersion::Serial => ("softmax_serial", Grid::over(rows)),
        SoftmaxVersion::Warp => {
            let blocks = [extent("softmax", rows.div_ceil(8))?, 1, 1];
            let threads = [32, 8, 1];
            ("softmax_warp", Grid { blocks, threads })
        }
    };
    let arguments = [
        (&mut p).into(),
        (&mut l).into(),
        x.into(),
        extent("softmax", rows)?.into(),
        extent("softmax", columns)?.into(),
    ];
    // SAFETY: x and p are [rows, columns], l is [rows].
    unsafe { device.launch(&SOURCE, kernel, grid, &arguments)? };
    Ok((p, l))
}
