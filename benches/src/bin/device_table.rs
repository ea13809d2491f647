//! Prints the table of a run on a GPU: `device_table CEILINGS CRITERION PEERS`,
//! a file of ceilings, criterion's folder, and a file of what peers printed.

use flowgrad_benches::device_table::{of_criterion, of_peers, table};
use flowgrad_benches::floor::Ceilings;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn run(ceilings: &str, criterion: &str, peers: &str) -> Result<String, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let said = read(ceilings)?;
    // An emulated GPU has no ceilings, and refuses to be timed.
    if let Some(line) = said.lines().find(|line| line.starts_with("emulated")) {
        return Ok(format!("{line}\n"));
    }
    let ceilings = Ceilings::of_lines(&said)?;
    let points = of_criterion(Path::new(criterion)).map_err(|e| format!("{criterion}: {e}"));
    let mut points = points?;
    // Without any peer there is still a table.
    points.extend(of_peers(&read(peers).unwrap_or_default()));
    Ok(format!(
        "```text\n{}```\n\n{}",
        ceilings.to_lines(),
        table(&ceilings, &points)
    ))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [ceilings, criterion, peers] = &words[..] else {
        eprintln!("device_table: {words:?}; expected CEILINGS CRITERION PEERS");
        return ExitCode::from(2);
    };
    match run(ceilings, criterion, peers) {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("device_table: {error}");
            ExitCode::FAILURE
        }
    }
}
