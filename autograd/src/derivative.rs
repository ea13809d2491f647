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
//!
//! Gradients and cotangents of a leaf that the result does not depend on are
//! refused, since that is mostly a parameter left out by mistake; the
//! functions that end in `_partial` give zeros there. Products with a
//! Jacobian or a Hessian are zero where nothing arrives, which is their value.

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
    (value, complete(x, bars, "value_and_grad_partial"))
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
/// If `y_bar` has not the shape of the value. If the value does not depend on
/// one of the leaves of `x`; where that is meant, use [`vjp_partial`].
#[track_caller]
pub fn vjp<A, M, F>(f: F, x: &M, y_bar: &Tensor<A>) -> (Tensor<A>, M)
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let (y, bars) = reverse(f, x, |y| seed("vjp", y, y_bar));
    (y, complete(x, bars, "vjp_partial"))
}

/// Like [`vjp`], with zeros for leaves that are not reached.
#[track_caller]
pub fn vjp_partial<A, M, F>(f: F, x: &M, y_bar: &Tensor<A>) -> (Tensor<A>, M)
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let (y, bars) = reverse(f, x, |y| seed("vjp_partial", y, y_bar));
    (y, rebuild(x, bars))
}

/// The value of `f`, and `J·x_dot`.
///
/// # Panics
/// If `x_dot` has not the structure of `x`, or a leaf of it not the shape.
#[track_caller]
pub fn jvp<A, M, F>(f: F, x: &M, x_dot: &M) -> (Tensor<A>, Tensor<A>)
where
    A: Algebra,
    M: Tree<A>,
    F: FnOnce(&M::With<Dual<A>>) -> Tensor<Dual<A>>,
{
    let tag = Tag::fresh();
    f(&moving("jvp", x, x_dot, tag)).0.parts(tag)
}

/// The Hessian of a scalar function times a direction, forward over reverse:
/// one derivative of the gradient, at a small multiple of its cost whatever
/// the number of parameters. `f` is read with `Var<Dual<A>>`.
///
/// ```
/// use autograd::{Cpu, Tensor, hvp};
/// let at = |x| Tensor::<Cpu<f64>>::scalar(x);
/// // f(a, b) = a²b at (3, 5): H = [[2b, 2a], [2a, 0]].
/// let (a, b) = hvp(|(a, b)| a * a * b, &(at(3.0), at(5.0)), &(at(1.0), at(10.0)));
/// assert_eq!((a.item(), b.item()), (70.0, 6.0));
/// ```
///
/// # Panics
/// As [`grad`] and [`jvp`] do.
#[track_caller]
pub fn hvp<A, M, F>(f: F, x: &M, x_dot: &M) -> M
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    M::With<Dual<A>>: Tree<Dual<A>, With<Dual<A>> = M::With<Dual<A>>>,
    F: FnOnce(&<M::With<Dual<A>> as Tree<Dual<A>>>::With<Var<Dual<A>>>) -> Tensor<Var<Dual<A>>>,
{
    let tag = Tag::fresh();
    let gradient = grad(f, &moving("hvp", x, x_dot, tag));
    let leaves = gradient.leaves().into_iter();
    let mut products = leaves.map(|slope| slope.0.parts(tag).1); // (AD.8)
    x.map(&mut |_| {
        products
            .next()
            .expect("the gradient has the structure of x")
    })
}

/// The point `x` moving with velocity `x_dot`.
#[track_caller]
fn moving<A, M>(name: &str, x: &M, x_dot: &M, tag: Tag) -> M::With<Dual<A>>
where
    A: Algebra,
    M: Tree<A>,
{
    let tangents = x_dot.leaves();
    let (have, want) = (tangents.len(), x.leaves().len());
    assert!(
        have == want,
        "{name}: the tangent has {have} leaves, the point {want}"
    );
    let mut tangents = tangents.into_iter();
    x.map(&mut |leaf| {
        let tangent = tangents.next().expect("as many as leaves");
        let (have, want) = (tangent.shape(), leaf.shape());
        assert!(
            have == want,
            "{name}: a tangent has shape {have}, its leaf {want}"
        );
        Dual::new(leaf.clone(), tangent, tag)
    })
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

/// The cotangent of `y`, which must have its shape.
#[track_caller]
pub(crate) fn seed<A: Algebra>(name: &str, y: &Tensor<A>, y_bar: &Tensor<A>) -> Tensor<A> {
    let (have, want) = (y_bar.shape(), y.shape());
    assert!(
        have == want,
        "{name}: the cotangent has shape {have}, the value {want}"
    );
    y_bar.clone()
}

#[track_caller]
fn reverse<A, M, F>(f: F, x: &M, seed: impl FnOnce(&Tensor<A>) -> Tensor<A>) -> Swept<A>
where
    A: Algebra,
    M: Tree<A>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let Recording {
        value,
        tape,
        output,
        leaves,
    } = Recording::of(f, x);
    let seed = seed(&value);
    let bars = match output {
        Some(output) => tape.sweep(output, seed, leaves),
        None => vec![None; leaves],
    };
    (value, bars)
}

/// A function at a point, recorded.
#[derive(Debug)]
pub(crate) struct Recording<A: Algebra> {
    pub(crate) value: Tensor<A>,
    pub(crate) tape: Rc<Tape<A>>,
    /// The place of the value; `None` if it depends on no leaf.
    pub(crate) output: Option<usize>,
    pub(crate) leaves: usize,
}

impl<A: Algebra> Recording<A> {
    #[track_caller]
    pub(crate) fn of<M, F>(f: F, x: &M) -> Self
    where
        M: Tree<A>,
        F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
    {
        let tape = Rc::new(Tape::new());
        let mut leaves = 0;
        let variables = x.map(&mut |leaf| {
            leaves += 1;
            Var::leaf(&tape, leaf.clone())
        });
        let (value, output) = f(&variables).0.parts(&tape);
        tape.close();
        Recording {
            value,
            tape,
            output,
            leaves,
        }
    }
}

/// The cotangents in the structure of the argument; all must be there.
#[track_caller]
pub(crate) fn complete<A, M>(x: &M, bars: Vec<Option<Tensor<A>>>, remedy: &str) -> M
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
{
    if let Some(missed) = bars.iter().position(Option::is_none) {
        let what = match x.names()[missed].as_str() {
            "" => "its argument".to_owned(),
            name => format!("parameter {name:?} (number {missed})"),
        };
        panic!("the result does not depend on {what}; if that is meant, use {remedy}");
    }
    rebuild(x, bars)
}

/// The cotangents in the structure of the argument, zero where not reached.
pub(crate) fn rebuild<A, M>(x: &M, bars: Vec<Option<Tensor<A>>>) -> M
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
{
    let mut bars = bars.into_iter();
    x.map(&mut |leaf| bars.next().flatten().unwrap_or_else(|| leaf.zeros_like()))
}
