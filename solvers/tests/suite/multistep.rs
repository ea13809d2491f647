//! Adams–Bashforth: orders, one evaluation a step, and what is refused.

use solvers::{AB2, AB3, AB4, AdamsBashforth, Outcome, Rows, TimeGrid, methods};

type Batch = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);

fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

fn starts() -> Batch {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    (0..32).flat_map(start).collect()
}

fn solve(method: AdamsBashforth, (t0, t1): (f64, f64), steps: usize) -> solvers::End<Batch> {
    let grid = TimeGrid::uniform(t0, t1, steps).expect("a grid");
    let end = method.solve(&PAIRS, &mut pendulum, starts(), &grid);
    end.expect("a valid problem")
}

/// Verifies (AB.1), (AB.2).
#[test]
fn each_converges_with_its_order_at_one_evaluation_a_step() {
    for span in [(0.3, 3.3), (2.0, -1.0)] {
        let grid = TimeGrid::uniform(span.0, span.1, 200).expect("a grid");
        let mut field = pendulum;
        let exact = solvers::Solve::new(&PAIRS, &mut field)
            .fixed(&methods::DOP853, starts(), &grid)
            .expect("a valid problem")
            .state;
        for (method, steps) in [(AB2, 400), (AB3, 400), (AB4, 200)] {
            let k = method.order();
            let end = solve(method, span, steps);
            assert_eq!(end.evaluations, steps + 3 * (k - 1));
            assert_eq!((end.outcome, end.times[0]), (Outcome::Done, span.1));
            let error = |n: usize| {
                let found = solve(method, span, n).state;
                let squares = found.iter().zip(&exact).map(|(a, b)| (a - b).powi(2));
                squares.sum::<f64>().sqrt()
            };
            let found = (error(steps) / error(2 * steps)).log2();
            println!("AB{k} over {span:?}: {found:.3}");
            assert!((found - k as f64).abs() <= 0.1, "AB{k}: {found}");
        }
    }
}

#[test]
fn uneven_or_short_grids_are_refused() {
    let refused = |nodes: Vec<f64>| {
        let grid = TimeGrid::new(nodes).expect("a grid");
        let end = AB3.solve(&PAIRS, &mut pendulum, starts(), &grid);
        end.expect_err("a bad grid").to_string()
    };
    assert!(refused(vec![0.0, 0.1, 0.2]).contains("number of intervals"));
    let said = refused(vec![1.0, 1.25, 1.5, 2.0]);
    assert_eq!(
        said, "an interval of the grid is 0.25; expected all alike",
        "the first that is not a third of 1"
    );
}
