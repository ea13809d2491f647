//! **Products of matrices** by cuBLAS.
//!
//! ```math
//! C_b = \mathrm{op}(A_b)\,\mathrm{op}(B_b), \qquad C_b \in \mathbb R^{m\times n}
//! ```
//!
//! cuBLAS is column-major, our matrices are row-major, and a matrix read the
//! other way is its transpose. So `Cᵀ = op(B)ᵀ op(A)ᵀ` is what is asked of it:
//! the factors change places and nothing is moved.
//!
//! One handle, one stream, and a workspace of our own (else cuBLAS would
//! allocate while a graph is recorded). 2·m·n·k operations a product, and at
//! least 4(mk + kn + mn) bytes.
//!
//! | precision | `u`, of a factor | `s`, of a partial sum | tolerance of tests |
//! |---|---|---|---|
//! | [`F32`](Precision::F32) | 0 | 2⁻²⁴ | 1e-5 |
//! | [`Tf32`](Precision::Tf32) | 2⁻¹¹ | 2⁻²³ | 1e-3 |
//! | [`Bf16`](Precision::Bf16) | 2⁻⁸ (CU.1) | 2⁻²³ | 1e-2 |
//!
//! With both factors rounded a product of two numbers errs by `2u + u²` of
//! itself, and the sum by `k·s` of the sum of magnitudes:
//!
//! ```math
//! |\hat C - C| \le (2u + u^2 + 1.01\,k\,s)\;|A|\,|B| \tag{CU.2}
//! ```
//!
//! The tolerances are this bound, relative, where nothing cancels and
//! `k ≤ 160`: 9.6e-6, 1.0e-3 and 7.9e-3.

#![expect(unsafe_code, reason = "cuBLAS is a library in C")]

use crate::device::{Buffer, Device};
use crate::error::{CudaError, Doing};
use crate::kernels::bf16::rounded;
use crate::kernels::numbers_of;
use crate::pool::Block;
use crate::precision::Precision;
use cudarc::cublas::sys::{
    cublasComputeType_t, cublasGemmAlgo_t, cublasHandle_t, cublasOperation_t, cudaDataType,
};
use cudarc::cublas::{result, sys};
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, PoisonError};

impl Precision {
    /// How far a factor may be rounded, `u` of (CU.2).
    #[must_use]
    pub fn unit(self) -> f64 {
        match self {
            Precision::F32 => 0.0,
            Precision::Tf32 => f64::powi(2.0, -11),
            Precision::Bf16 => f64::powi(2.0, -8),
        }
    }

    /// How far a partial sum may be off, `s` of (CU.2): tensor cores cut off
    /// where others round.
    #[must_use]
    pub fn sum_unit(self) -> f64 {
        match self {
            Precision::F32 => f64::powi(2.0, -24),
            Precision::Tf32 | Precision::Bf16 => f64::powi(2.0, -23),
        }
    }

    /// What error is allowed to a product of `k` pairs, over the product of
    /// the magnitudes.
    #[must_use]
    pub fn bound(self, k: usize) -> f64 {
        let (u, s) = (self.unit(), self.sum_unit());
        2.0 * u + u * u + 1.01 * k as f64 * s // (CU.2)
    }

    /// What cuBLAS reads, and how it multiplies.
    fn types(self) -> (cudaDataType, cublasComputeType_t) {
        use cublasComputeType_t::{CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32};
        match self {
            Precision::F32 => (cudaDataType::CUDA_R_32F, CUBLAS_COMPUTE_32F),
            Precision::Tf32 => (cudaDataType::CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32),
            Precision::Bf16 => (cudaDataType::CUDA_R_16BF, CUBLAS_COMPUTE_32F),
        }
    }
}

/// A matrix of a stack: transposed or as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Factor<'a> {
    /// The numbers of all matrices, row-major, one matrix behind the other.
    pub numbers: &'a Buffer<f32>,
    /// Whether each matrix is read transposed.
    pub transposed: bool,
}

impl<'a> Factor<'a> {
    /// Read as it stands.
    #[must_use]
    pub fn plain(numbers: &'a Buffer<f32>) -> Self {
        Factor {
            numbers,
            transposed: false,
        }
    }

    /// Read transposed.
    #[must_use]
    pub fn transposed(numbers: &'a Buffer<f32>) -> Self {
        Factor {
            numbers,
            transposed: true,
        }
    }

    fn operation(self) -> cublasOperation_t {
        match self.transposed {
            false => cublasOperation_t::CUBLAS_OP_N,
            true => cublasOperation_t::CUBLAS_OP_T,
        }
    }
}

