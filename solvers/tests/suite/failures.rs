//! What becomes of a sample that fails, of the others, and who is named.

use solvers::adjoint::adaptive_adjoint;
use solvers::{
    Adaptive, Batch, Crossing, End, Event, Mean, Method, Outcome, Rows, Solve, Then, TimeGrid,
    methods,
};

type Points = Vec<f64>;
type Field = fn(&[f64], &Points, &mut Points);

const LINE: Rows<f64> = Rows::new(1);

/// `y' = y²`, which explodes at `1/y₀`.
fn square(_: &[f64], y: &Points, dy: &mut Points) {
    dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = y * y);
}

/// All but the third and the sixth are finite until 2.
const STARTS: [f64; 8] = [0.1, -3.0, 1.0, 0.3, 0.0, 0.7, -0.2, 0.45];

fn plan() -> Adaptive {
    Adaptive::new(0.0, 2.0, 1e-6).expect("a plan")
}

fn solved(
    mut field: impl FnMut(&[f64], &Points, &mut Points),
    method: &Method,
    (y0, plan, block): (Points, &Adaptive, usize),
) -> End<Points> {
    let solve = Solve::new(&LINE, &mut field).in_blocks(block);
    solve.adaptive(method, y0, plan).expect("a valid problem")
}

fn pairs() -> impl Iterator<Item = &'static Method> {
    methods::ALL
        .iter()
        .copied()
        .filter(|m| m.estimator.is_some())
}

/// With steps of their own the others arrive in the bits they have alone, and
/// those that fail are where they are alone.
#[test]
fn a_sample_that_fails_does_not_disturb_the_others() {
    for method in pairs() {
        for block in [1, 3, 8] {
            let end = solved(square, method, (STARTS.to_vec(), &plan(), block));
            let place = format!("{} in blocks of {block}", method.name);
            match end.outcome {
                Outcome::StepUnderflow { t, sample: 2 } => {
                    assert!((t - 1.0).abs() <= 1e-3, "{place}: {t}");
                }
                other => panic!("{place}: {other:?}"),
            }
            for (i, &start) in STARTS.iter().enumerate() {
                let alone = solved(square, method, (vec![start], &plan(), 1));
                let found = (end.state[i], end.times[i], end.counts[i]);
                let expected = (alone.state[0], alone.times[0], alone.counts[0]);
                assert_eq!(found, expected, "{place}: {start}");
                let arrives = start <= 0.5;
                assert_eq!(alone.outcome == Outcome::Done, arrives);
                assert_eq!(alone.times[0] == 2.0, arrives, "{place}: {start}");
            }
        }
    }
}

/// A start that is not finite is a failure of its own too.
#[test]
fn a_start_that_is_not_finite_does_not_disturb_the_others() {
    let method = &methods::DORMAND_PRINCE;
    let start = [0.1, f64::NAN, 0.3, f64::INFINITY, 0.2];
    for block in [2, 5] {
        let end = solved(square, method, (start.to_vec(), &plan(), block));
        assert_eq!(end.outcome, Outcome::NonFinite { t: 0.0, sample: 1 });
        for (i, &start) in start.iter().enumerate() {
            if start.is_finite() {
                let alone = solved(square, method, (vec![start], &plan(), 1));
                assert_eq!((end.state[i], end.times[i]), (alone.state[0], 2.0));
                assert_eq!(end.counts[i], alone.counts[0]);
            } else {
                assert_eq!(end.times[i], 0.0);
            }
        }
    }
    // Alone there is nothing to go on with.
    let end = solved(square, method, (vec![f64::NAN], &plan(), 1));
    assert_eq!(end.outcome, Outcome::NonFinite { t: 0.0, sample: 0 });
    assert_eq!((end.accepted, end.rejected), (0, 0));
}

