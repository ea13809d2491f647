//! **Does a step of order 5 cost less here than in other libraries?**
//!
//! Compared, on N independent oscillators `(q, p)' = (p, −q)` as one system of
//! 2N numbers in `f64`, rtol = atol = 1e-6, from 0 to 10, on one thread:
//!
//! * "fused": the algorithm of "shared" written out for this question, each
//!   stage one pass over whole arrays, the error and its norm another, compiled
//!   as a program is by default;
//! * "fused, wide": the same in the widest vectors of the machine, as `solvers`
//!   has them;
//! * "shared": `solvers`, Dormand–Prince, one step for the whole batch by the
//!   root mean square, which is what the others do;
//! * "in blocks": the same, each step block by block, 256 oscillators at a time;
//! * "own steps": `solvers`, a step for each oscillator, in such blocks;
//! * "diffsol": Tsit45 of diffsol 0.18; "ode_solvers": Dopri5 of ode_solvers
//!   0.6, sparse output; "differential-equations": dopri5 of that crate, 0.7.
//!
//! All are asserted to end near the exact rotation, and "shared" to make the
//! same steps as "fused". To read: nanoseconds of processor time for one
//! oscillator and one attempted step, and how many steps were attempted, since
//! the laws of steps differ.
//!
//! Floor: 20 multiply-adds of stages, 6 of the error and its quotient for each
//! of two coordinates, near 130 operations, of which a processor makes 2 for
//! each instruction as this is compiled (SSE2), some 20 cycles. Far above 10⁴
//! oscillators "fused" is memory traffic, near 52 arrays of the size of the
//! state a step; in blocks it is 4 of them.

use differential_equations::prelude::{ExplicitRungeKutta, IVP, ODE};
use diffsol::{NalgebraMat, OdeBuilder, OdeSolverMethod, OdeSolverStopReason, Vector};
use flowgrad_benches::in_turn::{in_turn, measuring};
use flowgrad_benches::one_thread::on_one_thread;
use ode_solvers::{DVector, Dopri5, OutputType, System};
use pulp::{Arch, NullaryFnOnce};
use solvers::{Adaptive, Batch, Mean, Outcome, Rows, Solve, methods::DORMAND_PRINCE};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const END: f64 = 10.0;
const TOLERANCE: f64 = 1e-6;

fn oscillate(y: &[f64], dy: &mut [f64]) {
    for (dy, y) in dy.chunks_exact_mut(2).zip(y.chunks_exact(2)) {
        (dy[0], dy[1]) = (y[1], -y[0]);
    }
}

/// A state, and how many steps were attempted for it, in the mean over samples.
type Solved = (Vec<f64>, f64);

fn starts(n: usize) -> Vec<f64> {
    (0..2 * n).map(|i| 0.5 + (i as f64 * 0.37).sin()).collect()
}

/// `y + h·Σ c·k`.
struct Stage<'a, const J: usize> {
    out: &'a mut [f64],
    y: &'a [f64],
    h: f64,
    c: [f64; J],
    k: [&'a [f64]; J],
}

impl<const J: usize> NullaryFnOnce for Stage<'_, J> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (h, c, n) = (self.h, self.c, self.out.len());
        let whole = self.k.map(|k| k[..n].as_chunks::<8>().0);
        let (chunks, rest) = self.out.as_chunks_mut::<8>();
        for (place, (out, y)) in chunks.iter_mut().zip(self.y.as_chunks().0).enumerate() {
            let y: &[f64; 8] = y;
            let mut sum: [f64; 8] = std::array::from_fn(|i| c[0] * whole[0][place][i]);
            for j in 1..J {
                for i in 0..8 {
                    sum[i] += c[j] * whole[j][place][i];
                }
            }
            *out = std::array::from_fn(|i| y[i] + h * sum[i]);
            // Keeps a chunk one vector, as in `solvers`.
            black_box(());
        }
        for (i, out) in (n - rest.len()..).zip(rest) {
            let sum = (1..J).fold(c[0] * self.k[0][i], |sum, j| sum + c[j] * self.k[j][i]);
            *out = self.y[i] + h * sum;
        }
    }
}

