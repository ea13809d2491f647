//! **Rows**: batches of plain vectors, row after row in one buffer.
//!
//! A combination of stages is one pass over memory: every stage is read once
//! and the result written once, with as many terms as the row of the tableau
//! has, unrolled by the compiler. If all rows have the same step, the batch is
//! one long vector; else short rows are unrolled too. Both ways compute
//! `y + h·(c₁k₁ + c₂k₂ + …)` in this order, so that a row has the same bits in
//! any batch.

use crate::norm::{Mean, Norm, larger};
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

/// The step of a row, and its coordinates.
type Terms<'a, F> = &'a [(f64, &'a Vec<F>)];

/// `out ← y + h·Σ c·k` with one step for all.
fn pass<F: NdFloat, const J: usize>(out: &mut [F], y: &[F], h: F, terms: Terms<'_, F>) {
    let n = out.len();
    let y = &y[..n];
    let k: [&[F]; J] = std::array::from_fn(|j| &terms[j].1[..n]);
    let c: [F; J] = std::array::from_fn(|j| cast(terms[j].0));
    for i in 0..n {
        let mut sum = F::zero();
        for j in 0..J {
            sum = if j == 0 {
                c[0] * k[0][i]
            } else {
                sum + c[j] * k[j][i]
            };
        }
        out[i] = y[i] + h * sum;
    }
}

/// `out ← y + hᵣ·Σ c·k` for rows of `D` coordinates.
fn short_rows<F: NdFloat, const D: usize, const J: usize>(
    out: &mut [F],
    y: &[F],
    h: &[f64],
    terms: Terms<'_, F>,
) {
    let n = h.len();
    let out = &mut out.as_chunks_mut::<D>().0[..n];
    let y = &y.as_chunks::<D>().0[..n];
    let k: [&[[F; D]]; J] = std::array::from_fn(|j| &terms[j].1.as_chunks::<D>().0[..n]);
    let c: [F; J] = std::array::from_fn(|j| cast(terms[j].0));
    for r in 0..n {
        let h = cast::<F>(h[r]);
        for i in 0..D {
            let mut sum = F::zero();
            for j in 0..J {
                sum = if j == 0 {
                    c[0] * k[0][r][i]
                } else {
                    sum + c[j] * k[j][r][i]
                };
            }
            out[r][i] = y[r][i] + h * sum;
        }
    }
}

/// With a known number of terms.
fn combine<F: NdFloat, const J: usize>(
    dimension: usize,
    (out, y): (&mut [F], &[F]),
    h: &[f64],
    terms: Terms<'_, F>,
) {
    let Some(&first) = h.first() else { return };
    if h.iter().all(|h| h.to_bits() == first.to_bits()) {
        return pass::<F, J>(out, y, cast(first), terms);
    }
    match dimension {
        1 => short_rows::<F, 1, J>(out, y, h, terms),
        2 => short_rows::<F, 2, J>(out, y, h, terms),
        3 => short_rows::<F, 3, J>(out, y, h, terms),
        4 => short_rows::<F, 4, J>(out, y, h, terms),
        d => {
            for (r, &h) in h.iter().enumerate() {
                let (from, to) = (r * d, (r + 1) * d);
                let k: [&[F]; J] = std::array::from_fn(|j| &terms[j].1[from..to]);
                let c: [F; J] = std::array::from_fn(|j| cast(terms[j].0));
                let (y, out) = (&y[from..to], &mut out[from..to]);
                let h = cast::<F>(h);
                for i in 0..d {
                    let mut sum = F::zero();
                    for j in 0..J {
                        sum = if j == 0 {
                            c[0] * k[0][i]
                        } else {
                            sum + c[j] * k[j][i]
                        };
                    }
                    out[i] = y[i] + h * sum;
                }
            }
        }
    }
}

/// The norms of rows of `D` coordinates; `D` is the dimension or, if 0, it is
/// not known to the compiler.
fn norms<F: NdFloat, const D: usize>(
    out: &mut [f64],
    dimension: usize,
    (y0, y1): (&[F], &[F]),
    h: &[f64],
    terms: Terms<'_, F>,
    norm: &Norm,
) {
    let d = if D == 0 { dimension } else { D };
    let count = norm.counted(d);
    for (r, (out, &h)) in out.iter_mut().zip(h).enumerate() {
        let (from, to) = (r * d, (r + 1) * d);
        let (y0, y1) = (&y0[from..to], &y1[from..to]);
        let quotient = |i: usize| {
            let products = terms.iter().map(|(c, k)| c * wide(k[from + i]));
            norm.part((h * products.sum::<f64>(), wide(y0[i]), wide(y1[i])))
        };
        *out = match norm.mean {
            Mean::RootMeanSquare => {
                let squares: f64 = (0..count).map(|i| quotient(i).powi(2)).sum();
                (squares / count as f64).sqrt() // As `Norm::of`.
            }
            Mean::Largest => (0..count).map(quotient).fold(0.0, larger),
        };
    }
}

impl<F: NdFloat> Space for Rows<F> {
    type State = Vec<F>;

    fn rows(&self, y: &Vec<F>) -> usize {
        y.len() / self.dimension
    }

    fn combine(&self, out: &mut Vec<F>, y: &Vec<F>, h: &[f64], terms: &[(f64, &Vec<F>)]) {
        out.resize(y.len(), F::zero());
        let (d, to) = (self.dimension, (&mut out[..], &y[..]));
        match terms.len() {
            0 => to.0.copy_from_slice(y),
            1 => combine::<F, 1>(d, to, h, terms),
            2 => combine::<F, 2>(d, to, h, terms),
            3 => combine::<F, 3>(d, to, h, terms),
            4 => combine::<F, 4>(d, to, h, terms),
            5 => combine::<F, 5>(d, to, h, terms),
            6 => combine::<F, 6>(d, to, h, terms),
            7 => combine::<F, 7>(d, to, h, terms),
            8 => combine::<F, 8>(d, to, h, terms),
            9 => combine::<F, 9>(d, to, h, terms),
            10 => combine::<F, 10>(d, to, h, terms),
            11 => combine::<F, 11>(d, to, h, terms),
            12 => combine::<F, 12>(d, to, h, terms),
            _ => {
                for (i, out) in to.0.iter_mut().enumerate() {
                    let sum = terms.iter().map(|(c, k)| cast::<F>(*c) * k[i]);
                    let sum = sum.fold(F::zero(), |sum, x| sum + x);
                    *out = y[i] + cast::<F>(h[i / d]) * sum;
                }
            }
        }
    }

    fn error_norm(
        &self,
        out: &mut [f64],
        (y0, y1): (&Vec<F>, &Vec<F>),
        h: &[f64],
        terms: &[(f64, &Vec<F>)],
        norm: &Norm,
    ) {
        let (d, between) = (self.dimension, (&y0[..], &y1[..]));
        match d {
            1 => norms::<F, 1>(out, d, between, h, terms, norm),
            2 => norms::<F, 2>(out, d, between, h, terms, norm),
            _ => norms::<F, 0>(out, d, between, h, terms, norm),
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
        let rows = a
            .chunks_exact_mut(self.dimension)
            .zip(b.chunks_exact(self.dimension));
        for ((a, b), &take) in rows.zip(choose_b) {
            if take {
                a.copy_from_slice(b);
            }
        }
    }
}
