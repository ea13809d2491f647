//! cuBLAS with row-major matrices, against the definition in `f64`.

use crate::oracle::{SIZES, bits, close, numbers, product, product_bound};
use crate::place::device;
use cuda::{Bf16, Device, Factor, Precision, matmul, rounded};

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
        [1025, 2, 3],
        [3, 1025, 2],
        [2, 3, 1025],
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

/// One product of matrices, on the host.
fn multiply(
    device: &Device,
    [a, b]: [&[f32]; 2],
    mnk: [usize; 3],
    precision: Precision,
) -> Vec<f32> {
    let there = [a, b].map(|x| device.upload(x).expect("there is room"));
    let [a, b] = there.each_ref().map(Factor::plain);
    let c = matmul(a, b, 1, mnk, precision);
    c.and_then(|c| c.download()).expect("no fault")
}

/// The rounding alone has the host's bits, at every size.
#[test]
fn an_array_is_rounded_as_on_the_host() {
    let device = device();
    for n in SIZES {
        let mut x = numbers(n, 5);
        for (x, special) in x.iter_mut().zip([f32::NAN, f32::MAX, -0.0, 1e-40]) {
            *x = special;
        }
        let there = device.upload(&x).expect("there is room");
        let found = rounded(&there).and_then(|y| y.download());
        let expected: Vec<Bf16> = x.iter().map(|&x| Bf16::nearest(x)).collect();
        assert_eq!(found.expect("no fault"), expected, "{n}");
    }
}

/// Verifies (CU.2) element by element, in all transpositions and sizes that
/// fit no tile.
#[test]
fn every_precision_keeps_its_bound() {
    let device = device();
    for mnk @ [m, n, k] in [
        [1, 1, 1],
        [31, 33, 17],
        [5, 0, 3],
        [4, 6, 0],
        [33, 2, 257],
        [1025, 2, 3],
        [3, 1025, 2],
        [2, 3, 1025],
    ] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let sums = |read: fn(f32) -> f32| {
            product(mnk, |r, c| read(a[r * k + c]), |r, c| read(b[r * n + c]))
        };
        let (exact, sizes) = (sums(|x| x), sums(f32::abs));
        for precision in Precision::ALL {
            let found = multiply(&device, [&a, &b], mnk, precision);
            for ((&found, &exact), &size) in found.iter().zip(&exact).zip(&sizes) {
                let (off, bound) = (f64::from(found) - exact, precision.bound(k) * size);
                assert!(
                    off.abs() <= bound,
                    "{precision:?} {mnk:?}: {off:e}, {bound:e}"
                );
            }
        }
        let turned = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            let place = |i: usize| x[i % rows * columns + i / rows];
            (0..x.len()).map(place).collect()
        };
        let (at, bt) = (turned(&a, m, k), turned(&b, k, n));
        let there = [&at, &bt].map(|x| device.upload(x).expect("there is room"));
        let [fa, fb] = there.each_ref().map(Factor::transposed);
        let c = matmul(fa, fb, 1, mnk, Precision::Bf16).and_then(|c| c.download());
        let same = multiply(&device, [&a, &b], mnk, Precision::Bf16);
        close(
            &c.expect("no fault"),
            &same.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(),
            2.0 * product_bound(k),
        );
    }
}

/// A product of two numbers of 8 bits has 16, so it is exact: the factors are
/// rounded to the nearest, each once, and to nothing else.
#[test]
fn single_products_in_bfloat16_are_those_of_the_rounded_factors() {
    let device = device();
    let (a, b) = (numbers(257, 3), numbers(33, 4));
    let found = multiply(&device, [&a, &b], [257, 33, 1], Precision::Bf16);
    let of = |x: f32| Bf16::nearest(x).wide();
    let pairs = a.iter().flat_map(|&a| b.iter().map(move |&b| (a, b)));
    let expected: Vec<f32> = pairs.clone().map(|(a, b)| of(a) * of(b)).collect();
    assert_eq!(bits(&found), bits(&expected));
    // Cutting off instead is seen.
    let cut = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
    let wrong: Vec<f32> = pairs.map(|(a, b)| cut(a) * cut(b)).collect();
    assert_ne!(bits(&found), bits(&wrong));
}

/// The relative errors that a precision may make where nothing cancels: 1e-5,
/// 1e-3 and 1e-2. Each is kept by its own precision on the numbers that suit
/// it worst, and missed there by the next coarser one.
#[test]
fn each_precision_keeps_its_own_tolerance_and_no_finer_one() {
    let device = device();
    let mnk @ [m, n, k] = [3, 5, 160];
    let tolerance = |precision| match precision {
        Precision::F32 => 1e-5,
        Precision::Tf32 => 1e-3,
        Precision::Bf16 => 1e-2,
    };
    for precision in Precision::ALL {
        assert!(precision.bound(k) <= tolerance(precision), "{precision:?}");
        // Just below the middle of two neighbours: rounded down by all of u.
        let worst = |precision: Precision| (1.0 + 0.999 * precision.unit()) as f32;
        let x = worst(precision);
        let error = |by: Precision, x: f32| {
            let (a, b) = (vec![x; m * k], vec![x; k * n]);
            let exact = k as f64 * f64::from(x) * f64::from(x);
            let found = multiply(&device, [&a, &b], mnk, by);
            let off = found.iter().map(|&c| (f64::from(c) / exact - 1.0).abs());
            // NaN would be lost by `max`.
            off.fold(0.0, |most: f64, off| if off <= most { most } else { off })
        };
        let own = error(precision, x);
        assert!(own <= tolerance(precision), "{precision:?}: {own:e}");
        for finer in Precision::ALL
            .into_iter()
            .filter(|p| p.unit() < precision.unit())
        {
            assert!(own > tolerance(finer), "{precision:?} {finer:?}: {own:e}");
            assert!(error(finer, x) <= tolerance(finer), "{finer:?}");
        }
    }
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
