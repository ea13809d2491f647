//! A stored solution: the same bits that would have been saved, its order at
//! any time, and no answer where it knows none.

use solvers::{
    Adaptive, Batch, Crossing, End, Error, Event, Mean, Method, Outcome, Rows, Solve, Then,
    TimeGrid, Trajectory, methods,
};

type Points = Vec<f64>;
type Field = fn(&[f64], &Points, &mut Points);

const PAIRS: Rows<f64> = Rows::new(2);

/// `y' = (y₂, −sin y₁ − 0.2 y₂ + 0.5 cos t)`.
fn pendulum(t: &[f64], y: &Points, dy: &mut Points) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

fn starts(count: usize) -> Points {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    (0..count).flat_map(start).collect()
}

/// Where steps come from.
#[derive(Debug)]
enum Steps {
    Grid(TimeGrid),
    Chosen(Adaptive),
}

/// A grid, steps of their own and common steps.
fn ways(t0: f64, t1: f64) -> [Steps; 3] {
    let own = Adaptive::new(t0, t1, 1e-6).expect("a plan");
    let shared = Adaptive {
        batch: Batch::Shared(Mean::Largest),
        ..own
    };
    let grid = TimeGrid::uniform(t0, t1, 9).expect("a grid");
    [Steps::Grid(grid), Steps::Chosen(own), Steps::Chosen(shared)]
}

fn solved<'a>(
    solve: Solve<'a, Rows<f64>, Field>,
    method: &'a Method,
    steps: &'a Steps,
    y0: Points,
) -> End<Points> {
    let end = match steps {
        Steps::Grid(grid) => solve.fixed(method, y0, grid),
        Steps::Chosen(plan) => solve.adaptive(method, y0, plan),
    };
    end.expect("a valid problem")
}

/// The ends, nodes and times between them: asked for beforehand, and looked up
/// afterwards.
///
/// Verifies (RK.10).
#[test]
fn what_is_looked_up_is_what_would_have_been_saved_in_bits() {
    const ROWS: usize = 37;
    let mut field: Field = pendulum;
    for (t0, t1) in [(0.25, 4.75), (1.5, -3.0)] {
        let time = |i: usize| t0 + (t1 - t0) * i as f64 / 36.0;
        let times: Vec<f64> = (0..=36).map(time).collect();
        for steps in &ways(t0, t1) {
            let chosen = matches!(steps, Steps::Chosen(_));
            let able = methods::ALL.iter();
            for method in able.filter(|method| !chosen || method.estimator.is_some()) {
                let solve = Solve::new(&PAIRS, &mut field).save_at(&times);
                let saved = solved(solve, method, steps, starts(ROWS));
                for block in [ROWS, 8] {
                    let mut path = Trajectory::new();
                    let solve = Solve::new(&PAIRS, &mut field).in_blocks(block);
                    let end = solved(solve.kept_in(&mut path), method, steps, starts(ROWS));
                    let place = format!("{} in blocks of {block}, {steps:?}", method.name);
                    assert_eq!(end.state, saved.state, "{place}");
                    for (saved, &t) in saved.saved.iter().zip(&times).rev() {
                        let found = path.at(&PAIRS, t).expect("a time within");
                        assert_eq!(&found, saved, "{place} at {t}");
                    }
                    // Each row at a time of its own.
                    let which = |row: usize| (7 * row) % 37;
                    let own: Vec<f64> = (0..ROWS).map(|row| times[which(row)]).collect();
                    let found = path.at_each(&PAIRS, &own).expect("times within");
                    for row in 0..ROWS {
                        let saved = &saved.saved[which(row)];
                        assert_eq!(found[2 * row..][..2], saved[2 * row..][..2], "{place}");
                        assert_eq!(path.steps(row), end.counts[row].accepted, "{place}");
                        assert_eq!(path.span(row), Some((t0, t1)), "{place}");
                    }
                }
            }
        }
    }
}

/// The root mean square error over the whole way, at times that are no nodes.
fn slope_along(method: &Method, (t0, t1): (f64, f64), steps: usize) -> f64 {
    let mut field: Field = pendulum;
    let mut kept = |method: &Method, steps: usize| {
        let grid = TimeGrid::uniform(t0, t1, steps).expect("a grid");
        let mut path = Trajectory::new();
        let solve = Solve::new(&PAIRS, &mut field).kept_in(&mut path);
        solve.fixed(method, starts(16), &grid).expect("valid");
        path
    };
    let exact = kept(&methods::DOP853, 300);
    let mut error = |steps: usize| {
        let path = kept(method, steps);
        let one = |i: usize| {
            // The golden ratio meets no node, and all parts of steps alike.
            let t = t0 + (t1 - t0) * (i as f64 * 0.618_033_988_749_895).fract();
            let value = |path: &Trajectory<Points>| path.at(&PAIRS, t).expect("a time within");
            let pairs = value(&path).into_iter().zip(value(&exact));
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>()
        };
        (1..200).map(one).sum::<f64>().sqrt()
    };
    (error(steps) / error(2 * steps)).log2()
}

