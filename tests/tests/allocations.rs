//! A solver's step allocates nothing: counted, not believed. Where no observer
//! can look between steps, twice as many of them allocate no more.
//!
//! This test is a program of its own, since it replaces the allocator.

use flowgrad_tests::counting::{self, Counting};
use solvers::sde::{Brownian, Scheme, solve_sde};
use solvers::{
    AB2, AB3, AB4, Adaptive, Batch as Steps, Companions, ExponentialOrder, Mean, Rows, Solve,
    TimeGrid, continuous_adjoint, discrete_adjoint, exponential, methods, reversible_adjoint,
    reversible_heun,
};
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
