//! Reversible Heun: back on the reversed grid to what rounding leaves, and order 2.
//!
//! How much rounding leaves is derived: what one step there and one step back
//! round, carried to the start by the derivatives of the steps back.

use crate::rounding::{UNIT, jacobian, left, spread};
use solvers::{Companions, Outcome, Rows, Solve, TimeGrid, methods, reversible_heun};

type Points = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);

/// `y' = (y₂, −sin y₁ − 0.2 y₂ + 0.5 cos t)`.
fn pendulum(t: &[f64], y: &Points, dy: &mut Points) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        dy.copy_from_slice(&slope(*t, &[y[0], y[1]]));
    }
}

fn slope(t: f64, y: &[f64; 2]) -> [f64; 2] {
    [y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos()]
}

/// A step of (RV.1) with `y` and `ŷ` one behind the other.
fn step((t0, t1): (f64, f64), s: &[f64]) -> Points {
    let h = t1 - t0;
    let before = slope(t0, &[s[2], s[3]]);
    let hat = [0, 1].map(|i| 2.0 * s[i] - s[2 + i] + h * before[i]);
    let after = slope(t1, &hat);
    let y = [0, 1].map(|i| s[i] + 0.5 * h * (before[i] + after[i]));
    [y, hat].concat()
}

/// What the library's step from `s` rounds at most, operation by operation.
fn rounded((t0, t1): (f64, f64), s: &[f64]) -> Points {
    let h = (t1 - t0).abs();
    let (f0, next) = (slope(t0, &[s[2], s[3]]), step((t0, t1), s));
    let f1 = slope(t1, &[next[2], next[3]]);
    // A sine or cosine to an ulp, a product, two sums: at most six units of each
    // term. The first coordinate of a slope is copied.
    let noise = |t: f64, hat: &[f64]| {
        let size = hat[0].sin().abs() + 0.2 * hat[1].abs() + 0.5 * t.cos().abs();
        [0.0, 6.0 * UNIT * size]
    };
    let (n0, n1) = (noise(t0, &s[2..]), noise(t1, &next[2..]));
    // y − ŷ, h·f, their sum, and the whole.
    let hat = [0, 1].map(|i| {
        let (gap, move_by) = ((s[i] - s[2 + i]).abs(), h * f0[i].abs());
        UNIT * (2.0 * gap + 2.0 * move_by + next[2 + i].abs()) + h * n0[i]
    });
    // The second slope is taken where ŷ₁ was rounded to.
    let carried = [hat[1], next[2].cos().abs() * hat[0] + 0.2 * hat[1]];
    // Two products, their sum, and the whole.
    let y = [0, 1].map(|i| {
        let terms = 0.5 * h * (f0[i].abs() + f1[i].abs());
        UNIT * (2.0 * terms + next[i].abs()) + 0.5 * h * (n0[i] + n1[i] + carried[i])
    });
    [y, hat].concat()
}

/// How far `y` may be from where it began, there and back again on a grid.
pub(crate) fn rounding_of_the_way_back(nodes: &[f64], start: [f64; 2]) -> [f64; 2] {
    let mut states = vec![[start, start].concat()];
    for pair in nodes.windows(2) {
        let last = &states[states.len() - 1];
        states.push(step((pair[0], pair[1]), last));
    }
    let back = |n: usize| {
        let (there, back) = ((nodes[n], nodes[n + 1]), (nodes[n + 1], nodes[n]));
        let (from, to) = (&states[n + 1], &states[n]);
        let derivative = jacobian(|s| step(back, s), from);
        // What the step there rounded is taken back with the state.
        let there = spread(&derivative, &rounded(there, to));
        let own = rounded(back, from);
        let local = own.iter().zip(there).map(|(own, there)| own + there);
        let local = local.collect();
        (derivative, local)
    };
    let chain: Vec<_> = (0..nodes.len() - 1).rev().map(back).collect();
    let bound = left(&chain);
    [bound[0], bound[1]]
}

/// The grid in the other direction.
fn reversed(grid: &TimeGrid) -> TimeGrid {
    let nodes = grid.nodes().iter().rev().copied().collect();
    TimeGrid::new(nodes).expect("a grid")
}

fn march(
    field: fn(&[f64], &Points, &mut Points),
    start: Companions<Points>,
    grid: &TimeGrid,
) -> Companions<Points> {
    let mut field = field;
    let end = reversible_heun(&PAIRS, &mut field, start, grid);
    assert_eq!(end.outcome, Outcome::Done);
    end.state
}

