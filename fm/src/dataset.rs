//! **Data sets** of two coordinates with published definitions, and the
//! handwritten digits.
//!
//! | name | definition |
//! |---|---|
//! | `8gaussians` | deviation 1 around 8 points on a circle of radius 5 (torchdyn) |
//! | `moons` | scikit-learn's `make_moons` with noise 0.05, times 2, minus 1 |
//! | `scurve` | scikit-learn's `make_s_curve` with noise 0.05, axes 0 and 2, times 1.5 |
//! | `checkerboard` | 8 unit squares of a 4 × 4 board over [−2, 2]², divided by 0.45 |
//! | `digits` | 1797 images of 8 × 8 pixels, see `fm/data/README.md` |

pub mod file;

use crate::Error;
use crate::mixture::{Mixture, normal};
use ndarray::Array2;
use rand::{Rng, RngExt};
use std::f64::consts::{PI, TAU};
use std::fmt;
use std::str::FromStr;

/// The data sets by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// Eight Gaussians on a circle.
    EightGaussians,
    /// Two interleaved half circles.
    Moons,
    /// An S.
    SCurve,
    /// A board of squares.
    Checkerboard,
    /// Handwritten digits.
    Digits,
}

impl Dataset {
    /// All of them.
    pub const ALL: [Dataset; 5] = [
        Dataset::EightGaussians,
        Dataset::Moons,
        Dataset::SCurve,
        Dataset::Checkerboard,
        Dataset::Digits,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Dataset::EightGaussians => "8gaussians",
            Dataset::Moons => "moons",
            Dataset::SCurve => "scurve",
            Dataset::Checkerboard => "checkerboard",
            Dataset::Digits => "digits",
        }
    }

    /// The number of coordinates.
    #[must_use]
    pub fn dimension(self) -> usize {
        match self {
            Dataset::Digits => PIXELS,
            _ => 2,
        }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Dataset {
    type Err = Error;
    fn from_str(given: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|d| d.as_str() == given);
        found.ok_or_else(|| Error::UnknownName {
            what: "data set",
            given: given.to_owned(),
            expected: Self::ALL.map(Self::as_str).join(", ") + ", or a .npy or .csv file",
        })
    }
}

/// A point of one of the sets of two coordinates.
pub fn point(set: Dataset, rng: &mut impl Rng) -> [f64; 2] {
    match set {
        Dataset::EightGaussians => {
            let (sin, cos) = (TAU * f64::from(rng.random_range(0..8u32)) / 8.0).sin_cos();
            [5.0 * cos + normal(rng), 5.0 * sin + normal(rng)]
        }
        Dataset::Moons => {
            let (sin, cos) = (PI * rng.random::<f64>()).sin_cos();
            let [x, y] = match rng.random::<bool>() {
                true => [cos, sin],
                false => [1.0 - cos, 0.5 - sin],
            };
            [x, y].map(|x| 2.0 * (x + 0.05 * normal(rng)) - 1.0)
        }
        Dataset::SCurve => {
            let t = 3.0 * PI * (rng.random::<f64>() - 0.5);
            let [x, z] = [t.sin(), t.signum() * (t.cos() - 1.0)];
            [x, z].map(|x| 1.5 * (x + 0.05 * normal(rng)))
        }
        Dataset::Checkerboard => {
            let x: f64 = 4.0 * rng.random::<f64>() - 2.0;
            let half = if rng.random::<bool>() { -2.0 } else { 0.0 };
            let y = rng.random::<f64>() + half + x.floor().rem_euclid(2.0);
            [x / 0.45, y / 0.45]
        }
        Dataset::Digits => panic!("digits are images; see `digits`"),
    }
}

impl Dataset {
    /// The distribution as a mixture, where it is one or as good as one.
    #[must_use]
    pub fn mixture(self) -> Option<Mixture> {
        match self {
            Dataset::EightGaussians => Some(Mixture::eight_gaussians()),
            Dataset::Moons => Some(moons_mixture()),
            Dataset::SCurve => Some(s_curve_mixture()),
            Dataset::Checkerboard | Dataset::Digits => None,
        }
    }
}

