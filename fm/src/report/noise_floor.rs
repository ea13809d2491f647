//! **Noise floor**: what a distance between perfect samples would measure.

use super::markup::significant;
use std::fmt;

/// The distance W2 between two independent samples of the *target itself*, as
/// large as those compared: mean and standard deviation over repetitions, in
/// units of the data.
///
/// A finite sample never measures 0, so a W2 says nothing without its floor.
/// Every place of the report that takes a W2 takes a floor with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseFloor {
    /// Mean over the repetitions.
    pub mean: f64,
    /// Standard deviation over the repetitions; 0 if there was only one.
    pub std: f64,
}

impl NoiseFloor {
    /// Whether a distance cannot be told from a perfect one: at most two
    /// standard deviations above the mean. False for NaN.
    pub fn is_reached_by(&self, distance: f64) -> bool {
        distance <= self.mean + 2.0 * self.std
    }
}

impl fmt::Display for NoiseFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Spaces that do not break keep the three parts on one line.
        write!(
            f,
            "{}\u{a0}±\u{a0}{}",
            significant(self.mean, 3),
            significant(self.std, 2)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_reached_from_two_deviations_above() {
        let floor = NoiseFloor {
            mean: 0.18,
            std: 0.01,
        };
        assert!(floor.is_reached_by(0.1999) && !floor.is_reached_by(0.2001));
        assert!(!floor.is_reached_by(f64::NAN));
        assert_eq!(floor.to_string(), "0.180\u{a0}±\u{a0}0.010");
    }
}
