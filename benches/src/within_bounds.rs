//! **Equal within derived bounds**: what must hold of two programs before
//! their times are compared.
//!
//! The bound of a program in single precision is the running error analysis of
//! `autograd::check::rounding`, which is one more reading of the same text. It
//! is a worst case, which grows with every extent, so it comes with a check
//! that it still tells something. Where it no longer does, for gradients of
//! large batches, the distance from double precision is compared in the norm
//! with what independent roundings of `n` additions come to,
//!
//! ```math
//! \|\hat g - g\| \le u \sqrt n \; \bigl\| \, \mathrm{mean}_r |g_r| \, \bigr\|
//! ```
//!
//! for a gradient that is the mean of the `g_r` of rows (Higham and Mary 2019,
//! *A new approach to probabilistic rounding error analysis*): a norm of
//! thousands of errors does not stray from its expectation, which is below this
//! by `√3`, and sums in blocks are better than the one long sum it is made for.

use autograd::check::rounding::Rounded;
use autograd::{Cpu, Tensor};

/// Numbers for the running analysis.
#[must_use]
pub fn rounded(x: &Tensor<Cpu<f32>>) -> Tensor<Rounded> {
    Tensor::exact(&wide(x))
}

/// The same numbers in double precision.
#[must_use]
pub fn wide(x: &Tensor<Cpu<f32>>) -> Tensor<Cpu<f64>> {
    let wide = x.as_slice().iter().map(|&x| f64::from(x)).collect();
    Tensor::new(&x.shape(), wide)
}

/// Asserts that numbers in single precision are within their bound.
///
/// # Panics
/// If they are not, or are not as many, or one is NaN.
#[track_caller]
pub fn assert_within(what: &str, found: &[f32], bound: &Tensor<Rounded>) {
    let (value, error) = (bound.value().as_slice(), bound.error().as_slice());
    assert_eq!(found.len(), value.len(), "{what}: as many numbers");
    for (i, ((&found, &value), &error)) in found.iter().zip(value).zip(error).enumerate() {
        let off = (f64::from(found) - value).abs();
        assert!(
            off <= error,
            "{what}, {i}: {found} for {value}, bound {error:e}"
        );
    }
}

/// Asserts that a bound is at most this fraction of what it is a bound for, in
/// the sum of magnitudes.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn assert_telling(what: &str, bound: &Tensor<Rounded>, fraction: f64) {
    let size = |x: &Tensor<Cpu<f64>>| x.as_slice().iter().map(|x| x.abs()).sum::<f64>();
    let (error, value) = (size(bound.error()), size(bound.value()));
    assert!(
        error <= fraction * value,
        "{what}: a bound of {error:e} for {value:e} tells nothing"
    );
}

/// Half a unit of the last place of single precision.
const UNIT: f64 = 0.5 * f32::EPSILON as f64;

/// Asserts that a mean over rows is as near to its value in double precision
/// as `n` independent roundings leave it; `scale` is the mean of magnitudes.
///
/// # Panics
/// If it is not, or a number is NaN.
#[track_caller]
pub fn assert_in_norm(what: &str, found: &[f32], exact: &[f64], scale: &[f64], n: f64) {
    assert!(
        found.len() == exact.len() && found.len() == scale.len(),
        "{what}: as many numbers"
    );
    let pairs = found.iter().zip(exact);
    let off: f64 = pairs.map(|(&f, e)| (f64::from(f) - e).powi(2)).sum();
    let size: f64 = scale.iter().map(|s| s * s).sum();
    let (off, bound) = (off.sqrt(), UNIT * (n * size).sqrt());
    assert!(
        off <= bound,
        "{what}: off by {off:e} in the norm, bound {bound:e}"
    );
}

/// Asserts that each number is within `bound` of its own size's scale.
///
/// # Panics
/// If one is not, or is NaN.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], exact: &[f32], scale: &[f32], bound: f64) {
    assert!(
        found.len() == exact.len() && found.len() == scale.len(),
        "{what}: as many"
    );
    for (i, &found) in found.iter().enumerate() {
        let (exact, scale) = (f64::from(exact[i]), f64::from(scale[i]));
        let off = (f64::from(found) - exact).abs();
        assert!(
            off <= bound * scale,
            "{what}, {i}: {found} for {exact}, bound {:e}",
            bound * scale
        );
    }
}

/// Asserts that numbers are near to exact ones in the norm,
/// `‖found − exact‖ ≤ tolerance·‖exact‖`: what is asked of factors that are
/// rounded to few bits, whose errors a worst case says nothing of.
///
/// # Panics
/// If they are not, or one is NaN.
#[track_caller]
pub fn assert_near(what: &str, found: &[f32], exact: &[f64], tolerance: f64) {
    assert_eq!(found.len(), exact.len(), "{what}: as many numbers");
    let pairs = found.iter().zip(exact);
    let off: f64 = pairs.map(|(&f, e)| (f64::from(f) - e).powi(2)).sum();
    let size: f64 = exact.iter().map(|e| e * e).sum();
    let error = (off / size).sqrt();
    assert!(
        error <= tolerance,
        "{what}: off by {error:e} of the norm, allowed {tolerance:e}"
    );
}

