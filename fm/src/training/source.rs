//! **Source** of training data: a distribution, or rows of a table.

use super::Standardisation;
use crate::Error;
use crate::dataset::{Dataset, digits, file, point};
use crate::mixture::{Mixture, MixturePath};
use crate::objective::{Estimate, irreducible_loss};
use crate::schedule::Schedule;
use autograd::{Cpu, Draw, Philox, Tensor};
use ndarray::Array2;
use std::path::Path;

/// Most coordinates of a point.
pub(super) const MOST_COORDINATES: usize = 1 << 16;

/// Where batches come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Fresh points of a distribution.
    Points(Dataset),
    /// Rows of a table, drawn with repetition.
    Rows {
        /// `[n, D]`, standardised.
        rows: Array2<f32>,
        /// How.
        scale: Box<Standardisation>,
    },
}

impl Source {
    /// The source of a data set's name, or the points of a `.npy` or `.csv`
    /// file, standardised.
    ///
    /// # Errors
    /// If there is no such data set, or the file does not hold points.
    pub fn named(name: &str) -> Result<Self, Error> {
        let extension = Path::new(name).extension();
        match name.parse() {
            Ok(Dataset::Digits) => {
                let rows = digits().training;
                let scale = Box::new(Standardisation::identity(rows.ncols()));
                Ok(Source::Rows { rows, scale })
            }
            Ok(set) => Ok(Source::Points(set)),
            Err(_) if extension.is_some() => {
                let points = file::read_points::<f64>(Path::new(name))?;
                if points.ncols() > MOST_COORDINATES {
                    let found = format!("points of {} coordinates", points.ncols());
                    let most = format!("at most {MOST_COORDINATES}");
                    return Err(Error::data(name, found, most));
                }
                let scale = Box::new(Standardisation::of(points.view()));
                let rows = scale.apply(points.view());
                Ok(Source::Rows { rows, scale })
            }
            Err(unknown) => Err(unknown),
        }
    }

    /// How the source's own units were brought to the size of the noise.
    #[must_use]
    pub fn standardisation(&self) -> Standardisation {
        match self {
            Source::Points(set) => Standardisation::identity(set.dimension()),
            Source::Rows { scale, .. } => (**scale).clone(),
        }
    }

    /// The source as a mixture, where it is known as one; rows of a table are
    /// one point each.
    fn mixture(&self) -> Option<Mixture> {
        match self {
            Source::Points(set) => set.mixture(),
            Source::Rows { rows, .. } => Mixture::of_points(rows.view()).ok(),
        }
    }

    /// The irreducible loss (E.4) of the independent coupling at a thickness,
    /// in the units of training: no field has a smaller expected loss on this
    /// source. On rows of a table it is the loss of the field that leads only
    /// to those rows, so a network at this floor has memorised them. `None`
    /// where the distribution is not known as a mixture.
    #[must_use]
    pub fn irreducible_loss(&self, sigma: f64, draw: Draw) -> Option<Estimate> {
        if matches!(self, Source::Rows { rows, .. } if rows.len() > 2_000_000) {
            return None;
        }
        let mixture = self.mixture()?;
        // Some two seconds of arithmetic at most.
        let numbers = mixture.components().count() * self.dimension();
        let samples = (200_000_000 / numbers.max(1)).clamp(100, 20_000);
        let path = MixturePath::new(mixture, Schedule::CondOt, sigma).ok()?;
        let mut rng = Philox::new(draw);
        Some(irreducible_loss(&path, samples as u32, &mut rng))
    }

    /// A number that differs when the data differ (but for one chance in
    /// 2⁶⁴): the FNV-1a hash of the rows' bits. A distribution's is 0.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Source::Rows { rows, .. } = self else {
            return 0;
        };
        let bytes = rows.iter().flat_map(|x| x.to_bits().to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// The number of coordinates.
    #[must_use]
    pub fn dimension(&self) -> usize {
        match self {
            Source::Points(set) => set.dimension(),
            Source::Rows { rows, .. } => rows.ncols(),
        }
    }

    /// A batch `[n, D]`: a function of the draw alone.
    #[must_use]
    pub fn batch(&self, n: usize, draw: Draw) -> Tensor<Cpu<f32>> {
        let numbers: Vec<f32> = match self {
            Source::Points(set) => {
                let mut rng = Philox::new(draw);
                (0..n)
                    .flat_map(|_| point(*set, &mut rng).map(|x| x as f32))
                    .collect()
            }
            Source::Rows { rows, .. } => {
                // Row by row a function of the place, as a GPU draws them.
                let mut places = vec![0; n];
                Philox::below(draw, 0, rows.nrows() as u32, &mut places);
                let row = |place: u32| rows.row(place as usize).to_vec();
                places.into_iter().flat_map(row).collect()
            }
        };
        Tensor::new(&[n, self.dimension()], numbers)
    }
}
