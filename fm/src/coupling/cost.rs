//! **Cost**: the squared Euclidean distance of every pair of points.
//!
//! ```math
//! C_{ij} = \lVert x_i - y_j \rVert^2 = \sum_{k=1}^{d} (x_{ik} - y_{jk})^2
//! \tag{CP.1}
//! ```
//!
//! It is summed as it stands, in `f64`. The expansion
//! $`\lVert x\rVert^2 - 2 x\cdot y + \lVert y\rVert^2`$ would be one matrix
//! product, but it cancels: two points at distance $`\delta`$ far from the
//! origin lose $`\lVert x\rVert^2/\delta^2`$ of their accuracy, and equal
//! points need not come out at distance zero.

use autograd::Real;
use ndarray::{Array2, ArrayView2, Axis, Zip};
use rayon::prelude::*;

/// All squared distances (CP.1) between the rows of `x`, `[n, d]`, and of
/// `y`, `[m, d]`, as `[n, m]` in `f64`.
///
/// Each entry has relative error at most $`(d + 2)\,\varepsilon`$ with
/// $`\varepsilon = 2^{-53}`$, is exactly 0 for equal points, and does not
/// depend on the number of threads.
///
/// # Panics
/// If the points have different numbers of coordinates.
#[must_use]
pub fn squared_distances<F: Real>(x: ArrayView2<'_, F>, y: ArrayView2<'_, F>) -> Array2<f64> {
    assert_eq!(
        x.ncols(),
        y.ncols(),
        "points of {} and of {} coordinates have no distance",
        x.ncols(),
        y.ncols()
    );
    // Coordinates of y one after the other, so that the innermost loop runs
    // along a row of C and vectorises.
    let coordinates = y.t().mapv(F::wide).as_standard_layout().into_owned();
    let mut cost = Array2::zeros((x.nrows(), y.nrows()));
    let fill = |(mut row, point): (ndarray::ArrayViewMut1<'_, f64>, ndarray::ArrayView1<'_, F>)| {
        for (&own, others) in point.iter().zip(coordinates.outer_iter()) {
            let own = own.wide();
            Zip::from(&mut row).and(&others).for_each(|entry, &other| {
                let difference = own - other;
                *entry += difference * difference; // (CP.1)
            });
        }
    };
    let rows = cost.axis_iter_mut(Axis(0)).into_par_iter();
    // A work unit of at least 2^16 differences outweighs handing it over.
    let unit = (1 << 16) / (y.len() + 1) + 1;
    rows.zip(x.axis_iter(Axis(0)).into_par_iter())
        .with_min_len(unit)
        .for_each(fill);
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// The textbook triple loop.
    fn naive(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
        Array2::from_shape_fn((x.nrows(), y.nrows()), |(i, j)| {
            (0..x.ncols())
                .map(|k| (x[[i, k]] - y[[j, k]]).powi(2))
                .sum()
        })
    }

    /// The expansion into a matrix product: what must not be used.
    fn expanded(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
        let square = |a: &Array2<f64>| a.map_axis(Axis(1), |row| row.dot(&row));
        let (xx, yy, xy) = (square(x), square(y), x.dot(&y.t()));
        Array2::from_shape_fn(xy.dim(), |(i, j)| xx[i] - 2.0 * xy[[i, j]] + yy[j])
    }

    fn worst_relative_error(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        Zip::from(a).and(b).fold(0.0, |worst: f64, &a, &b| {
            let error = (a - b).abs() / b.abs().max(f64::MIN_POSITIVE);
            // f64::max would drop a NaN.
            if error <= worst { worst } else { error }
        })
    }

    /// Verifies (CP.1).
    #[test]
    fn every_entry_is_a_sum_of_squared_differences() {
        for seed in 0..256 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (n, m, d) = (
                rng.random_range(1..9),
                rng.random_range(1..9),
                rng.random_range(1..6),
            );
            // Far from the origin, so that the expansion must fail.
            let mut cloud = |rows| {
                Array2::from_shape_simple_fn((rows, d), || 1e4 + rng.random_range(-1.0..1.0))
            };
            let (x, y) = (cloud(n), cloud(m));
            let reference = naive(&x, &y);
            // Two sums of d products, each in error by (d + 2) 2^-53.
            let tolerance = 2.0 * (d as f64 + 2.0) * f64::EPSILON / 2.0;
            let error = worst_relative_error(&squared_distances(x.view(), y.view()), &reference);
            assert!(error <= tolerance, "seed {seed}: {error:e} > {tolerance:e}");
            let error = worst_relative_error(&expanded(&x, &y), &reference);
            assert!(error > tolerance, "seed {seed}: the expansion passed");
            // Any memory order gives the same bits.
            let transposed = x.t().as_standard_layout().into_owned();
            assert_eq!(
                squared_distances(transposed.t(), y.view()),
                squared_distances(x.view(), y.view())
            );
        }
    }

    #[test]
    fn a_point_has_distance_zero_to_itself() {
        let x = Array2::from_shape_fn((50, 3), |(i, k)| 1e8 + (i * 7 + k) as f32 / 3.0);
        assert!(
            squared_distances(x.view(), x.view())
                .diag()
                .iter()
                .all(|&c| c == 0.0)
        );
    }
}
