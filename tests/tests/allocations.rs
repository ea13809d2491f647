//! A solver's step allocates nothing: counted, not believed. Where no observer
//! can look between steps, twice as many of them allocate no more.
//!
//! This test is a program of its own, since it replaces the allocator.

use flowgrad_tests::counting::{self, Counting};
use solvers::sde::{Brownian, Scheme, solve_sde};
use solvers::{
    AB2, AB3, AB4, Adaptive, Batch as Steps, Companions, Controller, ExponentialOrder, Mean, Norm,
    Outcome, Rows, Solve, Space, TimeGrid, continuous_adjoint, discrete_adjoint, exponential,
    methods, reversible_adjoint, reversible_heun,
};
use std::cell::Cell;
use std::ops::ControlFlow;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Batch = Vec<f64>;

fn oscillators(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], 0.1 * t.cos() - y[0]);
    }
}

/// The number of allocations at each look of the observer.
fn counts(solve: impl FnOnce(&mut dyn FnMut(&[f64], &Batch) -> ControlFlow<()>)) -> Vec<usize> {
    // Room for all looks beforehand, so that looking does not allocate.
    let mut counts = Vec::with_capacity(10_000);
    solve(&mut |_, _| {
        counts.push(counting::counts().allocations);
        ControlFlow::Continue(())
    });
    counts
}

/// What was allocated between the look after the first step and the one this far
/// from the end. The harness has a thread of its own, which may allocate
/// meanwhile, so it is the least of three runs: what a solve allocates, it
/// allocates each time.
fn growth(from_end: usize, mut looks: impl FnMut() -> Vec<usize>) -> usize {
    let one = |looks: Vec<usize>| {
        assert!(looks.len() >= 3 + from_end, "too few steps to tell");
        looks[looks.len() - 1 - from_end] - looks[1]
    };
    (0..3).map(|_| one(looks())).min().unwrap_or(usize::MAX)
}

#[test]
fn steps_after_the_first_allocate_nothing() {
    let space = Rows::<f64>::new(2);
    let y0 = || vec![1.0; 2 * 100];
    let grid = TimeGrid::uniform(0.0, 1.0, 50).expect("a grid");
    let plan = Adaptive::new(0.0, 1.0, 1e-8).expect("a plan");
    let mut field = oscillators;
    for name in methods::NAMES {
        let method = methods::by_name(name).expect("a method");
        let found = growth(0, || {
            let looks = counts(|observer| {
                let solve = Solve::new(&space, &mut field).observed(observer);
                solve.fixed(method, y0(), &grid).expect("a valid problem");
            });
            assert_eq!(looks.len(), 51);
            looks
        });
        assert_eq!(found, 0, "{name} on a grid");
    }
    let pairs = methods::ALL.iter().filter(|m| m.estimator.is_some());
    for method in pairs {
        // All rows are alike and arrive together: only the last attempt, which
        // puts them aside, may allocate.
        let found = growth(1, || {
            counts(|observer| {
                let solve = Solve::new(&space, &mut field).observed(observer);
                let end = solve.adaptive(method, y0(), &plan);
                end.expect("a valid problem");
            })
        });
        assert_eq!(found, 0, "{} adaptive", method.name);
        for mean in [Mean::RootMeanSquare, Mean::Largest] {
            let mut plan = plan;
            plan.batch = Steps::Shared(mean);
            let found = growth(1, || {
                counts(|observer| {
                    let solve = Solve::new(&space, &mut field).observed(observer);
                    let end = solve.adaptive(method, y0(), &plan);
                    end.expect("a valid problem");
                })
            });
            assert_eq!(found, 0, "{} shared, {mean:?}", method.name);
        }
    }
    // The wrong twin, a field that allocates, is seen.
    let mut wasteful = |t: &[f64], y: &Batch, dy: &mut Batch| {
        let copy = y.clone();
        oscillators(t, &copy, dy);
    };
    let found = growth(0, || {
        counts(|observer| {
            let solve = Solve::new(&space, &mut wasteful).observed(observer);
            solve
                .fixed(&methods::EULER, y0(), &grid)
                .expect("a valid problem");
        })
    });
    assert_eq!(found, 49);
}

