//! **Rows**: batches of plain vectors, row after row in one buffer.
//!
//! A combination of stages is one pass over memory: every stage is read once
//! and the result written once, eight numbers at a time, with as many terms as
//! the row of the tableau has, unrolled by the compiler. Every way computes
//! `y + h·(c₁k₁ + c₂k₂ + …)` in this order, so that a row has the same bits in
//! any batch.

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

/// As many numbers as are combined at once: the compiler keeps their sums in
/// registers and unrolls the terms around them.
const LANES: usize = 8;

/// A state of at most so many numbers is measured one by one: setting up a loop
/// over vectors would take longer.
const FEW: usize = 4;

/// `out ← y + h·Σ c·k` for `N` numbers, for the same reason.
#[inline(always)]
fn few<F: NdFloat, const N: usize>((out, y): (&mut [F], &[F]), h: F, terms: Terms<'_, F>) {
    let numbers = |x: &[F]| -> [F; N] { *x.first_chunk().expect("as long as the state") };
    let Some(((c, k), rest)) = terms.split_first() else {
        return out.copy_from_slice(y);
    };
    let mut sum = numbers(k).map(|k| cast::<F>(*c) * k);
    for (c, k) in rest {
        let (c, k) = (cast::<F>(*c), numbers(k));
        for i in 0..N {
            sum[i] += c * k[i];
        }
    }
    for i in 0..N {
        out[i] = y[i] + h * sum[i];
    }
}

/// `out ← y + h·Σ c·k` on one chunk, with a step for each number.
#[inline(always)]
fn chunk<F: NdFloat, const J: usize>(
    (out, y): (&mut [F; LANES], &[F; LANES]),
    h: [F; LANES],
    (c, k): ([F; J], [&[F; LANES]; J]),
) {
    let mut sum = [F::zero(); LANES];
    for i in 0..LANES {
        sum[i] = c[0] * k[0][i];
    }
    for j in 1..J {
        for i in 0..LANES {
            sum[i] += c[j] * k[j][i];
        }
    }
    for i in 0..LANES {
        out[i] = y[i] + h[i] * sum[i];
    }
}

/// The same number by number, for what is left of chunks and for rows of odd
/// lengths.
#[inline(always)]
fn single<F: NdFloat>(y: F, h: F, i: usize, terms: Terms<'_, F>) -> F {
    let [(c, k), rest @ ..] = terms else { return y };
    let mut sum = cast::<F>(*c) * k[i];
    for (c, k) in rest {
        sum += cast::<F>(*c) * k[i];
    }
    y + h * sum
}

/// With a known number of terms, and the step of each number from `step`,
/// which is asked for the first of a chunk.
#[inline(always)]
fn pass<F: NdFloat, const J: usize>(
    (out, y): (&mut [F], &[F]),
    terms: Terms<'_, F>,
    step: impl Fn(usize) -> [F; LANES],
) {
    let n = out.len();
    let c: [F; J] = std::array::from_fn(|j| cast(terms[j].0));
    let k: [&[[F; LANES]]; J] = std::array::from_fn(|j| terms[j].1[..n].as_chunks().0);
    let (chunks, rest) = out.as_chunks_mut::<LANES>();
    for (place, (out, y)) in chunks.iter_mut().zip(y.as_chunks().0).enumerate() {
        let k = std::array::from_fn(|j| &k[j][place]);
        chunk((out, y), step(LANES * place), (c, k));
    }
    let done = n - rest.len();
    let last = step(done);
    for (i, out) in rest.iter_mut().enumerate() {
        *out = single(y[done + i], last[i], done + i, terms);
    }
}

/// With one step for all. A function of its own, never inlined: so the compiler
/// knows from its arguments that `out` overlaps nothing, and need not ask at
/// run time, which it would give up doing for many terms.
#[inline(never)]
fn common<F: NdFloat, const J: usize>(out: &mut [F], y: &[F], h: F, c: [F; J], k: [&[F]; J]) {
    let n = out.len();
    let y = &y[..n];
    for k in k {
        assert!(k.len() == n, "stages are as long as the state");
    }
    for i in 0..n {
        let mut sum = c[0] * k[0][i];
        for j in 1..J {
            sum += c[j] * k[j][i];
        }
        out[i] = y[i] + h * sum;
    }
}

