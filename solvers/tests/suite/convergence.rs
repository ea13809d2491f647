//! Slopes, not tolerances: halving the step divides an error by `2^p`, which a
//! wrong constant anywhere changes.
//!
//! The problem is neither linear nor autonomous, so every tree and every node
//! counts; errors are root mean squares over many starts, so that no leading
//! term vanishes by chance.

use solvers::{Method, Rows, Solve, TimeGrid, methods};

type Batch = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);
const STARTS: usize = 32;

/// `y' = (y₂, −sin y₁ − 0.2 y₂ + 0.5 cos t)`.
fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

fn starts() -> Batch {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    (0..STARTS).flat_map(start).collect()
}

fn march(method: &Method, y0: Batch, (t0, t1): (f64, f64), steps: usize) -> Batch {
    let grid = TimeGrid::uniform(t0, t1, steps).expect("a grid");
    let mut field = pendulum;
    let end = Solve::new(&PAIRS, &mut field).fixed(method, y0, &grid);
    end.expect("a valid problem").state
}

/// DOP853 in steps so short that rounding is all that is left, near 1e-15; its
/// maps are compared with 50 digits in `promises.rs`.
fn exact(y0: Batch, (t0, t1): (f64, f64)) -> Batch {
    march(&methods::DOP853, y0, (t0, t1), 200)
}

fn difference(a: &Batch, b: &Batch) -> Batch {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Intervals forwards and backwards, with numbers of steps that leave errors
/// between 1e-4 and 1e-13: asymptotic, and far from rounding. At order 8 there
/// is little room between the two.
fn spans(order: usize) -> [((f64, f64), usize); 2] {
    let steps = match order {
        1 => 1000,
        2 => 200,
        3 => 100,
        4 => 60,
        5 => 48,
        _ => return [((0.0, 4.0), 10), ((1.0, -0.5), 5)],
    };
    [((0.0, 3.0), steps), ((2.0, -1.0), steps)]
}

/// The order seen. The error is `C hᵖ + C' hᵖ⁺¹ + …`, and where `C` is small,
/// as Tsitouras made it, the second term is felt down to rounding. So it is
/// taken out: `e(h) − 2ᵖ⁺¹e(h/2)` has the first term and no second. An error of
/// any other order keeps its own slope.
fn slope(order: usize, n: usize, error: impl Fn(usize) -> Batch) -> f64 {
    let [first, second, third] = [n, 2 * n, 4 * n].map(error);
    let without = |coarse: &Batch, fine: &Batch| -> f64 {
        let weight = 2f64.powi(order as i32 + 1);
        let pairs = coarse.iter().zip(fine);
        pairs.map(|(c, f)| (c - weight * f).powi(2)).sum()
    };
    0.5 * (without(&first, &second) / without(&second, &third)).log2()
}

fn slope_at_the_end(method: &Method, (span, n): ((f64, f64), usize)) -> f64 {
    let exact = exact(starts(), span);
    slope(method.order, n, |n| {
        difference(&march(method, starts(), span, n), &exact)
    })
}

/// Verifies (RK.1).
#[test]
fn each_method_converges_with_its_order_forwards_and_backwards() {
    for method in *methods::ALL {
        for span in spans(method.order) {
            let found = slope_at_the_end(method, span);
            println!("{} over {span:?}: order {found:.3}", method.name);
            let error = (found - method.order as f64).abs();
            assert!(error <= 0.1, "{} over {span:?}: {found}", method.name);
        }
    }
}

#[test]
fn a_method_with_a_wrong_node_loses_its_order() {
    let mut wrong = methods::RK4.clone();
    wrong.c[3] = 0.9;
    let found = slope_at_the_end(&wrong, spans(wrong.order)[0]);
    assert!((found - 4.0).abs() > 0.5, "{found}");
    // The nodes that a published DOP853 has had: 0 for 1.
    let mut wrong = methods::DOP853.clone();
    (wrong.c[11], wrong.c[12]) = (0.0, 0.0);
    let found = slope_at_the_end(&wrong, spans(wrong.order)[0]);
    assert!((found - 8.0).abs() > 0.5, "{found}");
}
