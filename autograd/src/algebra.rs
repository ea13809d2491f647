//! **Algebra**: what an interpretation of a program must give.
//!
//! One text of a model, written with [`Tensor<A>`](crate::Tensor), means plain
//! numbers, a forward derivative or a recording for reverse mode, according to
//! the algebra `A` it is read with:
//!
//! | algebra | an element is | used for |
//! |---|---|---|
//! | [`Cpu<F>`](crate::Cpu) | an array | values |
//! | [`Dual<A>`](crate::Dual) | value and tangent | forward mode |
//! | [`Var<A>`](crate::Var) | value and place on a tape | reverse mode |
//! | nestings, such as `Dual<Var<A>>` | | higher derivatives |
//!
//! The trait is deliberately narrow. Operations are *data* ([`Unary`],
//! [`Binary`], [`Linear`]), so an interpretation has one method for each class
//! of operation and not one for each operation. Arguments come by value where
//! a buffer nobody else holds can be used again for the result.

use crate::check::Program;
use crate::linear::Linear;
use crate::pointwise::{Binary, Unary};
use crate::primitive::Primitive;
use crate::real::Real;
use crate::shape::Shape;
use crate::tensor::Tensor;
use std::fmt::Debug;

/// Whether a matrix is read as it stands or transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transpose {
    /// As it stands.
    No,
    /// Rows and columns exchanged.
    Yes,
}

impl Transpose {
    /// The other one.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Transpose::No => Transpose::Yes,
            Transpose::Yes => Transpose::No,
        }
    }
}

/// A comparison of two arrays, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `a < b`.
    Less,
    /// `a ≤ b`.
    LessEqual,
    /// `a = b`.
    Equal,
}

/// An interpretation of array programs. Users name it only as a bound:
/// `fn loss<A: Algebra>(…)`.
///
/// Shapes are checked by [`Tensor`] before any of these methods is called:
/// `binary` and `select` see equal shapes, `matmul` matrices that fit.
pub trait Algebra: Clone + Debug + Sized + 'static {
    /// The number type underneath.
    type Scalar: Real;
    /// The plain arrays underneath: masks and stopped values.
    type Base: Algebra<Scalar = Self::Scalar, Base = Self::Base>;

    /// The extents.
    fn shape(&self) -> Shape;
    /// The value without its derivatives.
    fn stop(&self) -> Self::Base;
    /// A value whose derivatives are zero.
    fn constant(base: Self::Base) -> Self;
    /// A plain array of these numbers where this one lives.
    fn lift(&self, shape: &Shape, numbers: &[f64]) -> Self::Base;
    /// A plain array filled with one number where this one lives.
    fn full_like(&self, shape: &Shape, c: f64) -> Self::Base;
    /// Whether no element is NaN or infinite, derivatives included.
    fn all_finite(&self) -> bool;

    /// A function of one number, for each element.
    fn unary(op: Unary, x: Self) -> Self;
    /// A function of two numbers, for each pair of elements.
    fn binary(op: Binary, a: Self, b: Self) -> Self;
    /// A linear rearrangement.
    fn linear(op: &Linear, x: Self) -> Self;
    /// The products of two stacks of matrices in the last two axes, each
    /// possibly transposed; the axes before are equal.
    fn matmul(a: &Self, ta: Transpose, b: &Self, tb: Transpose) -> Self;
    /// Arrays put one behind the other along an axis.
    fn concat(parts: &[Self], axis: usize) -> Self;
    /// 1 where the comparison holds, else 0. No derivative.
    fn compare(op: Compare, a: &Self, b: &Self) -> Self::Base;
    /// The largest along an axis, which keeps extent 1; −∞ for an empty one;
    /// NaN wins. Ties share the slope.
    fn max_axis(x: &Self, axis: usize) -> Self;
    /// `a` where the mask is not 0, else `b`.
    fn select(mask: &Self::Base, a: Self, b: Self) -> Self;
    /// An operation of the user's own.
    fn primitive<P: Primitive>(op: &P, inputs: &[Tensor<Self>]) -> Self;

    /// A part of a program, of which reverse mode keeps the inputs only and
    /// runs it again when it comes by: see [`checkpoint`](crate::checkpoint()).
    /// Where nothing is recorded, it just runs.
    fn checkpoint<P: Program + Clone + 'static>(program: &P, inputs: &[Tensor<Self>]) -> Self {
        program.run(inputs).0
    }

    /// `v ∘ f'(x)` with `y = f(x)`: one step of the chain rule. The default
    /// is the composition; an interpretation may do it in one pass.
    fn chain(op: Unary, v: Self, x: &Self, y: &Self) -> Self {
        crate::map::chain_composed(op, Tensor(v), Tensor(x.clone()), Tensor(y.clone())).0
    }

    /// A dense layer, with the pre-activation kept:
    /// `z = x·w + b`, `h = f(z)`. The default is the composition.
    fn dense_parts(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> (Self, Self) {
        crate::map::dense_composed(x, w, b, f)
    }

    /// A dense layer, `f(x·w + b)`.
    fn dense(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> Self {
        Self::dense_parts(x, w, b, f).1
    }
}
