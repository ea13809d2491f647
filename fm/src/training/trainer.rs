//! **Trainer**: one step after the other, resumable to the same bits.

use super::source::MOST_COORDINATES;
use super::{Settings, Source, Standardisation};
use crate::Error;
use crate::coupling::Name;
use crate::objective::{Estimate, Particles, loss_sum};
use crate::ordinary_file;
use autograd::{
    Adam, AdamConfig, Archive, ArchiveError, Cpu, Draw, Ema, LearningRate, Mlp, Optimiser, Philox,
    Shape, Tensor, TimeFeatures, Unary, Var, sum_over_shards, value_and_grad,
};
use std::path::Path;

type Net = Mlp<Cpu<f32>>;

/// What random numbers are for: no two purposes share a stream.
mod stream {
    pub(super) const PARAMETERS: u32 = 1;
    pub(super) const NOISE: u32 = 2;
    pub(super) const TIME: u32 = 3;
    pub(super) const DATA: u32 = 4;
    pub(super) const THICKNESS: u32 = 5;
    pub(super) const COUPLING: u32 = 6;
    pub(super) const FLOOR: u32 = 7;
}

/// The entry of a file's head that tells whether data have changed.
const FINGERPRINT: &str = "data_fingerprint";

/// A training under way.
#[derive(Debug)]
pub struct Trainer {
    settings: Settings,
    source: Source,
    net: Net,
    adam: Adam<Net>,
    ema: Ema<Net>,
}

