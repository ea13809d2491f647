//! **Two-sample accuracy** of the nearest neighbour.
//!
//! Put two sample sets of one size together and guess the set of each point
//! from that of its nearest neighbour, itself left out:
//!
//! ```math
//! A = \frac1{2n} \#\{z : \text{the nearest neighbour of } z \text{ is of its own set}\} \tag{MT.2}
//! ```
//!
//! One half if the sets are of one distribution, 1 if they can be told apart
//! (Lopez-Paz and Oquab 2017). A copy of the training data scores *below* one
//! half against it, so the mean distance to the nearest training point is
//! looked at beside it.

use crate::Error;
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

/// The accuracy for two sets `[n, d]`. Ties go to the other set.
///
/// # Errors
/// If the shapes differ or there is no point.
pub fn two_sample_accuracy(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> Result<f64, Error> {
    if x.dim() != y.dim() || x.nrows() == 0 {
        return Err(Error::Shape {
            what: "the second sample set",
            given: y.shape().to_vec(),
            expected: format!("{:?}, and at least one row", x.shape()),
        });
    }
    let n = x.nrows();
    let own = |set: ArrayView2<'_, f32>, other: ArrayView2<'_, f32>| {
        let recognised = |&i: &usize| {
            let point = set.row(i);
            let within = (0..n)
                .filter(|&j| j != i)
                .map(|j| square(point, set.row(j)));
            let across = other.rows().into_iter().map(|z| square(point, z));
            within.fold(f32::INFINITY, f32::min) < across.fold(f32::INFINITY, f32::min)
        };
        (0..n).into_par_iter().filter(recognised).count()
    };
    Ok((own(x, y) + own(y, x)) as f64 / (2 * n) as f64) // (MT.2)
}

/// The mean over the rows of `x` of the distance to the nearest row of `y`.
#[must_use]
pub fn mean_nearest_distance(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> f64 {
    let nearest = |i: usize| {
        let each = y.rows().into_iter().map(|z| square(x.row(i), z));
        f64::from(each.fold(f32::INFINITY, f32::min)).sqrt()
    };
    let distances: Vec<f64> = (0..x.nrows()).into_par_iter().map(nearest).collect();
    distances.iter().sum::<f64>() / x.nrows() as f64
}

fn square(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{Draw, Philox};
    use ndarray::Array2;

    fn cloud(stream: u32, shift: f32) -> Array2<f32> {
        let mut numbers = vec![0.0; 400 * 3];
        Philox::normal_f32(Draw::seed(1).stream(stream), 0, &mut numbers);
        Array2::from_shape_vec((400, 3), numbers).expect("filled") + shift
    }

    /// Verifies (MT.2).
    #[test]
    fn one_distribution_scores_a_half_and_two_score_one() {
        let accuracy = |a: &Array2<f32>, b: &Array2<f32>| {
            two_sample_accuracy(a.view(), b.view()).expect("two sets")
        };
        // 800 guesses, positively correlated by at most a factor 2 in
        // variance: five standard deviations are 5·√(2·0.25/800) = 0.125.
        let same = accuracy(&cloud(0, 0.0), &cloud(1, 0.0));
        assert!((same - 0.5).abs() <= 0.125, "{same}");
        assert_eq!(accuracy(&cloud(0, 0.0), &cloud(1, 100.0)), 1.0);
        // A copy: the nearest neighbour is always the copy in the other set.
        assert_eq!(accuracy(&cloud(0, 0.0), &cloud(0, 0.0)), 0.0);
        assert_eq!(
            mean_nearest_distance(cloud(0, 0.0).view(), cloud(0, 0.0).view()),
            0.0
        );
    }
}
