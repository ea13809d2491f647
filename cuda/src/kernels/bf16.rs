//! **Rounding to bfloat16**: 16 bits with the exponent of single precision.
//!
//! ```math
//! \mathrm{bf16}(x) = x\,(1+\delta), \qquad |\delta| \le 2^{-8} \tag{CU.1}
//! ```
//!
//! for every `x` of at least `2⁻¹²⁶` that does not overflow: 8 bits count,
//! the first of them unsaid, and to the nearest is half a unit of the last.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::extent;
use crate::device::{Buffer, Element, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

/// The rounding, for kernels that do it on the way.
pub(super) const BF16: &str = include_str!("bf16.cuh");

pub(super) static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    let files = [("bf16.cuh", BF16), ("bf16.cu", include_str!("bf16.cu"))];
    Source::of("bf16", &files)
});

/// A number of 16 bits: the upper half of one in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

// SAFETY: 16 bits in which every pattern is a number, as kernels take it.
unsafe impl cudarc::driver::DeviceRepr for Bf16 {}
impl Element for Bf16 {}

impl Bf16 {
    /// The nearest to a number, ties to even. What is too large becomes
    /// infinite, NaN stays.
    #[must_use]
    pub fn nearest(x: f32) -> Self {
        let bits = x.to_bits();
        match x.is_nan() {
            true => Bf16(0x7fc0),
            // The largest finite number's bits leave room for the sum.
            false => Bf16(((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16), // (CU.1)
        }
    }

    /// The same number in single precision.
    #[must_use]
    pub fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// An array rounded to bfloat16.
///
/// # Errors
/// If the device refuses.
pub fn rounded(x: &Buffer<f32>) -> Result<Buffer<Bf16>, CudaError> {
    let (device, n) = (x.device(), x.len());
    let mut y = device.uninitialised(n)?;
    let arguments = [(&mut y).into(), x.into(), extent("round_bf16", n)?.into()];
    // SAFETY: x and y have n numbers.
    unsafe { device.launch(&SOURCE, "round_bf16", Grid::over(n), &arguments)? };
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::Bf16;

    /// Verifies (CU.1) at every exponent, and that half a unit is reached.
    #[test]
    fn the_nearest_is_at_most_half_a_unit_away() {
        let mut worst = 0.0f64;
        for high in 0x0080..0x7f7f_u32 {
            for low in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits(high << 16 | low);
                let found = Bf16::nearest(x).wide();
                let off = (f64::from(found) / f64::from(x) - 1.0).abs();
                worst = worst.max(off);
                // No neighbour is nearer.
                let apart = |y: f32| (f64::from(y) - f64::from(x)).abs();
                for other in [high << 16, (high + 1) << 16].map(f32::from_bits) {
                    assert!(apart(found) <= apart(other), "{x:e}: {found:e}, {other:e}");
                }
            }
        }
        assert!(worst <= f64::powi(2.0, -8) && worst > 0.99 * f64::powi(2.0, -8));
    }

    #[test]
    fn ties_go_to_even_and_what_is_no_number_stays() {
        let of = |x: f32| Bf16::nearest(x).wide();
        let step = f32::powi(2.0, -7);
        assert_eq!(of(1.0 + 0.5 * step), 1.0);
        assert_eq!(of(1.0 + 1.5 * step), 1.0 + 2.0 * step);
        assert_eq!(of(-1.0 - 1.5 * step), -1.0 - 2.0 * step);
        assert_eq!(of(f32::MAX), f32::INFINITY, "as IEEE rounds to nearest");
        assert_eq!(of(f32::NEG_INFINITY), f32::NEG_INFINITY);
        assert!(of(f32::NAN).is_nan() && of(f32::from_bits(0xffff_ffff)).is_nan());
        assert_eq!(of(-0.0).to_bits(), (-0.0f32).to_bits());
    }
}
