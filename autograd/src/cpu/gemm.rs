//! **Matrix product** `C = op(A)·op(B)`, the flops of everything else.
//!
//! In `f32` with AVX-512 the product is ours: `op(B)` is packed once into
//! panels of 32 columns, and a register tile of 14 × 32 ([`super::tile`])
//! walks over `op(A)` where it lies. Elsewhere it is `matrixmultiply`, through
//! `ndarray`.
//!
//! Each element of `C` is accumulated over `k` in ascending order, whatever
//! the other extents: cutting `C` into blocks of rows, for the cache or for
//! threads, changes no bit.

use crate::algebra::Transpose;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::tile::{self, PANEL, TILE_ROWS};

/// A matrix as it lies in memory: element `(i, j)` at `i·rows + j·columns`.
#[derive(Clone, Copy)]
pub(crate) struct Strides {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Strides {
    /// Of `op(X)` where `X` is stored row-major with `stored` columns.
    fn of(transpose: Transpose, stored: usize) -> Self {
        match transpose {
            Transpose::No => Strides {
                rows: stored,
                columns: 1,
            },
            Transpose::Yes => Strides {
                rows: 1,
                columns: stored,
            },
        }
    }
}

/// Multiply-adds from which a product outside the thread pool is worth
/// spreading over it: 2²¹ take about 40 µs on one core, a hundred times what
/// waking a thread costs.
const PARALLEL_WORK: usize = 1 << 21;

/// Rows for one task, from the shape alone; a multiple of the register tile.
#[cfg(target_arch = "x86_64")]
fn rows_of_a_task(m: usize, n: usize, k: usize) -> usize {
    let alone = rayon::current_thread_index().is_none();
    if alone && m * n * k > PARALLEL_WORK {
        m.div_ceil(16).next_multiple_of(TILE_ROWS)
    } else {
        m.max(1)
    }
}

/// `C ← op(A)·op(B)` with `op(A)` of `[m, k]` and `op(B)` of `[k, n]`, all
/// row-major.
pub(crate) fn gemm_f32(
    [ta, tb]: [Transpose; 2],
    [m, n, k]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    if super::dispatch::has_avx512() && m * n > 0 {
        let a_strides = Strides::of(ta, if ta == Transpose::No { k } else { m });
        let b_strides = Strides::of(tb, if tb == Transpose::No { n } else { k });
        let packed = Packed::new(b, b_strides, k, n);
        let rows = rows_of_a_task(m, n, k);
        let task = |(block, c): (usize, &mut [f32])| {
            let a = &a[(block * rows * a_strides.rows).min(a.len())..];
            packed.multiply(a, a_strides, c);
        };
        if rows < m {
            c.par_chunks_mut(rows * n).enumerate().for_each(task);
        } else {
            task((0, c));
        }
        return;
    }
    gemm_portable([ta, tb], [m, n, k], a, b, c);
}

/// As [`gemm_f32`], in double precision, by `matrixmultiply`.
pub(crate) fn gemm_f64(t: [Transpose; 2], mnk: [usize; 3], a: &[f64], b: &[f64], c: &mut [f64]) {
    gemm_portable(t, mnk, a, b, c);
}

/// The product by `matrixmultiply`.
fn gemm_portable<F: ndarray::LinalgScalar>(
    [ta, tb]: [Transpose; 2],
    [m, n, k]: [usize; 3],
    a: &[F],
    b: &[F],
    c: &mut [F],
) {
    let view = |t, rows, columns, x| match t {
        Transpose::No => ArrayView2::from_shape((rows, columns), x),
        Transpose::Yes => {
            ArrayView2::from_shape((columns, rows), x).map(ndarray::ArrayBase::reversed_axes)
        }
    };
    let a = view(ta, m, k, a).expect("A fills its shape");
    let b = view(tb, k, n, b).expect("B fills its shape");
    let mut c = ArrayViewMut2::from_shape((m, n), c).expect("C fills its shape");
    general_mat_mul(F::one(), &a, &b, F::zero(), &mut c);
}

/// `op(B)`, repacked for the tile: blocks of [`DEPTH`] rows, in them panels of
/// 32 columns, in them the rows one after the other; zeros fill the last panel.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Packed {
    panels: Vec<f32>,
    k: usize,
    n: usize,
}

/// Rows of `op(B)` in a block: a panel of 256 × 32 `f32` fills 32 KiB, the
/// first-level cache.
#[cfg(target_arch = "x86_64")]
const DEPTH: usize = 256;

/// Rows of `op(A)` that pass over all panels together: 112 × 256 `f32` fill
/// 112 KiB of the second-level cache.
#[cfg(target_arch = "x86_64")]
const HEIGHT: usize = 8 * TILE_ROWS;

