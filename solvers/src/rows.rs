//! **Rows**: batches of plain vectors, row after row in one buffer.

use crate::adaptive::Tolerance;
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

impl<F: NdFloat> Space for Rows<F> {
    type State = Vec<F>;

    fn rows(&self, y: &Vec<F>) -> usize {
        y.len() / self.dimension
    }

    fn combine(&self, out: &mut Vec<F>, y: &Vec<F>, h: &[f64], terms: &[(f64, &Vec<F>)]) {
        out.resize(y.len(), F::zero());
        let d = self.dimension;
        for (r, &h) in h.iter().enumerate() {
            let range = r * d..(r + 1) * d;
            let row = &mut out[range.clone()];
            row.copy_from_slice(&y[range.clone()]);
            for (c, k) in terms {
                let c = cast::<F>(h * c);
                for (out, &k) in row.iter_mut().zip(&k[range.clone()]) {
                    *out += c * k;
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
        tolerance: Tolerance,
    ) {
        let d = self.dimension;
        let wide = |x: F| x.to_f64().expect("a float is a number");
        for (r, out) in out.iter_mut().enumerate() {
            *out = tolerance.norm((r * d..(r + 1) * d).map(|i| {
                let error: f64 = terms.iter().map(|(c, k)| c * wide(k[i])).sum();
                (h[r] * error, wide(y0[i]), wide(y1[i]))
            }));
        }
    }

    fn non_finite_row(&self, y: &Vec<F>) -> Option<usize> {
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
