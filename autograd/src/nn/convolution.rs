//! **Convolutional layer**: a convolution with its kernel and bias.

use super::initial::uniform;
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::operations::Convolution;
use crate::philox::Draw;
use crate::real::Real;
use crate::tensor::Tensor;

/// The parameters of a convolution along two axes: `weight` is
/// `[outputs, inputs/groups, K, L]`, `bias` is `[outputs]`.
///
/// `outputs·inputs/groups·K·L + outputs` numbers.
#[derive(Clone, Debug)]
pub struct Conv2d<A: Algebra> {
    /// The kernels, one for each output channel.
    pub weight: Tensor<A>,
    /// Added to each output channel.
    pub bias: Tensor<A>,
    /// How the kernel passes over the image.
    pub how: Convolution<2>,
}

impl<F: Real> Conv2d<Cpu<F>> {
    /// Entries drawn uniformly from `±1/√(inputs/groups·K·L)`, as PyTorch draws
    /// them.
    ///
    /// # Panics
    /// If there are no groups or they do not divide the channels.
    #[track_caller]
    #[must_use]
    pub fn new(
        inputs: usize,
        outputs: usize,
        [k, l]: [usize; 2],
        how: Convolution<2>,
        draw: Draw,
    ) -> Self {
        let groups = how.groups;
        assert!(
            groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups),
            "Conv2d: {inputs} to {outputs} channels in {groups} groups"
        );
        let each = inputs / groups;
        let (weight, bias) = uniform(&[outputs, each, k, l], outputs, each * k * l, draw);
        Conv2d { weight, bias, how }
    }
}

impl<A: Algebra> Conv2d<A> {
    /// `[N, inputs, H, W] → [N, outputs, H', W']`; see [`Tensor::conv2d`].
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: &Tensor<A>) -> Tensor<A> {
        x.conv2d(&self.weight, Some(&self.bias), self.how)
    }
}

crate::tree!(Conv2d { weight, bias; how });