/// With common steps a failure ends the solve for all, in blocks at the same
/// place in the same bits, and names who caused it.
#[test]
fn a_failure_of_a_common_step_names_the_sample_that_caused_it() {
    let mut plan = plan();
    plan.batch = Batch::Shared(Mean::Largest);
    let nan_from_one = |t: &[f64], y: &Points, dy: &mut Points| {
        for ((dy, y), t) in dy.iter_mut().zip(y).zip(t) {
            // Only the fifth sample of the whole batch begins at 0 and stays.
            *dy = if *y == 0.0 && *t > 1.0 { f64::NAN } else { -*y };
        }
    };
    for method in pairs() {
        let fields: [(Field, usize); 2] = [(square, 2), (nan_from_one, 4)];
        for (field, culprit) in fields {
            let whole = solved(field, method, (STARTS.to_vec(), &plan, 8));
            assert_eq!(whole.outcome.sample(), Some(culprit), "{}", method.name);
            let broken = matches!(whole.outcome, Outcome::NonFinite { .. });
            assert_eq!(broken, culprit == 4, "{}: {:?}", method.name, whole.outcome);
            assert!(whole.times.iter().all(|&t| t == whole.times[0]));
            assert!((whole.times[0] - 1.0).abs() <= 1e-3, "{:?}", whole.times);
            for block in [2, 3, 5] {
                let parts = solved(field, method, (STARTS.to_vec(), &plan, block));
                let place = format!("{} in blocks of {block}", method.name);
                assert_eq!(parts.outcome, whole.outcome, "{place}");
                assert_eq!(parts.times, whole.times, "{place}");
                assert_eq!(parts.state, whole.state, "{place}");
                assert_eq!(parts.counts, whole.counts, "{place}");
            }
        }
    }
}

/// Where the first sample is that the limit kept from its end.
#[test]
fn the_step_limit_names_who_is_not_there_yet() {
    let mut field = |_: &[f64], y: &Points, dy: &mut Points| {
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = -y);
    };
    // At 0 each step is ten times the last, from a millionth.
    let start = [0.0, 0.0, 1.0, 0.0, 2.0];
    let mut plan = Adaptive::new(0.0, 2.0, 1e-9).expect("a plan");
    for batch in [Batch::PerSample, Batch::Shared(Mean::Largest)] {
        for max_steps in [0, 9] {
            (plan.batch, plan.max_steps) = (batch, max_steps);
            for block in [2, 5] {
                let own = batch == Batch::PerSample && max_steps > 0;
                let solve = Solve::new(&LINE, &mut field).in_blocks(block);
                let end = solve.adaptive(&methods::DORMAND_PRINCE, start.to_vec(), &plan);
                let end = end.expect("a valid problem");
                let sample = if own { 2 } else { 0 };
                let t = end.times[sample];
                assert_eq!(end.outcome, Outcome::MaxSteps { t, sample });
                assert!(t < 2.0 && (t > 0.0 || max_steps == 0), "{t}");
                assert_eq!(end.times[1] == 2.0, own);
            }
        }
    }
}

/// A coordinate that is carried along and does not steer the steps may not be
/// lost either.
#[test]
fn what_the_norm_leaves_out_is_still_to_be_a_number() {
    let pairs = Rows::<f64>::new(2);
    let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
        for ((dy, y), t) in dy.chunks_exact_mut(2).zip(y.chunks_exact(2)).zip(t) {
            let carried = if *t > 0.5 && y[0] > 1.5 {
                f64::NAN
            } else {
                1.0
            };
            (dy[0], dy[1]) = (-0.1 * y[0], carried);
        }
    };
    for batch in [
        Batch::PerSample,
        Batch::Shared(Mean::Largest),
        Batch::Shared(Mean::RootMeanSquare),
    ] {
        for mean in [Mean::RootMeanSquare, Mean::Largest] {
            let mut plan = Adaptive::new(0.0, 1.0, 1e-6).expect("a plan");
            (plan.norm.leading, plan.norm.mean, plan.batch) = (Some(1), mean, batch);
            let start = vec![1.0, 0.0, 2.0, 0.0, 0.5, 0.0];
            let solve = Solve::new(&pairs, &mut field);
            let end = solve.adaptive(&methods::DORMAND_PRINCE, start, &plan);
            let end = end.expect("a valid problem");
            match end.outcome {
                Outcome::NonFinite { t, sample: 1 } => assert!((t - 0.5).abs() < 1e-6, "{t}"),
                other => panic!("{batch:?} {mean:?}: {other:?}"),
            }
            assert!(end.state.iter().all(|y| y.is_finite()));
        }
    }
}

