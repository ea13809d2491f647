//! **Rearrangements**: the [linear maps](crate::Linear) on arrays in memory.
//!
//! Each map along an axis is a loop over the view `[outer, n, inner]` of
//! [`Shape::around`]; maps over several axes are done one axis at a time.
//! Sums are pairwise, so their rounding error grows with `log n`, and their
//! order depends on shapes only.

use super::Cpu;
use super::permute::permute;
use crate::algebra::Algebra;
use crate::linear::{End, Linear};
use crate::real::Real;
use crate::shape::Shape;

/// `y = Lx`.
pub(super) fn apply<F: Real>(op: &Linear, x: Cpu<F>) -> Cpu<F> {
    let shape = x.shape();
    let out = op.output(&shape);
    let elements = match op {
        Linear::Reshape { .. } => return reshape(x, &out),
        Linear::Scale(c) => return scale(x, F::from_f64(*c)),
        Linear::Permute { axes } => return permute(x, &axes[..shape.rank()], &out),
        Linear::Broadcast { .. } => broadcast(x.elements(), &shape, &out),
        Linear::Sum { .. } => sum(x.elements(), &shape, &out),
        Linear::Slice {
            axis, start, len, ..
        } => slice(x.elements(), shape.around(*axis), *start, *len),
        Linear::Pad {
            axis, start, of, ..
        } => pad(x.elements(), shape.around(*axis), *start, *of),
        Linear::Gather { axis, index, .. } => {
            gather(x.elements(), shape.around(*axis), index.as_slice())
        }
        Linear::ScatterAdd { axis, index, of } => {
            scatter_add(x.elements(), shape.around(*axis), index.as_slice(), *of)
        }
        Linear::Unfold { axis, windows } => {
            let places: Vec<usize> = windows.places().collect();
            gather(x.elements(), shape.around(*axis), &places)
        }
        Linear::Fold { axis, windows } => {
            let places: Vec<usize> = windows.places().collect();
            let (outer, n, inner) = shape.around(*axis);
            let around = (outer, n * windows.size, inner / windows.size);
            scatter_add(x.elements(), around, &places, windows.of)
        }
        Linear::Diagonal { matrix } => diagonal(x.elements(), *matrix),
        Linear::EmbedDiagonal { matrix } => embed_diagonal(x.elements(), *matrix),
        Linear::Roll { axis, by, .. } => roll(x.elements(), shape.around(*axis), *by),
        Linear::Flip { axis } => flip(x.elements(), shape.around(*axis)),
        Linear::Cumsum { axis, from } => cumsum(x.elements(), shape.around(*axis), *from),
    };
    Cpu::from_vec(&out, elements)
}

pub(super) fn reshape<F: Real>(x: Cpu<F>, to: &Shape) -> Cpu<F> {
    let array = x.0.into_shape_with_order(ndarray::IxDyn(to));
    Cpu(array.expect("the number of elements was checked"))
}

fn scale<F: Real>(x: Cpu<F>, c: F) -> Cpu<F> {
    x.update(
        |x| x.iter_mut().for_each(|x| *x *= c),
        |x| x.iter().map(|&x| x * c).collect(),
    )
}

fn broadcast<F: Real>(x: &[F], from: &Shape, to: &Shape) -> Vec<F> {
    let rank = to.rank();
    let mut current = Shape::new(&from.aligned(rank)[..rank]);
    let mut y = x.to_vec();
    // Innermost first, so that outer repetitions copy long runs.
    for axis in (0..rank).rev() {
        if current[axis] == to[axis] {
            continue;
        }
        let (outer, _, inner) = current.around(axis);
        let n = to[axis];
        let mut out = Vec::with_capacity(outer * n * inner);
        for o in 0..outer {
            let run = &y[o * inner..(o + 1) * inner];
            if let [one] = run {
                out.extend(std::iter::repeat_n(*one, n));
            } else {
                (0..n).for_each(|_| out.extend_from_slice(run));
            }
        }
        current = current.with(axis, n);
        y = out;
    }
    y
}

fn sum<F: Real>(x: &[F], from: &Shape, to: &Shape) -> Vec<F> {
    let rank = from.rank();
    let target = to.aligned(rank);
    let mut current = *from;
    let mut y: Option<Vec<F>> = None;
    for (axis, &extent) in target[..rank].iter().enumerate() {
        if current[axis] == extent {
            continue;
        }
        let (outer, n, inner) = current.around(axis);
        let source = y.as_deref().unwrap_or(x);
        let mut out = vec![F::zero(); outer * inner];
        for o in 0..outer {
            let block = &source[o * n * inner..(o + 1) * n * inner];
            if inner == 1 {
                out[o] = pairwise(block);
            } else {
                F::column_sums(block, &mut out[o * inner..(o + 1) * inner]);
            }
        }
        current = current.with(axis, 1);
        y = Some(out);
    }
    y.unwrap_or_else(|| x.to_vec())
}

/// Below this length a sum is a plain loop of eight independent lanes.
const PAIRWISE_BASE: usize = 256;

