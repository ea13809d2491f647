//! **Trainer**: one step after the other, resumable to the same bits.

use super::learner::{Learned, Learner, Net, OnCpu};
#[cfg(feature = "cuda")]
use super::on_device::OnDevice;
use super::source::MOST_COORDINATES;
use super::{Settings, Source, Standardisation, stream};
use crate::Error;
use crate::batches::Batches;
use crate::compute::{Compute, Home};
use crate::coupling::Name;
use crate::likelihood::{Likelihood, Trace, log_likelihood};
use crate::objective::{Estimate, Particles};
use crate::ordinary_file;
use crate::sampler::Plan;
use autograd::{
    Algebra, Archive, ArchiveError, Cpu, Draw, Dual, LearningRate, Mlp, Optimiser, Philox, Shape,
    Tensor, TimeFeatures, Tree, Unary,
};
use std::path::Path;

/// The entry of a file's head that tells whether data have changed.
const FINGERPRINT: &str = "data_fingerprint";

/// A training under way.
#[derive(Debug)]
pub struct Trainer {
    settings: Settings,
    source: Source,
    learner: Learner,
}

/// A trained velocity network and the settings it was trained with.
#[derive(Clone, Debug)]
pub struct VelocityModel<A: Algebra = Cpu<f32>> {
    /// The network.
    pub net: Mlp<A>,
    /// How it came about.
    pub settings: Settings,
    /// The number of coordinates.
    pub dimension: usize,
    /// What its points are in the units of the data.
    pub scale: Standardisation,
}

fn time_features(settings: &Settings) -> TimeFeatures {
    match settings.fourier {
        0 => TimeFeatures::Plain,
        k => TimeFeatures::Fourier(k),
    }
}

fn fresh_net(settings: &Settings, dimension: usize) -> Net {
    let time = time_features(settings);
    let draw = Draw::seed(settings.seed).stream(stream::PARAMETERS);
    Mlp::new(
        dimension,
        &settings.hidden,
        dimension,
        time,
        Unary::Silu,
        draw,
    )
}

/// What a file of a model or a checkpoint should have been.
const EXPECTED: &str = "a file written by flowgrad train";

fn unusable(path: &Path, found: impl Into<String>) -> Error {
    Error::Model {
        path: path.to_owned(),
        found: found.into(),
        expected: EXPECTED.to_owned(),
    }
}

fn broken(path: &Path, error: &ArchiveError) -> Error {
    unusable(path, error.to_string())
}

/// Reads an archive, and its settings and dimension from its head. Its text
/// may say anything: before a network of that size is allocated, the file
/// must hold every layer of it, by names that begin with `prefix`.
fn open(path: &Path, prefix: &str) -> Result<(Archive<f32>, Settings, usize), Error> {
    let bytes = ordinary_file::read(path)?;
    let archive = Archive::<f32>::from_bytes(&bytes).map_err(|reason| unusable(path, reason))?;
    let settings = Settings::from_metadata(&archive.metadata).map_err(|e| unusable(path, e))?;
    let text = archive.metadata.get("dimension");
    let text = text.cloned().unwrap_or_default();
    let Some(dimension) = text
        .parse()
        .ok()
        .filter(|d| (1..=MOST_COORDINATES).contains(d))
    else {
        let found = format!("its metadata entry \"dimension\" is {text:?}");
        return Err(unusable(path, found));
    };
    let mut rows = dimension + time_features(&settings).count();
    let widths = settings.hidden.iter().copied().chain([dimension]);
    for (layer, columns) in widths.enumerate() {
        let name = format!("{prefix}layers.{layer}.weight");
        let weight = archive.get(&name, &Shape::new(&[rows, columns]));
        weight.map_err(|e| broken(path, &e))?;
        rows = columns;
    }
    Ok((archive, settings, dimension))
}

