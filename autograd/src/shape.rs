//! **Shape**: the extents of an array, outermost axis first.
//!
//! A shape is a small `Copy` value of at most [`MAX_RANK`] extents, so that
//! passing one around never allocates. Broadcasting follows numpy: shapes are
//! aligned at their *last* axes, and an extent 1 stretches to any other.

use std::fmt;
use std::ops::Deref;

/// The largest number of axes an array may have.
pub const MAX_RANK: usize = 6;

/// The extents of an array, outermost first; rank 0 is a single number.
///
/// ```
/// use autograd::Shape;
/// let s = Shape::new(&[2, 3]);
/// assert_eq!((s.rank(), s.count(), s[1]), (2, 6, 3));
/// assert_eq!(s.broadcast(&Shape::new(&[2, 1])), Some(s));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    extents: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape with these extents.
    ///
    /// # Panics
    /// If there are more than [`MAX_RANK`] of them.
    #[track_caller]
    #[must_use]
    pub fn new(extents: &[usize]) -> Self {
        let rank = extents.len();
        assert!(
            rank <= MAX_RANK,
            "shape {extents:?}: rank {rank} exceeds the largest supported rank {MAX_RANK}"
        );
        let mut padded = [1; MAX_RANK];
        padded[..rank].copy_from_slice(extents);
        Self {
            extents: padded,
            rank: rank as u8,
        }
    }

    /// The shape of a single number: no axes.
    #[must_use]
    pub fn scalar() -> Self {
        Self::new(&[])
    }

    /// How many axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// How many elements: the product of the extents (1 for rank 0).
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().product()
    }

    /// The same shape with the extent of one axis replaced.
    #[must_use]
    pub fn with(&self, axis: usize, extent: usize) -> Self {
        let mut out = *self;
        out.extents[..self.rank()][axis] = extent;
        out
    }

    /// The same shape with one axis taken out.
    #[must_use]
    pub fn without(&self, axis: usize) -> Self {
        self.replaced(axis..axis + 1, &[])
    }

    /// The same shape with some neighbouring axes replaced by others.
    #[must_use]
    pub fn replaced(&self, axes: std::ops::Range<usize>, by: &[usize]) -> Self {
        Self::new(&[&self[..axes.start], by, &self[axes.end..]].concat())
    }

    /// The common shape two arrays broadcast to, if there is one.
    #[must_use]
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let (a, b) = (self.aligned(rank), other.aligned(rank));
        let mut out = [1; MAX_RANK];
        for axis in 0..rank {
            out[axis] = match (a[axis], b[axis]) {
                (m, n) if m == n => m,
                (1, n) => n,
                (m, 1) => m,
                _ => return None,
            };
        }
        Some(Self::new(&out[..rank]))
    }

    /// The extents with leading ones added up to `rank` axes: how
    /// broadcasting looks at a shorter shape.
    pub(crate) fn aligned(&self, rank: usize) -> [usize; MAX_RANK] {
        let mut out = [1; MAX_RANK];
        out[rank - self.rank()..rank].copy_from_slice(self);
        out
    }

    /// The array seen as `[outer, n, inner]` around one axis: the element
    /// `(o, k, i)` lies at `(o·n + k)·inner + i` in standard layout. Most
    /// kernels along an axis are a loop over this view.
    pub(crate) fn around(&self, axis: usize) -> (usize, usize, usize) {
        let outer = self[..axis].iter().product();
        let inner = self[axis + 1..].iter().product();
        (outer, self[axis], inner)
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.extents[..self.rank()]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_aligns_last_axes_and_stretches_ones() {
        let s = Shape::new;
        assert_eq!(s(&[2, 1]).broadcast(&s(&[3])), Some(s(&[2, 3])));
        assert_eq!(s(&[]).broadcast(&s(&[4, 0])), Some(s(&[4, 0])));
        assert_eq!(s(&[1]).broadcast(&s(&[0])), Some(s(&[0])));
        assert_eq!(s(&[2, 3]).broadcast(&s(&[2])), None);
        assert_eq!(format!("{:?} {}", s(&[2, 3]), s(&[])), "[2, 3] []");
    }

    #[test]
    fn equality_ignores_nothing_but_the_padding() {
        assert_ne!(Shape::new(&[2]), Shape::new(&[2, 1]));
        assert_eq!(Shape::new(&[2, 3]).without(0), Shape::new(&[3]));
        assert_eq!(Shape::new(&[2, 3, 5]).around(1), (2, 3, 5));
    }

    #[test]
    #[should_panic(expected = "rank 7 exceeds the largest supported rank 6")]
    fn too_many_axes_are_refused() {
        let _ = Shape::new(&[1; 7]);
    }
}
