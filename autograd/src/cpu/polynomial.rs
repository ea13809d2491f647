//! **Polynomials** for the elementary functions in `f32`.
//!
//! Branch-free, so that a loop over them becomes vector code, and made only of
//! IEEE additions, products, quotients, roots, and operations on bits: no
//! fused multiply-add. So every instruction set, and a GPU told not to fuse,
//! gives the same bits. Range reductions and coefficients follow S. L.
//! Moshier's Cephes library (netlib, 1992); the largest errors stated here are
//! those the tests measure over the whole range.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// Adding and subtracting it rounds to a whole number: beyond 2²³ the spacing
/// of `f32` is 1.
const ROUND: f32 = 12_582_912.0; // 1.5·2²³

/// `c₀ + x(c₁ + x(c₂ + …))`.
#[inline(always)]
fn horner<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = 0.0;
    for c in coefficients.into_iter().rev() {
        sum = sum * x + c;
    }
    sum
}

/// `2ⁿ` for `n` in [−126, 127], by writing the exponent.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// `eʳ − 1` for `|r| ≤ ½ ln 2`.
#[inline(always)]
fn exp_m1_reduced(r: f32) -> f32 {
    let tail = horner(
        r,
        [
            5e-1,
            1.666_666_5e-1,
            4.166_579_6e-2,
            8.333_452e-3,
            1.398_2e-3,
            1.987_569_1e-4,
        ],
    );
    r * r * tail + r
}

/// `eˣ`, within 1.1 ulp; subnormal results within 1 unit of 2⁻¹⁴⁹.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Beyond these ends the result is 0 or ∞; comparisons this way round keep
    // NaN.
    let x = if x < -110.0 { -110.0 } else { x };
    let x = if x > 90.0 { 90.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts; n times the first is exact.
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let y = exp_m1_reduced(r) + 1.0;
    // 2ⁿ in two factors, since n may lie outside the exponents of f32.
    let whole = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = whole >> 1;
    // A NaN has no exponent; any power will do, for y is NaN already.
    let half = if x.is_nan() { 0 } else { half };
    let rest = if x.is_nan() { 0 } else { whole - half };
    y * power_of_two(half) * power_of_two(rest)
}

/// `eˣ − 1`, within 2 ulp: `2ⁿ(eʳ − 1) + (2ⁿ − 1)`, where nothing cancels.
#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    // Beyond 40 the 1 is less than half a unit of the last place, below −40
    // the exponential is.
    let inside = if x < -40.0 { -40.0 } else { x };
    let inside = if inside > 40.0 { 40.0 } else { inside };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (inside - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let whole = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let scale = power_of_two(if x.is_nan() { 0 } else { whole });
    let y = scale * exp_m1_reduced(r) + (scale - 1.0);
    if x > 40.0 { exp(x) } else { y }
}

