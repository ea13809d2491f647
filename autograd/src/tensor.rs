//! **Tensor**: the array type programs are written with.
//!
//! A `Tensor<A>` is an element of the algebra `A` with operators, methods,
//! broadcasting and shape checks. It is the only type a model names; what it
//! computes besides values is decided by `A`.
//!
//! Wrong shapes are programmer's errors: operators panic at the caller's line
//! with both shapes. Cloning is cheap: buffers are shared and immutable.

use crate::algebra::Algebra;
use crate::shape::Shape;

/// An array of the algebra `A`.
///
/// ```
/// use autograd::{Cpu, Tensor};
/// let x = Tensor::<Cpu<f64>>::new(&[2, 1], vec![1.0, 2.0]);
/// let y = 1.0 - &x * &x.t(); // broadcasting as in numpy
/// assert_eq!(y.to_vec(), [0.0, -1.0, -1.0, -3.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Tensor<A: Algebra>(pub(crate) A);

/// Shape and constants.
impl<A: Algebra> Tensor<A> {
    /// The element of the algebra inside.
    #[must_use]
    pub fn inner(&self) -> &A {
        &self.0
    }

    /// The extents.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.0.shape()
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape().rank()
    }

    /// The extent of one axis.
    #[track_caller]
    #[must_use]
    pub fn size(&self, axis: usize) -> usize {
        self.check_axis("size", axis);
        self.shape()[axis]
    }

    /// The value without its derivatives (also called detach).
    #[must_use]
    pub fn stop(&self) -> Tensor<A::Base> {
        Tensor(self.0.stop())
    }

    /// A value whose derivatives are zero.
    #[must_use]
    pub fn constant(base: &Tensor<A::Base>) -> Self {
        Tensor(A::constant(base.0.clone()))
    }

    /// A constant made of these numbers, in the same algebra and place.
    ///
    /// # Panics
    /// If the numbers do not fill the shape.
    #[track_caller]
    #[must_use]
    pub fn lift(&self, shape: &[usize], numbers: &[f64]) -> Self {
        let shape = Shape::new(shape);
        assert!(
            shape.count() == numbers.len(),
            "lift: shape {shape} holds {} elements, {} given",
            shape.count(),
            numbers.len()
        );
        Tensor(A::constant(self.0.lift(&shape, numbers)))
    }

    /// A constant filled with `c`, in the same algebra and place.
    #[must_use]
    pub fn full_like(&self, shape: &[usize], c: f64) -> Self {
        Tensor(A::constant(self.0.full_like(&Shape::new(shape), c)))
    }

    /// Zeros of the same shape.
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        self.full_like(&self.shape(), 0.0)
    }

    /// Ones of the same shape.
    #[must_use]
    pub fn ones_like(&self) -> Self {
        self.full_like(&self.shape(), 1.0)
    }

    /// Whether no element is NaN or infinite, derivatives included.
    #[must_use]
    pub fn all_finite(&self) -> bool {
        self.0.all_finite()
    }

    #[track_caller]
    pub(crate) fn check_axis(&self, name: &str, axis: usize) {
        let shape = self.shape();
        assert!(
            axis < shape.rank(),
            "{name}: axis {axis} of an array of shape {shape} with {} axes",
            shape.rank()
        );
    }
}
