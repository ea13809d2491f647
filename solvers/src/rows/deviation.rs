//! **Deviations**: the sizes of errors `h·(c₁k₁ + c₂k₂ + …)`, (RK.5), in one pass over
//! memory that writes nothing but the sizes.

use super::{LANES, Terms, unrolled, wide};
use crate::norm::{Mean, Norm, larger, mean_square};
use crate::vectors::{Vectorized, widest};
use ndarray::NdFloat;

/// The norms of rows of `d` numbers, several at once where all coordinates of
/// short rows count.
#[inline(always)]
pub(super) fn row_norms<F: NdFloat>(
    (out, d): (&mut [f64], usize),
    between: (&[F], &[F]),
    step: impl Fn(usize) -> f64,
    terms: Terms<'_, F>,
    norm: &Norm,
) {
    let one_by_one = |out: &mut [f64]| {
        for (row, out) in out.iter_mut().enumerate() {
            *out = row_norm((row * d, d), between, step(row), terms, norm);
        }
    };
    let count = terms.len();
    match d {
        _ if norm.counted(d) < d => one_by_one(out),
        1 => unrolled!(
            count,
            J => widest(Norms::<F, _, J, 1, 8> { out, between, step, terms, norm }),
            many => one_by_one(out)
        ),
        2 => unrolled!(
            count,
            J => widest(Norms::<F, _, J, 2, 4> { out, between, step, terms, norm }),
            many => one_by_one(out)
        ),
        4 => unrolled!(
            count,
            J => widest(Norms::<F, _, J, 4, 2> { out, between, step, terms, norm }),
            many => one_by_one(out)
        ),
        _ => one_by_one(out),
    }
}

/// The root mean square of all numbers of a batch, rows not told apart.
pub(super) fn root_mean_square<F: NdFloat>(
    between: (&[F], &[F]),
    h: f64,
    terms: Terms<'_, F>,
    norm: &Norm,
) -> f64 {
    let count = between.0.len();
    // As one long row, of which every number counts.
    let norm = &Norm {
        leading: None,
        ..*norm
    };
    let one_by_one = || row_norm((0, count), between, h, terms, norm);
    // Setting up a loop over vectors would take longer for so few.
    if count <= 4 {
        return one_by_one();
    }
    let sum = unrolled!(
        terms.len(),
        J => widest(SumOfSquares::<F, J> { between, h, terms, norm }),
        many => return one_by_one()
    );
    (sum / count as f64).sqrt()
}

/// The quotients of a chunk of numbers, whose root mean squares are the norms.
#[inline(always)]
fn quotients<F: NdFloat, const J: usize>(
    (y0, y1): (&[F; LANES], &[F; LANES]),
    h: [f64; LANES],
    (c, k): ([f64; J], [&[F; LANES]; J]),
    norm: &Norm,
) -> [f64; LANES] {
    let mut error = [0.0; LANES];
    for j in 0..J {
        for i in 0..LANES {
            error[i] += c[j] * wide(k[j][i]);
        }
    }
    let mut q = [0.0; LANES];
    for i in 0..LANES {
        q[i] = norm.part((h[i] * error[i], wide(y0[i]), wide(y1[i])));
    }
    q
}

/// Coefficients, and the stages in chunks.
fn in_chunks<'a, F, const J: usize>(terms: Terms<'a, F>) -> ([f64; J], [&'a [[F; LANES]]; J]) {
    let c = std::array::from_fn(|j| terms[j].0);
    (c, std::array::from_fn(|j| terms[j].1.as_chunks().0))
}

/// The error of one number, and the numbers it lies between.
#[inline(always)]
fn deviation<F: NdFloat>(
    i: usize,
    (y0, y1): (&[F], &[F]),
    h: f64,
    terms: Terms<'_, F>,
) -> (f64, f64, f64) {
    let error: f64 = terms.iter().map(|(c, k)| c * wide(k[i])).sum();
    (h * error, wide(y0[i]), wide(y1[i]))
}

/// The norm of one row, number by number.
fn row_norm<F: NdFloat>(
    (from, d): (usize, usize),
    (y0, y1): (&[F], &[F]),
    h: f64,
    terms: Terms<'_, F>,
    norm: &Norm,
) -> f64 {
    norm.of((from..from + d).map(|i| deviation(i, (y0, y1), h, terms)))
}

/// The sum of the squared quotients of all numbers, in eight sums that do not
/// wait for each other and are added in pairs.
struct SumOfSquares<'a, F, const J: usize> {
    between: (&'a [F], &'a [F]),
    h: f64,
    terms: Terms<'a, F>,
    norm: &'a Norm,
}

