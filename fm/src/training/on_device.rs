//! **Training on a GPU**: the parameters, their average, the moments, the
//! losses and, where it can be, the batch never leave the device.
//!
//! After one step that is launched kernel by kernel, a step is one recorded
//! graph: the batch, the network and its slopes, AdamW and the moving average.
//! What changes from step to step lies in device memory. In a step nothing is
//! copied to the host:
//!
//! | copied | when |
//! |---|---|
//! | learning rates, to the device | every 1024 steps |
//! | a batch, to the device | each step, if it cannot be drawn there: pairs by optimal transport, thickness, and distributions that are no table |
//! | losses, to the host | when they are asked for, and every 1024 steps |
//! | what was learned, to the host | for a checkpoint |
//!
//! A batch has the bits it has on the processor. Its loss and slopes have
//! other roundings, because sums are taken in another order: they are summed
//! over the whole batch, and not over shards.

use super::learner::{Learned, Net, not_finite, slopes};
use super::{Settings, Source, stream};
use crate::Error;
use crate::coupling::Name;
use crate::objective::{OnPath, Particles};
use autograd::{Algebra, Cpu, Cuda, LearningRate, Mlp, Optimiser, Shape, Tensor, Tree};
use cuda::{
    Adamw, AdamwConfig, AdamwPoint, Buffer, CudaError, Device, Diary, FlowSource, FlowStreams,
    FlowVersion, Graph,
};

/// Losses that are kept on the device.
const DIARY: usize = 1024;

/// A learner on a GPU.
#[derive(Debug)]
pub(super) struct OnDevice {
    device: Device,
    /// The structure; its numbers are where it began.
    began: Learned,
    /// The network of now: parts of the optimiser's own parameters.
    net: Mlp<Cuda<f32>>,
    feed: Feed,
    adam: Adamw,
    diary: Diary,
    /// The recorded step, if steps are recorded and one was.
    graph: Option<Graph>,
    records: bool,
    batch: usize,
    steps: u64,
    /// Steps up to this one have their learning rates.
    rated: u64,
    /// Losses that only the device knows.
    unseen: usize,
    losses: Vec<f32>,
}

/// Where batches come from.
#[derive(Debug)]
enum Feed {
    /// Drawn on the device from a table.
    Drawn(FlowSource),
    /// Drawn on the host and copied before each step.
    Copied {
        t: Buffer<f32>,
        x0: Buffer<f32>,
        x1: Buffer<f32>,
        thickness: Option<Buffer<f32>>,
    },
}

impl Feed {
    fn new(
        device: &Device,
        settings: &Settings,
        source: &Source,
        steps: u64,
    ) -> Result<Self, CudaError> {
        let n = settings.batch * source.dimension();
        let plain = settings.sigma == 0.0 && settings.coupling == Name::Independent;
        let Source::Rows { rows, .. } = source else {
            return Self::copied(device, settings, n);
        };
        let numbers = rows.as_slice().filter(|_| plain);
        let Some(numbers) = numbers else {
            return Self::copied(device, settings, n);
        };
        let streams = FlowStreams {
            noise: stream::NOISE,
            time: stream::TIME,
            data: stream::DATA,
        };
        let shape = [rows.nrows(), rows.ncols()];
        let data = device.upload(numbers)?;
        let mut source = FlowSource::new(data, shape, settings.seed, streams)?;
        source.go_on_at(steps as u32)?;
        Ok(Feed::Drawn(source))
    }

    fn copied(device: &Device, settings: &Settings, n: usize) -> Result<Self, CudaError> {
        let thick = settings.sigma > 0.0;
        Ok(Feed::Copied {
            t: device.zeros(settings.batch)?,
            x0: device.zeros(n)?,
            x1: device.zeros(n)?,
            thickness: thick.then(|| device.zeros(n)).transpose()?,
        })
    }

    /// Copies a batch to the device, if it is not drawn there.
    fn fill(
        &mut self,
        particles: impl FnOnce() -> Result<Particles<Cpu<f32>>, Error>,
    ) -> Result<(), Error> {
        let Feed::Copied {
            t,
            x0,
            x1,
            thickness,
        } = self
        else {
            return Ok(());
        };
        let particles = particles()?;
        t.write(particles.t.as_slice())?;
        x0.write(particles.x0.as_slice())?;
        x1.write(particles.x1.as_slice())?;
        if let (Some(there), Some(here)) = (thickness, &particles.thickness) {
            there.write(here.as_slice())?;
        }
        Ok(())
    }

    /// The batch of this step; all of it can be recorded.
    fn batch(&mut self, rows: usize) -> Result<OnPath<Cuda<f32>>, CudaError> {
        match self {
            Feed::Drawn(source) => {
                let batch = source.next(rows, FlowVersion::Four)?;
                let d = batch.xt.len() / rows;
                Ok(OnPath {
                    t: Tensor::from_buffer(&[rows, 1], batch.t),
                    xt: Tensor::from_buffer(&[rows, d], batch.xt),
                    target: Tensor::from_buffer(&[rows, d], batch.target),
                })
            }
            Feed::Copied {
                t,
                x0,
                x1,
                thickness,
            } => {
                // The same memory at each step, so a recorded step reads what
                // was copied there last.
                let matrix = |x: &Buffer<f32>| {
                    let own = x.part(0, x.len())?;
                    Ok::<_, CudaError>(Tensor::from_buffer(&[rows, x.len() / rows], own))
                };
                let particles = Particles {
                    t: matrix(t)?,
                    x0: matrix(x0)?,
                    x1: matrix(x1)?,
                    thickness: thickness.as_ref().map(matrix).transpose()?,
                };
                Ok(particles.on_path())
            }
        }
    }
}

