//! **Derivatives**: gradients, products with the Jacobian and its transpose,
//! and products with the Hessian.
//!
//! ```math
//! \texttt{jvp}: \dot y = J\dot x, \qquad \texttt{vjp}: \bar x = J^{\mathsf T}\bar y,
//! \qquad \texttt{hvp}: H\dot x = \frac{d}{d\varepsilon}\nabla f(x + \varepsilon\dot x)\Big|_0 \tag{AD.8}
//! ```
//!
//! Every function here takes a *structure* of tensors ([`Tree`]): a single
//! tensor, a tuple, or a whole model, and derivatives come back in the same
//! structure. The algebra `A` may itself take derivatives, so these functions
//! nest; the order is fixed by the source.

use crate::algebra::Algebra;
use crate::dual::{Dual, Tag};
use crate::tape::Tape;
use crate::tensor::Tensor;
use crate::tree::Tree;
use crate::var::Var;
use std::rc::Rc;

/// The gradient of a scalar function, in the structure of its argument.
///
/// ```
/// use autograd::{Cpu, Tensor, grad};
/// let x = Tensor::<Cpu<f64>>::new(&[2], vec![1.0, -2.0]);
/// let g = grad(|x| (x * x).sum(), &x);
/// assert_eq!(g.to_vec(), [2.0, -4.0]);
/// ```
///
/// # Panics
/// If `f` does not return a single element, or does not reach a parameter.
#[track_caller]
pub fn grad<A, M, F>(f: F, x: &M) -> M
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    value_and_grad(f, x).1
}

/// The value of a scalar function, and its gradient.
///
/// # Panics
/// If `f` does not return a single element. If the value does not depend on
/// one of the parameters, which is mostly a mistake; where it is meant, use
/// [`value_and_grad_partial`].
#[track_caller]
pub fn value_and_grad<A, M, F>(f: F, x: &M) -> (Tensor<A>, M)
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let (value, bars) = reverse_scalar(f, x);
    if let Some(missed) = bars.iter().position(Option::is_none) {
        panic!(
            "the result does not depend on parameter {:?} (number {missed}); \
             if that is meant, use value_and_grad_partial",
            x.names()[missed]
        );
    }
    (value, rebuild(x, bars))
}

/// Like [`value_and_grad`], with zeros for parameters that are not reached.
#[track_caller]
pub fn value_and_grad_partial<A, M, F>(f: F, x: &M) -> (Tensor<A>, M)
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let (value, bars) = reverse_scalar(f, x);
    (value, rebuild(x, bars))
}

/// The value of `f`, and `Jᵀ·y_bar`.
///
/// # Panics
/// If `y_bar` has not the shape of the value.
#[track_caller]
pub fn vjp<A, M, F>(f: F, x: &M, y_bar: &Tensor<A>) -> (Tensor<A>, M)
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let (y, bars) = reverse(f, x, |y| {
        let (have, want) = (y_bar.shape(), y.shape());
        assert!(
            have == want,
            "vjp: the cotangent has shape {have}, the value {want}"
        );
        y_bar.clone()
    });
    (y, rebuild(x, bars))
}

/// The value of `f`, and `J·x_dot`.
///
/// # Panics
/// If a leaf of `x_dot` has not the shape of its leaf of `x`.
#[track_caller]
pub fn jvp<A, M, F>(f: F, x: &M, x_dot: &M) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    M: Tree<A>,
    F: FnOnce(&M::With<Dual<A>>) -> Tensor<Dual<A>>,
{
    let tag = Tag::fresh();
    let mut tangents = x_dot.leaves().into_iter();
    let moving = x.map(&mut |leaf| {
        let tangent = tangents
            .next()
            .expect("jvp: point and tangent have one structure");
        let (have, want) = (tangent.shape(), leaf.shape());
        assert!(
            have == want,
            "jvp: a tangent has shape {have}, its leaf {want}"
        );
        Dual::new(leaf.clone(), tangent, tag)
    });
    f(&moving).0.parts(tag)
}

/// The Hessian of a scalar function times a direction, forward over reverse.
/// `f` is read with `Var<Dual<A>>`.
#[track_caller]
pub fn hvp<A, F>(f: F, x: &Tensor<A>, x_dot: &Tensor<A>) -> Tensor<A>
where
    A: Algebra,
    F: FnOnce(&Tensor<Var<Dual<A>>>) -> Tensor<Var<Dual<A>>>,
{
    jvp(|x: &Tensor<Dual<A>>| grad(f, x), x, x_dot).1 // (AD.8)
}

/// What a sweep gives: the value, and a cotangent for each leaf reached.
type Swept<A> = (Tensor<A>, Vec<Option<Tensor<A>>>);

#[track_caller]
fn reverse_scalar<A, M, F>(f: F, x: &M) -> Swept<A>
where
    A: Algebra,
    M: Tree<A>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    reverse(f, x, |y| {
        let shape = y.shape();
        assert!(
            shape.count() == 1,
            "grad: a single element was expected, the function returned shape {shape}"
        );
        y.ones_like()
    })
}

#[track_caller]
fn reverse<A, M, F>(f: F, x: &M, seed: impl FnOnce(&Tensor<A>) -> Tensor<A>) -> Swept<A>
where
    A: Algebra,
    M: Tree<A>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let tape = Rc::new(Tape::new());
    let mut leaves = 0;
    let variables = x.map(&mut |leaf| {
        leaves += 1;
        Var::leaf(&tape, leaf.clone())
    });
    let (y, place) = f(&variables).0.parts(&tape);
    let seed = seed(&y);
    let bars = match place {
        Some(output) => tape.sweep(output, seed, leaves),
        None => vec![None; leaves],
    };
    (y, bars)
}

/// The cotangents in the structure of the argument, zero where not reached.
fn rebuild<A, M>(x: &M, bars: Vec<Option<Tensor<A>>>) -> M
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
{
    let mut bars = bars.into_iter();
    x.map(&mut |leaf| bars.next().flatten().unwrap_or_else(|| leaf.zeros_like()))
}
