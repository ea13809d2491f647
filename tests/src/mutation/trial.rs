//! **Trial**: a test, run with one change.

use super::schema::VARIABLE;
use super::workshop::Built;
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Memory that a change may lead a test to ask for, in KiB.
const MEMORY: u64 = 16 << 20;

/// A test, as it runs without a change.
#[derive(Clone, Debug)]
pub struct Test {
    program: Built,
    name: String,
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
    /// It failed, or ended the program.
    Failed,
    /// It took far longer than without the change.
    Hung,
}

impl Test {
    /// The tests of a program, each run once without a change.
    ///
    /// # Errors
    /// The test that fails.
    pub fn all(program: &Built, scratch: &Path) -> Result<Vec<Self>, String> {
        let list = Command::new(&program.path)
            .args(["--list", "--format", "terse"])
            .output();
        let list = list.map_err(|e| format!("{}: {e}", program.name))?;
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
        names
            .map(|name| Test::new(program, name, scratch))
            .collect()
    }

    fn new(program: &Built, name: &str, scratch: &Path) -> Result<Self, String> {
        let _ = std::fs::remove_file(scratch);
        let begin = Instant::now();
        let record = scratch.display().to_string();
        let end = run(program, name, &record, Duration::from_secs(1800));
        let time = begin.elapsed();
        if end != End::Passed {
            return Err(format!(
                "{}: {name} without a change: {end:?}",
                program.name
            ));
        }
        let text = std::fs::read_to_string(scratch).unwrap_or_default();
        let reached = text.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Test {
            program: program.clone(),
            name: name.to_owned(),
            time,
            reached,
        })
    }

    /// The program that it is part of.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program.name
    }

    /// Its name, with that of its program.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}: {}", self.program.name, self.name)
    }

    /// The same test in its program built anew.
    #[must_use]
    pub fn with(&self, program: Built) -> Self {
        Test {
            program,
            ..self.clone()
        }
    }

    /// Runs it with a change, or with none if the change is in its text.
    #[must_use]
    pub fn run(&self, number: Option<usize>) -> End {
        let patience = self.time * 10 + Duration::from_secs(10);
        let number = number.map_or(String::new(), |n| n.to_string());
        run(&self.program, &self.name, &number, patience)
    }
}

/// Runs one test until it ends or patience does.
fn run(program: &Built, test: &str, variable: &str, patience: Duration) -> End {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")])
        .arg(&program.path)
        .args(["--exact", test])
        .env(VARIABLE, variable)
        .env("RUST_BACKTRACE", "0")
        .current_dir(&program.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a test program starts");
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) if status.success() => return End::Passed,
            Some(_) => return End::Failed,
            None => {}
        }
        if Instant::now() > deadline {
            stop(&mut child);
            return End::Hung;
        }
        std::thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(50));
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