/// A value within a step is off by what the steps before left, of order `p`, and
/// by its own `O(h^(q + 1))`.
///
/// Verifies (RK.10).
#[test]
fn values_along_the_way_have_the_order_of_the_method() {
    for method in *methods::ALL {
        let steps = match method.order {
            1 => 3000,
            2 => 400,
            3 => 200,
            4 => 150,
            5 => 100,
            _ => 20,
        };
        for span in [(0.0, 3.0), (3.0, 0.0)] {
            let found = slope_along(method, span, steps);
            let expected = method.order.min(method.dense_order + 1) as f64;
            println!("{} over {span:?}: {found:.3}", method.name);
            let error = (found - expected).abs();
            assert!(error <= 0.1, "{} {span:?}: {found}", method.name);
        }
    }
    // The wrong twin, with a row of dense output left out, has order 4.
    let mut wrong = methods::DORMAND_PRINCE.clone();
    wrong.dense.pop();
    let found = slope_along(&wrong, (0.0, 3.0), 100);
    assert!((found - 4.0).abs() <= 0.1, "{found}");
}

fn refusal(path: &Trajectory<Points>, times: &[f64]) -> String {
    let refused: Result<Points, Error> = path.at_each(&PAIRS, times);
    refused.expect_err("a refusal").to_string()
}

#[test]
fn what_is_not_known_is_refused_with_its_value() {
    let mut field: Field = pendulum;
    let mut path = Trajectory::new();
    assert_eq!(
        refusal(&path, &[0.0]),
        "the number of kept steps is 0; expected a trajectory that a solve has filled"
    );
    assert_eq!(path.span(0), None);
    for steps in &ways(1.0, 0.25) {
        let solve = Solve::new(&PAIRS, &mut field).kept_in(&mut path);
        solved(solve, &methods::DORMAND_PRINCE, steps, starts(2));
        for bad in [
            1.0f64.next_up(),
            0.25f64.next_down(),
            f64::NAN,
            f64::INFINITY,
        ] {
            let expected = "expected a time that the sample has passed";
            assert_eq!(
                refusal(&path, &[0.5, bad]),
                format!("a time to look at is {bad}; {expected}")
            );
        }
        assert_eq!(
            refusal(&path, &[0.5; 3]),
            "the number of times is 3; expected one for each row"
        );
        assert!(path.at(&PAIRS, 0.25).is_ok() && path.at(&PAIRS, 1.0).is_ok());
    }
}

/// `y' = 1` from below 0, stopped where it is 0: each row knows its solution
/// until there and not beyond, with all kinds of steps.
#[test]
fn a_row_that_stopped_is_known_until_there() {
    let line = Rows::<f64>::new(1);
    let depths = [0.5, 1.25, 3.0, 0.75];
    let mut field: Field = |_, _, dy| dy.fill(1.0);
    for steps in &ways(0.0, 2.0) {
        let mut height = |_: &[f64], y: &Points, g: &mut [f64]| g.copy_from_slice(y);
        let event = Event::new(&mut height, Crossing::Rising, Then::Stop);
        let mut path = Trajectory::new();
        let solve = Solve::new(&line, &mut field).event(event);
        let y0 = depths.map(|depth| -depth).to_vec();
        let end = solved(
            solve.kept_in(&mut path),
            &methods::DORMAND_PRINCE,
            steps,
            y0,
        );
        assert_eq!(end.outcome, Outcome::Done);
        let mut times = [0.0; 4];
        for (row, depth) in depths.into_iter().enumerate() {
            let until = f64::min(depth, 2.0);
            let (from, to) = path.span(row).expect("a row");
            // A few roundings of numbers up to 3.
            assert!(
                from == 0.0 && (to - until).abs() <= 1e-14,
                "{to} of {until}"
            );
            assert_eq!(to, end.times[row]);
            times[row] = to;
        }
        let found = path.at_each(&line, &times).expect("the ends");
        for (found, state) in found.iter().zip(&end.state) {
            // The place within the step comes from the time, rounded once.
            assert!((found - state).abs() <= 1e-15);
        }
        times[0] = times[0].next_up();
        assert!(path.at_each(&line, &times).is_err(), "behind its event");
        let halves = times.map(|t| 0.5 * t);
        let found = path.at_each(&line, &halves).expect("times within");
        for ((y, t), depth) in found.iter().zip(halves).zip(depths) {
            assert!((y - (t - depth)).abs() <= 1e-14);
        }
    }
}

/// What was reached before a solve broke down is kept.
#[test]
fn a_solve_that_breaks_down_leaves_what_it_reached() {
    let mut field: Field = |t, y, dy| {
        pendulum(t, y, dy);
        for (dy, t) in dy.chunks_exact_mut(2).zip(t) {
            dy[0] = if *t > 0.6 { f64::NAN } else { dy[0] };
        }
    };
    let grid = Steps::Grid(TimeGrid::uniform(0.0, 1.0, 8).expect("a grid"));
    let mut path = Trajectory::new();
    let solve = Solve::new(&PAIRS, &mut field).kept_in(&mut path);
    let end = solved(solve, &methods::RK4, &grid, starts(3));
    assert_eq!(end.outcome, Outcome::NonFinite { t: 0.5, sample: 0 });
    assert_eq!(path.span(2), Some((0.0, 0.5)));
    assert_eq!(path.at(&PAIRS, 0.5).expect("reached"), end.state);
    assert!(path.at(&PAIRS, 0.6).is_err());
}
