//! **Second derivatives**: every way to take them, against each other and
//! against differences of the gradient.

use super::points::{dot, flat, moved, nan_max, relative};
use super::{Plain, Program, richardson};
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::derivative::{jvp, value_and_grad_partial};
use crate::dual::Dual;
use crate::tensor::Tensor;
use crate::var::Var;

/// `φ(x) = ⟨w, f(x)⟩ + ½‖f(x)‖²`: the square makes the second derivative see
/// first derivatives too, also where `f` is linear.
fn potential<P: Program, A: Algebra>(program: &P, x: &[Tensor<A>], w: &Plain) -> Tensor<A> {
    let y = program.run(x);
    let w = y.lift(&w.shape(), w.as_slice());
    (&w * &y + 0.5 * y.square()).sum()
}

fn gradient<P: Program, A: Algebra>(program: &P, x: &Vec<Tensor<A>>, w: &Plain) -> Vec<Tensor<A>> {
    value_and_grad_partial(|x: &Vec<Tensor<Var<A>>>| potential(program, x, w), x).1
}

/// `Hu` by forward over reverse.
pub(super) fn hessian_times<P: Program, A: Algebra>(
    program: &P,
    at: &[Tensor<A>],
    u: &[Tensor<A>],
    w: &Plain,
) -> Vec<Tensor<A>> {
    (0..at.len())
        .map(|i| {
            jvp(
                |x: &Vec<Tensor<Dual<A>>>| gradient(program, x, w)[i].clone(),
                &at.to_vec(),
                &u.to_vec(),
            )
            .1
        })
        .collect()
}

/// `Hu` by reverse over forward: the gradient of `⟨∇φ, u⟩`, a forward
/// derivative.
fn reverse_over_forward<P: Program>(
    program: &P,
    at: &Vec<Plain>,
    u: &[Plain],
    w: &Plain,
) -> Vec<Plain> {
    let along = |x: &Vec<Tensor<Var<Cpu<f64>>>>| {
        let u = u.iter().map(Tensor::constant).collect();
        let inner = |x: &Vec<Tensor<Dual<Var<Cpu<f64>>>>>| potential(program, x, w);
        jvp(inner, x, &u).1
    };
    value_and_grad_partial(along, at).1
}

/// `Hu` by reverse over reverse: the gradient of `⟨∇φ, u⟩`, a gradient.
fn reverse_over_reverse<P: Program>(
    program: &P,
    at: &Vec<Plain>,
    u: &[Plain],
    w: &Plain,
) -> Vec<Plain> {
    let along = |x: &Vec<Tensor<Var<Cpu<f64>>>>| {
        let g = gradient(program, x, w);
        let terms = g.iter().zip(u);
        let along = terms.map(|(g, u)| (g * Tensor::constant(u)).sum());
        along.reduce(|a, b| a + b).expect("at least one input")
    };
    value_and_grad_partial(along, at).1
}

/// `vᵀHu` by forward over forward.
fn forward_over_forward<P: Program>(
    program: &P,
    at: &Vec<Plain>,
    u: &[Plain],
    v: &Vec<Plain>,
    w: &Plain,
) -> f64 {
    let along = |x: &Vec<Tensor<Dual<Cpu<f64>>>>| {
        let u = u.iter().map(Tensor::constant).collect();
        let inner = |x: &Vec<Tensor<Dual<Dual<Cpu<f64>>>>>| potential(program, x, w);
        jvp(inner, x, &u).1
    };
    jvp(along, at, v).1.item()
}

/// `Hu` against extrapolated differences of the gradient along `u`.
pub(super) fn hvp_error<P: Program>(program: &P, at: &[Plain], u: &[Plain], w: &Plain) -> f64 {
    let exact = hessian_times(program, at, u, w);
    let measured = richardson::derivative(|h| flat(&gradient(program, &moved(at, u, h), w)));
    relative(&flat(&exact), &measured)
}

/// `vᵀHu − uᵀHv`, and the largest disagreement of the four ways.
pub(super) fn hessian_residual<P: Program>(
    program: &P,
    at: &Vec<Plain>,
    u: &[Plain],
    v: &Vec<Plain>,
    w: &Plain,
) -> f64 {
    let hu = hessian_times(program, at, u, w);
    let hv = hessian_times(program, at, v, w);
    let (vhu, a) = dot(v, &hu);
    let (uhv, b) = dot(u, &hv);
    let size = a.max(b).max(1.0);
    let twice_forward = forward_over_forward(program, at, u, v, w);
    let hu = flat(&hu);
    [
        (vhu - uhv).abs() / size,
        (twice_forward - vhu).abs() / size,
        relative(&flat(&reverse_over_reverse(program, at, u, w)), &hu),
        relative(&flat(&reverse_over_forward(program, at, u, w)), &hu),
    ]
    .into_iter()
    .fold(0.0, nan_max)
}
