//! `flowgrad sample`: noise moved along a trained field, into a file.

use super::device::Device;
use super::solver::Solver;
use autograd::{Cpu, Draw};
use clap::Args;
use fm::Error;
use fm::compute::{Compute, Home};
use fm::dataset::{Dataset, PIXELS, digits};
use fm::metric::{mean_nearest_distance, two_sample_accuracy};
use fm::report::{PixelRange, digit_grid_png, scatter_png};
use fm::sampler::{Plan, sample};
use fm::training::VelocityModel;
use ndarray::{Array2, Axis, s};
use ndarray_npy::WriteNpyExt;
use std::path::PathBuf;

/// Draw samples from a trained model.
///
/// Moves normal noise from t = 0 to the data at t = 1 and writes the end
/// points as an array [COUNT, D] of f32 (.npy), in the units of the data, or as a
/// picture (.png). Prints what it cost (NFE).
#[derive(Args, Debug)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Sample {
    /// A model written by `flowgrad train`.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    solver: Solver,
    /// How many samples.
    #[arg(long, default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
    /// Seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to write: .npy for numbers, .png for a picture.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For digits: compare with 500 held-out digits.
    #[arg(long)]
    judge: bool,
    #[command(flatten)]
    device: Device,
}

impl Sample {
    pub(crate) fn run(&self) -> Result<(), Error> {
        let kind = self.out.extension().and_then(|e| e.to_str());
        let picture = match kind {
            Some("npy") => false,
            Some("png") => true,
            _ => {
                let expected = "a file name ending in .npy or .png";
                return Err(Error::argument("--out", self.out.display(), expected));
            }
        };
        let plan = self.solver.plan()?;
        let model = VelocityModel::read(&self.model)?;
        let (n, d) = (self.count as usize, model.dimension);
        if n > MOST_NUMBERS / d {
            let most = format!("at most {} samples of {d} coordinates", MOST_NUMBERS / d);
            return Err(Error::argument("--count", n, most));
        }
        if self.judge && (model.settings.data != Dataset::Digits.as_str() || n < HELD_OUT) {
            let given = format!("asked of {n} samples of {:?}", model.settings.data);
            let expected = format!("at least {HELD_OUT} samples of a model of digits");
            return Err(Error::argument("--judge", given, expected));
        }
        let (points, evaluations) = match &self.device.open()? {
            Compute::Cpu => draw::<Cpu<f32>>(&model, &(), &plan, n, self.seed)?,
            #[cfg(feature = "cuda")]
            Compute::Cuda(device) => {
                draw::<autograd::Cuda<f32>>(&model, device, &plan, n, self.seed)?
            }
        };
        let bytes = match picture {
            true => drawing(&points)?,
            false => {
                let mut bytes = Vec::new();
                let written = points.write_npy(&mut bytes);
                written.expect("writing to memory does not fail");
                bytes
            }
        };
        let replaced = autograd::replace_file(&self.out, &bytes);
        replaced.map_err(|e| Error::io(&self.out, "write", e))?;
        println!(
            "wrote {} ({n} samples, {evaluations} evaluations of the field, seed {})",
            self.out.display(),
            self.seed
        );
        if self.judge {
            judge(&points)?.print();
        }
        Ok(())
    }
}

/// Most numbers of a sample set: a gigabyte.
const MOST_NUMBERS: usize = 1 << 28;
/// Digits that drawn ones are compared with.
const HELD_OUT: usize = 500;
/// Samples moved at once, so that the network's layers need little memory
/// however many are drawn.
const AT_ONCE: usize = 4096;

/// `n` samples `[n, D]` in the units of the data, and the largest number of
/// evaluations that any of them took.
fn draw<A: Home>(
    model: &VelocityModel,
    place: &A::Place,
    plan: &Plan,
    n: usize,
    seed: u64,
) -> Result<(Array2<f32>, usize), Error> {
    let d = model.dimension;
    let there = model.to::<A>(place)?;
    let (mut points, mut evaluations) = (Array2::zeros((n, d)), 0);
    for first in (0..n).step_by(AT_ONCE) {
        let rows = AT_ONCE.min(n - first);
        let x0 = A::normal(place, Draw::seed(seed), (first * d) as u64, [rows, d])?;
        let sampled = sample(&x0, plan, |t, x| there.velocity(t, x))?;
        let ends = A::download(&sampled.x1)?;
        let ends = ends.as_slice().iter().map(|&x| x.into()).collect();
        let ends = Array2::from_shape_vec((rows, d), ends).expect("one row a sample");
        let ends = model.scale.undo(ends.view());
        points.slice_mut(s![first..first + rows, ..]).assign(&ends);
        evaluations = evaluations.max(sampled.evaluations);
    }
    Ok((points, evaluations))
}

/// A picture: the points of a plane, or the first 100 images.
fn drawing(points: &Array2<f32>) -> Result<Vec<u8>, Error> {
    match points.ncols() {
        2 => Ok(scatter_png(points.mapv(f64::from).view())),
        PIXELS => {
            let shown = points.nrows().min(100);
            let images = points.slice(s![..shown, ..]);
            Ok(digit_grid_png(images, 10, PixelRange::MinusOneToOne))
        }
        other => Err(Error::argument(
            "--out",
            format!("a picture of points with {other} coordinates"),
            "a .npy file, or points of 2 coordinates, or digits",
        )),
    }
}

/// Digits drawn against digits held out, beside real against real.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    pub(crate) accuracy: f64,
    pub(crate) accuracy_of_real: f64,
    pub(crate) nearest_of_drawn: f64,
    pub(crate) nearest_of_held_out: f64,
}

/// Judges the first 500 of at least so many drawn digits.
pub(crate) fn judge(points: &Array2<f32>) -> Result<Judgement, Error> {
    let real = digits();
    let size = real.held_out.nrows();
    if points.ncols() != real.held_out.ncols() || points.nrows() < size {
        let given = format!("{:?} samples", points.dim());
        return Err(Error::argument(
            "--judge",
            given,
            "at least 500 samples of digits",
        ));
    }
    let drawn = points.slice(s![..size, ..]);
    let held_out = real.held_out.view();
    // Spread over the training set, whose neighbours are by one writer.
    let rows: Vec<usize> = (0..size)
        .map(|i| i * real.training.nrows() / size)
        .collect();
    let training = real.training.select(Axis(0), &rows);
    Ok(Judgement {
        accuracy: two_sample_accuracy(drawn, held_out)?,
        accuracy_of_real: two_sample_accuracy(training.view(), held_out)?,
        nearest_of_drawn: mean_nearest_distance(drawn, real.training.view()),
        nearest_of_held_out: mean_nearest_distance(held_out, real.training.view()),
    })
}

impl Judgement {
    pub(crate) fn print(&self) {
        println!(
            "two-sample accuracy against 500 held-out digits: {:.3} (real training digits: {:.3}; ideal 0.5)",
            self.accuracy, self.accuracy_of_real
        );
        println!(
            "mean distance to the nearest training digit: {:.3} (held-out digits: {:.3}; far below means memorised)",
            self.nearest_of_drawn, self.nearest_of_held_out
        );
    }
}
