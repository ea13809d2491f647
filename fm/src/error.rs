//! **Error**: what can go wrong with what a user hands in, each in one line.
//!
//! A message names the value that was given and what was expected instead.
//! Mistakes of a programmer (mismatched arrays inside the crate) panic; only
//! what comes from a file, a flag or a sample set is an [`Error`].

use cuda::CudaError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with something a user handed in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb: `"read"`, `"write"`.
        action: &'static str,
        /// Why it was refused.
        source: io::Error,
    },
    /// A file was read, but does not hold usable data.
    Data {
        /// The file.
        path: PathBuf,
        /// What was found, with the value and its place.
        found: String,
        /// What was expected there.
        expected: String,
    },
    /// An array has the wrong shape.
    Shape {
        /// Which array.
        what: &'static str,
        /// Its shape.
        given: Vec<usize>,
        /// The shapes that fit.
        expected: String,
    },
    /// A number in an array is NaN or infinite.
    NotFinite {
        /// Which array.
        what: &'static str,
        /// Its row, counted from 0.
        row: usize,
        /// Its column, counted from 0.
        column: usize,
        /// The number.
        value: f64,
    },
    /// A name that stands for nothing.
    UnknownName {
        /// What kind of thing was to be named: `"data set"`.
        what: &'static str,
        /// The name given.
        given: String,
        /// The names there are, and whatever else would have done.
        expected: String,
    },
    /// A parameter outside its range.
    Argument {
        /// The parameter's name, as the user knows it.
        name: &'static str,
        /// The value given.
        value: String,
        /// The values allowed.
        expected: String,
    },
    /// A model file that cannot be used.
    Model {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected there.
        expected: String,
    },
    /// A GPU that is not there, or that failed at work.
    Device(CudaError),
    /// An initial value problem was not solved to its end.
    Solver {
        /// What the solver reported.
        ending: String,
        /// What would help.
        expected: String,
    },
}

impl Error {
    /// The operating system refused to `action` the file at `path`.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            action,
            source,
        }
    }

    /// The file at `path` holds `found` where `expected` was expected.
    pub fn data(
        path: impl AsRef<Path>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Data {
            path: path.as_ref().to_owned(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// The parameter `name` was given as `value` where `expected` was expected.
    pub fn argument(
        name: &'static str,
        value: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::Argument {
            name,
            value: value.to_string(),
            expected: expected.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                path,
                action,
                source,
            } => write!(
                f,
                "cannot {action} {}: {}",
                shown(path),
                one_line(&source.to_string())
            ),
            Self::Data {
                path,
                found,
                expected,
            }
            | Self::Model {
                path,
                found,
                expected,
            } => write!(
                f,
                "{}: {}; expected {}",
                shown(path),
                one_line(found),
                one_line(expected)
            ),
            Self::Shape {
                what,
                given,
                expected,
            } => write!(
                f,
                "{what} has shape {given:?}; expected {}",
                one_line(expected)
            ),
            Self::NotFinite {
                what,
                row,
                column,
                value,
            } => write!(
                f,
                "{what} holds {value} at row {row}, column {column} (counted from 0); \
                 expected finite numbers"
            ),
            Self::UnknownName {
                what,
                given,
                expected,
            } => write!(
                f,
                "unknown {what} {}; expected {}",
                quoted(given),
                one_line(expected)
            ),
            Self::Argument {
                name,
                value,
                expected,
            } => write!(
                f,
                "{name} is {}; expected {}",
                one_line(value),
                one_line(expected)
            ),
            Self::Device(error) => {
                let help = match error {
                    CudaError::OutOfMemory { .. } => {
                        "; expected a smaller batch or network, or --device cpu"
                    }
                    CudaError::Lost { .. } => {
                        "; expected a GPU that works: a training goes on from its last \
                         checkpoint with --resume"
                    }
                    CudaError::NoKernel { .. } => "; expected other operations, or --device cpu",
                    _ => "",
                };
                write!(f, "{}{help}", one_line(&error.brief()))
            }
            Self::Solver { ending, expected } => write!(
                f,
                "the solver stopped early: {}; expected {}",
                one_line(ending),
                one_line(expected)
            ),
        }
    }
}

impl From<CudaError> for Error {
    fn from(error: CudaError) -> Self {
        Self::Device(error)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Device(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Longest piece of a user's text that is repeated in a message.
const LONGEST: usize = 60;

/// `text` between quotation marks, with control characters escaped, cut to
/// [`LONGEST`] characters: what a message says of a text it did not write.
pub(crate) fn quoted(text: &str) -> String {
    let mut start: String = text.chars().take(LONGEST).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

/// A path whole, since its end matters most, with control characters escaped.
fn shown(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

/// `text` with line breaks and other control characters escaped.
fn one_line(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.escape_debug().to_string()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_line_and_names_value_and_expectation() {
        let cases = [
            (
                Error::io("a\nb", "read", io::Error::other("no\nway")),
                vec!["\"a\\nb\"", "no\\nway", "read"],
            ),
            (
                Error::data("x.csv", "\"o\ne\" in line 1", "a number"),
                vec!["x.csv", "o\\ne", "a number"],
            ),
            (
                Error::Shape {
                    what: "the source batch",
                    given: vec![3, 2],
                    expected: "[4, 2]".into(),
                },
                vec!["source batch", "[3, 2]", "[4, 2]"],
            ),
            (
                Error::NotFinite {
                    what: "the target batch",
                    row: 7,
                    column: 1,
                    value: f64::NAN,
                },
                vec!["NaN", "row 7", "column 1"],
            ),
            (
                Error::UnknownName {
                    what: "data set",
                    given: "mo\u{1b}[31mons".into(),
                    expected: "moons".into(),
                },
                vec!["mo\\u{1b}", "expected moons"],
            ),
            (
                Error::argument("--steps", -3, "a whole number from 1"),
                vec!["--steps is -3", "from 1"],
            ),
            (
                Error::Model {
                    path: "m.safetensors".into(),
                    found: "3 layers".into(),
                    expected: "2 layers".into(),
                },
                vec!["m.safetensors", "3 layers", "2 layers"],
            ),
            (
                Error::Solver {
                    ending: "step size underflow at t = 0.99".into(),
                    expected: "a looser tolerance".into(),
                },
                vec!["t = 0.99", "looser"],
            ),
            (
                Error::Device(CudaError::NoKernel {
                    operation: "own".into(),
                }),
                vec!["own has no kernel", "--device cpu"],
            ),
            (
                Error::Device(CudaError::OutOfMemory {
                    bytes: 12,
                    in_use: 34,
                }),
                vec!["12 more bytes, 34", "a smaller batch"],
            ),
            (
                Error::Device(CudaError::Lost {
                    doing: "running kernels",
                    answer: "emulated:\nlost".into(),
                }),
                vec!["while running kernels: emulated:\\nlost", "--resume"],
            ),
        ];
        for (error, pieces) in cases {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            for piece in pieces {
                assert!(text.contains(piece), "{text:?} lacks {piece:?}");
            }
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = quoted(&"é".repeat(10_000));
        assert_eq!(text.chars().count(), LONGEST + 3);
    }
}
