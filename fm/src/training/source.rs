//! **Source** of training data: a distribution, or rows of a table.

use crate::Error;
use crate::dataset::{Dataset, digits, point};
use autograd::{Cpu, Draw, Philox, Tensor};
use ndarray::Array2;
use rand::RngExt;

/// Where batches come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Fresh points of a distribution.
    Points(Dataset),
    /// Rows drawn with repetition.
    Rows(Array2<f32>),
}

impl Source {
    /// The source of a data set's name.
    ///
    /// # Errors
    /// If there is no such data set.
    pub fn named(name: &str) -> Result<Self, Error> {
        Ok(match name.parse()? {
            Dataset::Digits => Source::Rows(digits().training),
            set => Source::Points(set),
        })
    }

    /// The number of coordinates.
    #[must_use]
    pub fn dimension(&self) -> usize {
        match self {
            Source::Points(set) => set.dimension(),
            Source::Rows(rows) => rows.ncols(),
        }
    }

    /// A batch `[n, D]`: a function of the draw alone.
    #[must_use]
    pub fn batch(&self, n: usize, draw: Draw) -> Tensor<Cpu<f32>> {
        let mut rng = Philox::new(draw);
        let numbers: Vec<f32> = match self {
            Source::Points(set) => (0..n)
                .flat_map(|_| point(*set, &mut rng).map(|x| x as f32))
                .collect(),
            Source::Rows(rows) => (0..n)
                .flat_map(|_| rows.row(rng.random_range(0..rows.nrows())).to_vec())
                .collect(),
        };
        Tensor::new(&[n, self.dimension()], numbers)
    }
}
