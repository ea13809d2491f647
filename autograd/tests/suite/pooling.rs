//! Pooling and resizing against loops written from their formulas.

use crate::panic_text;
use autograd::check::{self, Program, sample};
use autograd::{Algebra, Cpu, Draw, Philox, Pooling, Tensor, Var, trap_non_finite, vjp};
use rand::{Rng, RngExt};

type Plain = Tensor<Cpu<f64>>;

fn integers(shape: &[usize], span: i32, rng: &mut impl Rng) -> Plain {
    let count = shape.iter().product();
    let numbers = (0..count).map(|_| f64::from(rng.random_range(-span..=span)));
    Tensor::new(shape, numbers.collect())
}

fn random_case(rng: &mut impl Rng) -> ([usize; 4], Pooling<2>) {
    let mut below = |n: usize| rng.random_range(1..=n);
    let kernel = [below(4), below(4)];
    let how = Pooling {
        kernel,
        stride: [below(3), below(3)],
        padding: kernel.map(|k| below(k) - 1),
    };
    let extent = |axis: usize, more: usize| {
        (kernel[axis] + more)
            .saturating_sub(2 * how.padding[axis])
            .max(1)
    };
    (
        [
            below(2),
            below(3),
            extent(0, below(5) - 1),
            extent(1, below(5) - 1),
        ],
        how,
    )
}

/// For each window its place in the result and the places that it sees.
fn windows([n, c, height, width]: [usize; 4], how: Pooling<2>) -> (Vec<Vec<usize>>, [usize; 4]) {
    let starts = |extent: usize, axis: usize| {
        let padded = extent + 2 * how.padding[axis];
        let all = (0..padded).step_by(how.stride[axis]);
        let fits = move |start: &usize| start + how.kernel[axis] <= padded;
        all.take_while(fits).collect::<Vec<_>>()
    };
    let (rows, columns) = (starts(height, 0), starts(width, 1));
    let mut all = Vec::new();
    for plane in 0..n * c {
        for &top in &rows {
            for &left in &columns {
                let mut seen = Vec::new();
                for row in top..top + how.kernel[0] {
                    for column in left..left + how.kernel[1] {
                        let (Some(row), Some(column)) = (
                            row.checked_sub(how.padding[0]),
                            column.checked_sub(how.padding[1]),
                        ) else {
                            continue;
                        };
                        if row < height && column < width {
                            seen.push((plane * height + row) * width + column);
                        }
                    }
                }
                all.push(seen);
            }
        }
    }
    (all, [n, c, rows.len(), columns.len()])
}

