//! What a solve says it cost is what the field saw.

use solvers::adjoint::{continuous_adjoint, discrete_adjoint, forward_steps, reversible_adjoint};
use solvers::sde::{Brownian, Scheme, solve_sde};
use solvers::{
    AB2, AB3, AB4, Adaptive, Batch, Companions, Crossing, End, Event, ExponentialOrder, Mean,
    Method, Outcome, Rows, Solve, Then, TimeGrid, Trajectory, exponential, methods,
    reversible_heun,
};
use std::cell::Cell;

type Points = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);
const ROWS: usize = 7;

fn starts() -> Points {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    (0..ROWS).flat_map(start).collect()
}

fn pendulum(t: &[f64], y: &Points, dy: &mut Points) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

/// Calls of the field and the rows it got.
#[derive(Default)]
struct Seen {
    calls: Cell<usize>,
    rows: Cell<usize>,
}

impl Seen {
    fn field(&self) -> impl FnMut(&[f64], &Points, &mut Points) {
        |t: &[f64], y: &Points, dy: &mut Points| {
            self.calls.set(self.calls.get() + 1);
            self.rows.set(self.rows.get() + t.len());
            pendulum(t, y, dy);
        }
    }

    /// A solve of all rows at once, and without steps of their own.
    #[track_caller]
    fn is<S>(&self, end: &End<S>, steps: usize) {
        assert_eq!(end.outcome, Outcome::Done);
        assert_eq!(end.evaluations, self.calls.get());
        assert_eq!(end.sample_evaluations, self.rows.get());
        assert_eq!((end.accepted, end.rejected), (steps * ROWS, 0));
        for counts in &end.counts {
            assert_eq!((counts.accepted, counts.rejected), (steps, 0));
            assert_eq!(counts.evaluations, self.calls.get());
        }
        assert_eq!(end.counts.len(), ROWS);
    }
}

#[test]
fn solvers_of_grids_count_what_they_ask() {
    let grid = TimeGrid::uniform(0.0, 1.0, 9).expect("a grid");
    for method in *methods::ALL {
        let seen = Seen::default();
        let mut field = seen.field();
        let end = Solve::new(&PAIRS, &mut field).fixed(method, starts(), &grid);
        seen.is(&end.expect("valid"), 9);
    }
    for method in [&AB2, &AB3, &AB4] {
        let seen = Seen::default();
        let end = method.solve(&PAIRS, &mut seen.field(), starts(), &grid);
        seen.is(&end.expect("valid"), 9);
    }
    for order in [
        ExponentialOrder::First,
        ExponentialOrder::Second,
        ExponentialOrder::Third,
    ] {
        let seen = Seen::default();
        let path = |t: f64| (t, 1.0 - t);
        let end = exponential(&PAIRS, path, &mut seen.field(), order, starts(), &grid);
        seen.is(&end.expect("valid"), 9);
    }
    let seen = Seen::default();
    let start = Companions::at(starts());
    seen.is(&reversible_heun(&PAIRS, &mut seen.field(), start, &grid), 9);
    let motion = Brownian {
        seed: 1,
        t0: 0.0,
        t1: 1.0,
        dimension: 2,
    };
    let mut noise = |_: f64, _: &Points, dw: &Points, out: &mut Points| out.clone_from(dw);
    let mut correction = |_: f64, _: &Points, _: &Points, _: f64, out: &mut Points| out.fill(0.0);
    for scheme in [
        Scheme::EulerMaruyama,
        Scheme::Heun,
        Scheme::Milstein(&mut correction),
    ] {
        let seen = Seen::default();
        let mut field = seen.field();
        let problem = (&mut field, &mut noise);
        let end = solve_sde(&PAIRS, problem, scheme, &motion, starts(), &grid);
        drop(field);
        seen.is(&end, 9);
    }
}

/// How a solve is watched, which may ask for values within steps.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Nothing,
    Saves,
    Events,
    Kept,
}

fn solved(
    seen: &Seen,
    (method, plan): (&Method, Option<&Adaptive>),
    (asked, block): (Asked, usize),
) -> End<Points> {
    let grid = TimeGrid::uniform(0.0, 3.0, 11).expect("a grid");
    let mut field = seen.field();
    let mut first = |_: &[f64], y: &Points, g: &mut [f64]| {
        g.iter_mut()
            .zip(y.chunks_exact(2))
            .for_each(|(g, y)| *g = y[0]);
    };
    let mut kept = Trajectory::new();
    let mut solve = Solve::new(&PAIRS, &mut field).in_blocks(block);
    match asked {
        Asked::Nothing => (),
        Asked::Saves => solve = solve.save_at(&[0.4, 0.41, 1.7, 3.0]),
        Asked::Events => {
            solve = solve.event(Event::new(&mut first, Crossing::Either, Then::GoOn));
        }
        Asked::Kept => solve = solve.kept_in(&mut kept),
    }
    let end = match plan {
        None => solve.fixed(method, starts(), &grid),
        Some(plan) => solve.adaptive(method, starts(), plan),
    };
    end.expect("a valid problem")
}