const PAIRS: Rows<f64> = Rows::new(2);

/// What the solver allocates on a grid of this many steps. The grid itself is
/// made beforehand. The least of three runs, as in `growth`.
fn allocations(steps: usize, mut solve: impl FnMut(&TimeGrid)) -> usize {
    let grid = TimeGrid::uniform(0.0, 1.0, steps).expect("a grid");
    let mut one = || {
        let before = counting::counts().allocations;
        solve(&grid);
        counting::counts().allocations - before
    };
    (0..3).map(|_| one()).min().unwrap_or(usize::MAX)
}

/// `(∂f/∂y)ᵀ ȳ` of the oscillators.
fn pull(_: &[f64], _: &Batch, bar: &Batch, _: f64, out: &mut Batch) {
    for (bar, out) in bar.chunks_exact(2).zip(out.chunks_exact_mut(2)) {
        (out[0], out[1]) = (-bar[1], bar[0]);
    }
}

/// A solver on a grid.
type Solver<'a> = (&'a str, &'a mut dyn FnMut(&TimeGrid));

#[test]
fn twice_the_steps_of_any_solver_allocate_no_more() {
    let start = vec![1.0; 2 * 50];
    let y0 = || start.clone();
    let mut adams = [AB2, AB3, AB4].map(|method| {
        move |grid: &TimeGrid| {
            let end = method.solve(&PAIRS, &mut { oscillators }, vec![1.0; 100], grid);
            end.expect("a uniform grid");
        }
    });
    let motion = Brownian {
        seed: 3,
        t0: 0.0,
        t1: 1.0,
        dimension: 2,
    };
    let mut noise = |_: f64, y: &Batch, dw: &Batch, out: &mut Batch| {
        for ((out, y), dw) in out.iter_mut().zip(y).zip(dw) {
            *out = 0.1 * y * dw;
        }
    };
    let mut correction = |_: f64, y: &Batch, dw: &Batch, h: f64, out: &mut Batch| {
        for ((out, y), dw) in out.iter_mut().zip(y).zip(dw) {
            *out = 0.005 * y * (dw * dw - h);
        }
    };
    let mut stochastic = |grid: &TimeGrid| {
        for kind in 0..3 {
            let scheme = match kind {
                0 => Scheme::EulerMaruyama,
                1 => Scheme::Heun,
                _ => Scheme::Milstein(&mut correction),
            };
            solve_sde(
                &PAIRS,
                (&mut { oscillators }, &mut noise),
                scheme,
                &motion,
                y0(),
                grid,
            );
        }
    };
    let mut along_a_path = |grid: &TimeGrid| {
        use ExponentialOrder::{First, Second, Third};
        for order in [First, Second, Third] {
            let path = |t: f64| (t, 1.0 - t);
            let mut expected_end = oscillators;
            let end = exponential(&PAIRS, path, &mut expected_end, order, y0(), grid);
            end.expect("a path from noise to data");
        }
    };
    let mut reversible = |grid: &TimeGrid| {
        let start = Companions::at(y0());
        let end = reversible_heun(&PAIRS, &mut { oscillators }, start, grid).state;
        reversible_adjoint(
            &PAIRS,
            (&mut { oscillators }, &mut pull),
            (end, &y0()),
            grid,
        );
    };
    let mut continuous = |grid: &TimeGrid| {
        let problem = (&mut { oscillators }, &mut pull);
        let method = &methods::DORMAND_PRINCE;
        continuous_adjoint(&PAIRS, problem, method, (&y0(), &y0()), grid);
    };
    // The states that are kept are allocated, but once for each place.
    let mut discrete = |grid: &TimeGrid| {
        for places in [0, 1, 5] {
            let problem = (&mut { oscillators }, &mut pull);
            let method = &methods::DOP853;
            discrete_adjoint(&PAIRS, problem, method, &y0(), grid, &y0(), places);
        }
    };
    let [ab2, ab3, ab4] = &mut adams;
    let solvers: [Solver<'_>; 8] = [
        ("AB2", ab2),
        ("AB3", ab3),
        ("AB4", ab4),
        ("stochastic schemes", &mut stochastic),
        ("exponential steps", &mut along_a_path),
        ("reversible Heun and its adjoint", &mut reversible),
        ("continuous adjoint", &mut continuous),
        ("discrete adjoint", &mut discrete),
    ];
    for (name, solver) in solvers {
        let (once, twice) = (allocations(40, &mut *solver), allocations(80, solver));
        assert_eq!(once, twice, "{name}");
    }
    // The wrong twin, a field that allocates, is seen.
    let mut wasteful = |t: &[f64], y: &Batch, dy: &mut Batch| oscillators(t, &y.clone(), dy);
    let mut twin = |grid: &TimeGrid| {
        AB2.solve(&PAIRS, &mut wasteful, y0(), grid).expect("valid");
    };
    let (once, twice) = (allocations(40, &mut twin), allocations(80, &mut twin));
    assert_eq!(twice - once, 40);
}