/// Values and slopes in random cases. The integers are few, so that windows
/// hold equals; the cotangents are multiples of the shares' denominators.
///
/// Verifies (AD.64), (AD.65).
#[test]
fn pooling_equals_the_loops_in_random_cases() {
    let mut ties = 0;
    for seed in 0..400 {
        let mut rng = Philox::new(Draw::seed(seed));
        let (shape, how) = random_case(&mut rng);
        let name = format!("seed {seed}: {shape:?} {how:?}");
        let x = integers(&shape, 2, &mut rng);
        let (windows, out) = windows(shape, how);
        let values = |seen: &[usize]| seen.iter().map(|&i| x.as_slice()[i]).collect::<Vec<f64>>();
        let area = (how.kernel[0] * how.kernel[1]) as f64;
        let means: Vec<f64> = windows
            .iter()
            .map(|w| values(w).iter().sum::<f64>())
            .collect();
        let largest: Vec<f64> = windows
            .iter()
            .map(|w| values(w).iter().fold(f64::NEG_INFINITY, |m, &v| m.max(v)))
            .collect();
        assert_eq!(
            how.output([shape[2], shape[3]]),
            Some([out[2], out[3]]),
            "{name}"
        );
        let average = x.avg_pool2d(how);
        assert_eq!(average.shape()[..], out, "{name}");
        for (&found, sum) in average.as_slice().iter().zip(&means) {
            // A sum without error, times a rounded reciprocal.
            assert!(
                (found - sum / area).abs() <= 2.0 * f64::EPSILON * found.abs(),
                "{name}"
            );
        }
        let y = x.max_pool2d(how);
        assert_eq!(
            (&y.shape()[..], y.to_vec()),
            (&out[..], largest.clone()),
            "{name}"
        );

        let y_bar = integers(&out, 9, &mut rng);
        let (_, by_max) = vjp(|x: &Tensor<Var<_>>| x.max_pool2d(how), &x, &y_bar);
        let (_, by_mean) = vjp(|x: &Tensor<Var<_>>| x.avg_pool2d(how), &x, &y_bar);
        let count: usize = shape.iter().product();
        let (mut max_bar, mut mean_bar) = (vec![0.0; count], vec![0.0; count]);
        for ((seen, &y_bar), &largest) in windows.iter().zip(y_bar.as_slice()).zip(&largest) {
            let reached: Vec<usize> = seen
                .iter()
                .copied()
                .filter(|&i| x.as_slice()[i] == largest)
                .collect();
            ties += usize::from(reached.len() > 1);
            for &i in &reached {
                max_bar[i] += y_bar / reached.len() as f64;
            }
            for &i in seen {
                mean_bar[i] += y_bar / area;
            }
        }
        for (found, expected) in [(&by_max, &max_bar), (&by_mean, &mean_bar)] {
            for (found, expected) in found.as_slice().iter().zip(expected) {
                // At most 16 windows of slope 9 or less meet in a place.
                let bound = 16.0 * 9.0 * 4.0 * f64::EPSILON;
                assert!(
                    (found - expected).abs() <= bound,
                    "{name}: {found} {expected}"
                );
            }
        }
    }
    assert!(ties > 1000, "only {ties} windows with equals");
}

/// One axis, by two: the same numbers with an axis of one place.
#[test]
fn one_axis_equals_two() {
    for seed in 0..100 {
        let mut rng = Philox::new(Draw::seed(seed).stream(1));
        let (mut shape, mut how) = random_case(&mut rng);
        shape[2] = 1;
        (how.kernel[0], how.stride[0], how.padding[0]) = (1, 1, 0);
        let line = Pooling {
            kernel: [how.kernel[1]],
            stride: [how.stride[1]],
            padding: [how.padding[1]],
        };
        let x = integers(&shape, 9, &mut rng);
        let flat = x.squeeze(2);
        let (mean, max) = (flat.avg_pool1d(line), flat.max_pool1d(line));
        assert_eq!(mean.to_vec(), x.avg_pool2d(how).to_vec(), "seed {seed}");
        assert_eq!(max.to_vec(), x.max_pool2d(how).to_vec(), "seed {seed}");
        assert_eq!(max.shape()[..], x.max_pool2d(how).squeeze(2).shape()[..]);
    }
}

