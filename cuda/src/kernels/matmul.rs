//! **The lesson on products**: versions in rising complexity, beside cuBLAS's.
//!
//! The last three multiply on tensor cores: a warp's instruction takes a
//! fragment of each factor from the registers of its lanes,
//!
//! ```math
//! C_{ij} \leftarrow C_{ij} + \sum_{l<L} A_{il} B_{lj},
//! \qquad i < 16,\; j < 8,\; L \in \{8, 16\} \tag{CU.3}
//! ```
//!
//! in the layout that `mma.cuh` writes down.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::bf16::BF16;
use super::{blocks_of_rows, expect_len, extent, numbers_of};
use crate::device::{Buffer, Grid};
use crate::error::CudaError;
use crate::precision::Precision;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) const TILE: &str = include_str!("tile.cuh");

pub(super) static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    let files = [("tile.cuh", TILE), ("matmul.cu", include_str!("matmul.cu"))];
    Source::of("matmul", &files)
});

/// The instruction of the tensor cores.
pub(super) const MMA: &str = include_str!("mma.cuh");

pub(super) static TENSOR: LazyLock<Source> = LazyLock::new(|| {
    let files = [
        ("bf16.cuh", BF16),
        ("mma.cuh", MMA),
        ("matmul_tensor.cu", include_str!("matmul_tensor.cu")),
    ];
    Source::of("matmul_tensor", &files)
});

/// The versions, in rising complexity; see `matmul.cu` and `matmul_tensor.cu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatmulVersion {
    /// One thread an element, everything from device memory.
    Naive,
    /// Tiles of both factors in shared memory.
    Tiled,
    /// Sixteen elements a thread, in registers.
    Blocked,
    /// Tensor cores, one fragment a warp, from device memory.
    TensorDirect,
    /// Tensor cores, tiles of factors of 11 bits in shared memory.
    TensorTf32,
    /// Tensor cores, tiles of factors of 8 bits in shared memory.
    TensorBf16,
}

impl MatmulVersion {
    /// Every version, once.
    pub const ALL: [MatmulVersion; 6] = [
        MatmulVersion::Naive,
        MatmulVersion::Tiled,
        MatmulVersion::Blocked,
        MatmulVersion::TensorDirect,
        MatmulVersion::TensorTf32,
        MatmulVersion::TensorBf16,
    ];

    /// How it rounds its factors.
    #[must_use]
    pub fn precision(self) -> Precision {
        match self {
            MatmulVersion::Naive | MatmulVersion::Tiled | MatmulVersion::Blocked => Precision::F32,
            MatmulVersion::TensorTf32 => Precision::Tf32,
            MatmulVersion::TensorDirect | MatmulVersion::TensorBf16 => Precision::Bf16,
        }
    }

    /// Where it stands, its name there, rows and columns of a block's tile,
    /// and the block's threads.
    fn kernel(self) -> (&'static Source, &'static str, [usize; 2], [u32; 3]) {
        match self {
            MatmulVersion::Naive => (&SOURCE, "matmul_naive", [16, 16], [16, 16, 1]),
            MatmulVersion::Tiled => (&SOURCE, "matmul_tiled", [16, 16], [16, 16, 1]),
            MatmulVersion::Blocked => (&SOURCE, "matmul_blocked", [64, 64], [256, 1, 1]),
            MatmulVersion::TensorDirect => (&TENSOR, "tensor_direct", [16, 8], [32, 1, 1]), // (CU.3)
            MatmulVersion::TensorTf32 => (&TENSOR, "tensor_tf32", [64, 64], [128, 1, 1]),
            MatmulVersion::TensorBf16 => (&TENSOR, "tensor_bf16", [64, 64], [128, 1, 1]),
        }
    }
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
    let (source, kernel, [rows, columns], threads) = version.kernel();
    let blocks = blocks_of_rows("matmul_lesson", m, rows)?;
    let mut c = device.uninitialised(numbers_of("matmul_lesson", &[m, n])?)?;
    let e = |n| extent("matmul_lesson", n);
    let grid = Grid {
        blocks: [e(n.div_ceil(columns))?, blocks, 1],
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
    unsafe { device.launch(source, kernel, grid, &arguments)? };
    Ok(c)
}
