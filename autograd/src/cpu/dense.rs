//! temporary
use super::gemm::*;
use crate::algebra::Transpose;
macro_rules! d {
    ($n:ident, $c:ident, $g:ident, $t:ty) => {
        pub(crate) fn $n<F: Fn($t) -> $t + Copy + Send + Sync>(
            x: &[$t],
            w: &[$t],
            b: &[$t],
            rows: usize,
            inputs: usize,
            outputs: usize,
            f: F,
            z: Option<&mut [$t]>,
            h: &mut [$t],
        ) {
            $g(
                Transpose::No,
                Transpose::No,
                rows,
                outputs,
                inputs,
                x,
                w,
                h,
                false,
            );
            for r in h.chunks_mut(outputs.max(1)) {
                for (h, &b) in r.iter_mut().zip(b) {
                    *h += b
                }
            }
            if let Some(z) = z {
                z.copy_from_slice(h)
            }
            for h in h {
                *h = f(*h)
            }
        }
        pub(crate) fn $c(_rows: usize, cols: usize, g: &[$t], out: &mut [$t]) {
            out.fill(0.0);
            for r in g.chunks(cols.max(1)) {
                for (o, &x) in out.iter_mut().zip(r) {
                    *o += x
                }
            }
        }
    };
}
d!(dense_f32, column_sums_f32, gemm_f32, f32);
d!(dense_f64, column_sums_f64, gemm_f64, f64);
