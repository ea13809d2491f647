//! **Normalising layers**: activations brought to mean 0 and variance 1, then
//! to a scale and a shift that are learned.

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tensor::Tensor;
use crate::tree::Tree;

/// Added to the variance, so that what does not vary stays finite.
const EPSILON: f64 = 1e-5;

/// Normalisation over the last axis, `[…, D] → […, D]`; `2·D` numbers.
///
/// ```math
/// y = \gamma \circ \frac{x - \bar x}{\sqrt{\operatorname{var} x + \varepsilon}} + \beta \tag{AD.67}
/// ```
///
/// The variance is that of the `D` numbers themselves, `ε = 10⁻⁵`
/// (Ba, Kiros and Hinton 2016).
#[derive(Clone, Debug)]
pub struct LayerNorm<A: Algebra> {
    /// `γ`, `[D]`.
    pub scale: Tensor<A>,
    /// `β`, `[D]`.
    pub shift: Tensor<A>,
}

/// Normalisation of images over their places and groups of channels,
/// `[N, C, H, W] → [N, C, H, W]`: (AD.67) for each sample and group, with a
/// scale and shift for each channel (Wu and He 2018); `2·C` numbers. Samples
/// do not see each other.
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
        let (shape, width) = (x.shape(), self.scale.shape());
        assert!(
            shape.last() == width.last(),
            "LayerNorm: input {shape} for a scale of {width}"
        );
        standardised(x) * &self.scale + &self.shift
    }
}

impl<A: Algebra> GroupNorm<A> {
    /// The normalised images.
    ///
    /// # Panics
    /// If there are not four axes, or not the channels of the parameters.
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: &Tensor<A>) -> Tensor<A> {
        let (shape, channels) = (x.shape(), self.scale.shape()[0]);
        assert!(
            shape.rank() == 4 && shape[1] == channels,
            "GroupNorm: input {shape}: [N, {channels}, H, W] was expected"
        );
        let (n, each) = (shape[0], channels / self.groups * shape[2] * shape[3]);
        let groups = standardised(&x.reshape(&[n, self.groups, each]));
        let column = |p: &Tensor<A>| p.reshape(&[channels, 1, 1]);
        groups.reshape(&shape) * column(&self.scale) + column(&self.shift)
    }
}

/// Mean 0 and variance 1 along the last axis.
#[track_caller]
fn standardised<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    let axis = x.rank() - 1;
    let n = x.shape()[axis] as f64;
    let deviation = x - x.sum_axis_keep(axis) / n;
    let variance = deviation.square().sum_axis_keep(axis) / n;
    &deviation * (variance + EPSILON).rsqrt() // (AD.67)
}

macro_rules! tree_of_scale_and_shift {
    ($name:ident $(, $kept:ident)?) => {
        impl<A: Algebra> Tree<A> for $name<A> {
            type With<B: Algebra> = $name<B>;
            fn map<B: Algebra>(&self, f: &mut dyn FnMut(&Tensor<A>) -> Tensor<B>) -> $name<B> {
                $name {
                    scale: self.scale.map(f),
                    shift: self.shift.map(f),
                    $($kept: self.$kept,)?
                }
            }
            fn each(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor<A>)) {
                self.scale.each(&format!("{path}.scale"), f);
                self.shift.each(&format!("{path}.shift"), f);
            }
            fn each_mut(&mut self, f: &mut dyn FnMut(&mut Tensor<A>)) {
                self.scale.each_mut(f);
                self.shift.each_mut(f);
            }
        }
    };
}
tree_of_scale_and_shift!(LayerNorm);
tree_of_scale_and_shift!(GroupNorm, groups);
