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
    if let Some(tag) = &settings.plant {
        find(tag)?;
    }
    let mut rows = Vec::new();
    if !json {
        println!(
            "seed {}, {} cases an equation",
            settings.seed, settings.cases
        );
        println!(
            "{:6} {:58} {:>9} {:>6} {:>6}  {:8} verdict",
            "", "claim", "residual", "order", "seen", "control"
        );
    }
    for equation in &equations {
        let row = equation.verify(settings);
        if !json {
            print_row(&row);
        }
        rows.push(row);
    }
    let passed = rows.iter().filter(|r| r.verdict == Verdict::Pass).count();
    if json {
        let text = serde_json::to_string_pretty(&rows);
        println!("{}", text.expect("rows are plain data"));
    } else {
        println!("verified {passed} of {} equations", rows.len());
    }
    let all = passed == rows.len();
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
        "{:6} {:58} {:>9.1e} {:>6} {:>6}  {:8} {verdict}",
        row.equation,
        row.claim,
        row.residual,
        order(row.expected_order),
        order(row.observed_order),
        control,
    );
    // Rows appear as they are computed, also through a pipe.
    let _ = std::io::stdout().flush();
}