/// A sum whose rounding error is at most `(log₂(n/256) + 256/8 + 3)·ε·Σ|xᵢ|`.
fn pairwise<F: Real>(x: &[F]) -> F {
    if x.len() > PAIRWISE_BASE {
        // A multiple of the lanes, so that only the last block has a tail.
        let half = (x.len() / 2).next_multiple_of(8);
        return pairwise(&x[..half]) + pairwise(&x[half..]);
    }
    let mut lanes = [F::zero(); 8];
    let chunks = x.chunks_exact(8);
    let tail = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane += x;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

type Around = (usize, usize, usize);

fn slice<F: Real>(x: &[F], (outer, n, inner): Around, start: usize, len: usize) -> Vec<F> {
    let mut y = Vec::with_capacity(outer * len * inner);
    for o in 0..outer {
        let begin = (o * n + start) * inner;
        y.extend_from_slice(&x[begin..begin + len * inner]);
    }
    y
}

fn pad<F: Real>(x: &[F], (outer, n, inner): Around, start: usize, of: usize) -> Vec<F> {
    let mut y = vec![F::zero(); outer * of * inner];
    for o in 0..outer {
        let begin = (o * of + start) * inner;
        y[begin..begin + n * inner].copy_from_slice(&x[o * n * inner..(o + 1) * n * inner]);
    }
    y
}

fn gather<F: Real>(x: &[F], (outer, n, inner): Around, index: &[usize]) -> Vec<F> {
    let mut y = Vec::with_capacity(outer * index.len() * inner);
    for o in 0..outer {
        let block = &x[o * n * inner..(o + 1) * n * inner];
        if inner == 1 {
            y.extend(index.iter().map(|&place| block[place]));
        } else {
            for &place in index {
                y.extend_from_slice(&block[place * inner..(place + 1) * inner]);
            }
        }
    }
    y
}

fn scatter_add<F: Real>(x: &[F], (outer, n, inner): Around, index: &[usize], of: usize) -> Vec<F> {
    let mut y = vec![F::zero(); outer * of * inner];
    for o in 0..outer {
        let source = &x[o * n * inner..(o + 1) * n * inner];
        let sums = &mut y[o * of * inner..(o + 1) * of * inner];
        for (i, &place) in index.iter().enumerate() {
            let run = &source[i * inner..(i + 1) * inner];
            for (y, &x) in sums[place * inner..(place + 1) * inner].iter_mut().zip(run) {
                *y += x;
            }
        }
    }
    y
}

fn diagonal<F: Real>(x: &[F], [m, n]: [usize; 2]) -> Vec<F> {
    let matrices = x.chunks_exact((m * n).max(1));
    matrices
        .flat_map(|matrix| matrix.iter().step_by(n + 1).take(m.min(n)))
        .copied()
        .collect()
}

fn embed_diagonal<F: Real>(x: &[F], [m, n]: [usize; 2]) -> Vec<F> {
    let length = m.min(n).max(1);
    let mut y = vec![F::zero(); x.len() / length * m * n];
    let matrices = y.chunks_exact_mut((m * n).max(1));
    for (matrix, diagonal) in matrices.zip(x.chunks_exact(length)) {
        for (y, &x) in matrix.iter_mut().step_by(n + 1).zip(diagonal) {
            *y = x;
        }
    }
    y
}

fn roll<F: Real>(x: &[F], (outer, n, inner): Around, by: usize) -> Vec<F> {
    let mut y = x.to_vec();
    for o in 0..outer {
        y[o * n * inner..(o + 1) * n * inner].rotate_right(by * inner);
    }
    y
}

fn flip<F: Real>(x: &[F], (outer, n, inner): Around) -> Vec<F> {
    let mut y = Vec::with_capacity(x.len());
    for o in 0..outer {
        for k in (0..n).rev() {
            let begin = (o * n + k) * inner;
            y.extend_from_slice(&x[begin..begin + inner]);
        }
    }
    y
}

fn cumsum<F: Real>(x: &[F], (outer, n, inner): Around, from: End) -> Vec<F> {
    let mut y = x.to_vec();
    for o in 0..outer {
        for step in 1..n {
            let (place, earlier) = match from {
                End::First => (step, step - 1),
                End::Last => (n - 1 - step, n - step),
            };
            for i in 0..inner {
                let before = y[(o * n + earlier) * inner + i];
                y[(o * n + place) * inner + i] += before;
            }
        }
    }
    y
}

/// Arrays one behind the other.
pub(super) fn concat<F: Real>(parts: &[Cpu<F>], axis: usize) -> Cpu<F> {
    let extent: usize = parts.iter().map(|p| p.shape()[axis]).sum();
    let shape = parts[0].shape().with(axis, extent);
    let outer = shape.around(axis).0;
    let mut y = Vec::with_capacity(shape.count());
    for o in 0..outer {
        for part in parts {
            let (_, n, inner) = part.shape().around(axis);
            y.extend_from_slice(&part.elements()[o * n * inner..(o + 1) * n * inner]);
        }
    }
    Cpu::from_vec(&shape, y)
}

/// The largest along an axis, −∞ for an empty one; NaN wins.
pub(super) fn max_axis<F: Real>(x: &Cpu<F>, axis: usize) -> Cpu<F> {
    let (outer, n, inner) = x.shape().around(axis);
    let mut y = vec![F::neg_infinity(); outer * inner];
    for o in 0..outer {
        for k in 0..n {
            let row = &x.elements()[(o * n + k) * inner..][..inner];
            for (y, &x) in y[o * inner..(o + 1) * inner].iter_mut().zip(row) {
                if x > *y || x.is_nan() {
                    *y = x;
                }
            }
        }
    }
    Cpu::from_vec(&x.shape().with(axis, 1), y)
}
