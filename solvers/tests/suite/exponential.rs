//! Exponential steps against a flow in closed form.
//!
//! To data N(m, s²) from noise N(0, 1) on the path `a x₁ + b x₀`, a point with
//! `x₀ = z` moves along `a m + √(a²s² + b²) z`, and the expected end of `x` is
//! `m + a s² (x − a m)/(a²s² + b²)`.

use solvers::{End, ExponentialOrder as Order, Outcome, Rows, TimeGrid, exponential};
use std::f64::consts::FRAC_PI_2;

type Batch = Vec<f64>;

const LINE: Rows<f64> = Rows::new(1);
const M: f64 = 1.5;
const S: f64 = 0.4;

type Path = fn(f64) -> (f64, f64);

/// The straight path, and one that keeps the variance.
const PATHS: [Path; 2] = [
    |t| (t, 1.0 - t),
    |t| ((FRAC_PI_2 * t).sin(), (FRAC_PI_2 * t).cos()),
];

fn starts() -> Batch {
    (0..16).map(|i| 0.3 * f64::from(i) - 2.0).collect()
}

fn flow(path: Path, t: f64) -> Batch {
    let (a, b) = path(t);
    let scale = (a * a * S * S + b * b).sqrt();
    starts().iter().map(|z| a * M + scale * z).collect()
}

/// The expected end; `off` spoils the time it is asked at.
fn solve(path: Path, order: Order, grid: &TimeGrid, off: f64) -> End<Batch> {
    let mut expected = |t: &[f64], x: &Batch, d: &mut Batch| {
        let (a, b) = path(t[0] + off);
        for (d, x) in d.iter_mut().zip(x) {
            *d = M + a * S * S * (x - a * M) / (a * a * S * S + b * b);
        }
    };
    let start = flow(path, grid.nodes()[0]);
    let end = exponential(&LINE, path, &mut expected, order, start, grid);
    end.expect("a valid problem")
}

fn error(path: Path, order: Order, grid: &TimeGrid, off: f64) -> Batch {
    let end = solve(path, order, grid, off);
    assert_eq!(end.outcome, Outcome::Done);
    let exact = flow(path, *grid.nodes().last().expect("nodes"));
    end.state.iter().zip(&exact).map(|(a, b)| a - b).collect()
}

/// The order seen between `n`, `2n` and `4n` steps, without the next term of
/// the error, as in `convergence.rs`.
fn slope(p: i32, n: usize, error: impl Fn(usize) -> Batch) -> f64 {
    let [first, second, third] = [n, 2 * n, 4 * n].map(error);
    let without = |coarse: &Batch, fine: &Batch| -> f64 {
        let pairs = coarse.iter().zip(fine);
        pairs.map(|(c, f)| (c - 2f64.powi(p + 1) * f).powi(2)).sum()
    };
    0.5 * (without(&first, &second) / without(&second, &third)).log2()
}

/// Nodes equally spaced in the logarithm of signal to noise, or unequally.
fn grid(path: Path, steps: usize, uneven: f64) -> TimeGrid {
    let lambda = |t: f64| {
        let (a, b) = path(t);
        (a / b).ln()
    };
    let (from, to) = (lambda(0.15), lambda(0.9));
    let node = |i: usize| {
        let u = i as f64 / steps as f64;
        let wanted = from + (to - from) * (u + uneven * u * (1.0 - u));
        let (mut low, mut high): (f64, f64) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = low.midpoint(high);
            (low, high) = match lambda(middle) < wanted {
                true => (middle, high),
                false => (low, middle),
            };
        }
        low
    };
    TimeGrid::new((0..=steps).map(node).collect()).expect("a grid")
}

/// The same nodes from the last to the first.
fn reversed(grid: &TimeGrid) -> TimeGrid {
    TimeGrid::new(grid.nodes().iter().rev().copied().collect()).expect("a grid")
}

