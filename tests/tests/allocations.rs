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

#[test]
fn steps_after_the_first_allocate_nothing() {
    let space = Rows::<f64>::new(2);
    let y0 = || vec![1.0; 2 * 100];
    let grid = TimeGrid::uniform(0.0, 1.0, 50).expect("a grid");
    let plan = Adaptive::new(0.0, 1.0, 1e-8).expect("a plan");
    let mut field = oscillators;
    for name in methods::NAMES {
        let method = methods::by_name(name).expect("a method");
        let counts = counts(|observer| {
            let solve = Solve::new(&space, &mut field).observed(observer);
            solve.fixed(method, y0(), &grid).expect("a valid problem");
        });
        assert_eq!(counts.len(), 51);
        assert_eq!(counts[1], counts[50], "{name} on a grid");
    }
    let looks = counts(|observer| {
        let solve = Solve::new(&space, &mut field).observed(observer);
        let end = solve.adaptive(&methods::DORMAND_PRINCE, y0(), &plan);
        end.expect("a valid problem");
    });
    // All rows are alike and arrive together: only the last attempt, which
    // puts them aside, may allocate.
    assert!(looks.len() > 5);
    assert_eq!(looks[1], looks[looks.len() - 2], "adaptive");
    // The wrong twin, a field that allocates, is seen.
    let mut wasteful = |t: &[f64], y: &Batch, dy: &mut Batch| {
        let copy = y.clone();
        oscillators(t, &copy, dy);
    };
    let looks = counts(|observer| {
        let solve = Solve::new(&space, &mut wasteful).observed(observer);
        solve
            .fixed(&methods::EULER, y0(), &grid)
            .expect("a valid problem");
    });
    assert_eq!(looks[50] - looks[1], 49);
}
