//! The narrow network in one launch, against layer after layer and `f64`.

#![expect(unsafe_code, reason = "kernels are launched, wrong ones too")]

use crate::oracle::{SIZES, UNIT, bits, numbers};
use crate::place::device;
use cuda::{
    Buffer, Device, Grid, Linear, LinearVersion, MlpShape, MlpVersion, NarrowMlp, Precision,
    Source, View, linear_silu, read_view, sources,
};

/// Parameters whose sums keep their size from layer to layer.
fn parameters(shape: MlpShape) -> Vec<f32> {
    let (scale, n) = ((3.0 / shape.width as f32).sqrt(), shape.parameters());
    numbers(n, 7).iter().map(|x| scale * x).collect()
}

/// Inputs and outputs of each layer.
fn layers(shape: MlpShape) -> Vec<[usize; 2]> {
    let mut widths = vec![shape.inputs];
    widths.extend(vec![shape.width; shape.hidden]);
    widths.push(shape.outputs);
    widths.windows(2).map(|w| [w[0], w[1]]).collect()
}

/// Points and features side by side.
fn joined(x: &[f32], features: &[f32], [rows, d, q]: [usize; 3]) -> Vec<f32> {
    let one = features.len() == q;
    let row = |r: usize| {
        let s = if one { 0 } else { r };
        x[r * d..(r + 1) * d]
            .iter()
            .chain(&features[s * q..(s + 1) * q])
    };
    (0..rows).flat_map(row).copied().collect()
}

/// One `linear_silu` after the other, and the last one's sum.
fn layer_by_layer(device: &Device, shape: MlpShape, theta: &Buffer<f32>, h: &[f32]) -> Vec<f32> {
    let rows = h.len() / shape.inputs;
    let mut h = device.upload(h).expect("there is room");
    let mut at = 0;
    let mut part = |n: usize| {
        let view = View {
            begin: at,
            ..View::dense(&[n])
        };
        at += n;
        read_view(theta, &view).expect("no fault")
    };
    let layers = layers(shape);
    for (i, &[inputs, outputs]) in layers.iter().enumerate() {
        let (w, b) = (part(inputs * outputs), part(outputs));
        let layer = Linear {
            x: &h,
            w: &w,
            b: &b,
            rows,
            inputs,
        };
        let out = linear_silu(layer, LinearVersion::Fused).expect("no fault");
        h = if i + 1 < layers.len() { out.h } else { out.z };
    }
    h.download().expect("no fault")
}

/// The network in `f64`, and how far bfloat16 may be from it: a bound that is
/// carried through the layers. Factors are off by what they were and by their
/// rounding `u`; sums by `2⁻²³` of the magnitudes for each summand, cut off and
/// aligned at worst thrice that; silu has a slope of at most 1.1, and is
/// rounded to a few units.
fn exact(shape: MlpShape, theta: &[f32], h: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let u = Precision::Bf16.unit();
    let mut value: Vec<f64> = h.iter().map(|&x| f64::from(x)).collect();
    let mut off = vec![0.0; h.len()];
    let mut theta = theta;
    let layers = layers(shape);
    for (i, &[inputs, outputs]) in layers.iter().enumerate() {
        let (w, rest) = theta.split_at(inputs * outputs);
        let (b, rest) = rest.split_at(outputs);
        theta = rest;
        let rows = value.len() / inputs;
        let (mut next, mut next_off) = (Vec::new(), Vec::new());
        for (row, column) in (0..rows).flat_map(|r| (0..outputs).map(move |c| (r, c))) {
            let bias = f64::from(b[column]);
            let (mut z, mut error, mut size) = (bias, 0.0, bias.abs());
            for k in 0..inputs {
                let (h, off) = (value[row * inputs + k], off[row * inputs + k]);
                let w = f64::from(w[k * outputs + column]);
                let here = off + u * (h.abs() + off);
                z += w * h;
                error += w.abs() * here + u * w.abs() * (h.abs() + here);
                size += (1.0 + u) * w.abs() * (h.abs() + here);
            }
            error += 3.0 * 2.0 * UNIT * (inputs + 1) as f64 * size;
            let last = i + 1 == layers.len();
            let silu = z / (1.0 + (-z).exp());
            next.push(if last { z } else { silu });
            next_off.push(if last {
                error
            } else {
                1.1 * error + 8.0 * UNIT * (silu.abs() + 1.1 * error)
            });
        }
        (value, off) = (next, next_off);
    }
    (value, off)
}

/// `‖found − exact‖ / ‖exact‖`; NaN stays.
fn relative(found: &[f32], exact: &[f64]) -> f64 {
    let pairs = found.iter().zip(exact);
    let (off, all) = pairs.fold((0.0, 0.0), |(off, all), (&f, e)| {
        (off + (f64::from(f) - e).powi(2), all + e * e)
    });
    f64::sqrt(off / all)
}

