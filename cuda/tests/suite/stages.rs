//! Stages of a method over a batch of rows, in the order of `solvers::Rows`,
//! so with its bits.

use crate::oracle::{bits, numbers};
use crate::place::device;
use cuda::{
    Buffer, Device, RowNorm, Steps, choose_rows, combine_stages, combine_stages_composed,
    error_norms,
};

/// Rows and coordinates, none of them even.
const SHAPES: [[usize; 2]; 5] = [[0, 3], [1, 1], [31, 33], [257, 2], [1025, 1]];

struct Case {
    y: [Vec<f32>; 2],
    k: Vec<Vec<f32>>,
    c: Vec<f64>,
    h: Vec<f64>,
}

fn case([rows, d]: [usize; 2], terms: usize) -> Case {
    let steps = numbers(rows, 40).into_iter();
    Case {
        y: [1, 2].map(|seed| numbers(rows * d, seed)),
        k: (0..terms)
            .map(|j| numbers(rows * d, 10 + j as u32))
            .collect(),
        c: (0..terms)
            .map(|j| 0.1 + 0.3 * (j as f64) - 1.0 / 3.0)
            .collect(),
        h: steps.map(|h| 0.01 + 0.1 * f64::from(h)).collect(),
    }
}

fn upload(device: &Device, x: &[f32]) -> Buffer<f32> {
    device.upload(x).expect("there is room")
}

/// Verifies (RK.2).
#[test]
fn combinations_of_up_to_sixteen_terms() {
    let device = device();
    for shape @ [rows, d] in SHAPES {
        for terms in [0, 1, 2, 7, 12, 16] {
            let case = case(shape, terms);
            let k: Vec<_> = case.k.iter().map(|k| upload(&device, k)).collect();
            let pairs: Vec<_> = case.c.iter().copied().zip(&k).collect();
            let (y, h) = (upload(&device, &case.y[0]), device.upload(&case.h));
            let h = h.expect("there is room");
            for common in [None, Some(0.3)] {
                let steps = common.map_or(Steps::Rows(&h), Steps::Common);
                let found = combine_stages(&y, shape, steps, &pairs);
                let found = found.and_then(|x| x.download()).expect("no fault");
                let expected: Vec<f32> = (0..rows * d)
                    .map(|i| {
                        let products = case.c.iter().zip(&case.k);
                        let mut products = products.map(|(&c, k)| c as f32 * k[i]);
                        let first = products.next().unwrap_or(0.0);
                        let sum = products.fold(first, |sum, x| sum + x);
                        case.y[0][i] + common.unwrap_or(case.h[i / d]) as f32 * sum
                    })
                    .collect();
                assert_eq!(bits(&found), bits(&expected), "{shape:?} {terms}");
                if let Some(step) = common {
                    let composed = combine_stages_composed(&y, step, &pairs);
                    let composed = composed.and_then(|x| x.download()).expect("no fault");
                    assert_eq!(bits(&composed), bits(&expected), "{shape:?} {terms}");
                }
            }
        }
    }
}

/// `solvers::Norm::of`.
fn norm_of(norm: RowNorm, mut coordinates: impl Iterator<Item = (f64, f64, f64)>) -> f64 {
    let quotient = |(error, a, b): (f64, f64, f64)| {
        let absolute = norm.absolute.max(f64::MIN_POSITIVE);
        error / (absolute + norm.relative * (a.abs().max(b.abs()) + 0.0 * (a + b)))
    };
    let quotients = coordinates.by_ref().take(norm.counted).map(quotient);
    let size = match norm.largest {
        false => (quotients.map(|q| q * q).sum::<f64>() / norm.counted as f64).sqrt(),
        true => quotients.fold(0.0, |most, q| {
            if q.abs() <= most {
                most
            } else {
                q.abs() + most * 0.0
            }
        }),
    };
    coordinates.fold(size, |size, (_, _, b)| size + 0.0 * b)
}

