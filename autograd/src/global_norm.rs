//! **Global norm** of a gradient, and clipping by it.
//!
//! ```math
//! \lVert g\rVert = \Bigl(\sum_{\text{leaves}} \sum_i g_i^2\Bigr)^{1/2}, \qquad
//! g \leftarrow g \cdot \min\Bigl(1, \frac{c}{\lVert g\rVert}\Bigr) \tag{AD.31}
//! ```
//!
//! All leaves are scaled alike, so the direction is kept (Pascanu, Mikolov and
//! Bengio 2013). The norm is summed in double precision and scaled by the
//! largest entry, so it neither overflows nor underflows before its time.

use crate::cpu::Cpu;
use crate::real::Real;
use crate::tree::Tree;
use std::fmt;

/// A gradient that has a NaN or infinite element, so that it has no direction.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// The first leaf with such an element.
    pub leaf: String,
    /// The element.
    pub found: f64,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotFinite { leaf, found } = self;
        write!(f, "the gradient of {leaf:?} has the element {found}")
    }
}

impl std::error::Error for NotFinite {}

/// The Euclidean norm over all leaves.
///
/// # Errors
/// The first leaf with a NaN or infinite element.
pub fn global_norm<F: Real, M: Tree<Cpu<F>>>(gradient: &M) -> Result<f64, NotFinite> {
    let mut largest = 0.0f64;
    let mut bad = None;
    gradient.each("", &mut |name, leaf| {
        for x in leaf.as_slice().iter().map(|x| x.wide()) {
            largest = largest.max(x.abs());
            if !x.is_finite() && bad.is_none() {
                bad = Some(NotFinite {
                    leaf: name.trim_start_matches('.').to_owned(),
                    found: x,
                });
            }
        }
    });
    if let Some(bad) = bad {
        return Err(bad);
    }
    if largest == 0.0 {
        return Ok(0.0);
    }
    // A power of two near the largest entry: scaling by it is exact.
    let scale = 2f64.powi(largest.log2().floor().max(-1022.0) as i32);
    let mut sum = 0.0;
    gradient.each("", &mut |_, leaf| {
        let squares = leaf.as_slice().iter().map(|x| (x.wide() / scale).powi(2));
        sum += squares.sum::<f64>();
    });
    Ok(scale * sum.sqrt())
}

/// Scales the gradient down to the norm `most` if its norm is larger; returns
/// the norm it had.
///
/// ```
/// use autograd::{Cpu, Tensor, clip_global_norm};
/// let mut g = Tensor::<Cpu<f32>>::new(&[2], vec![3.0, -4.0]);
/// assert_eq!(clip_global_norm(&mut g, 10.0), Ok(5.0));
/// assert_eq!(clip_global_norm(&mut g, 2.5), Ok(5.0));
/// assert_eq!(g.to_vec(), [1.5, -2.0]);
/// let mut bad = Tensor::<Cpu<f32>>::new(&[1], vec![f32::NAN]);
/// assert!(clip_global_norm(&mut bad, 1.0).is_err());
/// ```
///
/// # Errors
/// If the gradient has a NaN or infinite element; it is then unchanged.
///
/// # Panics
/// If `most` is not positive.
#[track_caller]
pub fn clip_global_norm<F, M>(gradient: &mut M, most: f64) -> Result<f64, NotFinite>
where
    F: Real,
    M: Tree<Cpu<F>>,
{
    assert!(
        most > 0.0,
        "clip_global_norm: the largest norm allowed is {most}, it must be positive"
    );
    let norm = global_norm(gradient)?;
    if norm > most {
        let factor = F::from_f64(most / norm);
        gradient.each_mut(&mut |leaf| {
            for x in leaf.as_mut_slice() {
                *x *= factor; // (AD.31)
            }
        });
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    type Pair = (Tensor<Cpu<f64>>, Tensor<Cpu<f64>>);

    fn pair(a: [f64; 2], b: f64) -> Pair {
        (Tensor::new(&[2], a.to_vec()), Tensor::scalar(b))
    }

    /// Verifies (AD.31).
    #[test]
    fn all_leaves_are_scaled_alike_to_the_norm() {
        let mut g = pair([2.0, -3.0], 6.0);
        assert_eq!(
            clip_global_norm(&mut g, 7.0),
            Ok(7.0),
            "as large as allowed"
        );
        assert_eq!((g.0.to_vec(), g.1.item()), (vec![2.0, -3.0], 6.0));
        assert_eq!(clip_global_norm(&mut g, 3.5), Ok(7.0));
        assert_eq!((g.0.to_vec(), g.1.item()), (vec![1.0, -1.5], 3.0));
        // The wrong twin, each leaf by its own norm, would keep no direction.
        assert_eq!(g.0.as_slice()[1] / g.1.item(), -0.5);
        assert_eq!(clip_global_norm(&mut pair([0.0, 0.0], 0.0), 1.0), Ok(0.0));
    }

    /// The scale is a power of two: whole numbers whose norm is whole have it in
    /// bits.
    #[test]
    fn scaling_costs_no_bit() {
        for k in 1..=200 {
            let k = f64::from(k);
            assert_eq!(global_norm(&pair([3.0 * k, 0.0], 4.0 * k)), Ok(5.0 * k));
        }
    }

    #[test]
    fn the_norm_reaches_as_far_as_the_numbers() {
        for size in [1e300, 1e-300, 5e-324 * 1024.0] {
            let norm = global_norm(&pair([3.0 * size, 0.0], 4.0 * size));
            let error = (norm.expect("finite") / size - 5.0).abs();
            assert!(error <= 5.0 * 2.0 * f64::EPSILON, "{size:e}: {error:e}");
        }
    }

    #[test]
    fn what_is_not_finite_is_an_error_and_nothing_changes() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut g = pair([1e9, 1.0], bad);
            let error = clip_global_norm(&mut g, 1.0).unwrap_err();
            let text = format!("the gradient of \"1\" has the element {bad}");
            assert_eq!(error.to_string(), text);
            assert_eq!(g.0.to_vec(), [1e9, 1.0]);
        }
    }

    #[test]
    #[should_panic(expected = "the largest norm allowed is NaN, it must be positive")]
    fn a_bound_that_is_not_positive_is_refused() {
        let _ = clip_global_norm(&mut pair([1.0, 1.0], 1.0), f64::NAN);
    }
}
