//! **Real**: the two floating-point types the CPU computes with.

use crate::archive::Bytes;
use crate::cpu::kernels::Kernels;
use ndarray::NdFloat;

/// `f32` or `f64`. Sealed: the kernels behind it are compiled once, in this
/// crate, and not again in every program that uses it.
#[expect(
    private_bounds,
    reason = "sealed: file bytes are this crate's business"
)]
pub trait Real: NdFloat + Kernels + Bytes + Default + std::iter::Sum {
    /// Unit roundoff times two: the gap between 1 and the next number.
    const EPSILON: f64;
    /// `"f32"` or `"f64"`, for messages and file headers.
    const NAME: &'static str;
    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// The same number in double precision.
    fn wide(self) -> f64;
}

impl Real for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const NAME: &'static str = "f32";
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const NAME: &'static str = "f64";
    fn from_f64(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
}