/// Verifies (RK.5).
#[test]
fn norms_of_errors_in_both_means() {
    let device = device();
    for shape @ [rows, d] in SHAPES {
        let mut case = case(shape, 7);
        if rows > 30 {
            // Rows that are not numbers must not pass for small errors.
            case.k[3][5 * d] = f32::NAN;
            case.y[1][7 * d] = f32::INFINITY;
            // Also in a coordinate that may not count.
            case.y[1][10 * d - 1] = f32::NEG_INFINITY;
            // No error in a number that is 0.
            case.k.iter_mut().for_each(|k| k[11 * d] = 0.0);
            case.y.iter_mut().for_each(|y| y[11 * d] = 0.0);
        }
        let k: Vec<_> = case.k.iter().map(|k| upload(&device, k)).collect();
        let pairs: Vec<_> = case.c.iter().copied().zip(&k).collect();
        let y = case.y.each_ref().map(|y| upload(&device, y));
        let h = device.upload(&case.h).expect("there is room");
        for (largest, counted, absolute) in [
            (false, d, 1e-3),
            (true, d, 1e-3),
            (false, d.div_ceil(2), 1e-3),
            (true, d.div_ceil(2), 0.0),
        ] {
            let norm = RowNorm {
                absolute,
                relative: 1e-2,
                largest,
                counted,
            };
            let measured = |steps: Steps<'_>| {
                let found = error_norms(y.each_ref(), shape, steps, &pairs, norm);
                found.and_then(|x| x.download()).expect("no fault")
            };
            // One step for all is each row's own.
            if let Some(&first) = case.h.first() {
                let equal = device.upload(&vec![first; rows]).expect("there is room");
                let own = measured(Steps::Rows(&equal));
                let pairs = own.iter().zip(measured(Steps::Common(first)));
                for (own, common) in pairs {
                    assert_eq!(own.to_bits(), common.to_bits());
                }
            }
            for (row, found) in measured(Steps::Rows(&h)).iter().enumerate() {
                let coordinates = (row * d..(row + 1) * d).map(|i| {
                    let products = case.c.iter().zip(&case.k);
                    let error: f64 = products.map(|(c, k)| c * f64::from(k[i])).sum();
                    let [a, b] = case.y.each_ref().map(|y| f64::from(y[i]));
                    (case.h[row] * error, a, b)
                });
                let expected = norm_of(norm, coordinates);
                let same = found.to_bits() == expected.to_bits();
                assert!(
                    same || (found.is_nan() && expected.is_nan()),
                    "{found} {expected}"
                );
                let broken = rows > 30 && ([5, 7, 9].contains(&row));
                assert_eq!(!(*found <= f64::MAX), broken, "row {row}: {found}");
            }
        }
    }
}

#[test]
fn rows_are_chosen_whole() {
    let device = device();
    for [rows, d] in SHAPES {
        let [a, b] = [1, 2].map(|seed| numbers(rows * d, seed));
        let chosen: Vec<u32> = (0..rows as u32).map(|row| row % 3 % 2).collect();
        let there = [&a, &b].map(|x| upload(&device, x));
        let marks = device.upload(&chosen).expect("there is room");
        let found = choose_rows(there.each_ref(), &marks, d).expect("no fault");
        let expected: Vec<f32> = (0..rows * d)
            .map(|i| if chosen[i / d] == 1 { b[i] } else { a[i] })
            .collect();
        assert_eq!(bits(&found.download().expect("no fault")), bits(&expected));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let device = device();
    let y = device.zeros::<f32>(6).expect("there is room");
    let h = device.zeros::<f64>(3).expect("there is room");
    let terms = vec![(1.0, &y); 17];
    let refused = combine_stages(&y, [3, 2], Steps::Common(1.0), &terms);
    assert!(
        refused
            .expect_err("17 terms")
            .to_string()
            .contains("at most 16")
    );
    assert!(combine_stages(&y, [2, 2], Steps::Common(1.0), &[]).is_err());
    assert!(combine_stages(&y, [2, 3], Steps::Rows(&h), &[]).is_err());
    let norm = RowNorm {
        absolute: 1.0,
        relative: 0.0,
        largest: false,
        counted: 0,
    };
    assert!(error_norms([&y, &y], [3, 2], Steps::Rows(&h), &[], norm).is_err());
}
