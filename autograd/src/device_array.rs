//! **Arrays on the GPU**: one more interpretation of the algebra.
//!
//! [`Cuda<f32>`] is a buffer in device memory. What is pointwise is a kernel
//! printed from the formula sheet, what rearranges is a view read or written,
//! what sums is two stages in a fixed order, what multiplies is cuBLAS. No
//! operation waits for the device or copies to the host; only
//! [`download`](Tensor::download) does, and `all_finite`, which must know.
//!
//! Row numbers are copied to the device once and known by their [`Index`] from
//! then on, so a recorded graph may gather.
//!
//! Products round their factors as the device is set to (`set_precision`).
//!
//! An operator cannot return an error, so one that the device gives is a
//! panic whose payload is the [`CudaError`].

use crate::algebra::{Algebra, Compare, Transpose};
use crate::cpu::Cpu;
use crate::expression::select_kernel;
use crate::index::Index;
use crate::linear::{End, Linear};
use crate::map;
use crate::pointwise::{Binary, SlopeKind, Unary};
use crate::primitive::Primitive;
use crate::shape::Shape;
use crate::tensor::Tensor;
use cuda::{
    Buffer, CudaError, Device, Element, Factor, Formula, LinearVersion, Places, ScatterVersion,
    SumVersion, View,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An array in the memory of a GPU.
#[derive(Clone, Debug)]
pub struct Cuda<F: Element> {
    buffer: Arc<Buffer<F>>,
    shape: Shape,
}

/// To the device and back.
impl Tensor<Cuda<f32>> {
    /// A copy on a device.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn upload(device: &Device, x: &Tensor<Cpu<f32>>) -> Result<Self, CudaError> {
        let buffer = device.upload(x.as_slice())?;
        Ok(Tensor(Cuda::of(&x.shape(), buffer)))
    }

    /// Numbers that are on a device already.
    ///
    /// # Panics
    /// If they do not fill the shape.
    #[track_caller]
    #[must_use]
    pub fn from_buffer(shape: &[usize], buffer: Buffer<f32>) -> Self {
        let shape = Shape::new(shape);
        assert!(
            shape.count() == buffer.len(),
            "from_buffer: shape {shape} holds {} elements, {} given",
            shape.count(),
            buffer.len()
        );
        Tensor(Cuda::of(&shape, buffer))
    }

    /// The numbers on the device, in row-major order.
    #[must_use]
    pub fn buffer(&self) -> &Buffer<f32> {
        &self.0.buffer
    }

    /// A copy on the host; waits for all work before it.
    ///
    /// # Errors
    /// If work before it has failed.
    pub fn download(&self) -> Result<Tensor<Cpu<f32>>, CudaError> {
        Ok(Tensor::new(&self.shape(), self.0.buffer.download()?))
    }
}

/// What the device has done, or a panic with its error.
#[track_caller]
fn done<T>(result: Result<T, CudaError>) -> T {
    result.unwrap_or_else(|error| std::panic::panic_any(error))
}

/// A printed kernel; each is printed once.
fn printed(name: &str, print: impl FnOnce() -> Formula) -> Arc<Formula> {
    static PRINTED: Mutex<Option<HashMap<String, Arc<Formula>>>> = Mutex::new(None);
    let mut printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
    let printed = printed.get_or_insert_default();
    if let Some(formula) = printed.get(name) {
        return formula.clone();
    }
    let formula = Arc::new(print());
    printed.insert(name.to_owned(), formula.clone());
    formula
}

impl Cuda<f32> {
    fn of(shape: &Shape, buffer: Buffer<f32>) -> Self {
        debug_assert_eq!(shape.count(), buffer.len(), "elements fill the shape");
        Cuda {
            buffer: Arc::new(buffer),
            shape: *shape,
        }
    }

    fn device(&self) -> &Device {
        self.buffer.device()
    }

