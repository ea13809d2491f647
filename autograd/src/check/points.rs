//! **Points and directions** of a check, and how results are compared there.

use super::Plain;
use super::richardson::FIRST_STEP;
use crate::cpu::Cpu;
use crate::tensor::Tensor;

/// The largest difference, relative to the larger of 1 and the largest entry.
pub(super) fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared vectors have one length");
    let size = b.iter().fold(1.0, |m, x| nan_max(m, x.abs()));
    let pairs = a.iter().zip(b);
    pairs.fold(0.0, |m, (a, b)| nan_max(m, (a - b).abs() / size))
}

/// The larger; NaN if either is.
pub(super) fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The inner product over all inputs, and the sum of magnitudes of its terms.
pub(super) fn dot(a: &[Plain], b: &[Plain]) -> (f64, f64) {
    let (a, b) = (flat(a), flat(b));
    let terms = a.iter().zip(&b).map(|(x, y)| x * y);
    terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
}

/// All elements, one array after the other.
pub(super) fn flat(tensors: &[Plain]) -> Vec<f64> {
    tensors.iter().flat_map(Tensor::to_vec).collect()
}

/// `x + h·e` in all inputs.
pub(super) fn moved(x: &[Plain], e: &[Plain], h: f64) -> Vec<Plain> {
    x.iter().zip(e).map(|(x, e)| x + h * e).collect()
}

/// The unit tangent at one place of one input.
pub(super) fn unit(at: &[Plain], input: usize, place: usize) -> Vec<Plain> {
    let mut e: Vec<Plain> = at.iter().map(Tensor::zeros_like).collect();
    e[input].as_mut_slice()[place] = 1.0;
    e
}

/// The unit tangents of all inputs, in order.
pub(super) fn units(at: &[Plain]) -> impl Iterator<Item = Vec<Plain>> {
    let places = at.iter().enumerate();
    let places = places.flat_map(|(input, x)| (0..x.shape().count()).map(move |p| (input, p)));
    places.map(|(input, place)| unit(at, input, place))
}

/// Equidistributed numbers in (−1, 1) away from 0: multiples of the golden
/// ratio modulo 1. Deterministic, without repetition, and free of symmetries
/// that an all-ones cotangent has and rules can hide behind. They are numbers
/// of `f32` too.
#[derive(Debug)]
pub(super) struct Weyl(f64);

impl Weyl {
    pub(super) fn new() -> Self {
        Weyl(0.5)
    }
    fn next(&mut self) -> f64 {
        self.0 = (self.0 + 0.618_033_988_749_894_9).fract();
        let signed = 2.0 * self.0 - 1.0;
        f64::from((signed + 0.1_f64.copysign(signed)) as f32)
    }
    /// An array of the next numbers with the shape of `x`.
    pub(super) fn like(&mut self, x: &Plain) -> Plain {
        let numbers = (0..x.shape().count()).map(|_| self.next()).collect();
        Tensor::new(&x.shape(), numbers)
    }
}

/// An array of numbers spread over an interval, no two alike. They are single
/// precision numbers, so that the point is the same in `f32`.
#[must_use]
pub fn sample(shape: &[usize], (low, high): (f64, f64), salt: usize) -> Tensor<Cpu<f64>> {
    let count: usize = shape.iter().product();
    let numbers = (0..count).map(|i| {
        let phase = (0.5 + 0.618_033_988_749_894_9 * (i + 17 * salt + 1) as f64).fract();
        // Kept off the ends by the largest difference step, so that the
        // stencil stays inside the domain.
        let margin = FIRST_STEP.min(0.2 * (high - low));
        f64::from((low + margin + (high - low - 2.0 * margin) * phase) as f32)
    });
    Tensor::new(shape, numbers.collect())
}