/// A trained velocity network and the settings it was trained with.
#[derive(Clone, Debug)]
pub struct VelocityModel {
    /// The network.
    pub net: Net,
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
        Ok(Trainer {
            adam: Adam::new(&net, AdamConfig::default()),
            ema: Ema::new(&net, settings.ema_decay),
            settings,
            source,
            net,
        })
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
        let filled = archive
            .fill("net", &mut trainer.net)
            .and_then(|()| archive.fill("ema", &mut trainer.ema.average))
            .and_then(|()| trainer.adam.restore("adam", &archive));
        filled.map_err(|e| broken(path, &e))?;
        if trainer.steps() != steps {
            return Err(unusable(path, "two different step counts in its metadata"));
        }
        trainer.ema.updates = steps;
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
        self.adam.memory().steps
    }

    /// One step: returns the mean loss of its batch, before the step.
    ///
    /// # Errors
    /// If the loss is not finite; the parameters are then unchanged.
    pub fn step(&mut self) -> Result<f32, Error> {
        let particles = self.particles()?;
        let batch = self.settings.batch;
        let mean = 1.0 / batch as f64;
        let net = &self.net;
        let (loss, gradient) = sum_over_shards(batch, self.settings.shard_rows(), |rows| {
            let cut = |x: &Tensor<Cpu<f32>>| {
                Tensor::<Var<Cpu<f32>>>::constant(&x.slice(0, rows.start, rows.len()))
            };
            let shard = Particles {
                t: cut(&particles.t),
                x0: cut(&particles.x0),
                x1: cut(&particles.x1),
                thickness: particles.thickness.as_ref().map(cut),
            };
            value_and_grad(
                |net: &Mlp<Var<Cpu<f32>>>| mean * loss_sum(|t, x| net.velocity(t, x), &shard),
                net,
            )
        });
        let loss = loss.item();
        let n = self.steps() + 1;
        if !loss.is_finite() {
            return Err(Error::argument(
                "the loss",
                format!("{loss} at step {n}"),
                "a finite number; a smaller --learning-rate may help",
            ));
        }
        let rate = self.rate();
        self.adam.step(&mut self.net, &gradient, rate.at(n));
        self.ema.update(&self.net);
        Ok(loss)
    }

    /// Warm-up over a fiftieth of the training, at most 200 steps, then half a
    /// cosine.
    fn rate(&self) -> LearningRate {
        let steps = self.settings.steps;
        LearningRate::warm_up_cosine(self.settings.learning_rate, (steps / 50).min(200), steps)
    }

    /// The random numbers of the next step.
    fn particles(&self) -> Result<Particles<Cpu<f32>>, Error> {
        let (batch, d) = (self.settings.batch, self.source.dimension());
        let step = self.steps() as u32;
        let draw = |stream| Draw::seed(self.settings.seed).stream(stream).step(step);
        let normal = |stream, scale: f64| {
            let mut numbers = vec![0.0; batch * d];
            Philox::normal_f32(draw(stream), 0, &mut numbers);
            scale * Tensor::<Cpu<f32>>::new(&[batch, d], numbers)
        };
        let mut times = vec![0.0; batch];
        Philox::uniform_f32(draw(stream::TIME), 0, &mut times);
        let x0 = normal(stream::NOISE, 1.0);
        let x1 = self.source.batch(batch, draw(stream::DATA));
        let view = |x: &Tensor<Cpu<f32>>| {
            let array = x.to_array().into_dimensionality::<ndarray::Ix2>();
            array.expect("a batch is a matrix")
        };
        let coupling = self.settings.coupling.coupling::<f32>();
        let mut rng = Philox::new(draw(stream::COUPLING));
        let pairs = coupling.pair(view(&x0).view(), view(&x1).view(), &mut rng)?;
        let rows = |rows: &[usize]| autograd::Index::new(rows.to_vec());
        let sigma = self.settings.sigma;
        Ok(Particles {
            t: Tensor::new(&[batch, 1], times),
            x0: x0.gather(&rows(pairs.source())),
            x1: x1.gather(&rows(pairs.target())),
            thickness: (sigma > 0.0).then(|| normal(stream::THICKNESS, sigma)),
        })
    }

    /// Everything needed to go on.
    #[must_use]
    pub fn checkpoint(&self) -> Archive<f32> {
        let mut archive = self.archive();
        archive.insert("net", &self.net);
        archive.insert("ema", &self.ema.average);
        self.adam.save("adam", &mut archive);
        archive
    }

    /// The model alone: the averaged parameters.
    #[must_use]
    pub fn model_archive(&self) -> Archive<f32> {
        let mut archive = self.archive();
        archive.insert("", &self.ema.average);
        archive
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
    #[must_use]
    pub fn model(&self) -> VelocityModel {
        VelocityModel {
            net: self.ema.average.clone(),
            settings: self.settings.clone(),
            dimension: self.source.dimension(),
            scale: self.source.standardisation(),
        }
    }
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
        Ok(VelocityModel {
            net,
            settings,
            dimension,
            scale,
        })
    }

    /// `v(t, x)` for times, one for each row, and points `[B, D]`, both in the
    /// standardised units of training.
    #[must_use]
    pub fn velocity(&self, t: &[f64], x: &Tensor<Cpu<f32>>) -> Tensor<Cpu<f32>> {
        let t = Tensor::new(&[t.len(), 1], t.iter().map(|&t| t as f32).collect());
        self.net.velocity(&t, x)
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
            first.checkpoint().write(&file).expect("written");
            let mut second = Trainer::resume(&file).expect("a checkpoint");
            while second.steps() < 12 {
                second.step().expect("finite");
            }
            second.checkpoint().to_bytes()
        });
        assert!(whole.checkpoint().to_bytes() == resumed, "the bits differ");
        let model = folder.path().join("model.safetensors");
        whole.model_archive().write(&model).expect("written");
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
        let trainer = Trainer::new(settings()).expect("valid");
        for (mut archive, resumed) in [
            (trainer.model_archive(), false),
            (trainer.checkpoint(), true),
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
    fn the_loss_falls() {
        let mut trainer = Trainer::new(Settings {
            steps: 300,
            coupling: Name::Independent,
            ..settings()
        })
        .expect("valid");
        let losses: Vec<f32> = (0..300).map(|_| trainer.step().expect("finite")).collect();
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        // From about E‖x₁ − x₀‖² = 6.2 towards the floor of 3.8.
        assert!(mean(&losses[280..]) < 0.85 * mean(&losses[..5]));
    }
}