/// Equal weights along a curve.
fn along(means: Vec<[f64; 2]>, deviation: f64) -> Mixture {
    let count = means.len();
    let weights = vec![1.0 / count as f64; count];
    let means = means.into_iter().map(Vec::from).collect();
    let mixture = Mixture::new(weights, means, vec![deviation; count]);
    mixture.expect("a valid mixture by construction")
}

/// The moons as a mixture: 200 Gaussians along each half circle. Their spacing
/// of 0.03 is a third of their deviation 0.1, so the density differs from the
/// exact one by a factor of `1 + e^{−2π²(0.1/0.0314)²}`, which is 1 in double
/// precision but at the four ends.
#[must_use]
pub fn moons_mixture() -> Mixture {
    const ARC: u32 = 200;
    let angle = |i: u32| (PI * (f64::from(i) + 0.5) / f64::from(ARC)).sin_cos();
    let outer = (0..ARC).map(angle).map(|(sin, cos)| [cos, sin]);
    let inner = (0..ARC).map(angle).map(|(sin, cos)| [1.0 - cos, 0.5 - sin]);
    let both = outer.chain(inner);
    along(both.map(|m| m.map(|x| 2.0 * x - 1.0)).collect(), 0.1)
}

/// The s-curve as a mixture: 400 Gaussians along its length of 14.1, 0.035
/// apart, half their deviation 0.075: as close to the exact density as the
/// moons are to theirs.
fn s_curve_mixture() -> Mixture {
    const POINTS: u32 = 400;
    let time = |i: u32| 3.0 * PI * ((f64::from(i) + 0.5) / f64::from(POINTS) - 0.5);
    let place = |t: f64| [1.5 * t.sin(), 1.5 * t.signum() * (t.cos() - 1.0)];
    along((0..POINTS).map(time).map(place).collect(), 0.075)
}

/// Pixels of a digit.
pub const PIXELS: usize = 64;

/// Digits for training; the others are held out.
const TRAINING: usize = 1297;

/// The digits, one a row, pixels from −1 (paper) to 1 (ink).
#[derive(Clone, Debug)]
pub struct Digits {
    /// 1297 images to train on.
    pub training: Array2<f32>,
    /// 500 images to compare with.
    pub held_out: Array2<f32>,
}

