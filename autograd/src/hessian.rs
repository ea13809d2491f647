//! **Hessian**: all second derivatives of a scalar function.
//!
//! ```math
//! H_{ij} = \frac{\partial^2 f}{\partial x_i\,\partial x_j}, \qquad
//! H e_j = \frac{\partial}{\partial x_j} \nabla f(x) \tag{AD.21}
//! ```
//!
//! Forward over reverse, a column for each of the `n` numbers of the argument,
//! at a small multiple of the cost of a gradient each. Where only products
//! with the Hessian are wanted, [`hvp`](crate::hvp) makes one of them.

use crate::algebra::Algebra;
use crate::derivative::grad;
use crate::dual::Dual;
use crate::jacobian::jacobian_forward;
use crate::tensor::Tensor;
use crate::var::Var;

/// The Hessian `[n, n]` of a function with a single element, `n` being the
/// count of the numbers of `x`, in row-major order.
///
/// ```
/// use autograd::{Cpu, Tensor, hessian};
/// let x = Tensor::<Cpu<f64>>::new(&[2], vec![2.0, 3.0]);
/// // f = (x + y)² + x³
/// let h = hessian(|x| x.sum().square() + x.slice(0, 0, 1).powi(3).sum(), &x);
/// assert_eq!(h.to_vec(), [14.0, 2.0, 2.0, 2.0]);
/// ```
///
/// # Panics
/// If `f` does not return a single element, or does not depend on `x`.
#[track_caller]
pub fn hessian<A, F>(f: F, x: &Tensor<A>) -> Tensor<A>
where
    A: Algebra,
    F: Fn(&Tensor<Var<Dual<A>>>) -> Tensor<Var<Dual<A>>>,
{
    jacobian_forward(|x: &Tensor<Dual<A>>| grad(&f, x), x) // (AD.21)
}
