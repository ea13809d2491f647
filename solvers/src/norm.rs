//! **Norms**: the size of an error in units of what is allowed.

/// The error allowed in a step: `absolute + relative·|y|`, coordinate by
/// coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative to the size of the coordinate.
    pub relative: f64,
    /// In the coordinate's own unit.
    pub absolute: f64,
}

/// What is made of the coordinates of a sample, or of the samples of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mean {
    /// The root of the mean square.
    RootMeanSquare,
    /// The largest.
    Largest,
}

/// How the error of one sample is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// The unit, coordinate by coordinate.
    pub tolerance: Tolerance,
    /// What is made of the coordinates.
    pub mean: Mean,
    /// How many of the coordinates count, from the first; all if `None`. A
    /// log-density carried behind the coordinates of a sample is left out of
    /// the control of its steps this way.
    pub leading: Option<usize>,
}

impl Norm {
    /// The size of an error: 1 is just acceptable.
    ///
    /// ```math
    /// e = \Bigl(\frac1d \sum_{i=1}^d \Bigl(\frac{\text{error}_i}{\text{absolute} +
    /// \text{relative}\cdot\max(|y_{0,i}|, |y_{1,i}|)}\Bigr)^2\Bigr)^{1/2} \tag{RK.5}
    /// ```
    ///
    /// or the largest of the quotients. The coordinates come as
    /// `(error, y₀, y₁)`. If an error among those that count, or any `y₁`, is not
    /// finite, neither is the size; `y₀` is finite, since a step begins there.
    #[must_use]
    pub fn of(&self, mut coordinates: impl ExactSizeIterator<Item = (f64, f64, f64)>) -> f64 {
        let count = self.counted(coordinates.len());
        let parts = coordinates.by_ref().take(count).map(|c| self.part(c));
        let size = self.mean.of(parts, count); // (RK.5)
        // What does not count is still to be a number: 0, or NaN.
        coordinates.fold(size, |size, (_, _, y1)| size + 0.0 * y1)
    }

    /// How many of `dimension` coordinates count.
    pub(crate) fn counted(&self, dimension: usize) -> usize {
        self.leading.unwrap_or(dimension).min(dimension)
    }

    /// The quotient of one coordinate.
    #[inline(always)]
    pub(crate) fn part(&self, (error, y0, y1): (f64, f64, f64)) -> f64 {
        let (a, b) = (y0.abs(), y1.abs());
        let size = if a > b { a } else { b };
        // A number that is 0 is known to the smallest there is, or 0/0 would
        // refuse what has no error.
        let absolute = self.tolerance.absolute.max(f64::MIN_POSITIVE);
        // What is added is NaN where y₁ is not finite: an error over an infinite
        // size would be 0.
        (error + 0.0 * y1) / (absolute + self.tolerance.relative * size)
    }
}

/// The larger size; NaN if one of them is.
#[inline]
pub(crate) fn larger(most: f64, x: f64) -> f64 {
    if x.abs() <= most {
        most
    } else {
        x.abs() + most * 0.0
    }
}

impl Mean {
    /// One number for a batch.
    pub(crate) fn over(self, norms: &[f64]) -> f64 {
        self.of(norms.iter().copied(), norms.len())
    }

    /// One number for `count` of them.
    #[inline(always)]
    fn of(self, parts: impl Iterator<Item = f64>, count: usize) -> f64 {
        match self {
            Mean::RootMeanSquare => mean_square(parts, count).sqrt(),
            Mean::Largest => parts.fold(0.0, larger),
        }
    }
}

/// What a root mean square is the root of.
#[inline(always)]
pub(crate) fn mean_square(parts: impl Iterator<Item = f64>, count: usize) -> f64 {
    parts.map(|q| q * q).sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Tolerance = Tolerance {
        relative: 0.5,
        absolute: 1.0,
    };

    fn norm(mean: Mean, leading: Option<usize>) -> f64 {
        let norm = Norm {
            tolerance: UNIT,
            mean,
            leading,
        };
        // Quotients 3/3, −8/2 and 1.
        norm.of([(3.0, -4.0, 2.0), (-8.0, 1.0, 2.0), (1.0, 0.0, 0.0)].into_iter())
    }

    /// Verifies (RK.5).
    #[test]
    fn both_means_are_taken_over_the_coordinates_that_count() {
        assert_eq!(norm(Mean::RootMeanSquare, None), 6f64.sqrt());
        assert_eq!(norm(Mean::Largest, None), 4.0);
        assert_eq!(norm(Mean::RootMeanSquare, Some(1)), 1.0);
        assert_eq!(norm(Mean::Largest, Some(1)), 1.0);
        assert_eq!(norm(Mean::Largest, Some(9)), 4.0);
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for mean in [Mean::RootMeanSquare, Mean::Largest] {
            let norm = Norm {
                tolerance: UNIT,
                mean,
                leading: None,
            };
            for bad in [
                (f64::NAN, 1.0, 1.0),
                (1.0, 1.0, f64::NAN),
                (1.0, 1.0, f64::INFINITY),
                (1.0, 1.0, f64::NEG_INFINITY),
            ] {
                assert!(norm.of([bad, (1.0, 1.0, 1.0)].into_iter()).is_nan());
                assert!(norm.of([(1.0, 1.0, 1.0), bad].into_iter()).is_nan());
            }
            let infinite = norm.of([(f64::INFINITY, 1.0, 1.0)].into_iter());
            assert!(!(infinite <= 1.0));
            assert!(mean.over(&[1.0, f64::NAN, 1.0]).is_nan());
            assert_eq!(mean.over(&[2.0, 2.0]), 2.0);
        }
    }
}