const NET: MlpShape = MlpShape {
    inputs: 5,
    width: 64,
    hidden: 3,
    outputs: 3,
};

/// Verifies (CU.4) at every size, for both ways in which the time comes.
#[test]
fn both_versions_are_the_layers_one_after_the_other() {
    let device = device();
    let theta = parameters(NET);
    let there = device.upload(&theta).expect("there is room");
    let net = NarrowMlp::new(NET, &there).expect("no fault");
    let [d, q] = [2, 3];
    for rows in SIZES {
        for times in [1, rows] {
            let (x, s) = (numbers(rows * d, 1), numbers(times * q, 2));
            let input = joined(&x, &s, [rows, d, q]);
            let [x, s] = [x, s].map(|x| device.upload(&x).expect("there is room"));
            let run = |version| {
                let v = net.velocity(&x, &s, rows, version).expect("no fault");
                v.download().expect("no fault")
            };
            let expected = layer_by_layer(&device, NET, &there, &input);
            assert_eq!(bits(&run(MlpVersion::Shared)), bits(&expected), "{rows}");
            let (exact, off) = exact(NET, &theta, &input);
            let found = run(MlpVersion::Tensor);
            assert_eq!(found.len(), exact.len());
            for ((&found, &exact), &off) in found.iter().zip(&exact).zip(&off) {
                let error = (f64::from(found) - exact).abs();
                assert!(error <= off, "{rows}: {found} for {exact}, bound {off:e}");
            }
            if rows > 1 {
                let error = relative(&found, &exact);
                assert!(error <= 1e-2, "the tolerance of bfloat16: {error:e}");
                assert!(error > 1e-4, "and it is bfloat16: {error:e}");
            }
        }
    }
}

#[test]
fn other_widths_depths_and_extents() {
    let device = device();
    for shape in [
        MlpShape {
            inputs: 1,
            width: 32,
            hidden: 1,
            outputs: 1,
        },
        MlpShape {
            inputs: 32,
            width: 32,
            hidden: 2,
            outputs: 32,
        },
        MlpShape {
            inputs: 33,
            width: 64,
            hidden: 1,
            outputs: 9,
        },
        MlpShape {
            inputs: 3,
            width: 128,
            hidden: 4,
            outputs: 2,
        },
        MlpShape {
            inputs: 128,
            width: 128,
            hidden: 2,
            outputs: 100,
        },
    ] {
        let theta = parameters(shape);
        let there = device.upload(&theta).expect("there is room");
        let net = NarrowMlp::new(shape, &there).expect("no fault");
        let rows = 33;
        let input = numbers(rows * shape.inputs, 1);
        let x = device.upload(&input).expect("there is room");
        // All that goes in is a point; there are no features.
        let none = device.zeros(0).expect("nothing is needed");
        let run = |version| {
            let v = net.velocity(&x, &none, rows, version).expect("no fault");
            v.download().expect("no fault")
        };
        let expected = layer_by_layer(&device, shape, &there, &input);
        assert_eq!(bits(&run(MlpVersion::Shared)), bits(&expected), "{shape:?}");
        let (exact, _) = exact(shape, &theta, &input);
        let error = relative(&run(MlpVersion::Tensor), &exact);
        assert!(error <= 1e-2, "{shape:?}: {error:e}");
    }
}

