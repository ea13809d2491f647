//! Stochastic schemes: their formulas, their strong orders with confidence
//! intervals, their weak orders without.
//!
//! Strong orders are of two coordinates, each with noise of its own, whose drift
//! and diffusion depend on time and are not linear: `X = c(t) + g(t) sinh νW` is
//! known along the path. An order is the slope of the root mean square error
//! between two steps; its interval is six standard errors of 16 groups of paths,
//! left out one by one. Student's t with 15 degrees of freedom exceeds 6 with a
//! probability below 3e-5 on either side; seeds are fixed.
//!
//! Weak orders are of `E[X²]`, since the mean of a linear equation does not feel
//! its noise. The expectation over the increments is no mean of drawn ones but
//! the sum over all paths of Gauss's three places `0, ±√(3h)` with weights 2/3,
//! 1/6, 1/6, which integrates polynomials up to degree 5 exactly. One step of
//! Heun or Milstein is of degree 2 in `ΔW`, its square of degree 4; so the
//! scheme's own expectation is found, and the interval has no width.

use solvers::sde::{Brownian, Increments, Scheme, solve_sde};
use solvers::{Rows, Solve, TimeGrid, methods};

type Batch = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);

/// Which scheme; and twins that must be told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    EulerMaruyama,
    Heun,
    Milstein,
    /// Milstein with the wrong sign of `h`.
    WrongSign,
    /// Milstein without its correction, which is Euler and Maruyama's diffusion.
    NoCorrection,
    /// Heun with Itô's drift.
    WrongDrift,
    /// Heun whose second drift is taken at the time of the first.
    EarlyDrift,
    /// Heun whose second diffusion is taken at the time of the first.
    EarlyDiffusion,
}

impl Kind {
    /// Whether it solves Stratonovich's equation.
    fn is_heun(self) -> bool {
        use Kind::{EarlyDiffusion, EarlyDrift, Heun, WrongDrift};
        [Heun, WrongDrift, EarlyDrift, EarlyDiffusion].contains(&self)
    }
}

/// `dX = f dt + s dW` in Itô's sense, coordinate by coordinate; a name, `t` and
/// `x` to a number.
struct Problem<'a> {
    drift: &'a dyn Fn(usize, f64, f64) -> f64,
    diffusion: &'a dyn Fn(usize, f64, f64) -> f64,
    /// `∂s/∂x`.
    slope: &'a dyn Fn(usize, f64, f64) -> f64,
}

impl Problem<'_> {
    /// The drift of the integral that a scheme approximates: Stratonovich's is
    /// Itô's less `½ s ∂s/∂x`.
    fn drift_for(&self, kind: Kind, i: usize, t: f64, x: f64) -> f64 {
        let between = 0.5 * (self.diffusion)(i, t, x) * (self.slope)(i, t, x);
        let stratonovich = kind.is_heun() && kind != Kind::WrongDrift;
        (self.drift)(i, t, x) - if stratonovich { between } else { 0.0 }
    }

    /// The end by a scheme of the library.
    fn solve(
        &self,
        kind: Kind,
        motion: &impl Increments<Batch>,
        y0: Batch,
        grid: &TimeGrid,
    ) -> Batch {
        // A scheme with two evaluations a step calls for the second one after
        // the first: twins remember its time.
        let (mut calls, mut early) = ([0; 2], [0.0; 2]);
        let mut time = |which: usize, twin: Kind, t: f64| {
            calls[which] += 1;
            if kind == twin && calls[which] % 2 == 0 {
                return early[which];
            }
            early[which] = t;
            t
        };
        let time = std::cell::RefCell::new(&mut time);
        let mut drift = |t: &[f64], x: &Batch, out: &mut Batch| {
            let t = time.borrow_mut()(0, Kind::EarlyDrift, t[0]);
            for (i, (out, x)) in out.iter_mut().zip(x).enumerate() {
                *out = self.drift_for(kind, i % 2, t, *x);
            }
        };
        let mut diffusion = |t: f64, x: &Batch, dw: &Batch, out: &mut Batch| {
            let t = time.borrow_mut()(1, Kind::EarlyDiffusion, t);
            for (i, ((out, x), dw)) in out.iter_mut().zip(x).zip(dw).enumerate() {
                *out = (self.diffusion)(i % 2, t, *x) * dw;
            }
        };
        let (sign, size) = match kind {
            Kind::WrongSign => (-1.0, 0.5),
            Kind::NoCorrection => (1.0, 0.0),
            _ => (1.0, 0.5),
        };
        let mut correction = |t: f64, x: &Batch, dw: &Batch, h: f64, out: &mut Batch| {
            for (i, ((out, x), dw)) in out.iter_mut().zip(x).zip(dw).enumerate() {
                let both = (self.diffusion)(i % 2, t, *x) * (self.slope)(i % 2, t, *x);
                *out = size * both * (dw * dw - sign * h);
            }
        };
        let scheme = match kind {
            Kind::EulerMaruyama => Scheme::EulerMaruyama,
            kind if kind.is_heun() => Scheme::Heun,
            _ => Scheme::Milstein(&mut correction),
        };
        let end = solve_sde(
            &PAIRS,
            (&mut drift, &mut diffusion),
            scheme,
            motion,
            y0,
            grid,
        );
        end.state
    }
}

