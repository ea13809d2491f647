//! **Logarithm and exponential** without branches or tables, so that the
//! compiler computes several at once.
//!
//! A controller takes one of each for every sample and step; one by one they
//! cost as much as all the arithmetic of a step. Both are series, with as many
//! terms as doubles can show, in what is left of the argument once a power of 2
//! is taken out. Powers of 2 are read from and written into the bits.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E};

const MANTISSA_BITS: u32 = 52;
/// The bits of 1: the exponent 0 is kept as 1023.
const ONE: u64 = 1.0f64.to_bits();
/// 1.5·2⁵². A number below 2⁵¹ is rounded to an integer when this is added,
/// and the integer stands in the low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The natural logarithm of a positive normal number, to 2 units in the last
/// place: with `x = 2ᵏm` and `m` between `√½` and `√2`,
/// `ln x = k ln 2 + 2(s + s³/3 + s⁵/5 + …)`, `s = (m − 1)/(m + 1)`.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    // k + 1023, which is positive: a shift would not keep a sign.
    let above_half = x.to_bits().wrapping_sub(FRAC_1_SQRT_2.to_bits());
    let biased = above_half.wrapping_add(ONE) >> MANTISSA_BITS;
    let k = f64::from_bits(biased | ROUND.to_bits()) - (ROUND + 1023.0);
    let power = (biased << MANTISSA_BITS).wrapping_sub(ONE);
    let m = f64::from_bits(x.to_bits().wrapping_sub(power));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    // z is at most 0.0295, and 0.0295¹¹/23 is below 1e-18.
    let mut sum = 1.0 / 21.0;
    for n in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = sum * z + 1.0 / n;
    }
    k * LN_2 + (2.0 * s + 2.0 * s * (z * sum))
}

/// `eˣ` for `x` between −708 and 708, to 2 units in the last place: with
/// `x = n ln 2 + r` and `|r|` at most `½ ln 2`, `2ⁿ(1 + r + r²/2! + …)`.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    // ln 2 in two parts; the first has 21 zeros at its end, so that n times it
    // is exact.
    const HIGH: f64 = f64::from_bits(LN_2.to_bits() >> 21 << 21);
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * HIGH) - n * LOW;
    // 0.3466¹⁴/14! is below 1e-17.
    let mut sum = 1.0 / 6_227_020_800.0;
    for factorial in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        sum = sum * r + 1.0 / factorial;
    }
    let power = ONE.wrapping_add(rounded.to_bits() << MANTISSA_BITS);
    sum * f64::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library's are correct to less than a unit, so three units between
    /// them are two of ours.
    fn near(found: f64, exact: f64) -> bool {
        (found - exact).abs() <= 3.0 * f64::EPSILON * exact.abs()
    }

    #[test]
    fn both_are_the_librarys_to_three_units_over_their_ranges() {
        // Steps that meet no pattern of binary numbers.
        let mut x = f64::MIN_POSITIVE;
        while x < f64::MAX / 2.0 {
            assert!(near(ln(x), x.ln()), "ln {x:e}: {:e}", ln(x));
            x *= 1.013_7;
        }
        for i in -50_000..=50_000 {
            let x = f64::from(i) * 0.014_159;
            assert!(near(exp(x), x.exp()), "exp {x}: {:e}", exp(x));
            // Close to 1 the logarithm is as small as the distance.
            let close = 1.0 + f64::from(i) * 5.7e-6;
            assert!(near(ln(close), close.ln()), "ln {close}: {:e}", ln(close));
        }
        for x in [FRAC_1_SQRT_2, 1.0, 2.0, f64::MAX, 0.5f64.sqrt().next_down()] {
            assert!(near(ln(x), x.ln()), "ln {x:e}");
        }
        assert_eq!((ln(1.0), exp(0.0)), (0.0, 1.0));
    }
}
