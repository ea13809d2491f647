//! The table of operations: `flowgrad verify --autograd`.

use autograd::check::catalogue::{Class, Entry, entries};
use autograd::check::sensitivity::{Measured, measure};
use autograd::check::{Direction, Fault, references, with_fault};
use fm::Error;
use fm::verify::Verdict;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};
use std::process::ExitCode;

/// The size of a planted fault, and the largest that may go unseen.
const FAULT: f64 = 1e-9;

/// What is said of one operation.
#[derive(Clone, Debug, Serialize)]
struct Row {
    operation: &'static str,
    #[serde(serialize_with = "in_words")]
    class: Class,
    jvp_error: f64,
    vjp_error: f64,
    dot_residual: f64,
    value_ulps: Option<f64>,
    smallest_error_caught: Option<f64>,
    verdict: Verdict,
}

fn in_words<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(class)
}

/// Verifies the operations, prints, and says by the exit code whether all of
/// them hold.
pub(crate) fn verify(
    only: Option<&str>,
    plant: Option<&str>,
    json: bool,
) -> Result<ExitCode, Error> {
    let chosen = match only {
        None => entries(),
        Some(name) => vec![find(name)?],
    };
    if let Some(name) = plant {
        find(name)?;
    }
    if !json {
        println!(
            "{:24} {:9} {:>8} {:>8} {:>8} {:>6} {:>8}  verdict",
            "operation", "class", "jvp", "vjp", "dot", "ulps", "caught"
        );
    }
    // Drawn on a terminal only.
    let bar = ProgressBar::new(chosen.len() as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
    bar.set_style(style.expect("a valid template"));
    let references = references::all();
    let mut rows = Vec::with_capacity(chosen.len());
    for entry in &chosen {
        bar.set_message(entry.name);
        let row = row(entry, plant == Some(entry.name), &references);
        if !json {
            bar.suspend(|| print(&row));
        }
        rows.push(row);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if json {
        let text = serde_json::to_string_pretty(&rows);
        println!("{}", text.expect("rows are plain data"));
    } else {
        summarise(&rows);
    }
    Ok(match passed(&rows) == rows.len() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn find(name: &str) -> Result<Entry, Error> {
    let entry = entries().into_iter().find(|e| e.name == name);
    entry.ok_or_else(|| Error::UnknownName {
        what: "operation",
        given: name.to_owned(),
        expected: "a name of the table that `flowgrad verify --autograd` prints".to_owned(),
    })
}

/// Measures and judges one operation, with a fault in its rules if asked.
fn row(entry: &Entry, planted: bool, references: &[references::Reference]) -> Row {
    let at = &entry.points[0];
    let measured = measure(&entry.program, at);
    let fault = Fault {
        relative: FAULT,
        direction: Direction::Alike,
        row: None,
        rule: None,
    };
    let errors = match planted {
        true => with_fault(fault, || measure(&entry.program, at)),
        false => measured,
    };
    let reference = references.iter().find(|r| r.name == entry.name);
    let each = entry.class == Class::Pointwise;
    let value_ulps = reference.map(|r| r.ulps::<f64, _>(&entry.program, each));
    let near = value_ulps.is_some_and(|ulps| ulps <= entry.allowed_ulps().0);
    let passes = errors.holds() && near && is_sensitive(&measured);
    Row {
        operation: entry.name,
        class: entry.class,
        jvp_error: errors.jvp_error,
        vjp_error: errors.vjp_error,
        dot_residual: errors.dot_residual,
        value_ulps,
        smallest_error_caught: measured.hardest.map(|fault| fault.relative),
        verdict: if passes { Verdict::Pass } else { Verdict::Fail },
    }
}

/// Whether every fault of 10⁻⁹ is rejected. Where there is no rule that could
/// be wrong, the derivative is exactly 0.
fn is_sensitive(measured: &Measured) -> bool {
    match measured.hardest {
        Some(fault) => fault.relative <= FAULT,
        None => measured.jvp_error == 0.0 && measured.vjp_error == 0.0,
    }
}

fn print(row: &Row) {
    let optional = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.0e}"));
    let ulps = row.value_ulps.map_or("-".to_owned(), |x| format!("{x:.2}"));
    let verdict = match row.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
    };
    println!(
        "{:24} {:9} {:>8.1e} {:>8.1e} {:>8.1e} {ulps:>6} {:>8}  {verdict}",
        row.operation,
        row.class,
        row.jvp_error,
        row.vjp_error,
        row.dot_residual,
        optional(row.smallest_error_caught),
    );
}

fn passed(rows: &[Row]) -> usize {
    rows.iter().filter(|r| r.verdict == Verdict::Pass).count()
}

fn summarise(rows: &[Row]) {
    let caught = rows.iter().filter_map(|r| r.smallest_error_caught);
    let worst = caught.fold(0.0, f64::max);
    println!(
        "verified {} of {} operations; a relative error of {worst:.0e} in any rule, \
         in either mode or both alike, is rejected",
        passed(rows),
        rows.len()
    );
}
