//! **Learner**: what a training has learned, and one step of it, on the
//! processor or on a GPU. The loss is one text for both, [`slopes`].

use super::Settings;
#[cfg(feature = "cuda")]
use super::on_device::OnDevice;
use crate::Error;
use crate::objective::{OnPath, Particles, regression};
use autograd::{
    Adam, AdamConfig, Algebra, Cpu, Ema, LearningRate, Mlp, Optimiser, Tensor, Var,
    sum_over_shards, value_and_grad,
};

pub(super) type Net = Mlp<Cpu<f32>>;

/// What is learned: all that a checkpoint holds.
#[derive(Clone, Debug)]
pub(super) struct Learned {
    pub(super) net: Net,
    pub(super) adam: Adam<Net>,
    pub(super) ema: Ema<Net>,
}

impl Learned {
    /// Nothing yet.
    pub(super) fn nothing(net: Net, settings: &Settings) -> Self {
        Learned {
            adam: Adam::new(&net, AdamConfig::default()),
            ema: Ema::new(&net, settings.ema_decay),
            net,
        }
    }

    /// Steps taken.
    pub(super) fn steps(&self) -> u64 {
        self.adam.memory().steps
    }
}

/// `c·Σ ‖v(t, x_t) − target‖²` and its slope by every parameter.
pub(super) fn slopes<A: Algebra>(net: &Mlp<A>, c: f64, batch: &OnPath<A>) -> (Tensor<A>, Mlp<A>) {
    let held = OnPath {
        t: Var::held(&batch.t),
        xt: Var::held(&batch.xt),
        target: Var::held(&batch.target),
    };
    value_and_grad(
        |net: &Mlp<Var<A>>| c * regression(|t, x| net.velocity(t, x), &held),
        net,
    )
}

/// A loss that is not finite at a step.
pub(super) fn not_finite(loss: f32, step: u64) -> Error {
    Error::argument(
        "the loss",
        format!("{loss} at step {step}"),
        "a finite number; a smaller --learning-rate may help",
    )
}

/// Who learns.
#[derive(Debug)]
pub(super) enum Learner {
    Cpu(Box<OnCpu>),
    #[cfg(feature = "cuda")]
    Cuda(Box<OnDevice>),
}

impl Learner {
    /// One step. Particles are asked for only where they are not drawn on the
    /// device.
    pub(super) fn step(
        &mut self,
        settings: &Settings,
        rate: LearningRate,
        particles: impl FnOnce() -> Result<Particles<Cpu<f32>>, Error>,
    ) -> Result<(), Error> {
        match self {
            Learner::Cpu(cpu) => cpu.step(settings, rate, &particles()?),
            #[cfg(feature = "cuda")]
            Learner::Cuda(device) => device.step(rate, particles),
        }
    }

    /// Steps taken.
    pub(super) fn steps(&self) -> u64 {
        match self {
            Learner::Cpu(cpu) => cpu.learned.steps(),
            #[cfg(feature = "cuda")]
            Learner::Cuda(device) => device.steps(),
        }
    }

    /// The losses of the steps since this was last asked.
    pub(super) fn losses(&mut self) -> Result<Vec<f32>, Error> {
        match self {
            Learner::Cpu(cpu) => Ok(std::mem::take(&mut cpu.losses)),
            #[cfg(feature = "cuda")]
            Learner::Cuda(device) => device.losses(),
        }
    }

    /// What was learned, on the host.
    pub(super) fn learned(&mut self) -> Result<Learned, Error> {
        match self {
            Learner::Cpu(cpu) => Ok(cpu.learned.clone()),
            #[cfg(feature = "cuda")]
            Learner::Cuda(device) => device.learned(),
        }
    }
}

/// A learner on the processor: shards of the batch in parallel.
#[derive(Debug)]
pub(super) struct OnCpu {
    learned: Learned,
    losses: Vec<f32>,
}

impl OnCpu {
    pub(super) fn new(learned: Learned) -> Self {
        let losses = Vec::new();
        OnCpu { learned, losses }
    }

    /// If the loss is not finite, the parameters are unchanged.
    fn step(
        &mut self,
        settings: &Settings,
        rate: LearningRate,
        particles: &Particles<Cpu<f32>>,
    ) -> Result<(), Error> {
        let Learned { net, adam, ema } = &mut self.learned;
        let (batch, c) = (settings.batch, 1.0 / settings.batch as f64);
        let (loss, gradient) = sum_over_shards(batch, settings.shard_rows(), |rows| {
            let cut = |x: &Tensor<Cpu<f32>>| x.slice(0, rows.start, rows.len());
            let shard = Particles {
                t: cut(&particles.t),
                x0: cut(&particles.x0),
                x1: cut(&particles.x1),
                thickness: particles.thickness.as_ref().map(cut),
            };
            slopes(net, c, &shard.on_path())
        });
        let (loss, n) = (loss.item(), adam.memory().steps + 1);
        if !loss.is_finite() {
            return Err(not_finite(loss, n));
        }
        adam.step(net, &gradient, rate.at(n));
        ema.update(net);
        self.losses.push(loss);
        Ok(())
    }
}
