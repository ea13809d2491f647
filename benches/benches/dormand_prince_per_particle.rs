//! **What does one Dormand–Prince step cost per particle?**
//!
//! Compared, on 10⁴ harmonic oscillators `(q, p)' = (p, −q)` in `f64`:
//!
//! * "fused": a loop written for this one field, one particle after another
//!   with its seven stages in registers;
//! * "rows": `solvers` on plain vectors (`Rows`), with fixed steps (asserted:
//!   equal to "fused" in bits), and "blocks", 512 particles at a time;
//! * "adaptive": in blocks, with an error estimate and a step for each particle
//!   (asserted: within its tolerance of the exact rotation);
//! * "tensors": `fm::sampler::sample`, the way samples are drawn;
//! * then, along the path to eight Gaussians, a whole solve with tensors and
//!   its field alone, at as many evaluations.
//!
//! Floor: 20 multiply-adds of stages for each of two coordinates, 80
//! operations, and six field evaluations, which here are a sign; a sweep over
//! the particles reads and writes state and first stage, 64 bytes. "rows"
//! keeps seven stages in memory and sweeps over them for each stage: 20 reads
//! of stages, 6 of the state and 12 writes of two numbers, near 600 bytes.
//!
//! To read: throughput is particle steps a second. "rows" over "fused" is the
//! price of a solver that does not know its field; in the second group, the
//! field's share is what a faster solver could not take away.

use autograd::{Cpu, Draw, Philox, Tensor};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group};
use flowgrad_benches::in_turn;
use flowgrad_benches::one_thread::on_one_thread;
use fm::mixture::{Mixture, MixturePath};
use fm::sampler::{Plan, sample};
use fm::schedule::Schedule;
use solvers::{Adaptive, Outcome, Rows, Solve, TimeGrid, methods::DORMAND_PRINCE};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PARTICLES: usize = 10_000;
const STEPS: usize = 10;

/// Normal starting points, `q` and `p` of one particle after the other.
fn starts() -> Vec<f64> {
    let mut points = vec![0.0; 2 * PARTICLES];
    Philox::normal_f64(Draw::seed(3), 0, &mut points);
    points
}

/// The nonzero coefficients of stages 2 to 7, from the printed table.
const A: [&[(usize, f64)]; 6] = [
    &[(0, 1.0 / 5.0)],
    &[(0, 3.0 / 40.0), (1, 9.0 / 40.0)],
    &[(0, 44.0 / 45.0), (1, -56.0 / 15.0), (2, 32.0 / 9.0)],
    &[
        (0, 19372.0 / 6561.0),
        (1, -25360.0 / 2187.0),
        (2, 64448.0 / 6561.0),
        (3, -212.0 / 729.0),
    ],
    &[
        (0, 9017.0 / 3168.0),
        (1, -355.0 / 33.0),
        (2, 46732.0 / 5247.0),
        (3, 49.0 / 176.0),
        (4, -5103.0 / 18656.0),
    ],
    &[
        (0, 35.0 / 384.0),
        (2, 500.0 / 1113.0),
        (3, 125.0 / 192.0),
        (4, -2187.0 / 6784.0),
        (5, 11.0 / 84.0),
    ],
];

type Pair = [f64; 2];

fn oscillate([q, p]: Pair) -> Pair {
    [p, -q]
}

/// One step of one particle: the stages live and die in registers. Returns the
/// state and its slope, the next step's first stage.
#[inline(always)]
fn fused_step(y: Pair, slope: Pair, h: f64) -> (Pair, Pair) {
    let mut k = [[0.0; 2]; 7];
    k[0] = slope;
    let mut at = y;
    // Unrolled by the compiler, since the table is a constant.
    for (i, row) in A.iter().enumerate() {
        let mut sum = [0.0; 2];
        for &(j, a) in *row {
            sum[0] += a * k[j][0];
            sum[1] += a * k[j][1];
        }
        at = [y[0] + h * sum[0], y[1] + h * sum[1]];
        k[i + 1] = oscillate(at);
    }
    (at, k[6])
}

/// All steps of all particles, a sweep over the particles for each step.
fn fused(mut y: Vec<f64>) -> Vec<f64> {
    let mut slopes: Vec<f64> = y
        .chunks_exact(2)
        .flat_map(|y| oscillate([y[0], y[1]]))
        .collect();
    let grid = TimeGrid::uniform(0.0, 1.0, STEPS).expect("a grid");
    for interval in grid.nodes().windows(2) {
        let h = interval[1] - interval[0];
        for (y, k) in y.chunks_exact_mut(2).zip(slopes.chunks_exact_mut(2)) {
            let (end, slope) = fused_step([y[0], y[1]], [k[0], k[1]], h);
            y.copy_from_slice(&end);
            k.copy_from_slice(&slope);
        }
    }
    y
}

/// The field for `solvers`.
#[expect(clippy::ptr_arg, reason = "the state of `Rows` is a vector")]
fn field(_: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>) {
    for (dy, y) in dy.chunks_exact_mut(2).zip(y.chunks_exact(2)) {
        dy.copy_from_slice(&oscillate([y[0], y[1]]));
    }
}

/// Particles in a block: seven stages, the state and the next one of 512
/// particles are 74 kB, well within a second-level cache.
const BLOCK: usize = 512;

