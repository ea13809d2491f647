//! **What does a training step cost over its matrix products alone?**
//!
//! Compared: the whole step (noise, interpolation, forward, backward, sum over
//! shards, Adam) and its matrix products, with the same kernel on the factors
//! they have in the step (asserted: they give the tape's gradient by the
//! weights in bits). One thread.
//!
//! Floor: the products, `6·B·Σ inputs·outputs − 6·B·H` operations: for each layer
//! forward, by the weight and by the input, but not by the input of the first.
//! Besides, each of the `B·H·L` hidden numbers is read or written about a dozen
//! times outside of them (bias, `z`, `h`, slope, bias sum), near 50 bytes; a shard's
//! share of that stays in the second-level cache for a width of 64 and leaves
//! it for 512.
//!
//! To read: the throughput of "gemms" is operations a second (criterion calls
//! them elements), and "step" in the lines "in turn" is the step over its
//! products. The other lines are parts of the rest, each alone: a part that
//! runs by itself has a warmer cache than in the step, so they need not add up
//! to the difference.

use autograd::{Algebra, Cpu, Linear, Shape, Tree};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group};
use flowgrad_benches::hand_written::{self, Product, arrays, bits};
use flowgrad_benches::in_turn;
use flowgrad_benches::one_thread::on_one_thread;
use flowgrad_benches::training_step::{SIZES, TrainingStep};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Array = Cpu<f32>;

/// What one shard's pass computes with. Every shard has the same shapes, and
/// going through one shard's arrays again keeps them as warm as a step does.
struct Shard {
    products: Vec<Product>,
    /// For each layer, last to first, its input and the cotangent of its
    /// pre-activation.
    ends: Vec<(Array, Array)>,
    gradient: autograd::Mlp<Array>,
}

impl Shard {
    fn first_of(training: &TrainingStep) -> Self {
        let (net, mean) = (training.net(), training.mean());
        let particles = training.particles(0..training.shard_rows());
        let (_, gradient) = training.loss_and_gradient(&particles);
        let mut ends = Vec::new();
        hand_written::pass(net, &particles, mean, |_, input, z_bar| {
            ends.push((input.clone(), z_bar.clone()));
        });
        let products = hand_written::products(net, &particles, mean);
        // In each layer's three products the second is by the weight.
        let by_weight = products.iter().skip(1).step_by(3).map(Product::run);
        let by_weight: Vec<Array> = by_weight.collect();
        let leaves = arrays(&gradient.leaves());
        assert_eq!(
            bits(by_weight.iter().rev()),
            bits(leaves.iter().step_by(2)),
            "the products are those of the step"
        );
        Shard {
            products,
            ends,
            gradient,
        }
    }

    fn multiply(&self) {
        for product in &self.products {
            black_box(product.run());
        }
    }

    /// The function and its slope, for every hidden layer. Their loops have no
    /// branches, so any numbers will do for the arguments. Both get a buffer of
    /// their own and work in place, as they do in the step.
    fn activate(&self, net: &autograd::Mlp<Array>) {
        let f = net.activation;
        for (h, _) in &self.ends[..self.ends.len() - 1] {
            let own = || h.full_like(&h.shape(), 0.5);
            black_box(Array::unary(f, own()));
            black_box(Array::chain(f, own(), h, h));
        }
    }

    fn sum_biases(&self) {
        for (_, z_bar) in &self.ends {
            let from = z_bar.shape();
            let to = Shape::new(&from[1..]);
            black_box(Array::linear(&Linear::Sum { from, to }, z_bar.clone()));
        }
    }
}

fn question(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step_over_its_gemms");
    group.sampling_mode(SamplingMode::Flat);
    for size in SIZES {
        let training = TrainingStep::new(size);
        let (rows, count) = (training.shard_rows(), size.batch / training.shard_rows());
        let shard = Shard::first_of(&training);
        let flops: u64 = shard.products.iter().map(Product::flops).sum();
        group.throughput(Throughput::Elements(flops * count as u64));
        let name = size.to_string();
        let (mut stepping, mut descending) = (TrainingStep::new(size), TrainingStep::new(size));
        let mut gemms = || (0..count).for_each(|_| shard.multiply());
        let mut step = || {
            black_box(stepping.step());
        };
        group.bench_function(BenchmarkId::new("gemms", &name), |b| b.iter(&mut gemms));
        group.bench_function(BenchmarkId::new("step", &name), |b| b.iter(&mut step));
        let mut activate = || (0..count).for_each(|_| shard.activate(training.net()));
        let mut sum_biases = || (0..count).for_each(|_| shard.sum_biases());
        let mut noise = || {
            for i in 0..count {
                black_box(training.particles(i * rows..(i + 1) * rows));
            }
        };
        let mut adam = || descending.descend(&shard.gradient);
        in_turn::report(
            &name,
            Duration::from_secs(4),
            &mut [
                ("gemms", &mut gemms),
                ("step", &mut step),
                ("functions and slopes", &mut activate),
                ("bias sums", &mut sum_biases),
                ("noise and times", &mut noise),
                ("Adam", &mut adam),
            ],
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = question
}

fn main() {
    on_one_thread(benches);
}
