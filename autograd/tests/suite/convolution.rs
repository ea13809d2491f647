//! Convolutions against loops written from their formula, their transposes
//! against the law of transposition, and wrong twins that must be rejected.
//!
//! Where the numbers are small integers every sum is exact in any order, so
//! the comparison is equality.

use crate::panic_text;
use autograd::check::{self, Program, sample};
use autograd::{
    Algebra, Convolution, Cpu, Draw, Philox, Primitive, Real, Tensor, Var, trap_non_finite, vjp,
};
use rand::{Rng, RngExt};

type Plain = Tensor<Cpu<f64>>;

/// Whole numbers from −4 to 4.
fn integers(shape: &[usize], rng: &mut impl Rng) -> Plain {
    let count = shape.iter().product();
    let numbers = (0..count).map(|_| f64::from(rng.random_range(-4..=4)));
    Tensor::new(shape, numbers.collect())
}

/// A convolution with everything it needs.
#[derive(Clone, Debug)]
struct Case {
    /// `[N, C, H, W]`.
    input: [usize; 4],
    /// `[O, C/G, K, L]`.
    weight: [usize; 4],
    how: Convolution<2>,
}

impl Case {
    fn random(rng: &mut impl Rng) -> Self {
        let mut below = |n: usize| rng.random_range(1..=n);
        let (groups, per_group, kernels) = (below(3), below(3), below(3));
        let kernel = [below(4), below(4)];
        let how = Convolution {
            stride: [below(3), below(3)],
            padding: [below(3) - 1, below(3) - 1],
            dilation: [below(3), below(3)],
            groups,
        };
        // As small as fits, or up to four places larger.
        let extent = |axis: usize, more: usize| {
            let reach = how.dilation[axis] * (kernel[axis] - 1) + 1;
            reach.saturating_sub(2 * how.padding[axis]) + more
        };
        let (height, width) = (extent(0, below(5) - 1), extent(1, below(5) - 1));
        Case {
            input: [below(3), groups * per_group, height.max(1), width.max(1)],
            weight: [groups * kernels, per_group, kernel[0], kernel[1]],
            how,
        }
    }

    /// The extents of the result, by counting the windows.
    fn output(&self) -> [usize; 4] {
        let windows = |axis: usize| {
            let (extent, size) = (self.input[2 + axis], self.weight[2 + axis]);
            let padded = extent + 2 * self.how.padding[axis];
            let last = |window: usize| {
                window * self.how.stride[axis] + (size - 1) * self.how.dilation[axis]
            };
            (0..padded)
                .take_while(|&window| last(window) < padded)
                .count()
        };
        [self.input[0], self.weight[0], windows(0), windows(1)]
    }