/// Wrong layouts planted in the shipped text are off by more than the
/// tolerance.
#[test]
fn a_wrong_chain_of_layers_is_seen() {
    let device = device();
    let theta = parameters(NET);
    let there = device.upload(&theta).expect("there is room");
    let rows = 33;
    let input = numbers(rows * NET.inputs, 1);
    let x = device.upload(&input).expect("there is room");
    let (exact, _) = exact(NET, &theta, &input);
    let mut sources = sources().into_iter();
    let shipped = sources.find(|source| source.name() == "mlp_64");
    let shipped = shipped.expect("it is in the list").text().to_owned();
    let error = |text: &str| {
        let source = Source::of("spoilt", &[("spoilt.cu", text)]);
        let words = (NET.hidden + 1) * (NET.width * NET.width / 2 + NET.width);
        let mut packed = device.uninitialised::<u32>(words).expect("there is room");
        let mut v = device
            .uninitialised(rows * NET.outputs)
            .expect("there is room");
        let n = |n: usize| cuda::Argument::from(n as u32);
        let extents = [n(NET.inputs), n(NET.hidden), n(NET.outputs)];
        let mut arguments = vec![(&mut packed).into(), (&there).into()];
        arguments.extend(extents);
        // SAFETY: the buffers have the shapes of the network.
        let done = unsafe { device.launch(&source, "mlp_pack", Grid::over(words), &arguments) };
        done.expect("it runs");
        let mut arguments = vec![(&mut v).into(), (&x).into(), (&x).into(), (&packed).into()];
        arguments.extend([
            n(rows),
            n(NET.inputs),
            n(0),
            n(0),
            n(NET.hidden),
            n(NET.outputs),
        ]);
        // SAFETY: as above.
        let done = unsafe { device.launch(&source, "mlp_tensor", Grid::line(1, 128), &arguments) };
        done.expect("it runs");
        relative(&v.download().expect("no fault"), &exact)
    };
    let control = error(&shipped);
    assert!(control <= 1e-2, "{control:e}");
    for (right, wrong) in [
        // The sums' fragments go to the wrong registers of the next factor.
        ("a[j / 2][j % 2 * 2] = ", "a[j / 2][j % 2] = "),
        (
            "a[j / 2][j % 2 * 2 + 1] = fg_bf16_pair(c[j][2], c[j][3])",
            "a[j / 2][j % 2 * 2 + 1] = fg_bf16_pair(c[j][3], c[j][2])",
        ),
        // The weights are packed for the wrong register, or the wrong lane.
        ("16 * (p / 2) + 8 * (p % 2)", "16 * (p % 2) + 8 * (p / 2)"),
        (
            "2 * (lane % 4), column = 8 * j + lane / 4",
            "2 * (lane / 8), column = 8 * j + lane % 8",
        ),
        // The bias goes along the rows.
        ("c[j][0] = c[j][2] = b.x;", "c[j][0] = c[j][1] = b.x;"),
    ] {
        let spoilt = shipped.replacen(right, wrong, 1);
        assert_ne!(spoilt, shipped, "{right} stands in the text");
        let spoilt = spoilt.replacen(
            "c[j][1] = c[j][3] = b.y;",
            match wrong.contains("c[j][1] = b.x") {
                true => "c[j][2] = c[j][3] = b.y;",
                false => "c[j][1] = c[j][3] = b.y;",
            },
            1,
        );
        let error = error(&spoilt);
        assert!(!(error <= 5e-2), "{wrong}: {error:e}");
    }
}

#[test]
fn networks_without_a_kernel_are_refused() {
    let device = device();
    let theta = device.zeros(100).expect("there is room");
    for wrong in [
        MlpShape { width: 48, ..NET },
        MlpShape { hidden: 0, ..NET },
        MlpShape { inputs: 65, ..NET },
        MlpShape { outputs: 0, ..NET },
    ] {
        let error = NarrowMlp::new(wrong, &theta)
            .expect_err("no kernel")
            .to_string();
        assert!(error.contains("expected width 32, 64 or 128"), "{error}");
    }
    let error = NarrowMlp::new(NET, &theta)
        .expect_err("too few")
        .to_string();
    assert_eq!(
        error,
        format!(
            "narrow_mlp: 100 numbers; expected an array of [{}]",
            NET.parameters()
        )
    );
    let theta = device.zeros(NET.parameters()).expect("there is room");
    let net = NarrowMlp::new(NET, &theta).expect("no fault");
    let x = |n| device.zeros(n).expect("there is room");
    for (points, features) in [(8, 11), (8, 9), (7, 12), (24, 0), (0, 12)] {
        let outcome = net.velocity(&x(points), &x(features), 4, MlpVersion::Shared);
        assert!(outcome.is_err(), "{points} {features}");
    }
    assert!(net.velocity(&x(8), &x(12), 4, MlpVersion::Shared).is_ok());
    assert!(net.velocity(&x(8), &x(3), 4, MlpVersion::Shared).is_ok());
}

/// The slopes in `f64`: by the parameters, and by what goes in.
fn exact_pull(shape: MlpShape, theta: &[f32], h: &[f32], v_bar: &[f32]) -> [Vec<f64>; 2] {
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() };
    let (theta, layers) = (wide(theta), layers(shape));
    let rows = h.len() / shape.inputs;
    let mut begins = vec![0];
    for [inputs, outputs] in &layers {
        begins.push(begins[begins.len() - 1] + (inputs + 1) * outputs);
    }
    let logistic = |z: f64| 1.0 / (1.0 + (-z).exp());
    // What each layer gets, and its sums.
    let (mut hs, mut zs) = (vec![wide(h)], Vec::new());
    for (&[inputs, outputs], &at) in layers.iter().zip(&begins) {
        let h = &hs[hs.len() - 1];
        let sum = |r: usize, c: usize| {
            let weight = |k: usize| theta[at + k * outputs + c];
            let products = (0..inputs).map(|k| h[r * inputs + k] * weight(k));
            products.sum::<f64>() + weight(inputs)
        };
        let places = (0..rows).flat_map(|r| (0..outputs).map(move |c| (r, c)));
        let z: Vec<f64> = places.map(|(r, c)| sum(r, c)).collect();
        hs.push(z.iter().map(|&z| z * logistic(z)).collect());
        zs.push(z);
    }
    let (mut slopes, mut delta) = (vec![0.0; theta.len()], wide(v_bar));
    for (i, &[inputs, outputs]) in layers.iter().enumerate().rev() {
        let mut before = vec![0.0; rows * inputs];
        for (r, c) in (0..rows).flat_map(|r| (0..outputs).map(move |c| (r, c))) {
            let delta = delta[r * outputs + c];
            for k in 0..inputs {
                let place = begins[i] + k * outputs + c;
                slopes[place] += hs[i][r * inputs + k] * delta;
                before[r * inputs + k] += theta[place] * delta;
            }
            slopes[begins[i] + inputs * outputs + c] += delta;
        }
        if i > 0 {
            for (before, &z) in before.iter_mut().zip(&zs[i - 1]) {
                let s = logistic(z);
                *before *= s + z * s * (1.0 - s);
            }
        }
        delta = before;
    }
    [slopes, delta]
}

