//! What every way to take a derivative refuses, and in which words: mixed
//! derivatives, parameters that are not reached, shapes that do not fit.

use crate::panic_text;
use autograd::check::Program;
use autograd::{
    Algebra, Cpu, Dual, Pullback, Tensor, Var, checkpoint, divergence, divergence_reverse, grad,
    hessian, hutchinson, hvp, jacobian_forward, jacobian_reverse, jvp, laplacian, value_and_grad,
    value_and_grad_partial, vjp, vjp_partial,
};

type Plain = Tensor<Cpu<f64>>;
type Reverse = Tensor<Var<Cpu<f64>>>;
type Forward = Tensor<Dual<Cpu<f64>>>;

fn scalar(x: f64) -> Plain {
    Plain::scalar(x)
}

fn point() -> Plain {
    Plain::new(&[1, 1], vec![2.0])
}

/// `x·y`, for two inputs.
#[derive(Clone)]
struct Product;
impl Program for Product {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        &x[0] * &x[1]
    }
}

/// Runs `inner` with a variable of a reverse derivative of the same level.
fn inside_reverse(inner: impl FnOnce(&Reverse)) -> String {
    panic_text(|| {
        let _ = grad(
            |x: &Reverse| {
                inner(x);
                x.sum()
            },
            &point(),
        );
    })
}

/// Runs `inner` with a variable of a forward derivative of the same level.
fn inside_forward(inner: impl FnOnce(&Forward)) -> String {
    panic_text(|| {
        let _ = jvp(
            |x: &Forward| {
                inner(x);
                x.clone()
            },
            &point(),
            &point(),
        );
    })
}

/// Two derivatives of one level that meet, in an operation or in the result,
/// in every function that takes a derivative by reverse mode.
#[test]
fn mixed_reverse_derivatives_are_refused_everywhere() {
    let at = point();
    let one = point().ones_like();
    type Case<'a> = (&'a str, Box<dyn FnOnce(&Reverse) + 'a>);
    let cases: Vec<Case<'_>> = vec![
        (
            "grad",
            Box::new(|x| drop(grad(|y: &Reverse| (x * y).sum(), &at))),
        ),
        (
            "grad, returned",
            Box::new(|x| drop(grad(|_: &Reverse| x.sum(), &at))),
        ),
        (
            "value_and_grad",
            Box::new(|x| drop(value_and_grad(|y: &Reverse| (y + x).sum(), &at))),
        ),
        (
            "value_and_grad_partial",
            Box::new(|x| drop(value_and_grad_partial(|_: &Reverse| x.sum(), &at))),
        ),
        (
            "vjp",
            Box::new(|x| drop(vjp(|y: &Reverse| y.matmul(x), &at, &one))),
        ),
        (
            "vjp_partial",
            Box::new(|x| drop(vjp_partial(|_: &Reverse| x.clone(), &at, &one))),
        ),
        (
            "Pullback",
            Box::new(|x| drop(Pullback::of(|y: &Reverse| y.maximum(x), &at))),
        ),
        (
            "jacobian_reverse",
            Box::new(|x| {
                drop(jacobian_reverse(
                    |y: &Reverse| Tensor::concat(&[x, y], 0),
                    &at,
                ));
            }),
        ),
        (
            "divergence_reverse",
            Box::new(|x| drop(divergence_reverse(|y: &Reverse| x / y, &at))),
        ),
        (
            "checkpoint",
            Box::new(|x| {
                let both = |y: &Reverse| checkpoint(&Product, &[x.clone(), y.clone()]).sum();
                drop(grad(both, &at));
            }),
        ),
        (
            "dense",
            Box::new(|x| {
                let layer = |y: &Reverse| y.dense(x, &y.reshape(&[1]), None).sum();
                drop(grad(layer, &at));
            }),
        ),
    ];
    for (name, case) in cases {
        let text = inside_reverse(case);
        assert_eq!(
            text,
            "variables of two different derivatives meet in one operation: take the inner \
             derivative over the outer one's algebra and let the outer variable in with \
             Var::held, or stop it with .stop()",
            "{name}"
        );
    }
}

/// The same for forward mode.
#[test]
fn mixed_forward_derivatives_are_refused_everywhere() {
    let at = point();
    type Case<'a> = (&'a str, Box<dyn FnOnce(&Forward) + 'a>);
    let cases: Vec<Case<'_>> = vec![
        (
            "jvp",
            Box::new(|x| drop(jvp(|y: &Forward| x * y, &at, &at))),
        ),
        (
            "jvp, returned",
            Box::new(|x| drop(jvp(|_: &Forward| x.clone(), &at, &at))),
        ),
        (
            "jacobian_forward",
            Box::new(|x| drop(jacobian_forward(|y: &Forward| x - y, &at))),
        ),
        (
            "divergence",
            Box::new(|x| drop(divergence(|y: &Forward| y.matmul(x), &at))),
        ),
        (
            "hutchinson",
            Box::new(|x| drop(hutchinson(|y: &Forward| x * y, &at, &at))),
        ),
        (
            "checkpoint",
            Box::new(|x| {
                let both = |y: &Forward| checkpoint(&Product, &[x.clone(), y.clone()]);
                drop(jvp(both, &at, &at));
            }),
        ),
    ];
    for (name, case) in cases {
        let text = inside_forward(case);
        assert_eq!(
            text,
            "two different forward derivatives meet in one operation: take the inner \
             derivative over the outer one's algebra and let the outer variable in with \
             Dual::held, or stop it with .stop()",
            "{name}"
        );
    }
}

