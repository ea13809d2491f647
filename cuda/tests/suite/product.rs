//! cuBLAS with row-major matrices, against the definition in `f64`.

use crate::oracle::{close, numbers, product, product_bound};
use crate::place::device;
use cuda::{Factor, Precision, matmul};

#[test]
fn every_transposition_of_row_major_factors() {
    let device = device();
    for mnk in [
        [1, 1, 1],
        [3, 5, 2],
        [31, 33, 17],
        [5, 0, 3],
        [4, 6, 0],
        [40, 2, 65],
    ] {
        let [m, n, k] = mnk;
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            let count = 3;
            let (a, b) = (numbers(count * m * k, 1), numbers(count * k * n, 2));
            let on_device = [&a, &b].map(|x| device.upload(x).expect("there is room"));
            let factor = |i: usize, transposed| Factor {
                numbers: &on_device[i],
                transposed,
            };
            let factors = (factor(0, ta), factor(1, tb));
            let c = matmul(factors.0, factors.1, count, mnk, Precision::F32);
            let c = c.and_then(|c| c.download()).expect("no fault");
            let exact: Vec<f64> = (0..count)
                .flat_map(|stack| {
                    let read = |x: &[f32], t, rows, columns, r, c| {
                        let (at, row) = if t { (c, rows) } else { (r, columns) };
                        let place = at * row + if t { r } else { c };
                        x[stack * rows * columns + place]
                    };
                    product(
                        mnk,
                        |r, c| read(&a, ta, m, k, r, c),
                        |r, c| read(&b, tb, k, n, r, c),
                    )
                })
                .collect();
            close(&c, &exact, product_bound(k));
        }
    }
}

#[test]
fn tf32_is_coarser_but_within_its_bits() {
    let device = device();
    let mnk @ [m, n, k] = [8, 8, 64];
    let (a, b) = (numbers(m * k, 3), numbers(k * n, 4));
    let on_device = [&a, &b].map(|x| device.upload(x).expect("there is room"));
    let (fa, fb) = (Factor::plain(&on_device[0]), Factor::plain(&on_device[1]));
    let multiply = |precision| {
        let c = matmul(fa, fb, 1, mnk, precision);
        c.and_then(|c| c.download()).expect("no fault")
    };
    let exact = product(mnk, |r, c| a[r * k + c], |r, c| b[r * n + c]);
    // Two factors rounded to 11 bits, k products below 1.
    close(
        &multiply(Precision::Tf32),
        &exact,
        k as f64 * f64::powi(2.0, -10),
    );
    assert_ne!(multiply(Precision::Tf32), multiply(Precision::F32));
}

#[test]
fn factors_of_the_wrong_size_are_refused() {
    let device = device();
    let x = device.zeros::<f32>(6).expect("there is room");
    let outcome = matmul(
        Factor::plain(&x),
        Factor::plain(&x),
        1,
        [2, 2, 4],
        Precision::F32,
    );
    let error = outcome.expect_err("six are not eight").to_string();
    assert_eq!(error, "matmul: 6 numbers; expected 1 matrices of [2, 4]");
}
