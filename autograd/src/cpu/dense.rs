//! **Dense layer in one pass**: product, bias and function, block by block of
//! rows, each block while it is hot in the cache; and the column sums that are
//! the derivative by the bias.

use super::dispatch::{Job, dispatch};
use super::gemm::gemm_f64;
use crate::algebra::Transpose;
use crate::num::Num;
use crate::real::Real;
use rayon::prelude::*;

/// A dense layer's arguments: `x` is `[rows, inputs]`, `w` is
/// `[inputs, outputs]`, `b` is `[outputs]`, all row-major.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, F> {
    pub(crate) x: &'a [F],
    pub(crate) w: &'a [F],
    pub(crate) b: &'a [F],
    pub(crate) rows: usize,
}

impl<F> Layer<'_, F> {
    fn inputs(&self) -> usize {
        self.w.len().checked_div(self.b.len()).unwrap_or(0)
    }
}

/// Rows of a block: 112 rows of 64 outputs fill 28 KiB.
const BLOCK_ROWS: usize = 112;

/// `z ← x·w + b` where asked for, and `h ← f(z)`.
pub(crate) fn dense_f32<F>(layer: Layer<'_, f32>, f: F, z: Option<&mut [f32]>, h: &mut [f32])
where
    F: Fn(f32) -> f32 + Copy + Send + Sync,
{
    #[cfg(target_arch = "x86_64")]
    if super::dispatch::has_avx512() && !h.is_empty() {
        use super::gemm::{Packed, Strides};
        let (inputs, outputs) = (layer.inputs(), layer.b.len());
        let row_major = |columns| Strides {
            rows: columns,
            columns: 1,
        };
        let w = Packed::new(layer.w, row_major(outputs), inputs, outputs);
        blocks(layer, z, h, &|x, z, h| {
            w.multiply(x, row_major(inputs), h);
            finish(layer.b, f, z, h);
        });
        return;
    }
    whole(layer, f, z, h, super::gemm::gemm_f32);
}

/// As [`dense_f32`], in double precision.
pub(crate) fn dense_f64<F>(layer: Layer<'_, f64>, f: F, z: Option<&mut [f64]>, h: &mut [f64])
where
    F: Fn(f64) -> f64 + Copy + Send + Sync,
{
    whole(layer, f, z, h, gemm_f64);
}

type Gemm<F> = fn([Transpose; 2], [usize; 3], &[F], &[F], &mut [F]);

/// Product first, then bias and function in one pass over it.
fn whole<N, F>(layer: Layer<'_, N>, f: F, z: Option<&mut [N]>, h: &mut [N], gemm: Gemm<N>)
where
    N: Real + Num,
    F: Fn(N) -> N + Copy + Send + Sync,
{
    let mnk = [layer.rows, layer.b.len(), layer.inputs()];
    gemm([Transpose::No; 2], mnk, layer.x, layer.w, h);
    finish(layer.b, f, z, h);
}

/// What is done with one block: its rows of `x`, `z` and `h`.
type Block<'a> = &'a (dyn Fn(&[f32], Option<&mut [f32]>, &mut [f32]) + Sync);

/// Cuts the layer into blocks of rows; in parallel if there is much to do and
/// the caller is not part of a parallel region already.
fn blocks(layer: Layer<'_, f32>, z: Option<&mut [f32]>, h: &mut [f32], block: Block<'_>) {
    let (rows_x, rows_h) = (BLOCK_ROWS * layer.inputs(), BLOCK_ROWS * layer.b.len());
    let work = h.len() * layer.inputs();
    let parallel = work > 1 << 21 && rayon::current_thread_index().is_none();
    // A layer without inputs still has rows; each gets an empty slice.
    let x = |i: usize| &layer.x[(i * rows_x).min(layer.x.len())..];
    match (z, parallel) {
        (Some(z), true) => {
            let both = z.par_chunks_mut(rows_h).zip(h.par_chunks_mut(rows_h));
            both.enumerate()
                .for_each(|(i, (z, h))| block(x(i), Some(z), h));
        }
        (Some(z), false) => {
            let both = z.chunks_mut(rows_h).zip(h.chunks_mut(rows_h));
            both.enumerate()
                .for_each(|(i, (z, h))| block(x(i), Some(z), h));
        }
        (None, true) => {
            let h = h.par_chunks_mut(rows_h).enumerate();
            h.for_each(|(i, h)| block(x(i), None, h));
        }
        (None, false) => {
            let h = h.chunks_mut(rows_h).enumerate();
            h.for_each(|(i, h)| block(x(i), None, h));
        }
    }
}

/// Adds the bias to the product in `h`, keeps the sum in `z` if asked, and
/// applies the function.
struct Finish<'a, N, F> {
    b: &'a [N],
    f: F,
    z: Option<&'a mut [N]>,
    h: &'a mut [N],
}

fn finish<N: Num + Copy, F: Fn(N) -> N>(b: &[N], f: F, z: Option<&mut [N]>, h: &mut [N]) {
    dispatch(Finish { b, f, z, h });
}

impl<N: Num + Copy, F: Fn(N) -> N> Job for Finish<'_, N, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let outputs = self.b.len().max(1);
        let rows = self.h.chunks_exact_mut(outputs);
        match self.z {
            Some(z) => {
                for (h, z) in rows.zip(z.chunks_exact_mut(outputs)) {
                    for ((h, z), &b) in h.iter_mut().zip(z).zip(self.b) {
                        *z = *h + b;
                        *h = (self.f)(*z);
                    }
                }
            }
            None => {
                for h in rows {
                    for (h, &b) in h.iter_mut().zip(self.b) {
                        *h = (self.f)(*h + b);
                    }
                }
            }
        }
    }
}

/// Rows added one after the other before pairs are formed.
const SUM_BASE: usize = 64;

/// The sum of each column of a row-major matrix with `out.len()` columns:
/// pairwise over blocks of 64 rows, in an order that depends on the shape only.
pub(crate) fn column_sums<F: Real + Num>(g: &[F], out: &mut [F]) {
    let columns = out.len();
    let rows = g.len().checked_div(columns).unwrap_or(0);
    if rows <= SUM_BASE {
        dispatch(AddRows { g, out });
        return;
    }
    let half = (rows / 2).next_multiple_of(SUM_BASE);
    let (top, bottom) = g.split_at(half * columns);
    column_sums(top, out);
    let mut rest = vec![F::zero(); columns];
    column_sums(bottom, &mut rest);
    for (out, &x) in out.iter_mut().zip(&rest) {
        *out += x;
    }
}

struct AddRows<'a, F> {
    g: &'a [F],
    out: &'a mut [F],
}

impl<F: Real> Job for AddRows<'_, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        self.out.fill(F::zero());
        for row in self.g.chunks_exact(self.out.len().max(1)) {
            for (out, &x) in self.out.iter_mut().zip(row) {
                *out += x;
            }
        }
    }
}
