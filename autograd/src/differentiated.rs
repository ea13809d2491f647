//! **Differentiated values**: what forward and reverse mode have in common.
//!
//! For each operation both need the same list, its inputs paired with the
//! linear maps that are its derivative there. What they do with it differs:
//! [`Dual`](crate::Dual) pushes tangents through the maps at once,
//! [`Var`](crate::Var) records the maps. So the lists are written here, once
//! for each class of operation, and the two modes are one function each:
//! [`Differentiated::after`].

use crate::algebra::{Algebra, Transpose};
use crate::linear::Linear;
use crate::map::{self, Derivative, Map, Side};
use crate::pointwise::{Binary, Unary};
use crate::primitive::{self, Primitive};
use crate::tensor::Tensor;

/// A value of the algebra `A` that carries a derivative.
pub(crate) trait Differentiated<A: Algebra>: Algebra<Base = A::Base> {
    /// The value alone.
    fn value(&self) -> &Tensor<A>;

    /// The result of an operation: its value, and what becomes of the
    /// derivatives of its inputs. A map is made only if it is wanted.
    fn after(value: Tensor<A>, inputs: &[(&Self, Derivative<'_, A>)]) -> Self;
}

#[track_caller]
pub(crate) fn unary<A: Algebra, D: Differentiated<A>>(op: Unary, x: &D) -> D {
    let y = Tensor(A::unary(op, x.value().0.clone()));
    D::after(y.clone(), &[(x, &|| map::of_unary(op, x.value(), &y))])
}

#[track_caller]
pub(crate) fn binary<A: Algebra, D: Differentiated<A>>(op: Binary, a: &D, b: &D) -> D {
    let (p, q) = (a.value(), b.value());
    let y = Tensor(A::binary(op, p.0.clone(), q.0.clone()));
    let by = |side| map::of_binary(op, side, p, q, &y);
    let (left, right) = (|| Some(by(Side::Left)), || Some(by(Side::Right)));
    D::after(y.clone(), &[(a, &left), (b, &right)])
}

#[track_caller]
pub(crate) fn linear<A: Algebra, D: Differentiated<A>>(op: &Linear, x: &D) -> D {
    let y = x.value().clone().linear(op);
    D::after(y, &[(x, &|| Some(Map::Linear(op.clone())))])
}

#[track_caller]
pub(crate) fn matmul<A, D>(a: &D, ta: Transpose, b: &D, tb: Transpose) -> D
where
    A: Algebra,
    D: Differentiated<A>,
{
    let y = a.value().matmul_with(ta, b.value(), tb);
    let left = || Some(map::of_matmul(Side::Left, b.value(), ta, tb));
    let right = || Some(map::of_matmul(Side::Right, a.value(), ta, tb));
    D::after(y, &[(a, &left), (b, &right)])
}

/// Arrays one behind the other: the sum of each, padded to its place.
#[track_caller]
pub(crate) fn concat<A: Algebra, D: Differentiated<A>>(parts: &[D], axis: usize) -> D {
    let values: Vec<A> = parts.iter().map(|p| p.value().0.clone()).collect();
    let y = Tensor(A::concat(&values, axis));
    let of = y.size(axis);
    let mut next = 0;
    let pads = parts.iter().map(|part| {
        let (start, len) = (next, part.shape()[axis]);
        next += len;
        Linear::Pad {
            axis,
            start,
            len,
            of,
        }
    });
    let maps: Vec<_> = pads
        .map(|pad| move || Some(Map::Linear(pad.clone())))
        .collect();
    let inputs: Vec<_> = parts.iter().zip(&maps).map(pair).collect();
    D::after(y, &inputs)
}

#[track_caller]
pub(crate) fn max_axis<A: Algebra, D: Differentiated<A>>(x: &D, axis: usize) -> D {
    let y = x.value().max_axis_keep(axis);
    D::after(
        y.clone(),
        &[(x, &|| Some(map::of_max(x.value(), &y, axis)))],
    )
}

#[track_caller]
pub(crate) fn select<A: Algebra, D: Differentiated<A>>(mask: &A::Base, a: &D, b: &D) -> D {
    let y = A::select(mask, a.value().0.clone(), b.value().0.clone());
    let by = |side| {
        let mask = Tensor(mask.clone());
        Some(Map::Select { mask, side })
    };
    let (left, right) = (|| by(Side::Left), || by(Side::Right));
    D::after(Tensor(y), &[(a, &left), (b, &right)])
}

#[track_caller]
pub(crate) fn primitive<A, D, P>(op: &P, inputs: &[Tensor<D>]) -> D
where
    A: Algebra,
    D: Differentiated<A>,
    P: Primitive,
{
    let values: Vec<Tensor<A>> = inputs.iter().map(|x| x.0.value().clone()).collect();
    let output = Tensor(A::primitive(op, &values));
    let map = |input| primitive::map_of(op, &values, &output, input);
    let maps: Vec<_> = (0..inputs.len())
        .map(|input| move || Some(map(input)))
        .collect();
    let values = inputs.iter().map(|x| &x.0);
    let pairs: Vec<_> = values.zip(&maps).map(pair).collect();
    D::after(output.clone(), &pairs)
}

/// The dense layer is computed in one fused pass of the inner algebra and
/// differentiated as the two operations it is: product with bias, and
/// function.
#[track_caller]
pub(crate) fn dense_parts<A, D>(x: &D, w: &D, b: &D, f: Option<Unary>) -> (D, D)
where
    A: Algebra,
    D: Differentiated<A>,
{
    use Transpose::No;
    let (z, h) = A::dense_parts(&x.value().0, &w.value().0, &b.value().0, f);
    let (z, h) = (Tensor(z), Tensor(h));
    let rows = Linear::Broadcast {
        from: b.shape(),
        to: z.shape(),
    };
    let by_x = || Some(map::of_matmul(Side::Left, w.value(), No, No));
    let by_w = || Some(map::of_matmul(Side::Right, x.value(), No, No));
    let by_b = || Some(Map::Linear(rows.clone()));
    let z = D::after(z, &[(w, &by_w), (b, &by_b), (x, &by_x)]);
    let h = match f {
        Some(op) => {
            let slope = || map::of_unary(op, z.value(), &h);
            D::after(h.clone(), &[(&z, &slope)])
        }
        None => z.clone(),
    };
    (z, h)
}

/// An input with the way to make its derivative.
fn pair<'a, A, D, F>((input, map): (&'a D, &'a F)) -> (&'a D, Derivative<'a, A>)
where
    A: Algebra,
    F: Fn() -> Option<Map<A>>,
{
    (input, map)
}