    /// Calls `f(x, w, y)` with the places in all three arrays of each product
    /// that the convolution is a sum of.
    fn products(&self, mut f: impl FnMut(usize, usize, usize)) {
        let ([n, c, height, width], [o, cg, kh, kw]) = (self.input, self.weight);
        let [_, _, oh, ow] = self.output();
        let Convolution {
            stride,
            padding,
            dilation,
            groups,
        } = self.how;
        for sample in 0..n {
            for out in 0..o {
                for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
                    for channel in 0..cg {
                        for (k, l) in (0..kh).flat_map(|k| (0..kw).map(move |l| (k, l))) {
                            let group = out / (o / groups);
                            let row = i * stride[0] + k * dilation[0];
                            let column = j * stride[1] + l * dilation[1];
                            let inside = (padding[0]..padding[0] + height).contains(&row)
                                && (padding[1]..padding[1] + width).contains(&column);
                            if inside {
                                let (row, column) = (row - padding[0], column - padding[1]);
                                let from = group * cg + channel;
                                f(
                                    ((sample * c + from) * height + row) * width + column,
                                    ((out * cg + channel) * kh + k) * kw + l,
                                    ((sample * o + out) * oh + i) * ow + j,
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    fn convolved(&self, x: &Plain, w: &Plain, bias: &Plain) -> Plain {
        let shape = self.output();
        let area = shape[2] * shape[3];
        let count: usize = shape.iter().product();
        let (x, w, b) = (x.as_slice(), w.as_slice(), bias.as_slice());
        let mut y: Vec<f64> = (0..count).map(|at| b[at / area % b.len()]).collect();
        self.products(|at_x, at_w, at_y| y[at_y] += w[at_w] * x[at_x]);
        Tensor::new(&shape, y)
    }

    /// What a transposed convolution of `y` puts where `x` was.
    fn transposed(&self, y: &Plain, w: &Plain, bias: &Plain) -> Plain {
        let shape = self.input;
        let area = shape[2] * shape[3];
        let count: usize = shape.iter().product();
        let (y, w, b) = (y.as_slice(), w.as_slice(), bias.as_slice());
        let mut x: Vec<f64> = (0..count).map(|at| b[at / area % b.len()]).collect();
        self.products(|at_x, at_w, at_y| x[at_x] += w[at_w] * y[at_y]);
        Tensor::new(&shape, x)
    }

    /// How far the last window stays from the end of the padded axes.
    fn rest(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = self.how.dilation[axis] * (self.weight[2 + axis] - 1) + 1;
            (self.input[2 + axis] + 2 * self.how.padding[axis] - reach) % self.how.stride[axis]
        })
    }
}

const SWEEP: u64 = 400;

/// A few hundred random shapes and parameters, all different in every axis:
/// value, extents, the transpose, and both derivatives, exactly.
///
/// Verifies (AD.60), (AD.61), (AD.62), (AD.63).
#[test]
fn two_axes_equal_the_loops_in_random_cases() {
    for seed in 0..SWEEP {
        let mut rng = Philox::new(Draw::seed(seed));
        let case = Case::random(&mut rng);
        let name = format!("seed {seed}: {case:?}");
        let (x, w) = (
            integers(&case.input, &mut rng),
            integers(&case.weight, &mut rng),
        );
        let (b, c) = (
            integers(&[case.weight[0]], &mut rng),
            integers(&[case.input[1]], &mut rng),
        );
        let expected = case.convolved(&x, &w, &b);
        let [_, _, height, width] = case.input;
        let kernel = [case.weight[2], case.weight[3]];
        let [_, _, oh, ow] = case.output();
        assert_eq!(
            case.how.output([height, width], kernel),
            Some([oh, ow]),
            "{name}"
        );
        let y = x.conv2d(&w, Some(&b), case.how);
        assert_eq!(
            (y.shape(), y.to_vec()),
            (expected.shape(), expected.to_vec()),
            "{name}"
        );
        let none = x.conv2d(&w, None, case.how) + b.reshape(&[case.weight[0], 1, 1]);
        assert_eq!(none.to_vec(), expected.to_vec(), "{name}");

        let y = integers(&case.output(), &mut rng);
        let back = case.how.transposed_output([oh, ow], kernel, case.rest());
        assert_eq!(back, Some([height, width]), "{name}");
        let expected = case.transposed(&y, &w, &c);
        let found = y.conv_transpose2d(&w, Some(&c), case.how, case.rest());
        assert_eq!(
            (found.shape(), found.to_vec()),
            (x.shape(), expected.to_vec()),
            "{name}"
        );

        // Reverse mode: by the array it is the transposed convolution, by the
        // kernel the sum over all products, by the bias the sum over places.
        let at = vec![x.clone(), w.clone(), b.clone()];
        let run = |x: &Vec<Tensor<Var<Cpu<f64>>>>| x[0].conv2d(&x[1], Some(&x[2]), case.how);
        let (_, bars) = vjp(run, &at, &y);
        let none = Plain::full(&[1], 0.0);
        assert_eq!(
            bars[0].to_vec(),
            case.transposed(&y, &w, &none).to_vec(),
            "{name}"
        );
        let mut w_bar = vec![0.0; w.shape().count()];
        case.products(|at_x, at_w, at_y| w_bar[at_w] += y.as_slice()[at_y] * x.as_slice()[at_x]);
        assert_eq!(bars[1].to_vec(), w_bar, "{name}");
        let b_bar = y.sum_axis(3).sum_axis(2).sum_axis(0);
        assert_eq!(bars[2].to_vec(), b_bar.to_vec(), "{name}");
    }
}

/// One axis: the same loops with one place along the other.
///
/// Verifies (AD.60), (AD.63).
#[test]
fn one_axis_equals_the_loops_in_random_cases() {
    for seed in 0..SWEEP {
        let mut rng = Philox::new(Draw::seed(seed).stream(1));
        let mut case = Case::random(&mut rng);
        (case.input[2], case.weight[2]) = (1, 1);
        let flat = |how: Convolution<2>| Convolution {
            stride: [how.stride[1]],
            padding: [how.padding[1]],
            dilation: [how.dilation[1]],
            groups: how.groups,
        };
        case.how.padding[0] = 0;
        let (name, how) = (format!("seed {seed}: {case:?}"), flat(case.how));
        let (x, w) = (
            integers(&case.input, &mut rng),
            integers(&case.weight, &mut rng),
        );
        let b = integers(&[case.weight[0]], &mut rng);
        let y = x.squeeze(2).conv1d(&w.squeeze(2), Some(&b), how);
        let expected = case.convolved(&x, &w, &b).squeeze(2);
        assert_eq!(
            (y.shape(), y.to_vec()),
            (expected.shape(), expected.to_vec()),
            "{name}"
        );
        let y = integers(&case.output(), &mut rng);
        let c = integers(&[case.input[1]], &mut rng);
        let rest = [case.rest()[1]];
        let found = y
            .squeeze(2)
            .conv_transpose1d(&w.squeeze(2), Some(&c), how, rest);
        let expected = case.transposed(&y, &w, &c).squeeze(2);
        assert_eq!(
            (found.shape(), found.to_vec()),
            (expected.shape(), expected.to_vec()),
            "{name}"
        );
    }
}

/// A case in which nothing equals anything else.
fn distinct() -> Case {
    Case {
        input: [2, 6, 11, 10],
        weight: [4, 3, 3, 5],
        how: Convolution {
            stride: [3, 1],
            padding: [0, 4],
            dilation: [1, 2],
            groups: 2,
        },
    }
}

/// Wrong twins of the convolution must be told from the right one by the
/// comparison that the right one passes: the extents fit, the numbers do not.
#[test]
fn wrong_twins_are_rejected() {
    let mut rng = Philox::new(Draw::seed(5));
    let case = Case {
        // Stride and dilation can be exchanged without changing the extents:
        // ⌊(11 − 2·2 − 1)/3⌋ = ⌊(11 − 3·2 − 1)/2⌋ = 2.
        input: [2, 4, 11, 11],
        weight: [6, 2, 3, 3],
        how: Convolution {
            stride: [3, 2],
            padding: [0, 0],
            dilation: [2, 3],
            groups: 2,
        },
    };
    let (x, w) = (
        integers(&case.input, &mut rng),
        integers(&case.weight, &mut rng),
    );
    let zero = Plain::full(&[1], 0.0);
    let expected = case.convolved(&x, &w, &zero);
    let how = case.how;
    let exchanged = Convolution {
        stride: how.dilation,
        dilation: how.stride,
        ..how
    };
    let turned = Convolution {
        stride: [2, 3],
        dilation: [3, 2],
        ..how
    };
    let regroup = |w: &Plain| w.index_select(0, &autograd::Index::new(vec![0, 2, 4, 1, 3, 5]));
    let twins = [
        (
            "stride and dilation exchanged",
            x.conv2d(&w, None, exchanged),
        ),
        ("axes exchanged", x.conv2d(&w, None, turned)),
        ("kernel flipped", x.conv2d(&w.flip(2).flip(3), None, how)),
        ("kernel transposed", x.conv2d(&w.swap_axes(2, 3), None, how)),
        (
            "channels of a group interleaved",
            x.conv2d(&regroup(&w), None, how),
        ),
        ("window one place late", x.roll(3, -1).conv2d(&w, None, how)),
    ];
    assert_eq!(x.conv2d(&w, None, how).to_vec(), expected.to_vec());
    for (name, twin) in twins {
        assert_eq!(twin.shape(), expected.shape(), "{name}");
        assert_ne!(twin.to_vec(), expected.to_vec(), "{name}");
    }
}

/// `⟨conv(x, w), y⟩ = ⟨x, convᵀ(y, w)⟩` with real numbers.
///
/// Verifies (AD.63).
#[test]
fn transposition_is_a_law_and_a_wrong_transpose_breaks_it() {
    let case = distinct();
    let x = sample(&case.input, (-1.0, 1.0), 1);
    let w = sample(&case.weight, (-1.0, 1.0), 2);
    let y = sample(&case.output(), (-1.0, 1.0), 3);
    let forward = x.conv2d(&w, None, case.how);
    let residual = |back: &Plain| {
        let (left, right) = (&forward * &y, &x * back);
        let size = left.abs().sum().item().max(right.abs().sum().item());
        (left.sum().item() - right.sum().item()).abs() / size
    };
    let right = y.conv_transpose2d(&w, None, case.how, case.rest());
    // Sums of 45 products in sums of a few hundred terms, in another order:
    // some tens of roundings relative to the sum of magnitudes.
    assert!(residual(&right) <= 1e-13, "{:e}", residual(&right));
    let flipped = y.conv_transpose2d(&w.flip(3), None, case.how, case.rest());
    assert!(residual(&flipped) >= 1e-4, "{:e}", residual(&flipped));
}

/// A convolution and its transpose as programs of array, kernel and bias.
enum Convolving {
    One(Convolution<1>),
    Two(Convolution<2>),
    OneBack(Convolution<1>, [usize; 1]),
    TwoBack(Convolution<2>, [usize; 2]),
}
impl Program for Convolving {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        match *self {
            Convolving::One(how) => x[0].conv1d(&x[1], x.get(2), how),
            Convolving::Two(how) => x[0].conv2d(&x[1], x.get(2), how),
            Convolving::OneBack(how, rest) => x[0].conv_transpose1d(&x[1], x.get(2), how, rest),
            Convolving::TwoBack(how, rest) => x[0].conv_transpose2d(&x[1], x.get(2), how, rest),
        }
    }
}

/// Forward, reverse and second derivatives of all four, by all inputs.
#[test]
fn all_modes_and_orders_pass_the_checker() {
    let one = Convolution {
        stride: [2],
        padding: [1],
        dilation: [3],
        groups: 2,
    };
    let two = Convolution {
        stride: [2, 1],
        padding: [0, 1],
        dilation: [1, 2],
        groups: 1,
    };
    let grouped = Convolution { groups: 3, ..two };
    let pointwise = Convolution::default();
    type Shapes = [&'static [usize]; 3];
    let cases: [(Convolving, Shapes); 8] = [
        (Convolving::One(one), [&[3, 4, 9], &[6, 2, 3], &[6]]),
        (Convolving::Two(two), [&[2, 1, 5, 4], &[3, 1, 3, 2], &[3]]),
        (
            Convolving::Two(grouped),
            [&[2, 6, 5, 4], &[3, 2, 3, 2], &[3]],
        ),
        (
            Convolving::Two(pointwise),
            [&[2, 5, 3, 4], &[6, 5, 1, 1], &[6]],
        ),
        (
            Convolving::OneBack(one, [1]),
            [&[3, 6, 2], &[6, 2, 3], &[4]],
        ),
        (
            Convolving::TwoBack(two, [1, 0]),
            [&[2, 3, 2, 4], &[3, 1, 3, 2], &[1]],
        ),
        (
            Convolving::TwoBack(grouped, [0, 0]),
            [&[2, 3, 2, 4], &[3, 2, 3, 2], &[6]],
        ),
        (
            Convolving::TwoBack(pointwise, [0, 0]),
            [&[2, 5, 3, 4], &[5, 6, 1, 1], &[6]],
        ),
    ];
    for (place, (program, shapes)) in cases.iter().enumerate() {
        let all: Vec<Plain> = (0..3).map(|i| sample(shapes[i], (-1.0, 1.0), i)).collect();
        for at in [&all[..], &all[..2]] {
            let report = check::check(program, at);
            match report {
                Ok(report) => println!("{place} {report:?}"),
                Err(failure) => panic!("case {place} with {} inputs: {failure}", at.len()),
            }
        }
    }
}

/// A convolution whose pull forgets that a transpose turns the kernel around.
#[derive(Clone, Debug)]
struct Unflipped;
impl Primitive for Unflipped {
    fn name(&self) -> &'static str {
        "unflipped"
    }
    fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        x[0].conv1d(&x[1], None, Convolution::default())
    }
    fn push<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        i: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        let how = Convolution::default();
        if i == 0 {
            v.conv1d(&x[1], None, how)
        } else {
            x[0].conv1d(&v, None, how)
        }
    }
    fn pull<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        _: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        w.conv_transpose1d(&x[1].flip(2), None, Convolution::default(), [0])
    }
}
impl Program for Unflipped {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let kernel = Tensor::constant(&x[0].stop().lift(&[2, 3, 2], &KERNEL));
        Tensor::primitive(self, &[x[0].clone(), kernel])
    }
}
const KERNEL: [f64; 12] = [
    0.3, -1.1, 0.7, 0.2, -0.4, 0.9, 1.3, -0.6, 0.1, 0.8, -0.5, 0.25,
];

