//! What the solvers promise: the exact maps, the orders, the ends of the
//! interval, independence of the batch, and endings that say what happened.

use serde_json::Value;
use solvers::{Adaptive, Error, Method, Outcome, Rows, Solve, TimeGrid, methods};
use std::ops::ControlFlow;

/// Rows of two coordinates, one behind the other.
type Batch = Vec<f64>;

/// `y' = (y₂, −sin y₁ − 0.2 y₂ + 0.5 cos t)`: nonlinear and non-autonomous, so
/// every order condition and every node counts.
fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

fn lotka_volterra(_t: &[f64], y: &Batch, dy: &mut Batch) {
    for (y, dy) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)) {
        (dy[0], dy[1]) = (y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0));
    }
}

type Pair = fn(&[f64], &Batch, &mut Batch);
const PAIRS: Rows<f64> = Rows::new(2);

fn march(mut field: Pair, method: &Method, y0: &[f64], nodes: Vec<f64>) -> Vec<f64> {
    let grid = TimeGrid::new(nodes).expect("a monotone grid");
    let end = Solve::new(&PAIRS, &mut field).fixed(method, y0.to_vec(), &grid);
    let end = end.expect("a valid problem");
    assert_eq!(end.outcome, Outcome::Done);
    end.state
}

fn references() -> Value {
    serde_json::from_str(include_str!("../data/references.json")).expect("valid JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list").iter();
    list.map(|x| x.as_str().expect("text").parse().expect("a number"))
        .collect()
}

/// The names of the reference file, in the order of `methods::ALL`.
const MAPS: [&str; 12] = [
    "euler",
    "midpoint",
    "heun2",
    "ralston2",
    "kutta3",
    "ssprk33",
    "rk4",
    "rk38",
    "bogacki_shampine32",
    "dormand_prince54",
    "tsitouras54",
    "dop853",
];

