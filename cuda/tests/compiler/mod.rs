//! **NVRTC**, if it is there, for the tests that compile kernels with it.

use cuda::{CudaUnavailable, Found};
use std::env;

/// Ampere, Hopper, Blackwell.
pub(crate) const ARCHITECTURES: [&str; 3] = ["sm_80", "sm_90", "sm_120"];

/// Whether NVRTC is there; if not, the reason is printed, or with
/// `FLOWGRAD_NVRTC=required` a failure.
pub(crate) fn nvrtc() -> bool {
    match Found::look().compiler {
        Ok(version) => {
            println!("NVRTC {version}");
            true
        }
        Err(reason) => {
            let required = env::var("FLOWGRAD_NVRTC").is_ok_and(|word| word == "required");
            assert!(!required, "{reason}");
            assert_eq!(reason, CudaUnavailable::NoCompiler);
            println!("skipped: {reason}");
            false
        }
    }
}
