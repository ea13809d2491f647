//! Strong and weak orders of stochastic schemes, with confidence intervals.
//!
//! Geometric Brownian motion, `dX = a X dt + b X dW`, has the solution
//! `X = X₀ exp((a − b²/2) t + b W)` along the same path, so errors are taken
//! path by path. An order is a slope between two steps; its interval comes
//! from the spread of independent groups of paths: the mean of 16 groups,
//! ± 6 standard errors. Student's t with 15 degrees of freedom exceeds 6 with a
//! probability below 3e-5 on either side; seeds are fixed.

use solvers::sde::{Brownian, Scheme, solve_sde};
use solvers::{Rows, TimeGrid};

type Batch = Vec<f64>;

const A: f64 = 0.5;
const B: f64 = 0.4;
const LINE: Rows<f64> = Rows::new(1);

/// Which scheme, with the drift that makes it one for Itô's equation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    EulerMaruyama,
    Heun,
    Milstein,
    /// Milstein with the wrong sign of `h`: it must be told apart.
    Wrong,
}

/// The ends of `paths` paths with `steps` steps, and the exact ends.
fn ends(kind: Kind, seed: u64, paths: usize, steps: usize) -> (Batch, Batch) {
    let motion = Brownian {
        seed,
        t0: 0.0,
        t1: 1.0,
        dimension: 1,
    };
    // Stratonovich's drift is Itô's less b²x/2.
    let rate = if kind == Kind::Heun {
        A - 0.5 * B * B
    } else {
        A
    };
    let mut drift = |_: &[f64], x: &Batch, out: &mut Batch| {
        for (out, x) in out.iter_mut().zip(x) {
            *out = rate * x;
        }
    };
    let mut diffusion = |_: f64, x: &Batch, dw: &Batch, out: &mut Batch| {
        for ((out, x), dw) in out.iter_mut().zip(x).zip(dw) {
            *out = B * x * dw;
        }
    };
    let sign = if kind == Kind::Wrong { -1.0 } else { 1.0 };
    let mut correction = |_: f64, x: &Batch, dw: &Batch, h: f64, out: &mut Batch| {
        for ((out, x), dw) in out.iter_mut().zip(x).zip(dw) {
            *out = 0.5 * B * B * x * (dw * dw - sign * h);
        }
    };
    let scheme = match kind {
        Kind::EulerMaruyama => Scheme::EulerMaruyama,
        Kind::Heun => Scheme::Heun,
        Kind::Milstein | Kind::Wrong => Scheme::Milstein(&mut correction),
    };
    let grid = TimeGrid::uniform(0.0, 1.0, steps).expect("a grid");
    let problem = (&mut drift, &mut diffusion);
    let end = solve_sde(&LINE, problem, scheme, &motion, vec![1.0; paths], &grid);
    let exact = (0..paths).map(|i| ((A - 0.5 * B * B) + B * motion.at(1.0, i, 0)).exp());
    (end.state, exact.collect())
}

/// Mean and half-width of the interval of a slope over groups of paths.
fn interval(slope: impl Fn(u64) -> f64) -> (f64, f64) {
    const GROUPS: u64 = 16;
    let slopes: Vec<f64> = (0..GROUPS).map(slope).collect();
    let n = slopes.len() as f64;
    let mean = slopes.iter().sum::<f64>() / n;
    let variance = slopes.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, 6.0 * (variance / n).sqrt())
}

/// Between root mean squares of the error at the end.
fn strong(kind: Kind) -> (f64, f64) {
    let error = |seed: u64, steps: usize| {
        let (found, exact) = ends(kind, seed, 1000, steps);
        let squares = found.iter().zip(&exact).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    interval(|seed| (error(seed, 32) / error(seed, 128)).log2() / 2.0)
}

/// Verifies (SD.1), (SD.3), (SD.4), (SD.5).
#[test]
fn strong_orders_are_a_half_and_one() {
    for (kind, order) in [
        (Kind::EulerMaruyama, 0.5),
        (Kind::Heun, 1.0),
        (Kind::Milstein, 1.0),
    ] {
        let (slope, width) = strong(kind);
        println!("{kind:?}: strong {slope:.3} ± {width:.3}");
        // The interval is narrow, and holds nothing but orders within 0.1.
        assert!(width <= 0.08, "{kind:?}: {width}");
        assert!((slope - order).abs() <= 0.1, "{kind:?}: {slope} ± {width}");
    }
    let (slope, _) = strong(Kind::Wrong);
    assert!((slope - 1.0).abs() > 0.5, "the wrong twin has {slope}");
}

/// Of the mean: the error of each path is small and shares its path with the
/// exact one, so that the mean of the difference is known well.
#[test]
fn weak_orders_are_one() {
    for kind in [Kind::EulerMaruyama, Kind::Milstein] {
        let error = |seed: u64, steps: usize| {
            let (found, exact) = ends(kind, seed, 4000, steps);
            let differences = found.iter().zip(&exact).map(|(a, b)| a - b);
            differences.sum::<f64>() / 4000.0
        };
        // The mean over all groups, since a group's own mean is noisy.
        let groups =
            |steps: usize| -> Vec<f64> { (0..16).map(|g| error(100 + g, steps)).collect() };
        let (coarse, fine) = (groups(4), groups(16));
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let slope = (mean(&coarse) / mean(&fine)).log2() / 2.0;
        // Leaving out one group each time (the jackknife).
        let without = |x: &[f64], i: usize| (16.0 * mean(x) - x[i]) / 15.0;
        let parts: Vec<f64> = (0..16)
            .map(|i| (without(&coarse, i) / without(&fine, i)).log2() / 2.0)
            .collect();
        let centre = mean(&parts);
        let spread: f64 = parts.iter().map(|p| (p - centre).powi(2)).sum();
        let width = 6.0 * (15.0 / 16.0 * spread).sqrt();
        println!("{kind:?}: weak {slope:.3} ± {width:.3}");
        // E[X] of both is (1 + ah)ⁿ, whose error has the slope 0.96 here.
        assert!(width <= 0.25, "{kind:?}: {width}");
        assert!(
            (slope - 1.0).abs() <= 0.1 + width,
            "{kind:?}: {slope} ± {width}"
        );
        assert!(slope - width > 0.5, "{kind:?}: {slope} ± {width}");
    }
}
