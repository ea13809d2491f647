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

/// Where there is no GPU, training on one is refused in one line, and `auto`
/// falls back and says so.
#[test]
fn training_on_a_gpu_that_is_not_there() {
    let root = tempfile::tempdir().expect("a folder");
    let out = root.path().to_str().expect("Unicode");
    let train = |device: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgrad"));
        command.args(["train", "--steps", "2", "--hidden", "4", "--out", out]);
        let output = command.args(["--device", device]).output();
        output.expect("the program starts")
    };
    if info(&["--device", "cuda"]).status.success() {
        println!("skipped: this machine has a GPU");
        return;
    }
    let cuda = train("cuda");
    let text = String::from_utf8_lossy(&cuda.stderr);
    assert_eq!(cuda.status.code(), Some(2), "{text}");
    assert!(text.starts_with("flowgrad: no CUDA: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!root.path().join("checkpoint.safetensors").exists());
    let auto = train("auto");
    let said = String::from_utf8_lossy(&auto.stdout);
    assert!(auto.status.success(), "{auto:?}");
    let first = "running on the processor: no CUDA: ";
    assert!(said.starts_with(first), "{said}");
    let silent = train("cpu");
    let said = String::from_utf8_lossy(&silent.stdout);
    assert!(!said.contains("running on"), "{said}");
}
