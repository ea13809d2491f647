//! The program as its users meet it.

use serde_json::Value;
use std::process::{Command, Output};

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
