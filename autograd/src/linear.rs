//! **Linear maps** that rearrange an array, and their transposes.
//!
//! The set is closed under transposition, which is the whole theory of their
//! derivatives: a linear map is its own derivative, so forward mode applies
//! it and reverse mode applies its transpose.
//!
//! ```math
//! y = Lx, \qquad \dot y = L\dot x, \qquad \bar x = L^{\mathsf T}\bar y,
//! \qquad \langle L v, w\rangle = \langle v, L^{\mathsf T} w\rangle \tag{AD.2}
//! ```
//!
//! | map | transpose |
//! |---|---|
//! | reshape `a → b` | reshape `b → a` |
//! | permute by `π` | permute by `π⁻¹` |
//! | broadcast `a → b` | sum `b → a` |
//! | slice out | pad with zeros |
//! | gather places of an axis | scatter-add them |
//! | cut into windows | add the windows up |
//! | take the diagonal | put on the diagonal |
//! | flip | flip |
//! | roll | roll back |
//! | cumulative sum | cumulative sum from the other end |
//! | scale by `c` | scale by `c` |

use crate::index::Index;
use crate::shape::{MAX_RANK, Shape};

/// A linear map from arrays of one shape to arrays of another. Each value
/// knows its source shape where the transpose needs it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Linear {
    /// The same elements under another shape.
    Reshape {
        /// Shape of the argument.
        from: Shape,
        /// Shape of the result.
        to: Shape,
    },
    /// Axis `i` of the result is axis `axes[i]` of the argument.
    Permute {
        /// The permutation; entries past the rank stand for themselves.
        axes: [u8; MAX_RANK],
    },
    /// Repeats along stretched and added axes.
    Broadcast {
        /// Shape of the argument.
        from: Shape,
        /// Shape of the result.
        to: Shape,
    },
    /// Sums over the axes that [`Linear::Broadcast`] `to → from` would repeat.
    Sum {
        /// Shape of the argument.
        from: Shape,
        /// Shape of the result.
        to: Shape,
    },
    /// Keeps `len` places of an axis of extent `of`, beginning at `start`.
    Slice {
        /// Which axis.
        axis: usize,
        /// First place kept.
        start: usize,
        /// How many places are kept.
        len: usize,
        /// Extent of the axis in the argument.
        of: usize,
    },
    /// Puts an axis of extent `len` into zeros of extent `of` at `start`.
    Pad {
        /// Which axis.
        axis: usize,
        /// Where the argument begins in the result.
        start: usize,
        /// Extent of the axis in the argument.
        len: usize,
        /// Extent of the axis in the result.
        of: usize,
    },
    /// Place `i` of the axis in the result is place `index[i]` of the argument.
    Gather {
        /// Which axis.
        axis: usize,
        /// The places to take.
        index: Index,
        /// Extent of the axis in the argument.
        of: usize,
    },
    /// Adds place `i` of the axis in the argument to place `index[i]` of zeros.
    ScatterAdd {
        /// Which axis.
        axis: usize,
        /// The places to add to.
        index: Index,
        /// Extent of the axis in the result.
        of: usize,
    },
    /// Cuts an axis into windows: it becomes two, [window, place in it].
    Unfold {
        /// Which axis.
        axis: usize,
        /// How the windows lie.
        windows: Windows,
    },
    /// Adds windows up where they came from: two axes become one.
    Fold {
        /// The first of the two axes.
        axis: usize,
        /// How the windows lie.
        windows: Windows,
    },
    /// The diagonal of the last two axes, which become one.
    Diagonal {
        /// Extents of the two axes.
        matrix: [usize; 2],
    },
    /// Puts the last axis on the diagonal of a zero matrix.
    EmbedDiagonal {
        /// Extents of the two axes of the result.
        matrix: [usize; 2],
    },
    /// Reverses the order along an axis.
    Flip {
        /// Which axis.
        axis: usize,
    },
    /// Moves place `i` of an axis to place `i + by`, around the end.
    Roll {
        /// Which axis.
        axis: usize,
        /// How far, less than the extent.
        by: usize,
        /// Extent of the axis.
        of: usize,
    },
    /// Running sums along an axis, from its beginning or from its end.
    Cumsum {
        /// Which axis.
        axis: usize,
        /// Where the running sum begins.
        from: End,
    },
    /// Multiplies by a constant.
    Scale(f64),
}

/// Windows on an axis of extent `of`: window `w` sees the places
/// `w·step + k·dilation` for `k < size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Places in a window.
    pub size: usize,
    /// From the beginning of a window to that of the next.
    pub step: usize,
    /// From one place of a window to its next.
    pub dilation: usize,
    /// Extent of the axis.
    pub of: usize,
}

