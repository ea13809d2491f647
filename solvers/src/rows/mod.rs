//! **Rows**: batches of plain vectors, row after row in one buffer.
//!
//! `combination.rs` adds stages, `deviation.rs` measures errors; both are loops
//! of whole vectors, with terms unrolled by the compiler.

mod combination;
mod deviation;

use crate::norm::{Mean, Norm};
use crate::space::Space;
use combination::combined;
use deviation::{root_mean_square, row_norms};
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

impl<F: NdFloat> Space for Rows<F> {
    type State = Vec<F>;

    fn rows(&self, y: &Vec<F>) -> usize {
        y.len() / self.dimension
    }

    fn combine(&self, out: &mut Vec<F>, y: &Vec<F>, h: &[f64], terms: &[(f64, &Vec<F>)]) {
        out.resize(y.len(), F::zero());
        combined(self.dimension, (out, y), h, terms);
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
        match h {
            [all] => row_norms(to, between, |_| *all, terms, norm),
            each => row_norms(to, between, |row| each[row], terms, norm),
        }
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
            [all] if whole && squares => root_mean_square((y0, y1), *all, terms, norm),
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