const START: [f64; 2] = [1.0, 0.3];

/// Verifies (RV.1).
#[test]
fn the_reversed_grid_leads_back_to_what_rounding_leaves() {
    let uneven: Vec<f64> = (0..=40)
        .map(|i| (f64::from(i) / 16.0).powi(2) / 2.0)
        .collect();
    for grid in [
        TimeGrid::uniform(0.0, 2.0, 32).expect("a grid"),
        TimeGrid::uniform(0.3, -1.7, 25).expect("a grid"),
        TimeGrid::new(uneven).expect("a grid"),
    ] {
        let there = march(pendulum, Companions::at(START.to_vec()), &grid);
        let far = there.y.iter().zip(START).map(|(a, b)| (a - b).abs());
        assert!(far.fold(0.0, f64::max) > 0.1, "it went somewhere");
        let back = march(pendulum, there.clone(), &reversed(&grid));
        let bound = rounding_of_the_way_back(grid.nodes(), START);
        for i in 0..2 {
            let ulp = START[i].next_up() - START[i];
            let error = (back.y[i] - START[i]).abs();
            println!(
                "{:.1} ulps of {:.0} that could be",
                error / ulp,
                bound[i] / ulp
            );
            assert!(error <= bound[i], "{error:e} of {:e}", bound[i]);
            // A few of them a step, and not some power.
            let few = 100.0 * grid.intervals() as f64;
            assert!(bound[i] <= few * ulp, "{:e}", bound[i]);
        }
        // The wrong twins: without the companion, and by a node off by 1e-6,
        // which moves the start by a power of it.
        let off = |twin: &Points| {
            let pairs = twin.iter().zip(START).zip(bound);
            pairs
                .filter(|((a, b), bound)| !((*a - b).abs() <= *bound))
                .count()
        };
        let alone = march(pendulum, Companions::at(there.y.clone()), &reversed(&grid));
        assert!(off(&alone.y) > 0, "{alone:?}");
        let mut nodes = reversed(&grid).nodes().to_vec();
        nodes[3] += 1e-6;
        let moved = TimeGrid::new(nodes).expect("a grid");
        let moved = march(pendulum, there, &moved);
        assert!(off(&moved.y) > 0, "{moved:?}");
    }
}

/// An oscillator in steps of 1/8 from numbers of one binary digit: a step adds
/// at most four digits behind the point, so ten of them fit into a double, and
/// nothing is rounded.
///
/// Verifies (RV.1).
#[test]
fn where_nothing_is_rounded_the_way_back_is_exact() {
    let oscillator = |_: &[f64], y: &Points, dy: &mut Points| (dy[0], dy[1]) = (y[1], -y[0]);
    for span in [(0.0, 1.25), (1.0, -0.25)] {
        let grid = TimeGrid::uniform(span.0, span.1, 10).expect("a grid");
        let start = Companions::at(vec![1.0, 0.5]);
        let there = march(oscillator, start.clone(), &grid);
        let back = march(oscillator, there, &reversed(&grid));
        assert_eq!(back, start);
    }
}

/// Verifies (RV.1).
#[test]
fn the_way_there_has_order_two() {
    let starts = || -> Points {
        let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
        (0..32).flat_map(start).collect()
    };
    for (t0, t1) in [(0.0, 3.0), (2.0, -1.0)] {
        let mut field = pendulum;
        let fine = TimeGrid::uniform(t0, t1, 200).expect("a grid");
        let exact = Solve::new(&PAIRS, &mut field).fixed(&methods::DOP853, starts(), &fine);
        let exact = exact.expect("a valid problem").state;
        // A field that is taken at the wrong time is the wrong twin.
        let slope = |field: fn(&[f64], &Points, &mut Points)| {
            let error = |steps: usize| {
                let grid = TimeGrid::uniform(t0, t1, steps).expect("a grid");
                let found = march(field, Companions::at(starts()), &grid).y;
                let pairs = found.iter().zip(&exact).map(|(a, b)| (a - b).powi(2));
                pairs.sum::<f64>().sqrt()
            };
            (error(400) / error(800)).log2()
        };
        let found = slope(pendulum);
        println!("reversible Heun over ({t0}, {t1}): {found:.3}");
        assert!((found - 2.0).abs() <= 0.1, "{found}");
        let late = slope(|t, y, dy| {
            let late: Points = t.iter().map(|t| t + 1e-3).collect();
            pendulum(&late, y, dy);
        });
        assert!(!((late - 2.0).abs() <= 0.1), "{late}");
    }
}
