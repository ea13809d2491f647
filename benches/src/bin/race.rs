//! **The race**: the training step in flowgrad and in its peers, side by side.
//!
//! ```sh
//! cargo run --release -p flowgrad-benches --bin race
//! cargo run --release -p flowgrad-benches --bin race -- --cpus 0 --clock processor
//! ```
//!
//! Builds `fm_step`, makes a Python environment with the pinned peers in the
//! target folder, runs every program once a round, and prints a table: median
//! times, and ratios taken within rounds. On a shared machine wall time tells
//! little even so; there the second line is the one to trust, where every
//! program has one processor and only the time it spends on it is counted.
//!
//! Ends with 2 if Python or a peer cannot be had, with 1 if a program fails.

use clap::Parser;
use flowgrad_benches::race::{read, table};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Races the training step against other frameworks.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often every program runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds a program spends on each of the four sizes.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Processors to run on, as `taskset -c` takes them.
    #[arg(long)]
    cpus: Option<String>,
    /// What is counted: wall, or processor time of all threads added.
    #[arg(long, default_value = "wall", value_parser = ["wall", "processor"])]
    clock: String,
    /// The peers, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "jax,torch-eager,torch-compile"
    )]
    peers: Vec<String>,
}

/// Why a race cannot be held, and the exit code that says so.
struct Stop(u8, String);

/// A program that can run.
struct Runner {
    name: String,
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    match race(&Arguments::parse()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Stop(code, reason)) => {
            eprintln!("race: {reason}");
            ExitCode::from(code)
        }
    }
}

fn race(arguments: &Arguments) -> Result<String, Stop> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = target_folder()?;
    let python = python(here, &target)?;
    let mut runners = vec![Runner {
        name: "flowgrad".to_owned(),
        command: vec![fm_step(&target)?.into()],
    }];
    for peer in &arguments.peers {
        let (script, mode) = match peer.as_str() {
            "jax" => ("fm_step_jax.py", None),
            "torch-eager" => ("fm_step_torch.py", Some("eager")),
            "torch-compile" => ("fm_step_torch.py", Some("compile")),
            other => {
                let known = "jax, torch-eager, torch-compile";
                return Err(Stop(2, format!("there is no peer {other:?}, only {known}")));
            }
        };
        let script = here.join("peers").join(script);
        let mut command = vec![python.clone().into(), script.into()];
        command.extend(mode.map(OsString::from));
        let name = peer.clone();
        runners.push(Runner { name, command });
    }
    let mut rounds = Vec::new();
    for round in 1..=arguments.rounds {
        let mut times = Vec::new();
        for runner in &runners {
            eprintln!("round {round} of {}: {}", arguments.rounds, runner.name);
            let output = runner.run(arguments)?;
            times.push(read(&runner.name, &output).map_err(|reason| Stop(1, reason))?);
        }
        rounds.push(times);
    }
    let names: Vec<&str> = runners.iter().map(|r| r.name.as_str()).collect();
    Ok(table(&names, &rounds))
}

impl Runner {
    /// Runs once and returns what was printed.
    fn run(&self, arguments: &Arguments) -> Result<String, Stop> {
        let mut words = Vec::new();
        if let Some(cpus) = &arguments.cpus {
            words.extend(["taskset", "-c", cpus].map(OsString::from));
        }
        words.extend(self.command.iter().cloned());
        words.push(arguments.seconds.to_string().into());
        words.push(arguments.clock.clone().into());
        // Each framework asks how many processors it may use; these would
        // override the answer.
        let output = Command::new(&words[0])
            .args(&words[1..])
            .env_remove("RAYON_NUM_THREADS")
            .env_remove("OMP_NUM_THREADS")
            .stderr(Stdio::piped())
            .output()
            .map_err(|e| Stop(1, format!("{} cannot be started: {e}", words[0].display())))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().last().unwrap_or("without a word");
            let status = output.status;
            return Err(Stop(
                1,
                format!("{} ended with {status}: {last}", self.name),
            ));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The folder cargo builds into: two above this program.
fn target_folder() -> Result<PathBuf, Stop> {
    let own = std::env::current_exe().map_err(|e| Stop(1, e.to_string()))?;
    let folder = own.ancestors().nth(2);
    let folder = folder.ok_or_else(|| Stop(1, "this program lies in no folder".to_owned()))?;
    Ok(folder.to_owned())
}

/// Builds the program that is raced.
fn fm_step(target: &Path) -> Result<PathBuf, Stop> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "-p", "flowgrad-benches"]);
    command
        .args(["--bin", "fm_step", "--target-dir"])
        .arg(target);
    succeed(&mut command, 1, "cargo could not build fm_step")?;
    Ok(target.join("release").join("fm_step"))
}

/// The interpreter of an environment that has the pinned peers.
fn python(here: &Path, target: &Path) -> Result<PathBuf, Stop> {
    let folder = target.join("peers-venv");
    let python = folder.join("bin").join("python");
    let wanted = here.join("peers").join("requirements.txt");
    let installed = folder.join("requirements.txt");
    let text = fs::read(&wanted);
    let text = text.map_err(|e| Stop(2, format!("{}: {e}", wanted.display())))?;
    if fs::read(&installed).is_ok_and(|have| have == text) {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&folder);
    succeed(&mut make, 2, "the peers need python3 with its venv module")?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "-r"])
        .arg(&wanted);
    succeed(&mut install, 2, "pip could not install the peers")?;
    fs::write(&installed, text).map_err(|e| Stop(2, e.to_string()))?;
    Ok(python)
}

/// Runs a command to its end, or says in one line why not.
fn succeed(command: &mut Command, code: u8, reason: &str) -> Result<(), Stop> {
    // What it prints would mix with the table.
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|e| Stop(code, format!("{reason}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    // `venv` complains on one stream, `pip` and `cargo` on the other.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.trim().lines().last().unwrap_or("without a word");
    Err(Stop(code, format!("{reason}: {last}")))
}