fn rows(y: Vec<f64>, block: usize) -> Vec<f64> {
    let grid = TimeGrid::uniform(0.0, 1.0, STEPS).expect("a grid");
    let (space, mut field) = (Rows::new(2), field);
    let solve = Solve::new(&space, &mut field).in_blocks(block);
    let end = solve.fixed(&DORMAND_PRINCE, y, &grid);
    end.expect("a solve").state
}

/// The state at time 1 and the attempted steps, over all particles.
fn adaptive(y: Vec<f64>, tolerance: f64) -> (Vec<f64>, usize) {
    let plan = Adaptive::new(0.0, 1.0, tolerance).expect("a plan");
    let (space, mut field) = (Rows::new(2), field);
    let solve = Solve::new(&space, &mut field).in_blocks(BLOCK);
    let end = solve.adaptive(&DORMAND_PRINCE, y, &plan);
    let end = end.expect("a solve");
    assert_eq!(end.outcome, Outcome::Done);
    (end.state, end.accepted + end.rejected)
}

type Points = Tensor<Cpu<f64>>;

fn tensors(x0: &Points) -> Points {
    let quarter_turn = Points::new(&[2, 2], vec![0.0, -1.0, 1.0, 0.0]);
    let plan = Plan::Fixed(&DORMAND_PRINCE, STEPS);
    let end = sample(x0, &plan, |_, x| x.matmul(&quarter_turn));
    end.expect("a sample").x1
}

fn oscillators(criterion: &mut Criterion) {
    let start = starts();
    let x0 = Points::new(&[PARTICLES, 2], start.clone());
    let exact = fused(start.clone());
    for block in [PARTICLES, BLOCK] {
        assert_eq!(
            rows(start.clone(), block),
            exact,
            "rows and fused agree in bits"
        );
    }
    let far = |a: &[f64], b: &[f64]| {
        let pairs = a.iter().zip(b);
        pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()))
    };
    assert!(far(tensors(&x0).as_slice(), &exact) <= 1e-13);
    let (state, attempts) = adaptive(start.clone(), 1e-6);
    let turned: Vec<f64> = start
        .chunks_exact(2)
        .flat_map(|y| {
            let (sin, cos) = 1f64.sin_cos();
            [cos * y[0] + sin * y[1], cos * y[1] - sin * y[0]]
        })
        .collect();
    assert!(far(&state, &turned) <= 1e-4);

    let mut group = criterion.benchmark_group("dormand_prince_per_particle");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements((PARTICLES * STEPS) as u64));
    let mut fused = || drop(black_box(fused(start.clone())));
    let mut whole = || drop(black_box(rows(start.clone(), PARTICLES)));
    let mut blocks = || drop(black_box(rows(start.clone(), BLOCK)));
    let mut tensors = || drop(black_box(tensors(&x0)));
    let mut adaptive = || drop(black_box(adaptive(start.clone(), 1e-6)));
    group.bench_function("fused", |b| b.iter(&mut fused));
    group.bench_function("rows", |b| b.iter(&mut whole));
    group.bench_function("blocks", |b| b.iter(&mut blocks));
    group.bench_function("tensors", |b| b.iter(&mut tensors));
    group.throughput(Throughput::Elements(attempts as u64));
    group.bench_function("adaptive", |b| b.iter(&mut adaptive));
    group.finish();
    let per_particle = attempts as f64 / PARTICLES as f64;
    in_turn::report(
        &format!("{STEPS} steps of {PARTICLES} oscillators (adaptive: {per_particle:.2} steps)"),
        Duration::from_secs(4),
        &mut [
            ("fused", &mut fused),
            ("rows", &mut whole),
            ("blocks", &mut blocks),
            ("tensors", &mut tensors),
            ("adaptive", &mut adaptive),
        ],
    );
}

/// Steps along the path to the mixture.
const MIXTURE_STEPS: usize = 2;

fn share_of_the_field(criterion: &mut Criterion) {
    let path = MixturePath::new(Mixture::eight_gaussians(), Schedule::CondOt, 0.0);
    let path = path.expect("a path");
    let x0 = Points::new(&[PARTICLES, 2], starts());
    let plan = Plan::Fixed(&DORMAND_PRINCE, MIXTURE_STEPS);
    let solve = || sample(&x0, &plan, |t, x| path.velocity(t, x)).expect("a sample");
    let evaluations = solve().evaluations;
    assert_eq!(
        evaluations,
        6 * MIXTURE_STEPS + 1,
        "the last stage is reused"
    );
    let times = vec![0.5; PARTICLES];
    let (one, oracle) = (
        path.velocity(&times, &x0),
        path.at(0.5, &x0.as_slice()[..2]),
    );
    assert!((one.as_slice()[0] - oracle.velocity[0]).abs() <= 1e-13);

    let mut group = criterion.benchmark_group("dormand_prince_to_eight_gaussians");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements((PARTICLES * MIXTURE_STEPS) as u64));
    let mut solve = || drop(black_box(solve()));
    let mut alone = || {
        for _ in 0..evaluations {
            black_box(path.velocity(&times, &x0));
        }
    };
    group.bench_function("solve", |b| b.iter(&mut solve));
    group.bench_function("field alone", |b| b.iter(&mut alone));
    group.finish();
    in_turn::report(
        &format!("{MIXTURE_STEPS} steps of {PARTICLES} points to eight Gaussians"),
        Duration::from_secs(4),
        &mut [("solve", &mut solve), ("field alone", &mut alone)],
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = oscillators, share_of_the_field
}

fn main() {
    on_one_thread(benches);
}
