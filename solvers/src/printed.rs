//! **Printed numbers**: coefficients that are not fractions of any use, as the
//! literature prints them.
//!
//! Tsitouras' coefficients solve a nonlinear system and are printed with 84
//! digits, those of DOP853 with thirty. The text is kept, so that a test can
//! read it exactly and the stepper can round it once.

use crate::fraction::Fraction;

/// The text of a number: a decimal such as `-0.25e-1`, or a fraction `7/9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed(pub &'static str);

/// A number that stands in a tableau.
pub trait Coefficient: Copy {
    /// The nearest double.
    fn to_f64(self) -> f64;
}

impl Coefficient for Fraction {
    fn to_f64(self) -> f64 {
        self.to_f64()
    }
}

impl Coefficient for Printed {
    /// # Panics
    /// If the text is not a number, which a test excludes for every method.
    fn to_f64(self) -> f64 {
        let number = |text: &str| text.parse::<f64>().expect("a decimal");
        match self.0.split_once('/') {
            Some((p, q)) => number(p) / number(q),
            None => number(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_and_fractions_are_read() {
        assert_eq!(Printed("-0.25e-1").to_f64(), -0.025);
        assert_eq!(Printed("7/9").to_f64(), 7.0 / 9.0);
        assert_eq!(Printed("0").to_f64(), 0.0);
    }
}