/// Asserts that two programs have computed the same numbers to the bit, and
/// that they are numbers.
///
/// # Panics
/// If they have not.
#[track_caller]
pub fn assert_same_bits(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: as many numbers");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let same = found.to_bits() == expected.to_bits();
        assert!(
            same && found.is_finite(),
            "{what}, {i}: {found:e} for {expected:e}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sum in another order is within the bound, and a sum that lacks a term
    /// is not.
    #[test]
    fn the_bound_holds_and_is_no_pretence() {
        let numbers: Vec<f32> = (0..1000).map(|i| 1.0 / (i as f32 + 1.0)).collect();
        let x = Tensor::<Cpu<f32>>::new(&[1000], numbers.clone());
        let bound = rounded(&x).square().sum();
        let backwards: f32 = numbers.iter().rev().map(|x| x * x).sum();
        assert_within("sum", &[backwards], &bound);
        let lacking: f32 = numbers[1..].iter().map(|x| x * x).sum();
        for wrong in [lacking, f32::NAN] {
            let judged = std::panic::catch_unwind(|| assert_within("sum", &[wrong], &bound));
            assert!(judged.is_err(), "{wrong}");
        }
    }

    /// One of a thousand rows missing is seen in the norm, and rounding is not.
    #[test]
    fn a_mean_that_lacks_a_row_is_seen_in_the_norm() {
        let row = |r: usize, i: usize| ((r * 37 + i * 11) % 101) as f32 / 50.0 - 1.0;
        let mean = |rows: std::ops::Range<usize>, size: fn(f32) -> f32| -> Vec<f64> {
            let one = |i| {
                let sum: f64 = rows.clone().map(|r| f64::from(size(row(r, i)))).sum();
                sum / 1000.0
            };
            (0..64).map(one).collect()
        };
        let (exact, scale) = (mean(0..1000, |x| x), mean(0..1000, f32::abs));
        let single = |i| (0..1000).map(|r| row(r, i)).sum::<f32>() / 1000.0;
        let found: Vec<f32> = (0..64).map(single).collect();
        assert_in_norm("mean", &found, &exact, &scale, 1000.0);
        let lacking: Vec<f32> = mean(0..999, |x| x).iter().map(|&x| x as f32).collect();
        for wrong in [lacking, vec![f32::NAN; 64]] {
            let judge = || assert_in_norm("mean", &wrong, &exact, &scale, 1000.0);
            assert!(std::panic::catch_unwind(judge).is_err());
        }
    }

    #[test]
    fn a_bound_that_tells_nothing_is_refused() {
        let x = rounded(&Tensor::<Cpu<f32>>::new(&[1000], vec![1.0; 1000]));
        assert_telling("sum", &x.sum(), 1e-3);
        let lost = x.sum() - 1000.0;
        assert!(std::panic::catch_unwind(|| assert_telling("rest", &lost, 0.1)).is_err());
    }

    /// Factors of 11 bits are near, and one of a hundred rows missing is not.
    #[test]
    fn what_is_coarse_is_near_and_what_lacks_a_row_is_not() {
        let row = |r: u32, i: u32| f64::from((r * 37 + i * 11) % 101) / 50.0 - 0.5;
        let sums = |rows: std::ops::Range<u32>, read: fn(f64) -> f64| -> Vec<f64> {
            let sum = |i| rows.clone().map(|r| read(row(r, i))).sum();
            (0..64).map(sum).collect()
        };
        let exact = sums(0..100, |x| x);
        let coarse = |x: f64| f64::from(f32::from_bits((x as f32).to_bits() & !0xfff));
        let single = |x: Vec<f64>| -> Vec<f32> { x.into_iter().map(|x| x as f32).collect() };
        assert_near("sums", &single(sums(0..100, coarse)), &exact, 1e-3);
        for wrong in [single(sums(0..99, |x| x)), vec![f32::NAN; 64]] {
            let judge = || assert_near("sums", &wrong, &exact, 1e-3);
            assert!(std::panic::catch_unwind(judge).is_err());
        }
    }

    #[test]
    fn a_bit_is_seen_and_nan_is_not_nan() {
        assert_same_bits("x", &[1.0, -0.0], &[1.0, -0.0]);
        for (found, expected) in [
            (1.0 + f32::EPSILON, 1.0),
            (0.0, -0.0),
            (f32::NAN, f32::NAN),
            (f32::INFINITY, f32::INFINITY),
        ] {
            let judge = || assert_same_bits("x", &[found], &[expected]);
            assert!(std::panic::catch_unwind(judge).is_err(), "{found}");
        }
    }

    #[test]
    fn nan_is_close_to_nothing() {
        assert_close("x", &[1.0], &[1.0 + 1e-6], &[1.0], 1e-5);
        for wrong in [1.1, f32::NAN] {
            let judge = || assert_close("x", &[wrong], &[1.0], &[1.0], 1e-5);
            assert!(std::panic::catch_unwind(judge).is_err(), "{wrong}");
        }
    }
}