/// Verifies (AD.66).
#[test]
fn resizing_takes_the_place_of_the_formula() {
    for n in 1..=7_usize {
        for m in 0..=17_usize {
            let x = Plain::new(&[1, n], (0..n).map(|i| i as f64).collect());
            let expected: Vec<f64> = (0..m)
                .map(|i| {
                    // The last place k with k/n ≤ i/m.
                    (0..n).rev().find(|k| k * m <= i * n).expect("0 is one") as f64
                })
                .collect();
            assert_eq!(x.resize_nearest(1, m).to_vec(), expected, "{n} to {m}");
        }
    }
    let x = Plain::new(&[1, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let row = |a: f64, b: f64| [a, a, a, b, b, b];
    let expected = [row(1.0, 2.0), row(1.0, 2.0), row(3.0, 4.0), row(3.0, 4.0)].concat();
    let y = x.upsample_nearest2d([2, 3]);
    assert_eq!(
        (y.shape().to_vec(), y.to_vec()),
        (vec![1, 1, 4, 6], expected)
    );
    let y = x.squeeze(0).upsample_nearest1d(2);
    assert_eq!(y.to_vec(), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
    // What pooling by the mean undoes.
    let x = sample(&[2, 3, 4, 5], (-1.0, 1.0), 1);
    assert_eq!(
        x.upsample_nearest2d([2, 4])
            .avg_pool2d(Pooling::of([2, 4]))
            .to_vec(),
        x.to_vec()
    );
}

enum Resampling {
    Mean(Pooling<2>),
    Largest(Pooling<2>),
    MeanOfLine(Pooling<1>),
    LargestOfLine(Pooling<1>),
    Resized(usize, usize),
    Upsampled([usize; 2]),
    UpsampledLine(usize),
}
impl Program for Resampling {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        match *self {
            Resampling::Mean(how) => x[0].avg_pool2d(how),
            Resampling::Largest(how) => x[0].max_pool2d(how),
            Resampling::MeanOfLine(how) => x[0].avg_pool1d(how),
            Resampling::LargestOfLine(how) => x[0].max_pool1d(how),
            Resampling::Resized(axis, extent) => x[0].resize_nearest(axis, extent),
            Resampling::Upsampled(factors) => x[0].upsample_nearest2d(factors),
            Resampling::UpsampledLine(factor) => x[0].upsample_nearest1d(factor),
        }
    }
}

/// Different numbers whose distances exceed twice the largest difference step:
/// the maximum is analytic around them. A square would touch its neighbours.
fn far_apart(shape: &[usize]) -> Plain {
    let count: usize = shape.iter().product();
    let order = (0..count).map(|i| (i * 89 + 41) % count);
    let numbers: Vec<f64> = order
        .map(|rank| 0.5 * rank as f64 - 0.25 * count as f64)
        .collect();
    let mut seen = numbers.clone();
    seen.sort_by(f64::total_cmp);
    assert!(
        seen.windows(2).all(|pair| pair[1] - pair[0] >= 0.5),
        "all differ"
    );
    Tensor::new(shape, numbers)
}

#[test]
fn all_modes_and_orders_pass_the_checker() {
    let plane = Pooling {
        kernel: [2, 3],
        stride: [1, 2],
        padding: [1, 0],
    };
    let line = Pooling {
        kernel: [3],
        stride: [2],
        padding: [2],
    };
    let smooth = [
        ("avg_pool2d", Resampling::Mean(plane), vec![2, 3, 4, 5]),
        ("avg_pool1d", Resampling::MeanOfLine(line), vec![2, 3, 5]),
        (
            "resize_nearest up",
            Resampling::Resized(1, 5),
            vec![2, 3, 4],
        ),
        (
            "resize_nearest down",
            Resampling::Resized(2, 3),
            vec![2, 4, 5],
        ),
        (
            "upsample_nearest2d",
            Resampling::Upsampled([2, 3]),
            vec![2, 1, 3, 4],
        ),
        (
            "upsample_nearest1d",
            Resampling::UpsampledLine(4),
            vec![2, 1, 3],
        ),
    ];
    for (name, program, shape) in smooth {
        let report = check::check(&program, &[sample(&shape, (-1.0, 1.0), 1)]);
        assert!(report.is_ok(), "{name}: {}", report.unwrap_err());
    }
    let kinked = [
        ("max_pool2d", Resampling::Largest(plane), vec![2, 1, 3, 4]),
        ("max_pool1d", Resampling::LargestOfLine(line), vec![2, 3, 5]),
    ];
    for (name, program, shape) in kinked {
        let report = check::check(&program, &[far_apart(&shape)]);
        assert!(report.is_ok(), "{name}: {}", report.unwrap_err());
    }
}

/// Stated conventions: padding is never the largest, NaN wins, and NaN mode
/// looks at the result, not at the padding.
#[test]
fn padding_is_minus_infinity_and_nan_wins() {
    let how = Pooling {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [1, 1],
    };
    let x = Plain::new(&[1, 1, 2, 2], vec![-3.0, -5.0, f64::NEG_INFINITY, -7.0]);
    let expected = [-3.0, -5.0, f64::NEG_INFINITY, -7.0];
    assert_eq!(x.max_pool2d(how).to_vec(), expected);
    let x = Plain::new(&[1, 1, 2, 2], vec![-3.0, -5.0, -1.0, -7.0]);
    assert_eq!(trap_non_finite(|| x.max_pool2d(how)).to_vec(), x.to_vec());
    let x = Plain::new(&[1, 1, 2, 2], vec![-3.0, f64::NAN, -1.0, -7.0]);
    assert!(x.max_pool2d(Pooling::of([2, 2])).item().is_nan());
    // Four equals share the slope in four, also beside padding.
    let x = Plain::full(&[1, 1, 2, 2], 1.5);
    let all = Pooling {
        kernel: [3, 3],
        stride: [3, 3],
        padding: [1, 1],
    };
    let one = Plain::full(&[1, 1, 1, 1], 1.0);
    let (_, slope) = vjp(|x: &Tensor<Var<_>>| x.max_pool2d(all), &x, &one);
    assert_eq!(slope.to_vec(), [0.25; 4]);
    // No samples, no channels.
    let none = Plain::full(&[0, 3, 4, 4], 0.0);
    assert_eq!(none.max_pool2d(how).shape()[..], [0, 3, 3, 3]);
    let none = Plain::full(&[2, 0, 4, 4], 0.0);
    assert_eq!(none.avg_pool2d(how).shape()[..], [2, 0, 3, 3]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = Plain::full(&[2, 3, 4, 5], 1.0);
    let how = Pooling::of([2, 2]);
    assert_eq!(
        panic_text(|| x.sum_axis(0).max_pool2d(how)),
        "max_pool2d: input [3, 4, 5]: [N, C, H, W] was expected"
    );
    assert_eq!(
        panic_text(|| x.avg_pool1d(Pooling::of([2]))),
        "avg_pool1d: input [2, 3, 4, 5]: [N, C, L] was expected"
    );
    assert_eq!(
        panic_text(|| x.max_pool2d(Pooling {
            stride: [0, 1],
            ..how
        })),
        "max_pool2d: kernel [2, 2], stride [0, 1]: all must be positive"
    );
    assert_eq!(
        panic_text(|| x.avg_pool2d(Pooling::of([2, 0]))),
        "avg_pool2d: kernel [2, 0], stride [2, 0]: all must be positive"
    );
    assert_eq!(
        panic_text(|| x.max_pool2d(Pooling {
            padding: [0, 2],
            ..how
        })),
        "max_pool2d: padding [0, 2] is not less than kernel [2, 2]"
    );
    assert_eq!(
        panic_text(|| x.avg_pool2d(Pooling::of([5, 2]))),
        "avg_pool2d: no window of [5, 2] fits on input [2, 3, 4, 5] with padding [0, 0]"
    );
    let line = Pooling {
        kernel: [usize::MAX],
        stride: [usize::MAX],
        padding: [usize::MAX - 6],
    };
    assert!(panic_text(|| x.sum_axis(0).max_pool1d(line)).contains("no window"));
    assert_eq!(
        panic_text(|| x.slice(2, 0, 0).resize_nearest(2, 3)),
        "resize_nearest: axis 2 of [2, 3, 0, 5] is empty, extent 3 was asked for"
    );
    assert_eq!(
        panic_text(|| x.upsample_nearest1d(2)),
        "upsample_nearest1d: input [2, 3, 4, 5]: [N, C, L] was expected"
    );
    assert_eq!(
        panic_text(|| x.sum_axis(0).upsample_nearest2d([2, 2])),
        "upsample_nearest2d: input [3, 4, 5]: [N, C, H, W] was expected"
    );
}
