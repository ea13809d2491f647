//! **Rearrangements**: the [linear maps](crate::Linear) as methods, with their
//! shapes checked.

use crate::algebra::Algebra;
use crate::finite::checked;
use crate::index::Index;
use crate::linear::{End, Linear, Windows};
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

    /// Row `i` of the result is row `index[i]` of this array (axis 0): looking
    /// up a table, also called embedding.
    #[track_caller]
    #[must_use]
    pub fn gather(&self, index: &Index) -> Self {
        self.index_select(0, index)
    }

    /// Place `i` of the axis in the result is place `index[i]` of this array.
    #[track_caller]
    #[must_use]
    pub fn index_select(&self, axis: usize, index: &Index) -> Self {
        self.check_axis("index_select", axis);
        let of = self.shape()[axis];
        check_index("index_select", index, of);
        let index = index.clone();
        self.clone().linear(&Linear::Gather { axis, index, of })
    }

    /// Adds row `i` of this array to row `index[i]` of `rows` zero rows.
    #[track_caller]
    #[must_use]
    pub fn scatter_add(&self, index: &Index, rows: usize) -> Self {
        self.index_add(0, index, rows)
    }

    /// Adds place `i` of the axis to place `index[i]` of zeros, of which the
    /// result has `extent` along the axis.
    #[track_caller]
    #[must_use]
    pub fn index_add(&self, axis: usize, index: &Index, extent: usize) -> Self {
        self.check_axis("index_add", axis);
        let given = self.shape()[axis];
        assert!(
            given == index.len(),
            "index_add: {given} places along axis {axis} but {} numbers",
            index.len()
        );
        check_index("index_add", index, extent);
        let (index, of) = (index.clone(), extent);
        self.clone().linear(&Linear::ScatterAdd { axis, index, of })
    }

    /// Element by element: the result has the shape of this array but
    /// `extent` along the axis, and its element at place `i` of the axis is
    /// the one at place `index[…, i, …]` of this array. The numbers of `index`
    /// stand in row-major order of the result.
    #[track_caller]
    #[must_use]
    pub fn take_along_axis(&self, axis: usize, index: &Index, extent: usize) -> Self {
        self.check_axis("take_along_axis", axis);
        let shape = self.shape();
        let to = shape.with(axis, extent);
        let flat = self.reshape(&[shape.count()]);
        let index = flat_places("take_along_axis", index, axis, &shape, &to);
        flat.index_select(0, &index).reshape(&to)
    }

    /// One row for each number of `index`, with a 1 at that place of `classes`
    /// and zeros elsewhere: a constant where this array lives.
    #[track_caller]
    #[must_use]
    pub fn one_hot(&self, index: &Index, classes: usize) -> Self {
        check_index("one_hot", index, classes);
        let mut numbers = vec![0.0; index.len() * classes];
        for (row, &class) in index.as_slice().iter().enumerate() {
            numbers[row * classes + class] = 1.0;
        }
        self.lift(&[index.len(), classes], &numbers)
    }

    /// The axis cut into windows of `size` places that begin `step` apart and
    /// whose places are `dilation` apart; it becomes two axes, [window, place].
    /// What is left at the end is dropped.
    #[track_caller]
    #[must_use]
    pub fn unfold(&self, axis: usize, size: usize, step: usize, dilation: usize) -> Self {
        self.check_axis("unfold", axis);
        let of = self.shape()[axis];
        let windows = check_windows(
            "unfold",
            Windows {
                size,
                step,
                dilation,
                of,
            },
        );
        self.clone().linear(&Linear::Unfold { axis, windows })
    }

    /// The transpose of [`unfold`](Tensor::unfold): the axes `axis` (windows)
    /// and `axis + 1` (places) become one of the given extent, and what falls
    /// on one place is added.
    #[track_caller]
    #[must_use]
    pub fn fold(&self, axis: usize, step: usize, dilation: usize, extent: usize) -> Self {
        self.check_axis("fold", axis + 1);
        let shape = self.shape();
        let size = shape[axis + 1];
        let windows = check_windows(
            "fold",
            Windows {
                size,
                step,
                dilation,
                of: extent,
            },
        );
        assert!(
            shape[axis] == windows.count(),
            "fold: {} windows in {shape}, but {} fit on an axis of {extent}",
            shape[axis],
            windows.count()
        );
        self.clone().linear(&Linear::Fold { axis, windows })
    }

    /// The diagonal of the last two axes, `[…, m, n] → […, min(m, n)]`.
    #[track_caller]
    #[must_use]
    pub fn diagonal(&self) -> Self {
        let shape = self.shape();
        let rank = shape.rank();
        assert!(
            rank >= 2,
            "diagonal: two axes were expected, the shape is {shape}"
        );
        let matrix = [shape[rank - 2], shape[rank - 1]];
        self.clone().linear(&Linear::Diagonal { matrix })
    }

    /// The last axis on the diagonal of square zero matrices, `[…, n] → […, n, n]`.
    #[track_caller]
    #[must_use]
    pub fn embed_diagonal(&self) -> Self {
        let rank = self.rank();
        assert!(
            rank >= 1,
            "embed_diagonal: an axis was expected, the shape is []"
        );
        let n = self.shape()[rank - 1];
        let matrix = [n, n];
        self.clone().linear(&Linear::EmbedDiagonal { matrix })
    }

    /// Place `i` of the axis moves to place `i + by`, around the end; `by` may
    /// be negative.
    #[track_caller]
    #[must_use]
    pub fn roll(&self, axis: usize, by: isize) -> Self {
        self.check_axis("roll", axis);
        let of = self.shape()[axis];
        let by = by.rem_euclid(of.max(1) as isize) as usize;
        self.clone().linear(&Linear::Roll { axis, by, of })
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

    /// A new axis of extent 1 before place `axis`.
    #[track_caller]
    #[must_use]
    pub fn unsqueeze(&self, axis: usize) -> Self {
        let shape = self.shape();
        assert!(
            axis <= shape.rank(),
            "unsqueeze: place {axis} in a shape {shape} of {} axes",
            shape.rank()
        );
        self.reshape(&shape.replaced(axis..axis, &[1]))
    }

    /// The shape without an axis of extent 1.
    #[track_caller]
    #[must_use]
    pub fn squeeze(&self, axis: usize) -> Self {
        self.check_axis("squeeze", axis);
        let shape = self.shape();
        assert!(
            shape[axis] == 1,
            "squeeze: axis {axis} of {shape} has extent {}, not 1",
            shape[axis]
        );
        self.reshape(&shape.without(axis))
    }

    /// Two axes exchanged.
    #[track_caller]
    #[must_use]
    pub fn swap_axes(&self, a: usize, b: usize) -> Self {
        self.check_axis("swap_axes", a);
        self.check_axis("swap_axes", b);
        let mut axes: Vec<usize> = (0..self.rank()).collect();
        axes.swap(a, b);
        self.permute(&axes)
    }

    /// Arrays of one shape along a new axis before place `axis`.
    #[track_caller]
    #[must_use]
    pub fn stack(parts: &[&Self], axis: usize) -> Self {
        let parts: Vec<Self> = parts.iter().map(|part| part.unsqueeze(axis)).collect();
        Self::concat(&parts.iter().collect::<Vec<_>>(), axis)
    }

    /// Consecutive pieces of an axis, of these extents.
    #[track_caller]
    #[must_use]
    pub fn split(&self, axis: usize, extents: &[usize]) -> Vec<Self> {
        self.check_axis("split", axis);
        let (total, of) = (extents.iter().sum::<usize>(), self.shape()[axis]);
        assert!(
            total == of,
            "split: pieces {extents:?} of axis {axis} make {total}, it has {of}"
        );
        let mut pieces = Vec::with_capacity(extents.len());
        let mut start = 0;
        // Not an iterator: a closure would hide the caller's line.
        for &len in extents {
            pieces.push(self.slice(axis, start, len));
            start += len;
        }
        pieces
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
}

#[track_caller]
fn check_index(name: &str, index: &Index, rows: usize) {
    if let Some(&bad) = index.as_slice().iter().find(|&&i| i >= rows) {
        panic!("{name}: row number {bad}, but there are {rows} rows");
    }
}

/// The row-major places in an array of shape `from` that an index of shape
/// `to` along one axis means.
#[track_caller]
fn flat_places(name: &str, index: &Index, axis: usize, from: &Shape, to: &Shape) -> Index {
    assert!(
        index.len() == to.count(),
        "{name}: {} numbers for a result of shape {to}",
        index.len()
    );
    check_index(name, index, from[axis]);
    let (_, extent, inner) = to.around(axis);
    index.derived((axis, *from, *to), |rows| {
        let flat = rows.iter().enumerate().map(|(place, &k)| {
            let outer = place / (extent * inner);
            (outer * from[axis] + k) * inner + place % inner
        });
        flat.collect()
    })
}

#[track_caller]
fn check_windows(name: &str, windows: Windows) -> Windows {
    let Windows {
        size,
        step,
        dilation,
        ..
    } = windows;
    assert!(
        size > 0 && step > 0 && dilation > 0,
        "{name}: windows of size {size}, step {step}, dilation {dilation}: all must be positive"
    );
    windows
}
