//! **Divergence: forward or reverse, exact or estimated?**
//!
//! Compared, for a network `[D + 1 → 64 → 64 → D]` on 64 points and `D` from 2
//! to 64: the exact trace of the Jacobian by `D` forward derivatives
//! (`divergence`) and by `D` reverse ones (`divergence_reverse`), and Hutchinson's estimate `zᵀJz` by
//! one forward derivative (`hutchinson`) and by one reverse. Asserted: the two
//! exact ones agree, and the two estimates with one probe agree. One thread.
//!
//! Floor: the velocity itself, which each of them computes at least once. A
//! forward derivative pushes a tangent through every product, twice the
//! operations of the value; a reverse one pulls a cotangent back to the input,
//! twice as well, and records. So an estimate costs 2 velocities, an exact
//! trace `2D` forward, and `D + 1` in reverse, where one recording serves all
//! `D` sweeps.
//!
//! To read: "in turn" gives each over the velocity.

use autograd::{
    Cpu, Draw, Dual, Mlp, Philox, Tensor, TimeFeatures, Tree, Unary, Var, divergence,
    divergence_reverse, hutchinson, vjp,
};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group};
use flowgrad_benches::in_turn;
use flowgrad_benches::one_thread::on_one_thread;
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;

type Plain = Tensor<Cpu<f64>>;
type Moving = Tensor<Dual<Cpu<f64>>>;

/// A field, and where it is differentiated.
struct Problem {
    net: Mlp<Cpu<f64>>,
    t: Plain,
    x: Plain,
    probe: Plain,
}

impl Problem {
    fn new(dimension: usize) -> Self {
        let time = TimeFeatures::Plain;
        let normal = |stream| {
            let mut numbers = vec![0.0; BATCH * dimension];
            Philox::normal_f64(Draw::seed(5).stream(stream), 0, &mut numbers);
            Plain::new(&[BATCH, dimension], numbers)
        };
        Problem {
            net: Mlp::new(
                dimension,
                &[64; 2],
                dimension,
                time,
                Unary::Silu,
                Draw::seed(2),
            ),
            t: Plain::full(&[BATCH, 1], 0.3),
            x: normal(0),
            probe: normal(1),
        }
    }

    fn velocity(&self) -> Plain {
        self.net.velocity(&self.t, &self.x)
    }

    fn forward(&self) -> impl Fn(&Moving) -> Moving {
        let net = self.net.map(&mut Tensor::constant);
        let t = Tensor::constant(&self.t);
        move |x| net.velocity(&t, x)
    }

    fn exact_by_forward(&self) -> Plain {
        divergence(self.forward(), &self.x).1
    }

    fn estimate_by_forward(&self, probe: &Plain) -> Plain {
        hutchinson(self.forward(), &self.x, probe).1
    }

    fn estimate_by_reverse(&self, probe: &Plain) -> Plain {
        let net = self.net.map::<Var<Cpu<f64>>>(&mut Tensor::constant);
        let t = Tensor::constant(&self.t);
        let (_, pulled) = vjp(|x: &Tensor<_>| net.velocity(&t, x), &self.x, probe);
        (pulled * probe).sum_axis(1)
    }

    fn exact_by_reverse(&self) -> Plain {
        let net = self.net.map::<Var<Cpu<f64>>>(&mut Tensor::constant);
        let t = Tensor::constant(&self.t);
        divergence_reverse(|x| net.velocity(&t, x), &self.x).1
    }
}

fn assert_close(a: &Plain, b: &Plain) {
    for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
        assert!((a - b).abs() <= 1e-10 * (1.0 + a.abs()), "{a} and {b}");
    }
}

fn question(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward_or_reverse");
    group.sampling_mode(SamplingMode::Flat);
    for dimension in [2, 8, 64] {
        let problem = Problem::new(dimension);
        let probe = &problem.probe;
        assert_close(&problem.exact_by_forward(), &problem.exact_by_reverse());
        let estimate = problem.estimate_by_forward(probe);
        assert_close(&estimate, &problem.estimate_by_reverse(probe));
        let mut velocity = || drop(black_box(problem.velocity()));
        let mut exact_forward = || drop(black_box(problem.exact_by_forward()));
        let mut exact_reverse = || drop(black_box(problem.exact_by_reverse()));
        let mut estimate_forward = || drop(black_box(problem.estimate_by_forward(probe)));
        let mut estimate_reverse = || drop(black_box(problem.estimate_by_reverse(probe)));
        let all: &mut [in_turn::Contender<'_>] = &mut [
            ("velocity", &mut velocity),
            ("exact, forward", &mut exact_forward),
            ("exact, reverse", &mut exact_reverse),
            ("estimate, forward", &mut estimate_forward),
            ("estimate, reverse", &mut estimate_reverse),
        ];
        for (name, program) in all.iter_mut() {
            group.bench_function(BenchmarkId::new(*name, dimension), |b| {
                b.iter(&mut *program);
            });
        }
        in_turn::report(&format!("D = {dimension}"), Duration::from_secs(2), all);
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500));
    targets = question
}

fn main() {
    on_one_thread(benches);
}
