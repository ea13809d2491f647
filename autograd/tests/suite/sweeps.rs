//! What a sweep computes with. The pulls of a first derivative are computed
//! with plain arrays, which have no tape: it records nothing, and its types say
//! so. Only the sweep of an inner derivative is itself recorded.

use autograd::{Algebra, Cpu, Primitive, Real, Tensor, Var, grad};
use std::any::type_name;
use std::cell::RefCell;

thread_local! {
    static SEEN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// The square, which notes the algebra in which it is pulled back.
#[derive(Clone, Debug)]
struct Square;
impl Primitive for Square {
    fn name(&self) -> &'static str {
        "square"
    }
    fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        x[0].square()
    }
    fn push<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        _: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        2.0 * &x[0] * v
    }
    fn pull<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        _: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        SEEN.with_borrow_mut(|seen| seen.push(type_name::<A>()));
        2.0 * &x[0] * w
    }
}

fn squared<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    Tensor::primitive(&Square, std::slice::from_ref(x))
}

#[test]
fn a_first_order_sweep_records_nothing() {
    let x = Tensor::<Cpu<f64>>::scalar(3.0);
    assert_eq!(grad(squared, &x).item(), 6.0);
    assert_eq!(SEEN.take(), [type_name::<Cpu<f64>>()]);
    // The inner sweep of two is recorded by the outer tape, and its operation
    // is pulled back again, with plain arrays.
    let second = grad(|x| grad(|x| squared(x) * x, x), &x);
    assert_eq!(second.item(), 18.0);
    let seen = SEEN.take();
    assert_eq!(seen[0], type_name::<Var<Cpu<f64>>>());
    assert!(seen.len() > 1, "{seen:?}");
    assert!(
        seen[1..]
            .iter()
            .all(|name| *name == type_name::<Cpu<f64>>())
    );
}
