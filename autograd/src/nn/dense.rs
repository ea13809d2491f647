//! **Dense layer**: `f(x·W + b)`.

use super::initial::uniform;
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::philox::Draw;
use crate::pointwise::Unary;
use crate::real::Real;
use crate::tensor::Tensor;

/// The parameters of a dense layer: `weight` is `[inputs, outputs]`, `bias`
/// is `[outputs]`.
#[derive(Clone, Debug)]
pub struct Dense<A: Algebra> {
    /// `W`, one column for each output.
    pub weight: Tensor<A>,
    /// `b`.
    pub bias: Tensor<A>,
}

impl<F: Real> Dense<Cpu<F>> {
    /// Entries drawn uniformly from `±1/√inputs`, as PyTorch's linear layer
    /// draws them. The draw is named by `draw` with the layer as its step, so
    /// the same seed gives the same bits anywhere.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, draw: Draw) -> Self {
        let (weight, bias) = uniform(&[inputs, outputs], outputs, inputs, draw);
        Dense { weight, bias }
    }
}

impl<A: Algebra> Dense<A> {
    /// `f(x·W + b)` for `x` of shape `[B, inputs]`; no function means the
    /// identity.
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: &Tensor<A>, f: Option<Unary>) -> Tensor<A> {
        x.dense(&self.weight, &self.bias, f)
    }
}

crate::tree!(Dense { weight, bias });
