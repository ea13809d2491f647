//! Products on tensor cores: the instruction itself, the lesson's versions,
//! and wrong layouts that must be seen.

#![expect(unsafe_code, reason = "kernels are launched, wrong ones too")]

use crate::oracle::{close, numbers, product, product_bound};
use crate::place::device;
use cuda::{Bf16, Device, Grid, MatmulVersion, Precision, Source, matmul_lesson, sources};

/// The instruction with fragments as they lie in registers.
const RAW: &str = r#"
extern "C" __global__ void raw_bf16(float* c, const unsigned* a, const unsigned* b) {
    unsigned l = threadIdx.x, x[4], y[2];
    float sum[4];
    for (int i = 0; i < 4; i++) x[i] = a[4 * l + i], sum[i] = c[4 * l + i];
    for (int i = 0; i < 2; i++) y[i] = b[2 * l + i];
    mma_bf16(sum, x, y);
    for (int i = 0; i < 4; i++) c[4 * l + i] = sum[i];
}
extern "C" __global__ void raw_tf32(float* c, const unsigned* a, const unsigned* b) {
    unsigned l = threadIdx.x, x[4], y[2];
    float sum[4];
    for (int i = 0; i < 4; i++) x[i] = a[4 * l + i], sum[i] = c[4 * l + i];
    for (int i = 0; i < 2; i++) y[i] = b[2 * l + i];
    mma_tf32(sum, x, y);
    for (int i = 0; i < 4; i++) c[4 * l + i] = sum[i];
}
"#;

/// The text of the lesson's last part, up to a file or from it on.
fn lesson() -> Source {
    let mut sources = sources().into_iter();
    let found = sources.find(|source| source.name() == "matmul_tensor");
    found.expect("it is in the list")
}

/// Verifies (CU.3) against the layouts as the PTX ISA states them, by element
/// `i` of a lane's fragment: whole numbers, so every sum is exact whatever its
/// order.
#[test]
fn the_instruction_has_the_layout_of_the_isa() {
    let device = device();
    let text = lesson().text().to_owned();
    let (headers, _) = text
        .split_once("#line 1 \"matmul_tensor.cu\"")
        .expect("two headers");
    let source = Source::of("raw", &[("headers", headers), ("raw.cu", RAW)]);
    let whole = |n: usize, seed| -> Vec<f32> {
        let x = numbers(n, seed).into_iter();
        x.map(|x| (8.0 * x).round()).collect()
    };
    for (kernel, depth) in [("raw_bf16", 16), ("raw_tf32", 8)] {
        let (a, b, c) = (whole(16 * depth, 1), whole(depth * 8, 2), whole(16 * 8, 3));
        // "row = groupID for ai where 0 <= i < 2 || 4 <= i < 6, groupID + 8
        // otherwise; col = threadID_in_group * 2 + (i & 1), + 8 where i >= 4",
        // and for tf32 "groupID for a0 and a2; threadID_in_group for a0 and
        // a1, + 4 for a2 and a3".
        let place_a = |lane: usize, i: usize| match depth {
            16 => (
                lane / 4 + if i % 4 < 2 { 0 } else { 8 },
                lane % 4 * 2 + i % 2 + if i < 4 { 0 } else { 8 },
            ),
            _ => (lane / 4 + i % 2 * 8, lane % 4 + if i < 2 { 0 } else { 4 }),
        };
        // "row = threadID_in_group * 2 + (i & 1) for bi where i < 2, + 8
        // otherwise; col = groupID"; tf32 "threadID_in_group for b0, + 4 for b1".
        let place_b = |lane: usize, i: usize| match depth {
            16 => (lane % 4 * 2 + i % 2 + if i < 2 { 0 } else { 8 }, lane / 4),
            _ => (lane % 4 + 4 * i, lane / 4),
        };
        // "row = groupID for c0 and c1, groupID + 8 for c2 and c3;
        // col = threadID_in_group * 2 + (i & 1)".
        let place_c = |lane: usize, i: usize| {
            let row = lane / 4 + if i < 2 { 0 } else { 8 };
            row * 8 + lane % 4 * 2 + i % 2
        };
        let word = |at: &dyn Fn(usize) -> f32, register: usize| match depth {
            16 => {
                let half = |i| u32::from(Bf16::nearest(at(2 * register + i)).0);
                half(0) | half(1) << 16
            }
            _ => at(register).to_bits(),
        };
        let lanes = |registers: usize, at: &dyn Fn(usize, usize) -> f32| -> Vec<u32> {
            let places = (0..32).flat_map(|lane| (0..registers).map(move |r| (lane, r)));
            places.map(|(lane, r)| word(&|i| at(lane, i), r)).collect()
        };
        let in_a = |lane, i| {
            let (row, column) = place_a(lane, i);
            a[row * depth + column]
        };
        let in_b = |lane, i| {
            let (row, column) = place_b(lane, i);
            b[row * 8 + column]
        };
        let fragments = [lanes(4, &in_a), lanes(2, &in_b)];
        let places = (0..32).flat_map(|lane| (0..4).map(move |i| (lane, i)));
        let in_c: Vec<f32> = places.clone().map(|(l, i)| c[place_c(l, i)]).collect();
        let there = fragments.map(|x| device.upload(&x).expect("there is room"));
        let mut sum = device.upload(&in_c).expect("there is room");
        let arguments = [(&mut sum).into(), (&there[0]).into(), (&there[1]).into()];
        // SAFETY: 32 lanes have 4, 4 and 2 words each.
        let done = unsafe { device.launch(&source, kernel, Grid::line(1, 32), &arguments) };
        done.expect("it runs");
        let found = sum.download().expect("no fault");
        let exact = product([16, 8, depth], |r, l| a[r * depth + l], |l, q| b[l * 8 + q]);
        for ((lane, i), found) in places.zip(found) {
            let expected = exact[place_c(lane, i)] as f32 + c[place_c(lane, i)];
            assert_eq!(found, expected, "{kernel}: element {i} of lane {lane}");
        }
    }
}

