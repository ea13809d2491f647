//! The lesson on products, and the dense layer with its pull.

use crate::oracle::{UNIT, bits, close, numbers, product, product_bound};
use crate::place::device;
use cuda::{
    Linear, LinearVersion, MatmulVersion, Precision, linear_silu, linear_silu_pull, matmul_lesson,
};

#[test]
fn every_version_without_tensor_cores_has_the_same_bits() {
    let device = device();
    let shapes = [
        [1, 1, 1],
        [31, 33, 17],
        [65, 64, 33],
        [0, 3, 4],
        [3, 4, 0],
        [257, 2, 31],
        // One long side at a time: an emulated product of three takes minutes.
        [1025, 3, 2],
        [2, 1025, 3],
        [3, 2, 1025],
    ];
    for mnk @ [m, n, k] in shapes {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let factors = [&a, &b].map(|x| device.upload(x).expect("there is room"));
        let exact = product(mnk, |r, c| a[r * k + c], |r, c| b[r * n + c]);
        let run = |version| {
            let c = matmul_lesson(version, &factors[0], &factors[1], mnk);
            c.and_then(|c| c.download()).expect("no fault")
        };
        let naive = run(MatmulVersion::Naive);
        close(&naive, &exact, product_bound(k));
        let plain = |version: &MatmulVersion| version.precision() == Precision::F32;
        for version in MatmulVersion::ALL.into_iter().filter(plain) {
            assert_eq!(bits(&run(version)), bits(&naive), "{version:?} {mnk:?}");
        }
    }
}

const SHAPES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [33, 31, 65],
    [257, 3, 70],
    [0, 2, 3],
    [5, 0, 4],
    [1025, 3, 2],
    [2, 1025, 3],
    [3, 2, 1025],
];

#[test]
fn a_layer_fused_and_by_cublas() {
    let device = device();
    for [rows, outputs, inputs] in SHAPES {
        let (x, w, b) = (
            numbers(rows * inputs, 1),
            numbers(inputs * outputs, 2),
            numbers(outputs, 3),
        );
        let on_device = [&x, &w, &b].map(|x| device.upload(x).expect("there is room"));
        let layer = Linear {
            x: &on_device[0],
            w: &on_device[1],
            b: &on_device[2],
            rows,
            inputs,
        };
        let sums = product(
            [rows, outputs, inputs],
            |r, c| x[r * inputs + c],
            |r, c| w[r * outputs + c],
        );
        let with_bias = |(i, sum): (usize, f64)| sum + f64::from(b[i % outputs]);
        let z: Vec<f64> = sums.into_iter().enumerate().map(with_bias).collect();
        let h: Vec<f64> = z.iter().map(|z| z / (1.0 + (-z).exp())).collect();
        let by_cublas = Precision::ALL.map(LinearVersion::Cublas);
        for version in [LinearVersion::Fused].into_iter().chain(by_cublas) {
            let product = match version {
                LinearVersion::Fused | LinearVersion::Cublas(Precision::F32) => {
                    product_bound(inputs)
                }
                // Magnitudes below 1, so their product is at most `inputs`.
                LinearVersion::Cublas(precision) => precision.bound(inputs) * inputs as f64,
            };
            let bound = product + (inputs + 1) as f64 * UNIT;
            let out = linear_silu(layer, version).expect("no fault");
            close(&out.z.download().expect("no fault"), &z, bound);
            // The slope is at most 1.1; the logistic and the product are
            // rounded, to 2.5 and ½ units of the last place.
            let largest = (inputs + 1) as f64;
            let bound = 1.1 * bound + 3.0 * 2.0 * UNIT * largest;
            close(&out.h.download().expect("no fault"), &h, bound);
        }
    }
}

/// The pull against the derivative in `f64`, from the same `z` and `h`.
#[test]
fn the_pull_of_a_layer() {
    let device = device();
    for [rows, outputs, inputs] in SHAPES {
        let lists = [
            numbers(rows * inputs, 1),
            numbers(inputs * outputs, 2),
            numbers(outputs, 3),
            numbers(rows * outputs, 4),
        ];
        let on_device = lists
            .each_ref()
            .map(|x| device.upload(x).expect("there is room"));
        let [x, w, _, h_bar] = &lists;
        let layer = Linear {
            x: &on_device[0],
            w: &on_device[1],
            b: &on_device[2],
            rows,
            inputs,
        };
        let out = linear_silu(layer, LinearVersion::Fused).expect("no fault");
        let z = out.z.download().expect("no fault");
        let slope = |&z: &f32| {
            let z = f64::from(z);
            let s = 1.0 / (1.0 + (-z).exp());
            s + z * s * (1.0 - s)
        };
        // What the device has for z̄ differs from this by some roundings.
        let z_bar: Vec<f64> = z
            .iter()
            .zip(h_bar)
            .map(|(z, &h)| slope(z) * f64::from(h))
            .collect();
        let pull = linear_silu_pull(layer, &out, &on_device[3], Precision::F32).expect("no fault");
        let error = 20.0 * UNIT * (inputs + 2) as f64;
        let at = |r: usize, c: usize| z_bar[r * outputs + c];
        let sum = |n: usize, term: &dyn Fn(usize) -> f64| (0..n).map(term).sum::<f64>();
        let b: Vec<f64> = (0..outputs).map(|c| sum(rows, &|r| at(r, c))).collect();
        let bound = |n: usize| n as f64 * error + 2.0 * product_bound(n);
        close(&pull.b.download().expect("no fault"), &b, bound(rows));
        let w_bar: Vec<f64> = (0..inputs * outputs)
            .map(|e| {
                let (i, c) = (e / outputs, e % outputs);
                sum(rows, &|r| f64::from(x[r * inputs + i]) * at(r, c))
            })
            .collect();
        close(&pull.w.download().expect("no fault"), &w_bar, bound(rows));
        let x_bar: Vec<f64> = (0..rows * inputs)
            .map(|e| {
                let (r, i) = (e / inputs, e % inputs);
                sum(outputs, &|c| at(r, c) * f64::from(w[i * outputs + c]))
            })
            .collect();
        close(
            &pull.x.download().expect("no fault"),
            &x_bar,
            bound(outputs),
        );
    }
}
