//! **Dense layer**: `f(x·W + b)`.

use super::initial::uniform;
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::philox::Draw;
use crate::pointwise::Unary;
use crate::real::Real;
use crate::tensor::Tensor;
use crate::tree::Tree;

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

impl<A: Algebra> Tree<A> for Dense<A> {
    type With<B: Algebra> = Dense<B>;
    fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> Dense<B> {
        Dense {
            weight: self.weight.map(f),
            bias: self.bias.map(f),
        }
    }
    fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>)) {
        self.weight.each(&format!("{path}.weight"), f);
        self.bias.each(&format!("{path}.bias"), f);
    }
    fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>)) {
        self.weight.each_mut(f);
        self.bias.each_mut(f);
    }
}
