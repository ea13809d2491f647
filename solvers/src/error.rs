//! **Error**: a question that cannot be asked.
//!
//! How a solve *ends* is not an error but an [`Outcome`](crate::Outcome).

use std::fmt;

/// An argument that makes no sense.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A number outside its range.
    Argument {
        /// Which one.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The range.
        expected: &'static str,
    },
    /// A time grid that is not strictly monotone.
    Grid {
        /// The place after which the order breaks.
        place: usize,
    },
    /// An adaptive solve was asked of a method without embedded weights.
    NoEstimator {
        /// The method's name.
        method: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Argument {
                name,
                value,
                expected,
            } => write!(f, "{name} is {value}; expected {expected}"),
            Error::Grid { place } => write!(
                f,
                "the time grid is not strictly monotone after node {place}"
            ),
            Error::NoEstimator { method } => write!(
                f,
                "{method} has no embedded error estimate; expected a pair such as Dormand-Prince"
            ),
        }
    }
}

impl std::error::Error for Error {}
