//! **Coupling**: which noise goes with which data point.
//!
//! Flow matching regresses on pairs $`(x_0, x_1)`$ drawn from a joint law
//! $`\pi`$ whose marginals are the noise $`p_0`$ (at t = 0) and the data
//! $`q`$ (at t = 1). Every such $`\pi`$ gives a correct flow; which one is
//! chosen decides how straight its trajectories are.
//!
//! A coupling here answers with *indices*, never with reordered points
//! ([`Pairing`]), so whatever belongs to a point, a class label or a weight,
//! is sent along with it by the same two lists.
//!
//! | coupling | law of the pairs | cost |
//! |---|---|---|
//! | [`Independent`] | $`p_0 \otimes q`$ | $`O(n)`$ |
//! | [`MinibatchOt`] | optimal transport between the two batches | $`O(n^3)`$ |

mod assignment;
mod cost;
mod minibatch_ot;

pub use assignment::{Assignment, assign};
pub use cost::squared_distances;
pub use minibatch_ot::MinibatchOt;

use crate::Error;
use autograd::Real;
use ndarray::{Array2, ArrayView2, Axis};
use rand::{Rng, RngExt};
use std::fmt;

/// Decides which rows of two batches are used together.
pub trait Coupling<F: Real>: fmt::Debug {
    /// Pairs the rows of `x0` (noise, `[n, d]`) with the rows of `x1` (data,
    /// `[n, d]`), each row exactly once.
    ///
    /// # Errors
    /// [`Error::Shape`] if the batches are empty or differ in shape, and
    /// [`Error::NotFinite`] if the coupling looks at the numbers and meets a
    /// NaN or an infinity.
    fn pair(
        &self,
        x0: ArrayView2<'_, F>,
        x1: ArrayView2<'_, F>,
        rng: &mut dyn Rng,
    ) -> Result<Pairing, Error>;
}

/// Pairs of row numbers: pair `k` is row `source()[k]` of the noise with row
/// `target()[k]` of the data (and of everything that belongs to the data).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    source: Vec<usize>,
    target: Vec<usize>,
}

impl Pairing {
    /// The pairs `(k, target[k])`.
    #[must_use]
    pub fn in_source_order(target: Vec<usize>) -> Self {
        Self {
            source: (0..target.len()).collect(),
            target,
        }
    }

    /// Rows of the noise, one for each pair.
    #[must_use]
    pub fn source(&self) -> &[usize] {
        &self.source
    }

    /// Rows of the data, one for each pair.
    #[must_use]
    pub fn target(&self) -> &[usize] {
        &self.target
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// The two batches, row `k` of each being the two ends of pair `k`.
    ///
    /// # Panics
    /// If a batch has fewer rows than a pair asks for.
    #[must_use]
    pub fn apply<F: Real>(
        &self,
        x0: ArrayView2<'_, F>,
        x1: ArrayView2<'_, F>,
    ) -> (Array2<F>, Array2<F>) {
        (
            x0.select(Axis(0), &self.source),
            x1.select(Axis(0), &self.target),
        )
    }
}

/// The independent coupling $`\pi = p_0 \otimes q`$: a uniformly random
/// pairing of the two batches.
///
/// Batches that were drawn independently are paired independently in any
/// order; the shuffle makes it true also of rows that arrive sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Independent;

impl<F: Real> Coupling<F> for Independent {
    fn pair(
        &self,
        x0: ArrayView2<'_, F>,
        x1: ArrayView2<'_, F>,
        rng: &mut dyn Rng,
    ) -> Result<Pairing, Error> {
        let n = equal_batches(x0, x1)?;
        let mut target: Vec<usize> = (0..n).collect();
        // Fisher–Yates: position k gets one of the k + 1 rows not yet placed.
        for k in (1..n).rev() {
            target.swap(k, rng.random_range(0..=k));
        }
        Ok(Pairing::in_source_order(target))
    }
}

/// The common number of rows of two batches that can be paired.
fn equal_batches<F>(x0: ArrayView2<'_, F>, x1: ArrayView2<'_, F>) -> Result<usize, Error> {
    if x0.is_empty() {
        return Err(Error::Shape {
            what: "the noise batch",
            given: x0.shape().to_vec(),
            expected: "at least one row and one column".into(),
        });
    }
    if x0.shape() != x1.shape() {
        return Err(Error::Shape {
            what: "the data batch",
            given: x1.shape().to_vec(),
            expected: format!("{:?}, the shape of the noise batch", x0.shape()),
        });
    }
    Ok(x0.nrows())
}

/// The names by which `--coupling` knows the couplings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// [`Independent`].
    Independent,
    /// [`MinibatchOt`].
    Ot,
}

