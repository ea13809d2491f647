//! **Plain arrays on the CPU**: the reference interpretation.
//!
//! [`Cpu<F>`] is an `ndarray` array behind an `Arc`, always in standard
//! layout. An operation whose argument nobody else holds writes its result
//! into the argument's buffer.

pub(crate) mod dense;
pub(crate) mod dispatch;
pub(crate) mod gemm;
pub(crate) mod kernels;
mod permute;
pub(crate) mod polynomial;
mod rearrange;
#[cfg(target_arch = "x86_64")]
mod tile;

use crate::algebra::{Algebra, Compare, Transpose};
use crate::index::Index;
use crate::linear::Linear;
use crate::pointwise::{Binary, Unary};
use crate::primitive::Primitive;
use crate::real::Real;
use crate::shape::Shape;
use crate::tensor::Tensor;
use dense::Layer;
use ndarray::{ArcArray, ArrayD, IxDyn};

/// An array of `f32` or `f64` in main memory.
#[derive(Clone, Debug)]
pub struct Cpu<F: Real>(ArcArray<F, IxDyn>);

impl<F: Real> Cpu<F> {
    /// An array from its elements in standard (row-major) order.
    fn from_vec(shape: &Shape, elements: Vec<F>) -> Self {
        debug_assert_eq!(shape.count(), elements.len(), "elements fill the shape");
        let array = ArcArray::from_shape_vec(IxDyn(shape), elements);
        Cpu(array.expect("the elements fill the shape"))
    }

    /// The elements in standard order.
    #[must_use]
    pub fn as_slice(&self) -> &[F] {
        self.elements()
    }

    fn elements(&self) -> &[F] {
        let slice = self.0.as_slice();
        slice.expect("a Cpu array is always in standard layout")
    }

    /// The result of changing every element: in place when nobody else holds
    /// the buffer, else in a new one.
    fn update(mut self, in_place: impl FnOnce(&mut [F]), new: impl FnOnce(&[F]) -> Vec<F>) -> Self {
        if self.0.is_unique() {
            let slice = self.0.as_slice_mut();
            in_place(slice.expect("a Cpu array is always in standard layout"));
            self
        } else {
            Self::from_vec(&self.shape(), new(self.elements()))
        }
    }
}

/// Plain tensors: numbers in and out.
impl<F: Real> Tensor<Cpu<F>> {
    /// An array from its elements in row-major order.
    ///
    /// # Panics
    /// If the elements do not fill the shape.
    #[track_caller]
    #[must_use]
    pub fn new(shape: &[usize], elements: Vec<F>) -> Self {
        let shape = Shape::new(shape);
        assert!(
            shape.count() == elements.len(),
            "new: shape {shape} holds {} elements, {} given",
            shape.count(),
            elements.len()
        );
        Tensor(Cpu::from_vec(&shape, elements))
    }

    /// A single number, rank 0.
    #[must_use]
    pub fn scalar(x: F) -> Self {
        Self::new(&[], vec![x])
    }

    /// An array filled with one number.
    #[must_use]
    pub fn full(shape: &[usize], x: F) -> Self {
        let shape = Shape::new(shape);
        Tensor(Cpu::from_vec(&shape, vec![x; shape.count()]))
    }

    /// An `ndarray` array, copied into standard layout if it is not.
    #[must_use]
    pub fn from_array<D: ndarray::Dimension>(array: ndarray::Array<F, D>) -> Self {
        let array = array.into_dyn();
        let shape = Shape::new(array.shape());
        Self::new(&shape, array.iter().copied().collect())
    }

    /// The same numbers as an `ndarray` array.
    #[must_use]
    pub fn to_array(&self) -> ArrayD<F> {
        self.0.0.to_owned()
    }

    /// The elements in row-major order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<F> {
        self.as_slice().to_vec()
    }

    /// The elements in row-major order.
    #[must_use]
    pub fn as_slice(&self) -> &[F] {
        self.0.elements()
    }

    /// The elements for writing; the buffer is copied first if it is shared.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [F] {
        let slice = self.0.0.as_slice_mut();
        slice.expect("a Cpu array is always in standard layout")
    }

    /// The one element.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    #[must_use]
    pub fn item(&self) -> F {
        match self.as_slice() {
            [x] => *x,
            other => panic!(
                "item: one element was expected, shape {} has {}",
                self.shape(),
                other.len()
            ),
        }
    }
}

/// Positions of elements.
impl<F: Real> Tensor<Cpu<F>> {
    /// The place of the largest element along each line of an axis, in
    /// row-major order of the other axes; the first of equals, NaN wins.
    ///
    /// # Panics
    /// If the axis is empty.
    #[track_caller]
    #[must_use]
    pub fn argmax(&self, axis: usize) -> Index {
        self.check_axis("argmax", axis);
        let shape = self.shape();
        let (outer, n, inner) = shape.around(axis);
        assert!(n > 0, "argmax: axis {axis} of {shape} is empty");
        let x = self.as_slice();
        let lines = (0..outer).flat_map(|o| (0..inner).map(move |i| o * n * inner + i));
        let place = |line: usize| {
            let value = |k: usize| x[line + k * inner];
            (1..n).fold(0, |best, k| {
                let greater = value(k) > value(best) || value(k).is_nan();
                if greater && !value(best).is_nan() {
                    k
                } else {
                    best
                }
            })
        };
        Index::new(lines.map(place).collect())
    }
}