/// Against maps computed with fifty digits: this tests the stepper, not only
/// the coefficients.
///
/// Verifies (RK.2).
#[test]
fn one_step_and_sixteen_are_the_exact_maps() {
    let references = references();
    for (name, method) in MAPS.into_iter().zip(*methods::ALL) {
        for (problem, field) in [
            ("forced_damped_pendulum", pendulum as Pair),
            ("lotka_volterra", lotka_volterra),
        ] {
            let map = &references["maps"][name][problem];
            let scalar = |key: &str| {
                map[key]
                    .as_str()
                    .expect("text")
                    .parse::<f64>()
                    .expect("number")
            };
            let (t0, h, y0) = (scalar("t0"), scalar("h"), numbers(&map["y0"]));
            let grid = |steps: u32| {
                (0..=steps)
                    .map(|i| t0 + h * f64::from(i))
                    .collect::<Vec<_>>()
            };
            let one = march(field, method, &y0, grid(1));
            let sixteen = march(field, method, &y0, grid(16));
            let back = march(field, method, &numbers(&map["y1"]), vec![t0 + h, t0]);
            for (found, key, steps) in [
                (one, "y1", 1.0),
                (sixteen, "y_after_16_steps", 16.0),
                (back, "one_step_back_from_y1", 1.0),
            ] {
                for (found, exact) in found.iter().zip(numbers(&map[key])) {
                    // A dozen stages of some ten roundings each on numbers of
                    // size 10; errors grow less than fivefold over the 16
                    // steps.
                    let bound = steps * 5.0 * 12.0 * f64::EPSILON;
                    let error = (found - exact).abs();
                    assert!(error <= bound, "{name} {problem} {key}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn the_interval_is_never_left_and_its_end_is_met_in_bits() {
    for (t0, t1) in [(0.0, 1.0), (0.1, 0.7), (1.0, 0.0), (0.3, -0.9)] {
        let (low, high) = (f64::min(t0, t1), f64::max(t0, t1));
        let mut seen = 0;
        let mut field = |t: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>| {
            assert!(t.iter().all(|t| (low..=high).contains(t)), "{t:?}");
            seen += 1;
            pendulum(t, y, dy);
        };
        for method in [&*methods::MIDPOINT, &methods::RK4, &methods::DORMAND_PRINCE] {
            let grid = TimeGrid::uniform(t0, t1, 7).expect("a grid");
            let end = Solve::new(&PAIRS, &mut field).fixed(method, vec![1.0, 0.3], &grid);
            assert_eq!(end.expect("valid").times, [t1]);
        }
        let plan = Adaptive::new(t0, t1, 1e-7).expect("a plan");
        let end = Solve::new(&PAIRS, &mut field)
            .adaptive(&methods::DORMAND_PRINCE, vec![1.0, 0.3], &plan)
            .expect("valid");
        assert_eq!(
            (end.times[0].to_bits(), end.outcome),
            (t1.to_bits(), Outcome::Done)
        );
        assert!(seen > 0);
    }
}

fn adaptive(y0: Vec<f64>, t0: f64, t1: f64, tolerance: f64) -> solvers::End<Vec<f64>> {
    let plan = Adaptive::new(t0, t1, tolerance).expect("a plan");
    let mut field = pendulum;
    Solve::new(&PAIRS, &mut field)
        .adaptive(&methods::DORMAND_PRINCE, y0, &plan)
        .expect("valid")
}

#[test]
fn there_and_back_again() {
    let there = adaptive(vec![1.0, 0.3], 0.0, 3.0, 1e-10).state;
    let back = adaptive(there, 3.0, 0.0, 1e-10).state;
    // Two hundred steps of tolerance 1e-10 at most, mildly amplified.
    assert!(
        (back[0] - 1.0).abs() <= 2e-8 && (back[1] - 0.3).abs() <= 2e-8,
        "{back:?}"
    );
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    let batch: Vec<f64> = (0..257).flat_map(start).collect();
    let together = adaptive(batch.clone(), 0.0, 5.0, 1e-6);
    assert_eq!(together.outcome, Outcome::Done);
    let nodes: Vec<f64> = (0..=10).map(|i| 0.5 * f64::from(i)).collect();
    let fixed = march(pendulum, &methods::RK4, &batch, nodes.clone());
    let mut work = 0;
    for i in 0..257 {
        let alone = adaptive(start(i).to_vec(), 0.0, 5.0, 1e-6);
        assert_eq!(
            alone.state[..],
            together.state[2 * i..2 * i + 2],
            "sample {i}"
        );
        let alone_fixed = march(pendulum, &methods::RK4, &start(i), nodes.clone());
        assert_eq!(alone_fixed[..], fixed[2 * i..2 * i + 2], "sample {i}");
        work += alone.sample_evaluations;
    }
    // Compaction: no more than twice the work of solving each alone.
    assert!(together.sample_evaluations <= 2 * work);
    assert!(together.sample_evaluations >= work);
}

#[test]
fn a_field_that_breaks_down_is_named_with_time_and_sample() {
    let mut field = |t: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>| {
        pendulum(t, y, dy);
        for (row, &t) in t.iter().enumerate() {
            // Rows move when the batch is compacted: known by its state.
            if y[2 * row] > 50.0 && t > 0.6 {
                dy[2 * row] = f64::NAN;
            }
        }
    };
    let mut y0 = vec![0.1; 8];
    y0[4] = 100.0;
    let grid = TimeGrid::uniform(0.0, 1.0, 10).expect("a grid");
    let end = Solve::new(&PAIRS, &mut field).fixed(&methods::RK4, y0.clone(), &grid);
    let end = end.expect("valid");
    match end.outcome {
        Outcome::NonFinite { t, sample: 2 } => assert!((t - 0.6).abs() <= 1e-12),
        other => panic!("{other:?}"),
    }
    assert!(
        end.state.iter().all(|y| y.is_finite()),
        "the last good state"
    );
    let plan = Adaptive::new(0.0, 1.0, 1e-6).expect("a plan");
    let end = Solve::new(&PAIRS, &mut field)
        .adaptive(&methods::DORMAND_PRINCE, y0, &plan)
        .expect("valid");
    assert!(
        matches!(end.outcome, Outcome::NonFinite { sample: 2, .. }),
        "{:?}",
        end.outcome
    );
    assert!(end.times[2] <= 0.6 && end.state.iter().all(|y| y.is_finite()));
}

#[test]
fn the_step_limit_and_the_observer_end_a_solve_with_its_state() {
    let mut plan = Adaptive::new(0.0, 10.0, 1e-8).expect("a plan");
    plan.max_steps = 5;
    let mut field = pendulum;
    let end = Solve::new(&PAIRS, &mut field)
        .adaptive(&methods::DORMAND_PRINCE, vec![1.0, 0.3], &plan)
        .expect("valid");
    let t = end.times[0];
    assert_eq!(end.outcome, Outcome::MaxSteps { t, sample: 0 });
    assert!(end.times[0] > 0.0 && end.times[0] < 10.0 && end.accepted + end.rejected == 5);
    let mut left = 3;
    let mut observer = |_: &[f64], _: &Vec<f64>| {
        left -= 1;
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let grid = TimeGrid::uniform(0.0, 1.0, 10).expect("a grid");
    let end = Solve::new(&PAIRS, &mut field)
        .observed(&mut observer)
        .fixed(&methods::EULER, vec![1.0, 0.3], &grid)
        .expect("valid");
    assert_eq!((end.outcome, end.accepted), (Outcome::Stopped, 2));
}

#[test]
fn bad_questions_are_refused_with_the_value() {
    let text = |e: Error| e.to_string();
    let error = Adaptive::new(0.0, 1.0, -1.0).map(|_| ()).unwrap_err();
    assert_eq!(
        text(error),
        "the tolerance is -1; expected a positive number"
    );
    let error = Adaptive::new(f64::NAN, 1.0, 1e-3).map(|_| ()).unwrap_err();
    assert_eq!(text(error), "t0 is NaN; expected a finite number");
    let plan = Adaptive::new(0.0, 1.0, 1e-3).expect("a plan");
    let mut field = pendulum;
    let error = Solve::new(&PAIRS, &mut field).adaptive(&methods::RK4, vec![1.0, 0.3], &plan);
    assert!(text(error.unwrap_err()).starts_with("RK4 has no embedded error estimate"));
}
