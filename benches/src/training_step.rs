//! **The training step that is raced**: one step of flow matching, exactly the
//! one in `benches/peers`.
//!
//! `x0 ~ N(0, I)`, `t ~ U[0, 1)`, `x_t = (1 − t)x0 + t·x1`, an MLP
//! `[D + 1 → H × L → D]` with SiLU, the loss `mean((v(t, x_t) − (x1 − x0))²)`,
//! its gradient, and Adam with rate 1e-3; `f32`, `D = 2`.

use autograd::{
    Adam, AdamConfig, Algebra, Cpu, Draw, Mlp, Philox, Tensor, TimeFeatures, Unary, Var,
    sum_over_shards, value_and_grad,
};

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

/// `Σ (v(t, x_t) − (x1 − x0))²` over rows and coordinates.
pub fn loss_sum<A: Algebra>(
    net: &Mlp<A>,
    t: &Tensor<A>,
    x0: &Tensor<A>,
    x1: &Tensor<A>,
) -> Tensor<A> {
    let xt = (1.0 - t) * x0 + t * x1;
    (net.velocity(t, &xt) - (x1 - x0)).square().sum()
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

    /// Rows of a shard: it depends on the batch alone.
    #[must_use]
    pub fn shard_rows(&self) -> usize {
        (self.size.batch / 8).clamp(128, 512)
    }

    /// One step; returns the loss.
    pub fn step(&mut self) -> f32 {
        let batch = self.size.batch;
        let step = self.adam.steps as u32;
        let draw = |stream| Draw {
            seed: 1,
            stream,
            step,
        };
        let (net, data) = (&self.net, &self.data);
        let (loss, gradient) = sum_over_shards(batch, self.shard_rows(), |rows| {
            let first = rows.start as u64;
            let mut x0 = vec![0.0; rows.len() * DIMENSION];
            Philox::normal_f32(draw(0), first * DIMENSION as u64, &mut x0);
            let mut t = vec![0.0; rows.len()];
            Philox::uniform_f32(draw(1), first, &mut t);
            let x0 = Tensor::constant(&Tensor::new(&[rows.len(), DIMENSION], x0));
            let t = Tensor::constant(&Tensor::new(&[rows.len(), 1], t));
            let x1 = Tensor::constant(&data.slice(0, rows.start, rows.len()));
            let mean = 1.0 / (batch * DIMENSION) as f64;
            value_and_grad(
                |net: &Mlp<Var<Cpu<f32>>>| mean * loss_sum(net, &t, &x0, &x1),
                net,
            )
        });
        self.adam.step(&mut self.net, &gradient, 1e-3);
        loss.item()
    }
}
