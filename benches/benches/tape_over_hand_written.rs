//! **What does the tape cost over a gradient written by hand?**
//!
//! Compared: loss and gradient of the training step for a whole batch, by
//! `value_and_grad` and by the pass in `hand_written.rs`. Both call the same
//! kernels on the same operands (asserted: equal in bits), both take the batch
//! in the same shards and add the shards in the same order, on one thread. So
//! the difference is the tape alone: its nodes and maps, the lifting of the
//! model to variables, shape checks.
//!
//! Floor: 1. A tape that costs nothing is as fast as the hand.
//!
//! To read: "tape" in the lines "in turn" is the time over the hand's, taken
//! within each round. The tape's cost is a fixed number of microseconds for
//! each shard (some twenty operations), so the ratio falls as shards grow.

use autograd::{Algebra, Binary, Cpu, Tree, sum_over_shards};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group};
use flowgrad_benches::hand_written::{self, bits};
use flowgrad_benches::in_turn;
use flowgrad_benches::one_thread::on_one_thread;
use flowgrad_benches::training_step::{SIZES, TrainingStep};
use fm::objective::Particles;
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Array = Cpu<f32>;

/// The gradient over all shards by the tape.
fn by_tape(training: &TrainingStep, shards: &[Particles<Array>]) -> Vec<Array> {
    let rows = training.shard_rows();
    let (_, gradient) = sum_over_shards(shards.len() * rows, rows, |range| {
        training.loss_and_gradient(&shards[range.start / rows])
    });
    let leaves = gradient.leaves();
    leaves.iter().map(|leaf| leaf.inner().clone()).collect()
}

/// The gradient over all shards by hand.
fn by_hand(training: &TrainingStep, shards: &[Particles<Array>]) -> Vec<Array> {
    let of =
        |particles| hand_written::loss_and_gradient(training.net(), particles, training.mean()).1;
    // All shards before the sum, as `sum_over_shards` has it.
    let gradients: Vec<Vec<Array>> = shards.iter().map(of).collect();
    let sum = gradients.into_iter().reduce(|sum, next| {
        let pairs = sum.into_iter().zip(next);
        pairs
            .map(|(a, b)| Array::binary(Binary::Add, a, b))
            .collect()
    });
    sum.expect("there is at least one shard")
}

fn question(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tape_over_hand_written");
    group.sampling_mode(SamplingMode::Flat);
    for size in SIZES {
        let training = TrainingStep::new(size);
        let rows = training.shard_rows();
        let shards: Vec<_> = (0..size.batch)
            .step_by(rows)
            .map(|first| training.particles(first..first + rows))
            .collect();
        assert_eq!(
            bits(&by_tape(&training, &shards)),
            bits(&by_hand(&training, &shards)),
            "tape and hand agree in bits"
        );
        let name = size.to_string();
        let mut hand = || drop(black_box(by_hand(&training, &shards)));
        let mut tape = || drop(black_box(by_tape(&training, &shards)));
        group.bench_function(BenchmarkId::new("hand", &name), |b| b.iter(&mut hand));
        group.bench_function(BenchmarkId::new("tape", &name), |b| b.iter(&mut tape));
        let both: &mut [in_turn::Contender<'_>] = &mut [("hand", &mut hand), ("tape", &mut tape)];
        in_turn::report(&name, Duration::from_secs(4), both);
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