/// `c(t)` and its derivative, `g(t)` and its derivative.
fn curves(i: usize, t: f64) -> [f64; 4] {
    match i {
        0 => {
            let (sin, cos) = (2.0 * t).sin_cos();
            [0.1 * sin, 0.2 * cos, 1.0 + 0.15 * cos, -0.3 * sin]
        }
        _ => [-0.1 * t * t, -0.2 * t, 0.6 + 0.2 * t, 0.2],
    }
}

/// The size of the noise: `sinh` of a whole `W` has tails that no number of
/// paths tames.
const NOISE: f64 = 0.7;

/// `X = c + g sinh νW` solves `dX = (c' + (g'/g + ½ν²)(X − c)) dt + ν√(g² + (X −
/// c)²) dW`, by Itô's formula.
const CURVED: Problem<'static> = Problem {
    drift: &|i, t, x| {
        let [c, dc, g, dg] = curves(i, t);
        dc + (dg / g + 0.5 * NOISE * NOISE) * (x - c)
    },
    diffusion: &|i, t, x| {
        let [c, _, g, _] = curves(i, t);
        NOISE * f64::hypot(g, x - c)
    },
    slope: &|i, t, x| {
        let [c, _, g, _] = curves(i, t);
        NOISE * (x - c) / f64::hypot(g, x - c)
    },
};

/// Where all coordinates begin: `W = 0`.
fn start(rows: usize) -> Batch {
    let one = [0, 1].map(|i| curves(i, 0.0)[0]);
    one.repeat(rows)
}

/// Each step against its formula, number by number, on an uneven grid.
///
/// Verifies (SD.1), (SD.3), (SD.4), (SD.5).
#[test]
fn every_step_is_its_formula() {
    let nodes = [0.0, 0.125, 0.1875, 0.5, 0.875, 1.0];
    let grid = TimeGrid::new(nodes.to_vec()).expect("a grid");
    let motion = Brownian {
        seed: 11,
        t0: 0.0,
        t1: 1.0,
        dimension: 2,
    };
    let (f, s, ds) = (CURVED.drift, CURVED.diffusion, CURVED.slope);
    let plain = |kind: Kind, row: usize, i: usize| {
        let mut x = start(1)[i];
        for pair in nodes.windows(2) {
            let (t, t1) = (pair[0], pair[1]);
            let h = t1 - t;
            let dw = motion.at(t1, row, i) - motion.at(t, row, i);
            let drift = |t: f64, x: f64| f(i, t, x) - 0.5 * s(i, t, x) * ds(i, t, x);
            x += match kind {
                Kind::EulerMaruyama => f(i, t, x) * h + s(i, t, x) * dw,
                Kind::Milstein => {
                    let half = 0.5 * s(i, t, x) * ds(i, t, x);
                    f(i, t, x) * h + s(i, t, x) * dw + half * (dw * dw - h)
                }
                _ => {
                    let there = x + drift(t, x) * h + s(i, t, x) * dw;
                    0.5 * (drift(t, x) + drift(t1, there)) * h
                        + 0.5 * (s(i, t, x) + s(i, t1, there)) * dw
                }
            };
        }
        x
    };
    // A dozen roundings a step of numbers below 4, which five steps of slopes up
    // to 2 may double each time.
    let bound = 5.0 * 12.0 * 4.0 * 32.0 * f64::EPSILON;
    let off = |kind: Kind, twin: Kind| {
        let found = CURVED.solve(twin, &motion, start(3), &grid);
        let numbers = found.iter().enumerate();
        let errors = numbers.map(|(n, x)| (x - plain(kind, n / 2, n % 2)).abs());
        errors.fold(0.0, |most: f64, e| if e <= most { most } else { e })
    };
    for kind in [Kind::EulerMaruyama, Kind::Heun, Kind::Milstein] {
        assert!(off(kind, kind) <= bound, "{kind:?}: {:e}", off(kind, kind));
    }
    for (kind, twin) in [
        (Kind::Heun, Kind::EarlyDrift),
        (Kind::Heun, Kind::EarlyDiffusion),
        (Kind::Heun, Kind::WrongDrift),
        (Kind::Milstein, Kind::WrongSign),
        (Kind::Milstein, Kind::NoCorrection),
    ] {
        assert!(off(kind, twin) > 1e-3, "{twin:?}: {:e}", off(kind, twin));
    }
}