#[test]
fn the_checker_rejects_a_convolution_with_an_unflipped_pull() {
    let x = [sample(&[4, 3, 5], (-1.0, 1.0), 1)];
    let failure = check::check(&Unflipped, &x).unwrap_err();
    assert_eq!(failure.law, "jvp and vjp are transposes");
    assert!(failure.found >= 1e-3, "{failure}");
}

#[test]
fn empty_arrays_and_single_places() {
    let how = Convolution::<2>::default();
    let padded = Convolution {
        padding: [1, 1],
        ..how
    };
    let one = |shape: &[usize]| Plain::full(shape, 1.0);
    let b = Plain::new(&[2], vec![3.0, 5.0]);
    // No samples; no channels, where only the bias is left; no kernels.
    let y = one(&[0, 3, 4, 5]).conv2d(&one(&[2, 3, 2, 2]), Some(&b), how);
    assert_eq!(y.shape()[..], [0, 2, 3, 4]);
    let y = one(&[1, 0, 2, 2]).conv2d(&one(&[2, 0, 2, 2]), Some(&b), how);
    assert_eq!(y.to_vec(), [3.0, 5.0]);
    let y = one(&[1, 0, 2, 2]).conv2d(&one(&[2, 0, 1, 2]), None, how);
    assert_eq!(y.to_vec(), [0.0; 4]);
    let y = one(&[1, 3, 4, 5]).conv2d(&one(&[0, 3, 2, 2]), Some(&one(&[0])), how);
    assert_eq!(y.shape()[..], [1, 0, 3, 4]);
    let y = one(&[0, 3, 4, 5]).conv_transpose2d(&one(&[3, 1, 2, 2]), Some(&one(&[1])), how, [0; 2]);
    assert_eq!(y.shape()[..], [0, 1, 5, 6]);
    // An axis of no places has windows if padding makes some.
    let y = one(&[1, 1, 0, 1]).conv2d(&one(&[1, 1, 2, 3]), Some(&one(&[1])), padded);
    assert_eq!(
        (y.shape().to_vec(), y.to_vec()),
        (vec![1, 1, 1, 1], vec![1.0])
    );
    // One place, one window; and a kernel that sees the whole array.
    let x = Plain::new(&[1, 1, 1, 1], vec![2.0]);
    assert_eq!(x.conv2d(&x, None, how).to_vec(), [4.0]);
    let x = sample(&[2, 3, 4, 5], (-1.0, 1.0), 1);
    let w = sample(&[6, 3, 4, 5], (-1.0, 1.0), 2);
    let all = x.conv2d(&w, None, how).reshape(&[2, 6]);
    let product = x.reshape(&[2, 60]).matmul(&w.reshape(&[6, 60]).t());
    for (a, b) in all.as_slice().iter().zip(product.as_slice()) {
        // 60 products smaller than 1, added in two orders.
        assert!(
            (a - b).abs() <= 60.0 * 60.0 * f64::EPSILON,
            "{a} against {b}"
        );
    }
}