impl Windows {
    /// How many windows lie wholly on the axis.
    #[must_use]
    pub fn count(&self) -> usize {
        let reach = self.dilation * (self.size - 1) + 1;
        match self.of.checked_sub(reach) {
            Some(free) => free / self.step + 1,
            None => 0,
        }
    }

    /// The places that all windows see, one window after the other.
    pub(crate) fn places(self) -> impl Iterator<Item = usize> {
        let starts = (0..self.count()).map(move |w| w * self.step);
        starts.flat_map(move |start| (0..self.size).map(move |k| start + k * self.dilation))
    }
}

/// An end of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Place 0.
    First,
    /// The last place.
    Last,
}

impl Linear {
    /// The transposed map: `⟨Lv, w⟩ = ⟨v, Lᵀw⟩`.
    #[must_use]
    pub fn transpose(&self) -> Self {
        match self.clone() {
            Linear::Reshape { from, to } => Linear::Reshape { from: to, to: from },
            Linear::Permute { axes } => {
                let mut inverse = [0; MAX_RANK];
                for (place, axis) in axes.into_iter().enumerate() {
                    inverse[usize::from(axis)] = place as u8;
                }
                Linear::Permute { axes: inverse }
            }
            Linear::Broadcast { from, to } => Linear::Sum { from: to, to: from },
            Linear::Sum { from, to } => Linear::Broadcast { from: to, to: from },
            #[rustfmt::skip]
            Linear::Slice { axis, start, len, of } => Linear::Pad { axis, start, len, of },
            #[rustfmt::skip]
            Linear::Pad { axis, start, len, of } => Linear::Slice { axis, start, len, of },
            Linear::Gather { axis, index, of } => Linear::ScatterAdd { axis, index, of },
            Linear::ScatterAdd { axis, index, of } => Linear::Gather { axis, index, of },
            Linear::Unfold { axis, windows } => Linear::Fold { axis, windows },
            Linear::Fold { axis, windows } => Linear::Unfold { axis, windows },
            Linear::Diagonal { matrix } => Linear::EmbedDiagonal { matrix },
            Linear::EmbedDiagonal { matrix } => Linear::Diagonal { matrix },
            #[rustfmt::skip]
            Linear::Roll { axis, by, of } => Linear::Roll { axis, by: (of - by) % of.max(1), of },
            Linear::Flip { axis } => Linear::Flip { axis },
            Linear::Cumsum { axis, from } => Linear::Cumsum {
                axis,
                from: match from {
                    End::First => End::Last,
                    End::Last => End::First,
                },
            },
            Linear::Scale(c) => Linear::Scale(c),
        }
    }

    /// The shape of the result for an argument of shape `x`.
    #[must_use]
    pub fn output(&self, x: &Shape) -> Shape {
        match self {
            Linear::Reshape { to, .. } | Linear::Broadcast { to, .. } | Linear::Sum { to, .. } => {
                *to
            }
            Linear::Permute { axes } => {
                let extents: Vec<usize> = axes[..x.rank()]
                    .iter()
                    .map(|&a| x[usize::from(a)])
                    .collect();
                Shape::new(&extents)
            }
            Linear::Slice { axis, len, .. } => x.with(*axis, *len),
            Linear::Pad { axis, of, .. } => x.with(*axis, *of),
            Linear::Gather { axis, index, .. } => x.with(*axis, index.len()),
            Linear::ScatterAdd { axis, of, .. } => x.with(*axis, *of),
            Linear::Unfold { axis, windows } => {
                let two = [windows.count(), windows.size];
                x.replaced(*axis..*axis + 1, &two)
            }
            Linear::Fold { axis, windows } => x.replaced(*axis..*axis + 2, &[windows.of]),
            Linear::Diagonal { matrix: [m, n] } => x.replaced(x.rank() - 2..x.rank(), &[*m.min(n)]),
            Linear::EmbedDiagonal { matrix } => x.replaced(x.rank() - 1..x.rank(), matrix),
            Linear::Flip { .. }
            | Linear::Roll { .. }
            | Linear::Cumsum { .. }
            | Linear::Scale(_) => *x,
        }
    }

    /// The name of the map, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Linear::Reshape { .. } => "reshape",
            Linear::Permute { .. } => "permute",
            Linear::Broadcast { .. } => "broadcast",
            Linear::Sum { .. } => "sum",
            Linear::Slice { .. } => "slice",
            Linear::Pad { .. } => "pad",
            Linear::Gather { .. } => "gather",
            Linear::ScatterAdd { .. } => "scatter_add",
            Linear::Unfold { .. } => "unfold",
            Linear::Fold { .. } => "fold",
            Linear::Diagonal { .. } => "diagonal",
            Linear::EmbedDiagonal { .. } => "embed_diagonal",
            Linear::Flip { .. } => "flip",
            Linear::Roll { .. } => "roll",
            Linear::Cumsum { .. } => "cumsum",
            Linear::Scale(_) => "scale",
        }
    }
}
