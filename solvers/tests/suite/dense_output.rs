//! Values within steps: their orders, their ends, and that asking for them
//! changes nothing.

use solvers::{Adaptive, End, Method, Outcome, Rows, Solve, TimeGrid, methods};

type Batch = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);

/// `y' = (y₂, −sin y₁ − 0.2 y₂ + 0.5 cos t)`.
fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

fn starts(count: usize) -> Batch {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    (0..count).flat_map(start).collect()
}

fn march(method: &Method, y0: Batch, grid: &TimeGrid, save_at: &[f64]) -> End<Batch> {
    let mut field = pendulum;
    let solve = Solve::new(&PAIRS, &mut field).save_at(save_at);
    solve.fixed(method, y0, grid).expect("a valid problem")
}

/// Steps of DOP853 so short that rounding is all that is left.
fn exact(y0: Batch, t0: f64, t1: f64) -> Batch {
    let grid = TimeGrid::uniform(t0, t1, 40).expect("a grid");
    march(&methods::DOP853, y0, &grid, &[]).state
}

/// In one step from an exact start, the error within it is of order `q + 1`.
fn local_slope(method: &Method, direction: f64, theta: f64) -> f64 {
    let (t0, count) = (0.3, 32);
    let error = |h: f64| {
        let (t1, within) = (t0 + h, t0 + theta * h);
        let grid = TimeGrid::uniform(t0, t1, 1).expect("a grid");
        let found = march(method, starts(count), &grid, &[within]);
        let exact = exact(starts(count), t0, within);
        let pairs = found.saved[0].iter().zip(&exact);
        pairs.map(|(a, b)| a - b).collect::<Batch>()
    };
    let h = match method.dense_order {
        1 | 2 => 0.01,
        3 => 0.04,
        4 if method.name == "Tsitouras" => 0.1,
        4 => 0.16,
        _ => 0.4,
    } * direction;
    // As in `convergence.rs`, without the next term of the error.
    let [first, second, third] = [h, h / 2.0, h / 4.0].map(error);
    let weight = 2f64.powi(method.dense_order as i32 + 2);
    let without = |coarse: &Batch, fine: &Batch| -> f64 {
        let pairs = coarse.iter().zip(fine);
        pairs.map(|(c, f)| (c - weight * f).powi(2)).sum()
    };
    0.5 * (without(&first, &second) / without(&second, &third)).log2()
}

/// Verifies (RK.8), (RK.10).
#[test]
fn values_within_a_step_have_their_order_forwards_and_backwards() {
    for method in *methods::ALL {
        for direction in [1.0, -1.0] {
            let found = local_slope(method, direction, 0.37);
            let expected = method.dense_order as f64 + 1.0;
            println!("{} {direction}: {found:.3} of {expected}", method.name);
            let error = (found - expected).abs();
            assert!(error <= 0.1, "{} {direction}: {found}", method.name);
        }
    }
}

#[test]
fn a_wrong_row_of_dense_output_loses_its_order() {
    // A published library reads a row of zeros here and so loses an order.
    let mut wrong = methods::DORMAND_PRINCE.clone();
    wrong.dense.pop();
    let found = local_slope(&wrong, 1.0, 0.37);
    assert!((found - 5.0).abs() > 0.5, "{found}");
    // A single wrong digit of it.
    let mut wrong = methods::DORMAND_PRINCE.clone();
    wrong.dense[3].0[2].1 *= 1.001;
    let found = local_slope(&wrong, 1.0, 0.37);
    assert!((found - 5.0).abs() > 0.5, "{found}");
}

#[test]
fn what_is_saved_meets_the_ends_and_changes_no_step() {
    let times = [0.1, 0.25, 0.5, 0.625, 0.7];
    let grid = TimeGrid::new(vec![0.1, 0.2, 0.4, 0.5, 0.7]).expect("a grid");
    let back = TimeGrid::new(vec![0.7, 0.5, 0.4, 0.2, 0.1]).expect("a grid");
    let turned: Vec<f64> = times.into_iter().rev().collect();
    for method in *methods::ALL {
        for (grid, times) in [(&grid, &times[..]), (&back, &turned)] {
            let plain = march(method, starts(3), grid, &[]);
            let saved = march(method, starts(3), grid, times);
            assert_eq!(plain.state, saved.state, "{}", method.name);
            assert_eq!(saved.saved[0], starts(3));
            assert_eq!(saved.saved[4], saved.state);
            assert_eq!(saved.saved_count, [5; 3]);
            // A node within the grid is met in bits too.
            let node = TimeGrid::new(grid.nodes()[..4].to_vec()).expect("a grid");
            if grid.nodes()[3] == times[2] {
                assert_eq!(march(method, starts(3), &node, &[]).state, saved.saved[2]);
            }
        }
    }
}