/// Leaves begin at multiples of this many numbers in the flat buffers, so that
/// each is aligned as if it had memory of its own.
const ALIGNED: usize = 64;

/// All leaves one behind the other, with zeros between them, which no step
/// changes.
fn flat(net: &Net) -> Vec<f32> {
    let mut flat = Vec::new();
    for leaf in net.leaves() {
        flat.extend_from_slice(leaf.as_slice());
        flat.resize(flat.len().next_multiple_of(ALIGNED), 0.0);
    }
    flat
}

/// The same structure, each leaf made from its place in the flat buffers.
fn unflat<A: Algebra>(net: &Net, leaf_at: impl Fn(usize, &Shape) -> Tensor<A>) -> Mlp<A> {
    let mut at = 0;
    net.map(&mut |leaf: &Tensor<Cpu<f32>>| {
        let shape = leaf.shape();
        let own = leaf_at(at, &shape);
        at = (at + shape.count()).next_multiple_of(ALIGNED);
        own
    })
}

/// A network of flat numbers.
fn net_of(like: &Net, numbers: &[f32]) -> Net {
    unflat(like, |at, shape| {
        Tensor::new(shape, numbers[at..][..shape.count()].to_vec())
    })
}

impl OnDevice {
    /// Goes on with what was learned.
    pub(super) fn new(
        device: &Device,
        learned: Learned,
        settings: &Settings,
        source: &Source,
    ) -> Result<Self, Error> {
        let (c, steps) = (learned.adam.config, learned.steps());
        let config = AdamwConfig {
            beta1: c.beta1,
            beta2: c.beta2,
            epsilon: c.epsilon,
            weight_decay: c.weight_decay,
            average_decay: settings.ema_decay,
        };
        let moments = &learned.adam.memory().moments;
        let point = AdamwPoint {
            parameters: flat(&learned.net),
            average: flat(&learned.ema.average),
            first: flat(&moments[0].1),
            second: flat(&moments[1].1),
            steps,
        };
        let adam = Adamw::at(device, &point, config)?;
        let net = unflat(&learned.net, |at, shape| {
            let own = adam.parameters.part(at, shape.count());
            Tensor::from_buffer(shape, own.expect("as long as the leaves"))
        });
        Ok(OnDevice {
            feed: Feed::new(device, settings, source, steps)?,
            adam,
            net,
            diary: Diary::new(device, DIARY)?,
            device: device.clone(),
            began: learned,
            graph: None,
            records: true,
            batch: settings.batch,
            steps,
            rated: steps,
            unseen: 0,
            losses: Vec::new(),
        })
    }

    /// From now on each kernel is launched by itself.
    pub(super) fn launch_each(&mut self) {
        (self.graph, self.records) = (None, false);
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn step(
        &mut self,
        rate: LearningRate,
        particles: impl FnOnce() -> Result<Particles<Cpu<f32>>, Error>,
    ) -> Result<(), Error> {
        if self.unseen == DIARY {
            self.look()?;
        }
        if self.rated == self.steps {
            self.rated += Adamw::RATES as u64;
            let rates: Vec<f64> = (self.steps + 1..=self.rated).map(|n| rate.at(n)).collect();
            self.adam.set_learning_rates(self.steps, &rates)?;
        }
        self.feed.fill(particles)?;
        match &self.graph {
            Some(graph) => graph.replay()?,
            None if self.records => {
                let device = self.device.clone();
                // Records the second step and does the first.
                let (graph, ()) = device.record(|| self.work())?;
                self.graph = Some(graph);
            }
            None => self.work()?,
        }
        self.steps += 1;
        self.unseen += 1;
        Ok(())
    }

    /// A whole step, of what lies on the device.
    fn work(&mut self) -> Result<(), CudaError> {
        let batch = self.feed.batch(self.batch)?;
        let (loss, slopes) = slopes(&self.net, 1.0 / self.batch as f64, &batch);
        self.diary.note(loss.buffer())?;
        let (mut at, mut parts) = (0, Vec::new());
        let slopes = slopes.leaves();
        for slope in &slopes {
            parts.push((at, slope.buffer()));
            at = (at + slope.buffer().len()).next_multiple_of(ALIGNED);
        }
        // A loss that is not finite leaves the parameters as they are.
        self.adam.step_parts(&parts, Some(loss.buffer()))
    }

    /// Brings the losses to the host, and sees whether all are finite.
    fn look(&mut self) -> Result<(), Error> {
        let new = self.diary.last(self.unseen)?;
        let first = self.steps - self.unseen as u64 + 1;
        let pairs = (first..).zip(&new);
        let mut broken = pairs.filter(|(_, loss)| !loss.is_finite());
        if let Some((step, &loss)) = broken.next() {
            return Err(not_finite(loss, step));
        }
        self.losses.extend(new);
        self.unseen = 0;
        Ok(())
    }

    pub(super) fn losses(&mut self) -> Result<Vec<f32>, Error> {
        self.look()?;
        Ok(std::mem::take(&mut self.losses))
    }

    /// What was learned, on the host.
    pub(super) fn learned(&mut self) -> Result<Learned, Error> {
        self.look()?;
        let point = self.adam.point()?;
        let mut learned = self.began.clone();
        learned.net = net_of(&learned.net, &point.parameters);
        learned.ema.average = net_of(&learned.net, &point.average);
        learned.ema.updates = point.steps;
        let memory = learned.adam.memory_mut();
        memory.steps = point.steps;
        for ((_, moment), numbers) in memory.moments.iter_mut().zip([&point.first, &point.second]) {
            *moment = net_of(moment, numbers);
        }
        Ok(learned)
    }
}
