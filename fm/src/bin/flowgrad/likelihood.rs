//! `flowgrad likelihood`: how probable points are under a trained model.

use super::device::Device;
use super::solver::Solver;
use autograd::{Cpu, Draw, Probe, Tensor};
use clap::Args;
use fm::Error;
use fm::compute::{Compute, Home};
use fm::dataset::file::read_points;
use fm::likelihood::Trace;
use fm::sampler::Plan;
use fm::training::VelocityModel;
use ndarray::{Array2, s};
use ndarray_npy::WriteNpyExt;
use std::f64::consts::LN_2;
use std::path::PathBuf;

/// How probable points are under a trained model (LK.1).
///
/// Follows each point back to the noise and prints the mean of the logarithm of
/// its density, in the units of the data, and what it cost (NFE). The
/// divergence of the field is exact, by a derivative for each coordinate, or
/// estimated by one.
#[derive(Args, Debug)]
#[command(allow_negative_numbers = true)]
pub(crate) struct Likelihood {
    /// A model written by `flowgrad train`.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Points, one a row: a .npy or .csv file.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    solver: Solver,
    /// How the divergence is found: exact, or estimate (Hutchinson's, with
    /// signs).
    #[arg(long, default_value = "exact")]
    trace: String,
    /// Seed of the estimate.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to write the logarithm of each row, [N, 1] of f32: a .npy file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
}

/// Points followed at once.
const AT_ONCE: usize = 1024;

impl Likelihood {
    pub(crate) fn run(&self) -> Result<(), Error> {
        let npy = |out: &PathBuf| out.extension().is_some_and(|e| e == "npy");
        if let Some(out) = self.out.as_ref().filter(|out| !npy(out)) {
            let expected = "a file name ending in .npy";
            return Err(Error::argument("--out", out.display(), expected));
        }
        let exact = match self.trace.as_str() {
            "exact" => true,
            "estimate" => false,
            other => {
                return Err(Error::UnknownName {
                    what: "trace",
                    given: other.to_owned(),
                    expected: "exact, estimate".to_owned(),
                });
            }
        };
        let plan = self.solver.plan()?;
        let model = VelocityModel::read(&self.model)?;
        let points = read_points::<f64>(&self.data)?;
        if points.ncols() != model.dimension {
            let found = format!("points of {} coordinates", points.ncols());
            let expected = format!("points of {}, as the model's", model.dimension);
            return Err(Error::data(&self.data, found, expected));
        }
        let points = model.scale.apply(points.view());
        let (logarithms, evaluations) = match &self.device.open()? {
            Compute::Cpu => self.of::<Cpu<f32>>(&model, &(), &points, &plan, exact)?,
            #[cfg(feature = "cuda")]
            Compute::Cuda(device) => {
                self.of::<autograd::Cuda<f32>>(&model, device, &points, &plan, exact)?
            }
        };
        if let Some(out) = &self.out {
            let mut bytes = Vec::new();
            let written = logarithms.write_npy(&mut bytes);
            written.expect("writing to memory does not fail");
            let replaced = autograd::replace_file(out, &bytes);
            replaced.map_err(|e| Error::io(out, "write", e))?;
        }
        let n = logarithms.len();
        let mean = logarithms.iter().copied().map(f64::from).sum::<f64>() / n as f64;
        println!(
            "log-likelihood {mean:.4} nats a point, {:.4} bits a coordinate \
             ({n} points, {evaluations} evaluations of the field and its divergence)",
            -mean / (LN_2 * model.dimension as f64)
        );
        Ok(())
    }

    /// The logarithms `[N, 1]` in the units of the data, and the largest number
    /// of evaluations that any of them took.
    fn of<A: Home>(
        &self,
        model: &VelocityModel,
        place: &A::Place,
        points: &Array2<f32>,
        plan: &Plan,
        exact: bool,
    ) -> Result<(Array2<f32>, usize), Error> {
        let there = model.to::<A>(place)?;
        let (n, d) = points.dim();
        let stretched = model.scale.log_volume();
        let (mut logarithms, mut evaluations) = (Array2::zeros((n, 1)), 0);
        for (first, step) in (0..n).step_by(AT_ONCE).zip(0..) {
            let rows = AT_ONCE.min(n - first);
            let part = points.slice(s![first..first + rows, ..]);
            let part = Tensor::<Cpu<f32>>::new(&[rows, d], part.iter().copied().collect());
            let trace = match exact {
                true => Trace::Exact,
                false => Trace::Estimated(Probe::Rademacher, Draw::seed(self.seed).step(step)),
            };
            let found = there.log_likelihood(&A::upload(place, &part)?, plan, trace)?;
            evaluations = evaluations.max(found.evaluations);
            let found = A::download(&found.log_density)?;
            for (i, &logarithm) in found.as_slice().iter().enumerate() {
                logarithms[[first + i, 0]] = (f64::from(logarithm) - stretched) as f32;
            }
        }
        Ok((logarithms, evaluations))
    }
}
