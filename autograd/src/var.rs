//! **Reverse mode**: a value and its place on a [tape](crate::tape).
//!
//! Constants carry no tape, so what does not depend on a variable records
//! nothing. Mixing variables of two derivatives at the same level would be
//! perturbation confusion; it is refused by comparing tapes.

use crate::algebra::{Algebra, Compare, Transpose};
use crate::linear::Linear;
use crate::map::{self, Derivative, Map, Side};
use crate::pointwise::{Binary, Unary};
use crate::primitive::{self, Primitive};
use crate::shape::Shape;
use crate::tape::Tape;
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

/// The inputs of an operation, each with the way to make its derivative.
type Inputs<'a, A> = &'a [(&'a Var<A>, Derivative<'a, A>)];

impl<A: Algebra> Var<A> {
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

    /// The result of an operation. If an input is variable, its derivative is
    /// recorded.
    #[track_caller]
    fn after(value: Tensor<A>, inputs: Inputs<'_, A>) -> Self {
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
        "variables of two different derivatives meet in one operation: \
         lift the outer variable with Tensor::constant before using it inside the inner derivative"
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
        let y = Tensor(A::unary(op, x.value.0.clone()));
        Self::after(y.clone(), &[(&x, &|| map::of_unary(op, &x.value, &y))])
    }
    #[track_caller]
    fn binary(op: Binary, a: Self, b: Self) -> Self {
        let y = Tensor(A::binary(op, a.value.0.clone(), b.value.0.clone()));
        let left = || Some(map::of_binary(op, Side::Left, &a.value, &b.value, &y));
        let right = || Some(map::of_binary(op, Side::Right, &a.value, &b.value, &y));
        Self::after(y.clone(), &[(&a, &left), (&b, &right)])
    }
    #[track_caller]
    fn linear(op: &Linear, x: Self) -> Self {
        let y = x.value.clone().linear(op);
        Self::after(y, &[(&x, &|| Some(Map::Linear(op.clone())))])
    }
    #[track_caller]
    fn matmul(a: &Self, ta: Transpose, b: &Self, tb: Transpose) -> Self {
        let y = a.value.matmul_with(ta, &b.value, tb);
        let left = || Some(map::of_matmul(Side::Left, &b.value, ta, tb));
        let right = || Some(map::of_matmul(Side::Right, &a.value, ta, tb));
        Self::after(y, &[(a, &left), (b, &right)])
    }
    #[track_caller]
    fn concat(parts: &[Self], axis: usize) -> Self {
        let values: Vec<A> = parts.iter().map(|p| p.value.0.clone()).collect();
        let y = Tensor(A::concat(&values, axis));
        let of = y.size(axis);
        let mut start = 0;
        let maps: Vec<_> = parts
            .iter()
            .map(|p| {
                let len = p.shape()[axis];
                let begin = start;
                start += len;
                #[rustfmt::skip]
                let pad = move || Some(Map::Linear(Linear::Pad { axis, start: begin, len, of }));
                pad
            })
            .collect();
        let inputs: Vec<(&Self, Derivative<'_, A>)> = parts
            .iter()
            .zip(&maps)
            .map(|(p, map)| (p, map as Derivative<'_, A>))
            .collect();
        Self::after(y, &inputs)
    }
    fn compare(op: Compare, a: &Self, b: &Self) -> A::Base {
        A::compare(op, &a.value.0, &b.value.0)
    }
    fn max_axis(&self, axis: usize) -> A::Base {
        self.value.0.max_axis(axis)
    }
    #[track_caller]
    fn select(mask: &A::Base, a: Self, b: Self) -> Self {
        let y = Tensor(A::select(mask, a.value.0.clone(), b.value.0.clone()));
        let side = |side| {
            Some(Map::Select {
                mask: Tensor(mask.clone()),
                side,
            })
        };
        Self::after(
            y,
            &[(&a, &|| side(Side::Left)), (&b, &|| side(Side::Right))],
        )
    }
    #[track_caller]
    fn primitive<P: Primitive>(op: &P, inputs: &[Tensor<Self>]) -> Self {
        let values: Vec<Tensor<A>> = inputs.iter().map(|x| x.0.value.clone()).collect();
        let output = Tensor(A::primitive(op, &values));
        let maps: Vec<_> = (0..inputs.len())
            .map(|input| {
                let (values, output) = (&values, &output);
                move || Some(primitive::map_of(op, values, output, input))
            })
            .collect();
        let inputs: Vec<(&Self, Derivative<'_, A>)> = inputs
            .iter()
            .zip(&maps)
            .map(|(x, map)| (&x.0, map as Derivative<'_, A>))
            .collect();
        Self::after(output.clone(), &inputs)
    }

    /// The dense layer is computed in one fused pass of the inner algebra and
    /// recorded as the two operations it is: product with bias, and function.
    #[track_caller]
    fn dense_parts(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> (Self, Self) {
        use Transpose::No;
        let (z, h) = A::dense_parts(&x.value.0, &w.value.0, &b.value.0, f);
        let (z, h) = (Tensor(z), Tensor(h));
        let rows = Linear::Broadcast {
            from: b.shape(),
            to: z.shape(),
        };
        let by_x = || Some(map::of_matmul(Side::Left, &w.value, No, No));
        let by_w = || Some(map::of_matmul(Side::Right, &x.value, No, No));
        let by_b = || Some(Map::Linear(rows.clone()));
        let z = Self::after(z, &[(w, &by_w), (b, &by_b), (x, &by_x)]);
        let h = match f {
            Some(op) => {
                let slope = || map::of_unary(op, &z.value, &h);
                Self::after(h.clone(), &[(&z, &slope)])
            }
            None => z.clone(),
        };
        (z, h)
    }
}
