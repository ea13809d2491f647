//! **First derivatives**: against differences, against each other, and inside
//! another derivative.

use super::points::{dot, flat, moved, nan_max, relative, units};
use super::{Plain, Program, richardson};
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::derivative::{jvp, value_and_grad_partial, vjp_partial};
use crate::dual::Dual;
use crate::tensor::Tensor;
use crate::var::Var;

/// Whether the value has the same bits read with plain arrays, duals and
/// variables.
pub(super) fn same_value<P: Program>(program: &P, at: &Vec<Plain>, y: &Plain) -> bool {
    let bits = |x: &Plain| -> Vec<u64> { x.as_slice().iter().map(|x| x.to_bits()).collect() };
    let (forward, _) = jvp(|x| program.run(x), at, at);
    let (reverse, _) = vjp_partial(|x| program.run(x), at, y);
    let shapes = y.shape() == forward.shape() && y.shape() == reverse.shape();
    shapes && bits(y) == bits(&forward) && bits(y) == bits(&reverse)
}

/// The Jacobian by differences, which use values only and no rule.
#[derive(Clone, Debug)]
pub(super) struct Jacobian {
    /// One for each coordinate of the inputs.
    columns: Vec<Vec<f64>>,
}

impl Jacobian {
    pub(super) fn measured<P: Program>(program: &P, at: &[Plain]) -> Self {
        let column =
            |e: Vec<Plain>| richardson::derivative(|h| program.run(&moved(at, &e, h)).to_vec());
        Jacobian {
            columns: units(at).map(column).collect(),
        }
    }

    /// The relative errors of the forward derivative, a column at a time.
    pub(super) fn forward_errors<P: Program>(
        &self,
        program: &P,
        at: &Vec<Plain>,
    ) -> impl Iterator<Item = f64> {
        let columns = units(at).zip(&self.columns);
        columns.map(|(e, measured)| {
            let pushed = jvp(|x| program.run(x), at, &e).1.to_vec();
            relative(&pushed, measured)
        })
    }

    /// The relative errors of the reverse derivative, a row at a time; `y` is
    /// the value.
    pub(super) fn reverse_errors<P: Program>(
        &self,
        program: &P,
        at: &Vec<Plain>,
        y: &Plain,
    ) -> impl Iterator<Item = f64> {
        let rows = units(std::slice::from_ref(y)).enumerate();
        rows.map(move |(row, e)| {
            let pulled = flat(&vjp_partial(|x| program.run(x), at, &e[0]).1);
            let measured: Vec<f64> = self.columns.iter().map(|c| c[row]).collect();
            relative(&pulled, &measured)
        })
    }

    /// The worst of [`forward_errors`](Self::forward_errors).
    pub(super) fn forward_error<P: Program>(&self, program: &P, at: &Vec<Plain>) -> f64 {
        self.forward_errors(program, at).fold(0.0, nan_max)
    }

    /// The worst of [`reverse_errors`](Self::reverse_errors).
    pub(super) fn reverse_error<P: Program>(&self, program: &P, at: &Vec<Plain>, y: &Plain) -> f64 {
        self.reverse_errors(program, at, y).fold(0.0, nan_max)
    }
}

/// `⟨w, Jv⟩ − ⟨Jᵀw, v⟩`, relative to the sums of magnitudes.
pub(super) fn dot_residual<P: Program>(
    program: &P,
    at: &Vec<Plain>,
    v: &Vec<Plain>,
    w: &Plain,
) -> f64 {
    let (_, pushed) = jvp(|x| program.run(x), at, v);
    let (_, pulled) = vjp_partial(|x| program.run(x), at, w);
    let (left, left_size) = dot(std::slice::from_ref(w), &[pushed]);
    let (right, right_size) = dot(&pulled, v);
    (left - right).abs() / left_size.max(right_size).max(1.0)
}

/// The gradient of `⟨w, f(x) + 2 f(x)⟩` is three times that of `⟨w, f(x)⟩`.
pub(super) fn fan_out_residual<P: Program>(program: &P, at: &Vec<Plain>, w: &Plain) -> f64 {
    let (_, once) = vjp_partial(|x| program.run(x), at, w);
    let (_, thrice) = vjp_partial(|x| program.run(x) + 2.0 * program.run(x), at, w);
    let expected: Vec<f64> = flat(&once).iter().map(|g| 3.0 * g).collect();
    relative(&flat(&thrice), &expected)
}

/// `d/dx ⟨w, f(x, x)⟩` is the sum of the derivatives by both slots; for all
/// pairs of slots with one shape.
pub(super) fn two_slots_residual<P: Program>(program: &P, at: &[Plain], w: &Plain) -> f64 {
    let mut worst = 0.0;
    for second in 1..at.len() {
        for first in 0..second {
            if at[first].shape() != at[second].shape() {
                continue;
            }
            let mut point = at.to_vec();
            point[second] = point[first].clone();
            let (_, apart) = vjp_partial(|x| program.run(x), &point, w);
            let (_, together) = vjp_partial(
                |x: &Vec<Tensor<Var<Cpu<f64>>>>| {
                    let mut x = x.clone();
                    x[second] = x[first].clone();
                    program.run(&x)
                },
                &point,
                w,
            );
            let sum = &apart[first] + &apart[second];
            let residual = relative(together[first].as_slice(), sum.as_slice());
            worst = nan_max(worst, residual);
        }
    }
    worst
}

/// `Jv` and `Jᵀw` computed in an algebra that may take derivatives itself.
fn derivatives<P: Program, A>(
    program: &P,
    x: &Vec<Tensor<A>>,
    v: &[Plain],
    w: &Plain,
) -> Vec<Tensor<A>>
where
    A: Algebra<Base = Cpu<f64>>,
{
    let v = v.iter().map(Tensor::constant).collect();
    let (_, pushed) = jvp(|x| program.run(x), x, &v);
    let (_, pulled) = vjp_partial(|x| program.run(x), x, &Tensor::constant(w));
    std::iter::once(pushed).chain(pulled).collect()
}

/// First derivatives inside a forward and inside a reverse derivative, against
/// those in no derivative.
pub(super) fn nesting_residual<P: Program>(
    program: &P,
    at: &Vec<Plain>,
    v: &Vec<Plain>,
    w: &Plain,
) -> f64 {
    let outside = flat(&derivatives(program, at, v, w));
    let mut forward = Vec::new();
    jvp(
        |x: &Vec<Tensor<Dual<Cpu<f64>>>>| {
            let inside = derivatives(program, x, v, w);
            forward = inside.iter().map(Tensor::stop).collect();
            inside[0].clone()
        },
        at,
        v,
    );
    let mut reverse = Vec::new();
    value_and_grad_partial(
        |x: &Vec<Tensor<Var<Cpu<f64>>>>| {
            let inside = derivatives(program, x, v, w);
            reverse = inside.iter().map(Tensor::stop).collect();
            inside[0].sum()
        },
        at,
    );
    nan_max(
        relative(&flat(&forward), &outside),
        relative(&flat(&reverse), &outside),
    )
}
