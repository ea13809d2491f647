//! **Minibatch optimal transport**: pair each batch of noise with its batch of
//! data so that the pairs are as short as possible in total.
//!
//! ```math
//! \sigma^\ast = \operatorname*{arg\,min}_{\sigma \in S_n}
//!   \sum_{i=1}^{n} \lVert x_0^{(i)} - x_1^{(\sigma(i))} \rVert^2
//! \tag{CP.4}
//! ```
//!
//! Source: Tong et al., "Improving and generalizing flow-based generative
//! models with minibatch optimal transport", TMLR 2024; Pooladian et al.,
//! "Multisample flow matching", ICML 2023. The marginals stay those of the
//! batches, so the flow still carries noise to data; the trajectories become
//! straighter, and exactly straight only as $`n \to \infty`$.
//!
//! If the network is conditioned on labels, pairing across labels skews the
//! law of the noise given a label: transport each label's points by
//! themselves, or use [`Independent`](super::Independent).

use super::{Coupling, Pairing, assign, equal_batches, squared_distances};
use crate::Error;
use autograd::Real;
use ndarray::ArrayView2;
use rand::Rng;

/// The exact optimal pairing (CP.4) of two batches of equal size, under the
/// squared Euclidean distance; ties are settled by the order of the rows, so
/// no randomness is used.
///
/// $`O(n^2 d + n^3)`$ time, $`O(n^2)`$ memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinibatchOt;

impl<F: Real> Coupling<F> for MinibatchOt {
    fn pair(
        &self,
        x0: ArrayView2<'_, F>,
        x1: ArrayView2<'_, F>,
        _: &mut dyn Rng,
    ) -> Result<Pairing, Error> {
        equal_batches(x0, x1)?;
        finite("the noise batch", x0)?;
        finite("the data batch", x1)?;
        let cost = squared_distances(x0, x1);
        let assignment = assign(cost.view())?; // (CP.4)
        Ok(Pairing::in_source_order(assignment.column_of_row))
    }
}

/// Finds the first number of `x` that is NaN or infinite.
pub(crate) fn finite<F: Real>(what: &'static str, x: ArrayView2<'_, F>) -> Result<(), Error> {
    match x.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((row, column), value)) => Err(Error::NotFinite {
            what,
            row,
            column,
            value: value.wide(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis};
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn pair(x0: &Array2<f64>, x1: &Array2<f64>) -> Pairing {
        // An unused generator: the result must not depend on it.
        let mut rng = StdRng::seed_from_u64(0);
        MinibatchOt.pair(x0.view(), x1.view(), &mut rng).unwrap()
    }

    fn total(x0: &Array2<f64>, x1: &Array2<f64>, pairing: &Pairing) -> f64 {
        let (a, b) = pairing.apply(x0.view(), x1.view());
        (a - b).mapv(|difference| difference * difference).sum()
    }

    /// Verifies (CP.4).
    ///
    /// On a line the optimal pairing joins the k-th smallest to the k-th
    /// smallest (the cost is convex); the wrong twin, which joins k-th
    /// smallest to k-th largest, costs more.
    #[test]
    fn on_a_line_the_pairs_are_the_sorted_pairs() {
        for seed in 0..256 {
            let mut rng = StdRng::seed_from_u64(seed);
            let n = rng.random_range(2..60);
            let mut line = || Array2::from_shape_simple_fn((n, 1), || rng.random_range(-3.0..3.0));
            let (x0, x1) = (line(), line());
            let pairing = pair(&x0, &x1);
            let order = |x: &Array2<f64>| {
                let mut rows: Vec<usize> = (0..n).collect();
                rows.sort_by(|&a, &b| x[[a, 0]].total_cmp(&x[[b, 0]]));
                rows
            };
            let (low_to_high, target) = (order(&x0), order(&x1));
            for (&i, &j) in low_to_high.iter().zip(&target) {
                assert_eq!(pairing.target()[i], j, "seed {seed}");
            }
            let mut crossed = vec![0; n];
            for (&i, &j) in low_to_high.iter().zip(target.iter().rev()) {
                crossed[i] = j;
            }
            let crossed = Pairing::in_source_order(crossed);
            assert!(
                total(&x0, &x1, &pairing) < total(&x0, &x1, &crossed),
                "seed {seed}"
            );
        }
    }

    /// Verifies (CP.4).
    #[test]
    fn renaming_the_rows_renames_the_pairs() {
        for seed in 0..256 {
            let mut rng = StdRng::seed_from_u64(seed);
            let n = rng.random_range(1..40);
            let mut cloud = || Array2::from_shape_simple_fn((n, 3), || rng.random_range(-1.0..1.0));
            let (x0, x1) = (cloud(), cloud());
            let mut permutation = || {
                let mut p: Vec<usize> = (0..n).collect();
                for k in (1..n).rev() {
                    p.swap(k, rng.random_range(0..=k));
                }
                p
            };
            let (p, q) = (permutation(), permutation());
            let pairing = pair(&x0, &x1);
            let renamed = pair(&x0.select(Axis(0), &p), &x1.select(Axis(0), &q));
            // Row i of the renamed noise is row p[i]; its partner q[σ'(i)] must
            // be σ(p[i]). The optimum of random points is unique almost surely.
            for (i, &row) in p.iter().enumerate() {
                assert_eq!(q[renamed.target()[i]], pairing.target()[row], "seed {seed}");
            }
        }
    }

    #[test]
    fn duplicates_are_paired_once_each() {
        let mut rng = StdRng::seed_from_u64(9);
        for n in [1, 2, 17, 64] {
            // Three distinct points only, so nearly all costs are tied.
            let mut few =
                || Array2::from_shape_simple_fn((n, 2), || f64::from(rng.random_range(0..3_u8)));
            let (x0, x1) = (few(), few());
            let pairing = pair(&x0, &x1);
            let mut target = pairing.target().to_vec();
            target.sort_unstable();
            assert!(target.into_iter().eq(0..n));
            // Points paired with themselves in another order cost nothing.
            let reversed = x0.select(Axis(0), &(0..n).rev().collect::<Vec<_>>());
            assert_eq!(total(&x0, &reversed, &pair(&x0, &reversed)), 0.0);
        }
    }

    #[test]
    fn a_batch_that_is_not_finite_is_refused_by_place() {
        let mut rng = StdRng::seed_from_u64(4);
        let good = Array2::<f32>::zeros((5, 2));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = good.clone();
            x[[3, 1]] = bad;
            for (x0, x1) in [(&x, &good), (&good, &x)] {
                let error = MinibatchOt
                    .pair(x0.view(), x1.view(), &mut rng)
                    .unwrap_err();
                assert!(error.to_string().contains("row 3, column 1"), "{error}");
            }
        }
        // Finite numbers whose squared distance is not.
        let far = Array2::from_elem((5, 2), 1e200);
        let near = Array2::zeros((5, 2));
        assert!(MinibatchOt.pair(far.view(), near.view(), &mut rng).is_err());
    }
}
