//! **Equal within derived bounds**: what must hold of two programs before
//! their times are compared.
//!
//! The bound of a program in single precision is the running error analysis of
//! `autograd::check::rounding`, which is one more reading of the same text; two
//! readings in single precision are then at most two bounds apart.

use autograd::check::rounding::Rounded;
use autograd::{Cpu, Tensor};

/// Numbers for the running analysis.
#[must_use]
pub fn rounded(x: &Tensor<Cpu<f32>>) -> Tensor<Rounded> {
    let wide = x.as_slice().iter().map(|&x| f64::from(x)).collect();
    Tensor::exact(&Tensor::new(&x.shape(), wide))
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

    #[test]
    fn nan_is_close_to_nothing() {
        assert_close("x", &[1.0], &[1.0 + 1e-6], &[1.0], 1e-5);
        for wrong in [1.1, f32::NAN] {
            let judge = || assert_close("x", &[wrong], &[1.0], &[1.0], 1e-5);
            assert!(std::panic::catch_unwind(judge).is_err(), "{wrong}");
        }
    }
}
