//! The adaptive solver against a naive one: the published algorithm for one
//! sample, written down plainly, with the coefficients as printed. Numbers of
//! attempts must agree exactly and states to rounding, so a wrong factor
//! anywhere in the control is seen.

use solvers::{
    Adaptive, Counts, End, Norm, Outcome, Rows, Solve, Space, TimeGrid, Tolerance, methods,
};
use std::ops::ControlFlow;

/// `y' = (y₂, −sin y₁ − 0.2 y₂ + 0.5 cos t)`.
fn pendulum(t: f64, y: [f64; 2]) -> [f64; 2] {
    [y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos()]
}

/// Rows of two coordinates, one behind the other.
type Batch = Vec<f64>;

fn batch(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), &t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        dy.copy_from_slice(&pendulum(t, [y[0], y[1]]));
    }
}

/// Dormand and Prince (1980), table 2, RK5(4)7M.
const C: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
#[rustfmt::skip]
const A: [[f64; 6]; 7] = [
    [0.0; 6],
    [1.0 / 5.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0, 0.0],
    [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0, 0.0],
    [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0, 0.0, 0.0],
    [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0, 0.0],
    [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Weights of order 4 minus those of order 5, as Hairer's code prints them.
const E: [f64; 7] = [
    -71.0 / 57600.0,
    0.0,
    71.0 / 16695.0,
    -71.0 / 1920.0,
    17253.0 / 339_200.0,
    -22.0 / 525.0,
    1.0 / 40.0,
];

#[derive(Debug, PartialEq)]
struct Count {
    evaluations: usize,
    accepted: usize,
    rejected: usize,
}

/// One sample by the plain algorithm.
fn naive(start: [f64; 2], plan: &Adaptive) -> ([f64; 2], Count) {
    let (t0, t1, tolerance) = (plan.t0, plan.t1, plan.norm.tolerance);
    let norm = |e: [f64; 2], a: [f64; 2], b: [f64; 2]| {
        let one = |i: usize| {
            let size = f64::max(a[i].abs(), b[i].abs());
            e[i] / (tolerance.absolute + tolerance.relative * size)
        };
        ((one(0).powi(2) + one(1).powi(2)) / 2.0).sqrt()
    };
    let mut y = start;
    let mut slope = pendulum(t0, y);
    let mut count = Count {
        evaluations: 1,
        accepted: 0,
        rejected: 0,
    };
    let (size, speed) = (norm(y, y, y), norm(slope, y, y));
    let (span, direction) = ((t1 - t0).abs(), (t1 - t0).signum());
    let probe = match size >= 1e-5 && speed >= 1e-5 {
        true => 0.01 * size / speed,
        false => 1e-6,
    };
    let probe = probe.min(span);
    let there = [0, 1].map(|i| y[i] + direction * probe * slope[i]);
    let bent = pendulum(t0 + direction * probe, there);
    count.evaluations += 1;
    let bend = norm([bent[0] - slope[0], bent[1] - slope[1]], y, y) / probe;
    let first = match speed.max(bend) <= 1e-15 {
        true => (1e-3 * probe).max(1e-6),
        false => (0.01 / speed.max(bend)).powf(0.2),
    };
    let mut h = direction * first.min(100.0 * probe).min(span);
    let (mut t, mut rejected) = (t0, false);
    while t != t1 {
        let mut k = [slope; 7];
        let mut next = y;
        for stage in 1..7 {
            let sum = |i: usize| (0..stage).map(|j| A[stage][j] * k[j][i]).sum::<f64>();
            next = [y[0] + h * sum(0), y[1] + h * sum(1)];
            k[stage] = pendulum(t + C[stage] * h, next);
            count.evaluations += 1;
        }
        let error = |i: usize| h * (0..7).map(|j| E[j] * k[j][i]).sum::<f64>();
        let error = norm([error(0), error(1)], y, next);
        let ceiling = if rejected { 1.0 } else { 10.0 };
        let factor = (0.9 * error.powf(-0.2)).clamp(0.2, ceiling);
        rejected = !(error <= 1.0);
        if rejected {
            count.rejected += 1;
        } else {
            count.accepted += 1;
            let last = h.abs() >= (t1 - t).abs();
            t = if last { t1 } else { t + h };
            (y, slope) = (next, k[6]);
        }
        let left = t1 - t;
        h = if (h * factor).abs() >= left.abs() {
            left
        } else {
            h * factor
        };
    }
    (y, count)
}

fn count(end: &End<Vec<f64>>) -> Count {
    Count {
        evaluations: end.evaluations,
        accepted: end.accepted,
        rejected: end.rejected,
    }
}

/// What one sample needed.
fn own_count(end: &End<Vec<f64>>, row: usize) -> Count {
    let Counts {
        accepted,
        rejected,
        evaluations,
    } = end.counts[row];
    Count {
        evaluations,
        accepted,
        rejected,
    }
}

/// Each sample's counts are its own: those of the plain algorithm for it alone.
#[test]
fn a_sample_in_a_batch_is_counted_as_if_it_were_alone() {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 4.0, (i as f64 * 0.73).cos() * 3.0];
    for (t0, t1) in [(0.0, 6.0), (2.0, -3.0)] {
        let plan = plan(t0, t1, 1e-6, 1e-6);
        let end = solve((0..50).flat_map(start).collect(), &plan);
        let alone: Vec<Count> = (0..50).map(|i| naive(start(i), &plan).1).collect();
        for (row, alone) in alone.iter().enumerate() {
            assert_eq!(own_count(&end, row), *alone, "{row}");
        }
        let sum = |f: fn(&Count) -> usize| alone.iter().map(f).sum::<usize>();
        assert_eq!(end.accepted, sum(|count| count.accepted));
        assert_eq!(end.rejected, sum(|count| count.rejected));
        assert!(end.rejected > 0);
        // The work that was done is that of the samples, and what rows cost
        // that had arrived and were not yet put aside.
        assert!(end.sample_evaluations > sum(|count| count.evaluations));
    }
}

fn plan(t0: f64, t1: f64, relative: f64, absolute: f64) -> Adaptive {
    let mut plan = Adaptive::new(t0, t1, 1e-6).expect("a plan");
    plan.norm.tolerance = Tolerance { relative, absolute };
    plan
}

const PAIRS: Rows<f64> = Rows::new(2);

fn solve(y0: Vec<f64>, plan: &Adaptive) -> End<Vec<f64>> {
    let mut field = batch;
    let end = Solve::new(&PAIRS, &mut field).adaptive(&methods::DORMAND_PRINCE, y0, plan);
    end.expect("a valid problem")
}

/// Verifies (RK.4), (RK.5), (RK.12).
#[test]
fn every_decision_is_that_of_the_plain_algorithm() {
    let mut rejections = 0;
    // Starts of all sizes: 0, where nothing is known of the scale; nearly at
    // rest; and fast, so that first steps are rejected. Tolerances apart from
    // each other by several powers of ten, both ways.
    for start in [
        [0.0, 0.0],
        [1.0, 0.3],
        [4.0, -6.0],
        [1e-9, 0.0],
        [0.0, 2e-4],
    ] {
        for (t0, t1) in [(0.0, 10.0), (0.1, 0.7), (3.3, -2.9), (1e3, 1007.3)] {
            for (relative, absolute) in [(1e-3, 1e-6), (1e-9, 1e-5), (1e-6, 1e-9), (0.1, 0.2)] {
                let plan = plan(t0, t1, relative, absolute);
                let end = solve(start.to_vec(), &plan);
                let (y, expected) = naive(start, &plan);
                let place = format!("{start:?} over [{t0}, {t1}] at {relative}, {absolute}");
                assert_eq!(end.outcome, Outcome::Done, "{place}");
                assert_eq!(count(&end), expected, "{place}");
                assert_eq!(own_count(&end, 0), expected, "{place}");
                rejections += expected.rejected;
                for (found, y) in end.state.iter().zip(y) {
                    // Sums in another order are rounded otherwise. That moves
                    // the steps a little, and with them the truncation error,
                    // which is of the size of the tolerance: a millionth of it
                    // is seen at most where any other law of steps would show
                    // all of it.
                    let size = y.abs().max(1.0);
                    let bound = 1e-11 * size + 1e-6 * (absolute + relative * size);
                    assert!((found - y).abs() <= bound, "{place}: {found} against {y}");
                }
            }
        }
    }
    assert!(rejections >= 10, "rejections are met too: {rejections}");
}

/// Five samples that take n₁ < … < n₅ attempts: one of five is less than a
/// quarter, so all are evaluated until two have arrived, and from then on one
/// less each time.
#[test]
fn the_batch_is_compacted_once_a_quarter_of_it_has_arrived() {
    let plan = plan(0.0, 4.0, 1e-7, 1e-7);
    let starts = [[0.1, 0.0], [1.5, 1.0], [3.0, 9.0], [2.0, 4.0], [0.5, 2.0]];
    let mut attempts = starts.map(|y| {
        let end = solve(y.to_vec(), &plan);
        end.accepted + end.rejected
    });
    attempts.sort_unstable();
    assert!(attempts.windows(2).all(|w| w[0] < w[1]), "{attempts:?}");
    let [_, n2, n3, n4, n5] = attempts;
    let end = solve(starts.concat(), &plan);
    assert_eq!(end.evaluations, 2 + 6 * n5);
    let steps = 5 * n2 + 3 * (n3 - n2) + 2 * (n4 - n3) + (n5 - n4);
    assert_eq!(end.sample_evaluations, 2 * 5 + 6 * steps);
}

/// Rows with the trait's own `choose`.
struct Plain;

impl Space for Plain {
    type State = Vec<f64>;
    fn rows(&self, y: &Vec<f64>) -> usize {
        PAIRS.rows(y)
    }
    fn combine(&self, out: &mut Vec<f64>, y: &Vec<f64>, h: &[f64], terms: &[(f64, &Vec<f64>)]) {
        PAIRS.combine(out, y, h, terms);
    }
    fn error_norm(
        &self,
        out: &mut [f64],
        ends: (&Vec<f64>, &Vec<f64>),
        h: &[f64],
        terms: &[(f64, &Vec<f64>)],
        norm: &Norm,
    ) {
        PAIRS.error_norm(out, ends, h, terms, norm);
    }
    fn non_finite_row(&self, y: &Vec<f64>) -> Option<usize> {
        PAIRS.non_finite_row(y)
    }
    fn take(&self, y: &Vec<f64>, rows: &[usize]) -> Vec<f64> {
        PAIRS.take(y, rows)
    }
    fn put(&self, y: &mut Vec<f64>, rows: &[usize], part: &Vec<f64>) {
        PAIRS.put(y, rows, part);
    }
}

#[test]
fn a_space_that_only_takes_and_puts_gets_the_same_bits() {
    let plan = plan(0.0, 6.0, 1e-6, 1e-6);
    let starts: Vec<f64> = (0..40).map(|i| (f64::from(i) * 0.7).sin() * 4.0).collect();
    let mut field = batch;
    let plain = Solve::new(&Plain, &mut field)
        .adaptive(&methods::DORMAND_PRINCE, starts.clone(), &plan)
        .expect("a valid problem");
    let end = solve(starts, &plan);
    assert_eq!(plain.state, end.state);
    assert_eq!(count(&plain), count(&end));
    assert!(end.rejected > 0, "rows are chosen, not only copied");
}

/// `y' = y²` from 1 has no solution at t = 1: the step vanishes while all
/// numbers are still finite. A field that is NaN from somewhere on is another
/// ending.
#[test]
fn a_vanishing_step_is_told_from_a_broken_field() {
    let line = Rows::<f64>::new(1);
    let plan = plan(0.0, 2.0, 1e-6, 1e-6);
    let mut square = |_: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>| dy[0] = y[0] * y[0];
    let end = Solve::new(&line, &mut square)
        .adaptive(&methods::DORMAND_PRINCE, vec![1.0], &plan)
        .expect("a valid problem");
    match end.outcome {
        Outcome::StepUnderflow { t, sample: 0 } => assert!((t - 1.0).abs() <= 1e-3, "{t}"),
        other => panic!("{other:?}"),
    }
    assert!(end.state[0].is_finite() && end.state[0] > 1e3);
    let mut broken = |t: &[f64], _: &Vec<f64>, dy: &mut Vec<f64>| {
        dy[0] = if t[0] > 0.5 { f64::NAN } else { 1.0 };
    };
    let end = Solve::new(&line, &mut broken)
        .adaptive(&methods::DORMAND_PRINCE, vec![1.0], &plan)
        .expect("a valid problem");
    match end.outcome {
        Outcome::NonFinite { t, sample: 0 } => assert!((t - 0.5).abs() <= 1e-9, "{t}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_observer_that_stops_at_the_end_has_not_stopped_anything() {
    let plan = plan(0.0, 1.0, 1e-6, 1e-6);
    let run = |wanted: usize| {
        let mut shown = 0;
        let mut observer = |_: &[f64], _: &Vec<f64>| {
            shown += 1;
            match shown == wanted {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let mut field = batch;
        let end = Solve::new(&PAIRS, &mut field)
            .observed(&mut observer)
            .adaptive(&methods::DORMAND_PRINCE, vec![1.0, 0.3], &plan);
        end.expect("a valid problem")
    };
    let whole = run(0);
    // The start is shown first, then the state after each attempt.
    let all = 1 + whole.accepted + whole.rejected;
    assert!(all > 4);
    assert_eq!(run(all).outcome, Outcome::Done);
    let early = run(3);
    assert_eq!(
        (early.outcome, early.accepted + early.rejected),
        (Outcome::Stopped, 2)
    );
    assert_eq!(run(1).accepted, 0);
}

/// First same as last: the seventh stage of a step is the first of the next,
/// so n fixed steps cost 6n + 1 evaluations.
#[test]
fn a_last_stage_is_used_again_on_a_fixed_grid() {
    let grid = TimeGrid::uniform(0.0, 1.0, 9).expect("a grid");
    for (method, cost) in [
        (&*methods::DORMAND_PRINCE, 6 * 9 + 1),
        (&methods::RK4, 4 * 9),
    ] {
        let mut field = batch;
        let end = Solve::new(&PAIRS, &mut field).fixed(method, vec![0.5; 6], &grid);
        let end = end.expect("a valid problem");
        assert_eq!((end.evaluations, end.sample_evaluations), (cost, 3 * cost));
        assert_eq!((end.accepted, end.rejected), (3 * 9, 0));
    }
}