/// The root mean square of errors. Eight numbers at a time, so that the compiler
/// takes whole vectors and no sum waits for itself.
struct Size<'a, const J: usize> {
    y: [&'a [f64]; 2],
    h: f64,
    c: [f64; J],
    k: [&'a [f64]; J],
}

impl<const J: usize> NullaryFnOnce for Size<'_, J> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let Size { y, h, c, k } = self;
        let n = y[0].len();
        let square = |e: f64, y0: f64, y1: f64| {
            let (a, b) = (y0.abs(), y1.abs());
            let size = if a > b { a } else { b };
            let q = h * e / (TOLERANCE + TOLERANCE * size);
            q * q
        };
        let mut squares = [0.0; 8];
        let [y0, y1] = y.map(|y| y[..n].as_chunks::<8>());
        let whole = k.map(|k| k[..n].as_chunks::<8>().0);
        for (place, (y0, y1)) in y0.0.iter().zip(y1.0).enumerate() {
            let mut e = [0.0; 8];
            for j in 0..J {
                for i in 0..8 {
                    e[i] += c[j] * whole[j][place][i];
                }
            }
            for i in 0..8 {
                squares[i] += square(e[i], y0[i], y1[i]);
            }
        }
        for (i, (y0, y1)) in (8 * y0.0.len()..n).zip(y0.1.iter().zip(y1.1)) {
            let e = (0..J).map(|j| c[j] * k[j][i]).sum();
            squares[i % 8] += square(e, *y0, *y1);
        }
        (squares.iter().sum::<f64>() / n as f64).sqrt()
    }
}

/// In the vectors this program is compiled for, or in the widest of the machine.
#[inline(always)]
fn run<const WIDE: bool, L: NullaryFnOnce>(each: L) -> L::Output {
    if WIDE {
        Arch::new().dispatch(each)
    } else {
        each.call()
    }
}

#[inline(never)]
fn stage<const WIDE: bool, const J: usize>(
    out: &mut [f64],
    y: &[f64],
    h: f64,
    c: [f64; J],
    k: [&[f64]; J],
) {
    run::<WIDE, _>(Stage { out, y, h, c, k });
}

#[inline(never)]
fn norm<const WIDE: bool, const J: usize>(
    y: [&[f64]; 2],
    h: f64,
    c: [f64; J],
    k: [&[f64]; J],
) -> f64 {
    run::<WIDE, _>(Size { y, h, c, k })
}

/// Oscillators in a block: the arrays of a step fit a first-level cache.
const BLOCK: usize = 256;