/// `out ← y + hᵣ·Σ c·k` with `J` terms.
fn combine<F: NdFloat, const J: usize>(
    dimension: usize,
    (out, y): (&mut [F], &[F]),
    h: &[f64],
    terms: Terms<'_, F>,
) {
    // The step of number i is that of row i/d; past the end there is none, and
    // none is used.
    let of = |row: usize| cast::<F>(h.get(row).copied().unwrap_or(0.0));
    if let [h] = h {
        let h = cast::<F>(*h);
        let k: [&[F]; J] = std::array::from_fn(|j| &terms[j].1[..out.len()]);
        let c: [F; J] = std::array::from_fn(|j| cast(terms[j].0));
        return common::<F, J>(out, y, h, c, k);
    }
    match dimension {
        1 => pass::<F, J>((out, y), terms, |i| std::array::from_fn(|l| of(i + l))),
        2 => pass::<F, J>((out, y), terms, |i| {
            let [a, b, c, d] = std::array::from_fn(|l| of(i / 2 + l));
            [a, a, b, b, c, c, d, d]
        }),
        4 => pass::<F, J>((out, y), terms, |i| {
            let [a, b] = [of(i / 4), of(i / 4 + 1)];
            [a, a, a, a, b, b, b, b]
        }),
        d if d.is_multiple_of(LANES) => pass::<F, J>((out, y), terms, |i| [of(i / d); LANES]),
        d => {
            for (i, out) in out.iter_mut().enumerate() {
                *out = single(y[i], of(i / d), i, terms);
            }
        }
    }
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
#[inline(never)]
fn sum_of_squares<F: NdFloat, const J: usize>(
    (y0, y1): (&[F], &[F]),
    h: f64,
    terms: Terms<'_, F>,
    norm: &Norm,
) -> f64 {
    let (c, k) = in_chunks::<F, J>(terms);
    let mut sums = [0.0; LANES];
    let (chunks, rest) = y0.as_chunks();
    for (place, between) in chunks.iter().zip(y1.as_chunks().0).enumerate() {
        let k = std::array::from_fn(|j| &k[j][place]);
        let q = quotients(between, [h; LANES], (c, k), norm);
        for i in 0..LANES {
            sums[i] += q[i] * q[i];
        }
    }
    let done = y0.len() - rest.len();
    for (sum, i) in sums.iter_mut().zip(done..y0.len()) {
        let q = norm.part(deviation(i, (y0, y1), h, terms));
        *sum += q * q;
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// The norms of rows of `D` coordinates, `R` of them in a chunk.
fn norms<F: NdFloat, const J: usize, const D: usize, const R: usize>(
    out: &mut [f64],
    (y0, y1): (&[F], &[F]),
    step: impl Fn(usize) -> f64,
    terms: Terms<'_, F>,
    norm: &Norm,
) {
    let (c, k) = in_chunks::<F, J>(terms);
    let (chunks, rest) = out.as_chunks_mut::<R>();
    let done = chunks.len() * R;
    let between = y0.as_chunks().0.iter().zip(y1.as_chunks().0);
    for (place, (out, between)) in chunks.iter_mut().zip(between).enumerate() {
        let h: [f64; LANES] = std::array::from_fn(|i| step(place * R + i / D));
        let k = std::array::from_fn(|j| &k[j][place]);
        let q = quotients(between, h, (c, k), norm);
        for r in 0..R {
            out[r] = norm.mean.over(&q[r * D..(r + 1) * D]);
        }
    }
    for (i, out) in rest.iter_mut().enumerate() {
        let row = done + i;
        *out = row_norm((row * D, D), (y0, y1), step(row), terms, norm);
    }
}

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

impl<F: NdFloat> Rows<F> {
    /// The norms of rows, several at once where all coordinates of short rows
    /// count.
    #[inline(always)]
    fn norms(
        &self,
        out: &mut [f64],
        between: (&[F], &[F]),
        step: impl Fn(usize) -> f64,
        terms: Terms<'_, F>,
        norm: &Norm,
    ) {
        let d = self.dimension;
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
                J => norms::<F, J, 1, 8>(out, between, step, terms, norm),
                many => one_by_one(out)
            ),
            2 => unrolled!(
                count,
                J => norms::<F, J, 2, 4>(out, between, step, terms, norm),
                many => one_by_one(out)
            ),
            4 => unrolled!(
                count,
                J => norms::<F, J, 4, 2>(out, between, step, terms, norm),
                many => one_by_one(out)
            ),
            _ => one_by_one(out),
        }
    }
}

impl<F: NdFloat> Space for Rows<F> {
    type State = Vec<F>;

    fn rows(&self, y: &Vec<F>) -> usize {
        y.len() / self.dimension
    }

    fn combine(&self, out: &mut Vec<F>, y: &Vec<F>, h: &[f64], terms: &[(f64, &Vec<F>)]) {
        out.resize(y.len(), F::zero());
        if let [h] = h {
            let (to, h) = ((&mut out[..], &y[..]), cast(*h));
            match y.len() {
                1 => return few::<F, 1>(to, h, terms),
                2 => return few::<F, 2>(to, h, terms),
                3 => return few::<F, 3>(to, h, terms),
                4 => return few::<F, 4>(to, h, terms),
                _ => (),
            }
        }
        let (d, to) = (self.dimension, (&mut out[..], &y[..]));
        unrolled!(terms.len(), J => combine::<F, J>(d, to, h, terms), many => {
            for (i, out) in to.0.iter_mut().enumerate() {
                let h = if h.len() == 1 { h[0] } else { h[i / d] };
                *out = single(y[i], cast(h), i, terms);
            }
        });
    }

    fn error_norm(
        &self,
        out: &mut [f64],
        (y0, y1): (&Vec<F>, &Vec<F>),
        h: &[f64],
        terms: &[(f64, &Vec<F>)],
        norm: &Norm,
    ) {
        let between = (&y0[..], &y1[..]);
        match h {
            [all] => self.norms(out, between, |_| *all, terms, norm),
            each => self.norms(out, between, |row| each[row], terms, norm),
        }
    }

    fn batch_norm(
        &self,
        out: &mut [f64],
        between: (&Vec<F>, &Vec<F>),
        h: &[f64],
        terms: &[(f64, &Vec<F>)],
        (norm, mean): (&Norm, Mean),
    ) -> f64 {
        let whole = norm.counted(self.dimension) == self.dimension;
        let squares = (norm.mean, mean) == (Mean::RootMeanSquare, Mean::RootMeanSquare);
        let (Some(&h0), true) = (h.first(), whole && squares) else {
            self.error_norm(out, between, h, terms, norm);
            return mean.over(out);
        };
        // Every number counts alike, so rows need not be told apart.
        let (y0, y1) = (&between.0[..], &between.1[..]);
        if y0.len() <= FEW {
            return row_norm((0, y0.len()), (y0, y1), h0, terms, norm);
        }
        let sum = unrolled!(
            terms.len(),
            J => sum_of_squares::<F, J>((y0, y1), h0, terms, norm),
            many => return row_norm((0, y0.len()), (y0, y1), h0, terms, norm)
        );
        (sum / y0.len() as f64).sqrt()
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
