//! The kernels that pointwise work on arrays launches, every one, compiled by
//! NVRTC itself for three generations of GPUs; no GPU is needed. Spills of
//! registers and warnings are failures. (The kernels that are written by hand:
//! `cuda/tests/nvrtc.rs`.)
//!
//! Skips with a printed reason where NVRTC is not installed; with
//! `FLOWGRAD_NVRTC=required` in the environment that is a failure.

#[path = "../../cuda/tests/compiler/mod.rs"]
mod compiler;

use autograd::{Binary, Compare, Unary, pointwise_kernels};
use compiler::{ARCHITECTURES, nvrtc};
use cuda::{Source, compile};

/// What is wrong with a kernel on an architecture.
fn complaint(source: &Source, architecture: &str) -> Option<String> {
    let compiled = match compile(source, architecture) {
        Ok(compiled) => compiled,
        Err(error) => return Some(error.to_string()),
    };
    let sound = compiled.cubin.starts_with(b"\x7fELF") && !compiled.report.contains("warning");
    match &compiled.usages()[..] {
        [usage] if sound && usage.registers > 0 && usage.spilled == 0 => None,
        _ => Some(format!("{}: {}", source.name(), compiled.report)),
    }
}

#[test]
fn every_pointwise_kernel_compiles_for_every_generation_without_spills() {
    let kernels = pointwise_kernels();
    let functions = Unary::ALL.len() + Binary::ALL.len() + Compare::ALL.len();
    assert!(kernels.len() > functions, "slopes, and a choice");
    if !nvrtc() {
        return;
    }
    for kernel in &kernels {
        for architecture in ARCHITECTURES {
            assert_eq!(complaint(kernel.source(), architecture), None);
        }
    }
    println!("{} kernels, each three times", kernels.len());
    // The control: an error, and a warning.
    for wrong in ["y[0] = unknown;", "int unused; y[0] = 1.0f;"] {
        let text = format!("extern \"C\" __global__ void wrong(float* y) {{ {wrong} }}\n");
        let source = Source::of("wrong", &[("wrong.cu", &text)]);
        let complaint = complaint(&source, ARCHITECTURES[0]);
        assert!(complaint.is_some(), "{wrong}");
    }
}