    /// The one result of a pointwise kernel of arrays of one shape.
    #[track_caller]
    fn pointwise(formula: &Formula, inputs: &[&Self]) -> Self {
        let (first, n) = (inputs[0], inputs[0].shape.count());
        let buffers: Vec<&Buffer<f32>> = inputs.iter().map(|x| &*x.buffer).collect();
        let mut results = done(formula.apply(first.device(), &buffers, n));
        Cuda::of(&first.shape, results.remove(0))
    }

    /// The array seen as `[outer, n, inner]` around an axis.
    fn around(&self, axis: usize) -> [usize; 3] {
        let (outer, n, inner) = self.shape.around(axis);
        [outer, n, inner]
    }

    /// Zeros, with this array written to a view of them.
    #[track_caller]
    fn embedded(&self, shape: &Shape, view: &View) -> Self {
        let mut y = done(self.device().zeros(shape.count()));
        done(cuda::write_view(&mut y, &self.buffer, view));
        Cuda::of(shape, y)
    }

    /// Sums one axis after the other.
    #[track_caller]
    fn sum_to(&self, to: &Shape) -> Self {
        let rank = self.shape.rank();
        let target = to.aligned(rank);
        let mut x = self.clone();
        for (axis, &extent) in target[..rank].iter().enumerate() {
            if x.shape[axis] == extent {
                continue;
            }
            let axes @ [outer, n, inner] = x.around(axis);
            let sums = match (outer, inner) {
                (1, 1) => cuda::sum(&x.buffer, SumVersion::Shuffle),
                (1, _) => cuda::column_sums(&x.buffer, n, inner),
                _ => cuda::sum_axis(&x.buffer, axes),
            };
            x = Cuda::of(&x.shape.with(axis, 1), done(sums));
        }
        x
    }

    #[track_caller]
    fn gathered(&self, axis: usize, index: &Index, of: usize, out: &Shape) -> Self {
        let [outer, _, inner] = self.around(axis);
        let places = places(self.device(), index, of);
        Cuda::of(out, done(cuda::gather(&self.buffer, &places, outer, inner)))
    }

    #[track_caller]
    fn added_up(&self, [outer, inner]: [usize; 2], index: &Index, of: usize, out: &Shape) -> Self {
        let places = places(self.device(), index, of);
        let sums = cuda::scatter_add(&self.buffer, &places, outer, inner, ScatterVersion::Listed);
        Cuda::of(out, done(sums))
    }
}

/// The row numbers on a device, where they may be already.
#[track_caller]
fn places(device: &Device, index: &Index, of: usize) -> Places {
    // A number that is too large for the device is too large for the axis.
    let narrow = |&place: &usize| u32::try_from(place).unwrap_or(u32::MAX);
    let numbers = || index.as_slice().iter().map(narrow).collect();
    done(Places::of_list(device, &index.identity(), of, numbers))
}

/// The view that a rearrangement reads of an array of this shape, if it only
/// reads.
fn reads(op: &Linear, shape: &Shape, out: &Shape) -> Option<View> {
    let mut view = View::dense(shape);
    match op {
        Linear::Permute { axes } => {
            let steps = axes[..shape.rank()].iter();
            view.steps = steps.map(|&axis| view.steps[usize::from(axis)]).collect();
        }
        Linear::Broadcast { .. } => {
            let added = out.rank() - shape.rank();
            let step = |axis: usize| match axis.checked_sub(added) {
                Some(axis) if shape[axis] == out[axis + added] => view.steps[axis],
                _ => 0,
            };
            view.steps = (0..out.rank()).map(step).collect();
        }
        Linear::Slice { axis, start, .. } => view.begin = start * shape.around(*axis).2,
        Linear::Unfold { axis, windows } => {
            let inner = view.steps[*axis];
            view.steps[*axis] = inner * windows.step as isize;
            view.steps
                .insert(axis + 1, inner * windows.dilation as isize);
        }
        Linear::Diagonal { matrix: [_, n] } => {
            // One step along the diagonal is one along both axes.
            view.steps.pop();
            if let Some(last) = view.steps.last_mut() {
                *last = *n as isize + 1;
            }
        }
        Linear::Flip { axis } => {
            let (_, n, inner) = shape.around(*axis);
            view.begin = n.saturating_sub(1) * inner;
            view.steps[*axis] = -view.steps[*axis];
        }
        _ => return None,
    }
    view.extents = out.to_vec();
    Some(view)
}