/// `ln x`, within 1 ulp; −∞ at 0, NaN below.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    // Subnormal numbers are scaled by 2²⁵ into the normal range.
    let scaled = if tiny { x * 33_554_432.0 } else { x };
    let lift = if tiny { 25.0 } else { 0.0 };
    // The exponent such that the mantissa lies in [√½, √2).
    let bits = scaled
        .to_bits()
        .wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let e = ((bits as i32) >> 23) as f32 - lift;
    let mantissa = (bits & 0x007f_ffff).wrapping_add(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let f = f32::from_bits(mantissa) - 1.0;
    let z = f * f;
    let tail = horner(
        f,
        [
            3.333_333e-1,
            -2.499_999_4e-1,
            2.000_071_5e-1,
            -1.666_805_8e-1,
            1.424_932_3e-1,
            -1.242_014_1e-1,
            1.167_699_9e-1,
            -1.151_461e-1,
            7.037_683_6e-2,
        ],
    );
    let y = f * z * tail + e * -2.121_944_4e-4 - 0.5 * z;
    let y = (f + y) + e * 0.693_359_4;
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

/// `ln(1 + u)`, within 3 ulp: the rounding of `1 + u` is undone to first order
/// (Higham, *Accuracy and Stability of Numerical Algorithms*, 1.14.1).
#[inline(always)]
pub(crate) fn ln_1p(u: f32) -> f32 {
    let w = 1.0 + u;
    // From 2²⁴ on `1 + u` rounds to `u`, and ∞/∞ would be NaN.
    let ratio = if u < 16_777_216.0 { u / (w - 1.0) } else { 1.0 };
    let corrected = ln(w) * ratio;
    if w == 1.0 { u } else { corrected }
}

/// `(sin r, cos r)` for `|r| ≤ π/4`.
#[inline(always)]
fn sin_cos_reduced(r: f32) -> (f32, f32) {
    let z = r * r;
    let sin = horner(z, [-1.666_665_5e-1, 8.332_161e-3, -1.951_529_6e-4]) * z * r + r;
    let cos = horner(z, [4.166_664_6e-2, -1.388_731_6e-3, 2.443_315_7e-5]) * z * z - 0.5 * z + 1.0;
    (sin, cos)
}

/// `(sin, cos)` of `r + q·π/2`, from those of `r`.
#[inline(always)]
fn turned((sin, cos): (f32, f32), quarter: u32) -> (f32, f32) {
    let swap = quarter & 1 == 1;
    let (s, c) = (if swap { cos } else { sin }, if swap { sin } else { cos });
    // The signs go into the sign bits: sin is negative in quarters 2 and 3,
    // cos in quarters 1 and 2.
    let sin_sign = (quarter & 2) << 30;
    let cos_sign = (quarter.wrapping_add(1) & 2) << 30;
    (
        f32::from_bits(s.to_bits() ^ sin_sign),
        f32::from_bits(c.to_bits() ^ cos_sign),
    )
}

/// `(sin x, cos x)`. The argument is reduced in double precision, so the
/// absolute error is below 1.2·10⁻⁷ for `|x| ≤ 10⁸`; beyond, it grows like
/// `10⁻¹⁶·|x|`.
#[inline(always)]
fn sin_cos(x: f32) -> (f32, f32) {
    /// As [`ROUND`], for `f64`.
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5·2⁵²
    let x = f64::from(x);
    let shifted = x * FRAC_2_PI + ROUND;
    let r = x - (shifted - ROUND) * FRAC_PI_2;
    turned(sin_cos_reduced(r as f32), shifted.to_bits() as u32)
}

/// `sin x`; see [`sin_cos`].
#[inline(always)]
pub(crate) fn sin(x: f32) -> f32 {
    sin_cos(x).0
}

/// `cos x`; see [`sin_cos`].
#[inline(always)]
pub(crate) fn cos(x: f32) -> f32 {
    sin_cos(x).1
}

/// `(sin 2πu, cos 2πu)` for `u` in [0, 1], all in single precision: the
/// reduction by quarter turns is exact. Absolute error below 1.2·10⁻⁷.
#[inline(always)]
pub(crate) fn sin_cos_turns(u: f32) -> (f32, f32) {
    let shifted = u * 4.0 + ROUND;
    let rest = u * 4.0 - (shifted - ROUND);
    let r = rest * std::f32::consts::FRAC_PI_2;
    turned(sin_cos_reduced(r), shifted.to_bits())
}

/// `tanh x`, within 2.5 ulp.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let z = x * x;
    let near = horner(
        z,
        [
            -3.333_328e-1,
            1.333_144_2e-1,
            -5.373_971_6e-2,
            2.063_909e-2,
            -5.704_988_7e-3,
        ],
    ) * z
        * x
        + x;
    let far = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    let far = far.copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// `erf x − x` for `|x| < 1`: a correction that is rounded less than the whole.
#[inline(always)]
fn erf_near(x: f32) -> f32 {
    let series = horner(
        x * x,
        [
            1.283_791_7e-1,
            -3.761_262_6e-1,
            1.128_358_5e-1,
            -2.685_381_2e-2,
            5.188_327_7e-3,
            -8.010_194e-4,
            7.853_861e-5,
        ],
    );
    x * series
}

/// `erfc a` for `a ≥ 1`: `e^{−a²}/a` times a polynomial in `1/a²`.
#[inline(always)]
fn erfc_far(a: f32) -> f32 {
    // From here on the result is 0, and the products below stay finite.
    let a = if a > 11.0 { 11.0 } else { a };
    // a² in two parts, the first exact: an error in it would be multiplied by
    // the size of the exponent.
    let head = f32::from_bits(a.to_bits() & 0xffff_f000);
    let decay = exp(-head * head) * exp((head - a) * (head + a));
    let q = 1.0 / a;
    let z = q * q;
    let near = horner(
        z,
        [
            5.638_259_4e-1,
            -2.741_127e-1,
            3.404_88e-1,
            -4.944_515_3e-1,
            6.210_004_6e-1,
            -5.824_733e-1,
            3.687_424_7e-1,
            -1.387_039_4e-1,
            2.326_82e-2,
        ],
    );
    let far = horner(
        z,
        [
            5.641_896e-1,
            -2.820_767_4e-1,
            4.218_463_4e-1,
            -1.015_265_3,
            2.921_019,
            -7.495_518,
            12.977_2,
            -10.477_664,
        ],
    );
    decay * q * if a < 2.0 { near } else { far }
}

/// `erf x`, within 2 ulp.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let far = (1.0 - erfc_far(x.abs())).copysign(x);
    if x.abs() < 1.0 { erf_near(x) + x } else { far }
}

