//! A U-Net and a multilayer perceptron learn the handwritten digits for the
//! same time, and are judged on images that neither has seen.
//!
//! ```sh
//! cargo run --release -p flowgrad-fm --example unet_on_digits [seconds]
//! ```
//!
//! Both see the objective (FM.21) with the same batches and the same
//! optimiser. The loss per pixel is printed for the training images (the mean
//! over the steps since the last line) and for the 500 images held out, with
//! times and noise that stay the same. The objective's floor is not 0: see
//! (E.4).

use autograd::{
    Adam, AdamConfig, Algebra, Cpu, Draw, Mlp, Optimiser, Philox, Tensor, TimeFeatures, Tree, UNet,
    UNetConfig, Unary, Var, sum_over_shards, value_and_grad,
};
use fm::dataset::{Digits, digits};
use fm::objective::{Particles, loss_sum};
use ndarray::ArrayView2;
use rand::RngExt;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Real = Cpu<f32>;
type Recorded = Var<Real>;

const PIXELS: usize = 64;
const BATCH: usize = 128;
/// Rows of a shard: what one tape records.
const SHARD: usize = 32;
const RATE: f64 = 2e-3;

/// What the two networks have in common.
trait Velocity<A: Algebra>: Tree<A> {
    fn velocity(&self, t: &Tensor<A>, x: &Tensor<A>) -> Tensor<A>;
}
impl<A: Algebra> Velocity<A> for Mlp<A> {
    fn velocity(&self, t: &Tensor<A>, x: &Tensor<A>) -> Tensor<A> {
        self.velocity(t, x)
    }
}
impl<A: Algebra> Velocity<A> for UNet<A> {
    fn velocity(&self, t: &Tensor<A>, x: &Tensor<A>) -> Tensor<A> {
        self.velocity(t, x)
    }
}

/// A batch of images with noise and times, a function of the draw alone.
fn particles(images: ArrayView2<'_, f32>, rows: &[usize], draw: Draw) -> Particles<Real> {
    let numbers = rows.iter().flat_map(|&row| images.row(row).to_vec());
    let x1 = Tensor::new(&[rows.len(), PIXELS], numbers.collect());
    let (mut x0, mut t) = (vec![0.0; rows.len() * PIXELS], vec![0.0; rows.len()]);
    Philox::normal_f32(draw.stream(1), 0, &mut x0);
    Philox::uniform_f32(draw.stream(2), 0, &mut t);
    Particles {
        t: Tensor::new(&[rows.len(), 1], t),
        x0: Tensor::new(&[rows.len(), PIXELS], x0),
        x1,
        thickness: None,
    }
}

/// The rows of a shard, as constants of another algebra.
fn cut<A: Algebra<Base = Real>>(
    all: &Particles<Real>,
    rows: std::ops::Range<usize>,
) -> Particles<A> {
    let cut = |x: &Tensor<Real>| Tensor::constant(&x.slice(0, rows.start, rows.len()));
    Particles {
        t: cut(&all.t),
        x0: cut(&all.x0),
        x1: cut(&all.x1),
        thickness: None,
    }
}

/// Trains for a while, printing a line ten times; returns the last loss on the
/// images held out.
fn train<M>(name: &str, mut net: M, data: &Digits, time: Duration) -> f64
where
    M: Velocity<Real> + Tree<Real, With<Real> = M> + Clone + Send + Sync,
    M::With<Recorded>: Velocity<Recorded>,
{
    let parameters: usize = net.leaves().iter().map(|leaf| leaf.shape().count()).sum();
    println!("\n{name}, {parameters} parameters");
    println!(
        "{:>8} {:>7} {:>10} {:>10}",
        "seconds", "steps", "training", "held out"
    );
    let unseen: Vec<usize> = (0..data.held_out.nrows()).collect();
    let unseen = particles(data.held_out.view(), &unseen, Draw::seed(99));
    let held_out = |net: &M| {
        let starts = (0..data.held_out.nrows()).step_by(BATCH);
        let parts = starts.map(|i| i..data.held_out.nrows().min(i + BATCH));
        let sums = parts.map(|rows| {
            let part = cut::<Real>(&unseen, rows);
            f64::from(loss_sum(|t, x| net.velocity(t, x), &part).item())
        });
        sums.sum::<f64>() / (data.held_out.nrows() * PIXELS) as f64
    };
    let mut adam = Adam::new(&net, AdamConfig::default());
    let mut rows = Philox::new(Draw::seed(7).stream(3));
    let (began, mut judging) = (Instant::now(), Duration::ZERO);
    let (mut sum, mut count, mut line, mut steps) = (0.0, 0, 1, 0);
    loop {
        let chosen: Vec<usize> = (0..BATCH)
            .map(|_| rows.random_range(0..data.training.nrows()))
            .collect();
        let draw = Draw::seed(7).step(steps);
        let batch = particles(data.training.view(), &chosen, draw);
        let scale = 1.0 / (BATCH * PIXELS) as f64;
        let (loss, gradient) = sum_over_shards(BATCH, SHARD, |rows| {
            let shard = cut::<Recorded>(&batch, rows);
            value_and_grad(
                |net: &M::With<Recorded>| scale * loss_sum(|t, x| net.velocity(t, x), &shard),
                &net,
            )
        });
        adam.step(&mut net, &gradient, RATE);
        steps += 1;
        (sum, count) = (sum + f64::from(loss.item()), count + 1);
        let spent = began.elapsed() - judging;
        if spent >= time * line / 10 {
            let pause = Instant::now();
            let unseen = held_out(&net);
            let seconds = spent.as_secs_f64();
            println!(
                "{seconds:8.1} {steps:7} {:10.4} {unseen:10.4}",
                sum / f64::from(count)
            );
            if line == 10 {
                return unseen;
            }
            (sum, count, line) = (0.0, 0, line + 1);
            judging += pause.elapsed();
        }
    }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(60));
    let data = digits();
    let fourier = TimeFeatures::Fourier(8);
    let draw = Draw::seed(1);
    let mlp = Mlp::new(PIXELS, &[512; 3], PIXELS, fourier, Unary::Silu, draw);
    let by_mlp = train("multilayer perceptron, 512,512,512", mlp, &data, time);
    let unet = UNet::new(&UNetConfig::default(), draw);
    let by_unet = train("U-Net, channels 24,48", unet, &data, time);
    println!(
        "\nheld out, after the same time: {by_mlp:.4} by the perceptron, {by_unet:.4} by the U-Net"
    );
}