impl Algebra for Cuda<f32> {
    type Scalar = f32;
    type Base = Self;

    fn shape(&self) -> Shape {
        self.shape
    }
    fn stop(&self) -> Self {
        self.clone()
    }
    fn constant(base: Self) -> Self {
        base
    }
    fn lift(&self, shape: &Shape, numbers: &[f64]) -> Self {
        let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
        Cuda {
            buffer: done(self.device().constant(&numbers)),
            shape: *shape,
        }
    }
    fn full_like(&self, shape: &Shape, c: f64) -> Self {
        let filled = cuda::filled(self.device(), c as f32, shape.count());
        Cuda::of(shape, done(filled))
    }
    /// The sum of `0·x` is 0, or NaN.
    fn all_finite(&self) -> bool {
        let sum = cuda::scaled(&self.buffer, 0.0)
            .and_then(|zeros| cuda::sum(&zeros, SumVersion::Shuffle))
            .and_then(|sum| sum.download());
        done(sum) == [0.0]
    }

    fn unary(op: Unary, x: Self) -> Self {
        if let Unary::Shift(c) = op {
            return Cuda::of(&x.shape, done(cuda::shifted(&x.buffer, c as f32)));
        }
        let formula = printed(&format!("{op:?}"), || op.kernel());
        Self::pointwise(&formula, &[&x])
    }

    fn binary(op: Binary, a: Self, b: Self) -> Self {
        let formula = printed(&format!("{op:?}"), || op.kernel());
        Self::pointwise(&formula, &[&a, &b])
    }

    fn linear(op: &Linear, x: Self) -> Self {
        let shape = x.shape;
        let out = op.output(&shape);
        if let Some(view) = reads(op, &shape, &out) {
            return Cuda::of(&out, done(cuda::read_view(&x.buffer, &view)));
        }
        match op {
            Linear::Reshape { .. } => Cuda {
                buffer: x.buffer,
                shape: out,
            },
            Linear::Scale(c) => Cuda::of(&out, done(cuda::scaled(&x.buffer, *c as f32))),
            Linear::Sum { to, .. } => Cuda {
                buffer: x.sum_to(to).buffer,
                shape: out,
            },
            Linear::Pad { axis, start, .. } => {
                let mut view = View::dense(&out);
                view.begin = start * out.around(*axis).2;
                view.extents = shape.to_vec();
                x.embedded(&out, &view)
            }
            Linear::EmbedDiagonal { matrix: [m, n] } => {
                let length = (*m).min(*n);
                let view = View {
                    extents: vec![shape.count().checked_div(length).unwrap_or(0), length],
                    steps: vec![(m * n) as isize, *n as isize + 1],
                    begin: 0,
                };
                x.embedded(&out, &view)
            }
            Linear::Gather { axis, index, of } => x.gathered(*axis, index, *of, &out),
            Linear::ScatterAdd { axis, index, of } => {
                let [outer, _, inner] = x.around(*axis);
                x.added_up([outer, inner], index, *of, &out)
            }
            Linear::Fold { axis, windows } => {
                let [outer, _, inner] = x.around(*axis);
                let numbers = [windows.size, windows.step, windows.dilation, windows.of];
                let index = Index::of_rule(("fold", numbers), || windows.places().collect());
                x.added_up([outer, inner / windows.size], &index, windows.of, &out)
            }
            Linear::Roll { axis, by, of } => {
                let (by, of) = (*by, *of);
                let make = || (0..of).map(|place| (place + of - by) % of).collect();
                let index = Index::of_rule(("roll", [by, of, 0, 0]), make);
                x.gathered(*axis, &index, of, &out)
            }
            Linear::Cumsum { axis, from } => {
                let from_last = *from == End::Last;
                let sums = cuda::running_sum(&x.buffer, x.around(*axis), from_last);
                Cuda::of(&out, done(sums))
            }
            other => done(Err(CudaError::NoKernel {
                operation: other.name().to_owned(),
            })),
        }
    }