fn adaptive(method: &Method, y0: Batch, plan: &Adaptive, times: &[f64]) -> End<Batch> {
    let mut field = |t: &[f64], y: &Batch, dy: &mut Batch| {
        let (low, high) = (plan.t0.min(plan.t1), plan.t0.max(plan.t1));
        assert!(t.iter().all(|t| (low..=high).contains(t)), "{t:?}");
        pendulum(t, y, dy);
    };
    let solve = Solve::new(&PAIRS, &mut field).save_at(times);
    solve.adaptive(method, y0, plan).expect("a valid problem")
}

#[test]
fn samples_with_their_own_steps_are_saved_at_common_times() {
    let pairs = methods::ALL.iter().filter(|m| m.estimator.is_some());
    for method in pairs {
        for (t0, t1) in [(0.0, 5.0), (2.0, -3.0)] {
            let plan = Adaptive::new(t0, t1, 1e-8).expect("a plan");
            let times: Vec<f64> = (0..=40)
                .map(|i| t0 + (t1 - t0) * f64::from(i) / 40.0)
                .collect();
            let plain = adaptive(method, starts(65), &plan, &[]);
            let saved = adaptive(method, starts(65), &plan, &times);
            assert_eq!(saved.outcome, Outcome::Done);
            assert_eq!(plain.state, saved.state, "{}", method.name);
            assert_eq!(saved.saved[40], saved.state);
            for (time, state) in times.iter().zip(&saved.saved).skip(1) {
                let exact = exact(starts(65), t0, *time);
                for (found, exact) in state.iter().zip(exact) {
                    // Over 5 units errors of a step grow less than tenfold, and
                    // fifty steps of 1e-8 at most add up.
                    assert!((found - exact).abs() <= 5e-6, "{} at {time}", method.name);
                }
            }
            // Alone, a sample has the same bits.
            for i in [0, 17, 64] {
                let alone = starts(65)[2 * i..2 * i + 2].to_vec();
                let alone = adaptive(method, alone, &plan, &times);
                for (one, all) in alone.saved.iter().zip(&saved.saved) {
                    assert_eq!(one[..], all[2 * i..2 * i + 2], "{} {i}", method.name);
                }
                // And the same counts, stages for the values included.
                assert_eq!(alone.counts[0], saved.counts[i], "{} {i}", method.name);
                assert_eq!(alone.evaluations, alone.counts[0].evaluations);
                let extra = method.c.len() - method.stages();
                let without = saved.counts[i].evaluations - plain.counts[i].evaluations;
                let steps = plain.counts[i].accepted;
                assert!(without <= extra * steps && (extra == 0 || without > 0));
            }
        }
    }
}

#[test]
fn times_to_save_at_are_refused_out_of_order_or_place() {
    let grid = TimeGrid::uniform(0.0, 1.0, 4).expect("a grid");
    for bad in [&[0.5, 0.4][..], &[0.2, 0.2], &[1.5], &[f64::NAN]] {
        let mut field = pendulum;
        let solve = Solve::new(&PAIRS, &mut field).save_at(bad);
        assert!(
            solve.fixed(&methods::RK4, starts(1), &grid).is_err(),
            "{bad:?}"
        );
    }
    // What was not reached is said not to be.
    let mut broken = |t: &[f64], y: &Batch, dy: &mut Batch| {
        pendulum(t, y, dy);
        if t[0] > 0.6 {
            dy[0] = f64::NAN;
        }
    };
    let solve = Solve::new(&PAIRS, &mut broken).save_at(&[0.25, 0.5, 0.75, 1.0]);
    let end = solve.fixed(&methods::RK4, starts(2), &grid).expect("valid");
    assert_eq!(end.saved_count, [2, 2]);
    assert_eq!(end.saved[2], starts(2));
}