const GROUPS: usize = 16;

/// A motion, drawn once for all schemes and steps: the paths are common, and
/// what is random in the comparison of two steps is the same.
struct Drawn(Vec<Batch>);

impl Drawn {
    /// To 2⁻⁹ of the interval.
    const FINEST: usize = 512;

    fn new(seed: u64, rows: usize) -> Self {
        let motion = Brownian {
            seed,
            t0: 0.0,
            t1: 1.0,
            dimension: 2,
        };
        let values = |n: usize| -> Batch {
            let t = n as f64 / Self::FINEST as f64;
            let all = 0..2 * rows;
            all.map(|i| motion.at(t, i / 2, i % 2)).collect()
        };
        let drawn = Drawn((0..=Self::FINEST).map(values).collect());
        // The same increments as the motion itself gives.
        let (mut own, mut its) = (vec![0.0; 2 * rows], vec![0.0; 2 * rows]);
        drawn.between(0.375, 0.625, &mut own);
        motion.between(0.375, 0.625, &mut its);
        assert_eq!(own, its);
        drawn
    }

    fn at(&self, t: f64) -> &Batch {
        &self.0[(t * Self::FINEST as f64) as usize]
    }
}

impl Increments<Batch> for Drawn {
    fn between(&self, t0: f64, t1: f64, out: &mut Batch) {
        for ((out, a), b) in out.iter_mut().zip(self.at(t0)).zip(self.at(t1)) {
            *out = b - a;
        }
    }
}

/// The slope between root mean squares of the error at the end, and its
/// interval.
fn strong(kind: Kind, groups: &[Drawn], [coarse, fine]: [usize; 2]) -> (f64, f64) {
    let square = |drawn: &Drawn, steps: usize| {
        let grid = TimeGrid::uniform(0.0, 1.0, steps).expect("a grid");
        let rows = drawn.0[0].len() / 2;
        let found = CURVED.solve(kind, drawn, start(rows), &grid);
        let exact = drawn.at(1.0).iter().enumerate().map(|(n, w)| {
            let [c, _, g, _] = curves(n % 2, 1.0);
            c + g * (NOISE * w).sinh()
        });
        let squares = found.iter().zip(exact).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>()
    };
    let squares = |steps: usize| -> Vec<f64> { groups.iter().map(|g| square(g, steps)).collect() };
    let (first, second) = (squares(coarse), squares(fine));
    let slope = |left_out: Option<usize>| {
        let sum = |x: &[f64]| x.iter().sum::<f64>() - left_out.map_or(0.0, |i| x[i]);
        let halvings = (fine as f64 / coarse as f64).log2();
        0.5 * (sum(&first) / sum(&second)).log2() / halvings
    };
    // Leaving out one group each time (the jackknife).
    let n = groups.len();
    let parts: Vec<f64> = (0..n).map(|i| slope(Some(i))).collect();
    let centre = parts.iter().sum::<f64>() / n as f64;
    let spread: f64 = parts.iter().map(|p| (p - centre).powi(2)).sum();
    let error = ((n as f64 - 1.0) / n as f64 * spread).sqrt();
    (slope(None), 6.0 * error)
}