/// Hairer, Nørsett and Wanner, *Solving ODEs I*, II.4, for one system.
fn fused<const WIDE: bool>(mut y: Vec<f64>) -> Solved {
    let zero = vec![0.0; y.len()];
    let mut k: [Vec<f64>; 7] = std::array::from_fn(|_| zero.clone());
    let mut new = zero;
    oscillate(&y, &mut k[0]);
    let (d0, d1) = (
        norm::<WIDE, _>([&y, &y], 1.0, [1.0], [&y]),
        norm::<WIDE, _>([&y, &y], 1.0, [1.0], [&k[0]]),
    );
    let h0 = 0.01 * d0 / d1;
    stage::<WIDE, _>(&mut new, &y, h0, [1.0], [&k[0]]);
    oscillate(&new, &mut k[1]);
    let d2 = norm::<WIDE, _>([&y, &y], 1.0, [1.0, -1.0], [&k[1], &k[0]]) / h0;
    let mut h = (0.01 / d1.max(d2)).powf(0.2).min(100.0 * h0);
    let (mut t, mut attempts, mut rejected) = (0.0, 0.0, false);
    while t < END {
        h = h.min(END - t);
        let [k1, k2, k3, k4, k5, k6, k7] = &mut k;
        stage::<WIDE, _>(&mut new, &y, h, [1.0 / 5.0], [k1]);
        oscillate(&new, k2);
        stage::<WIDE, _>(&mut new, &y, h, [3.0 / 40.0, 9.0 / 40.0], [k1, k2]);
        oscillate(&new, k3);
        stage::<WIDE, _>(
            &mut new,
            &y,
            h,
            [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
            [k1, k2, k3],
        );
        oscillate(&new, k4);
        let c = [
            19372.0 / 6561.0,
            -25360.0 / 2187.0,
            64448.0 / 6561.0,
            -212.0 / 729.0,
        ];
        stage::<WIDE, _>(&mut new, &y, h, c, [k1, k2, k3, k4]);
        oscillate(&new, k5);
        let c = [
            9017.0 / 3168.0,
            -355.0 / 33.0,
            46732.0 / 5247.0,
            49.0 / 176.0,
        ];
        let c = [c[0], c[1], c[2], c[3], -5103.0 / 18656.0];
        stage::<WIDE, _>(&mut new, &y, h, c, [k1, k2, k3, k4, k5]);
        oscillate(&new, k6);
        let c = [
            35.0 / 384.0,
            500.0 / 1113.0,
            125.0 / 192.0,
            -2187.0 / 6784.0,
            11.0 / 84.0,
        ];
        stage::<WIDE, _>(&mut new, &y, h, c, [k1, k3, k4, k5, k6]);
        oscillate(&new, k7);
        let e = [
            -71.0 / 57600.0,
            71.0 / 16695.0,
            -71.0 / 1920.0,
            17253.0 / 339_200.0,
        ];
        let e = [e[0], e[1], e[2], e[3], -22.0 / 525.0, 1.0 / 40.0];
        let error = norm::<WIDE, _>([&y, &new], h, e, [k1, k3, k4, k5, k6, k7]);
        attempts += 1.0;
        let ceiling = if rejected { 1.0 } else { 10.0 };
        let factor = (0.9 * error.powf(-0.2)).clamp(0.2, ceiling);
        rejected = !(error <= 1.0);
        if !rejected {
            t = if h == END - t { END } else { t + h };
            std::mem::swap(&mut y, &mut new);
            k.swap(0, 6);
        }
        h *= factor;
    }
    (y, attempts)
}

fn here(y: Vec<f64>, batch: Batch, block: usize) -> Solved {
    let n = y.len() / 2;
    let mut plan = Adaptive::new(0.0, END, TOLERANCE).expect("a plan");
    plan.batch = batch;
    let space = Rows::new(2);
    let mut field = |_: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>| oscillate(y, dy);
    let solve = Solve::new(&space, &mut field).in_blocks(block);
    let end = solve.adaptive(&DORMAND_PRINCE, y, &plan).expect("a solve");
    assert_eq!(end.outcome, Outcome::Done);
    (end.state, (end.accepted + end.rejected) as f64 / n as f64)
}

fn diffsol(y: &[f64]) -> Solved {
    let problem = OdeBuilder::<NalgebraMat<f64>>::new()
        .rtol(TOLERANCE)
        .atol([TOLERANCE])
        .rhs(|y: &[f64], _p: &[f64], _t: f64, dy: &mut [f64]| oscillate(y, dy))
        .init(
            |_p: &[f64], _t: f64, out: &mut [f64]| out.copy_from_slice(y),
            y.len(),
        )
        .build()
        .expect("a problem");
    let mut solver = problem.tsit45().expect("a solver");
    solver.set_stop_time(END).expect("an end");
    while !matches!(
        solver.step().expect("a step"),
        OdeSolverStopReason::TstopReached
    ) {}
    let statistics = solver.get_statistics();
    let attempts = statistics.number_of_steps + statistics.number_of_error_test_failures;
    (solver.state().y.clone_as_vec(), attempts as f64)
}

struct Oscillators;

impl System<f64, DVector<f64>> for Oscillators {
    fn system(&self, _: f64, y: &DVector<f64>, dy: &mut DVector<f64>) {
        oscillate(y.as_slice(), dy.as_mut_slice());
    }
}

fn ode_solvers(y: Vec<f64>) -> Solved {
    let y = DVector::from_vec(y);
    let mut stepper = Dopri5::new(Oscillators, 0.0, END, END, y, TOLERANCE, TOLERANCE);
    stepper.set_output(OutputType::Sparse);
    let stats = stepper.integrate().expect("a solve");
    let end = stepper.y_out().last().expect("an end");
    let attempts = stats.accepted_steps + stats.rejected_steps;
    (end.as_slice().to_vec(), f64::from(attempts))
}

impl ODE<f64, Vec<f64>> for Oscillators {
    fn diff(&self, _: f64, y: &Vec<f64>, dy: &mut Vec<f64>) {
        oscillate(y, dy);
    }
}

fn differential_equations(y: Vec<f64>) -> Solved {
    let method = ExplicitRungeKutta::dopri5().rtol(TOLERANCE).atol(TOLERANCE);
    let mut solution = IVP::ode(&Oscillators, 0.0, END, y)
        .method(method)
        .solve()
        .expect("a solve");
    let attempts = solution.steps.accepted + solution.steps.rejected;
    (solution.y.pop().expect("an end"), attempts as f64)
}

fn compare(n: usize) {
    let start = starts(n);
    let (sin, cos) = END.sin_cos();
    let exact: Vec<f64> = start
        .chunks_exact(2)
        .flat_map(|y| [cos * y[0] + sin * y[1], cos * y[1] - sin * y[0]])
        .collect();
    let far = |found: &[f64]| {
        let pairs = found.iter().zip(&exact);
        pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()))
    };
    let shared = Batch::Shared(Mean::RootMeanSquare);
    let solves: [(&str, &dyn Fn() -> Solved); 8] = [
        ("fused", &|| fused::<false>(start.clone())),
        ("fused, wide", &|| fused::<true>(start.clone())),
        ("shared", &|| here(start.clone(), shared, n)),
        ("in blocks", &|| here(start.clone(), shared, BLOCK)),
        ("own steps", &|| {
            here(start.clone(), Batch::PerSample, BLOCK)
        }),
        ("diffsol", &|| diffsol(&start)),
        ("ode_solvers", &|| ode_solvers(start.clone())),
        ("differential-equations", &|| {
            differential_equations(start.clone())
        }),
    ];
    let attempts = solves.map(|(name, solve)| {
        let (found, attempts) = solve();
        assert!(far(&found) <= 1e-3, "{name} is off by {:e}", far(&found));
        attempts
    });
    assert_eq!(
        attempts[..4],
        [attempts[0]; 4],
        "the same law, the same steps"
    );
    let mut programs = solves.map(|(name, solve)| (name, move || drop(black_box(solve()))));
    let mut contenders: Vec<(&str, &mut dyn FnMut())> = Vec::new();
    for (name, program) in &mut programs {
        contenders.push((name, program));
    }
    println!("{n} oscillators");
    let lines = in_turn(Duration::from_secs(6), &mut contenders);
    let first = lines[0].seconds / attempts[0];
    for (line, attempts) in lines.iter().zip(attempts) {
        let step = line.seconds / attempts;
        println!(
            "{:24} {:8.1} ns a step and oscillator, {:5.2} of fused, {attempts:5.1} steps, the solve {:5.2} of fused",
            line.name,
            1e9 * step / n as f64,
            step / first,
            line.over_first[1],
        );
    }
}

fn main() {
    if !measuring() {
        return;
    }
    on_one_thread(|| [1, 100, 10_000, 500_000].into_iter().for_each(compare));
}
