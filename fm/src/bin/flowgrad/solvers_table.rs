//! The table of solvers: what each method says, by its conditions and as seen.

use fm::Error;
use serde::Serialize;
use solvers::{Examination, Method, examine, methods, with_wrong_weight};
use std::process::ExitCode;

/// A row, as programs read it.
#[derive(Serialize)]
struct Row {
    method: &'static str,
    stages: usize,
    order: usize,
    embedded_order: Option<usize>,
    dense_order: usize,
    estimator_norm: Option<f64>,
    real_interval: f64,
    imag_interval: f64,
    order_observed: f64,
    dense_order_observed: f64,
    /// Part of the verdict, and so no key of its own.
    #[serde(skip)]
    control_rejected: bool,
    verdict: &'static str,
}

impl From<Examination> for Row {
    fn from(found: Examination) -> Self {
        Row {
            method: found.method,
            stages: found.stages,
            order: found.order,
            embedded_order: found.embedded_order,
            dense_order: found.dense_order,
            estimator_norm: found.estimator_norm,
            real_interval: found.real_interval,
            imag_interval: found.imag_interval,
            order_observed: found.order_observed,
            dense_order_observed: found.dense_order_observed,
            control_rejected: found.control_rejected,
            verdict: if found.passed { "pass" } else { "fail" },
        }
    }
}

/// Examines every method, prints, and says by the exit code whether all hold.
/// The method of the name `plant` is examined with a wrong weight.
pub(crate) fn verify(plant: Option<&str>, json: bool) -> Result<ExitCode, Error> {
    if let Some(name) = plant
        && methods::by_name(name).is_none()
    {
        return Err(Error::UnknownName {
            what: "method",
            given: name.to_owned(),
            expected: methods::NAMES.join(", "),
        });
    }
    let row = |(name, method): (&str, &&Method)| match plant == Some(name) {
        true => examine(&with_wrong_weight(method)).into(),
        false => examine(method).into(),
    };
    let named = methods::NAMES.into_iter().zip(methods::ALL.iter());
    let rows: Vec<Row> = named.map(row).collect();
    if json {
        let text = serde_json::to_string_pretty(&rows);
        println!("{}", text.expect("rows are plain data"));
    } else {
        print(&rows);
    }
    Ok(match rows.iter().all(|row| row.verdict == "pass") {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print(rows: &[Row]) {
    println!("Orders are counted over all rooted trees and seen as slopes; a norm is that of the");
    println!("estimate's leading coefficients; intervals are those of linear stability. A wrong");
    println!("twin of each method, one coefficient a thousandth off, must be rejected.");
    println!();
    println!(
        "{:17} {:>6} {:>5} {:>5} {:>8} {:>5} {:>5} {:>10} {:>7} {:>7}  {:8} verdict",
        "method",
        "stages",
        "order",
        "seen",
        "embedded",
        "dense",
        "seen",
        "norm",
        "real",
        "imag",
        "control",
    );
    for row in rows {
        let text = |x: Option<String>| x.unwrap_or_default();
        println!(
            "{:17} {:6} {:5} {:5.2} {:>8} {:5} {:5.2} {:>10} {:7.4} {:7.4}  {:8} {}",
            row.method,
            row.stages,
            row.order,
            row.order_observed,
            text(row.embedded_order.map(|p| p.to_string())),
            row.dense_order,
            row.dense_order_observed,
            text(row.estimator_norm.map(|norm| format!("{norm:.4e}"))),
            row.real_interval,
            row.imag_interval,
            if row.control_rejected {
                "rejected"
            } else {
                "ACCEPTED"
            },
            if row.verdict == "pass" {
                "pass"
            } else {
                "FAIL"
            },
        );
    }
    let passed = rows.iter().filter(|row| row.verdict == "pass").count();
    println!("verified {passed} of {} methods", rows.len());
}
