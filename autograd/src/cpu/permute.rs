//! **Permutation of axes** in memory.
//!
//! Axes that stay neighbours are one axis, and axes of extent 1 are none. If
//! then a single axis is left, nothing moves. If the last axis stays the last,
//! whole runs are copied. Otherwise two axes matter: the one that runs through
//! memory in the argument and the one that does so in the result. They are
//! transposed in tiles, for each place on the other axes.

use super::Cpu;
use crate::algebra::Algebra;
use crate::real::Real;
use crate::shape::Shape;

/// Edge of the square tiles in which a matrix is transposed: two tiles of
/// `f32` fill 8 KiB, a quarter of the smallest first-level cache in use.
const TILE: usize = 32;

/// An axis with its strides in the argument and in the result.
#[derive(Clone, Copy, Debug)]
struct Axis {
    extent: usize,
    from: usize,
    to: usize,
}

/// Axis `i` of the result is axis `axes[i]` of the argument.
pub(super) fn permute<F: Real>(x: Cpu<F>, axes: &[u8], out: &Shape) -> Cpu<F> {
    let mut axes = merged(&x.shape(), axes);
    let last = axes.pop();
    let Some(last) = last.filter(|_| !axes.is_empty() && out.count() > 0) else {
        return super::rearrange::reshape(x, out);
    };
    // The axis that runs through the argument goes before the last.
    if let Some(place) = axes.iter().position(|axis| axis.from == 1) {
        let across = axes.remove(place);
        axes.push(across);
    }
    let mut y = vec![F::zero(); out.count()];
    copy(&axes, last, x.elements(), &mut y);
    Cpu::from_vec(out, y)
}

/// The axes of the result, those of extent 1 left out, neighbours merged.
fn merged(shape: &Shape, axes: &[u8]) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len());
    let mut to = shape.count();
    for &axis in axes {
        let (_, extent, from) = shape.around(usize::from(axis));
        if extent == 1 {
            continue;
        }
        to = to.checked_div(extent).unwrap_or(0);
        match merged.last_mut() {
            Some(before) if before.from == extent * from => {
                let extent = before.extent * extent;
                *before = Axis { extent, from, to };
            }
            _ => merged.push(Axis { extent, from, to }),
        }
    }
    merged
}

/// Copies what lies on the outer axes, one after the other.
fn copy<F: Real>(outer: &[Axis], last: Axis, x: &[F], y: &mut [F]) {
    match outer {
        [across] if across.from == 1 => transpose(*across, last, x, y),
        [] => y[..last.extent].copy_from_slice(&x[..last.extent]),
        [first, rest @ ..] => {
            for i in 0..first.extent {
                copy(rest, last, &x[i * first.from..], &mut y[i * first.to..]);
            }
        }
    }
}

/// One axis runs through the argument, the other through the result.
fn transpose<F: Real>(across: Axis, last: Axis, x: &[F], y: &mut [F]) {
    for i0 in (0..across.extent).step_by(TILE) {
        for j0 in (0..last.extent).step_by(TILE) {
            let height = TILE.min(last.extent - j0);
            for i in i0..across.extent.min(i0 + TILE) {
                let row = &mut y[i * across.to + j0..][..height];
                let column = x[i + j0 * last.from..].iter().step_by(last.from);
                for (y, &x) in row.iter_mut().zip(column) {
                    *y = x;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::{Draw, Philox};
    use rand::RngExt;

    /// Every element, place by place, for random shapes of every rank: extents
    /// 0 and 1, single tiles and several.
    #[test]
    fn every_element_is_where_its_indices_say() {
        for seed in 0..600 {
            let mut rng = Philox::new(Draw::seed(seed));
            let rank = rng.random_range(0..=6);
            let mut extents: Vec<usize> = (0..rank).map(|_| rng.random_range(1..=4)).collect();
            for _ in 0..rank.min(2) {
                extents[rng.random_range(0..rank)] = rng.random_range(0..=TILE + 8);
            }
            let shape = Shape::new(&extents);
            let mut axes: Vec<u8> = (0..rank as u8).collect();
            for i in (1..rank).rev() {
                axes.swap(i, rng.random_range(0..=i));
            }
            let permuted: Vec<usize> = axes.iter().map(|&a| extents[usize::from(a)]).collect();
            let out = Shape::new(&permuted);
            let x = Cpu::from_vec(&shape, (0..shape.count()).map(|i| i as f64).collect());
            let y = permute(x, &axes, &out);
            assert_eq!(y.shape(), out, "seed {seed}: {shape} by {axes:?}");
            for (place, &found) in y.elements().iter().enumerate() {
                let mut expected = 0;
                for (i, &axis) in axes.iter().enumerate() {
                    let (_, n, inner) = out.around(i);
                    expected += place / inner % n * shape.around(usize::from(axis)).2;
                }
                assert_eq!(found, expected as f64, "seed {seed}: {shape} by {axes:?}");
            }
        }
    }
}