    fn matmul(a: &Self, ta: Transpose, b: &Self, tb: Transpose) -> Self {
        let rank = a.shape.rank();
        let oriented = |shape: &Shape, t| match t {
            Transpose::No => [shape[rank - 2], shape[rank - 1]],
            Transpose::Yes => [shape[rank - 1], shape[rank - 2]],
        };
        let ([m, k], [_, n]) = (oriented(&a.shape, ta), oriented(&b.shape, tb));
        let factor = |numbers, t| Factor {
            numbers,
            transposed: t == Transpose::Yes,
        };
        let count = a.shape[..rank - 2].iter().product();
        let (fa, fb) = (factor(&*a.buffer, ta), factor(&*b.buffer, tb));
        let precision = a.device().precision();
        let c = cuda::matmul(fa, fb, count, [m, n, k], precision);
        let out = a.shape.replaced(rank - 2..rank, &[m, n]);
        Cuda::of(&out, done(c))
    }

    fn concat(parts: &[Self], axis: usize) -> Self {
        let extent = parts.iter().map(|part| part.shape[axis]).sum();
        let out = parts[0].shape.with(axis, extent);
        let mut y = done(parts[0].device().uninitialised(out.count()));
        let mut view = View::dense(&out);
        for part in parts {
            view.extents = part.shape.to_vec();
            done(cuda::write_view(&mut y, &part.buffer, &view));
            view.begin += part.shape[axis] * out.around(axis).2;
        }
        Cuda::of(&out, y)
    }

    fn compare(op: Compare, a: &Self, b: &Self) -> Self {
        let formula = printed(&format!("{op:?}"), || op.kernel());
        Self::pointwise(&formula, &[a, b])
    }

    fn max_axis(x: &Self, axis: usize) -> Self {
        let most = cuda::largest(&x.buffer, x.around(axis));
        Cuda::of(&x.shape.with(axis, 1), done(most))
    }

    fn select(mask: &Self, a: Self, b: Self) -> Self {
        let formula = printed("select", select_kernel);
        Self::pointwise(&formula, &[mask, &a, &b])
    }

    #[track_caller]
    fn primitive<P: Primitive>(op: &P, _inputs: &[Tensor<Self>]) -> Self {
        done(Err(CudaError::NoKernel {
            operation: op.name().to_owned(),
        }))
    }

    fn chain(op: Unary, v: Self, x: &Self, y: &Self) -> Self {
        if op.slope_kind() != SlopeKind::Formula {
            let (x, y) = (Tensor(x.clone()), Tensor(y.clone()));
            return map::chain_composed(op, Tensor(v), x, y).0;
        }
        let formula = printed(&format!("{op:?} slope"), || op.chain_kernel());
        Self::pointwise(&formula, &[&v, x, y])
    }

    fn dense_parts(x: &Self, w: &Self, b: &Self, f: Option<Unary>) -> (Self, Self) {
        if f != Some(Unary::Silu) {
            return map::dense_composed(x, w, b, f);
        }
        let layer = cuda::Linear {
            x: &x.buffer,
            w: &w.buffer,
            b: &b.buffer,
            rows: x.shape[0],
            inputs: w.shape[0],
        };
        let version = LinearVersion::Cublas(x.device().precision());
        let out = done(cuda::linear_silu(layer, version));
        let shape = Shape::new(&[x.shape[0], b.shape[0]]);
        (Cuda::of(&shape, out.z), Cuda::of(&shape, out.h))
    }
}