/// Verifies (SD.3), (SD.4), (SD.5).
#[test]
fn strong_orders_are_a_half_and_one() {
    let groups: Vec<Drawn> = (0..GROUPS as u64).map(|g| Drawn::new(g, 1000)).collect();
    // The whole interval lies within 0.1 of the order.
    let has = |kind: Kind, order: f64, steps: [usize; 2]| {
        let (slope, width) = strong(kind, &groups, steps);
        println!("{kind:?}: strong {slope:.3} ± {width:.3}");
        (slope - order).abs() + width <= 0.1
    };
    // Euler and Maruyama's error has a part of order 1 besides, which only short
    // steps make small.
    assert!(has(Kind::EulerMaruyama, 0.5, [64, Drawn::FINEST]));
    assert!(has(Kind::Heun, 1.0, [32, 256]));
    assert!(has(Kind::Milstein, 1.0, [16, 128]));
    for twin in [Kind::WrongSign, Kind::NoCorrection, Kind::WrongDrift] {
        assert!(!has(twin, 1.0, [16, 128]), "{twin:?}");
    }
}

/// All paths of Gauss's three places: the digits of a row's number to the base
/// three are its places, step by step. Both coordinates go the same way, since
/// each is judged for itself.
struct AllPaths {
    steps: usize,
    h: f64,
}

impl AllPaths {
    fn rows(&self) -> usize {
        3usize.pow(self.steps as u32)
    }

    fn place(row: usize, step: usize) -> usize {
        row / 3usize.pow(step as u32) % 3
    }

    fn weight(&self, row: usize) -> f64 {
        let one = |step| [1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0][Self::place(row, step)];
        (0..self.steps).map(one).product()
    }
}

impl Increments<Batch> for AllPaths {
    fn between(&self, t0: f64, t1: f64, out: &mut Batch) {
        assert!(
            (t1 - t0 - self.h).abs() <= f64::EPSILON,
            "one step at a time"
        );
        let step = (t0 / self.h).round() as usize;
        for (n, out) in out.iter_mut().enumerate() {
            *out = [-1.0, 0.0, 1.0][Self::place(n / 2, step)] * (3.0 * self.h).sqrt();
        }
    }
}

/// `dX = (aX + c) dt + (bX + s) dW` with coefficients that depend on time.
struct Linear {
    /// `a`, `c`, `b`, `s` of a coordinate at a time.
    at: fn(usize, f64) -> [f64; 4],
}

/// How long weak problems are solved.
const SPAN: f64 = 0.5;

impl Linear {
    /// `E[X]` and `E[X²]` at the end of `steps` steps of a scheme whose diffusion
    /// is `scale` times what it should be.
    fn moments(&self, kind: Kind, steps: usize, scale: f64) -> [[f64; 2]; 2] {
        let at = self.at;
        let problem = Problem {
            drift: &|i, t, x| {
                let [a, c, _, _] = at(i, t);
                a * x + c
            },
            diffusion: &|i, t, x| {
                let [_, _, b, s] = at(i, t);
                scale * (b * x + s)
            },
            slope: &|i, t, _| scale * at(i, t)[2],
        };
        let h = SPAN / steps as f64;
        let motion = AllPaths { steps, h };
        let grid = TimeGrid::uniform(0.0, SPAN, steps).expect("a grid");
        let ends = problem.solve(kind, &motion, vec![1.0; 2 * motion.rows()], &grid);
        let mut moments = [[0.0; 2]; 2];
        for (row, pair) in ends.chunks_exact(2).enumerate() {
            for (i, x) in pair.iter().enumerate() {
                moments[0][i] += motion.weight(row) * x;
                moments[1][i] += motion.weight(row) * x * x;
            }
        }
        moments
    }