/// Reads the digits carried in the program. Every image whose place is a
/// multiple of 18/5, rounded down, is held out until there are 500: spread
/// evenly, since neighbours are by the same writer.
#[must_use]
pub fn digits() -> Digits {
    let bytes: &[u8] = include_bytes!("../data/digits_images_u8.npy");
    // A version 1 header: magic, version, length of the text, text.
    let text = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let pixels = &bytes[10 + text..];
    let images: Vec<&[u8]> = pixels.chunks_exact(PIXELS).collect();
    let held = |place: usize| (place * 500) % images.len() < 500;
    let rows = |wanted: bool, count: usize| {
        let chosen = images
            .iter()
            .enumerate()
            .filter(|(i, _)| held(*i) == wanted);
        let values = chosen.flat_map(|(_, image)| image.iter().map(|&p| f32::from(p) / 8.0 - 1.0));
        Array2::from_shape_vec((count, PIXELS), values.collect()).expect("the split is exact")
    };
    Digits {
        training: rows(false, TRAINING),
        held_out: rows(true, images.len() - TRAINING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::two_sample_accuracy;
    use autograd::{Draw, Philox};

    #[test]
    fn names_round_trip_and_others_are_refused_with_the_list() {
        for set in Dataset::ALL {
            assert_eq!(set.as_str().parse::<Dataset>().expect("a name"), set);
        }
        let error = "mooons".parse::<Dataset>().unwrap_err().to_string();
        assert!(error.contains("8gaussians, moons"), "{error}");
    }

    /// Means and second moments from the definitions, within five standard
    /// errors (bounded fourth moments: 5·√(M₄/n) with M₄ from the sample).
    #[test]
    fn second_moments_are_those_of_the_definitions() {
        const N: usize = 40_000;
        let noise = 0.05f64.powi(2);
        let expected = |set| match set {
            // E‖x‖² = r² + 2σ².
            Dataset::EightGaussians => 25.0 + 2.0,
            // Half circles centred on (0, 0) and (1, ½): (2x − 1)² summed; the
            // integrals of cos, sin over [0, π] are 0 and 2/π.
            Dataset::Moons => 0.5 * (4.0 - 4.0 * 2.0 / PI + 2.0) + 0.5 * (4.0 + 1.0) + 8.0 * noise,
            // 2.25·E[sin² + (1 − cos)²] = 2.25·(2 − 2E cos t), E cos t = −2/(3π).
            Dataset::SCurve => 2.25 * (2.0 + 4.0 / (3.0 * PI) + 2.0 * noise),
            // Uniform on [−2, 2]² in both coordinates: 2·4/3, over 0.45².
            _ => 8.0 / 3.0 / 0.45f64.powi(2),
        };
        for set in &Dataset::ALL[..4] {
            let mut rng = Philox::new(Draw::seed(6));
            let squares: Vec<f64> = (0..N)
                .map(|_| point(*set, &mut rng).iter().map(|x| x * x).sum())
                .collect();
            let mean = squares.iter().sum::<f64>() / N as f64;
            let fourth = squares.iter().map(|s| s * s).sum::<f64>() / N as f64;
            let error = 5.0 * (fourth / N as f64).sqrt();
            assert!(
                (mean - expected(*set)).abs() <= error,
                "{set}: {mean} against {}",
                expected(*set)
            );
        }
    }

    /// Two thousand points of each set and of its mixture cannot be told apart
    /// by their nearest neighbours: for equal laws the accuracy is 1/2 with a
    /// deviation below 1/√2000 (the two halves are nearly independent), and
    /// five of these are 0.112. The wrong twin is half as large again.
    #[test]
    fn the_mixtures_are_the_distributions() {
        const N: usize = 1000;
        let cloud = |stream: u32, one: &dyn Fn(&mut Philox) -> [f64; 2]| {
            let mut rng = Philox::new(Draw::seed(12).stream(stream));
            let rows = (0..N).flat_map(|_| one(&mut rng)).map(|x| x as f32);
            Array2::from_shape_vec((N, 2), rows.collect()).expect("two coordinates a row")
        };
        for set in [Dataset::EightGaussians, Dataset::Moons, Dataset::SCurve] {
            let mixture = set.mixture().expect("one of the three");
            let drawn = |scale: f64| {
                cloud(1, &|rng| {
                    let x = mixture.sample(rng);
                    [scale * x[0], scale * x[1]]
                })
            };
            let real = cloud(0, &|rng| point(set, rng));
            let accuracy = |scale: f64| {
                let accuracy = two_sample_accuracy(real.view(), drawn(scale).view());
                (accuracy.expect("valid") - 0.5).abs()
            };
            assert!(accuracy(1.0) <= 0.112, "{set}: {}", accuracy(1.0));
            assert!(accuracy(1.5) > 0.112, "{set}: {}", accuracy(1.5));
        }
    }

    #[test]
    fn the_digits_are_all_there_once() {
        let digits = digits();
        assert_eq!(digits.training.dim(), (1297, 64));
        assert_eq!(digits.held_out.dim(), (500, 64));
        let all = digits.training.iter().chain(digits.held_out.iter());
        assert!(all.clone().all(|p| (-1.0..=1.0).contains(p)));
        assert_eq!(all.filter(|p| **p == 1.0).count(), 10_456);
    }
}
