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
    /// There was no room in the memory of the device, even with what had been
    /// kept for later given back.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes that the program uses already.
        in_use: usize,
    },
    /// The device cannot be used any more: a kernel did what no kernel may
    /// do, or the hardware failed. What it had computed is lost.
    Lost {
        /// What was being done when it was noticed.
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
    /// A buffer of one device was given to work of another. Each has a stream
    /// of its own, and nothing orders the two.
    OtherDevice {
        /// Which kernel or operation.
        of: String,
        /// The device of the buffer.
        given: String,
        /// The device of the work.
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
            CudaError::OutOfMemory { bytes, in_use } => write!(
                f,
                "the GPU has no room for {bytes} more bytes, {in_use} are in use"
            ),
            CudaError::Lost { doing, answer } => {
                write!(f, "the GPU was lost, noticed while {doing}: {answer}")
            }
            CudaError::Compile { source, log } => write!(f, "{source} does not compile:\n{log}"),
            CudaError::Mismatch {
                of,
                given,
                expected,
            } => write!(f, "{of}: {given}; expected {expected}"),
            CudaError::OtherDevice {
                of,
                given,
                expected,
            } => write!(f, "{of}: a buffer of {given} was given to {expected}"),
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

impl CudaError {
    /// The error in one line: of a compiler's log the first line that says
    /// "error", or the first.
    #[must_use]
    pub fn brief(&self) -> String {
        let CudaError::Compile { source, log } = self else {
            return self.to_string();
        };
        let mut lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.clone().next().unwrap_or("no reason given");
        let line = lines.find(|line| line.contains("error")).unwrap_or(first);
        format!("{source} does not compile: {line}")
    }
}

/// What a library may answer when it refuses.
#[cfg(feature = "cuda")]
pub(crate) trait Answer: fmt::Display {
    /// Whether the device cannot be used after it.
    fn is_fatal(&self) -> bool {
        false
    }
}

#[cfg(feature = "cuda")]
impl Answer for cudarc::driver::DriverError {
    fn is_fatal(&self) -> bool {
        use cudarc::driver::sys::CUresult as R;
        matches!(
            self.0,
            R::CUDA_ERROR_DEVICE_UNAVAILABLE
                | R::CUDA_ERROR_ECC_UNCORRECTABLE
                | R::CUDA_ERROR_NVLINK_UNCORRECTABLE
                | R::CUDA_ERROR_ILLEGAL_ADDRESS
                | R::CUDA_ERROR_LAUNCH_TIMEOUT
                | R::CUDA_ERROR_CONTEXT_IS_DESTROYED
                | R::CUDA_ERROR_ASSERT
                | R::CUDA_ERROR_HARDWARE_STACK_ERROR
                | R::CUDA_ERROR_ILLEGAL_INSTRUCTION
                | R::CUDA_ERROR_MISALIGNED_ADDRESS
                | R::CUDA_ERROR_INVALID_ADDRESS_SPACE
                | R::CUDA_ERROR_INVALID_PC
                | R::CUDA_ERROR_LAUNCH_FAILED
                | R::CUDA_ERROR_EXTERNAL_DEVICE
        )
    }
}

#[cfg(feature = "cuda")]
impl Answer for cudarc::cublas::result::CublasError {
    fn is_fatal(&self) -> bool {
        self.0 == cudarc::cublas::sys::cublasStatus_t::CUBLAS_STATUS_EXECUTION_FAILED
    }
}

#[cfg(feature = "cuda")]
impl Answer for cudarc::nvrtc::result::NvrtcError {}

#[cfg(feature = "cuda")]
impl Answer for std::ffi::NulError {}

/// Names what was being done when a library refused.
#[cfg(feature = "cuda")]
pub(crate) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, CudaError>;
}

#[cfg(feature = "cuda")]
impl<T, E: Answer> Doing<T> for Result<T, E> {
    fn doing(self, what: &'static str) -> Result<T, CudaError> {
        self.map_err(|refusal| {
            let (doing, answer) = (what, refusal.to_string());
            match refusal.is_fatal() {
                true => CudaError::Lost { doing, answer },
                false => CudaError::Refused { doing, answer },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brief_is_one_line() {
        let broken = CudaError::Compile {
            source: "own".to_owned(),
            log: "NVRTC_ERROR\n\nown.cu(3): error: no such name\nmore".to_owned(),
        };
        let line = "own does not compile: own.cu(3): error: no such name";
        assert_eq!(broken.brief(), line);
        let room = CudaError::OutOfMemory {
            bytes: 5,
            in_use: 7,
        };
        let line = "the GPU has no room for 5 more bytes, 7 are in use";
        assert_eq!(room.brief(), line);
    }

    #[test]
    #[cfg(feature = "cuda")]
    fn what_ends_a_device_is_told_from_what_does_not() {
        use cudarc::driver::{DriverError, sys::CUresult};
        // Only asked for, not shown: the text comes from the driver.
        let fatal = |code| DriverError(code).is_fatal();
        assert!(fatal(CUresult::CUDA_ERROR_LAUNCH_FAILED));
        assert!(fatal(CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE));
        assert!(!fatal(CUresult::CUDA_ERROR_INVALID_VALUE));
        assert!(!fatal(CUresult::CUDA_ERROR_OUT_OF_MEMORY));
    }
}