/// The nested ones: a variable of the outer Hessian meets an inner one.
#[test]
fn mixed_second_derivatives_are_refused() {
    type Mixed = Tensor<Var<Dual<Cpu<f64>>>>;
    let at = point();
    let text = panic_text(|| {
        let _ = hvp(
            |x: &Mixed| {
                let _ = hvp(|y: &Mixed| (x * y).sum(), &at, &at);
                x.sum()
            },
            &at,
            &at,
        );
    });
    assert!(text.contains("two different"), "{text}");
    let text = panic_text(|| {
        let _ = hessian(
            |x: &Mixed| {
                let _ = hessian(|y: &Mixed| (x * y).sum(), &at);
                x.sum()
            },
            &at,
        );
    });
    assert!(text.contains("two different"), "{text}");
    type Twice = Tensor<Dual<Dual<Cpu<f64>>>>;
    let text = panic_text(|| {
        let _ = laplacian(
            |x: &Twice| {
                let _ = laplacian(|y: &Twice| (x * y).sum_axis(1), &at);
                x.sum_axis(1)
            },
            &at,
        );
    });
    assert!(text.contains("two different forward derivatives"), "{text}");
}

/// What is refused can be said: the outer variable enters held, and keeps its
/// own derivative. `d/dx [x · d/dy (x²y)] = d/dx x³ = 3x²`.
#[test]
fn an_outer_variable_enters_an_inner_derivative_held() {
    let at = scalar(2.0);
    let one = scalar(1.0);
    let rr = grad(|x| x * grad(|y| Var::held(x).square() * y, x), &at);
    let fr = jvp(|x| x * grad(|y| Var::held(x).square() * y, x), &at, &one).1;
    let rf = grad(
        |x| x * jvp(|y| Dual::held(x).square() * y, x, &x.ones_like()).1,
        &at,
    );
    let ff = jvp(
        |x| x * jvp(|y| Dual::held(x).square() * y, x, &x.ones_like()).1,
        &at,
        &one,
    )
    .1;
    for slope in [rr, fr, rf, ff] {
        assert_eq!(slope.item(), 12.0);
    }
    // Stopped, it is a number like any other: d/dx [x · 4] = 4.
    let stopped = grad(
        |x| x * grad(|y| Tensor::constant(&x.stop().square()) * y, x),
        &at,
    );
    assert_eq!(stopped.item(), 4.0);
}

/// `stop` forgets the derivatives of every level, and nothing else.
#[test]
fn stop_forgets_every_level() {
    let at = scalar(3.0);
    // d/dx [stop(x)·x] = stop(x), and its derivative is 0.
    let once = |x: &Reverse| Tensor::constant(&x.stop()) * x;
    assert_eq!(grad(once, &at).item(), 3.0);
    let (value, slope) = jvp(|x| Tensor::constant(&x.stop()) * x, &at, &scalar(1.0));
    assert_eq!((value.item(), slope.item()), (9.0, 3.0));
    let second = jvp(
        |x| grad(|x| Tensor::constant(&x.stop()) * x, x),
        &at,
        &scalar(1.0),
    );
    assert_eq!((second.0.item(), second.1.item()), (3.0, 0.0));
}

