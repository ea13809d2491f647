//! **Register tile** of the matrix product, for AVX-512.
//!
//! A tile of up to 14 rows and 32 columns of `C` is held in 28 registers while
//! the loop over `k` reads two vectors of a panel of `op(B)` and broadcasts
//! one element of `op(A)` for each row: 28 fused multiply-adds on 2 + 14
//! loads, so the arithmetic units, not the loads, set the pace.

#![allow(unsafe_code, reason = "vector intrinsics and unchecked tile addresses")]

use super::gemm::Strides;
use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_set1_ps, _mm512_setzero_ps,
};

/// Columns of a tile: two vectors.
pub(crate) const PANEL: usize = 32;
/// Rows of a tile: 2 × 14 of 32 registers, the rest for operands.
pub(crate) const TILE_ROWS: usize = 14;

/// Which part of the tile exists, and where `C` lies.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// 1 to 14.
    pub(crate) rows: usize,
    /// 1 to 32.
    pub(crate) columns: usize,
    /// Elements from one row of `C` to the next.
    pub(crate) row_stride: usize,
    /// Whether to add to `C`, or to overwrite it.
    pub(crate) add: bool,
}

/// `C (+)= op(A)·panel` for one tile. The panel has 32 elements for each `k`.
///
/// # Panics
/// If a slice is too short, or the machine has no AVX-512.
pub(crate) fn multiply(a: &[f32], strides: Strides, panel: &[f32], c: &mut [f32], place: Place) {
    let depth = panel.len() / PANEL;
    let Place {
        rows,
        columns,
        row_stride,
        ..
    } = place;
    assert!(
        (1..=TILE_ROWS).contains(&rows) && (1..=PANEL).contains(&columns) && depth > 0,
        "a tile of {rows} by {columns}, depth {depth}"
    );
    let last_a = (rows - 1) * strides.rows + (depth - 1) * strides.columns;
    let last_c = (rows - 1) * row_stride + columns - 1;
    assert!(
        last_a < a.len() && last_c < c.len(),
        "the tile lies inside A and C"
    );
    assert!(super::dispatch::has_avx512(), "the tile needs AVX-512");
    // SAFETY: AVX-512 was detected; `rows`, `columns` and `depth` were checked
    // to keep every address inside `a`, `panel` and `c`.
    unsafe {
        match rows {
            1 => tile::<1>(a, strides, panel, c, place),
            2 => tile::<2>(a, strides, panel, c, place),
            3 => tile::<3>(a, strides, panel, c, place),
            4 => tile::<4>(a, strides, panel, c, place),
            5 => tile::<5>(a, strides, panel, c, place),
            6 => tile::<6>(a, strides, panel, c, place),
            7 => tile::<7>(a, strides, panel, c, place),
            8 => tile::<8>(a, strides, panel, c, place),
            9 => tile::<9>(a, strides, panel, c, place),
            10 => tile::<10>(a, strides, panel, c, place),
            11 => tile::<11>(a, strides, panel, c, place),
            12 => tile::<12>(a, strides, panel, c, place),
            13 => tile::<13>(a, strides, panel, c, place),
            _ => tile::<14>(a, strides, panel, c, place),
        }
    }
}

/// One tile with `R` rows.
///
/// # Safety
/// `a` reaches to `(R−1)·rows + (depth−1)·columns`, `c` to
/// `(R−1)·row_stride + columns − 1`, and `panel` has 32 elements for each of
/// the `depth` steps.
#[target_feature(enable = "avx512f")]
unsafe fn tile<const R: usize>(
    a: &[f32],
    strides: Strides,
    panel: &[f32],
    c: &mut [f32],
    place: Place,
) {
    let mask = u32::MAX >> (PANEL - place.columns);
    let (low, high) = (mask as u16, (mask >> 16) as u16);
    let depth = panel.len() / PANEL;
    let (a, panel, c) = (a.as_ptr(), panel.as_ptr(), c.as_mut_ptr());
    let mut sum: [[__m512; 2]; R] = [[_mm512_setzero_ps(); 2]; R];
    // SAFETY: all addresses are inside the slices by this function's contract;
    // columns beyond the tile's are masked out of loads and stores of `c`, and
    // an address all of whose lanes are masked is not touched.
    unsafe {
        if place.add {
            for (i, sum) in sum.iter_mut().enumerate() {
                let row = c.add(i * place.row_stride);
                *sum = [
                    _mm512_maskz_loadu_ps(low, row),
                    _mm512_maskz_loadu_ps(high, row.wrapping_add(16)),
                ];
            }
        }
        for p in 0..depth {
            let b0 = _mm512_loadu_ps(panel.add(p * PANEL));
            let b1 = _mm512_loadu_ps(panel.add(p * PANEL + 16));
            let column = a.add(p * strides.columns);
            for (i, sum) in sum.iter_mut().enumerate() {
                let x = _mm512_set1_ps(*column.add(i * strides.rows));
                sum[0] = _mm512_fmadd_ps(x, b0, sum[0]);
                sum[1] = _mm512_fmadd_ps(x, b1, sum[1]);
            }
        }
        for (i, sum) in sum.iter().enumerate() {
            let row = c.add(i * place.row_stride);
            _mm512_mask_storeu_ps(row, low, sum[0]);
            _mm512_mask_storeu_ps(row.wrapping_add(16), high, sum[1]);
        }
    }
}
