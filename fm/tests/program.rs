//! The program as its users meet it.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
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
        // (FM.21) is a mean over all cases and (FM.22) an order: no case of
        // theirs fails alone.
        let shrunk = printed.contains("smallest failing case: ");
        assert_eq!(shrunk, n <= 20, "{printed}");
    }
}

/// A tag is known in any case of letters, planted or not; a twin planted in an
/// equation that is not verified is refused.
#[test]
fn a_twin_is_planted_where_it_was_named() {
    let planted = [
        "verify", "--only", "fm.2", "--plant", "fm.2", "--cases", "16",
    ];
    assert_eq!(flowgrad(&planted).status.code(), Some(1));
    let output = flowgrad(&["verify", "--only", "FM.3", "--plant", "FM.2"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "flowgrad: --plant is FM.2; expected FM.3\n"
    );
}

#[test]
fn the_operations_of_autograd_are_verified_and_a_planted_fault_is_found() {
    let output = flowgrad(&["verify", "--autograd", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let rows: Value = serde_json::from_slice(&output.stdout).expect("valid JSON");
    let rows = rows.as_array().expect("a list");
    assert!(rows.len() > 80, "{} operations", rows.len());
    for row in rows {
        let number = |key: &str| row[key].as_f64().expect("a number");
        assert_eq!(row["verdict"], "pass", "{row}");
        assert!(row["operation"].is_string() && row["class"].is_string());
        assert!(number("jvp_error") <= 1e-10 && number("vjp_error") <= 1e-10);
        assert!(number("dot_residual") <= 1e-13 && number("value_ulps") >= 0.0);
        // Only steps have no rule.
        let caught = row["smallest_error_caught"].as_f64();
        assert!(caught.is_none_or(|error| error <= 1e-9), "{row}");
        assert!(caught.is_some() || row["class"] == "pointwise", "{row}");
    }
    for name in ["tanh", "matmul", "cumsum", "Mlp", "primitive"] {
        let output = flowgrad(&["verify", "--autograd", "--only", name, "--plant", name]);
        let printed = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains("FAIL"), "{printed}");
        assert!(printed.contains("verified 0 of 1 operations"), "{printed}");
    }
    let output = flowgrad(&["verify", "--autograd", "--only", "tanhh"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("unknown operation \"tanhh\""));
}

#[test]
fn the_methods_of_solvers_are_verified_and_a_planted_fault_is_found() {
    const KEYS: [&str; 11] = [
        "method",
        "stages",
        "order",
        "embedded_order",
        "dense_order",
        "estimator_norm",
        "real_interval",
        "imag_interval",
        "order_observed",
        "dense_order_observed",
        "verdict",
    ];
    let run = |more: &[&str]| {
        let arguments = [&["verify", "--solvers", "--json"], more].concat();
        let output = flowgrad(&arguments);
        let rows: Value = serde_json::from_slice(&output.stdout).expect("valid JSON");
        let rows = rows.as_array().expect("a list").clone();
        assert_eq!(rows.len(), 12);
        (output.status.code(), rows)
    };
    let (code, rows) = run(&[]);
    assert_eq!(code, Some(0));
    for row in &rows {
        let keys: BTreeSet<&str> = row
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, BTreeSet::from(KEYS));
        assert_eq!(row["verdict"], "pass", "{row}");
        let number = |key: &str| row[key].as_f64().expect("a number");
        for (seen, said) in [
            ("order_observed", "order"),
            ("dense_order_observed", "dense_order"),
        ] {
            assert!((number(seen) - number(said)).abs() <= 0.1, "{row}");
        }
        assert!(number("stages") >= number("order"), "{row}");
        // Only pairs estimate an error.
        let pair = row["embedded_order"].is_u64();
        assert_eq!(pair, row["estimator_norm"].is_f64(), "{row}");
    }
    let pairs = rows.iter().filter(|row| row["embedded_order"].is_u64());
    assert_eq!(pairs.count(), 4);
    // One fault: one row, and that of the method it was planted in. One method's
    // result is a sum of its weights, the other's that of its last stage.
    for (name, place) in [("rk4", 6), ("dop853", 11)] {
        let (code, found) = run(&["--plant", name]);
        assert_eq!(code, Some(1), "{name}");
        for (i, (found, row)) in found.iter().zip(&rows).enumerate() {
            let verdict = if i == place { "fail" } else { "pass" };
            assert_eq!(found["verdict"], verdict, "{found}");
            assert_eq!(found == row, i != place, "{found}");
        }
    }
    let output = flowgrad(&["verify", "--solvers", "--plant", "euler"]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let failed: Vec<&str> = printed.lines().filter(|l| l.ends_with("FAIL")).collect();
    assert!(
        failed.len() == 1 && failed[0].starts_with("Euler "),
        "{printed}"
    );
    assert!(
        printed.ends_with("verified 11 of 12 methods\n"),
        "{printed}"
    );
    let output = flowgrad(&["verify", "--solvers", "--plant", "rk45"]);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message.starts_with("flowgrad: unknown method \"rk45\"; expected euler, midpoint"),
        "{message}"
    );
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
        &["train", "--steps", "-1"],
        &["few-steps", "--seed", "x"],
        &["sample"],
    ] {
        let output = flowgrad(bad);
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
        let message = text(&output.stderr);
        assert!(message.starts_with("flowgrad: ") && message.lines().count() == 1);
        assert!(message.contains("expected"), "{message}");
    }
}

/// The output may go to a full disk, and so may the message about it.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_the_output_is_one_clear_line() {
    let full = || fs::File::options().write(true).open("/dev/full");
    let verify = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgrad"));
        command.args(["verify", "--only", "FM.11", "--cases", "16"]);
        command.stdout(full().expect("it opens"));
        command
    };
    let output = verify().stderr(Stdio::piped()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message.starts_with("flowgrad: cannot write to the standard output: No space left"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
    let status = verify().stderr(full().expect("it opens")).status();
    assert_eq!(status.expect("it runs").code(), Some(2));
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

/// Waits until a log has as many lines.
fn wait_for_lines(log: &Path, count: usize) {
    let begin = Instant::now();
    while fs::read_to_string(log).map_or(0, |text| text.lines().count()) < count {
        let waited = begin.elapsed();
        assert!(waited < Duration::from_secs(120), "no line {count} came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Killed without warning, a training goes on from its last checkpoint to the
/// bits of one that was never disturbed.
#[test]
fn a_killed_training_resumes_to_the_same_bits() {
    let root = tempfile::tempdir().expect("a folder");
    let (whole, killed) = (root.path().join("whole"), root.path().join("killed"));
    let undisturbed = train(&whole, &[]).output().expect("it runs");
    assert!(undisturbed.status.success());
    // Into a pipe no bar is drawn: a line for each tenth says the same.
    let lines = text(&undisturbed.stderr);
    let tenths = (1..=10).map(|i| format!("step {} of 4000: loss ", 400 * i));
    let pairs: Vec<_> = lines.lines().zip(tenths).collect();
    assert!(
        pairs.iter().all(|(line, start)| line.starts_with(start)),
        "{lines}"
    );
    assert_eq!((pairs.len(), lines.lines().count()), (10, 10), "{lines}");
    let child = train(&killed, &[]).stderr(Stdio::null()).spawn();
    let mut child = child.expect("it starts");
    // The twelfth line stands for step 1200: after the checkpoint of step 1000.
    wait_for_lines(&killed.join("metrics.jsonl"), 12);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let resumed = train(&killed, &["--resume"]).output().expect("it runs");
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert!(bytes(&whole) == bytes(&killed), "the bits differ");
    // Resumed with another setting, it would not be the same training.
    let other = train(&killed, &["--resume", "--batch", "128"]).output();
    let other = other.expect("it runs");
    assert_eq!(other.status.code(), Some(2));
    let message = text(&other.stderr);
    assert!(message.contains("batch 128; expected 256"), "{message}");
    let log = fs::read_to_string(killed.join("metrics.jsonl")).expect("metrics");
    assert_eq!(log.lines().count(), 40, "each hundredth step once");
    let model = killed.join("model.safetensors");
    let model = model.to_str().expect("a path in Unicode");
    let judged = root.path().join("judged.npy");
    let judged = judged.to_str().expect("a path in Unicode");
    let sampled = flowgrad(&["sample", "--model", model, "--out", judged, "--judge"]);
    assert_eq!(sampled.status.code(), Some(2));
    assert!(text(&sampled.stderr).contains("\"moons\""));
    assert!(!Path::new(judged).exists(), "refused before it is written");
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
    let cases: [(&[&str], &str); 12] = [
        (
            &["train", "--data", "mooons", "--out", out],
            "unknown data set",
        ),
        // More memory than there is must not be asked for.
        (
            &["train", "--hidden", "16384,16384,16384", "--out", out],
            "--hidden is a network of 536936448 weights",
        ),
        (
            &[
                "train",
                "--batch",
                "100000",
                "--coupling",
                "ot",
                "--out",
                out,
            ],
            "--batch is 100000; expected at most 8192",
        ),
        // It may never end.
        (
            &["sample", "--model", "/dev/zero", "--out", "x.npy"],
            "expected an ordinary file",
        ),
        (
            &[
                "sample",
                "--model",
                broken,
                "--tolerance",
                "0",
                "--out",
                "x.npy",
            ],
            "--tolerance is 0; expected a positive number",
        ),
        (
            &[
                "sample", "--model", broken, "--solver", "rk9", "--out", "x.npy",
            ],
            "unknown solver \"rk9\"",
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

/// A training that is begun anew takes the place of the old one at once: killed
/// at its first step, it is not the old one that goes on.
#[test]
fn a_training_begun_anew_is_the_one_that_resumes() {
    let root = tempfile::tempdir().expect("a folder");
    let out = root.path().to_str().expect("Unicode");
    let begin = |seed: &str, more: &[&str]| {
        let mut arguments = vec!["train", "--out", out, "--seed", seed, "--hidden", "8"];
        arguments.extend(more);
        flowgrad(&arguments)
    };
    assert!(begin("1", &["--steps", "50"]).status.success());
    let mut child = train(root.path(), &["--seed", "2"])
        .spawn()
        .expect("it starts");
    // The old log is replaced after the old checkpoint.
    let log = root.path().join("metrics.jsonl");
    let waiting = Instant::now();
    while fs::read_to_string(&log).is_ok_and(|text| text.contains("\"step\":50}")) {
        assert!(
            waiting.elapsed() < Duration::from_secs(120),
            "it did not begin"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let resumed = begin("1", &["--steps", "50", "--resume"]);
    assert_eq!(resumed.status.code(), Some(2));
    assert!(text(&resumed.stderr).contains("expected"), "of the new one");
}

/// The tour says at once that it cannot write its report.
#[test]
fn a_tour_that_cannot_write_does_not_begin() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("out"), b"not a folder").expect("written");
    let mut tour = Command::new(env!("CARGO_BIN_EXE_flowgrad"));
    let output = tour.current_dir(root.path()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let message = text(&output.stderr);
    assert!(
        message.starts_with("flowgrad: cannot create \"out\""),
        "{message}"
    );
}

/// Points of a skewed cloud far from the origin, as lines of a .csv.
fn cloud() -> String {
    let mut lines = String::from("width,height,flat\n");
    for i in 0..400u32 {
        // Irrational rotations: spread evenly, and the same every time.
        let turn = |irrational: f64| (f64::from(i) * irrational).fract();
        let (a, b) = (turn(0.618_033_988_7), turn(0.754_877_666_2));
        lines += &format!("{},{},7.5\n", 1000.0 + 40.0 * a, 3.0e-3 * (a + b));
    }
    lines
}

/// A user's own file is learned in standard units and sampled in its own.
#[test]
fn a_file_of_the_users_own_is_learned_and_sampled_in_its_units() {
    let root = tempfile::tempdir().expect("a folder");
    let at = |name: &str| root.path().join(name).to_str().expect("Unicode").to_owned();
    let (data, out, drawn) = (at("cloud.csv"), at("out"), at("drawn.npy"));
    fs::write(&data, cloud()).expect("written");
    let train = |more: &[&str]| {
        let mut arguments = vec!["train", "--data", &data, "--out", &out];
        arguments.extend(["--steps", "600", "--hidden", "32,32", "--batch", "128"]);
        arguments.extend(more);
        flowgrad(&arguments)
    };
    let trained = train(&[]);
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    let model = format!("{out}/model.safetensors");
    let sampled = flowgrad(&[
        "sample", "--model", &model, "--count", "400", "--out", &drawn,
    ]);
    assert!(sampled.status.success(), "{}", text(&sampled.stderr));
    let points: ndarray::Array2<f32> = ndarray_npy::read_npy(&drawn).expect("an array");
    assert_eq!(points.dim(), (400, 3));
    // Uniform over 40 from 1000; the sum of two uniforms, times 0.003. The
    // windows are a quarter of a deviation: five standard errors of 400
    // samples, on top of what 600 steps leave.
    let column = |j: usize| points.column(j).mapv(f64::from);
    for (j, mean, deviation) in [
        (0, 1020.0, 40.0 / 12f64.sqrt()),
        (1, 3e-3, 3e-3 / 6f64.sqrt()),
    ] {
        let found = (column(j).mean().expect("samples"), column(j).std(0.0));
        assert!((found.0 - mean).abs() <= 0.25 * deviation, "{j}: {found:?}");
        assert!(
            (found.1 - deviation).abs() <= 0.25 * deviation,
            "{j}: {found:?}"
        );
    }
    assert!((column(2).mean().expect("samples") - 7.5).abs() <= 0.25);

    // Resumed on data that have changed since, it would not be the same
    // training any more.
    fs::write(&data, cloud().replace("7.5", "7.25")).expect("written");
    let resumed = train(&["--resume"]);
    assert_eq!(resumed.status.code(), Some(2));
    let message = text(&resumed.stderr);
    assert!(message.contains("other data"), "{message}");
}

/// A density that integrates to 1: over the plane, in the units of the data,
/// the exponentials of the logarithms add up to it; and of a wrong twin, which
/// forgets the units, they do not.
#[test]
fn likelihoods_are_those_of_a_density_in_the_units_of_the_data() {
    let root = tempfile::tempdir().expect("a folder");
    let at = |name: &str| root.path().join(name).to_str().expect("Unicode").to_owned();
    let rows: String = cloud().lines().skip(1).fold(String::new(), |all, line| {
        let mut numbers = line.split(',');
        let (a, b) = (numbers.next(), numbers.next());
        all + &format!("{},{}\n", a.unwrap_or_default(), b.unwrap_or_default())
    });
    fs::write(at("data.csv"), rows).expect("written");
    let (data, out, grid, found) = (at("data.csv"), at("out"), at("grid.csv"), at("found.npy"));
    let train = [
        "train", "--data", &data, "--out", &out, "--steps", "200", "--hidden", "16",
    ];
    assert!(flowgrad(&train).status.success());
    // Eight deviations around the mean, 60 places a side.
    let (n, scale) = (60, [40.0 / 12f64.sqrt(), 3e-3 / 6f64.sqrt()]);
    let place = |i: usize| 8.0 * ((i as f64 + 0.5) / n as f64 - 0.5);
    let points: String = (0..n * n)
        .map(|i| {
            let (a, b) = (place(i / n) * scale[0], place(i % n) * scale[1]);
            format!("{},{}\n", 1020.0 + a, 3e-3 + b)
        })
        .collect();
    fs::write(&grid, points).expect("written");
    let model = format!("{out}/model.safetensors");
    let judged = flowgrad(&[
        "likelihood",
        "--model",
        &model,
        "--data",
        &grid,
        "--out",
        &found,
    ]);
    assert!(judged.status.success(), "{}", text(&judged.stderr));
    let said = text(&judged.stdout);
    assert!(said.contains("(3600 points, 40 evaluations"), "{said}");
    let logarithms: ndarray::Array2<f32> = ndarray_npy::read_npy(&found).expect("an array");
    let cell = 64.0 / (n * n) as f64;
    let sum: f64 = logarithms.iter().map(|&l| f64::from(l).exp()).sum();
    let whole = sum * cell * scale[0] * scale[1];
    // Midpoints of a smooth density whose deviation is eight cells, and tails
    // beyond four deviations.
    assert!((whole - 1.0).abs() <= 0.01, "{whole}");
    assert!((sum * cell - 1.0).abs() > 0.1, "the units are seen");
    let refused = |more: &[&str], piece: &str| {
        let mut all = vec!["likelihood", "--model", &model];
        all.extend(more);
        let output = flowgrad(&all);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(piece) && said.lines().count() == 1, "{said}");
    };
    fs::write(&data, "1\n2\n").expect("written");
    refused(
        &["--data", &data],
        "points of 1 coordinates; expected points of 2",
    );
    refused(
        &["--data", &grid, "--trace", "guess"],
        "expected exact, estimate",
    );
    refused(&["--data", &grid, "--out", "x.txt"], "ending in .npy");
}

#[test]
fn files_that_do_not_hold_points_are_refused_by_name_and_place() {
    let root = tempfile::tempdir().expect("a folder");
    // A header of 80 bytes that announces eight terabytes.
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000), }";
    let huge = format!("{header:79}\n");
    let huge = [b"\x93NUMPY\x01\x00\x50\x00", huge.as_bytes()].concat();
    let cases: [(&str, &[u8], &str); 7] = [
        ("nan.csv", b"1,2\n3,NaN\n", "line 2, column 2"),
        ("text.csv", b"1,2\n3,four\n", "\"four\""),
        ("ragged.csv", b"1,2\n3\n", "1 fields in line 2"),
        ("empty.csv", b"", "expected"),
        ("cut.npy", b"\x93NUMPY\x01", "cut short"),
        ("huge.npy", &huge, "bytes of numbers"),
        ("points.txt", b"1 2\n", ".npy or .csv"),
    ];
    for (name, bytes, expected) in cases {
        let path = root.path().join(name);
        fs::write(&path, bytes).expect("written");
        let (path, out) = (path.to_str().expect("Unicode"), root.path().join("out"));
        let output = flowgrad(&[
            "train",
            "--data",
            path,
            "--out",
            out.to_str().expect("Unicode"),
        ]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        let one_line = message.lines().count() == 1;
        assert!(message.contains(expected) && one_line, "{name}: {message}");
        assert!(message.contains(name), "{name}: {message}");
        assert!(!out.exists(), "{name}: nothing was written");
    }
}

/// Ctrl-C ends a training after the step under way, with everything written.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_cleanly_and_resumes_to_the_same_bits() {
    let root = tempfile::tempdir().expect("a folder");
    let (whole, stopped) = (root.path().join("whole"), root.path().join("stopped"));
    let run = train(&whole, &[]).output().expect("it runs");
    assert!(run.status.success(), "{}", text(&run.stderr));
    let child = train(&stopped, &[]).stdout(Stdio::piped()).spawn();
    let child = child.expect("it starts");
    // The log's first line: the handler is in place and the end is far.
    wait_for_lines(&stopped.join("metrics.jsonl"), 1);
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let printed = text(&output.stdout);
    assert!(printed.contains("stopped at step"), "{printed}");
    let resumed = train(&stopped, &["--resume"]).output().expect("it runs");
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert!(bytes(&whole) == bytes(&stopped), "the bits differ");
}

/// A place that cannot be written to is one line, exit code 2, and whatever
/// stood there stays whole.
#[cfg(target_os = "linux")]
#[test]
fn an_unwritable_place_and_a_full_disk_are_one_clear_line() {
    let root = tempfile::tempdir().expect("a folder");
    let file = root.path().join("a file");
    fs::write(&file, b"not a folder").expect("written");
    // A folder below a file cannot be made, by no user; /proc takes no files.
    for out in [
        file.join("out").to_str().expect("Unicode"),
        "/proc/flowgrad",
    ] {
        let output = flowgrad(&["train", "--steps", "10", "--hidden", "8", "--out", out]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(
            message.contains("cannot create") && message.lines().count() == 1,
            "{message}"
        );
    }
    assert_eq!(fs::read(&file).expect("still there"), b"not a folder");
    // A limit on the size of files stands for the full disk: 8 KiB hold the
    // old model, not the new one.
    let out = root.path().join("out");
    let folder = out.to_str().expect("Unicode");
    let run = flowgrad(&["train", "--steps", "20", "--hidden", "8", "--out", folder]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let before = bytes(&out);
    let program = env!("CARGO_BIN_EXE_flowgrad");
    // The signal that tells of the limit is ignored, so that writing returns
    // the error a full disk returns.
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{program}' train --steps 30 --hidden 64,64 --out '{folder}'"
    );
    let output = Command::new("bash").args(["-c", &script]).output();
    let output = output.expect("bash runs");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("cannot write") && message.lines().count() == 1,
        "{message}"
    );
    assert!(bytes(&out) == before, "the old model is whole");
    let left: Vec<_> = fs::read_dir(&out).expect("a folder").collect();
    assert_eq!(left.len(), 3, "no temporary file is left: {left:?}");
}
