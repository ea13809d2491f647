//! **An array and one number**, which is an argument and not compiled in.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::extent;
use crate::device::{Buffer, Device, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("constant", &[("constant.cu", include_str!("constant.cu"))]));

/// `n` times the same number.
///
/// # Errors
/// If there is no memory for it.
pub fn filled(device: &Device, c: f32, n: usize) -> Result<Buffer<f32>, CudaError> {
    let mut y = device.uninitialised(n)?;
    let arguments = [(&mut y).into(), c.into(), extent("filled", n)?.into()];
    // SAFETY: y has n numbers.
    unsafe { device.launch(&SOURCE, "fill", Grid::over(n), &arguments)? };
    Ok(y)
}

/// `c·x`.
///
/// # Errors
/// If the device refuses.
pub fn scaled(x: &Buffer<f32>, c: f32) -> Result<Buffer<f32>, CudaError> {
    with_number("scale", x, c)
}

/// `x + c`.
///
/// # Errors
/// If the device refuses.
pub fn shifted(x: &Buffer<f32>, c: f32) -> Result<Buffer<f32>, CudaError> {
    with_number("shift", x, c)
}

fn with_number(kernel: &str, x: &Buffer<f32>, c: f32) -> Result<Buffer<f32>, CudaError> {
    let device = x.device();
    let n = x.len();
    let mut y = device.uninitialised(n)?;
    let count = extent(kernel, n)?;
    let arguments = [(&mut y).into(), x.into(), c.into(), count.into()];
    // SAFETY: x and y have n numbers.
    unsafe { device.launch(&SOURCE, kernel, Grid::over(n), &arguments)? };
    Ok(y)
}
