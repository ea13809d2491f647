//! Softmax, every version, against `f64`, and at its edges.

use crate::oracle::{UNIT, close, numbers};
use crate::place::device;
use cuda::{SoftmaxVersion, softmax};

fn run(x: &[f32], rows: usize, columns: usize, version: SoftmaxVersion) -> [Vec<f32>; 2] {
    let on_device = device().upload(x).expect("there is room");
    let (p, l) = softmax(&on_device, rows, columns, version).expect("no fault");
    [p, l].map(|y| y.download().expect("no fault"))
}

#[test]
fn rows_of_every_length() {
    for [rows, columns] in [
        [1, 1],
        [33, 31],
        [9, 33],
        [257, 3],
        [3, 1025],
        [1025, 3],
        [0, 4],
    ] {
        let x: Vec<f32> = numbers(rows * columns, 9)
            .iter()
            .map(|x| 30.0 * x)
            .collect();
        let wide = |row: &[f32]| -> Vec<f64> { row.iter().map(|&x| f64::from(x)).collect() };
        let row_of = |r: usize| wide(&x[r * columns..(r + 1) * columns]);
        let logs: Vec<f64> = (0..rows)
            .map(|r| {
                let row = row_of(r);
                let m = row.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
                m + row.iter().map(|x| (x - m).exp()).sum::<f64>().ln()
            })
            .collect();
        let parts: Vec<f64> = (0..rows)
            .flat_map(|r| {
                let log = logs[r];
                row_of(r).into_iter().map(move |x| (x - log).exp())
            })
            .collect();
        // Exponents below 64 are rounded once (64·u each), exponentials to
        // 1.1 units of the last place, and as many sums as columns.
        let relative = (2.0 * 64.0 + 12.0 + columns as f64) * UNIT;
        for version in SoftmaxVersion::ALL {
            let [p, l] = run(&x, rows, columns, version);
            close(&p, &parts, 1.1 * relative);
            close(&l, &logs, relative + 4.0 * 37.0 * UNIT);
        }
    }
}

#[test]
fn infinities_and_nan_as_on_the_cpu() {
    const INF: f32 = f32::INFINITY;
    for version in SoftmaxVersion::ALL {
        let [p, l] = run(&[-INF, 0.0, -INF], 1, 3, version);
        assert_eq!((p, l), (vec![0.0, 1.0, 0.0], vec![0.0]), "{version:?}");
        let [p, l] = run(&[-INF, -INF], 1, 2, version);
        assert!(p.iter().all(|p| p.is_nan()), "{version:?}: {p:?}");
        assert_eq!(l, [-INF], "{version:?}");
        let [_, l] = run(&[INF, 0.0], 1, 2, version);
        assert_eq!(l, [INF], "{version:?}");
        let [p, l] = run(&[1.0, f32::NAN, 2.0], 1, 3, version);
        assert!(p.iter().chain(&l).all(|x| x.is_nan()), "{version:?}");
        let [p, l] = run(&[], 1, 0, version);
        assert_eq!((p, l), (vec![], vec![-INF]), "{version:?}: an empty sum");
    }
}
