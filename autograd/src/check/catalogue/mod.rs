//! **Catalogue**: every operation of the crate, with a program that uses it
//! and points where it is checked.
//!
//! Nothing can be left out by oversight. The pointwise functions come from the
//! lists their formula sheet writes; each linear map is named in a `match` that
//! does not build without it; and a test reads the sources for public methods
//! of [`Tensor`] and for models, and fails on one that no
//! [text](texts::Text) here uses.

mod texts;

pub use texts::Text;

use super::{Plain, Program, sample};
use crate::algebra::Algebra;
use crate::linear::Linear;
use crate::pointwise::{Binary, Unary};
use crate::tensor::Tensor;
use std::fmt;

/// The four classes of operations, by what their derivative is, and the open
/// door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Diagonal: a function of one or two numbers, for each element.
    Pointwise,
    /// The map itself.
    Linear,
    /// Linear in each of two factors.
    Bilinear,
    /// Written with the others.
    Composite,
    /// Value and maps given by the user of the crate.
    Custom,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Pointwise => "pointwise",
            Class::Linear => "linear",
            Class::Bilinear => "bilinear",
            Class::Composite => "composite",
            Class::Custom => "custom",
        })
    }
}

/// A program of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Case {
    /// A function of one number.
    Unary(Unary),
    /// A function of two numbers.
    Binary(Binary),
    /// A program in words.
    Text(Text),
}

impl Program for Case {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        match self {
            Case::Unary(op) => x[0].unary(*op),
            Case::Binary(op) => x[0].binary(*op, &x[1]),
            Case::Text(text) => text.run(x),
        }
    }
}

/// An operation in the catalogue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its name, which no other entry has.
    pub name: &'static str,
    /// What its derivative is.
    pub class: Class,
    /// How it is used.
    pub program: Case,
    /// The source of the program.
    pub text: &'static str,
    /// Where it is checked: lists of inputs. Figures are measured at the
    /// first; the others are there for broadcasting, rank 0 and size 0.
    pub points: Vec<Vec<Plain>>,
}

/// Every operation.
#[must_use]
pub fn entries() -> Vec<Entry> {
    let one = Unary::ALL.iter().map(|&op| of_unary(op));
    let two = Binary::ALL.iter().map(|&op| of_binary(op));
    let texts = Text::ALL.iter().map(|&text| Entry {
        name: text.name(),
        class: text.class(),
        program: Case::Text(text),
        text: text.source(),
        points: text.points(),
    });
    one.chain(two).chain(texts).collect()
}

fn of_unary(op: Unary) -> Entry {
    let shapes = [&[2, 3][..], &[], &[0, 2]];
    Entry {
        name: op.name(),
        class: Class::Pointwise,
        program: Case::Unary(op),
        text: "x[0].unary(op)",
        points: shapes
            .iter()
            .map(|shape| vec![sample(shape, op.domain(), 1)])
            .collect(),
    }
}

/// Disjoint intervals, in either order, so that `maximum` and `minimum` are
/// smooth; positive ones, for powers.
fn of_binary(op: Binary) -> Entry {
    let (low, high) = ((0.5, 1.0), (1.5, 2.5));
    let shapes: [[&[usize]; 2]; 7] = [
        [&[2, 3], &[2, 3]],
        [&[2, 3], &[3]],
        [&[2, 1], &[4, 1, 3]],
        [&[], &[2, 3]],
        [&[2, 3], &[1, 1]],
        [&[], &[]],
        [&[0, 3], &[1, 3]],
    ];
    let ways = shapes.iter().flat_map(|[a, b]| {
        [
            vec![sample(a, low, 1), sample(b, high, 2)],
            vec![sample(a, high, 1), sample(b, low, 2)],
        ]
    });
    Entry {
        name: op.name(),
        class: Class::Pointwise,
        program: Case::Binary(op),
        text: "x[0].binary(op, &x[1])",
        points: ways.collect(),
    }
}

impl Entry {
    /// What the value may be off at its reference points, in units of the last
    /// place, in `f64` and `f32`.
    #[must_use]
    pub fn allowed_ulps(&self) -> (f64, f64) {
        if let Case::Unary(op) = self.program {
            return op.ulps();
        }
        match self.name {
            // Near its zero at 1.46 the absolute error stays.
            "digamma" => (64.0, 2.0),
            // The phases 2πkt are rounded before their sine is taken.
            "TimeFeatures" => (2.0, 4.0),
            _ => (2.0, 2.0),
        }
    }
}

/// The entry that uses a linear map. A map that is not named here does not
/// build; a name that is no entry fails a test.
#[must_use]
pub fn entry_of(map: &Linear) -> &'static str {
    match map {
        Linear::Reshape { .. } => "reshape",
        Linear::Permute { .. } => "permute",
        Linear::Broadcast { .. } => "broadcast_to",
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
