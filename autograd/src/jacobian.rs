//! **Jacobian**: the whole matrix, by columns, by rows, or the cheaper way.
//!
//! ```math
//! J_{ij} = \frac{\partial y_i}{\partial x_j}, \qquad
//! J = \bigl[\,J e_1 \;\cdots\; J e_n\,\bigr]
//!   = \bigl[\,J^{\mathsf T} e_1 \;\cdots\; J^{\mathsf T} e_m\,\bigr]^{\mathsf T} \tag{AD.20}
//! ```
//!
//! Forward mode evaluates the function with a tangent for each of the `n`
//! numbers of the argument; reverse mode records it once and sweeps the
//! recording for each of the `m` numbers of the result. Arrays count in
//! row-major order. For a structure of arrays the result is the same
//! structure with a matrix `[m, nᵢ]` in the place of each leaf of `nᵢ`
//! numbers; a leaf that is not reached has a matrix of zeros.

use crate::algebra::Algebra;
use crate::check::Program;
use crate::dual::{Dual, Tag};
use crate::pullback::Pullback;
use crate::tensor::Tensor;
use crate::tree::Tree;
use crate::var::Var;

/// The Jacobian by `n` forward derivatives, a column each.
///
/// ```
/// use autograd::{Cpu, Tensor, jacobian_forward};
/// let x = Tensor::<Cpu<f64>>::new(&[2], vec![3.0, 5.0]);
/// let j = jacobian_forward(|x| x.square().cumsum(0), &x);
/// assert_eq!(j.to_vec(), [6.0, 0.0, 6.0, 10.0]);
/// ```
#[track_caller]
pub fn jacobian_forward<A, M, F>(f: F, x: &M) -> M
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: Fn(&M::With<Dual<A>>) -> Tensor<Dual<A>>,
{
    let mut leaf_number = 0;
    x.map(&mut |leaf| {
        let columns: Vec<Tensor<A>> = (0..leaf.shape().count())
            .map(|place| {
                let tag = Tag::fresh();
                let mut number = 0;
                let y = f(&x.map(&mut |other| {
                    number += 1;
                    if number == leaf_number + 1 {
                        Dual::new(other.clone(), unit(other, place), tag)
                    } else {
                        Dual::held(other)
                    }
                }));
                let column = y.0.parts(tag).1; // (AD.20)
                column.reshape(&[column.shape().count(), 1])
            })
            .collect();
        leaf_number += 1;
        if columns.is_empty() {
            let rows = f(&x.map(&mut Dual::held)).shape().count();
            return leaf.full_like(&[rows, 0], 0.0);
        }
        Tensor::concat(&columns.iter().collect::<Vec<_>>(), 1)
    })
}

/// The Jacobian by one recording and `m` sweeps, a row each.
///
/// ```
/// use autograd::{Cpu, Tensor, jacobian_reverse};
/// let x = Tensor::<Cpu<f64>>::new(&[2], vec![3.0, 5.0]);
/// let j = jacobian_reverse(|x| x.square().cumsum(0), &x);
/// assert_eq!(j.to_vec(), [6.0, 0.0, 6.0, 10.0]);
/// ```
#[track_caller]
pub fn jacobian_reverse<A, M, F>(f: F, x: &M) -> M
where
    A: Algebra,
    M: Tree<A, With<A> = M>,
    F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
{
    let pullback = Pullback::of(f, x);
    let y = pullback.value();
    let mut rows: Vec<Vec<Tensor<A>>> = Vec::new();
    for place in 0..y.shape().count() {
        let bars = pullback.pull_partial(&unit(y, place)).leaves(); // (AD.20)
        let flat = |bar: &Tensor<A>| bar.reshape(&[1, bar.shape().count()]);
        rows.push(bars.iter().map(flat).collect());
    }
    let mut number = 0;
    x.map(&mut |leaf| {
        let block: Vec<&Tensor<A>> = rows.iter().map(|row| &row[number]).collect();
        number += 1;
        if block.is_empty() {
            return leaf.full_like(&[0, leaf.shape().count()], 0.0);
        }
        Tensor::concat(&block, 0)
    })
}

/// The Jacobian of a program by each of its inputs, `[m, nᵢ]`: forward where
/// `2n ≤ m`, reverse where not, `n` being all numbers of the inputs together
/// and `m` those of the result.
///
/// Counted in evaluations of the program: a column by forward mode takes one
/// and a tangent beside it, 2; a row by reverse mode one sweep, 1, after one
/// recording. So `2n` stands against `m + 1`. (On a network of 16 to 24 inputs
/// and 64 points, a column took 1.8 times a row.) The program is run once more
/// to learn `m`.
#[track_caller]
pub fn jacobian<A, P>(program: &P, inputs: &[Tensor<A>]) -> Vec<Tensor<A>>
where
    A: Algebra,
    P: Program,
{
    let inputs = inputs.to_vec();
    let n: usize = inputs.iter().map(|x| x.shape().count()).sum();
    let m = program.run(&inputs).shape().count();
    if 2 * n <= m {
        jacobian_forward(|x: &Vec<_>| program.run(x), &inputs)
    } else {
        jacobian_reverse(|x: &Vec<_>| program.run(x), &inputs)
    }
}

/// 1 at one place, 0 elsewhere, in the shape of `x`.
fn unit<A: Algebra>(x: &Tensor<A>, place: usize) -> Tensor<A> {
    let shape = x.shape();
    let mut numbers = vec![0.0; shape.count()];
    numbers[place] = 1.0;
    x.lift(&shape, &numbers)
}