const SHAPES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [31, 33, 17],
    [33, 31, 257],
    [65, 257, 33],
    [257, 1, 31],
    [1, 1025, 2],
    [1025, 2, 3],
    [2, 3, 1025],
    [0, 3, 4],
    [3, 4, 0],
];

/// A factor as a precision reads it.
fn read(precision: Precision, x: f32) -> f32 {
    match precision {
        Precision::F32 => x,
        Precision::Bf16 => Bf16::nearest(x).wide(),
        Precision::Tf32 => {
            let bits = x.to_bits();
            f32::from_bits((bits + 0xfff + (bits >> 13 & 1)) & !0x1fff)
        }
    }
}

/// What rounded factors allow to a sum of `k` products below 1: tensor cores
/// cut off where others round, and align all summands to the largest before
/// they add them. So each of `k` products and `k/8` sums loses at most 2⁻²³ of
/// the largest partial sum, at most `k`; that is below three times the bound
/// of rounded sums (Fasi, Higham, Mikaitis and Pranesh 2021).
fn tensor_bound(k: usize) -> f64 {
    3.0 * product_bound(k)
}

/// What the lesson computes with a text, for a shape.
fn run(
    device: &Device,
    (source, kernel): (&Source, &str),
    [a, b]: [&[f32]; 2],
    [m, n, k]: [usize; 3],
) -> Vec<f32> {
    let there = [a, b].map(|x| device.upload(x).expect("there is room"));
    let mut c = device.uninitialised(m * n).expect("there is room");
    let (tile, threads) = match kernel {
        "tensor_direct" => ([16, 8], 32),
        _ => ([64, 64], 128),
    };
    let grid = Grid {
        blocks: [n.div_ceil(tile[1]) as u32, m.div_ceil(tile[0]) as u32, 1],
        threads: [threads, 1, 1],
    };
    let mut arguments = vec![(&mut c).into(), (&there[0]).into(), (&there[1]).into()];
    arguments.extend([m, n, k].map(|n| cuda::Argument::from(n as u32)));
    // SAFETY: the buffers have the shapes that the extents say.
    let done = unsafe { device.launch(source, kernel, grid, &arguments) };
    done.and_then(|()| c.download()).expect("it runs")
}

const KERNELS: [(&str, MatmulVersion); 3] = [
    ("tensor_direct", MatmulVersion::TensorDirect),
    ("tensor_tf32", MatmulVersion::TensorTf32),
    ("tensor_bf16", MatmulVersion::TensorBf16),
];

#[test]
fn every_version_multiplies_the_rounded_factors() {
    let device = device();
    for mnk @ [m, n, k] in SHAPES {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let there = [&a, &b].map(|x| device.upload(x).expect("there is room"));
        for (_, version) in KERNELS {
            let by = version.precision();
            let exact = product(
                mnk,
                |r, c| read(by, a[r * k + c]),
                |r, c| read(by, b[r * n + c]),
            );
            let found = matmul_lesson(version, &there[0], &there[1], mnk);
            let found = found.and_then(|c| c.download()).expect("no fault");
            close(&found, &exact, tensor_bound(k));
        }
    }
}

