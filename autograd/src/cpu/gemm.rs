//! temporary
use crate::algebra::Transpose;
macro_rules! g {
    ($n:ident, $t:ty) => {
        pub(crate) fn $n(
            ta: Transpose,
            tb: Transpose,
            m: usize,
            n: usize,
            k: usize,
            a: &[$t],
            b: &[$t],
            c: &mut [$t],
            acc: bool,
        ) {
            for i in 0..m {
                for j in 0..n {
                    let mut s = 0.0;
                    for p in 0..k {
                        let x = if ta == Transpose::No {
                            a[i * k + p]
                        } else {
                            a[p * m + i]
                        };
                        let y = if tb == Transpose::No {
                            b[p * n + j]
                        } else {
                            b[j * k + p]
                        };
                        s += x * y;
                    }
                    if acc {
                        c[i * n + j] += s
                    } else {
                        c[i * n + j] = s
                    }
                }
            }
        }
    };
}
g!(gemm_f32, f32);
g!(gemm_f64, f64);
