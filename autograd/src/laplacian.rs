//! **Laplacian** of a function over a batch of points.
//!
//! ```math
//! \Delta f(x) = \sum_i \frac{\partial^2 f}{\partial x_i^2} = \operatorname{tr} H
//! = \nabla\!\cdot\nabla f \tag{AD.24}
//! ```
//!
//! Forward over forward: for each coordinate the second derivative along it.
//! It records nothing, and carries four numbers for each one of the program
//! (a value, two tangents and their mixed derivative), where forward over
//! reverse carries as many on the way out and again on the way back.

use crate::algebra::Algebra;
use crate::derivative::jvp;
use crate::differentiated::Differentiated;
use crate::divergence::{columns, unit_column};
use crate::dual::Dual;
use crate::tensor::Tensor;

/// The value `[B]` of a function of points `[B, D]` and its exact Laplacian
/// `[B]`, by `2D` forward derivatives. Value `i` must depend on row `i` only;
/// where `f` is a log density, `Δ log p` is in the units of `1/x²`.
///
/// ```
/// use autograd::{Cpu, Tensor, laplacian};
/// let x = Tensor::<Cpu<f64>>::new(&[1, 3], vec![1.0, -2.0, 0.5]);
/// // −‖x‖²/2, the log density of a normal vector up to a constant
/// let (value, trace) = laplacian(|x| -0.5 * x.square().sum_axis(1), &x);
/// assert_eq!((value.item(), trace.item()), (-2.625, -3.0));
/// ```
///
/// # Panics
/// If `x` is not a matrix with at least one column, or `f` does not return one
/// number for each row.
#[track_caller]
pub fn laplacian<A, F>(f: F, x: &Tensor<A>) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    F: Fn(&Tensor<Dual<Dual<A>>>) -> Tensor<Dual<Dual<A>>>,
{
    let dimension = columns("laplacian", x);
    let mut sum: Option<(Tensor<A>, Tensor<A>)> = None;
    for i in 0..dimension {
        let unit = unit_column(x, i);
        let mut value = None;
        let (_, second) = jvp(
            |x: &Tensor<Dual<A>>| {
                let (y, slope) = jvp(&f, x, &Dual::held(&unit));
                value = Some(y.0.value().clone());
                slope
            },
            x,
            &unit,
        );
        let value = value.expect("the function was called");
        let (have, rows) = (value.shape(), x.shape()[0]);
        assert!(
            have[..] == [rows],
            "laplacian: one number for each of {rows} points was expected, the function returned shape {have}"
        );
        sum = Some(match sum {
            Some((value, trace)) => (value, trace + second), // (AD.24)
            None => (value, second),
        });
    }
    sum.expect("at least one column was checked")
}
