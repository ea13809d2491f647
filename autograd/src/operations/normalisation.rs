//! **Normalisations**: numbers of mean 0 and mean square 1, then scaled and
//! shifted by what is learnt.
//!
//! The variance is that of the numbers at hand (correction 0), and `ε` stands
//! under the root. With `ε > 0` a constant row gives 0 with finite slopes; with
//! `ε = 0` it gives NaN. Deviations from the mean are formed before they are
//! squared, so a large common offset costs no more digits than the input has
//! lost already. Squares overflow beyond about `10¹⁵⁴` in `f64`, `10¹⁹` in `f32`.

use crate::algebra::Algebra;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Normalisations, with an optional scale and shift.
impl<A: Algebra> Tensor<A> {
    /// Layer normalisation over the last axis, `[…, D]` with scale and shift
    /// `[D]`.
    ///
    /// ```math
    /// y = \gamma \circ \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta, \qquad
    /// \mu = \frac1D \sum_i x_i, \quad \sigma^2 = \frac1D \sum_i (x_i - \mu)^2 \tag{AD.44}
    /// ```
    ///
    /// Ba, Kiros and Hinton 2016. Several last axes: reshape them to one.
    ///
    /// # Panics
    /// If there is no axis, if scale or shift is not `[D]`, or if `eps` is
    /// negative or not finite.
    #[track_caller]
    #[must_use]
    pub fn layer_norm(&self, eps: f64, scale: Option<&Self>, shift: Option<&Self>) -> Self {
        let width = last_extent("layer_norm", &self.shape());
        let standard = standardised("layer_norm", self, eps);
        affine("layer_norm", standard, &[width], scale, shift)
    }

    /// Normalisation by the root of the mean square over the last axis,
    /// `[…, D]` with scale `[D]`: the mean is not taken away.
    ///
    /// ```math
    /// y = \gamma \circ \frac{x}{\sqrt{\frac1D \sum_i x_i^2 + \varepsilon}} \tag{AD.45}
    /// ```
    ///
    /// Zhang and Sennrich 2019.
    ///
    /// # Panics
    /// If there is no axis, if the scale is not `[D]`, or if `eps` is negative
    /// or not finite.
    #[track_caller]
    #[must_use]
    pub fn rms_norm(&self, eps: f64, scale: Option<&Self>) -> Self {
        let width = last_extent("rms_norm", &self.shape());
        let standard = over_root_mean_square("rms_norm", self, eps);
        affine("rms_norm", standard, &[width], scale, None)
    }

    /// Group normalisation of `[B, C, …]`: the channels are cut into `groups`
    /// consecutive groups, and each group of each item is normalised as in
    /// [`layer_norm`](Tensor::layer_norm), over its channels and all places.
    /// Scale and shift are `[C]`. One group for each channel is instance
    /// normalisation.
    ///
    /// Wu and He 2018.
    ///
    /// # Panics
    /// If there are less than two axes, if the groups do not divide the
    /// channels, if scale or shift is not `[C]`, or if `eps` is negative or not
    /// finite.
    #[track_caller]
    #[must_use]
    pub fn group_norm(
        &self,
        groups: usize,
        eps: f64,
        scale: Option<&Self>,
        shift: Option<&Self>,
    ) -> Self {
        let shape = self.shape();
        assert!(
            shape.rank() >= 2,
            "group_norm: items with channels, [B, C, …], were expected, the shape is {shape}"
        );
        let channels = shape[1];
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "group_norm: {groups} groups of the {channels} channels of {shape}"
        );
        let places: usize = shape[2..].iter().product();
        let grouped = self.reshape(&[shape[0], groups, channels / groups * places]);
        let standard = standardised("group_norm", &grouped, eps).reshape(&shape);
        let mut along = shape.without(0).to_vec();
        along[1..].fill(1);
        affine("group_norm", standard, &along, scale, shift)
    }
}

/// The deviation from the mean of the last axis over its standard deviation.
#[track_caller]
fn standardised<A: Algebra>(name: &str, x: &Tensor<A>, eps: f64) -> Tensor<A> {
    let deviation = x - mean_of_last(x);
    over_root_mean_square(name, &deviation, eps) // (AD.44)
}

/// `x/√(mean x² + ε)` over the last axis.
#[track_caller]
fn over_root_mean_square<A: Algebra>(name: &str, x: &Tensor<A>, eps: f64) -> Tensor<A> {
    assert!(
        (0.0..f64::INFINITY).contains(&eps),
        "{name}: eps {eps} is negative or not finite"
    );
    x * (mean_of_last(&x.square()) + eps).rsqrt() // (AD.45)
}

/// The mean along the last axis, which is kept; 0 for an empty one.
#[track_caller]
fn mean_of_last<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    let axis = x.rank() - 1;
    x.sum_axis_keep(axis) / x.shape()[axis].max(1) as f64
}

#[track_caller]
fn last_extent(name: &str, shape: &Shape) -> usize {
    match shape.last() {
        Some(&extent) => extent,
        None => panic!("{name}: an axis was expected, the shape is {shape}"),
    }
}

/// `γ∘x + β`, where the first extent of `along` is that of `γ` and `β`, and the
/// others are ones.
#[track_caller]
fn affine<A: Algebra>(
    name: &str,
    x: Tensor<A>,
    along: &[usize],
    scale: Option<&Tensor<A>>,
    shift: Option<&Tensor<A>>,
) -> Tensor<A> {
    let want = Shape::new(&along[..1]);
    for (role, given) in [("scale", scale), ("shift", shift)] {
        if let Some(given) = given {
            let have = given.shape();
            assert!(
                have == want,
                "{name}: the {role} has shape {have}, {want} was expected"
            );
        }
    }
    let mut y = x;
    if let Some(scale) = scale {
        y = y * scale.reshape(along);
    }
    if let Some(shift) = shift {
        y = y + shift.reshape(along);
    }
    y
}