/// NaN and infinity come through where they belong, and nowhere else.
#[test]
fn what_is_not_finite_stays_in_its_row() {
    let device = device();
    let mnk @ [m, n, k] = [33, 17, 20];
    for (value, expected) in [
        (f32::NAN, f32::is_nan as fn(f32) -> bool),
        (f32::INFINITY, f32::is_infinite),
    ] {
        let (mut a, b) = (vec![1.0; m * k], vec![1.0; k * n]);
        a[20 * k + 19] = value;
        for (kernel, _) in KERNELS {
            let c = run(&device, (&lesson(), kernel), [&a, &b], mnk);
            for (i, &c) in c.iter().enumerate() {
                let right = if i / n == 20 {
                    expected(c)
                } else {
                    c == k as f32
                };
                assert!(right, "{kernel}: {c} at {i}");
            }
        }
    }
}

/// Layouts that are nearly right, planted in the shipped text: each gives a
/// product that is wrong by much more than the bound.
#[test]
fn a_wrong_layout_is_seen() {
    let device = device();
    let mnk @ [m, n, k] = [33, 31, 40];
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    // (kernel, right, wrong)
    let plants = [
        // The second and third register of A change places.
        (
            "tensor_direct",
            "g + i % 2 * 8, q = l + 2 * t + i / 2 * 8",
            "g + i / 2 * 8, q = l + 2 * t + i % 2 * 8",
        ),
        // Groups run across and not down.
        (
            "tensor_direct",
            "g = threadIdx.x / 4, t = threadIdx.x % 4;\n    float sum",
            "g = threadIdx.x % 8, t = threadIdx.x / 8;\n    float sum",
        ),
        // The pair lies along the columns of B.
        (
            "tensor_direct",
            "entry(b, r + 1, q, k, n)",
            "entry(b, r, q + 1, k, n)",
        ),
        // The high half comes first.
        (
            "tensor_direct",
            "fg_bf16_pair(entry(a, r, q, m, k), entry(a, r, q + 1, m, k))",
            "fg_bf16_pair(entry(a, r, q + 1, m, k), entry(a, r, q, m, k))",
        ),
        // The layout of 11 bits read with that of 8: pairs of neighbours.
        ("tensor_tf32", "[l + t + i / 2 * 4]", "[l + 2 * t + i / 2]"),
        (
            "tensor_tf32",
            "right[l + t + h * 4]",
            "right[l + 2 * t + h]",
        ),
        // The second fragment down is 8 and not 16 rows below the first.
        (
            "tensor_tf32",
            "left[down + 16 * p + g",
            "left[down + 8 * p + g",
        ),
        (
            "tensor_bf16",
            "right[across + 8 * i + g][l + t + h * 4]",
            "right[across + 8 * i + t][l + g]",
        ),
        // The result's rows and columns change places.
        (
            "tensor_bf16",
            "g + i / 2 * 8, q = column + 2 * t + i % 2",
            "2 * t + i % 2, q = column + g + i / 2 * 8",
        ),
        (
            "tensor_bf16",
            "g + i / 2 * 8, q = column + 2 * t + i % 2",
            "g + i % 2 * 8, q = column + 2 * t + i / 2",
        ),
    ];
    for (kernel, right, wrong) in plants {
        let text = lesson().text().to_owned();
        let spoilt = text.replacen(right, wrong, 1);
        assert_ne!(text, spoilt, "{right} stands in the text");
        let source = Source::of("spoilt", &[("spoilt.cu", &spoilt)]);
        let by = KERNELS.iter().find(|(name, _)| *name == kernel);
        let by = by.expect("it is one of the three").1.precision();
        let exact = product(
            mnk,
            |r, c| read(by, a[r * k + c]),
            |r, c| read(by, b[r * n + c]),
        );
        let worst = |found: Vec<f32>| {
            let off = found
                .iter()
                .zip(&exact)
                .map(|(&f, e)| (f64::from(f) - e).abs());
            // A place that is never written is NaN, and wrong.
            off.fold(0.0, |most: f64, off| if off <= most { most } else { off })
        };
        let control = worst(run(&device, (&lesson(), kernel), [&a, &b], mnk));
        assert!(control <= tensor_bound(k), "{kernel}: {control:e}");
        let planted = worst(run(&device, (&source, kernel), [&a, &b], mnk));
        assert!(
            !(planted <= 1000.0 * tensor_bound(k)),
            "{kernel} with {wrong}: {planted:e} of {:e}",
            tensor_bound(k)
        );
    }
}
