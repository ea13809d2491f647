//! **Combinations** `y + h·(c₁k₁ + c₂k₂ + …)` of stages, in one pass over memory:
//! every stage is read once and the result written once, eight numbers at a
//! time, with as many terms as the row of the tableau has. Every way adds in
//! this order, so that a row has the same bits in any batch.

use super::{LANES, Terms, cast, unrolled};
use crate::vectors::{Vectorized, widest};
use ndarray::NdFloat;
use std::hint::black_box;

/// `out ← y + hᵣ·Σ c·k` for rows of `d` numbers, with one step for all or one
/// for each row.
pub(super) fn combined<F: NdFloat>(
    d: usize,
    (out, y): (&mut [F], &[F]),
    h: &[f64],
    terms: Terms<'_, F>,
) {
    if let [h] = h {
        let h = cast(*h);
        match y.len() {
            1 => return few::<F, 1>((out, y), h, terms),
            2 => return few::<F, 2>((out, y), h, terms),
            3 => return few::<F, 3>((out, y), h, terms),
            4 => return few::<F, 4>((out, y), h, terms),
            _ => (),
        }
    }
    unrolled!(terms.len(), J => combine::<F, J>(d, (out, y), h, terms), many => {
        for (i, out) in out.iter_mut().enumerate() {
            let h = if h.len() == 1 { h[0] } else { h[i / d] };
            *out = single(y[i], cast(h), i, terms);
        }
    });
}

/// `out ← y + h·Σ c·k` for `N` numbers, so few that setting up a loop over
/// vectors would take longer.
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

/// A pass over memory with a known number of terms: `of_chunk` has the steps of
/// the numbers of a chunk, and `of` that of a number, for those that fill none.
struct Pass<'a, F, C, S, const J: usize> {
    out: &'a mut [F],
    y: &'a [F],
    terms: Terms<'a, F>,
    of_chunk: C,
    of: S,
}

impl<F, C, S, const J: usize> Vectorized for Pass<'_, F, C, S, J>
where
    F: NdFloat,
    C: Fn(usize) -> [F; LANES],
    S: Fn(usize) -> F,
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (terms, n) = (self.terms, self.out.len());
        let c: [F; J] = std::array::from_fn(|j| cast(terms[j].0));
        let k: [&[[F; LANES]]; J] = std::array::from_fn(|j| terms[j].1[..n].as_chunks().0);
        let (chunks, rest) = self.out.as_chunks_mut::<LANES>();
        for (place, (out, y)) in chunks.iter_mut().zip(self.y.as_chunks().0).enumerate() {
            let k = std::array::from_fn(|j| &k[j][place]);
            chunk((out, y), (self.of_chunk)(place), (c, k));
            // A chunk is the vector. Without this, which is no instruction, the
            // compiler takes the same place of several chunks for one, and
            // gathers them: three times slower.
            black_box(());
        }
        for (i, out) in (n - rest.len()..).zip(rest) {
            *out = single(self.y[i], (self.of)(i), i, terms);
        }
    }
}

/// `out ← y + hᵣ·Σ c·k` with `J` terms.
fn combine<F: NdFloat, const J: usize>(
    dimension: usize,
    (out, y): (&mut [F], &[F]),
    h: &[f64],
    terms: Terms<'_, F>,
) {
    /// The steps of a chunk's `R` rows.
    #[inline(always)]
    fn rows<F: NdFloat, const R: usize>(h: &[f64], place: usize) -> [F; R] {
        h.as_chunks().0[place].map(cast)
    }
    /// The pass.
    fn pass<F: NdFloat, const J: usize>(
        (out, y): (&mut [F], &[F]),
        terms: Terms<'_, F>,
        of_chunk: impl Fn(usize) -> [F; LANES],
        of: impl Fn(usize) -> F,
    ) {
        widest(Pass::<F, _, _, J> {
            out,
            y,
            terms,
            of_chunk,
            of,
        });
    }
    let numbers = (out, y);
    if let [h] = h {
        let h = cast::<F>(*h);
        return pass::<F, J>(numbers, terms, |_| [h; LANES], |_| h);
    }
    let of = |i: usize| cast::<F>(h[i / dimension]);
    match dimension {
        1 => pass::<F, J>(numbers, terms, |place| rows(h, place), of),
        2 => {
            let steps = |place| {
                let [a, b, c, d] = rows(h, place);
                [a, a, b, b, c, c, d, d]
            };
            pass::<F, J>(numbers, terms, steps, of);
        }
        4 => {
            let steps = |place| {
                let [a, b] = rows(h, place);
                [a, a, a, a, b, b, b, b]
            };
            pass::<F, J>(numbers, terms, steps, of);
        }
        d if d.is_multiple_of(LANES) => {
            pass::<F, J>(numbers, terms, |place| [of(LANES * place); LANES], of);
        }
        _ => {
            let steps = |place| std::array::from_fn(|l| of(LANES * place + l));
            pass::<F, J>(numbers, terms, steps, of);
        }
    }
}
