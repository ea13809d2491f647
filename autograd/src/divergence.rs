//! **Divergence** of a vector field over a batch, exact and estimated.
//!
//! ```math
//! \nabla\!\cdot v(x) = \sum_i \frac{\partial v_i}{\partial x_i} = \operatorname{tr} J
//! = \mathbb E_z\,[z^{\mathsf T} J z], \qquad \mathbb E\, z z^{\mathsf T} = I \tag{AD.9}
//! ```
//!
//! The exact trace takes one derivative for each coordinate, forward or
//! reverse; the estimate of Hutchinson (1990) a single one for each probe. Rows are
//! samples: `x` is `[B, D]`, the field returns `[B, D]` and row `i` of it must
//! depend on row `i` of `x` only; the result is `[B]`.

use crate::algebra::Algebra;
use crate::derivative::jvp;
use crate::dual::Dual;
use crate::pullback::Pullback;
use crate::tensor::Tensor;
use crate::var::Var;

/// The value `[B, D]` of a field and its exact divergence `[B]`, by `D`
/// forward derivatives.
///
/// ```
/// use autograd::{Cpu, Tensor, divergence};
/// let x = Tensor::<Cpu<f64>>::new(&[1, 2], vec![3.0, 5.0]);
/// let (_, div) = divergence(|x| x.square(), &x); // ∂(x²)/∂x + ∂(y²)/∂y
/// assert_eq!(div.to_vec(), [16.0]);
/// ```
///
/// # Panics
/// If `x` is not a matrix with at least one column, or the field returns
/// another shape.
#[track_caller]
pub fn divergence<A, V>(field: V, x: &Tensor<A>) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    V: Fn(&Tensor<Dual<A>>) -> Tensor<Dual<A>>,
{
    let dimension = columns("divergence", x);
    let mut sum: Option<(Tensor<A>, Tensor<A>)> = None;
    for i in 0..dimension {
        let (value, pushed) = jvp(&field, x, &unit_column(x, i));
        same_shape("divergence", x, &value);
        let diagonal = pushed.slice(1, i, 1);
        sum = Some(match sum {
            Some((value, trace)) => (value, trace + diagonal), // (AD.9)
            None => (value, diagonal),
        });
    }
    let (value, trace) = sum.expect("at least one column was checked");
    (value, trace.sum_axis(1))
}

/// The same by reverse mode: the field is recorded once, and the recording is
/// swept for each coordinate.
///
/// ```math
/// \nabla\!\cdot v = \sum_i \bigl(J^{\mathsf T} e_i\bigr)_i \tag{AD.22}
/// ```
///
/// The field is evaluated once in place of `D` times, for the memory of its
/// recording. It is the way that costs less where evaluating the field costs
/// much beside its sweep, and where a recording is wanted anyway.
///
/// # Panics
/// If `x` is not a matrix with at least one column, or the field returns
/// another shape.
#[track_caller]
pub fn divergence_reverse<A, V>(field: V, x: &Tensor<A>) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    V: FnOnce(&Tensor<Var<A>>) -> Tensor<Var<A>>,
{
    let dimension = columns("divergence_reverse", x);
    let pullback = Pullback::of(field, x);
    let value = pullback.value().clone();
    same_shape("divergence_reverse", x, &value);
    let diagonals = (0..dimension).map(|i| {
        let row = pullback.pull_partial(&unit_column(x, i));
        row.slice(1, i, 1) // (AD.22)
    });
    let trace = diagonals.reduce(|sum, diagonal| sum + diagonal);
    let trace = trace.expect("at least one column was checked");
    (value, trace.sum_axis(1))
}

/// The number of coordinates of points `[B, D]`.
#[track_caller]
pub(crate) fn columns<A: Algebra>(name: &str, x: &Tensor<A>) -> usize {
    let shape = x.shape();
    assert!(
        shape.rank() == 2 && shape[1] > 0,
        "{name}: points of shape [B, D] with D > 0 were expected, the shape is {shape}"
    );
    shape[1]
}

#[track_caller]
fn same_shape<A: Algebra>(name: &str, x: &Tensor<A>, v: &Tensor<A>) {
    let (points, field) = (x.shape(), v.shape());
    assert!(
        points == field,
        "{name}: the field has shape {field}, its points {points}"
    );
}

/// The unit vector of coordinate `i` in every row.
pub(crate) fn unit_column<A: Algebra>(x: &Tensor<A>, i: usize) -> Tensor<A> {
    let shape = x.shape();
    let unit: Vec<f64> = (0..shape[1])
        .map(|column| f64::from(u8::from(column == i)))
        .collect();
    // One row, repeated: a GPU keeps short constants.
    x.lift(&[1, shape[1]], &unit).broadcast_to(&shape)
}

/// The value `[B, D]` of a field and the estimate `zᵀJz` of its divergence,
/// `[B]`, for a probe `z` with the shape of `x`.
///
/// Unbiased when the entries of `z` have mean 0, variance 1 and are
/// independent: [`Probe`](crate::Probe) draws them and knows the variance of
/// the estimate. Along one trajectory the same probe must be kept, else the
/// solver integrates a random function.
///
/// # Panics
/// If the probe, or what the field returns, has not the shape of `x`.
#[track_caller]
pub fn hutchinson<A, V>(field: V, x: &Tensor<A>, probe: &Tensor<A>) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    V: FnOnce(&Tensor<Dual<A>>) -> Tensor<Dual<A>>,
{
    columns("hutchinson", x);
    let (value, pushed) = jvp(field, x, probe);
    same_shape("hutchinson", x, &value);
    (value, (pushed * probe).sum_axis(1))
}