/// 0 has no error, and a purely relative tolerance allows that.
#[test]
fn a_coordinate_that_stays_0_meets_a_relative_tolerance() {
    let mut plan = Adaptive::new(0.0, 1.0, 1e-6).expect("a plan");
    plan.norm.tolerance.absolute = 0.0;
    let decay = |_: &[f64], y: &Points, dy: &mut Points| {
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = -y);
    };
    for method in pairs() {
        let end = solved(decay, method, (vec![0.0, 1.0, -2.0], &plan, 3));
        assert_eq!(end.outcome, Outcome::Done, "{}", method.name);
        assert_eq!(end.state[0], 0.0);
        assert!(
            (end.state[1] - (-1f64).exp()).abs() <= 1e-5,
            "{}",
            method.name
        );
    }
}

/// A sample that an event has stopped is stepped on with the others, to no
/// effect: what becomes of its numbers is nobody's failure.
#[test]
fn a_sample_at_rest_fails_nobody() {
    // The second sample meets 2 at 0.5 and rests.
    let mut above = |_: &[f64], y: &Points, g: &mut [f64]| {
        g.iter_mut().zip(y).for_each(|(g, y)| *g = y - 2.0);
    };
    let grid = TimeGrid::uniform(0.0, 1.5, 300).expect("a grid");
    for (fails_late, culprit) in [(false, None), (true, Some(3))] {
        let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
            let now = t.iter().copied().fold(0.0, f64::max);
            for ((dy, y), t) in dy.iter_mut().zip(y).zip(t) {
                let broken = *t < now - 0.1 || (fails_late && *y < 0.0 && *t > 1.2);
                *dy = if broken { f64::NAN } else { y * y };
            }
        };
        let event = Event::new(&mut above, Crossing::Rising, Then::Stop);
        let solve = Solve::new(&LINE, &mut field).event(event);
        let start = vec![0.1, 1.0, 0.3, -0.4, 0.2];
        let end = solve.fixed(&methods::RK4, start, &grid);
        let end = end.expect("a valid problem");
        assert_eq!(end.outcome.sample(), culprit, "{:?}", end.outcome);
        assert_eq!(end.outcome == Outcome::Done, !fails_late);
        assert!((end.times[1] - 0.5).abs() <= 1e-4, "{:?}", end.times);
        assert!(end.times[0] >= 1.19, "{:?}", end.times);
    }
}

/// The attempt that failed is counted for every sample it was made for.
#[test]
fn a_failed_step_of_a_grid_is_counted() {
    let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
        for ((dy, y), t) in dy.iter_mut().zip(y).zip(t) {
            *dy = if *t > 0.51 { f64::NAN } else { -y };
        }
    };
    let grid = TimeGrid::uniform(0.0, 1.0, 10).expect("a grid");
    for method in *methods::ALL {
        let solve = Solve::new(&LINE, &mut field);
        let end = solve.fixed(method, vec![1.0, 2.0], &grid);
        let end = end.expect("a valid problem");
        assert_eq!(end.outcome.sample(), Some(0), "{}", method.name);
        for counts in end.counts {
            assert_eq!(counts.evaluations, end.evaluations, "{}", method.name);
            assert!(counts.accepted >= 5 && counts.rejected == 0);
        }
    }
}

/// A cotangent that is not a number ends the way back of its sample alone.
#[test]
fn a_broken_cotangent_is_a_failure_of_its_sample() {
    let mut field = |_: &[f64], y: &Points, dy: &mut Points| {
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = -y);
    };
    let mut pull = |_: &[f64], _: &Points, l: &Points, _: f64, out: &mut Points| {
        out.iter_mut().zip(l).for_each(|(out, l)| *out = -l);
    };
    let plan = Adaptive::new(0.0, 1.0, 1e-6).expect("a plan");
    let end = (&vec![0.5, 0.25, 0.1], &vec![1.0, f64::NAN, 1.0]);
    let problem = (&mut field, &mut pull);
    let method = &methods::DORMAND_PRINCE;
    let found = adaptive_adjoint(&LINE, problem, method, end, &plan).expect("a valid plan");
    assert_eq!(found.outcome, Outcome::NonFinite { t: 1.0, sample: 1 });
    // Seen before any step is tried.
    assert_eq!((found.counts[1].accepted, found.counts[1].rejected), (0, 0));
    for sample in [0, 2] {
        let error = (found.start_bar[sample] - (-1f64).exp()).abs();
        assert!(error <= 1e-5, "{sample}: {error}");
    }
}
