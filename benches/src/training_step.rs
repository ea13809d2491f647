//! **The training step that is raced**: one step of flow matching, exactly the
//! one in `benches/peers`.
//!
//! `x0 ~ N(0, I)`, `t ~ U[0, 1)`, `x_t = (1 − t)x0 + t·x1`, an MLP
//! `[D + 1 → H × L → D]` with SiLU, the loss `mean((v(t, x_t) − (x1 − x0))²)`,
//! its gradient, and Adam with rate 1e-3; `f32`, `D = 2`.

use autograd::{
    Adam, AdamConfig, Cpu, Draw, Mlp, Optimiser, Philox, Tensor, TimeFeatures, Unary, Var,
    sum_over_shards, value_and_grad,
};
use fm::objective::{Particles, loss_sum};
use std::fmt;
use std::ops::Range;

/// The size of a step.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Samples in a batch.
    pub batch: usize,
    /// Width of a hidden layer.
    pub hidden: usize,
    /// Number of hidden layers.
    pub layers: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.batch, self.hidden, self.layers)
    }
}

/// The four sizes of the race.
pub const SIZES: [Size; 4] = [
    Size {
        batch: 256,
        hidden: 64,
        layers: 3,
    },
    Size {
        batch: 256,
        hidden: 256,
        layers: 3,
    },
    Size {
        batch: 4096,
        hidden: 64,
        layers: 3,
    },
    Size {
        batch: 4096,
        hidden: 512,
        layers: 4,
    },
];

/// Dimension of the data.
pub const DIMENSION: usize = 2;

/// A network in training.
#[derive(Debug)]
pub struct TrainingStep {
    size: Size,
    net: Mlp<Cpu<f32>>,
    adam: Adam<Mlp<Cpu<f32>>>,
    data: Tensor<Cpu<f32>>,
}

impl TrainingStep {
    /// A fresh network and a fixed batch of normal data.
    #[must_use]
    pub fn new(size: Size) -> Self {
        let hidden = vec![size.hidden; size.layers];
        let draw = Draw::seed(0);
        let time = TimeFeatures::Plain;
        let net = Mlp::new(DIMENSION, &hidden, DIMENSION, time, Unary::Silu, draw);
        let adam = Adam::new(&net, AdamConfig::default());
        let mut numbers = vec![0.0; size.batch * DIMENSION];
        Philox::normal_f32(Draw { stream: 9, ..draw }, 0, &mut numbers);
        TrainingStep {
            size,
            net,
            adam,
            data: Tensor::new(&[size.batch, DIMENSION], numbers),
        }
    }

    /// The network as it stands.
    #[must_use]
    pub fn net(&self) -> &Mlp<Cpu<f32>> {
        &self.net
    }

    /// Rows of a shard: it depends on the batch alone.
    #[must_use]
    pub fn shard_rows(&self) -> usize {
        (self.size.batch / 8).clamp(128, 512)
    }

    /// What the sum of squares is multiplied by to be the mean over samples
    /// and coordinates.
    #[must_use]
    pub fn mean(&self) -> f64 {
        1.0 / (self.size.batch * DIMENSION) as f64
    }

    /// Noise and times of the next step, and the data, for some rows.
    #[must_use]
    pub fn particles(&self, rows: Range<usize>) -> Particles<Cpu<f32>> {
        let draw = |stream| Draw {
            seed: 1,
            stream,
            step: self.adam.memory().steps as u32,
        };
        let (first, count) = (rows.start as u64, rows.len());
        let mut x0 = vec![0.0; count * DIMENSION];
        Philox::normal_f32(draw(0), first * DIMENSION as u64, &mut x0);
        let mut t = vec![0.0; count];
        Philox::uniform_f32(draw(1), first, &mut t);
        Particles {
            t: Tensor::new(&[count, 1], t),
            x0: Tensor::new(&[count, DIMENSION], x0),
            x1: self.data.slice(0, rows.start, count),
            thickness: None,
        }
    }

    /// The part of the mean loss that these particles make, and its gradient.
    #[must_use]
    pub fn loss_and_gradient(
        &self,
        particles: &Particles<Cpu<f32>>,
    ) -> (Tensor<Cpu<f32>>, Mlp<Cpu<f32>>) {
        let constant = Tensor::<Var<Cpu<f32>>>::constant;
        let particles = Particles {
            t: constant(&particles.t),
            x0: constant(&particles.x0),
            x1: constant(&particles.x1),
            thickness: None,
        };
        value_and_grad(
            |net: &Mlp<_>| self.mean() * loss_sum(|t, x| net.velocity(t, x), &particles),
            &self.net,
        )
    }

    /// Moves the parameters one step of Adam against the gradient.
    pub fn descend(&mut self, gradient: &Mlp<Cpu<f32>>) {
        self.adam.step(&mut self.net, gradient, 1e-3);
    }

    /// One step; returns the loss.
    pub fn step(&mut self) -> f32 {
        let (loss, gradient) = sum_over_shards(self.size.batch, self.shard_rows(), |rows| {
            self.loss_and_gradient(&self.particles(rows))
        });
        self.descend(&gradient);
        loss.item()
    }
}
