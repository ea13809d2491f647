//! **libcublas**: the functions for products of matrices, as `cublas_v2.h`
//! declares them.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the names and the calling convention are those of cuBLAS"
)]

use crate::driver::has_context;
use crate::gemm::{Format, Gemm, Matrix};
use crate::world::{Work, answer};
use std::ffi::{c_int, c_uint};

const SUCCESS: u32 = 0;
const NOT_INITIALIZED: u32 = 1;
const INVALID_VALUE: u32 = 7;
const EXECUTION_FAILED: u32 = 13;
const NOT_SUPPORTED: u32 = 15;

// `cudaDataType` and `cublasComputeType_t`.
const REAL_32: c_uint = 0;
const REAL_BF16: c_uint = 14;
const COMPUTE_32: c_uint = 68;
const COMPUTE_32_TF32: c_uint = 77;

/// A handle: its stream, and where its room lies, with its bytes.
#[derive(Debug, Default)]
pub(crate) struct Handle {
    stream: usize,
    room: (usize, usize),
}

#[unsafe(no_mangle)]
extern "C" fn cublasGetProperty(which: c_uint, value: &mut c_int) -> u32 {
    *value = match which {
        0 => 13,
        1 | 2 => 0,
        _ => return INVALID_VALUE,
    };
    SUCCESS
}

/// Where no context is current, cuBLAS takes the first device's, which may be
/// another than the stream's. Here that is refused.
#[unsafe(no_mangle)]
extern "C" fn cublasCreate_v2(handle: &mut *mut Handle) -> u32 {
    if !has_context() {
        return NOT_INITIALIZED;
    }
    *handle = Box::into_raw(Box::default());
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasDestroy_v2(handle: *mut Handle) -> u32 {
    if handle.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: made by `cublasCreate_v2`, and given up by the caller.
    drop(unsafe { Box::from_raw(handle) });
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasSetStream_v2(handle: &mut Handle, stream: usize) -> u32 {
    handle.stream = stream;
    SUCCESS
}

/// The emulator needs no room of its own, but the caller's must be real, now
/// and whenever a product uses it.
#[unsafe(no_mangle)]
extern "C" fn cublasSetWorkspace_v2(handle: &mut Handle, at: usize, bytes: usize) -> u32 {
    handle.room = (at, bytes);
    match answer(|world| world.memory.holds(at, bytes).then_some(()).ok_or(1)) {
        0 => SUCCESS,
        _ => INVALID_VALUE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cublasGemmStridedBatchedEx(
    handle: &Handle,
    transpose_a: c_uint,
    transpose_b: c_uint,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: &f32,
    a: usize,
    type_a: c_uint,
    leading_a: c_int,
    stride_a: i64,
    b: usize,
    type_b: c_uint,
    leading_b: c_int,
    stride_b: i64,
    beta: &f32,
    c: usize,
    type_c: c_uint,
    leading_c: c_int,
    stride_c: i64,
    count: c_int,
    compute: c_uint,
    _algorithm: c_int,
) -> u32 {
    if !has_context() {
        return NOT_INITIALIZED;
    }
    // The three kinds of factors that are multiplied in single precision.
    let format = match (type_a, type_b, compute) {
        (REAL_32, REAL_32, COMPUTE_32) => Format::Single,
        (REAL_32, REAL_32, COMPUTE_32_TF32) => Format::Tf32,
        (REAL_BF16, REAL_BF16, COMPUTE_32) => Format::Bf16,
        _ => return NOT_SUPPORTED,
    };
    if type_c != REAL_32 {
        return NOT_SUPPORTED;
    }
    if [m, n, k, leading_a, leading_b, leading_c, count]
        .iter()
        .any(|&extent| extent < 0)
        || [transpose_a, transpose_b].iter().any(|&t| t > 1)
    {
        return INVALID_VALUE;
    }
    let matrix = |at, leading: c_int, stride: i64, transpose| Matrix {
        at,
        leading: leading as usize,
        stride: stride as usize,
        transposed: transpose == 1,
    };
    let gemm = Gemm {
        m: m as usize,
        n: n as usize,
        k: k as usize,
        count: count as usize,
        alpha: *alpha,
        beta: *beta,
        a: matrix(a, leading_a, stride_a, transpose_a),
        b: matrix(b, leading_b, stride_b, transpose_b),
        c: matrix(c, leading_c, stride_c, 0),
        format,
    };
    let room = handle.room;
    match answer(|world| world.submit(handle.stream, Work::Gemm { gemm, room })) {
        0 => SUCCESS,
        1 => INVALID_VALUE,
        _ => EXECUTION_FAILED,
    }
}