#[cfg(target_arch = "x86_64")]
impl Packed {
    /// Packs `op(B)` of `[k, n]`.
    pub(crate) fn new(b: &[f32], strides: Strides, k: usize, n: usize) -> Self {
        let padded = n.next_multiple_of(PANEL);
        let mut panels = vec![0.0; k * padded];
        for first in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - first);
            let block = &mut panels[first * padded..(first + depth) * padded];
            for (index, panel) in block.chunks_exact_mut(depth * PANEL).enumerate() {
                pack_panel(b, strides, [first, index * PANEL], n, panel);
            }
        }
        Packed { panels, k, n }
    }

    /// `C ← op(A)·op(B)` for the rows that `C` has.
    pub(crate) fn multiply(&self, a: &[f32], strides: Strides, c: &mut [f32]) {
        let (k, n) = (self.k, self.n);
        if k == 0 {
            c.fill(0.0);
            return;
        }
        let (rows, padded) = (c.len() / n, n.next_multiple_of(PANEL));
        for first in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - first);
            let block = &self.panels[first * padded..(first + depth) * padded];
            for top in (0..rows).step_by(HEIGHT) {
                let bottom = rows.min(top + HEIGHT);
                for (index, panel) in block.chunks_exact(depth * PANEL).enumerate() {
                    let column = index * PANEL;
                    for row in (top..bottom).step_by(TILE_ROWS) {
                        let place = tile::Place {
                            rows: TILE_ROWS.min(bottom - row),
                            columns: PANEL.min(n - column),
                            row_stride: n,
                            add: first > 0,
                        };
                        let a = &a[row * strides.rows + first * strides.columns..];
                        tile::multiply(a, strides, panel, &mut c[row * n + column..], place);
                    }
                }
            }
        }
    }
}

/// Copies the columns of one panel, from row `first` and column `left` on.
#[cfg(target_arch = "x86_64")]
fn pack_panel(b: &[f32], strides: Strides, [first, left]: [usize; 2], n: usize, panel: &mut [f32]) {
    let width = PANEL.min(n - left);
    for (p, row) in panel.chunks_exact_mut(PANEL).enumerate() {
        let begin = (first + p) * strides.rows + left * strides.columns;
        let row = &mut row[..width];
        if strides.columns == 1 {
            row.copy_from_slice(&b[begin..begin + width]);
        } else {
            for (j, x) in row.iter_mut().enumerate() {
                *x = b[begin + j * strides.columns];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::{Draw, Philox};
    use Transpose::{No, Yes};

    fn numbers(count: usize, stream: u32) -> Vec<f32> {
        let mut x = vec![0.0; count];
        Philox::normal_f32(Draw::seed(5).stream(stream), 0, &mut x);
        x
    }

    /// `(Σ aᵢb, Σ |aᵢb|)` in double precision, for the error bound.
    fn naive(
        [ta, tb]: [Transpose; 2],
        [m, n, k]: [usize; 3],
        a: &[f32],
        b: &[f32],
    ) -> Vec<(f64, f64)> {
        let mut out = Vec::with_capacity(m * n);
        for i in 0..m {
            for j in 0..n {
                let terms = (0..k).map(|p| {
                    let x = if ta == No { a[i * k + p] } else { a[p * m + i] };
                    let y = if tb == No { b[p * n + j] } else { b[j * k + p] };
                    f64::from(x) * f64::from(y)
                });
                out.push(terms.fold((0.0, 0.0), |(s, z), t| (s + t, z + t.abs())));
            }
        }
        out
    }

    const SHAPES: [[usize; 3]; 14] = [
        [1, 1, 1],
        [14, 32, 256],
        [15, 33, 257],
        [13, 31, 255],
        [2, 64, 3],
        [64, 2, 100],
        [100, 1, 7],
        [1, 100, 512],
        [29, 65, 1],
        [113, 40, 300],
        [7, 5, 0],
        [0, 4, 3],
        [4, 0, 3],
        [200, 70, 200],
    ];

    #[test]
    fn products_of_odd_shapes_stay_within_the_rounding_bound() {
        for mnk @ [m, n, k] in SHAPES {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            for t in [[No, No], [Yes, No], [No, Yes], [Yes, Yes]] {
                let mut single = vec![f32::NAN; m * n];
                gemm_f32(t, mnk, &a, &b, &mut single);
                let mut double = vec![f64::NAN; m * n];
                let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
                gemm_f64(t, mnk, &wide(&a), &wide(&b), &mut double);
                let exact = naive(t, mnk, &a, &b);
                for ((&(exact, size), &s), &d) in exact.iter().zip(&single).zip(&double) {
                    // Higham, Accuracy and Stability, (3.5): γₖ·Σ|aᵢ||bᵢ|.
                    let gamma = |eps: f64| 0.5 * eps * (k as f64 + 2.0) * size;
                    let error = (f64::from(s) - exact).abs();
                    assert!(
                        error <= gamma(f64::from(f32::EPSILON)),
                        "{mnk:?} {t:?} {error:e}"
                    );
                    let error = (d - exact).abs();
                    assert!(
                        error <= 2.0 * gamma(f64::EPSILON),
                        "{mnk:?} {t:?} {error:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn rows_have_the_same_bits_in_any_block() {
        let [m, n, k] = [150, 37, 300];
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let mut whole = vec![0.0; m * n];
        gemm_f32([No, No], [m, n, k], &a, &b, &mut whole);
        for rows in [1, 14, 64, 149] {
            let mut part = vec![0.0; rows * n];
            gemm_f32([No, No], [rows, n, k], &a[..rows * k], &b, &mut part);
            assert_eq!(part[..], whole[..rows * n], "{rows} rows");
        }
    }

    #[test]
    fn nan_reaches_the_result() {
        let mut c = [0.0; 2];
        gemm_f32(
            [No, No],
            [1, 2, 2],
            &[0.0, 1.0],
            &[f32::NAN, 1.0, 2.0, 3.0],
            &mut c,
        );
        assert!(c[0].is_nan() && c[1] == 3.0, "0·NaN is NaN");
    }
}
