//! Sums, every version, against `f64`.

use crate::oracle::{SIZES, UNIT, bits, close, numbers};
use crate::place::device;
use cuda::{SumVersion, column_sums, sum, sum_axis};

/// `n` roundings of partial sums, none larger than the sum of magnitudes.
fn bound(x: &[f32], n: usize) -> f64 {
    let magnitude: f64 = x.iter().map(|x| f64::from(x.abs())).sum();
    1.01 * n as f64 * UNIT * magnitude
}

#[test]
fn a_whole_sum_in_every_version() {
    let device = device();
    for n in SIZES.into_iter().chain([2048, 2049, 10_000]) {
        let x = numbers(n, 5);
        let on_device = device.upload(&x).expect("there is room");
        let exact: f64 = x.iter().map(|&x| f64::from(x)).sum();
        for version in SumVersion::ALL {
            let found = sum(&on_device, version).and_then(|s| s.download());
            close(&found.expect("no fault"), &[exact], bound(&x, n));
        }
    }
}

#[test]
fn columns_and_middle_axes() {
    let device = device();
    for [rows, columns] in [
        [0, 3],
        [1, 1],
        [31, 33],
        [257, 31],
        [1025, 5],
        [5, 1025],
        [3, 0],
        [70_000, 1],
    ] {
        let x = numbers(rows * columns, 6);
        let on_device = device.upload(&x).expect("there is room");
        let column = |j| (0..rows).map(|i| f64::from(x[i * columns + j])).sum();
        let exact: Vec<f64> = (0..columns).map(column).collect();
        let found = column_sums(&on_device, rows, columns).and_then(|s| s.download());
        close(&found.expect("no fault"), &exact, bound(&x, rows));
        let same = sum_axis(&on_device, [1, rows, columns]).and_then(|s| s.download());
        close(&same.expect("no fault"), &exact, bound(&x, rows));
    }
    let axes @ [outer, n, inner] = [3, 5, 7];
    let x = numbers(outer * n * inner, 7);
    let on_device = device.upload(&x).expect("there is room");
    let exact: Vec<f64> = (0..outer * inner)
        .map(|e| {
            let (o, i) = (e / inner, e % inner);
            (0..n).map(|k| f64::from(x[(o * n + k) * inner + i])).sum()
        })
        .collect();
    let found = sum_axis(&on_device, axes).and_then(|s| s.download());
    close(&found.expect("no fault"), &exact, bound(&x, n));
}

/// Twice the same bits; under the emulator's other schedules too, by CI.
#[test]
fn a_sum_is_reproducible_and_nan_is_not_lost() {
    let device = device();
    let mut x = numbers(5000, 8);
    let run = |x: &[f32]| {
        let on_device = device.upload(x).expect("there is room");
        let s = sum(&on_device, SumVersion::Shuffle).and_then(|s| s.download());
        bits(&s.expect("no fault"))
    };
    assert_eq!(run(&x), run(&x));
    // The order of additions, written out.
    assert_eq!(run(&x), [by_hand(&x).to_bits()]);
    x[4999] = f32::NAN;
    assert!(f32::from_bits(run(&x)[0]).is_nan());
}

/// The order of the version by shuffles: threads 256 apart, then halves of a
/// warp, then warps; then the same with the sums of blocks.
fn by_hand(x: &[f32]) -> f32 {
    let block = |x: &[f32]| {
        let mut lanes = vec![0.0f32; 256];
        for (i, x) in x.iter().enumerate() {
            lanes[i % 256] += x;
        }
        let fold = |mut v: Vec<f32>| {
            while v.len() > 1 {
                let half = v.len() / 2;
                v = (0..half).map(|i| v[i] + v[i + half]).collect();
            }
            v[0]
        };
        fold(lanes.chunks(32).map(|warp| fold(warp.to_vec())).collect())
    };
    let sums: Vec<f32> = x.chunks(2048).map(block).collect();
    block(&sums)
}