impl Name {
    /// Every name, in the order shown to a user.
    pub const ALL: [Self; 2] = [Self::Independent, Self::Ot];

    /// The name as it is typed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Ot => "ot",
        }
    }

    /// The coupling that goes by this name.
    #[must_use]
    pub fn coupling<F: Real>(self) -> Box<dyn Coupling<F> + Send + Sync> {
        match self {
            Self::Independent => Box::new(Independent),
            Self::Ot => Box::new(MinibatchOt),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Name {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == given)
            .ok_or_else(|| Error::UnknownName {
                what: "coupling",
                given: given.to_owned(),
                expected: Self::ALL.map(Self::as_str).join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn independent_pairs_every_row_once_and_every_order_equally_often() {
        let x = array![[0.0_f64], [1.0], [2.0]];
        let mut rng = StdRng::seed_from_u64(1);
        let draws = 60_000;
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..draws {
            let pairing = Independent.pair(x.view(), x.view(), &mut rng).unwrap();
            assert_eq!(pairing.source(), [0, 1, 2]);
            *counts.entry(pairing.target().to_vec()).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Each count is binomial(60000, 1/6): mean 10000, deviation 91.3. Six
        // deviations are exceeded with probability 6 × 2e-9.
        for (order, count) in counts {
            let z = (f64::from(count) - 10_000.0) / (60_000.0 * 5.0 / 36.0_f64).sqrt();
            assert!(z.abs() <= 6.0, "{order:?} came {count} times, z = {z}");
        }
    }

    #[test]
    fn labels_follow_their_points_through_every_coupling() {
        // The label of a data point is its first coordinate; after pairing, the
        // label list selected by the same rows must still say so.
        let mut rng = StdRng::seed_from_u64(2);
        for n in 1..40 {
            let x0 = Array::from_shape_fn((n, 2), |_| rng.random::<f32>());
            let x1 = Array::from_shape_fn((n, 2), |(i, j)| ((7 * i + 3 * j) % n) as f32);
            let labels: Vec<f32> = x1.column(0).to_vec();
            for name in Name::ALL {
                let pairing = name
                    .coupling::<f32>()
                    .pair(x0.view(), x1.view(), &mut rng)
                    .unwrap();
                let (a, b) = pairing.apply(x0.view(), x1.view());
                let mut seen = vec![false; n];
                for k in 0..n {
                    assert_eq!(a.row(k), x0.row(pairing.source()[k]));
                    assert_eq!(b[[k, 0]], labels[pairing.target()[k]], "{name}, n = {n}");
                    assert!(!seen[pairing.target()[k]], "{name}: a row came twice");
                    seen[pairing.target()[k]] = true;
                }
            }
        }
    }

    #[test]
    fn batches_that_do_not_fit_are_refused() {
        let mut rng = StdRng::seed_from_u64(3);
        let two = Array2::<f64>::zeros((2, 3));
        for name in Name::ALL {
            let coupling = name.coupling::<f64>();
            for (x0, x1, shown) in [
                (Array2::zeros((0, 3)), Array2::zeros((0, 3)), "[0, 3]"),
                (Array2::zeros((2, 0)), Array2::zeros((2, 0)), "[2, 0]"),
                (two.clone(), Array2::zeros((3, 3)), "[3, 3]"),
                (two.clone(), Array2::zeros((2, 2)), "[2, 2]"),
            ] {
                let error = coupling.pair(x0.view(), x1.view(), &mut rng).unwrap_err();
                assert!(error.to_string().contains(shown), "{name}: {error}");
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in Name::ALL {
            assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
        }
        let error = "OT".parse::<Name>().unwrap_err().to_string();
        assert!(
            error.contains("\"OT\"") && error.contains("independent, ot"),
            "{error}"
        );
    }
}
