//! Work and precision: with scipy's law of steps the work is scipy's.
//!
//! The counts are scipy 1.17.1's (`solve_ivp`, rtol = atol), the exact ends
//! come from extrapolation with 40 digits.

use crate::references::{numbers, references};
use serde_json::Value;
use solvers::{Adaptive, Method, Outcome, Rows, Solve, methods};

type Batch = Vec<f64>;

/// One sample's field.
type Field = fn(f64, &[f64], &mut [f64]);

const PROBLEMS: [(&str, Field); 5] = [
    ("harmonic_oscillator", |_, y, dy| {
        (dy[0], dy[1]) = (y[1], -4.0 * y[0]);
    }),
    ("lotka_volterra", |_, y, dy| {
        (dy[0], dy[1]) = (y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0));
    }),
    ("pendulum", |_, y, dy| (dy[0], dy[1]) = (y[1], -y[0].sin())),
    ("logistic", |_, y, dy| dy[0] = y[0] * (1.0 - y[0])),
    ("forced_damped_pendulum", |t, y, dy| {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }),
];

fn time(value: &Value) -> f64 {
    value
        .as_f64()
        .or_else(|| value.as_str()?.parse().ok())
        .expect("a time")
}

#[test]
fn the_work_is_scipys_and_the_error_too() {
    let references = references();
    let mut rows = 0;
    for (name, field) in PROBLEMS {
        let problem = &references["problems"][name];
        let (y0, exact) = (numbers(&problem["y0"]), numbers(&problem["y1"]));
        let (t0, t1) = (time(&problem["t0"]), time(&problem["t1"]));
        for (peer, method) in [
            ("RK23", &*methods::BOGACKI_SHAMPINE),
            ("RK45", &methods::DORMAND_PRINCE),
            ("DOP853", &methods::DOP853),
        ] {
            let method: &Method = method;
            let list = problem["work_precision_scipy"][peer].as_array();
            for row in list.expect("a list") {
                let number = |key: &str| row[key].as_f64().expect("a number");
                let mut plan = Adaptive::new(t0, t1, number("tol")).expect("a plan");
                plan.max_steps = 100_000;
                let space = Rows::<f64>::new(y0.len());
                let mut field = |t: &[f64], y: &Batch, dy: &mut Batch| field(t[0], y, dy);
                let end = Solve::new(&space, &mut field).adaptive(method, y0.clone(), &plan);
                let end = end.expect("a valid problem");
                assert_eq!(end.outcome, Outcome::Done);
                let errors = end.state.iter().zip(&exact).map(|(y, e)| (y - e).abs());
                let error = errors.fold(0.0, f64::max);
                let (work, precision) = (
                    end.evaluations as f64 / number("nfev"),
                    error / number("err_max"),
                );
                let place = format!("{name} {peer} {:.0e}", number("tol"));
                println!("{place}: {work:.4} of the work, {precision:.4} of the error");
                // The same decisions, step by step. The error may differ by
                // what rounding is of it.
                assert_eq!(work, 1.0, "{place}");
                assert!((precision - 1.0).abs() <= 1e-2, "{place}: {precision}");
                rows += 1;
            }
        }
    }
    assert_eq!(rows, 60);
}
