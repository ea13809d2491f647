//! **Precision**: how the factors of products of matrices are rounded, and what
//! `--precision` may say.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// How a GPU rounds factors before they are multiplied. Sums, and whatever else
/// there is, stay in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Not at all; 24 bits.
    #[default]
    F32,
    /// To 11 bits, for tensor cores.
    Tf32,
    /// To 8 bits, for tensor cores, and read as half the bytes.
    Bf16,
}

impl Precision {
    /// Every precision, once, the finest first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Tf32, Precision::Bf16];
    /// Their names.
    pub const NAMES: [&'static str; 3] = ["f32", "tf32", "bf16"];
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

/// A word that names no precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPrecision {
    /// The word.
    pub given: String,
}

impl fmt::Display for UnknownPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Precision::NAMES.join(", ");
        write!(f, "unknown precision {:?}; expected {names}", self.given)
    }
}

impl Error for UnknownPrecision {}

impl FromStr for Precision {
    type Err = UnknownPrecision;
    fn from_str(word: &str) -> Result<Self, UnknownPrecision> {
        let known = Self::ALL.into_iter().find(|p| p.to_string() == word);
        known.ok_or_else(|| UnknownPrecision {
            given: word.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_precision_reads_back() {
        for precision in Precision::ALL {
            let word = precision.to_string();
            assert_eq!(word.parse::<Precision>().ok(), Some(precision));
        }
        let text = "half"
            .parse::<Precision>()
            .expect_err("unknown")
            .to_string();
        assert!(text.contains("expected f32, tf32, bf16"), "{text}");
    }
}