/// Rows that count how often some of them move on and others do not.
struct Watched {
    mixed: Cell<usize>,
    /// Whether that is done by taking and putting, which allocates.
    wasteful: bool,
}

impl Space for Watched {
    type State = Batch;
    fn rows(&self, y: &Batch) -> usize {
        PAIRS.rows(y)
    }
    fn combine(&self, out: &mut Batch, y: &Batch, h: &[f64], terms: &[(f64, &Batch)]) {
        PAIRS.combine(out, y, h, terms);
    }
    fn error_norm(
        &self,
        out: &mut [f64],
        ends: (&Batch, &Batch),
        h: &[f64],
        terms: &[(f64, &Batch)],
        norm: &Norm,
    ) {
        PAIRS.error_norm(out, ends, h, terms, norm);
    }
    fn batch_norm(
        &self,
        out: &mut [f64],
        ends: (&Batch, &Batch),
        h: &[f64],
        terms: &[(f64, &Batch)],
        how: (&Norm, Mean),
    ) -> f64 {
        PAIRS.batch_norm(out, ends, h, terms, how)
    }
    fn non_finite_row(&self, y: &Batch) -> Option<usize> {
        PAIRS.non_finite_row(y)
    }
    fn take(&self, y: &Batch, rows: &[usize]) -> Batch {
        PAIRS.take(y, rows)
    }
    fn put(&self, y: &mut Batch, rows: &[usize], part: &Batch) {
        PAIRS.put(y, rows, part);
    }
    fn choose(&self, a: &mut Batch, b: &Batch, choose_b: &[bool]) {
        self.mixed.set(self.mixed.get() + 1);
        let from = match self.wasteful {
            true => &b.clone(),
            false => b,
        };
        PAIRS.choose(a, from, choose_b);
    }
}

/// Rows of all sizes and paces: the step that one accepts another rejects.
fn unlike(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        let pace = 1.0 + 20.0 * (3.0 * t + y[0]).cos().powi(4);
        (dy[0], dy[1]) = (pace * y[1], 0.1 * t.cos() - pace * y[0]);
    }
}

fn unlike_starts(rows: usize) -> Batch {
    let number = |i: usize| (i as f64 * 0.7).sin() * (1.0 + (i % 11) as f64);
    (0..2 * rows).map(number).collect()
}

/// How a batch is solved: its block, the law, and how steps are shared.
type How = (Option<usize>, Controller, Steps);

