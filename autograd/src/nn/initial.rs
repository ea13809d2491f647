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

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights, then biases, are the numbers of the draw, `u ↦ (2u − 1)/√inputs`.
    #[test]
    fn parameters_are_the_numbers_of_the_draw_between_their_bounds() {
        let draw = Draw::seed(4).stream(2);
        let (weight, bias) = uniform::<f64>(&[3, 5], 7, 3, draw);
        let mut numbers = vec![0.0f32; 22];
        Philox::uniform_f32(draw, 0, &mut numbers);
        let drawn = [weight.to_vec(), bias.to_vec()].concat();
        for (x, u) in drawn.iter().zip(&numbers) {
            let expected = (2.0 * f64::from(*u) - 1.0) / 3f64.sqrt();
            // A root, a quotient and a product.
            assert!((x - expected).abs() <= 2.0 * f64::EPSILON * expected.abs());
            assert!(x.abs() <= 1.0 / 3f64.sqrt());
        }
        assert_eq!(
            (&weight.shape()[..], &bias.shape()[..]),
            (&[3, 5][..], &[7][..])
        );
    }
}