/// Verifies (EX.1).
#[test]
fn each_order_is_seen_on_every_path_and_grid_forwards_and_backwards() {
    for path in PATHS {
        for (uneven, back) in [(0.0, false), (-0.4, false), (0.0, true), (-0.4, true)] {
            for (order, expected, steps) in [
                (Order::First, 1, 200),
                (Order::Second, 2, 100),
                (Order::Third, 3, 100),
            ] {
                let error = |n: usize| {
                    let forth = grid(path, n, uneven);
                    let grid = if back { reversed(&forth) } else { forth };
                    error(path, order, &grid, 0.0)
                };
                let found = slope(expected, steps, error);
                println!("{order:?}, uneven {uneven}, backwards {back}: {found:.3}");
                assert!(
                    (found - f64::from(expected)).abs() <= 0.1,
                    "{order:?} {uneven} {back}: {found}"
                );
            }
        }
    }
}

#[test]
fn a_step_costs_one_evaluation_and_the_third_orders_first_step_two() {
    for (order, extra) in [(Order::First, 0), (Order::Second, 0), (Order::Third, 1)] {
        let end = solve(PATHS[0], order, &grid(PATHS[0], 7, 0.0), 0.0);
        assert_eq!(end.evaluations, 7 + extra);
    }
}

/// At pure noise and at pure data the logarithm is infinite, and steps there
/// are of order 1. There are only two of them, and the error at the end is one
/// order better than their own: so from end to end no more than order 2 is kept
/// in equal steps of time.
#[test]
fn whole_paths_are_gone_from_end_to_end() {
    for path in PATHS {
        for (order, least) in [
            (Order::First, 0.95),
            (Order::Second, 1.65),
            (Order::Third, 1.9),
        ] {
            let whole = |n: usize| {
                let node = |i: usize| i as f64 / n as f64;
                let nodes = (0..=n).map(node).collect();
                let grid = TimeGrid::new(nodes).expect("a grid");
                // cos(π/2) is not 0 in numbers; it is in the mathematics.
                let exact = move |t: f64| if t == 1.0 { (1.0, 0.0) } else { path(t) };
                let mut expected = |t: &[f64], x: &Batch, d: &mut Batch| {
                    let (a, b) = exact(t[0]);
                    for (d, x) in d.iter_mut().zip(x) {
                        *d = M + a * S * S * (x - a * M) / (a * a * S * S + b * b);
                    }
                };
                let end = exponential(&LINE, exact, &mut expected, order, starts(), &grid);
                let end = end.expect("a valid problem");
                assert_eq!(end.times[0], 1.0);
                let ends = starts().into_iter().map(|z| M + S * z);
                let far = end.state.iter().zip(ends).map(|(x, e)| (x - e).abs());
                far.fold(0.0, f64::max)
            };
            let found = (whole(320) / whole(1280)).log2() / 2.0;
            println!("{order:?} from end to end: {found:.3}");
            assert!(found >= least, "{order:?}: {found}");
        }
    }
}

#[test]
fn a_wrong_time_is_seen_and_bad_paths_are_refused() {
    let order = |off: f64| {
        let error = |n: usize| error(PATHS[0], Order::Third, &grid(PATHS[0], n, 0.0), off);
        slope(3, 100, error)
    };
    assert!((order(1e-3) - 3.0).abs() > 0.5);
    let refused = |path: Path, nodes: Vec<f64>| {
        let mut any = |_: &[f64], _: &Batch, _: &mut Batch| {};
        let grid = TimeGrid::new(nodes).expect("a grid");
        exponential(&LINE, path, &mut any, Order::First, vec![0.0], &grid).is_err()
    };
    // Noise may vanish only at the end, and signal may not come and go.
    assert!(refused(PATHS[0], vec![1.0, 0.1]));
    assert!(refused(
        |t| (t * (1.0 - t), 0.1 + t * t * t),
        vec![0.1, 0.3, 0.9]
    ));
    assert!(!refused(PATHS[0], vec![0.9, 0.1]));
    assert!(!refused(PATHS[0], vec![0.9, 0.1, 0.0]));
    assert!(refused(PATHS[0], vec![0.5, 1.0, 1.5]));
    assert!(refused(|t| (t, f64::NAN), vec![0.1, 0.9]));
    assert!(!refused(PATHS[0], vec![0.0, 0.5, 1.0]));
}
