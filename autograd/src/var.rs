//! **Reverse mode**: a value and its place on a [tape](crate::tape).
//!
//! Constants carry no tape, so what does not depend on a variable records
//! nothing. Mixing variables of two derivatives at the same level would be
//! perturbation confusion; it is refused by comparing tapes.

use crate::algebra::{Algebra, Compare, Transpose};
use crate::check::Program;
use crate::checkpoint;
use crate::differentiated::{self, Differentiated};
use crate::linear::Linear;
use crate::map::{Derivative, Map};
use crate::pointwise::{Binary, Unary};
use crate::primitive::Primitive;
use crate::shape::Shape;
use crate::tape::{Joint, Tape};
use crate::tensor::Tensor;
use std::fmt;
use std::rc::Rc;

/// A value of `A` that remembers how it was computed.
#[derive(Clone)]
pub struct Var<A: Algebra> {
    value: Tensor<A>,
    place: Option<Place<A>>,
}

#[derive(Clone)]
struct Place<A: Algebra> {
    tape: Rc<Tape<A>>,
    node: usize,
}

impl<A: Algebra> fmt::Debug for Var<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.place.as_ref().map(|p| p.node);
        f.debug_struct("Var")
            .field("value", &self.value)
            .field("node", &node)
            .finish()
    }
}

impl<A: Algebra> Var<A> {
    /// A value of an outer derivative, held constant by this one. This is how
    /// the variable of an outer derivative enters an inner one without losing
    /// its own derivative:
    ///
    /// ```
    /// use autograd::{Cpu, Tensor, Var, grad};
    /// // d/dx [x · d/dy (x·y)] = d/dx x² = 2x
    /// let x = Tensor::<Cpu<f64>>::scalar(3.0);
    /// let slope = grad(|x| x * grad(|y| Var::held(x) * y, x), &x);
    /// assert_eq!(slope.item(), 6.0);
    /// ```
    #[must_use]
    pub fn held(value: &Tensor<A>) -> Tensor<Self> {
        let value = value.clone();
        Tensor(Var { value, place: None })
    }

    /// A value with one derivative by all its variable inputs. `joint` gets
    /// the place of each input, `None` for a constant.
    #[track_caller]
    pub(crate) fn joined<J: Joint<A> + 'static>(
        value: Tensor<A>,
        inputs: &[Tensor<Self>],
        joint: impl FnOnce(Vec<Option<usize>>) -> J,
    ) -> Self {
        let mut tape: Option<&Rc<Tape<A>>> = None;
        for place in inputs.iter().filter_map(|x| x.0.place.as_ref()) {
            assert_same_tape(tape.unwrap_or(&place.tape), &place.tape);
            tape = Some(&place.tape);
        }
        let place = |x: &Tensor<Self>| x.0.place.as_ref().map(|p| p.node);
        // Not a closure: a closure would hide the user's line from the tape.
        let place = match tape {
            Some(tape) => Some(Place {
                node: tape.push_joint(Rc::new(joint(inputs.iter().map(place).collect()))),
                tape: Rc::clone(tape),
            }),
            None => None,
        };
        Var { value, place }
    }

    /// A new independent variable on a tape.
    #[track_caller]
    pub(crate) fn leaf(tape: &Rc<Tape<A>>, value: Tensor<A>) -> Tensor<Self> {
        let node = tape.push([]);
        let tape = Rc::clone(tape);
        Tensor(Var {
            value,
            place: Some(Place { tape, node }),
        })
    }

    /// The value, and the place on `tape` if it depends on a variable there.
    #[track_caller]
    pub(crate) fn parts(self, tape: &Rc<Tape<A>>) -> (Tensor<A>, Option<usize>) {
        if let Some(place) = &self.place {
            assert_same_tape(&place.tape, tape);
        }
        (self.value, self.place.map(|p| p.node))
    }
}

impl<A: Algebra> Differentiated<A> for Var<A> {
    fn value(&self) -> &Tensor<A> {
        &self.value
    }

    /// If an input is variable, its derivative is recorded.
    #[track_caller]
    fn after(value: Tensor<A>, inputs: &[(&Self, Derivative<'_, A>)]) -> Self {
        let mut tape: Option<&Rc<Tape<A>>> = None;
        let mut edges: [Option<(usize, Map<A>)>; 3] = [None, None, None];
        let mut more = Vec::new();
        for (i, (input, derivative)) in inputs.iter().enumerate() {
            let Some(place) = &input.place else { continue };
            if let Some(tape) = tape {
                assert_same_tape(tape, &place.tape);
            }
            tape = Some(&place.tape);
            let edge = derivative().map(|map| (place.node, map));
            match edges.get_mut(i) {
                Some(slot) => *slot = edge,
                None => more.extend(edge),
            }
        }
        // Not a closure: a closure would hide the user's line from the tape.
        let place = match tape {
            Some(tape) => Some(Place {
                node: tape.push(edges.into_iter().flatten().chain(more)),
                tape: Rc::clone(tape),
            }),
            None => None,
        };
        Var { value, place }
    }
}

#[track_caller]
fn assert_same_tape<A: Algebra>(a: &Rc<Tape<A>>, b: &Rc<Tape<A>>) {
    assert!(
        Rc::ptr_eq(a, b),
        "variables of two different derivatives meet in one operation: take the inner \
         derivative over the outer one's algebra and let the outer variable in with \
         Var::held, or stop it with .stop()"
    );
}

impl<A: Algebra> Algebra for Var<A> {
    type Scalar = A::Scalar;
    type Base = A::Base;

    fn shape(&self) -> Shape {
        self.value.shape()
    }
    fn stop(&self) -> A::Base {
        self.value.0.stop()
    }
    fn constant(base: A::Base) -> Self {
        Var {
            value: Tensor(A::constant(base)),
            place: None,
        }
    }
    fn lift(&self, shape: &Shape, numbers: &[f64]) -> A::Base {
        self.value.0.lift(shape, numbers)
    }
    fn full_like(&self, shape: &Shape, c: f64) -> A::Base {
        self.value.0.full_like(shape, c)
    }
    fn all_finite(&self) -> bool {
        self.value.0.all_finite()
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
        A::compare(op, &a.value.0, &b.value.0)
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
    fn checkpoint<P: Program + Clone + 'static>(program: &P, inputs: &[Tensor<Self>]) -> Self {
        checkpoint::recorded(program, inputs)
    }
    #[track_caller]
    fn dense_parts(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> (Self, Self) {
        differentiated::dense_parts(x, w, b, f)
    }
}