    /// The exact ones: `m₁' = am₁ + c` and `m₂' = (2a + b²)m₂ + 2(c + bs)m₁ + s²`.
    /// Sixty-four steps of order 8 leave rounding only.
    fn exact(&self) -> [[f64; 2]; 2] {
        let at = self.at;
        let mut field = |t: &[f64], m: &Batch, dm: &mut Batch| {
            for i in 0..2 {
                let [a, c, b, s] = at(i, t[0]);
                let (m1, m2) = (m[2 * i], m[2 * i + 1]);
                dm[2 * i] = a * m1 + c;
                dm[2 * i + 1] = (2.0 * a + b * b) * m2 + 2.0 * (c + b * s) * m1 + s * s;
            }
        };
        let space = Rows::<f64>::new(4);
        let grid = TimeGrid::uniform(0.0, SPAN, 64).expect("a grid");
        let end = Solve::new(&space, &mut field).fixed(&methods::DOP853, vec![1.0; 4], &grid);
        let m = end.expect("a valid problem").state;
        [[m[0], m[2]], [m[1], m[3]]]
    }

    /// The slope of the error of a moment, without the next term, as in
    /// `convergence.rs`: what is left has a relative size of `h²`, where rates
    /// are below 1 and `h` is an eighth at most.
    fn order(&self, kind: Kind, moment: usize, expected: i32, scale: f64) -> f64 {
        let exact = self.exact()[moment];
        let error = |steps: usize| {
            let found = self.moments(kind, steps, scale)[moment];
            [0, 1].map(|i| found[i] - exact[i])
        };
        let [first, second, third] = [2, 4, 8].map(error);
        let without = |coarse: [f64; 2], fine: [f64; 2]| -> f64 {
            let weight = 2f64.powi(expected + 1);
            (0..2).map(|i| (coarse[i] - weight * fine[i]).powi(2)).sum()
        };
        0.5 * (without(first, second) / without(second, third)).log2()
    }
}

/// Noise that grows with the state.
const GROWING: Linear = Linear {
    at: |i, t| match i {
        0 => [0.5 + 0.3 * t, 0.1, 0.4 - 0.2 * t, 0.0],
        _ => [-0.4, 0.2 * t, 0.3 + 0.3 * t, 0.2],
    },
};

/// Noise that does not depend on the state.
const ADDED: Linear = Linear {
    at: |i, t| match i {
        0 => [0.5 + 0.6 * t, 0.1 - 0.8 * t, 0.0, 0.4 + 0.9 * t],
        _ => [-0.4 - 0.5 * t, 0.9 * t, 0.0, 0.8 - 0.7 * t],
    },
};

/// Order 1 for noise that depends on the state. Heun's is order 2 where it does
/// not: its drift is then the trapezoidal rule's, and so is its variance; there
/// alone the times of its second stage decide the order. (Milstein and Tretyakov,
/// *Stochastic Numerics for Mathematical Physics*, 2.2.)
///
/// Verifies (SD.3), (SD.4), (SD.5).
#[test]
fn weak_orders_of_the_second_moment() {
    let has = |problem: &Linear, kind: Kind, order: i32| {
        let found = problem.order(kind, 1, order, 1.0);
        println!("{kind:?}: weak {found:.3} of {order}");
        (found - f64::from(order)).abs() <= 0.1
    };
    for kind in [Kind::EulerMaruyama, Kind::Milstein, Kind::Heun] {
        assert!(has(&GROWING, kind, 1), "{kind:?}");
    }
    assert!(has(&ADDED, Kind::EulerMaruyama, 1));
    assert!(has(&ADDED, Kind::Heun, 2));
    for twin in [Kind::EarlyDrift, Kind::EarlyDiffusion] {
        assert!(!has(&ADDED, twin, 2), "{twin:?}");
    }
    for twin in [Kind::WrongDrift, Kind::WrongSign] {
        assert!(!has(&GROWING, twin, 1), "{twin:?}");
    }
    // A diffusion a tenth too large: the mean does not see it, which is why
    // it is the second moment that is looked at.
    for kind in [Kind::EulerMaruyama, Kind::Milstein] {
        let mean = GROWING.order(kind, 0, 1, 1.1);
        assert!((mean - 1.0).abs() <= 0.1, "{kind:?}: {mean}");
        let second = GROWING.order(kind, 1, 1, 1.1);
        assert!(!((second - 1.0).abs() <= 0.1), "{kind:?}: {second}");
    }
}