/// A parameter that the result does not depend on: refused by all functions
/// that give a cotangent for each, in the words that name it and the remedy;
/// zeros from those that say so.
#[test]
fn parameters_that_are_not_reached_are_refused_everywhere() {
    type Pair = (Reverse, Reverse);
    let pair = (scalar(1.0), scalar(2.0));
    let first = |m: &Pair| m.0.square();
    let one = scalar(1.0);
    type Case<'a> = (&'a str, Box<dyn FnOnce() + 'a>);
    let cases: Vec<Case<'_>> = vec![
        (
            "value_and_grad_partial",
            Box::new(|| drop(grad(first, &pair))),
        ),
        (
            "value_and_grad_partial",
            Box::new(|| drop(value_and_grad(first, &pair))),
        ),
        ("vjp_partial", Box::new(|| drop(vjp(first, &pair, &one)))),
        (
            "pull_partial",
            Box::new(|| drop(Pullback::of(first, &pair).pull(&one))),
        ),
        (
            "value_and_grad_partial",
            Box::new(|| drop(hvp(|m: &(_, Tensor<_>)| m.0.square(), &pair, &pair))),
        ),
        // A checkpoint does not hide it.
        (
            "value_and_grad_partial",
            Box::new(|| {
                let hidden = |m: &Pair| checkpoint(&First, &[m.0.clone(), m.1.clone()]);
                drop(grad(hidden, &pair));
            }),
        ),
    ];
    for (remedy, case) in cases {
        assert_eq!(
            panic_text(case),
            format!(
                "the result does not depend on parameter \"1\" (number 1); \
                 if that is meant, use {remedy}"
            )
        );
    }
    let text = panic_text(|| drop(grad(|_: &Reverse| Tensor::constant(&one), &one)));
    assert_eq!(
        text,
        "the result does not depend on its argument; \
         if that is meant, use value_and_grad_partial"
    );
    for (_, g) in [
        value_and_grad_partial(first, &pair),
        vjp_partial(first, &pair, &one),
        (one.clone(), Pullback::of(first, &pair).pull_partial(&one)),
    ] {
        assert_eq!((g.0.item(), g.1.item()), (2.0, 0.0));
    }
    // A step has no slope anywhere: zero, and to be allowed.
    let flat = vjp_partial(|x: &Reverse| x.sign(), &one, &one).1;
    assert_eq!(flat.item(), 0.0);
}

/// Uses the first of its inputs only.
#[derive(Clone)]
struct First;
impl Program for First {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        x[0].square()
    }
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let x = Plain::full(&[2, 3], 1.0);
    let wrong = Plain::full(&[3, 2], 1.0);
    let single = |f: &dyn Fn()| panic_text(f);
    let cases: Vec<(String, &str)> = vec![
        (
            single(&|| drop(grad(|x: &Reverse| x.exp(), &x))),
            "grad: a single element was expected, the function returned shape [2, 3]",
        ),
        (
            single(&|| drop(vjp(|x: &Reverse| x.exp(), &x, &wrong))),
            "vjp: the cotangent has shape [3, 2], the value [2, 3]",
        ),
        (
            single(&|| drop(vjp_partial(|x: &Reverse| x.exp(), &x, &wrong))),
            "vjp_partial: the cotangent has shape [3, 2], the value [2, 3]",
        ),
        (
            single(&|| drop(Pullback::of(|x: &Reverse| x.exp(), &x).pull(&wrong))),
            "pull: the cotangent has shape [3, 2], the value [2, 3]",
        ),
        (
            single(&|| drop(jvp(|x: &Forward| x.exp(), &x, &wrong))),
            "jvp: a tangent has shape [3, 2], its leaf [2, 3]",
        ),
        (
            single(&|| {
                let (two, three) = (vec![x.clone(); 2], vec![x.clone(); 3]);
                drop(jvp(|x: &Vec<Forward>| x[0].exp(), &two, &three));
            }),
            "jvp: the tangent has 3 leaves, the point 2",
        ),
        (
            single(&|| drop(hvp(|x: &Tensor<Var<Dual<_>>>| x.sum(), &x, &wrong))),
            "hvp: a tangent has shape [3, 2], its leaf [2, 3]",
        ),
        (
            single(&|| drop(divergence(|x: &Forward| x.sum_axis(1), &x))),
            "divergence: the field has shape [2], its points [2, 3]",
        ),
        (
            single(&|| drop(divergence_reverse(|x: &Reverse| x.sum_axis(1), &x))),
            "divergence_reverse: the field has shape [2], its points [2, 3]",
        ),
        (
            single(&|| drop(divergence_reverse(|x: &Reverse| x.exp(), &scalar(1.0)))),
            "divergence_reverse: points of shape [B, D] with D > 0 were expected, the shape is []",
        ),
        (
            single(&|| drop(hutchinson(|x: &Forward| x.exp(), &x, &wrong))),
            "jvp: a tangent has shape [3, 2], its leaf [2, 3]",
        ),
        (
            single(&|| drop(laplacian(|x| x.sum_axis_keep(1), &x))),
            "laplacian: one number for each of 2 points was expected, the function returned shape [2, 1]",
        ),
        (
            single(&|| drop(vec![autograd::Probe::Gaussian.variance(&x)])),
            "variance: a square matrix was expected, the shape is [2, 3]",
        ),
        // Another rank, an axis that is not there, and another extent, each alone.
        (
            single(&|| drop(Plain::concat(&[&x, &Plain::full(&[2], 1.0)], 0))),
            "concat: [2, 3] and [2] differ beyond axis 0",
        ),
        (
            single(&|| drop(Plain::concat(&[&x, &x], 2))),
            "concat: [2, 3] and [2, 3] differ beyond axis 2",
        ),
        (
            single(&|| drop(Plain::concat(&[&x, &wrong], 0))),
            "concat: [2, 3] and [3, 2] differ beyond axis 0",
        ),
        (
            single(&|| drop(x.fold(1, 1, 1, 3))),
            "fold: axis 2 of an array of shape [2, 3] with 2 axes",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}
