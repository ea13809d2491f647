//! **Divergence** of a vector field over a batch, exact and estimated.
//!
//! ```math
//! \nabla\!\cdot v(x) = \sum_i \frac{\partial v_i}{\partial x_i} = \operatorname{tr} J
//! = \mathbb E_z\,[z^{\mathsf T} J z], \qquad \mathbb E\, z z^{\mathsf T} = I \tag{AD.9}
//! ```
//!
//! The exact trace takes one forward derivative for each coordinate, the
//! estimate of Hutchinson (1990) a single one for each probe. Rows are
//! samples: `x` is `[B, D]`, the field returns `[B, D]` and row `i` of it must
//! depend on row `i` of `x` only; the result is `[B]`.

use crate::algebra::Algebra;
use crate::derivative::jvp;
use crate::dual::Dual;
use crate::tensor::Tensor;

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
/// If `x` is not a matrix with at least one column.
#[track_caller]
pub fn divergence<A, V>(field: V, x: &Tensor<A>) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    V: Fn(&Tensor<Dual<A>>) -> Tensor<Dual<A>>,
{
    let shape = x.shape();
    assert!(
        shape.rank() == 2 && shape[1] > 0,
        "divergence: points of shape [B, D] with D > 0 were expected, the shape is {shape}"
    );
    let (batch, dimension) = (shape[0], shape[1]);
    let mut sum: Option<(Tensor<A>, Tensor<A>)> = None;
    for i in 0..dimension {
        let unit: Vec<f64> = (0..batch * dimension)
            .map(|place| f64::from(u8::from(place % dimension == i)))
            .collect();
        let (value, column) = jvp(&field, x, &x.lift(&shape, &unit));
        let diagonal = column.slice(1, i, 1);
        sum = Some(match sum {
            Some((value, trace)) => (value, trace + diagonal), // (AD.9)
            None => (value, diagonal),
        });
    }
    let (value, trace) = sum.expect("at least one column was checked");
    (value, trace.reshape(&[batch]))
}

/// The value `[B, D]` of a field and the estimate `zᵀJz` of its divergence,
/// `[B]`, for a probe `z` with the shape of `x`.
///
/// Unbiased when the entries of `z` have mean 0, variance 1 and are
/// independent. The variance of the estimate is `2(‖S‖² − Σ sᵢᵢ²)` for signs
/// (Rademacher) and `2‖S‖²` for normal entries, with `S = (J + Jᵀ)/2`. Along
/// one trajectory the same probe must be kept, else the solver integrates a
/// random function.
#[track_caller]
pub fn hutchinson<A, V>(field: V, x: &Tensor<A>, probe: &Tensor<A>) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    V: FnOnce(&Tensor<Dual<A>>) -> Tensor<Dual<A>>,
{
    let (value, pushed) = jvp(field, x, probe);
    (value, (pushed * probe).sum_axis(1))
}