impl Trainer {
    /// A fresh network.
    ///
    /// # Errors
    /// If the settings make no sense or name no data.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let settings = settings.validated()?;
        let source = Source::named(&settings.data)?;
        settings.affordable(source.dimension())?;
        let net = fresh_net(&settings, source.dimension());
        let learned = Learned::nothing(net, &settings);
        Ok(Trainer {
            learner: Learner::Cpu(Box::new(OnCpu::new(learned))),
            settings,
            source,
        })
    }

    /// The same training, from here on somewhere else. Batches are the same in
    /// bits; slopes have other roundings on a GPU, but the same ones each time.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn on(mut self, compute: &Compute) -> Result<Self, Error> {
        let learned = self.learner.learned()?;
        self.learner = match compute {
            Compute::Cpu => Learner::Cpu(Box::new(OnCpu::new(learned))),
            #[cfg(feature = "cuda")]
            Compute::Cuda(device) => {
                let there = OnDevice::new(device, learned, &self.settings, &self.source)?;
                Learner::Cuda(Box::new(there))
            }
        };
        Ok(self)
    }

    /// Launches every kernel of a step by itself, in place of a recorded
    /// graph: slower, the same bits, for finding errors. Means nothing on the
    /// processor.
    #[must_use]
    #[cfg_attr(not(feature = "cuda"), expect(unused_mut, reason = "nothing to set"))]
    pub fn without_graph(mut self) -> Self {
        #[cfg(feature = "cuda")]
        if let Learner::Cuda(device) = &mut self.learner {
            device.launch_each();
        }
        self
    }

    /// Goes on from a checkpoint. Everything the result depends on comes from
    /// the file.
    ///
    /// # Errors
    /// If the file cannot be read or is not a checkpoint.
    pub fn resume(path: &Path) -> Result<Self, Error> {
        let (archive, settings, _) = open(path, "net.")?;
        let mut trainer = Self::new(settings)?;
        let data = trainer.source.fingerprint().to_string();
        if archive.metadata.get(FINGERPRINT) != Some(&data) {
            return Err(Error::Model {
                path: path.to_owned(),
                found: format!(
                    "it was trained on other data than {:?} holds now",
                    trainer.settings.data
                ),
                expected: "the data it began with".to_owned(),
            });
        }
        let steps = archive.number("step").ok();
        let steps = steps.filter(|n| *n <= trainer.settings.steps);
        let Some(steps) = steps else {
            return Err(unusable(path, "no valid step count in its metadata"));
        };
        let mut learned = trainer.learner.learned()?;
        let filled = archive
            .fill("net", &mut learned.net)
            .and_then(|()| archive.fill("ema", &mut learned.ema.average))
            .and_then(|()| learned.adam.restore("adam", &archive));
        filled.map_err(|e| broken(path, &e))?;
        if learned.steps() != steps {
            return Err(unusable(path, "two different step counts in its metadata"));
        }
        learned.ema.updates = steps;
        trainer.learner = Learner::Cpu(Box::new(OnCpu::new(learned)));
        Ok(trainer)
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The irreducible loss of this training, where it is known: see
    /// [`Source::irreducible_loss`]. Coupled batches have a smaller one, which
    /// is not known.
    #[must_use]
    pub fn irreducible_loss(&self) -> Option<Estimate> {
        let settings = &self.settings;
        let independent = settings.coupling == Name::Independent;
        let draw = Draw::seed(settings.seed).stream(stream::FLOOR);
        independent
            .then(|| self.source.irreducible_loss(settings.sigma, draw))
            .flatten()
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.learner.steps()
    }

    /// One step. On a GPU it is only asked for: see [`losses`](Self::losses).
    ///
    /// # Errors
    /// If the loss is not finite; the parameters are then unchanged. On a GPU
    /// the losses, or what was learned, have to be asked for to learn of it.
    pub fn step(&mut self) -> Result<(), Error> {
        let (settings, source) = (&self.settings, &self.source);
        let (rate, steps) = (self.rate(), self.steps());
        let particles = || particles(settings, source, steps);
        self.learner.step(settings, rate, particles)
    }

    /// The particles of the next step, as they are drawn.
    ///
    /// # Errors
    /// If they cannot be paired.
    pub fn next_batch(&self) -> Result<Particles<Cpu<f32>>, Error> {
        particles(&self.settings, &self.source, self.steps())
    }

    /// The mean loss of each batch since this was last asked, each before its
    /// step. From a GPU it is one copy to the host, which waits for the steps.
    ///
    /// # Errors
    /// If one is not finite.
    pub fn losses(&mut self) -> Result<Vec<f32>, Error> {
        self.learner.losses()
    }

    /// Warm-up over a fiftieth of the training, at most 200 steps, then half a
    /// cosine.
    fn rate(&self) -> LearningRate {
        let steps = self.settings.steps;
        LearningRate::warm_up_cosine(self.settings.learning_rate, (steps / 50).min(200), steps)
    }

    /// Everything needed to go on.
    ///
    /// # Errors
    /// If a loss was not finite, or the device failed.
    pub fn checkpoint(&mut self) -> Result<Archive<f32>, Error> {
        let learned = self.learner.learned()?;
        let mut archive = self.archive();
        archive.insert("net", &learned.net);
        archive.insert("ema", &learned.ema.average);
        learned.adam.save("adam", &mut archive);
        Ok(archive)
    }

    /// The model alone: the averaged parameters.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn model_archive(&mut self) -> Result<Archive<f32>, Error> {
        let learned = self.learner.learned()?;
        let mut archive = self.archive();
        archive.insert("", &learned.ema.average);
        Ok(archive)
    }

    fn archive(&self) -> Archive<f32> {
        let mut archive = Archive::new();
        archive.metadata = self.settings.to_metadata();
        let entry = |key: &str, value: String| (key.to_owned(), value);
        archive.metadata.extend([
            entry("step", self.steps().to_string()),
            entry("dimension", self.source.dimension().to_string()),
            entry(FINGERPRINT, self.source.fingerprint().to_string()),
        ]);
        archive.insert("scale", &self.source.standardisation());
        archive
    }

    /// The averaged model.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn model(&mut self) -> Result<VelocityModel, Error> {
        Ok(VelocityModel {
            net: self.learner.learned()?.ema.average,
            settings: self.settings.clone(),
            dimension: self.source.dimension(),
            scale: self.source.standardisation(),
        })
    }
}

