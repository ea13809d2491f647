//! **Multilayer perceptron** with time input: the velocity network.

use super::{Dense, TimeFeatures};
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::philox::Draw;
use crate::pointwise::Unary;
use crate::real::Real;
use crate::tensor::Tensor;

/// Dense layers with one function between them; the last layer is linear.
/// The input of the first is the point and the features of the time.
///
/// ```
/// use autograd::{Cpu, Draw, Mlp, Tensor, TimeFeatures, Unary};
/// let net = Mlp::<Cpu<f32>>::new(2, &[64, 64], 2, TimeFeatures::Plain, Unary::Silu, Draw::seed(7));
/// let (t, x) = (Tensor::full(&[5, 1], 0.5), Tensor::full(&[5, 2], 1.0));
/// assert_eq!(net.velocity(&t, &x).shape()[..], [5, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct Mlp<A: Algebra> {
    /// First to last.
    pub layers: Vec<Dense<A>>,
    /// Between the layers.
    pub activation: Unary,
    /// How the time enters.
    pub time: TimeFeatures,
}

impl<F: Real> Mlp<Cpu<F>> {
    /// A network from `[B, inputs]` and a time to `[B, outputs]` with hidden
    /// layers of the given widths. Layer `i` is drawn with `draw` at step `i`.
    #[must_use]
    pub fn new(
        inputs: usize,
        hidden: &[usize],
        outputs: usize,
        time: TimeFeatures,
        activation: Unary,
        draw: Draw,
    ) -> Self {
        let mut widths = vec![inputs + time.count()];
        widths.extend_from_slice(hidden);
        widths.push(outputs);
        let layers = widths.windows(2).zip(0..).map(|(w, step)| {
            let draw = Draw { step, ..draw };
            Dense::new(w[0], w[1], draw)
        });
        Mlp {
            layers: layers.collect(),
            activation,
            time,
        }
    }
}

impl<A: Algebra> Mlp<A> {
    /// `v(t, x)` for times `t` of shape `[B, 1]` and points `x` of `[B, D]`.
    #[track_caller]
    #[must_use]
    pub fn velocity(&self, t: &Tensor<A>, x: &Tensor<A>) -> Tensor<A> {
        let mut h = Tensor::concat(&[x, &self.time.of(t)], 1);
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            h = layer.apply(&h, (!last).then_some(self.activation));
        }
        h
    }
}

crate::tree!(Mlp { layers; activation, time });
