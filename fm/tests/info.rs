//! `flowgrad info` says what the program can run on, and names what is missing.

use std::process::{Command, Output};

fn info(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgrad"));
    command.arg("info").args(arguments);
    command.output().expect("the program starts")
}

#[test]
fn every_part_has_a_line() {
    let out = info(&[]);
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8_lossy(&out.stdout);
    for part in [
        "flowgrad ",
        "CPU ",
        "driver ",
        "NVRTC ",
        "cuBLAS ",
        "GPU ",
        "device ",
    ] {
        let has = text.lines().any(|line| line.starts_with(part));
        assert!(has, "{part:?} in {text}");
    }
}

#[test]
fn a_gpu_that_is_asked_for_is_there_or_missed_in_one_line() {
    let cpu = info(&["--device", "cpu"]);
    assert!(String::from_utf8_lossy(&cpu.stdout).contains("`cpu` means cpu here"));
    let cuda = info(&["--device", "cuda"]);
    if cuda.status.success() {
        assert!(String::from_utf8_lossy(&cuda.stdout).contains("`cuda` means cuda here"));
    } else {
        let text = String::from_utf8_lossy(&cuda.stderr);
        assert_eq!(cuda.status.code(), Some(2), "{text}");
        assert!(text.starts_with("flowgrad: no CUDA: "), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let unknown = info(&["--device", "gpu"]);
    let text = String::from_utf8_lossy(&unknown.stderr);
    assert!(text.contains("expected one of cpu, cuda, auto"), "{text}");
}
