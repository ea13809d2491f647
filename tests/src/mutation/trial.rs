//! **Trial**: tests, run with one change, up to the first that fails.

use super::schema::VARIABLE;
use super::workshop::Built;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Memory that a change may lead a test to ask for, in KiB.
const MEMORY: u64 = 16 << 20;

/// A test program, as it runs without a change.
#[derive(Clone, Debug)]
pub struct Program {
    built: Built,
    /// How long it takes.
    pub time: Duration,
    /// The changes that it reaches.
    pub reached: BTreeSet<usize>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// No test noticed anything.
    Passed,
    /// This test failed, or the program ended itself.
    Failed(String),
    /// It took far longer than without the change.
    Hung,
}

impl Program {
    /// The program, run once without a change.
    ///
    /// # Errors
    /// The test that fails.
    pub fn new(built: Built, scratch: &Path) -> Result<Self, String> {
        let record = scratch.display().to_string();
        let _ = std::fs::remove_file(scratch);
        let begin = Instant::now();
        let end = run(&built, &record, Duration::from_secs(1800));
        let time = begin.elapsed();
        if end != End::Passed {
            return Err(format!("{} without a change: {end:?}", built.name));
        }
        let text = std::fs::read_to_string(scratch).unwrap_or_default();
        let reached = text.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Program {
            built,
            time,
            reached,
        })
    }

    /// The same program, built anew.
    #[must_use]
    pub fn with(&self, built: Built) -> Self {
        Program {
            built,
            ..self.clone()
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.built.name
    }

    /// Runs it with a change, or with none if the change is in its text.
    #[must_use]
    pub fn run(&self, number: Option<usize>) -> End {
        let patience = self.time * 10 + Duration::from_secs(20);
        let number = number.map_or(String::new(), |n| n.to_string());
        run(&self.built, &number, patience)
    }
}

/// Runs until a test fails, the program ends or patience does.
fn run(built: &Built, variable: &str, patience: Duration) -> End {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\"")])
        .arg(&built.path)
        .env(VARIABLE, variable)
        .env("RUST_BACKTRACE", "0")
        .current_dir(&built.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a test program starts");
    let output = child.stdout.take().expect("its output is piped");
    let (lines, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match heard.recv_timeout(left) {
            Ok(line) => {
                let name = line.strip_prefix("test ");
                if let Some(name) = name.and_then(|l| l.strip_suffix(" ... FAILED")) {
                    stop(&mut child);
                    return End::Failed(name.to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                stop(&mut child);
                return End::Hung;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().expect("a child can be waited for");
    match status.success() {
        true => End::Passed,
        false => End::Failed(status.to_string()),
    }
}

/// Ends the program and what it has started: its process group.
fn stop(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status();
    let _ = child.wait();
}
