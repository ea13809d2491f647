//! **Combinations** `y + h·(c₁k₁ + c₂k₂ + …)` of stages, in one pass over memory:
//! every stage is read once and the result written once, eight numbers at a
//! time, with as many terms as the row of the tableau has. Every way adds in
//! this order, so that a row has the same bits in any batch.

use super::{LANES, Terms, cast, unrolled};
use ndarray::NdFloat;

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
