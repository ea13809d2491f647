//! **Rows**: batches of plain vectors, row after row in one buffer.
//!
//! `combination.rs` adds stages, `deviation.rs` measures errors; both are loops
//! of whole vectors, with terms unrolled by the compiler.

mod combination;
mod deviation;
mod number;

pub use number::Number;

use crate::norm::{Mean, Norm};
use crate::space::Space;
use ndarray::NdFloat;
use std::marker::PhantomData;

/// The space of `[B, D]` arrays of `f32` or `f64`, kept as a `Vec`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<F> {
    dimension: usize,
    number: PhantomData<F>,
}

impl<F> Rows<F> {
    /// Rows with `dimension` coordinates.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub const fn new(dimension: usize) -> Self {
        assert!(dimension > 0, "rows need at least one coordinate");
        Rows {
            dimension,
            number: PhantomData,
        }
    }
}

fn cast<F: NdFloat>(x: f64) -> F {
    F::from(x).expect("every f64 has a nearest number in f32 and f64")
}

fn wide<F: NdFloat>(x: F) -> f64 {
    x.to_f64().expect("a float is a number")
}

/// Coefficients and what they multiply.
type Terms<'a, F> = &'a [(f64, &'a Vec<F>)];

/// An expression in which the number of terms is a constant, so that the
/// compiler unrolls them.
macro_rules! unrolled {
    ($terms:expr, $J:ident => $once:expr, many => $many:expr) => {
        unrolled!($terms, $J => $once, $many, 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    ($terms:expr, $J:ident => $once:expr, $many:expr, $($count:literal)*) => {
        match $terms {
            $($count => {
                const $J: usize = $count;
                $once
            })*
            _ => $many,
        }
    };
}
use unrolled;

/// As many numbers as are combined at once: the compiler keeps their sums in
/// registers and unrolls the terms around them.
const LANES: usize = 8;

/// Rows of known length, chosen without a branch.
fn choose_rows<F: NdFloat, const D: usize>(a: &mut [F], b: &[F], choose_b: &[bool]) {
    let rows = a
        .as_chunks_mut::<D>()
        .0
        .iter_mut()
        .zip(b.as_chunks::<D>().0);
    for ((a, b), &take) in rows.zip(choose_b) {
        *a = if take { *b } else { *a };
    }
}

impl<F: Number> Space for Rows<F> {
    type State = Vec<F>;

    /// # Panics
    /// If the last row is not whole.
    fn rows(&self, y: &Vec<F>) -> usize {
        let (numbers, d) = (y.len(), self.dimension);
        assert!(
            numbers.is_multiple_of(d),
            "{numbers} numbers are no rows of {d} coordinates"
        );
        numbers / d
    }

    fn combine(&self, out: &mut Vec<F>, y: &Vec<F>, h: &[f64], terms: &[(f64, &Vec<F>)]) {
        out.resize(y.len(), F::zero());
        F::combined(self.dimension, (out, y), h, terms);
    }

    fn error_norm(
        &self,
        out: &mut [f64],
        (y0, y1): (&Vec<F>, &Vec<F>),
        h: &[f64],
        terms: &[(f64, &Vec<F>)],
        norm: &Norm,
    ) {
        let (to, between) = ((out, self.dimension), (&y0[..], &y1[..]));
        F::row_norms(to, between, h, terms, norm);
    }

    fn batch_norm(
        &self,
        out: &mut [f64],
        (y0, y1): (&Vec<F>, &Vec<F>),
        h: &[f64],
        terms: &[(f64, &Vec<F>)],
        (norm, mean): (&Norm, Mean),
    ) -> f64 {
        let whole = norm.counted(self.dimension) == self.dimension;
        let squares = (norm.mean, mean) == (Mean::RootMeanSquare, Mean::RootMeanSquare);
        match h {
            // Every number counts alike.
            [all] if whole && squares => F::root_mean_square((y0, y1), *all, terms, norm),
            _ => {
                self.error_norm(out, (y0, y1), h, terms, norm);
                mean.over(out)
            }
        }
    }

    fn non_finite_row(&self, y: &Vec<F>) -> Option<usize> {
        // Counted before it is looked for: most batches are finite, and a loop
        // that cannot end early is one of whole vectors.
        if y.iter().fold(true, |finite, x| finite & x.is_finite()) {
            return None;
        }
        let place = y.iter().position(|x| !x.is_finite())?;
        Some(place / self.dimension)
    }

    fn take(&self, y: &Vec<F>, rows: &[usize]) -> Vec<F> {
        let d = self.dimension;
        let rows = rows.iter().flat_map(|&r| &y[r * d..(r + 1) * d]);
        rows.copied().collect()
    }

    fn put(&self, y: &mut Vec<F>, rows: &[usize], part: &Vec<F>) {
        let d = self.dimension;
        for (&r, part) in rows.iter().zip(part.chunks_exact(d)) {
            y[r * d..(r + 1) * d].copy_from_slice(part);
        }
    }

    fn choose(&self, a: &mut Vec<F>, b: &Vec<F>, choose_b: &[bool]) {
        match self.dimension {
            1 => choose_rows::<F, 1>(a, b, choose_b),
            2 => choose_rows::<F, 2>(a, b, choose_b),
            4 => choose_rows::<F, 4>(a, b, choose_b),
            d => {
                let rows = a.chunks_exact_mut(d).zip(b.chunks_exact(d));
                for ((a, b), &take) in rows.zip(choose_b) {
                    if take {
                        a.copy_from_slice(b);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::norm::Tolerance;

    /// Numbers between −2 and 2 that meet no pattern.
    fn numbers<F: NdFloat>(seed: usize, count: usize) -> Vec<F> {
        let number = |i: usize| cast(2.0 * ((7 * seed + i) as f64 * 0.731).sin());
        (0..count).map(number).collect()
    }

    /// All ways to combine and to measure against one number at a time, in bits:
    /// lengths of rows that fill chunks and that do not, few and many terms, one
    /// step for all or one for each.
    fn every_way_is_the_plain_one<F: Number>() {
        for (d, rows, terms) in (1..=9).flat_map(|d| {
            let counts = [1, 2, 3, 11].into_iter();
            counts.flat_map(move |rows| (0..=13).map(move |terms| (d, rows, terms)))
        }) {
            let (space, count) = (Rows::<F>::new(d), d * rows);
            let (y, y1) = (numbers::<F>(1, count), numbers::<F>(2, count));
            let stages: Vec<Vec<F>> = (0..terms).map(|j| numbers(3 + j, count)).collect();
            let c = |j: usize| (j as f64 * 1.3).cos();
            let pairs: Vec<_> = stages.iter().enumerate().map(|(j, k)| (c(j), k)).collect();
            let own: Vec<f64> = (0..rows).map(|r| 0.1 + 0.05 * r as f64).collect();
            for h in [&own[..1], &own] {
                let step = |i: usize| if h.len() == 1 { h[0] } else { h[i / d] };
                let mut found = vec![F::nan(); 2];
                space.combine(&mut found, &y, h, &pairs);
                let plain = |i: usize| {
                    let sum = pairs.iter().map(|(c, k)| cast::<F>(*c) * k[i]);
                    let sum = sum.reduce(|sum, x| sum + x);
                    sum.map_or(y[i], |sum| y[i] + cast::<F>(step(i)) * sum)
                };
                let expected: Vec<F> = (0..count).map(plain).collect();
                assert!(found == expected, "{d} {rows} {terms}");
                for (mean, leading) in [
                    (Mean::RootMeanSquare, None),
                    (Mean::Largest, None),
                    (Mean::RootMeanSquare, Some(2)),
                ] {
                    let tolerance = Tolerance {
                        relative: 1e-2,
                        absolute: 1e-3,
                    };
                    let norm = Norm {
                        tolerance,
                        mean,
                        leading,
                    };
                    let of_row = |row: usize| {
                        norm.of((row * d..(row + 1) * d).map(|i| {
                            let error: f64 = pairs.iter().map(|(c, k)| c * wide(k[i])).sum();
                            (step(i) * error, wide(y[i]), wide(y1[i]))
                        }))
                    };
                    let expected: Vec<f64> = (0..rows).map(of_row).collect();
                    let mut found = vec![f64::NAN; rows];
                    space.error_norm(&mut found, (&y, &y1), h, &pairs, &norm);
                    assert!(found == expected, "{d} {rows} {terms} {norm:?}");
                    let whole = (&norm, Mean::RootMeanSquare);
                    let all = space.batch_norm(&mut found, (&y, &y1), h, &pairs, whole);
                    // A hundred squares in another order.
                    let exact = Mean::RootMeanSquare.over(&expected);
                    assert!((all - exact).abs() <= 1e-13 * exact, "{d} {rows} {terms}");
                }
            }
        }
    }

    /// Verifies (RK.5).
    #[test]
    fn every_way_is_the_plain_one_in_bits() {
        every_way_is_the_plain_one::<f64>();
        every_way_is_the_plain_one::<f32>();
    }

    #[test]
    fn an_infinite_result_is_seen_wherever_it_stands() {
        for d in [1, 2, 3, 4, 8] {
            let space = Rows::<f64>::new(d);
            let norm = Norm {
                tolerance: Tolerance {
                    relative: 1.0,
                    absolute: 1.0,
                },
                mean: Mean::RootMeanSquare,
                leading: None,
            };
            let (y, k) = (vec![1.0; 11 * d], vec![1e-9; 11 * d]);
            for place in 0..11 * d {
                let mut y1 = y.clone();
                y1[place] = f64::NEG_INFINITY;
                let (mut rows, terms) = (vec![0.0; 11], [(1.0, &k); 6]);
                space.error_norm(&mut rows, (&y, &y1), &[0.1], &terms, &norm);
                let bad: Vec<usize> = (0..11).filter(|&r| !(rows[r] <= 1.0)).collect();
                assert_eq!(bad, [place / d]);
                let whole = (&norm, Mean::RootMeanSquare);
                let all = space.batch_norm(&mut rows, (&y, &y1), &[0.1], &terms, whole);
                assert!(!(all <= 1.0), "{place}");
                assert_eq!(space.non_finite_row(&y1), Some(place / d));
            }
            assert_eq!(space.non_finite_row(&y), None);
        }
    }
}
