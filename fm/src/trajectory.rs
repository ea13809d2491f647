//! **Trajectories**: the whole way from noise to data, node by node.
//!
//! Sampling (FM.5) keeps only the end of a trajectory. Its *course* says how
//! hard the field is to follow: the speeds along it give the path energy
//! (MT.3) and the straightness (MT.5).

use crate::Error;
use crate::batches::Batches;
use crate::metric::{normalised_path_energy, path_energy, straightness, w2};
use crate::sampler::{TensorSpace, stopped};
use autograd::{Cpu, Real, Tensor};
use ndarray::{Array2, Array3, ArrayView2, s};
use solvers::{Outcome, Solve, TimeGrid, methods};
use std::ops::ControlFlow;

/// Trajectories of n samples in d coordinates at m times.
#[derive(Clone, Debug)]
pub struct Trajectories {
    /// The times, rising from 0 (noise) to 1 (data).
    pub times: Vec<f64>,
    /// Where the samples were, `[m, n, d]`.
    pub positions: Array3<f64>,
    /// $`\lVert v_t(x_t) \rVert^2`$ there, `[m, n]`.
    pub speeds_squared: Array2<f64>,
}

impl Trajectories {
    /// Follows `x0` of `[n, d]` from 0 to 1 in equal steps of RK4, and keeps
    /// every position. `velocity` takes times, one for each row, and points.
    ///
    /// # Errors
    /// If there are no steps, or a sample does not stay finite.
    pub fn follow<F: Real>(
        x0: &Tensor<Cpu<F>>,
        steps: usize,
        velocity: impl Fn(&[f64], &Tensor<Cpu<F>>) -> Tensor<Cpu<F>>,
    ) -> Result<Self, Error> {
        let refused = |ending: String| Error::Solver {
            ending,
            expected: "trajectories that stay finite from t = 0 to t = 1".to_owned(),
        };
        let grid = TimeGrid::uniform(0.0, 1.0, steps).map_err(|e| refused(e.to_string()))?;
        let mut places = Vec::new();
        let mut observer = |_: &[f64], x: &Tensor<Cpu<F>>| {
            places.push(x.clone());
            ControlFlow::Continue(())
        };
        let mut field = |t: &[f64], x: &Tensor<Cpu<F>>, dx: &mut Tensor<Cpu<F>>| {
            *dx = velocity(t, x);
        };
        let space = TensorSpace::new();
        let end = Solve::new(&space, &mut field)
            .observed(&mut observer)
            .fixed(&methods::RK4, x0.clone(), &grid)
            .map_err(|e| refused(e.to_string()))?;
        if end.outcome != Outcome::Done {
            return Err(stopped(end.outcome));
        }
        let (m, n, d) = (places.len(), x0.size(0), x0.size(1));
        let mut positions = Array3::zeros((m, n, d));
        let mut speeds_squared = Array2::zeros((m, n));
        for (k, (&t, x)) in grid.nodes().iter().zip(&places).enumerate() {
            let v = Batches::to_f64(&velocity(&vec![t; n], x));
            let x = Batches::to_f64(x);
            for i in 0..n {
                for j in 0..d {
                    positions[[k, i, j]] = x[i * d + j];
                    speeds_squared[[k, i]] += v[i * d + j].powi(2);
                }
            }
        }
        Ok(Trajectories {
            times: grid.nodes().to_vec(),
            positions,
            speeds_squared,
        })
    }

    /// Where they began, `[n, d]`.
    #[must_use]
    pub fn start(&self) -> ArrayView2<'_, f64> {
        self.positions.slice(s![0, .., ..])
    }

    /// Where they ended, `[n, d]`.
    #[must_use]
    pub fn end(&self) -> ArrayView2<'_, f64> {
        self.positions.slice(s![-1, .., ..])
    }

    /// What there is to say of their course; `data` is a sample of the target
    /// of the same size, to which the least possible energy is measured.
    ///
    /// # Errors
    /// As the metrics.
    pub fn course(&self, data: ArrayView2<'_, f64>) -> Result<Course, Error> {
        let energy = path_energy(&self.times, self.speeds_squared.view())?;
        let least = w2(self.start(), data)?.powi(2);
        Ok(Course {
            energy,
            least,
            excess: normalised_path_energy(energy, least),
            straightness: straightness(energy, self.start(), self.end())?,
        })
    }
}

/// How much trajectories move, in squared units of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// The path energy (MT.3).
    pub energy: f64,
    /// The squared distance from the noise to a sample of the data: no flow
    /// spends less.
    pub least: f64,
    /// The normalised path energy (MT.4), without unit.
    pub excess: f64,
    /// The straightness (MT.5); 0 is straight.
    pub straightness: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The exact field of N(0, 1) → N(m, s²) moves z₀ to t m + √(t²s² +
    /// (1 − t)²)·z₀; starts of mean 0 and mean square 1 make the closed forms
    /// of path energy and straightness exact.
    #[test]
    fn the_course_of_a_gaussian_is_closed() {
        let (m, s) = (1.5, 0.5);
        let starts: Vec<f64> = (0..16).map(|i| 1.0 - 2.0 * f64::from(i % 2)).collect();
        let x0 = Tensor::<Cpu<f64>>::new(&[16, 1], starts.clone());
        let field = |t: &[f64], x: &Tensor<Cpu<f64>>| {
            let t = t[0];
            let slope = (t * s * s - (1.0 - t)) / (t * t * s * s + (1.0 - t).powi(2));
            m + slope * (x - t * m)
        };
        let ways = Trajectories::follow(&x0, 400, field).expect("finite");
        assert_eq!(ways.positions.dim(), (401, 16, 1));
        assert_eq!((ways.times[0], ways.times[400]), (0.0, 1.0));
        let data = Array2::from_shape_fn((16, 1), |(i, _)| m + s * starts[i]);
        let course = ways.course(data.view()).expect("valid");
        let energy = m * m + 1.0 + s * s - PI * s / 2.0;
        let least = m * m + (1.0 - s) * (1.0 - s);
        // The trapezoidal rule at 400 steps leaves h²/12 times the difference
        // of the integrand's end slopes, which is 2 here: 1.1e-6. RK4 leaves
        // less.
        let tolerance = 2e-6;
        for (found, closed) in [
            (course.energy, energy),
            (course.least, least),
            (course.excess, (energy - least) / least),
            (course.straightness, s * (2.0 - PI / 2.0)),
        ] {
            assert!(
                (found - closed).abs() <= tolerance,
                "{found} against {closed}"
            );
        }
        // Wrong twin: the velocity of the line, for which all is straight.
        let straight = |_: &[f64], x: &Tensor<Cpu<f64>>| 0.0 * x + m;
        let ways = Trajectories::follow(&x0, 10, straight).expect("finite");
        let twin = ways.course(data.view()).expect("valid");
        assert!((twin.straightness - course.straightness).abs() > 0.1);
    }

    #[test]
    fn trajectories_that_do_not_arrive_are_refused() {
        let x0 = Tensor::<Cpu<f64>>::new(&[1, 1], vec![1.0]);
        let broken = |t: &[f64], x: &Tensor<Cpu<f64>>| x * if t[0] > 0.5 { f64::NAN } else { 1.0 };
        let error = Trajectories::follow(&x0, 10, broken).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("row 0 are not finite in the step from t = 0.5"),
            "{text}"
        );
        assert!(Trajectories::follow(&x0, 0, |_, x| x.clone()).is_err());
    }
}
