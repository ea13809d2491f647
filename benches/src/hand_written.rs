//! **The same gradient by hand**: forward and backward pass of the training
//! step without tape, variables or maps.
//!
//! It calls the kernels the tape calls (`Cpu::dense_parts`, `Cpu::matmul`,
//! `Cpu::chain`, the sums of [`Linear`]) on the same operands in the same
//! order, so the two agree in bits, and a difference in time is the price of
//! recording. Written with `ndarray` and loops of its own it would measure the
//! kernels instead.
//!
//! With `h₀ = [x_t, t]`, `z_i = h_{i−1}W_i + b_i`, `h_i = silu(z_i)` and a bar for the
//! derivative of the loss:
//!
//! ```math
//! \bar W_i = h_{i-1}^{\mathsf T}\bar z_i, \qquad \bar b_i = \textstyle\sum_r \bar z_{i,r}, \qquad
//! \bar z_{i-1} = (\bar z_i W_i^{\mathsf T}) \circ f'(z_{i-1})
//! ```

use autograd::{Algebra, Binary, Cpu, Linear, Mlp, Shape, Tensor, Transpose, Unary};
use fm::objective::Particles;

type Array = Cpu<f32>;

/// The loss of [`TrainingStep::loss_and_gradient`] by hand; `at_layer` is
/// called from the last layer to the first with the layer's number, its input
/// `h_{i−1}` and the cotangent `z̄_i` of its pre-activation.
///
/// [`TrainingStep::loss_and_gradient`]: crate::training_step::TrainingStep::loss_and_gradient
pub fn pass(
    net: &Mlp<Array>,
    particles: &Particles<Array>,
    mean: f64,
    mut at_layer: impl FnMut(usize, &Array, &Array),
) -> f32 {
    let Particles { t, x0, x1, .. } = particles;
    let xt = (1.0 - t) * x0 + t * x1;
    let mut input = Array::concat(&[xt.inner().clone(), t.inner().clone()], 1);
    // The input and, where there is a function, what it was applied to and gave.
    let mut layers = Vec::new();
    let last = net.layers.len() - 1;
    for (i, layer) in net.layers.iter().enumerate() {
        let f = (i < last).then_some(net.activation);
        let (w, b) = (layer.weight.inner(), layer.bias.inner());
        let (z, h) = Array::dense_parts(&input, w, b, f);
        layers.push((input, z));
        input = h;
    }
    let u = (x1 - x0).inner().clone();
    let miss = Array::binary(Binary::Sub, input, u);
    let square = Array::unary(Unary::Square, miss.clone());
    let sum = sum(square.clone(), &Shape::scalar());
    let seed = miss.full_like(&miss.shape(), mean);
    let mut z_bar = Array::chain(Unary::Square, seed, &miss, &square);
    while let Some((input, _)) = layers.pop() {
        let i = layers.len();
        at_layer(i, &input, &z_bar);
        let Some((_, z)) = layers.last() else { break };
        let w = net.layers[i].weight.inner();
        let h_bar = Array::matmul(&z_bar, Transpose::No, w, Transpose::Yes);
        z_bar = Array::chain(net.activation, h_bar, z, &input);
    }
    Array::linear(&Linear::Scale(mean), sum).as_slice()[0]
}

/// Sums to a shape that broadcasts to that of `x`.
fn sum(x: Array, to: &Shape) -> Array {
    let from = x.shape();
    Array::linear(&Linear::Sum { from, to: *to }, x)
}

/// Loss and gradient: for each layer its weight's, then its bias's.
pub fn loss_and_gradient(
    net: &Mlp<Array>,
    particles: &Particles<Array>,
    mean: f64,
) -> (f32, Vec<Array>) {
    let mut gradient = Vec::new();
    let loss = pass(net, particles, mean, |i, input, z_bar| {
        let outputs = net.layers[i].bias.shape();
        gradient.push(sum(z_bar.clone(), &outputs));
        gradient.push(Array::matmul(input, Transpose::Yes, z_bar, Transpose::No));
    });
    gradient.reverse();
    (loss, gradient)
}

/// A matrix product: both factors, and which are transposed.
#[derive(Clone, Debug)]
pub struct Product {
    /// The left factor.
    pub a: (Array, Transpose),
    /// The right factor.
    pub b: (Array, Transpose),
}

impl Product {
    /// Computes it.
    #[must_use]
    pub fn run(&self) -> Array {
        Array::matmul(&self.a.0, self.a.1, &self.b.0, self.b.1)
    }

    /// Floating-point operations: two for each element of the inner sum.
    #[must_use]
    pub fn flops(&self) -> u64 {
        let (left, right) = (self.a.0.shape(), self.b.0.shape());
        let columns = match self.b.1 {
            Transpose::No => right[1],
            Transpose::Yes => right[0],
        };
        2 * (left.count() * columns) as u64
    }
}

/// All matrix products of a pass with the factors it has: for each layer from
/// the last to the first `h·W`, `hᵀ·z̄`, and `z̄·Wᵀ` except for the first.
#[must_use]
pub fn products(net: &Mlp<Array>, particles: &Particles<Array>, mean: f64) -> Vec<Product> {
    let mut products = Vec::new();
    let (no, yes) = (Transpose::No, Transpose::Yes);
    let mut push = |a: &Array, ta, b: &Array, tb| {
        let (a, b) = ((a.clone(), ta), (b.clone(), tb));
        products.push(Product { a, b });
    };
    pass(net, particles, mean, |i, input, z_bar| {
        let w = net.layers[i].weight.inner();
        push(input, no, w, no);
        push(input, yes, z_bar, no);
        if i > 0 {
            push(z_bar, no, w, yes);
        }
    });
    products
}

/// The bits of a structure of tensors, for comparing two of them.
#[must_use]
pub fn bits<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Vec<Vec<u32>> {
    let of = |a: &Array| a.as_slice().iter().map(|x| x.to_bits()).collect();
    arrays.into_iter().map(of).collect()
}

/// The arrays inside tensors.
#[must_use]
pub fn arrays(tensors: &[Tensor<Array>]) -> Vec<Array> {
    tensors.iter().map(|t| t.inner().clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training_step::{SIZES, TrainingStep};
    use autograd::Tree;

    #[test]
    fn the_hand_written_gradient_is_the_tapes_in_bits() {
        for size in &SIZES[..2] {
            let training = TrainingStep::new(*size);
            let particles = training.particles(0..training.shard_rows());
            let (loss, gradient) = training.loss_and_gradient(&particles);
            let (own, by_hand) = loss_and_gradient(training.net(), &particles, training.mean());
            assert_eq!(loss.item().to_bits(), own.to_bits());
            assert_eq!(bits(&arrays(&gradient.leaves())), bits(&by_hand));
        }
    }

    #[test]
    fn the_products_have_the_flops_of_the_shapes() {
        let size = SIZES[0];
        let training = TrainingStep::new(size);
        let particles = training.particles(0..10);
        let products = products(training.net(), &particles, training.mean());
        let flops: u64 = products.iter().map(Product::flops).sum();
        // Forward, weight and input of every layer, but no input of the first.
        let (inner, ends) = (2 * 64 * 64, 64 * 3 + 64 * 2);
        assert_eq!(flops, 2 * 10 * (3 * (inner + ends) - 64 * 3));
    }
}