/// The bits of a sample do not depend on the samples beside it.
#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let draw = Draw::seed(8);
    let numbers = |shape: &[usize], stream| {
        let mut out = vec![0.0; shape.iter().product()];
        Philox::normal_f32(draw.stream(stream), 0, &mut out);
        Tensor::<Cpu<f32>>::new(shape, out)
    };
    let (x, w, b) = (
        numbers(&[7, 6, 8, 8], 1),
        numbers(&[4, 6, 3, 3], 2),
        numbers(&[4], 3),
    );
    let how = Convolution {
        padding: [1, 1],
        ..Convolution::default()
    };
    let bits = |y: &Tensor<Cpu<f32>>| y.as_slice().iter().map(|y| y.to_bits()).collect::<Vec<_>>();
    let all = x.conv2d(&w, Some(&b), how);
    for sample in 0..7 {
        let alone = x.slice(0, sample, 1).conv2d(&w, Some(&b), how);
        assert_eq!(
            bits(&alone),
            bits(&all.slice(0, sample, 1)),
            "sample {sample}"
        );
    }
    // In single precision within γ₅₄ of the sums in double.
    let wide = |x: &Tensor<Cpu<f32>>| {
        Plain::new(&x.shape(), x.as_slice().iter().map(|&x| x.into()).collect())
    };
    let (x, w, b) = (wide(&x), wide(&w), wide(&b));
    let exact = x.conv2d(&w, Some(&b), how);
    let size = x.abs().conv2d(&w.abs(), Some(&b.abs()), how);
    for ((f, &d), size) in all
        .as_slice()
        .iter()
        .zip(exact.as_slice())
        .zip(size.as_slice())
    {
        let bound = 0.5 * f64::from(f32::EPSILON) * 57.0 * size;
        assert!((f64::from(*f) - d).abs() <= bound, "{f} against {d}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_all_shapes() {
    let one = |shape: &[usize]| Plain::full(shape, 1.0);
    let (x, w) = (one(&[2, 4, 5, 7]), one(&[6, 4, 3, 2]));
    let how = Convolution::<2>::default();
    let refused = |w: &Plain, bias: Option<&Plain>, how: Convolution<2>| {
        panic_text(|| x.conv2d(w, bias, how))
    };
    assert_eq!(
        refused(&one(&[6, 4, 3]), None, how),
        "conv2d: input [2, 4, 5, 7] and weight [6, 4, 3]: [N, C, H, W] and [O, C/groups, K, L] were expected"
    );
    let zero = "kernel extents and all of these must be positive";
    let hostile = [
        Convolution {
            stride: [0, 1],
            ..how
        },
        Convolution {
            dilation: [1, 0],
            ..how
        },
        Convolution { groups: 0, ..how },
    ];
    for how in hostile {
        assert!(refused(&w, None, how).ends_with(zero), "{how:?}");
    }
    assert!(refused(&one(&[6, 4, 0, 2]), None, how).ends_with(zero));
    assert_eq!(
        refused(&w, None, Convolution { groups: 4, ..how }),
        "conv2d: weight [6, 4, 3, 2] has 6 kernels, which 4 groups do not share evenly"
    );
    assert_eq!(
        refused(&w, None, Convolution { groups: 2, ..how }),
        "conv2d: input [2, 4, 5, 7] has 4 channels, weight [6, 4, 3, 2] in 2 groups sees 2·4"
    );
    assert_eq!(
        refused(&w, Some(&one(&[4])), how),
        "conv2d: bias [4], but the result has 6 channels"
    );
    let nothing = |how: Convolution<2>| refused(&w, None, how);
    assert_eq!(
        nothing(Convolution {
            dilation: [3, 1],
            ..how
        }),
        "conv2d: no window of weight [6, 4, 3, 2] fits on input [2, 4, 5, 7] with stride [1, 1], padding [0, 0], dilation [3, 1]"
    );
    // Parameters beyond any machine are refused before anything is allocated.
    for how in [
        Convolution {
            padding: [usize::MAX, 0],
            ..how
        },
        Convolution {
            padding: [0, usize::MAX / 2],
            ..how
        },
        Convolution {
            dilation: [usize::MAX, 1],
            ..how
        },
        Convolution {
            dilation: [1, usize::MAX],
            ..how
        },
    ] {
        assert!(nothing(how).starts_with("conv2d: no window"), "{how:?}");
    }
    let y = one(&[2, 6, 3, 6]);
    let back =
        |bias: Option<&Plain>, how, rest| panic_text(|| y.conv_transpose2d(&w, bias, how, rest));
    assert_eq!(
        back(None, how, [1, 0]),
        "conv_transpose2d: output padding [1, 0] is not less than stride [1, 1]"
    );
    assert_eq!(
        back(Some(&one(&[6])), how, [0, 0]),
        "conv_transpose2d: bias [6], but the result has 4 channels"
    );
    assert_eq!(
        back(
            None,
            Convolution {
                padding: [3, 0],
                ..how
            },
            [0, 0]
        ),
        "conv_transpose2d: nothing is left of input [2, 6, 3, 6] and weight [6, 4, 3, 2] with stride [1, 1], padding [3, 0], dilation [1, 1], output padding [0, 0]"
    );
    assert!(
        back(
            None,
            Convolution {
                stride: [usize::MAX, 1],
                ..how
            },
            [0, 0]
        )
        .starts_with("conv_transpose2d: nothing is left")
    );
    assert_eq!(
        panic_text(|| x.conv_transpose2d(&w, None, how, [0, 0])),
        "conv_transpose2d: input [2, 4, 5, 7] has 4 channels, weight [6, 4, 3, 2] has 6 kernels"
    );
    let line = Convolution::<1>::default();
    assert_eq!(
        panic_text(|| x.conv1d(&w, None, line)),
        "conv1d: input [2, 4, 5, 7] and weight [6, 4, 3, 2]: [N, C, L] and [O, C/groups, K] were expected"
    );
    assert!(
        panic_text(|| x.conv_transpose1d(&w, None, line, [0]))
            .starts_with("conv_transpose1d: input")
    );
}

#[test]
fn nan_mode_names_the_convolution() {
    let x = Plain::full(&[1, 1, 3, 3], f64::INFINITY);
    let text = panic_text(|| trap_non_finite(|| x.conv2d(&x, None, Convolution::default())));
    assert!(
        text.starts_with("conv2d: first non-finite result"),
        "{text}"
    );
    assert!(text.contains("convolution.rs"), "{text}");
    let y = Plain::full(&[1, 1, 1, 1], 1.0);
    let how = Convolution::default();
    let text = panic_text(|| trap_non_finite(|| y.conv_transpose2d(&x, None, how, [0; 2])));
    assert!(
        text.starts_with("conv_transpose2d: first non-finite"),
        "{text}"
    );
}
