//! The table of equations.

use fm::Error;
use fm::verify::{EQUATIONS, Equation, Row, Settings, Verdict};
use std::io::Write;
use std::process::ExitCode;

/// Verifies, prints, and says by the exit code whether everything holds.
pub(crate) fn verify(
    settings: &Settings,
    only: Option<&str>,
    json: bool,
) -> Result<ExitCode, Error> {
    let equations = match only {
        None => EQUATIONS.to_vec(),
        Some(tag) => vec![find(tag)?],
    };
    let mut settings = settings.clone();
    if let Some(tag) = &settings.plant {
        let planted = find(tag)?.tag;
        // Planted where nobody looks, it would seem to have been accepted.
        if equations.iter().all(|e| e.tag != planted) {
            let verified: Vec<&str> = equations.iter().map(|e| e.tag).collect();
            return Err(Error::argument("--plant", planted, verified.join(", ")));
        }
        settings.plant = Some(planted.to_owned());
    }
    let print = if json { Print::Nothing } else { Print::Rows };
    let rows = rows(&settings, &equations, print);
    if json {
        let text = serde_json::to_string_pretty(&rows);
        println!("{}", text.expect("rows are plain data"));
        return Ok(exit_code(&rows));
    }
    Ok(summary(&rows))
}

/// Whether rows are printed as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Print {
    Rows,
    Nothing,
}

/// Verifies the equations one after the other.
pub(crate) fn rows(settings: &Settings, equations: &[Equation], print: Print) -> Vec<Row> {
    if print == Print::Rows {
        println!(
            "seed {}, {} cases an equation",
            settings.seed, settings.cases
        );
        println!(
            "{:6} {:63} {:>8} {:>5} {:>5}  {:8} verdict",
            "", "claim", "residual", "order", "seen", "control"
        );
    }
    let one = |equation: &Equation| {
        let row = equation.verify(settings);
        if print == Print::Rows {
            print_row(&row);
        }
        row
    };
    equations.iter().map(one).collect()
}

/// Prints the last line, and says by the exit code whether everything holds.
pub(crate) fn summary(rows: &[Row]) -> ExitCode {
    println!("verified {} of {} equations", passed(rows), rows.len());
    exit_code(rows)
}

fn passed(rows: &[Row]) -> usize {
    rows.iter().filter(|r| r.verdict == Verdict::Pass).count()
}

fn exit_code(rows: &[Row]) -> ExitCode {
    match passed(rows) == rows.len() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn find(tag: &str) -> Result<Equation, Error> {
    let found = EQUATIONS.iter().find(|e| e.tag.eq_ignore_ascii_case(tag));
    found.copied().ok_or_else(|| Error::UnknownName {
        what: "equation",
        given: tag.to_owned(),
        expected: "FM.1 to FM.22".to_owned(),
    })
}

fn print_row(row: &Row) {
    let order = |order: Option<f64>| order.map_or(String::new(), |o| format!("{o:.2}"));
    let control = if row.control_rejected {
        "rejected"
    } else {
        "ACCEPTED"
    };
    let verdict = match row.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
    };
    println!(
        "{:6} {:63} {:>8.1e} {:>5} {:>5}  {:8} {verdict}",
        row.equation,
        row.claim,
        row.residual,
        order(row.expected_order),
        order(row.observed_order),
        control,
    );
    if let Some(case) = &row.smallest_failing_case {
        println!("       smallest failing case: {case}");
    }
    // Rows appear as they are computed, also through a pipe.
    let _ = std::io::stdout().flush();
}
