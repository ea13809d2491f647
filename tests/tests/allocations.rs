//! A solver's step allocates nothing: counted, not believed.
//!
//! This test is a program of its own, since it replaces the allocator.

use flowgrad_tests::counting::{self, Counting};
use solvers::{Adaptive, Rows, Solve, TimeGrid, methods};
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

// One test, so that no other test allocates meanwhile.
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
