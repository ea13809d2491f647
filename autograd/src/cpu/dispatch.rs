//! **Dispatch**: one loop, compiled for several instruction sets, the best of
//! which is chosen when the program runs.
//!
//! A [`Job`] is a loop as a value. Its body is inlined into functions that are
//! compiled with wider vectors allowed, so the compiler vectorises it for
//! each. No formula uses a fused multiply-add, so the results have the same
//! bits whichever is chosen.

#![allow(
    unsafe_code,
    reason = "calling a function compiled for more instructions than the baseline"
)]

/// A loop, ready to run.
pub(crate) trait Job {
    /// Its result.
    type Out;
    /// Runs it. Implementations are `#[inline(always)]`.
    fn run(self) -> Self::Out;
}

/// Runs a job with the widest vectors the machine has.
pub(crate) fn dispatch<J: Job>(job: J) -> J::Out {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
            // SAFETY: the features the function needs were just detected.
            return unsafe { with_avx512(job) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature the function needs was just detected.
            return unsafe { with_avx2(job) };
        }
    }
    job.run()
}

/// Whether the machine has the AVX-512 subsets of every server since 2017.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2")]
fn with_avx512<J: Job>(job: J) -> J::Out {
    job.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<J: Job>(job: J) -> J::Out {
    job.run()
}
