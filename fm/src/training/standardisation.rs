//! **Standardisation**: a user's coordinates brought to the size of the noise.
//!
//! ```math
//! z_j = \frac{x_j - m_j}{s_j} \tag{TR.2}
//! ```
//!
//! with `mⱼ` and `sⱼ` the mean and the standard deviation of column `j` of the
//! data. The noise has mean 0 and deviation 1 in every coordinate, and a
//! network learns best on inputs of that size; so a file is learned in `z`,
//! and samples go back to `x`, in the units of the file. Both numbers are kept
//! in the model's file, as tensors `scale.mean` and `scale.deviation` of `[D]`.
//!
//! A column that does not vary has no deviation; it is only shifted (`s = 1`).

use autograd::{Algebra, Cpu, Tensor};
use ndarray::{Array2, ArrayView2, Axis};

/// The mean and the deviation of each column, `[D]` each. What is applied is
/// what a file holds: single precision.
#[derive(Clone, Debug)]
pub struct Standardisation<A: Algebra = Cpu<f32>> {
    mean: Tensor<A>,
    deviation: Tensor<A>,
}

impl Standardisation {
    /// Leaves `dimension` coordinates as they are.
    #[must_use]
    pub fn identity(dimension: usize) -> Self {
        Standardisation {
            mean: Tensor::new(&[dimension], vec![0.0; dimension]),
            deviation: Tensor::new(&[dimension], vec![1.0; dimension]),
        }
    }

    /// The mean and deviation of each column of `[n, D]` finite numbers, n
    /// at least 1. The deviation divides by n, not n − 1.
    #[must_use]
    pub fn of(points: ArrayView2<'_, f64>) -> Self {
        let n = points.nrows() as f64;
        let mean: Vec<f64> = points
            .axis_iter(Axis(1))
            .map(|column| column.iter().map(|x| x / n).sum())
            .collect();
        let deviation = points.axis_iter(Axis(1)).zip(&mean).map(|(column, m)| {
            // Divided by the largest offset, so that no square overflows.
            let largest = column.iter().map(|x| (x - m).abs()).fold(0.0, f64::max);
            let unit = if largest > 0.0 { largest } else { 1.0 };
            let squares: f64 = column.iter().map(|x| ((x - m) / unit).powi(2)).sum();
            let s = unit * (squares / n).sqrt();
            // Below this a column varies by nothing but rounding of its mean.
            let varies = s > 1e-12 * m.abs() && s as f32 > 0.0;
            if varies { s as f32 } else { 1.0 }
        });
        let d = points.ncols();
        Standardisation {
            deviation: Tensor::new(&[d], deviation.collect()),
            mean: Tensor::new(&[d], mean.iter().map(|&m| m as f32).collect()),
        }
    }

    /// From the units of the data to those of the noise.
    ///
    /// # Panics
    /// If the points have another number of columns.
    #[must_use]
    pub fn apply(&self, points: ArrayView2<'_, f64>) -> Array2<f32> {
        self.each_column(points, |x, m, s| (x - m) / s) // (TR.2)
    }

    /// Back to the units of the data.
    ///
    /// # Panics
    /// If the points have another number of columns.
    #[must_use]
    pub fn undo(&self, points: ArrayView2<'_, f64>) -> Array2<f32> {
        self.each_column(points, |z, m, s| s * z + m)
    }

    /// `Σⱼ ln sⱼ`: a density in the units of the data has so much less of a
    /// logarithm than in those of the noise.
    #[must_use]
    pub fn log_volume(&self) -> f64 {
        let deviations = self.deviation.as_slice().iter();
        deviations.map(|&s| f64::from(s).ln()).sum()
    }

    /// What a file of finite numbers may say but no data have: a deviation that
    /// is not positive. One of 0 would put all samples in one point.
    pub(super) fn flaw(&self) -> Option<String> {
        let deviations = self.deviation.as_slice();
        let column = deviations.iter().position(|&s| !(s > 0.0))?;
        let value = deviations[column];
        Some(format!("scale.deviation is {value} in column {column}"))
    }

    fn each_column(
        &self,
        points: ArrayView2<'_, f64>,
        f: impl Fn(f64, f64, f64) -> f64,
    ) -> Array2<f32> {
        assert_eq!(points.ncols(), self.mean.size(0), "a mean for each column");
        let mut out = Array2::zeros(points.dim());
        for ((i, j), x) in points.indexed_iter() {
            let (m, s) = (self.mean.as_slice()[j], self.deviation.as_slice()[j]);
            out[[i, j]] = f(*x, m.into(), s.into()) as f32;
        }
        out
    }
}

autograd::tree!(Standardisation { mean, deviation });

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::array;

    /// Verifies (TR.2).
    #[test]
    fn columns_get_mean_0_and_deviation_1_and_come_back() {
        let points = array![[1.0, 5.0, -3e30], [3.0, 5.0, 1e30], [8.0, 5.0, 2e30]];
        let scale = Standardisation::of(points.view());
        let z = scale.apply(points.view()).mapv(f64::from);
        // Means and deviations are rounded to single precision: 2⁻²⁴ of the
        // mean over the deviation, which is below 2 here, and of z itself.
        let rounding = 4.0 * f64::from(f32::EPSILON);
        for (j, variance) in [(0, 1.0), (1, 0.0), (2, 1.0)] {
            let column = z.column(j);
            assert!(column.sum().abs() <= 3.0 * rounding, "{column}");
            let found = column.iter().map(|z| z * z).sum::<f64>() / 3.0;
            assert!((found - variance).abs() <= 2.0 * rounding, "{column}");
        }
        // Wrong twin: the variance in the place of the deviation.
        let column = points.column(0).to_vec();
        let variance = column.iter().map(|x| (x - 4.0) * (x - 4.0)).sum::<f64>() / 3.0;
        let twin = (column[0] - 4.0) / variance;
        assert!((z[[0, 0]] - twin).abs() > 0.1);
        let back = scale.undo(z.view());
        for (x, y) in points.iter().zip(&back) {
            assert_relative_eq!(*x, f64::from(*y), max_relative = 4.0 * rounding);
        }
    }

    #[test]
    fn a_column_of_one_value_is_only_shifted() {
        // The mean of equal numbers is not always that number to the bit.
        let points = Array2::from_elem((7, 1), 0.1);
        let scale = Standardisation::of(points.view());
        assert_eq!(scale.deviation.to_vec(), [1.0]);
        let one = Standardisation::of(array![[4.0, -2.0]].view());
        assert_eq!(one.apply(array![[4.0, -2.0]].view()), array![[0.0, 0.0]]);
    }

    #[test]
    fn the_identity_changes_no_bit() {
        let points = array![[0.1f32, -7.3], [1e-8, 3e8]];
        let wide = points.mapv(f64::from);
        assert_eq!(Standardisation::identity(2).apply(wide.view()), points);
        assert_eq!(Standardisation::identity(2).undo(wide.view()), points);
    }
}
