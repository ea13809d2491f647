//! **Rearrangements**: the [linear maps](crate::Linear) as methods, with their
//! shapes checked.

use crate::algebra::Algebra;
use crate::finite::checked;
use crate::index::Index;
use crate::linear::{End, Linear};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::Tensor;

/// Linear rearrangements.
impl<A: Algebra> Tensor<A> {
    #[track_caller]
    pub(crate) fn linear(self, op: &Linear) -> Self {
        checked(op.name(), Tensor(A::linear(op, self.0)))
    }

    /// The same elements, in order, under another shape.
    #[track_caller]
    #[must_use]
    pub fn reshape(&self, shape: &[usize]) -> Self {
        let (from, to) = (self.shape(), Shape::new(shape));
        assert!(
            from.count() == to.count(),
            "reshape: {from} has {} elements, {to} has {}",
            from.count(),
            to.count()
        );
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Reshape { from, to })
    }

    /// Axis `i` of the result is axis `axes[i]` of this array.
    #[track_caller]
    #[must_use]
    pub fn permute(&self, axes: &[usize]) -> Self {
        let shape = self.shape();
        let mut seen = axes.to_vec();
        seen.sort_unstable();
        assert!(
            seen.into_iter().eq(0..shape.rank()),
            "permute: {axes:?} is not a permutation of the {} axes of {shape}",
            shape.rank()
        );
        let mut padded = [0; MAX_RANK];
        for (place, slot) in padded.iter_mut().enumerate() {
            *slot = *axes.get(place).unwrap_or(&place) as u8;
        }
        self.clone().linear(&Linear::Permute { axes: padded })
    }

    /// The transposed matrix.
    #[track_caller]
    #[must_use]
    pub fn t(&self) -> Self {
        let shape = self.shape();
        assert!(
            shape.rank() == 2,
            "t: a matrix was expected, the shape is {shape}"
        );
        self.permute(&[1, 0])
    }

    /// Repeats along axes of extent 1 and new leading axes.
    #[track_caller]
    #[must_use]
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        let (from, to) = (self.shape(), Shape::new(shape));
        assert!(
            from.broadcast(&to) == Some(to),
            "broadcast_to: {from} does not broadcast to {to}"
        );
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Broadcast { from, to })
    }

    /// The `len` places of an axis that begin at `start`.
    #[track_caller]
    #[must_use]
    pub fn slice(&self, axis: usize, start: usize, len: usize) -> Self {
        self.check_axis("slice", axis);
        let of = self.shape()[axis];
        assert!(
            start.checked_add(len).is_some_and(|end| end <= of),
            "slice: places {start}..{start}+{len} of axis {axis}, which has {of}"
        );
        #[rustfmt::skip]
        let op = Linear::Slice { axis, start, len, of };
        self.clone().linear(&op)
    }

    /// Zeros added to an axis, before and after.
    #[track_caller]
    #[must_use]
    pub fn pad(&self, axis: usize, before: usize, after: usize) -> Self {
        self.check_axis("pad", axis);
        let len = self.shape()[axis];
        self.clone().linear(&Linear::Pad {
            axis,
            start: before,
            len,
            of: before + len + after,
        })
    }

    /// Row `i` of the result is row `index[i]` of this array (axis 0).
    #[track_caller]
    #[must_use]
    pub fn gather(&self, index: &Index) -> Self {
        self.check_axis("gather", 0);
        let of = self.shape()[0];
        check_index("gather", index, of);
        let index = index.clone();
        self.clone().linear(&Linear::Gather { index, of })
    }

    /// Adds row `i` of this array to row `index[i]` of `rows` zero rows.
    #[track_caller]
    #[must_use]
    pub fn scatter_add(&self, index: &Index, rows: usize) -> Self {
        self.check_axis("scatter_add", 0);
        let given = self.shape()[0];
        assert!(
            given == index.len(),
            "scatter_add: {given} rows but {} row numbers",
            index.len()
        );
        check_index("scatter_add", index, rows);
        let index = index.clone();
        self.clone().linear(&Linear::ScatterAdd { index, of: rows })
    }

    /// The order along an axis reversed.
    #[track_caller]
    #[must_use]
    pub fn flip(&self, axis: usize) -> Self {
        self.check_axis("flip", axis);
        self.clone().linear(&Linear::Flip { axis })
    }

    /// Running sums along an axis.
    #[track_caller]
    #[must_use]
    pub fn cumsum(&self, axis: usize) -> Self {
        self.check_axis("cumsum", axis);
        let from = End::First;
        self.clone().linear(&Linear::Cumsum { axis, from })
    }

    /// Arrays put one behind the other along an axis.
    #[track_caller]
    #[must_use]
    pub fn concat(parts: &[&Self], axis: usize) -> Self {
        let first = parts.first().expect("concat: at least one array").shape();
        for part in parts {
            let shape = part.shape();
            let fits = shape.rank() == first.rank()
                && axis < first.rank()
                && shape.with(axis, 0) == first.with(axis, 0);
            assert!(
                fits,
                "concat: {first} and {shape} differ beyond axis {axis}"
            );
        }
        let parts: Vec<A> = parts.iter().map(|p| p.0.clone()).collect();
        checked("concat", Tensor(A::concat(&parts, axis)))
    }

    /// The sum of all elements, rank 0.
    #[track_caller]
    #[must_use]
    pub fn sum(&self) -> Self {
        let (from, to) = (self.shape(), Shape::scalar());
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Sum { from, to })
    }

    /// The mean of all elements, rank 0; NaN for an empty array.
    #[track_caller]
    #[must_use]
    pub fn mean(&self) -> Self {
        self.sum() / self.shape().count() as f64
    }

    /// The sum along an axis, which is kept with extent 1.
    #[track_caller]
    #[must_use]
    pub fn sum_axis_keep(&self, axis: usize) -> Self {
        self.check_axis("sum_axis_keep", axis);
        let from = self.shape();
        let to = from.with(axis, 1);
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Sum { from, to })
    }

    /// The sum along an axis, which is taken out of the shape.
    #[track_caller]
    #[must_use]
    pub fn sum_axis(&self, axis: usize) -> Self {
        self.check_axis("sum_axis", axis);
        let shape = self.shape().without(axis);
        self.sum_axis_keep(axis).reshape(&shape)
    }

    /// The mean along an axis, which is taken out of the shape.
    #[track_caller]
    #[must_use]
    pub fn mean_axis(&self, axis: usize) -> Self {
        self.check_axis("mean_axis", axis);
        self.sum_axis(axis) / self.shape()[axis] as f64
    }
}

#[track_caller]
fn check_index(name: &str, index: &Index, rows: usize) {
    if let Some(&bad) = index.as_slice().iter().find(|&&i| i >= rows) {
        panic!("{name}: row number {bad}, but there are {rows} rows");
    }
}
