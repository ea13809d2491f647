//! **Primitive**: the open door, for an operation of the user's own.
//!
//! An operation is its value on plain numbers and, for each input, the linear
//! map that is its derivative. The two directions of the map are written with
//! [`Tensor`] operations, so all modes and all orders follow, and
//! [`check`](crate::check) tests it like any other.
//!
//! ```
//! use autograd::{Algebra, Cpu, Primitive, Real, Tensor, grad};
//!
//! /// `y = x³`, with derivative `v ↦ 3x²·v`.
//! #[derive(Clone, Debug)]
//! struct Cube;
//! impl Primitive for Cube {
//!     fn name(&self) -> &'static str { "cube" }
//!     fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
//!         Tensor::from_array(x[0].to_array().mapv(|v| v * v * v))
//!     }
//!     fn push<A: Algebra>(&self, x: &[Tensor<A>], _y: &Tensor<A>, _input: usize, v: Tensor<A>) -> Tensor<A> {
//!         3.0 * x[0].square() * v
//!     }
//!     fn pull<A: Algebra>(&self, x: &[Tensor<A>], y: &Tensor<A>, input: usize, w: Tensor<A>) -> Tensor<A> {
//!         self.push(x, y, input, w) // a diagonal map is its own transpose
//!     }
//! }
//! let x = Tensor::<Cpu<f64>>::new(&[2], vec![1.0, 2.0]);
//! let slope = grad(|x| Tensor::primitive(&Cube, &[x.clone()]).sum(), &x);
//! assert_eq!(slope.to_vec(), [3.0, 12.0]);
//! ```

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::map::{LinearMap, Map};
use crate::real::Real;
use crate::tensor::Tensor;
use std::fmt::Debug;
use std::rc::Rc;

/// An operation with its derivative.
pub trait Primitive: Clone + Debug + 'static {
    /// The name, for messages.
    fn name(&self) -> &'static str;
    /// The value, on plain numbers.
    fn value<F: Real>(&self, inputs: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>>;
    /// The derivative by `inputs[input]` applied to a tangent `v`.
    fn push<A: Algebra>(
        &self,
        inputs: &[Tensor<A>],
        output: &Tensor<A>,
        input: usize,
        v: Tensor<A>,
    ) -> Tensor<A>;
    /// The transpose of the same map applied to a cotangent `w`.
    fn pull<A: Algebra>(
        &self,
        inputs: &[Tensor<A>],
        output: &Tensor<A>,
        input: usize,
        w: Tensor<A>,
    ) -> Tensor<A>;
}

/// The derivative of a primitive by one input, at the point it was applied.
#[derive(Debug)]
struct PrimitiveMap<P, A: Algebra> {
    op: P,
    inputs: Vec<Tensor<A>>,
    output: Tensor<A>,
    input: usize,
}

impl<P: Primitive, A: Algebra> LinearMap<A> for PrimitiveMap<P, A> {
    fn push(&self, v: Tensor<A>) -> Tensor<A> {
        self.op.push(&self.inputs, &self.output, self.input, v)
    }
    fn pull(&self, w: Tensor<A>) -> Tensor<A> {
        self.op.pull(&self.inputs, &self.output, self.input, w)
    }
}

/// The derivative of `output = op(inputs)` by `inputs[input]`.
pub(crate) fn map_of<P: Primitive, A: Algebra>(
    op: &P,
    inputs: &[Tensor<A>],
    output: &Tensor<A>,
    input: usize,
) -> Map<A> {
    Map::Custom(Rc::new(PrimitiveMap {
        op: op.clone(),
        inputs: inputs.to_vec(),
        output: output.clone(),
        input,
    }))
}