/// Bytes of cuBLAS's own room: what its documentation advises on Hopper.
const WORKSPACE: usize = 32 << 20;

/// cuBLAS for one device.
#[derive(Debug)]
pub(crate) struct Handle {
    handle: Mutex<Raw>,
    _workspace: Block,
}

#[derive(Debug)]
struct Raw(cublasHandle_t);

// SAFETY: a handle may be used from any thread, by one at a time, which the
// lock around it ensures.
unsafe impl Send for Raw {}

impl Handle {
    pub(crate) fn new(device: &Device) -> Result<Self, CudaError> {
        let workspace = device.block(WORKSPACE)?;
        let handle = result::create_handle().doing("opening cuBLAS")?;
        let stream = device.stream().cu_stream().cast();
        // SAFETY: handle and stream were made on this device and live.
        unsafe { result::set_stream(handle, stream) }.doing("giving cuBLAS a stream")?;
        let room = workspace.address() as *mut c_void;
        // SAFETY: the block is as long as said, and lives as long as the handle.
        let answer = unsafe { sys::cublasSetWorkspace_v2(handle, room, WORKSPACE) };
        answer.result().doing("giving cuBLAS room")?;
        Ok(Handle {
            handle: Mutex::new(Raw(handle)),
            _workspace: workspace,
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: made by `new`, destroyed once. A refusal leaks it.
        let _ = unsafe { result::destroy_handle(handle.0) };
    }
}

/// A stack of products, `C_b = op(A_b)·op(B_b)`, each `[m, k]·[k, n]`.
///
/// # Errors
/// If the factors do not have as many numbers or are of two devices, or the
/// library refuses.
pub fn matmul(
    a: Factor<'_>,
    b: Factor<'_>,
    count: usize,
    [m, n, k]: [usize; 3],
    precision: Precision,
) -> Result<Buffer<f32>, CudaError> {
    let device = a.numbers.device();
    for (factor, rows, columns) in [(a, m, k), (b, k, n)] {
        let expected = numbers_of("matmul", &[count, rows, columns])?;
        if factor.numbers.len() != expected {
            let given = format!("{} numbers", factor.numbers.len());
            let expected = format!("{count} matrices of [{rows}, {columns}]");
            return Err(CudaError::mismatch("matmul", given, expected));
        }
    }
    device.expect_own("matmul", b.numbers.block())?;
    let len = numbers_of("matmul", &[count, m, n])?;
    // An empty sum is 0, and cuBLAS need not be asked.
    if len == 0 || k == 0 {
        return device.zeros(len);
    }
    // Bfloat16 are other numbers and lie elsewhere; they are needed no longer
    // than this product.
    let halves = match precision {
        Precision::F32 | Precision::Tf32 => None,
        Precision::Bf16 => Some((rounded(a.numbers)?, rounded(b.numbers)?)),
    };
    let (left, right) = match &halves {
        None => (a.numbers.address(), b.numbers.address()),
        Some((a, b)) => (a.address(), b.address()),
    };
    device.bind()?;
    let c = device.uninitialised(len)?;
    for block in [a.numbers.block(), b.numbers.block(), c.block()] {
        device.keep(block);
    }
    let extent = |n: usize| {
        let of = "matmul";
        c_int::try_from(n).map_err(|_| CudaError::mismatch(of, n, "extents below 2^31"))
    };
    // Elements from a row to the next, as the matrix lies in memory.
    let leading = |factor: Factor<'_>, rows, columns| match factor.transposed {
        false => columns,
        true => rows,
    };
    let handle = device.product_handle()?.handle.lock();
    let handle = handle.unwrap_or_else(PoisonError::into_inner).0;
    let (read, compute) = precision.types();
    let (one, zero) = (1.0f32, 0.0f32);
    // SAFETY: the buffers were checked to hold the matrices, and those that
    // are read are of the type said; the result is in single precision.
    let done = unsafe {
        result::gemm_strided_batched_ex(
            handle,
            b.operation(),
            a.operation(),
            extent(n)?,
            extent(m)?,
            extent(k)?,
            (&raw const one).cast(),
            right as *const c_void,
            read,
            extent(leading(b, k, n))?,
            (k * n) as i64,
            left as *const c_void,
            read,
            extent(leading(a, m, k))?,
            (m * k) as i64,
            (&raw const zero).cast(),
            c.address() as *mut c_void,
            cudaDataType::CUDA_R_32F,
            extent(n)?,
            (m * n) as i64,
            extent(count)?,
            compute,
            cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    };
    done.doing("multiplying matrices")?;
    Ok(c)
}
