//! **Products of matrices**, as cuBLAS defines them.
//!
//! ```math
//! C \leftarrow \alpha\,\mathrm{op}(A)\,\mathrm{op}(B) + \beta\,C
//! ```
//!
//! All matrices are column-major with a leading extent. Sums are made in
//! double precision and rounded once: this is the definition, not cuBLAS's own
//! rounding. Where `β = 0`, `C` is not read.

#![expect(unsafe_code, reason = "matrices lie in device memory")]

use crate::memory::Memory;
use crate::world::answer::INVALID_VALUE;

/// A matrix in memory: how its elements are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    pub(crate) at: usize,
    /// Elements from a column to the next.
    pub(crate) leading: usize,
    /// Elements from a matrix of a stack to the next.
    pub(crate) stride: usize,
    pub(crate) transposed: bool,
}

/// A product, or a stack of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gemm {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) count: usize,
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
    pub(crate) a: Matrix,
    pub(crate) b: Matrix,
    pub(crate) c: Matrix,
    pub(crate) format: Format,
}

/// What the factors are, and how they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Single precision as it stands.
    Single,
    /// Single precision, rounded to 10 bits behind the point.
    Tf32,
    /// Numbers of 16 bits, 7 of them behind the point.
    Bf16,
}

impl Format {
    /// Bytes of a number in memory.
    fn bytes(self) -> usize {
        match self {
            Format::Single | Format::Tf32 => 4,
            Format::Bf16 => 2,
        }
    }
}

impl Matrix {
    /// Elements from the first to past the last of a stack, for `rows` by
    /// `columns` after transposition; `None` if the leading extent is short.
    fn reach(&self, rows: usize, columns: usize, count: usize) -> Option<usize> {
        let (rows, columns) = match self.transposed {
            true => (columns, rows),
            false => (rows, columns),
        };
        if self.leading < rows.max(1) {
            return None;
        }
        match rows * columns * count {
            0 => Some(0),
            _ => Some((count - 1) * self.stride + (columns - 1) * self.leading + rows),
        }
    }

    fn element(&self, bytes: usize, stack: usize, row: usize, column: usize) -> usize {
        let (row, column) = match self.transposed {
            true => (column, row),
            false => (row, column),
        };
        let place = stack * self.stride + column * self.leading + row;
        self.at + place * bytes
    }
}

impl Gemm {
    /// Checks that the matrices lie inside allocations, and multiplies.
    pub(crate) fn perform(&self, memory: &mut Memory) -> Result<(), u32> {
        let Gemm { m, n, k, count, .. } = *self;
        let read = self.format.bytes();
        for (matrix, rows, columns, bytes) in [
            (self.a, m, k, read),
            (self.b, k, n, read),
            (self.c, m, n, size_of::<f32>()),
        ] {
            let reach = matrix.reach(rows, columns, count).ok_or(INVALID_VALUE)?;
            if reach > 0 && !memory.holds(matrix.at, reach * bytes) {
                return Err(INVALID_VALUE);
            }
        }
        for stack in 0..count {
            for column in 0..n {
                for row in 0..m {
                    self.one(stack, row, column);
                }
            }
        }
        Ok(())
    }

    /// One element of the result.
    fn one(&self, stack: usize, row: usize, column: usize) {
        let read = |matrix: Matrix, row, column| {
            let at = matrix.element(self.format.bytes(), stack, row, column);
            // SAFETY: `perform` has checked that allocations hold the matrices.
            let single = || unsafe { (at as *const f32).read() };
            // SAFETY: as above.
            let half = || unsafe { (at as *const u16).read() };
            f64::from(match self.format {
                Format::Single => single(),
                Format::Tf32 => to_tf32(single()),
                Format::Bf16 => f32::from_bits(u32::from(half()) << 16),
            })
        };
        let products = (0..self.k).map(|i| read(self.a, row, i) * read(self.b, i, column));
        let sum: f64 = products.sum::<f64>() * f64::from(self.alpha);
        let c = self.c.element(size_of::<f32>(), stack, row, column) as *mut f32;
        let before = match self.beta {
            0.0 => 0.0,
            // SAFETY: as above.
            beta => f64::from(beta) * f64::from(unsafe { c.read() }),
        };
        // SAFETY: as above.
        unsafe { c.write((sum + before) as f32) };
    }
}

/// To the nearest number with 10 bits behind the point, ties to even.
fn to_tf32(x: f32) -> f32 {
    let bits = x.to_bits();
    if !x.is_finite() {
        return x;
    }
    let odd = bits >> 13 & 1;
    f32::from_bits((bits + 0xFFF + odd) & !0x1FFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tf32_keeps_ten_bits() {
        let step = f32::powi(2.0, -10);
        assert_eq!(to_tf32(1.0 + step), 1.0 + step);
        assert_eq!(to_tf32(1.0 + 0.5 * step), 1.0, "a tie goes to the even one");
        assert_eq!(to_tf32(1.0 + 1.5 * step), 1.0 + 2.0 * step);
        assert!(to_tf32(f32::NAN).is_nan() && to_tf32(f32::INFINITY).is_infinite());
    }

    #[test]
    fn a_matrix_past_its_allocation_is_refused() {
        let mut memory = Memory::default();
        let at = memory.allocate(4 * 6).expect("there is room");
        let matrix = |leading, transposed| Matrix {
            at,
            leading,
            stride: 0,
            transposed,
        };
        let gemm = |leading, format| Gemm {
            m: 2,
            n: 2,
            k: 3,
            count: 1,
            alpha: 0.0,
            beta: 0.0,
            a: matrix(leading, false),
            b: matrix(3, false),
            c: matrix(2, false),
            format,
        };
        let mut outcome = |leading, format| gemm(leading, format).perform(&mut memory);
        let outcomes = [
            (1, Format::Single),
            (3, Format::Single),
            (2, Format::Single),
        ];
        let [short, past, fits] = outcomes.map(|(leading, format)| outcome(leading, format));
        assert_eq!(short, Err(INVALID_VALUE), "leading short");
        assert_eq!(past, Err(INVALID_VALUE), "past the end");
        assert_eq!(fits, Ok(()));
        // Half the bytes a number: twice as many fit.
        let [fits, past] = [4, 5].map(|leading| outcome(leading, Format::Bf16));
        assert_eq!((fits, past), (Ok(()), Ok(())));
        let past = gemm(6, Format::Bf16).perform(&mut memory);
        assert_eq!(past, Err(INVALID_VALUE), "past the end of half the bytes");
    }
}
