//! **Normalising layers**: activations brought to mean 0 and variance 1, then
//! to a scale and a shift that are learned.

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tensor::Tensor;

/// Added to the variance, so that what does not vary stays finite.
const EPSILON: f64 = 1e-5;

/// [Normalisation](Tensor::layer_norm) over the last axis, `[…, D] → […, D]`,
/// with `ε = 10⁻⁵`; `2·D` numbers.
#[derive(Clone, Debug)]
pub struct LayerNorm<A: Algebra> {
    /// `γ`, `[D]`.
    pub scale: Tensor<A>,
    /// `β`, `[D]`.
    pub shift: Tensor<A>,
}

/// [Normalisation](Tensor::group_norm) over groups of channels and all places,
/// `[N, C, …] → [N, C, …]`, with `ε = 10⁻⁵`; `2·C` numbers. Samples do not see
/// each other.
#[derive(Clone, Debug)]
pub struct GroupNorm<A: Algebra> {
    /// `γ`, `[C]`.
    pub scale: Tensor<A>,
    /// `β`, `[C]`.
    pub shift: Tensor<A>,
    /// Into how many groups the channels are cut.
    pub groups: usize,
}

impl<F: Real> LayerNorm<Cpu<F>> {
    /// Scale 1 and shift 0.
    #[must_use]
    pub fn new(width: usize) -> Self {
        LayerNorm {
            scale: Tensor::full(&[width], F::one()),
            shift: Tensor::full(&[width], F::zero()),
        }
    }
}

impl<F: Real> GroupNorm<Cpu<F>> {
    /// Scale 1 and shift 0.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    #[must_use]
    pub fn new(channels: usize, groups: usize) -> Self {
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "GroupNorm: {channels} channels in {groups} groups"
        );
        GroupNorm {
            scale: Tensor::full(&[channels], F::one()),
            shift: Tensor::full(&[channels], F::zero()),
            groups,
        }
    }
}

impl<A: Algebra> LayerNorm<A> {
    /// The normalised array.
    ///
    /// # Panics
    /// If the last extent is not that of the parameters.
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: &Tensor<A>) -> Tensor<A> {
        x.layer_norm(EPSILON, Some(&self.scale), Some(&self.shift))
    }
}

impl<A: Algebra> GroupNorm<A> {
    /// The normalised images.
    ///
    /// # Panics
    /// If there are not the channels of the parameters.
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: &Tensor<A>) -> Tensor<A> {
        x.group_norm(self.groups, EPSILON, Some(&self.scale), Some(&self.shift))
    }
}

crate::tree!(LayerNorm { scale, shift });
crate::tree!(GroupNorm { scale, shift; groups });
