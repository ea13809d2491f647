//! The program as its users meet it.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn flowgrad(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_flowgrad"))
        .args(arguments)
        .output();
    output.expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn json_lists_every_equation_of_the_post() {
    let output = flowgrad(&["verify", "--json", "--cases", "64"]);
    assert_eq!(output.status.code(), Some(0));
    let rows: Value = serde_json::from_slice(&output.stdout).expect("valid JSON");
    let rows = rows.as_array().expect("a list");
    assert_eq!(rows.len(), 22);
    for (row, n) in rows.iter().zip(1..) {
        assert_eq!(row["equation"], format!("FM.{n}"));
        assert_eq!(row["verdict"], "pass");
        assert_eq!(row["control_rejected"], true);
        assert!(row["residual"].is_f64() && row["claim"].is_string());
    }
}

#[test]
fn a_planted_wrong_twin_prints_fail_and_exits_with_one() {
    for n in 1..=22 {
        let tag = format!("FM.{n}");
        let output = flowgrad(&["verify", "--only", &tag, "--plant", &tag, "--cases", "16"]);
        let printed = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(
            printed.contains("FAIL") && printed.ends_with("verified 0 of 1 equations\n"),
            "{printed}"
        );
    }
}

#[test]
fn bad_input_is_one_clear_line_and_exit_code_two() {
    let output = flowgrad(&["verify", "--only", "FM.23"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "flowgrad: unknown equation \"FM.23\"; expected FM.1 to FM.22\n"
    );
    for bad in [
        &["verify", "--cases", "0"][..],
        &["dance"],
        &["verify", "--frob"],
    ] {
        let output = flowgrad(bad);
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
        assert!(!text(&output.stderr).contains("panicked"));
    }
}

#[test]
fn the_few_step_table_is_the_same_for_the_same_seed() {
    let table = || flowgrad(&["few-steps", "--count", "60", "--seed", "5"]).stdout;
    let first = table();
    assert_eq!(first, table());
    assert!(text(&first).contains("Dormand-Prince"));
}

/// Training arguments of a small, quick run into a folder.
fn train(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgrad"));
    let small = [
        "train", "--data", "moons", "--hidden", "48,48", "--steps", "4000", "--out",
    ];
    command.args(small).arg(folder).args(more);
    command
}

fn bytes(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model.safetensors")).expect("a model was written")
}

/// Killed without warning, a training goes on from its last checkpoint to the
/// bits of one that was never disturbed.
#[test]
fn a_killed_training_resumes_to_the_same_bits() {
    let root = tempfile::tempdir().expect("a folder");
    let (whole, killed) = (root.path().join("whole"), root.path().join("killed"));
    assert!(
        train(&whole, &[])
            .output()
            .expect("it runs")
            .status
            .success()
    );
    let mut child = train(&killed, &[]).spawn().expect("it starts");
    let checkpoint = killed.join("checkpoint.safetensors");
    let begin = Instant::now();
    while !checkpoint.exists() {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "no checkpoint came"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let resumed = train(&killed, &["--resume"]).output().expect("it runs");
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert!(bytes(&whole) == bytes(&killed), "the bits differ");
    let log = fs::read_to_string(killed.join("metrics.jsonl")).expect("metrics");
    assert_eq!(log.lines().count(), 40, "each hundredth step once");
    let model = killed.join("model.safetensors");
    let model = model.to_str().expect("a path in Unicode");
    for name in ["x.npy", "x.png"] {
        let out = root.path().join(name);
        let out = out.to_str().expect("a path in Unicode");
        let sampled = flowgrad(&["sample", "--model", model, "--count", "50", "--out", out]);
        assert!(sampled.status.success(), "{}", text(&sampled.stderr));
        assert!(fs::metadata(out).expect("written").len() > 100);
    }
}

#[test]
fn unusable_files_and_arguments_of_training_exit_with_two_and_write_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let broken = root.path().join("broken.safetensors");
    fs::write(&broken, b"not a model at all").expect("written");
    let broken = broken.to_str().expect("a path in Unicode");
    let out = root.path().join("out");
    let out = out.to_str().expect("a path in Unicode");
    let cases: [(&[&str], &str); 7] = [
        (
            &["train", "--data", "mooons", "--out", out],
            "unknown data set",
        ),
        (
            &["train", "--coupling", "best", "--out", out],
            "unknown coupling",
        ),
        (&["train", "--sigma", "2", "--out", out], "--sigma is 2"),
        (&["train", "--steps", "0", "--out", out], "--steps is 0"),
        (&["train", "--resume", "--out", out], "cannot read"),
        (
            &["sample", "--model", broken, "--out", "x.npy"],
            "safetensors",
        ),
        (
            &["sample", "--model", broken, "--out", "x.txt"],
            ".npy or .png",
        ),
    ];
    for (arguments, expected) in cases {
        let output = flowgrad(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(
            message.contains(expected) && message.lines().count() == 1,
            "{message}"
        );
    }
    assert!(!Path::new(out).exists(), "nothing was written");
}
