//! **Initial parameters**, drawn by place: the same seed gives the same bits
//! anywhere.

use crate::cpu::Cpu;
use crate::philox::{Draw, Philox};
use crate::real::Real;
use crate::tensor::Tensor;

/// A weight and a bias with entries drawn uniformly from `±1/√inputs`, as
/// PyTorch draws those of its linear and convolutional layers.
pub(super) fn uniform<F: Real>(
    weight: &[usize],
    bias: usize,
    inputs: usize,
    draw: Draw,
) -> (Tensor<Cpu<F>>, Tensor<Cpu<F>>) {
    let bound = 1.0 / (inputs as f64).sqrt();
    let count: usize = weight.iter().product();
    let mut numbers = vec![0.0f32; count + bias];
    Philox::uniform_f32(draw, 0, &mut numbers);
    let scaled = |u: &f32| F::from_f64(bound * (2.0 * f64::from(*u) - 1.0));
    let (w, b) = numbers.split_at(count);
    (
        Tensor::new(weight, w.iter().map(scaled).collect()),
        Tensor::new(&[bias], b.iter().map(scaled).collect()),
    )
}