/// Verifies (CU.5) in the norm. (Element by element, within bounds of a running
/// analysis, it is compared in `autograd/tests/narrow_network.rs`.)
#[test]
fn the_pull_is_the_derivative() {
    let device = device();
    let shapes = [
        NET,
        MlpShape {
            inputs: 1,
            width: 32,
            hidden: 1,
            outputs: 1,
        },
        MlpShape {
            inputs: 40,
            width: 64,
            hidden: 8,
            outputs: 33,
        },
        MlpShape {
            inputs: 3,
            width: 128,
            hidden: 2,
            outputs: 2,
        },
        // Tiles of 16 and of 8 rows, by width.
        MlpShape {
            inputs: 3,
            width: 32,
            hidden: 10,
            outputs: 31,
        },
        MlpShape {
            inputs: 31,
            width: 32,
            hidden: 21,
            outputs: 1,
        },
        MlpShape {
            inputs: 3,
            width: 64,
            hidden: 9,
            outputs: 2,
        },
        MlpShape {
            inputs: 33,
            width: 128,
            hidden: 3,
            outputs: 5,
        },
    ];
    let sizes: [&[usize]; 8] = [
        &SIZES,
        &[33],
        &[33],
        &[31],
        &[1, 33],
        &[1, 33],
        &[1, 17],
        &[1, 17],
    ];
    for (shape, sizes) in shapes.into_iter().zip(sizes) {
        let theta = parameters(shape);
        let there = device.upload(&theta).expect("there is room");
        let net = NarrowMlp::new(shape, &there).expect("no fault");
        for &rows in sizes {
            let d = shape.inputs.min(2);
            let q = shape.inputs - d;
            let (x, s) = (numbers(rows * d, 1), numbers(rows * q, 2));
            let v_bar = numbers(rows * shape.outputs, 3);
            let input = joined(&x, &s, [rows, d, q]);
            let [x, s, bar] = [&x, &s, &v_bar].map(|x| device.upload(x).expect("there is room"));
            let pull = net.pull(&x, &s, rows, &bar).expect("no fault");
            let found = [&pull.parameters, &pull.inputs].map(|x| x.download().expect("no fault"));
            let exact = exact_pull(shape, &theta, &input, &v_bar);
            for (found, exact) in found.iter().zip(&exact) {
                assert_eq!(found.len(), exact.len());
                if rows == 0 {
                    assert!(found.iter().all(|&x| x == 0.0), "no rows, no slopes");
                } else {
                    let error = relative(found, exact);
                    // A layer's roundings come on top of those of all layers
                    // before it, forward and back: 1e-5 for eight of them.
                    let allowed = 1e-5 * f64::max(1.0, shape.hidden as f64 / 8.0);
                    assert!(error <= allowed, "{shape:?}, {rows} rows: {error:e}");
                }
            }
            // Twice the same bits.
            let again = net.pull(&x, &s, rows, &bar).expect("no fault");
            let again = again.parameters.download().expect("no fault");
            assert_eq!(bits(&again), bits(&found[0]));
        }
    }
}

#[test]
fn layers_that_do_not_fit_have_no_pull() {
    let device = device();
    let shape = MlpShape { hidden: 30, ..NET };
    let theta = device.zeros(shape.parameters()).expect("there is room");
    let net = NarrowMlp::new(shape, &theta).expect("the velocity has no such limit");
    let x = |n| device.zeros(n).expect("there is room");
    let error = net
        .pull(&x(8), &x(12), 4, &x(12))
        .expect_err("no room")
        .to_string();
    assert!(
        error.contains("30 hidden layers of 64; expected fewer"),
        "{error}"
    );
}