/// The random numbers of the step after so many.
fn particles(
    settings: &Settings,
    source: &Source,
    steps: u64,
) -> Result<Particles<Cpu<f32>>, Error> {
    let (batch, d) = (settings.batch, source.dimension());
    let draw = |stream| Draw::seed(settings.seed).stream(stream).step(steps as u32);
    let normal = |stream, scale: f64| {
        let mut numbers = vec![0.0; batch * d];
        Philox::normal_f32(draw(stream), 0, &mut numbers);
        scale * Tensor::<Cpu<f32>>::new(&[batch, d], numbers)
    };
    let mut times = vec![0.0; batch];
    Philox::uniform_f32(draw(stream::TIME), 0, &mut times);
    let (mut x0, mut x1) = (
        normal(stream::NOISE, 1.0),
        source.batch(batch, draw(stream::DATA)),
    );
    // Rows that are drawn independently of the noise are paired as they come.
    if settings.coupling != Name::Independent {
        let view = |x: &Tensor<Cpu<f32>>| {
            let array = x.to_array().into_dimensionality::<ndarray::Ix2>();
            array.expect("a batch is a matrix")
        };
        let coupling = settings.coupling.coupling::<f32>();
        let mut rng = Philox::new(draw(stream::COUPLING));
        let pairs = coupling.pair(view(&x0).view(), view(&x1).view(), &mut rng)?;
        let rows = |rows: &[usize]| autograd::Index::new(rows.to_vec());
        x0 = x0.gather(&rows(pairs.source()));
        x1 = x1.gather(&rows(pairs.target()));
    }
    let sigma = settings.sigma;
    Ok(Particles {
        t: Tensor::new(&[batch, 1], times),
        x0,
        x1,
        thickness: (sigma > 0.0).then(|| normal(stream::THICKNESS, sigma)),
    })
}

impl VelocityModel {
    /// Reads a model written by [`Trainer::model_archive`].
    ///
    /// # Errors
    /// If the file cannot be read or is not such a model.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let (archive, settings, dimension) = open(path, "")?;
        let mut net = fresh_net(&settings, dimension);
        let mut scale = Standardisation::identity(dimension);
        // Beside the network there is the scale.
        let filled = archive.fill_allowing_extra("", &mut net);
        let filled = filled.and_then(|()| archive.fill("scale", &mut scale));
        filled.map_err(|e| broken(path, &e))?;
        if let Some(flaw) = scale.flaw() {
            return Err(unusable(path, flaw));
        }
        Ok(VelocityModel {
            net,
            settings,
            dimension,
            scale,
        })
    }

    /// The same model where other arrays live.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn to<A: Home>(&self, place: &A::Place) -> Result<VelocityModel<A>, Error> {
        // All leaves are moved before any is put in its place, for a map over
        // a tree cannot fail.
        let leaves = self.net.leaves();
        let moved = leaves.iter().map(|leaf| A::upload(place, leaf));
        let mut moved = moved.collect::<Result<Vec<_>, _>>()?.into_iter();
        let next = |_: &Tensor<Cpu<f32>>| moved.next().expect("as many as leaves");
        Ok(VelocityModel {
            net: self.net.map(&mut { next }),
            settings: self.settings.clone(),
            dimension: self.dimension,
            scale: self.scale.clone(),
        })
    }
}