/// What as many attempts allocate, and how often they were mixed. The limit of
/// attempts comes long before anyone arrives, so nothing is put aside.
fn attempts(name: &str, most: usize, (block, law, batch): How, wasteful: bool) -> [usize; 2] {
    let mut plan = Adaptive::new(0.0, 1e3, 1e-6).expect("a plan");
    (plan.controller, plan.batch, plan.max_steps) = (law, batch, most);
    plan.first_step = Some(1.0);
    let space = Watched {
        mixed: Cell::new(0),
        wasteful,
    };
    let (method, y0) = (methods::by_name(name).expect("a method"), unlike_starts(40));
    let (mut field, start) = (unlike, y0.clone());
    let before = counting::counts().allocations;
    let mut solve = Solve::new(&space, &mut field);
    if let Some(rows) = block {
        solve = solve.in_blocks(rows);
    }
    let end = solve.adaptive(method, start, &plan).expect("valid");
    let made = counting::counts().allocations - before;
    assert!(matches!(end.outcome, Outcome::MaxSteps { sample: 0, .. }));
    assert!(end.rejected > 0 && end.accepted > 0, "{name}");
    [made, space.mixed.get()]
}

/// Twice the attempts allocate no more where some rows are accepted and others
/// rejected, by every law, block by block, and where blocks share their steps.
#[test]
fn mixed_attempts_allocate_nothing() {
    let laws = [Controller::I, Controller::PI, Controller::PID];
    let means = [Mean::RootMeanSquare, Mean::Largest].map(Steps::Shared);
    for name in ["bs32", "dopri5", "tsit5", "dop853"] {
        for law in laws {
            for block in [None, Some(16)] {
                let how = (block, law, Steps::PerSample);
                let [[once, mixed], [twice, more]] =
                    [40, 80].map(|most| attempts(name, most, how, false));
                assert_eq!(once, twice, "{name} {how:?}");
                assert!(mixed > 10 && more > mixed, "{name} {how:?}: {mixed} {more}");
                for batch in means {
                    let how = (block, law, batch);
                    let [[once, mixed], [twice, _]] =
                        [40, 80].map(|most| attempts(name, most, how, false));
                    assert_eq!(once, twice, "{name} {how:?}");
                    assert_eq!(mixed, 0, "common steps are not mixed");
                }
            }
        }
        // The wrong twin: a copy each time.
        let how = (None, Controller::I, Steps::PerSample);
        let [[once, mixed], [twice, more]] = [40, 80].map(|most| attempts(name, most, how, true));
        assert_eq!(twice - once, more - mixed, "{name}");
    }
}

/// Block after block, each with rows of its own, solved to the end: more steps, by
/// a finer tolerance, allocate no more. The rows of a block are alike, so that
/// they arrive together; those of different blocks are not.
#[test]
fn blocks_solved_to_the_end_allocate_for_blocks_and_not_for_steps() {
    // The method itself is made when it is first asked for.
    let (block, method) = (8, &*methods::DORMAND_PRINCE);
    let starts: Batch = (0..5)
        .flat_map(|i| [1.0 + f64::from(i), 0.3].repeat(block))
        .collect();
    for law in [Controller::I, Controller::PI, Controller::PID] {
        for batch in [
            Steps::PerSample,
            Steps::Shared(Mean::Largest),
            Steps::Shared(Mean::RootMeanSquare),
        ] {
            let run = |tolerance: f64| {
                let mut plan = Adaptive::new(0.0, 3.0, tolerance).expect("a plan");
                (plan.controller, plan.batch) = (law, batch);
                let (mut field, y0) = (unlike, starts.clone());
                let before = counting::counts().allocations;
                let solve = Solve::new(&PAIRS, &mut field).in_blocks(block);
                let end = solve.adaptive(method, y0, &plan);
                let end = end.expect("valid");
                let made = counting::counts().allocations - before;
                assert_eq!(end.outcome, Outcome::Done);
                (made, end.accepted)
            };
            let ((few, coarse), (many, fine)) = (run(1e-4), run(1e-8));
            assert!(fine > 2 * coarse, "{coarse} {fine}");
            assert_eq!(few, many, "{law:?} {batch:?}");
        }
    }
}