/// `1 − erf x`, within 8 ulp where normal: two exponentials and a product of
/// four factors.
#[inline(always)]
pub(crate) fn erfc(x: f32) -> f32 {
    let far = erfc_far(x.abs());
    let far = if x < 0.0 { 2.0 - far } else { far };
    // 1 − x is exact from ½ on, where the rest cancels most.
    let near = (1.0 - x) - erf_near(x);
    if x.abs() < 1.0 { near } else { far }
}

/// `1/(1 + e⁻ˣ)`, within 2.5 ulp where normal.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 997th bit pattern, both signs, and the ends of the ranges.
    fn sweep() -> impl Iterator<Item = f32> {
        let ends = [0.0, -0.0, 88.7, 88.8, -87.4, -103.9, -104.1, 0.625, 1.0];
        (0..=u32::MAX).step_by(997).map(f32::from_bits).chain(ends)
    }

    /// The error in units of the last place of the correctly rounded value.
    fn ulps(found: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        if found == rounded || (found.is_nan() && exact.is_nan()) {
            return 0.0;
        }
        let gap = f64::from(rounded.abs().next_up()) - f64::from(rounded.abs());
        (f64::from(found) - exact).abs() / gap
    }

    /// The largest error of `f` over the sweep, NaN if one result is wrongly
    /// NaN.
    fn worst(f: fn(f32) -> f32, exact: fn(f64) -> f64, domain: fn(f32) -> bool) -> f64 {
        let points = sweep().filter(|&x| x.is_nan() || domain(x));
        points.fold(0.0, |worst: f64, x| {
            let error = ulps(f(x), exact(f64::from(x)));
            if error.is_nan() || error > worst {
                error
            } else {
                worst
            }
        })
    }

    #[test]
    fn errors_in_units_of_the_last_place_over_the_whole_range() {
        let all = |_: f32| true;
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let cases: [(&str, f64, f64); 8] = [
            ("exp", worst(exp, f64::exp, all), 1.1),
            ("ln", worst(ln, f64::ln, all), 1.0),
            ("tanh", worst(tanh, f64::tanh, all), 2.5),
            ("sigmoid", worst(sigmoid, logistic, |x| x > -87.0), 2.5),
            ("exp_m1", worst(exp_m1, f64::exp_m1, all), 2.0),
            ("ln_1p", worst(ln_1p, f64::ln_1p, all), 3.0),
            ("erf", worst(erf, libm::erf, all), 2.0),
            ("erfc", worst(erfc, libm::erfc, |x| x < 9.0), 8.0),
        ];
        for (name, worst, bound) in cases {
            println!("{name}: {worst:.3} ulp");
            assert!(
                worst <= bound,
                "{name}: {worst} ulp, at most {bound} stated"
            );
        }
    }

    #[test]
    fn absolute_errors_of_sine_and_cosine() {
        let mut worst = 0.0f64;
        for x in sweep().filter(|x| x.abs() <= 1e8) {
            let wide = f64::from(x);
            worst = worst.max((f64::from(sin(x)) - wide.sin()).abs());
            worst = worst.max((f64::from(cos(x)) - wide.cos()).abs());
        }
        for i in 0..=1 << 24 {
            let u = i as f32 / 16_777_216.0;
            let exact = (std::f64::consts::TAU * f64::from(u)).sin_cos();
            let found = sin_cos_turns(u);
            worst = worst.max((f64::from(found.0) - exact.0).abs());
            worst = worst.max((f64::from(found.1) - exact.1).abs());
        }
        println!("sin, cos: {worst:.3e}");
        assert!(worst <= 1.2e-7, "{worst:e}");
        assert!(sin(f32::INFINITY).is_nan() && cos(f32::NAN).is_nan());
    }
}