impl<A: Home> VelocityModel<A> {
    /// How probable points `[B, D]` are, both in the standardised units of
    /// training.
    ///
    /// # Errors
    /// If the plan makes no sense, or the solve does not reach the noise.
    pub fn log_likelihood(
        &self,
        x1: &Tensor<A>,
        plan: &Plan,
        trace: Trace,
    ) -> Result<Likelihood<A>, Error> {
        let net: Mlp<Dual<A>> = self.net.lift();
        let field = |t: &[f64], x: &Tensor<Dual<A>>| {
            // Made where the points live: a common time copies nothing.
            let t = Tensor::constant(&A::column(&x.stop(), t));
            net.velocity(&t, x)
        };
        log_likelihood(x1, plan, trace, field)
    }
}

impl<A: Batches> VelocityModel<A> {
    /// `v(t, x)` for times, one for each row, and points `[B, D]`, both in the
    /// standardised units of training.
    #[must_use]
    pub fn velocity(&self, t: &[f64], x: &Tensor<A>) -> Tensor<A> {
        self.net.velocity(&A::column(x, t), x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            data: "moons".to_owned(),
            coupling: Name::Ot,
            sigma: 0.05,
            hidden: vec![16, 16],
            fourier: 2,
            batch: 300,
            steps: 12,
            seed: 9,
            learning_rate: 1e-2,
            ema_decay: 0.9,
        }
    }

    #[test]
    fn a_resumed_training_has_the_same_bits_at_any_number_of_threads() {
        let mut whole = Trainer::new(settings()).expect("valid");
        while whole.steps() < 12 {
            whole.step().expect("finite");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("checkpoint.safetensors");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
        let resumed = pool.expect("a pool").install(|| {
            let mut first = Trainer::new(settings()).expect("valid");
            for _ in 0..5 {
                first.step().expect("finite");
            }
            let checkpoint = first.checkpoint().expect("finite");
            checkpoint.write(&file).expect("written");
            let mut second = Trainer::resume(&file).expect("a checkpoint");
            while second.steps() < 12 {
                second.step().expect("finite");
            }
            second.checkpoint().expect("finite").to_bytes()
        });
        let whole_bytes = whole.checkpoint().expect("finite").to_bytes();
        assert!(whole_bytes == resumed, "the bits differ");
        let model = folder.path().join("model.safetensors");
        let archive = whole.model_archive().expect("finite");
        archive.write(&model).expect("written");
        let read = VelocityModel::read(&model).expect("a model");
        assert_eq!(read.settings, settings());
        let error = Trainer::resume(&model).unwrap_err().to_string();
        assert!(error.contains("net.layers.0.weight"), "{error}");
    }

    /// A small file whose text announces a network of gigabytes is refused by
    /// the tensors it has, before anything of that size is asked for.
    #[test]
    fn a_file_cannot_announce_a_network_it_does_not_hold() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("huge.safetensors");
        let mut trainer = Trainer::new(settings()).expect("valid");
        for (mut archive, resumed) in [
            (trainer.model_archive().expect("finite"), false),
            (trainer.checkpoint().expect("finite"), true),
        ] {
            let widths = vec!["16384"; 64].join(",");
            archive.metadata.insert("hidden".to_owned(), widths);
            archive.write(&file).expect("written");
            let error = match resumed {
                true => Trainer::resume(&file).map(|_| ()),
                false => VelocityModel::read(&file).map(|_| ()),
            };
            let text = error.expect_err("refused").to_string();
            assert!(text.contains("but the model needs [7, 16384]"), "{text}");
        }
    }

    #[test]
    fn a_file_cannot_put_all_samples_in_one_point() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("model.safetensors");
        let mut trainer = Trainer::new(settings()).expect("valid");
        for (number, refused) in [(0.0, true), (-0.0, true), (-1.0, true), (1e-30, false)] {
            let mut archive = trainer.model_archive().expect("finite");
            let second = Tensor::<Cpu<f32>>::new(&[2], vec![1.0, number]);
            archive.insert("scale.deviation", &second);
            archive.write(&file).expect("written");
            let read = VelocityModel::read(&file).map(|_| ());
            let said = read.err().map(|error| error.to_string());
            let flaw = format!("scale.deviation is {number} in column 1");
            let found = said.as_ref().is_some_and(|said| said.contains(&flaw));
            assert_eq!((found, said.is_some()), (refused, refused), "{said:?}");
        }
    }

    #[test]
    fn the_loss_falls() {
        let mut trainer = Trainer::new(Settings {
            steps: 300,
            coupling: Name::Independent,
            ..settings()
        })
        .expect("valid");
        for _ in 0..300 {
            trainer.step().expect("finite");
        }
        let losses = trainer.losses().expect("finite");
        assert_eq!(losses.len(), 300);
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        // From about E‖x₁ − x₀‖² = 6.2 towards the floor of 3.8.
        assert!(mean(&losses[280..]) < 0.85 * mean(&losses[..5]));
    }
}
