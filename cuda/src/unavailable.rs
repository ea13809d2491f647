//! **Why there is no CUDA**: each reason names what is missing and what would
//! help.

use crate::found::Version;
use std::error::Error;
use std::fmt;

/// The version of CUDA that the program speaks: what driver 580 brings.
pub(crate) const NEEDED: Version = Version {
    major: 13,
    minor: 0,
};

/// What is missing for a program to use a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CudaUnavailable {
    /// The program was built without the feature `cuda`.
    NotBuilt,
    /// No `libcuda`: no NVIDIA driver.
    NoDriver,
    /// The driver speaks an older CUDA.
    DriverTooOld {
        /// The version it speaks.
        have: Version,
    },
    /// The driver is there, but no GPU is.
    NoDevice,
    /// Fewer GPUs than the number asked for.
    NoSuchDevice {
        /// The number asked for, from 0.
        asked: usize,
        /// How many there are.
        count: usize,
    },
    /// No `libnvrtc`, which compiles the kernels.
    NoCompiler,
    /// No `libcublas`, which multiplies matrices.
    NoCublas,
    /// A library refused a call.
    Refused {
        /// What was asked of it.
        call: &'static str,
        /// Its answer.
        answer: String,
    },
    /// A library lacks a function, or cannot be loaded after all.
    Broken {
        /// Which library.
        library: &'static str,
        /// What the loader said.
        detail: String,
    },
}

impl fmt::Display for CudaUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no CUDA: ")?;
        match self {
            Self::NotBuilt => {
                f.write_str("this program was built without it (build with `--features cuda`)")
            }
            Self::NoDriver => f.write_str("libcuda.so was not found (no NVIDIA driver)"),
            Self::DriverTooOld { have } => write!(
                f,
                "the driver speaks CUDA {have}, and {NEEDED} is needed (driver 580 or newer)"
            ),
            Self::NoDevice => f.write_str("the driver finds no GPU"),
            Self::NoSuchDevice { asked, count } => {
                write!(f, "there is no GPU {asked}: {count} found, counted from 0")
            }
            Self::NoCompiler => f.write_str(
                "libnvrtc.so was not found (install the CUDA 13 toolkit or the wheel nvidia-cuda-nvrtc, and set CUDA_HOME)",
            ),
            Self::NoCublas => f.write_str(
                "libcublas.so was not found (install the CUDA 13 toolkit or the wheel nvidia-cublas, and set CUDA_HOME)",
            ),
            Self::Refused { call, answer } => write!(f, "{call} answered {answer}"),
            Self::Broken { library, detail } => write!(f, "{library} cannot be used: {detail}"),
        }
    }
}

impl Error for CudaUnavailable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_line_that_names_what_is_missing() {
        let have = Version {
            major: 12,
            minor: 8,
        };
        let cases = [
            (CudaUnavailable::NotBuilt, "--features cuda"),
            (CudaUnavailable::NoDriver, "libcuda.so"),
            (
                CudaUnavailable::DriverTooOld { have },
                "speaks CUDA 12.8, and 13.0",
            ),
            (CudaUnavailable::NoDevice, "no GPU"),
            (
                CudaUnavailable::NoSuchDevice { asked: 2, count: 1 },
                "no GPU 2: 1 found",
            ),
            (CudaUnavailable::NoCompiler, "libnvrtc.so"),
            (CudaUnavailable::NoCublas, "libcublas.so"),
            (
                CudaUnavailable::Refused {
                    call: "cuInit",
                    answer: "no".to_owned(),
                },
                "cuInit answered no",
            ),
            (
                CudaUnavailable::Broken {
                    library: "libcublas.so",
                    detail: "too short".to_owned(),
                },
                "libcublas.so cannot be used: too short",
            ),
        ];
        for (reason, part) in cases {
            let line = reason.to_string();
            assert!(
                line.starts_with("no CUDA: ") && line.contains(part),
                "{line}"
            );
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
