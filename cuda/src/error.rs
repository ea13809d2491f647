//! **Errors** of a device at work, each in one line (but for a compiler's log).

use crate::unavailable::CudaUnavailable;
use std::error::Error;
use std::fmt;

/// What went wrong on the way to a result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CudaError {
    /// There is no device to work on.
    Unavailable(CudaUnavailable),
    /// A library refused a call. An answer to an earlier kernel's fault comes
    /// with the first call after it.
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The answer.
        answer: String,
    },
    /// A kernel's text does not compile.
    Compile {
        /// The text's name.
        source: String,
        /// What the compiler said.
        log: String,
    },
    /// Arguments do not fit a kernel, or each other.
    Mismatch {
        /// Which kernel or operation.
        of: String,
        /// What was given.
        given: String,
        /// What fits.
        expected: String,
    },
    /// An operation that has no kernel. Numbers are never copied to the host
    /// unasked.
    NoKernel {
        /// Its name.
        operation: String,
    },
    /// Memory was asked for while a graph is recorded, and none was free.
    AllocationInGraph {
        /// Bytes asked for.
        bytes: usize,
    },
    /// A copy between host and device was asked for while a graph is
    /// recorded.
    CopyInGraph {
        /// "to the device" or "from the device".
        direction: &'static str,
    },
}

impl CudaError {
    /// Arguments that do not fit.
    #[cfg(feature = "cuda")]
    pub(crate) fn mismatch(
        of: &str,
        given: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        CudaError::Mismatch {
            of: of.to_owned(),
            given: given.to_string(),
            expected: expected.to_string(),
        }
    }
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CudaError::Unavailable(reason) => write!(f, "{reason}"),
            CudaError::Refused { doing, answer } => write!(f, "{doing}: {answer}"),
            CudaError::Compile { source, log } => write!(f, "{source} does not compile:\n{log}"),
            CudaError::Mismatch {
                of,
                given,
                expected,
            } => write!(f, "{of}: {given}; expected {expected}"),
            CudaError::NoKernel { operation } => {
                write!(f, "{operation} has no kernel on the GPU")
            }
            CudaError::AllocationInGraph { bytes } => write!(
                f,
                "{bytes} bytes of memory were asked for while a graph is recorded, and none are free"
            ),
            CudaError::CopyInGraph { direction } => write!(
                f,
                "a copy {direction} was asked for while a graph is recorded; row numbers and \
                 constants must be those of the run before the recording"
            ),
        }
    }
}

impl Error for CudaError {}

impl From<CudaUnavailable> for CudaError {
    fn from(reason: CudaUnavailable) -> Self {
        CudaError::Unavailable(reason)
    }
}

/// Names what was being done when a library refused.
#[cfg(feature = "cuda")]
pub(crate) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, CudaError>;
}

#[cfg(feature = "cuda")]
impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: &'static str) -> Result<T, CudaError> {
        self.map_err(|answer| CudaError::Refused {
            doing: what,
            answer: answer.to_string(),
        })
    }
}
