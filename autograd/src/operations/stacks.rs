//! **Stacks** of matrices: arrays whose last two axes are a matrix, and whose
//! axes before that are broadcast.

use crate::algebra::Algebra;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Both arrays with their stacks stretched to the common one; the last two
/// axes stay.
#[track_caller]
pub(super) fn broadcast<A: Algebra>(
    name: &str,
    a: &Tensor<A>,
    b: &Tensor<A>,
) -> (Tensor<A>, Tensor<A>) {
    let (s, t) = (a.shape(), b.shape());
    let (i, j) = (s.rank() - 2, t.rank() - 2);
    let (m, n) = (Shape::new(&s[..i]), Shape::new(&t[..j]));
    match m.broadcast(&n) {
        Some(stack) => (
            a.broadcast_to(&[&stack, &s[i..]].concat()),
            b.broadcast_to(&[&stack, &t[j..]].concat()),
        ),
        None => panic!("{name}: stacks {m} and {n} of {s} and {t} do not broadcast together"),
    }
}

/// The extent of the square matrices in the last two axes.
#[track_caller]
pub(super) fn square(name: &str, shape: &Shape) -> usize {
    match shape[..] {
        [.., m, n] if m == n => n,
        _ => panic!("{name}: square matrices, […, n, n], were expected, the shape is {shape}"),
    }
}
