//! **Forward mode**: a value and its tangent.
//!
//! ```math
//! y + \varepsilon\,\dot y = f(x + \varepsilon\,\dot x), \quad \varepsilon^2 = 0,
//! \qquad \dot y = f'(x)\,\dot x \tag{AD.6}
//! ```
//!
//! Two forward derivatives taken at the same time at the same level must not
//! be mixed (*perturbation confusion*: `d/dx [x · d/dy (x + y)]` would come out
//! as 2 in place of 1). Types do not rule this out, so each derivative has a
//! tag, and meeting a foreign tag panics with a clear text.

use crate::algebra::{Algebra, Compare, Transpose};
use crate::differentiated::{self, Differentiated};
use crate::fault;
use crate::finite;
use crate::linear::Linear;
use crate::map::Derivative;
use crate::pointwise::{Binary, Unary};
use crate::primitive::Primitive;
use crate::shape::Shape;
use crate::tensor::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value of `A` together with a tangent; no tangent means zero.
#[derive(Clone, Debug)]
pub struct Dual<A: Algebra> {
    primal: Tensor<A>,
    tangent: Option<Tangent<A>>,
}

#[derive(Clone, Debug)]
struct Tangent<A: Algebra> {
    value: Tensor<A>,
    tag: Tag,
}

/// Which forward derivative a tangent belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(u64);

impl Tag {
    /// A tag that no other derivative has.
    pub(crate) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fault::forward_begins();
        Tag(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl<A: Algebra> Dual<A> {
    /// The value `primal` moving with velocity `tangent`.
    pub(crate) fn new(primal: Tensor<A>, tangent: Tensor<A>, tag: Tag) -> Tensor<Self> {
        let tangent = Some(Tangent {
            value: tangent,
            tag,
        });
        Tensor(Dual { primal, tangent })
    }

    /// A value of an outer derivative, held constant by this one: see
    /// [`Var::held`](crate::Var::held).
    #[must_use]
    pub fn held(primal: &Tensor<A>) -> Tensor<Self> {
        let primal = primal.clone();
        Tensor(Dual {
            primal,
            tangent: None,
        })
    }

    /// The tangent of a result of the derivative `tag`; zero when the result
    /// does not depend on the input.
    pub(crate) fn parts(self, tag: Tag) -> (Tensor<A>, Tensor<A>) {
        let tangent = match self.tangent {
            Some(t) => {
                assert_same_derivative(t.tag, tag);
                t.value
            }
            None => self.primal.zeros_like(),
        };
        (self.primal, tangent)
    }
}

impl<A: Algebra> Differentiated<A> for Dual<A> {
    fn value(&self) -> &Tensor<A> {
        &self.primal
    }

    /// The sum of the tangents pushed through the derivative by each input that
    /// has one.
    #[track_caller]
    fn after(primal: Tensor<A>, inputs: &[(&Self, Derivative<'_, A>)]) -> Self {
        let mut tangent: Option<Tangent<A>> = None;
        for (input, derivative) in inputs {
            let Some(moving) = &input.tangent else {
                continue;
            };
            if let Some(t) = &tangent {
                assert_same_derivative(t.tag, moving.tag);
            }
            let Some(map) = derivative() else { continue };
            let pushed = map.push(moving.value.clone()); // (AD.6)
            let pushed = finite::checked("a pushforward", fault::pushed(pushed));
            tangent = Some(Tangent {
                tag: moving.tag,
                value: match tangent {
                    Some(sum) => sum.value + pushed,
                    None => pushed,
                },
            });
        }
        Dual { primal, tangent }
    }
}

#[track_caller]
fn assert_same_derivative(a: Tag, b: Tag) {
    assert!(
        a == b,
        "two different forward derivatives meet in one operation: take the inner \
         derivative over the outer one's algebra and let the outer variable in with \
         Dual::held, or stop it with .stop()"
    );
}

impl<A: Algebra> Algebra for Dual<A> {
    type Scalar = A::Scalar;
    type Base = A::Base;

    fn shape(&self) -> Shape {
        self.primal.shape()
    }
    fn stop(&self) -> A::Base {
        self.primal.0.stop()
    }
    fn constant(base: A::Base) -> Self {
        Dual {
            primal: Tensor(A::constant(base)),
            tangent: None,
        }
    }
    fn lift(&self, shape: &Shape, numbers: &[f64]) -> A::Base {
        self.primal.0.lift(shape, numbers)
    }
    fn full_like(&self, shape: &Shape, c: f64) -> A::Base {
        self.primal.0.full_like(shape, c)
    }
    fn all_finite(&self) -> bool {
        let moving = self.tangent.as_ref();
        self.primal.0.all_finite() && moving.is_none_or(|t| t.value.0.all_finite())
    }

    #[track_caller]
    fn unary(op: Unary, x: Self) -> Self {
        differentiated::unary(op, &x)
    }
    #[track_caller]
    fn binary(op: Binary, a: Self, b: Self) -> Self {
        differentiated::binary(op, &a, &b)
    }
    #[track_caller]
    fn linear(op: &Linear, x: Self) -> Self {
        differentiated::linear(op, &x)
    }
    #[track_caller]
    fn matmul(a: &Self, ta: Transpose, b: &Self, tb: Transpose) -> Self {
        differentiated::matmul(a, ta, b, tb)
    }
    #[track_caller]
    fn concat(parts: &[Self], axis: usize) -> Self {
        differentiated::concat(parts, axis)
    }
    fn compare(op: Compare, a: &Self, b: &Self) -> A::Base {
        A::compare(op, &a.primal.0, &b.primal.0)
    }
    #[track_caller]
    fn max_axis(x: &Self, axis: usize) -> Self {
        differentiated::max_axis(x, axis)
    }
    #[track_caller]
    fn select(mask: &A::Base, a: Self, b: Self) -> Self {
        differentiated::select(mask, &a, &b)
    }
    #[track_caller]
    fn primitive<P: Primitive>(op: &P, inputs: &[Tensor<Self>]) -> Self {
        differentiated::primitive(op, inputs)
    }
    #[track_caller]
    fn dense_parts(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> (Self, Self) {
        differentiated::dense_parts(x, w, b, f)
    }
}
