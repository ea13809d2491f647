//! **Wasserstein distance** between two sample sets of one size, exact.
//!
//! ```math
//! W_2(X, Y) = \Bigl(\min_\pi \frac1n \sum_i \|x_i - y_{\pi(i)}\|^2\Bigr)^{1/2} \tag{MT.1}
//! ```
//!
//! Even two sample sets of one distribution are a distance apart, which falls
//! slowly with `n`. That *noise floor* is what a distance is to be read
//! against, so it is measured beside it.

use crate::Error;
use crate::coupling::{assign, squared_distances};
use ndarray::{Array2, ArrayView2};

/// The distance between samples `[n, d]` and `[n, d]`.
///
/// # Errors
/// If the shapes differ or a number is not finite.
pub fn w2(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Result<f64, Error> {
    if x.dim() != y.dim() || x.nrows() == 0 {
        return Err(Error::Shape {
            what: "the second sample set",
            given: y.shape().to_vec(),
            expected: format!("{:?}, and at least one row", x.shape()),
        });
    }
    let cost = squared_distances(x, y);
    let matching = assign(cost.view())?;
    let total: f64 = (0..x.nrows())
        .map(|i| cost[[i, matching.column_of_row[i]]])
        .sum();
    Ok((total / x.nrows() as f64).sqrt()) // (MT.1)
}

/// The distance between two sample sets of the data itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Mean over repetitions.
    pub mean: f64,
    /// Standard deviation over repetitions.
    pub deviation: f64,
}

/// The noise floor over `repetitions` pairs of sample sets from `draw`, which
/// is called with 0, 1, 2, …
///
/// # Errors
/// As [`w2`].
pub fn noise_floor(
    repetitions: u32,
    mut draw: impl FnMut(u32) -> Array2<f64>,
) -> Result<Floor, Error> {
    let mut distances = Vec::new();
    for i in 0..repetitions {
        let (x, y) = (draw(2 * i), draw(2 * i + 1));
        distances.push(w2(x.view(), y.view())?);
    }
    let n = f64::from(repetitions);
    let mean = distances.iter().sum::<f64>() / n;
    let squares: f64 = distances.iter().map(|d| (d - mean).powi(2)).sum();
    Ok(Floor {
        mean,
        deviation: (squares / (n - 1.0).max(1.0)).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::normal;
    use autograd::{Draw, Philox};

    fn cloud(stream: u32) -> Array2<f64> {
        let mut rng = Philox::new(Draw::seed(8).stream(stream));
        Array2::from_shape_simple_fn((60, 2), || normal(&mut rng))
    }

    /// A translated set is matched point by point: the distance is the shift.
    ///
    /// Verifies (MT.1).
    #[test]
    fn a_shift_is_measured_exactly_and_order_does_not_matter() {
        let x = cloud(0);
        let mut y = x.clone();
        y.invert_axis(ndarray::Axis(0));
        assert_eq!(w2(x.view(), y.view()).expect("finite"), 0.0);
        let shifted = &y + &ndarray::array![[3.0, 4.0]];
        let distance = w2(x.view(), shifted.view()).expect("finite");
        // The shifted points are rounded by 2⁻⁵¹ at most, twice; the sums of
        // 60 costs round 60 times more.
        assert!(
            (distance - 5.0).abs() <= 5.0 * 64.0 * f64::EPSILON,
            "{distance}"
        );
        // Wrong twin: rows matched as they come.
        let as_they_come: f64 = (&x - &shifted).iter().map(|d| d * d).sum();
        assert!((as_they_come / 60.0).sqrt() > 5.1);
    }

    /// Verifies (MT.1).
    ///
    /// On a line the optimal matching is the sorted one, so the distance from
    /// N(0, 1) to N(m, s²) at equal quantiles is its closed form
    /// m² + (1 − s)² times the mean square of the quantiles.
    #[test]
    fn the_distance_of_two_normal_quantile_sets_is_closed() {
        let quantiles = Array2::from_shape_fn((200, 1), |(i, _)| {
            // Any symmetric rising numbers do; these have logistic tails.
            let p = (i as f64 + 0.5) / 200.0;
            (p / (1.0 - p)).ln()
        });
        let square = quantiles.iter().map(|q| q * q).sum::<f64>() / 200.0;
        for (m, s) in [(0.0, 0.3), (-2.0, 1.0), (1.5, 2.5)] {
            let mut moved = quantiles.mapv(|q| m + s * q);
            moved.invert_axis(ndarray::Axis(0));
            let distance = w2(quantiles.view(), moved.view()).expect("finite");
            let closed = (m * m + (1.0 - s) * (1.0 - s) * square).sqrt();
            // Costs of size up to 100 with relative errors of a few ε; 200 sums.
            assert!(
                (distance - closed).abs() <= 1e-12,
                "{distance} against {closed}"
            );
        }
    }

    #[test]
    fn the_floor_is_positive_and_bad_sets_are_refused() {
        let floor = noise_floor(4, cloud).expect("finite");
        assert!(floor.mean > 0.0 && floor.deviation > 0.0, "{floor:?}");
        assert!(w2(cloud(0).view(), cloud(1).slice(ndarray::s![..9, ..])).is_err());
        let mut bad = cloud(0);
        bad[[3, 1]] = f64::NAN;
        assert!(w2(cloud(1).view(), bad.view()).is_err());
    }
}