impl<F: Real> Algebra for Cpu<F> {
    type Scalar = F;
    type Base = Self;

    fn shape(&self) -> Shape {
        Shape::new(self.0.shape())
    }
    fn stop(&self) -> Self {
        self.clone()
    }
    fn constant(base: Self) -> Self {
        base
    }
    fn lift(&self, shape: &Shape, numbers: &[f64]) -> Self {
        Self::from_vec(shape, numbers.iter().map(|&x| F::from_f64(x)).collect())
    }
    fn full_like(&self, shape: &Shape, c: f64) -> Self {
        Self::from_vec(shape, vec![F::from_f64(c); shape.count()])
    }
    fn all_finite(&self) -> bool {
        self.elements().iter().all(|x| x.is_finite())
    }

    fn unary(op: Unary, x: Self) -> Self {
        x.update(|x| F::unary_in_place(op, x), |x| F::unary(op, x))
    }

    fn binary(op: Binary, a: Self, b: Self) -> Self {
        if a.0.is_unique() {
            let right = b.elements();
            a.update(|a| F::binary_left(op, a, right), <[F]>::to_vec)
        } else {
            let left = a.elements();
            b.update(|b| F::binary_right(op, left, b), |b| F::binary(op, left, b))
        }
    }

    fn linear(op: &Linear, x: Self) -> Self {
        rearrange::apply(op, x)
    }

    fn matmul(a: &Self, ta: Transpose, b: &Self, tb: Transpose) -> Self {
        let (s, t) = (a.shape(), b.shape());
        let rank = s.rank();
        let (left, right) = (&s[rank - 2..], &t[rank - 2..]);
        let (m, k) = if ta == Transpose::No {
            (left[0], left[1])
        } else {
            (left[1], left[0])
        };
        let n = if tb == Transpose::No {
            right[1]
        } else {
            right[0]
        };
        let out = s.replaced(rank - 2..rank, &[m, n]);
        let mut c = vec![F::zero(); out.count()];
        // An empty product is zeros already.
        if m * k * n > 0 {
            let pairs = a
                .elements()
                .chunks_exact(m * k)
                .zip(b.elements().chunks_exact(k * n));
            for (c, (a, b)) in c.chunks_exact_mut(m * n).zip(pairs) {
                F::gemm([ta, tb], [m, n, k], a, b, c);
            }
        }
        Self::from_vec(&out, c)
    }

    fn concat(parts: &[Self], axis: usize) -> Self {
        rearrange::concat(parts, axis)
    }

    fn compare(op: Compare, a: &Self, b: &Self) -> Self {
        let holds = |(x, y): (&F, &F)| {
            let holds = match op {
                Compare::Less => x < y,
                Compare::LessEqual => x <= y,
                Compare::Equal => x == y,
            };
            if holds { F::one() } else { F::zero() }
        };
        let mask = a.elements().iter().zip(b.elements()).map(holds).collect();
        Self::from_vec(&a.shape(), mask)
    }

    fn max_axis(x: &Self, axis: usize) -> Self {
        rearrange::max_axis(x, axis)
    }

    fn select(mask: &Self, a: Self, b: Self) -> Self {
        let pairs = a.elements().iter().zip(b.elements());
        let choice = mask.elements().iter().zip(pairs);
        let chosen = choice.map(|(&m, (&x, &y))| if m == F::zero() { y } else { x });
        Self::from_vec(&a.shape(), chosen.collect())
    }

    #[track_caller]
    fn primitive<P: Primitive>(op: &P, inputs: &[Tensor<Self>]) -> Self {
        op.value(inputs).0
    }

    fn chain(op: Unary, v: Self, x: &Self, y: &Self) -> Self {
        let (x, y) = (x.elements(), y.elements());
        v.update(
            |v| F::chain_in_place(op, v, x, y),
            |v| F::chain(op, v, x, y),
        )
    }

    fn dense_parts(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> (Self, Self) {
        let (layer, shape) = layer_of(x, w, b);
        let mut h = vec![F::zero(); shape.count()];
        if f.is_none() {
            F::dense(layer, None, None, &mut h);
            let h = Self::from_vec(&shape, h);
            return (h.clone(), h);
        }
        let mut z = vec![F::zero(); shape.count()];
        F::dense(layer, f, Some(&mut z), &mut h);
        (Self::from_vec(&shape, z), Self::from_vec(&shape, h))
    }

    fn dense(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> Self {
        let (layer, shape) = layer_of(x, w, b);
        let mut h = vec![F::zero(); shape.count()];
        F::dense(layer, f, None, &mut h);
        Self::from_vec(&shape, h)
    }
}

/// The arguments of a dense layer as slices, and the shape of its result.
fn layer_of<'a, F: Real>(x: &'a Cpu<F>, w: &'a Cpu<F>, b: &'a Cpu<F>) -> (Layer<'a, F>, Shape) {
    let rows = x.shape()[0];
    let shape = Shape::new(&[rows, b.shape()[0]]);
    let (x, w, b) = (x.elements(), w.elements(), b.elements());
    (Layer { x, w, b, rows }, shape)
}