/// Of a batch the counts are those of its samples, and the field got as many
/// rows as is said. In blocks the calls are the most of one block, which alone
/// makes them.
#[test]
fn what_a_batch_costs_is_counted_once() {
    for method in *methods::ALL {
        let pair = method.estimator.is_some();
        for batch in [Batch::PerSample, Batch::Shared(Mean::Largest)] {
            let mut plan = Adaptive::new(0.0, 3.0, 1e-6).expect("a plan");
            plan.batch = batch;
            for plan in [None, Some(&plan).filter(|_| pair)] {
                for asked in [Asked::Nothing, Asked::Saves, Asked::Events, Asked::Kept] {
                    let place = format!("{} {batch:?} {asked:?}", method.name);
                    let seen = Seen::default();
                    let whole = solved(&seen, (method, plan), (asked, ROWS));
                    assert_eq!(whole.outcome, Outcome::Done);
                    assert_eq!(whole.evaluations, seen.calls.get(), "{place}");
                    assert_eq!(whole.sample_evaluations, seen.rows.get(), "{place}");
                    let seen = Seen::default();
                    let parts = solved(&seen, (method, plan), (asked, 3));
                    assert_eq!(parts.sample_evaluations, seen.rows.get(), "{place}");
                    assert!(parts.evaluations <= seen.calls.get(), "{place}");
                    for end in [whole, parts] {
                        let counts = end.counts.iter();
                        let sum = |f: fn(&solvers::Counts) -> usize| counts.clone().map(f).sum();
                        assert_eq!(end.accepted, sum(|c| c.accepted), "{place}");
                        assert_eq!(end.rejected, sum(|c| c.rejected), "{place}");
                        let least: usize = sum(|c| c.evaluations);
                        assert!(least <= end.sample_evaluations, "{place}");
                        let most = counts.map(|c| c.evaluations).max();
                        assert!(most <= Some(end.evaluations), "{place}");
                    }
                }
            }
        }
    }
}

/// In blocks of one, a sample's counts are the block's: all that it was asked.
#[test]
fn a_sample_alone_is_asked_what_its_counts_say() {
    for method in methods::ALL.iter().filter(|m| m.estimator.is_some()) {
        let plan = Adaptive::new(0.0, 3.0, 1e-6).expect("a plan");
        for asked in [Asked::Nothing, Asked::Saves, Asked::Events, Asked::Kept] {
            let seen = Seen::default();
            let end = solved(&seen, (method, Some(&plan)), (asked, 1));
            let counts = end.counts.iter().map(|c| c.evaluations);
            let place = format!("{} {asked:?}", method.name);
            assert_eq!(counts.clone().sum::<usize>(), seen.rows.get(), "{place}");
            assert_eq!(Some(end.evaluations), counts.max(), "{place}");
        }
    }
}

#[test]
fn adjoints_count_the_field_and_its_pull() {
    let (grid, bar) = (TimeGrid::uniform(0.0, 1.0, 9).expect("a grid"), starts());
    let pulls = Cell::new(0);
    let mut pull = |_: &[f64], _: &Points, l: &Points, _: f64, out: &mut Points| {
        pulls.set(pulls.get() + 1);
        out.clone_from(l);
    };
    for method in *methods::ALL {
        let seen = Seen::default();
        let problem = (&mut seen.field(), &mut pull);
        let found = continuous_adjoint(&PAIRS, problem, method, (&starts(), &bar), &grid);
        assert_eq!(found.evaluations, seen.calls.get(), "{}", method.name);
        assert_eq!(found.evaluations, pulls.take(), "{}", method.name);
        // A stage at the result has no weight and is not asked for.
        let stages = method.stages() - usize::from(method.first_same_as_last);
        assert_eq!(found.evaluations, 9 * stages, "{}", method.name);
        for places in [0, 2, 9] {
            let seen = Seen::default();
            let problem = (&mut seen.field(), &mut pull);
            let found = discrete_adjoint(&PAIRS, problem, method, &starts(), &grid, &bar, places);
            assert_eq!(found.evaluations, seen.calls.get(), "{}", method.name);
            assert_eq!(found.pulls, pulls.take(), "{}", method.name);
            // (AJ.1)
            let steps = 9 + forward_steps(9, places);
            assert_eq!(
                found.evaluations,
                steps * method.stages(),
                "{}",
                method.name
            );
        }
    }
    let seen = Seen::default();
    let problem = (&mut seen.field(), &mut pull);
    let end = Companions::at(starts());
    let found = reversible_adjoint(&PAIRS, problem, (end, &bar), &grid);
    assert_eq!(found.evaluations, seen.calls.get());
}