impl<F: NdFloat, const J: usize> Vectorized for SumOfSquares<'_, F, J> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let ((y0, y1), h, terms) = (self.between, self.h, self.terms);
        let (c, k) = in_chunks::<F, J>(terms);
        let mut sums = [0.0; LANES];
        let (chunks, rest) = y0.as_chunks();
        for (place, between) in chunks.iter().zip(y1.as_chunks().0).enumerate() {
            let k = std::array::from_fn(|j| &k[j][place]);
            let q = quotients(between, [h; LANES], (c, k), self.norm);
            for i in 0..LANES {
                sums[i] += q[i] * q[i];
            }
        }
        let done = y0.len() - rest.len();
        for (sum, i) in sums.iter_mut().zip(done..y0.len()) {
            let q = self.norm.part(deviation(i, (y0, y1), h, terms));
            *sum += q * q;
        }
        let [a, b, c, d, e, f, g, h] = sums;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }
}

/// The norms of rows of `D` coordinates, `R` of them in a chunk.
struct Norms<'a, F, S, const J: usize, const D: usize, const R: usize> {
    out: &'a mut [f64],
    between: (&'a [F], &'a [F]),
    step: S,
    terms: Terms<'a, F>,
    norm: &'a Norm,
}

impl<F: NdFloat, S: Fn(usize) -> f64, const J: usize, const D: usize, const R: usize>
    Norms<'_, F, S, J, D, R>
{
    /// Of the quotients of each row what `of` makes of them; and how many rows
    /// that were, since the last ones fill no chunk.
    #[inline(always)]
    fn chunks(&mut self, of: impl Fn(&[f64; D]) -> f64) -> usize {
        let (c, k) = in_chunks::<F, J>(self.terms);
        let (y0, y1) = self.between;
        let chunks = self.out.as_chunks_mut::<R>().0;
        let count = chunks.len();
        let between = y0.as_chunks().0.iter().zip(y1.as_chunks().0);
        for (place, (out, between)) in chunks.iter_mut().zip(between).enumerate() {
            let h: [f64; LANES] = std::array::from_fn(|i| (self.step)(place * R + i / D));
            let k = std::array::from_fn(|j| &k[j][place]);
            let q = quotients(between, h, (c, k), self.norm);
            let rows = q.as_chunks::<D>().0;
            for r in 0..R {
                out[r] = of(&rows[r]);
            }
        }
        count * R
    }
}

impl<F: NdFloat, S: Fn(usize) -> f64, const J: usize, const D: usize, const R: usize> Vectorized
    for Norms<'_, F, S, J, D, R>
{
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let done = match self.norm.mean {
            Mean::RootMeanSquare => {
                let done = self.chunks(|q| mean_square(q.iter().copied(), D));
                // Roots are slow one by one and as fast as quotients together.
                self.out[..done].iter_mut().for_each(|x| *x = x.sqrt());
                done
            }
            Mean::Largest => self.chunks(|q| q.iter().copied().fold(0.0, larger)),
        };
        let (rest, step) = (&mut self.out[done..], self.step);
        for (row, out) in (done..).zip(rest) {
            *out = row_norm((row * D, D), self.between, step(row), self.terms, self.norm);
        }
    }
}
