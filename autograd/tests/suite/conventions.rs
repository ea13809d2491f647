//! What is said of the points where calculus gives no answer, or where a
//! formula could overflow: kinks, ties, zeros, ends of domains, infinities.

use autograd::{Algebra, Binary, Cpu, Dual, Index, Tensor, Unary, Var, grad, hvp, jvp};
use std::f64::consts::{FRAC_PI_2, PI};

type Plain = Tensor<Cpu<f64>>;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Equal as numbers, NaN to NaN, or within four roundings.
#[track_caller]
fn same(what: &str, found: f64, stated: f64) {
    let close = (found - stated).abs() <= 4.0 * f64::EPSILON * stated.abs();
    let equal = found == stated || (found.is_nan() && stated.is_nan());
    assert!(equal || close, "{what}: found {found}, stated {stated}");
}

#[test]
fn functions_of_one_number_at_their_special_points() {
    use Unary::{
        Abs, Acos, Acosh, Asin, Asinh, Atan, Atanh, Ceil, Clamp, Elu, Erf, Erfc, Exp, ExpM1, Floor,
        Gelu, GeluTanh, LeakyRelu, Ln, Ln1p, LnGamma, LogSigmoid, Polygamma, Powf, Powi, Recip,
        Relu, Round, Rsqrt, Selu, Shift, Sigmoid, Sign, Silu, Softplus, Sqrt, Square, Step, Tanh,
    };
    const EULER: f64 = 0.577_215_664_901_532_9;
    const SELU: f64 = 1.050_700_987_355_480_5 * 1.673_263_242_354_377_2;
    // Function, argument, value, slope.
    let stated = [
        (Shift(2.0), INF, INF, 1.0),
        (Recip, 0.0, INF, -INF),
        (Recip, -0.0, -INF, -INF),
        (Recip, INF, 0.0, 0.0),
        (Square, 1e200, INF, 2e200),
        (Sqrt, 0.0, 0.0, INF),
        (Sqrt, -1.0, NAN, NAN),
        (Rsqrt, 0.0, INF, -INF),
        (Powi(0), 0.0, 1.0, 0.0),
        (Powi(0), INF, 1.0, 0.0),
        (Powi(1), INF, INF, 1.0),
        (Powi(2), 0.0, 0.0, 0.0),
        (Powi(-1), 0.0, INF, -INF),
        (Powf(0.0), 0.0, 1.0, 0.0),
        (Powf(1.0), -3.0, -3.0, 1.0),
        (Powf(0.5), 0.0, 0.0, INF),
        (Powf(2.0), -3.0, 9.0, -6.0),
        (Powf(0.5), -1.0, NAN, NAN),
        (Exp, -INF, 0.0, 0.0),
        (ExpM1, 1e-300, 1e-300, 1.0),
        (ExpM1, -INF, -1.0, 0.0),
        (Ln, 0.0, -INF, INF),
        (Ln1p, -1.0, -INF, INF),
        (Ln1p, 1e-300, 1e-300, 1.0),
        (Asin, 1.0, FRAC_PI_2, INF),
        (Asin, 1.1, NAN, NAN),
        (Acos, -1.0, PI, -INF),
        (Atan, INF, FRAC_PI_2, 0.0),
        (Asinh, 1e300, 1e300f64.ln() + 2f64.ln(), 1e-300),
        (Acosh, 1.0, 0.0, INF),
        (Acosh, 0.9, NAN, NAN),
        (Acosh, -6871.0, NAN, NAN),
        (Atanh, 1.0, INF, INF),
        (Atanh, -1.0, -INF, INF),
        (Tanh, INF, 1.0, 0.0),
        (Sigmoid, INF, 1.0, 0.0),
        (Sigmoid, -INF, 0.0, 0.0),
        // The slope does not cancel where the value rounds to 1.
        (Sigmoid, 40.0, 1.0, (-40f64).exp()),
        (LogSigmoid, -1e300, -1e300, 1.0),
        (LogSigmoid, 40.0, -(-40f64).exp(), (-40f64).exp()),
        (Softplus, 1e300, 1e300, 1.0),
        (Softplus, -40.0, (-40f64).exp(), (-40f64).exp()),
        (Silu, 0.0, 0.0, 0.5),
        (Silu, 800.0, 800.0, 1.0),
        (Gelu, 0.0, 0.0, 0.5),
        (Gelu, 1e10, 1e10, 1.0),
        (Gelu, -1e10, 0.0, 0.0),
        (GeluTanh, 0.0, 0.0, 0.5),
        (GeluTanh, 1e10, 1e10, 1.0),
        (GeluTanh, -1e10, 0.0, 0.0),
        (Relu, 0.0, 0.0, 0.0),
        (LeakyRelu(0.1), 0.0, 0.0, 0.1),
        (LeakyRelu(0.1), 2.0, 2.0, 1.0),
        (Elu(1.5), 0.0, 0.0, 1.5),
        (Elu(1.5), 2.0, 2.0, 1.0),
        (Elu(1.5), -INF, -1.5, 0.0),
        (Selu, 0.0, 0.0, SELU),
        (
            Selu,
            2.0,
            2.0 * 1.050_700_987_355_480_5,
            1.050_700_987_355_480_5,
        ),
        (Erf, INF, 1.0, 0.0),
        (Erfc, INF, 0.0, 0.0),
        (LnGamma, 1.0, 0.0, -EULER),
        (LnGamma, 0.0, INF, -INF),
        (LnGamma, -0.5, NAN, NAN),
        (Polygamma(0), 1.0, -EULER, PI * PI / 6.0),
        (Abs, 0.0, 0.0, 0.0),
        (Abs, -INF, INF, -1.0),
        (Clamp((-1.0, 2.0)), -1.0, -1.0, 1.0),
        (Clamp((-1.0, 2.0)), 2.0, 2.0, 1.0),
        (Clamp((-1.0, 2.0)), 2.1, 2.0, 0.0),
        (Clamp((-1.0, 2.0)), -1.1, -1.0, 0.0),
        (Clamp((-1.0, 2.0)), INF, 2.0, 0.0),
        (Sign, 0.0, 0.0, 0.0),
        (Sign, -3.0, -1.0, 0.0),
        (Step, 0.0, 0.0, 0.0),
        (Floor, -0.5, -1.0, 0.0),
        (Ceil, -1.5, -1.0, 0.0),
        (Round, 2.5, 2.0, 0.0),
        (Round, -1.5, -2.0, 0.0),
    ];
    for (op, x, value, slope) in stated {
        let x = Plain::scalar(x);
        let what = format!("{op:?} at {}", x.item());
        let (y, y_dot) = jvp(|x| x.unary(op), &x, &x.ones_like());
        same(&what, y.item(), value);
        same(&format!("{what}, slope forward"), y_dot.item(), slope);
        let x_bar = autograd::vjp_partial(|x| x.unary(op), &x, &x.ones_like()).1;
        same(&format!("{what}, slope in reverse"), x_bar.item(), slope);
    }
}

#[test]
fn not_a_number_stays_so() {
    for &op in Unary::ALL {
        let y = Plain::scalar(NAN).unary(op).item();
        assert!(y.is_nan(), "{op:?} makes {y} of NaN");
        let y = Tensor::<Cpu<f32>>::scalar(f32::NAN).unary(op).item();
        assert!(y.is_nan(), "{op:?} makes {y} of NaN in f32");
    }
    for &op in Binary::ALL {
        for (a, b) in [(NAN, 1.5), (1.5, NAN)] {
            let y = Plain::scalar(a).binary(op, &Plain::scalar(b)).item();
            assert!(y.is_nan(), "{op:?} makes {y} of {a} and {b}");
        }
    }
    let x = Plain::new(&[3], vec![1.0, NAN, 2.0]);
    assert!(x.max().item().is_nan() && x.min().item().is_nan());
    assert_eq!(x.argmax(0).as_slice(), [1]);
}

#[test]
fn functions_of_two_numbers_at_their_special_points() {
    // Function, arguments, value, slope by each.
    let stated = [
        (Binary::Maximum, 1.0, 1.0, 1.0, 0.5, 0.5),
        (Binary::Minimum, 1.0, 1.0, 1.0, 0.5, 0.5),
        (Binary::Maximum, INF, INF, INF, 0.5, 0.5),
        (Binary::Maximum, 2.0, 1.0, 2.0, 1.0, 0.0),
        (Binary::Minimum, 2.0, 1.0, 1.0, 0.0, 1.0),
        (Binary::Div, 1.0, 0.0, INF, INF, -INF),
        (Binary::Pow, 0.0, 0.0, 1.0, 0.0, -INF),
        (Binary::Pow, 0.0, 1.0, 0.0, 1.0, 0.0),
        (Binary::Pow, 0.0, 2.0, 0.0, 0.0, 0.0),
        (Binary::Pow, -2.0, 2.0, 4.0, -4.0, NAN),
        (Binary::Atan2, 0.0, 0.0, 0.0, NAN, NAN),
        (Binary::Atan2, 0.0, -1.0, PI, -1.0, 0.0),
        (
            Binary::Atan2,
            1e200,
            1e200,
            FRAC_PI_2 / 2.0,
            5e-201,
            -5e-201,
        ),
        (Binary::Hypot, 0.0, 0.0, 0.0, 0.0, 0.0),
        (Binary::Hypot, 3e200, 4e200, 5e200, 0.6, 0.8),
    ];
    for (op, a, b, value, by_a, by_b) in stated {
        let at = (Plain::scalar(a), Plain::scalar(b));
        let what = format!("{op:?} at {a}, {b}");
        same(&what, at.0.binary(op, &at.1).item(), value);
        let g = grad(
            |m: &(Tensor<Var<Cpu<f64>>>, Tensor<Var<_>>)| m.0.binary(op, &m.1),
            &at,
        );
        same(&format!("{what}, by a"), g.0.item(), by_a);
        same(&format!("{what}, by b"), g.1.item(), by_b);
    }
}

#[test]
fn comparisons_are_masks_and_not_a_number_equals_nothing() {
    let a = Plain::new(&[4], vec![1.0, 2.0, 3.0, NAN]);
    let b = Plain::full(&[1], 2.0);
    assert_eq!(a.lt(&b).to_vec(), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(a.le(&b).to_vec(), [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(a.gt(&b).to_vec(), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(a.ge(&b).to_vec(), [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(a.eq(&b).to_vec(), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(a.ne(&b).to_vec(), [1.0, 0.0, 1.0, 1.0]);
}

/// The cotangent of what was not chosen is 0, and 0 times an infinite slope is
/// NaN: the argument has to be chosen, not only the value.
#[test]
fn a_selection_does_not_hide_an_infinite_slope_but_choosing_the_argument_does() {
    type V = Tensor<Var<Cpu<f64>>>;
    let x = Plain::new(&[2], vec![2.0, 0.0]);
    let positive = |x: &V| x.stop().gt(&x.stop().zeros_like());
    let late = grad(
        |x: &V| Tensor::select(&positive(x), &x.ln(), &x.square()).sum(),
        &x,
    );
    same("late", late.as_slice()[0], 0.5);
    same("late", late.as_slice()[1], NAN);
    let early = grad(
        |x: &V| {
            let safe = Tensor::select(&positive(x), x, &x.ones_like());
            Tensor::select(&positive(x), &safe.ln(), &x.square()).sum()
        },
        &x,
    );
    assert_eq!(early.to_vec(), [0.5, 0.0]);
}

/// Seven systems out of seven have been wrong here: the derivative of a
/// product where factors are 0 is the product of the others.
#[test]
fn a_product_with_zeros_has_all_its_derivatives() {
    let slope = |x: &[f64]| {
        let x = Plain::new(&[x.len()], x.to_vec());
        grad(|x: &Tensor<Var<Cpu<f64>>>| x.prod(), &x).to_vec()
    };
    assert_eq!(slope(&[2.0, 3.0, 4.0]), [12.0, 8.0, 6.0]);
    assert_eq!(slope(&[0.0, 3.0, 4.0]), [12.0, 0.0, 0.0]);
    assert_eq!(slope(&[0.0, 3.0, 0.0]), [0.0, 0.0, 0.0]);
    assert_eq!(
        slope(&[0.0, -3.0, 4.0, 2.0, 5.0]),
        [-120.0, 0.0, 0.0, 0.0, 0.0]
    );
    // Two zeros: the second derivative by both is the product of the rest.
    let x = Plain::new(&[3], vec![0.0, 3.0, 0.0]);
    let u = Plain::new(&[3], vec![1.0, 0.0, 0.0]);
    let hu = hvp(|x: &Tensor<Var<Dual<Cpu<f64>>>>| x.prod(), &x, &u);
    assert_eq!(hu.to_vec(), [0.0, 0.0, 3.0]);
    assert_eq!(Plain::new(&[0], vec![]).prod().item(), 1.0);
    let none = Plain::new(&[2, 0], vec![]).prod_axis(1);
    assert_eq!(none.to_vec(), [1.0, 1.0]);
}

#[test]
fn the_largest_shares_its_slope_and_an_empty_one_is_minus_infinity() {
    let x = Plain::new(&[2, 3], vec![1.0, 5.0, 5.0, -1.0, -1.0, -1.0]);
    let slope = grad(|x: &Tensor<Var<Cpu<f64>>>| x.max_axis(1).sum(), &x);
    let third = 1.0 / 3.0;
    assert_eq!(slope.to_vec(), [0.0, 0.5, 0.5, third, third, third]);
    assert_eq!(x.max_axis(1).to_vec(), [5.0, -1.0]);
    assert_eq!(x.min_axis(0).to_vec(), [-1.0, -1.0, -1.0]);
    assert_eq!(x.argmax(1).as_slice(), [1, 0]);
    assert_eq!(x.argmax(0).as_slice(), [0, 0, 0]);
    let none = Plain::new(&[0], vec![]);
    assert_eq!((none.max().item(), none.min().item()), (-INF, INF));
    assert!(none.mean().item().is_nan());
    assert_eq!(none.sum().item(), 0.0);
}

#[test]
fn a_norm_neither_overflows_nor_kinks() {
    let norm = |x: &[f64]| Plain::new(&[x.len()], x.to_vec()).norm().item();
    same("large", norm(&[3e200, 4e200]), 5e200);
    same("small", norm(&[3e-200, 4e-200]), 5e-200);
    assert_eq!(norm(&[0.0, 0.0]), 0.0);
    assert_eq!(norm(&[]), 0.0);
    assert_eq!(norm(&[INF, 1.0]), INF);
    assert!(norm(&[NAN, 1.0]).is_nan());
    let slope = |x: &[f64]| {
        let x = Plain::new(&[x.len()], x.to_vec());
        grad(|x: &Tensor<Var<Cpu<f64>>>| x.norm(), &x).to_vec()
    };
    assert_eq!(slope(&[0.0, 0.0]), [0.0, 0.0]);
    let unit = slope(&[3e200, 4e200]);
    same("unit vector", unit[0], 0.6);
    same("unit vector", unit[1], 0.8);
}

#[test]
fn exponentials_are_shifted_before_they_overflow() {
    let x = Plain::new(&[1, 3], vec![-1000.0, 0.0, 1000.0]);
    assert_eq!(x.log_softmax(1).to_vec(), [-2000.0, -1000.0, 0.0]);
    let (y, y_dot) = jvp(|x| x.log_softmax(1), &x, &x.ones_like());
    // A common shift of all changes nothing.
    assert_eq!((y.max().item(), y_dot.norm().item()), (0.0, 0.0));
}

#[test]
fn one_hot_rows_and_tables() {
    let like = Plain::scalar(0.0);
    let index = Index::new(vec![2, 0]);
    let rows = like.one_hot(&index, 3);
    assert_eq!(rows.to_vec(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    let table = autograd::check::sample(&[3, 2], (-1.0, 1.0), 7);
    assert_eq!(table.gather(&index).to_vec(), rows.matmul(&table).to_vec());
}

/// A long sum is taken by halves: whole numbers add up exactly, each once, and
/// the error of `n` tenths in single precision grows with the logarithm of `n`.
#[test]
fn long_sums_are_taken_by_halves() {
    for n in [100, 129, 1000, 4097, 100_003usize] {
        let x = Plain::new(&[n], (1..=n).map(|i| i as f64).collect());
        assert_eq!(x.sum().item(), (n * (n + 1) / 2) as f64);
        // And down the columns of a matrix: 1, 2 and 3 times as much.
        let rows = (1..=n).flat_map(|i| [1.0, 2.0, 3.0].map(|c| c * i as f64));
        let sums = Plain::new(&[n, 3], rows.collect()).sum_axis(0);
        let whole = (n * (n + 1) / 2) as f64;
        assert_eq!(sums.to_vec(), [whole, 2.0 * whole, 3.0 * whole]);
    }
    let n = 1 << 20;
    let tenths = Tensor::<Cpu<f32>>::full(&[n], 0.1);
    let exact = f64::from(0.1f32) * n as f64;
    let error = (f64::from(tenths.sum().item()) - exact).abs() / exact;
    // What the sum promises: log₂(n/256) + 256/8 + 3 roundings. One after the other
    // it would be 2²⁰/8, and is some thousands.
    let allowed = (12.0 + 32.0 + 3.0) * f64::from(f32::EPSILON);
    assert!(error <= allowed, "{error:e}");
}

/// `y[o, i, k] = x[o, index[o, i, k], k]`, in words, along each axis.
#[test]
fn elements_are_taken_along_the_axis_that_is_named() {
    let (shape, extents) = ([2, 4, 3], [5, 2, 7]);
    let x = Plain::new(&shape, (0..24).map(f64::from).collect());
    for axis in 0..3 {
        let mut to = shape;
        to[axis] = extents[axis];
        let count: usize = to.iter().product();
        let rows: Vec<usize> = (0..count).map(|k| (7 * k + k / 3) % shape[axis]).collect();
        let mut expected = Vec::new();
        for (place, &row) in rows.iter().enumerate() {
            let mut at = [
                place / (to[1] * to[2]),
                place / to[2] % to[1],
                place % to[2],
            ];
            at[axis] = row;
            expected.push(((at[0] * shape[1] + at[1]) * shape[2] + at[2]) as f64);
        }
        let y = x.take_along_axis(axis, &Index::new(rows), extents[axis]);
        assert_eq!(
            (&y.shape()[..], y.to_vec()),
            (&to[..], expected),
            "axis {axis}"
        );
    }
}

/// The place of the largest along each axis of three, by the words of its doc.
#[test]
fn the_largest_is_found_along_the_axis_that_is_named() {
    let shape = [2, 4, 3];
    let x = Plain::new(&shape, (0..24).map(|i| f64::from(i * 7 % 11)).collect());
    for axis in 0..3 {
        let mut lines = shape;
        lines[axis] = 1;
        let mut expected = Vec::new();
        for line in 0..lines.iter().product() {
            let mut at = [
                line / (lines[1] * lines[2]),
                line / lines[2] % lines[1],
                line % lines[2],
            ];
            let values: Vec<f64> = (0..shape[axis])
                .map(|k| {
                    at[axis] = k;
                    x.as_slice()[(at[0] * shape[1] + at[1]) * shape[2] + at[2]]
                })
                .collect();
            let most = values.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(v));
            expected.extend(values.iter().position(|&v| v == most));
        }
        assert_eq!(x.argmax(axis).as_slice(), expected, "axis {axis}");
    }
}

/// To `ndarray` and back, in shape and numbers.
#[test]
fn arrays_of_ndarray_hold_the_same_numbers() {
    let x = Plain::new(&[2, 3], (0..6).map(f64::from).collect());
    let array = x.to_array();
    assert_eq!(array.shape(), [2, 3]);
    assert_eq!(array.iter().copied().collect::<Vec<_>>(), x.to_vec());
    assert_eq!(Plain::from_array(array).to_vec(), x.to_vec());
    assert_eq!(x.inner().as_slice(), x.as_slice());
}

/// A variable that leaves a loop of comparisons keeps its place: `select` and
/// masks work in every reading.
#[test]
fn masks_are_the_same_in_every_reading() {
    fn piece<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
        let one = x.ones_like();
        Tensor::select(&x.gt(&one), &x.square(), &x.exp())
    }
    let x = Plain::new(&[3], vec![0.5, 1.0, 2.0]);
    let (y, y_dot) = jvp(piece, &x, &x.ones_like());
    let e = 1f64.exp();
    assert_eq!(y.to_vec(), piece(&x).to_vec());
    assert_eq!(y_dot.to_vec(), [0.5f64.exp(), e, 4.0]);
    let bar = grad(|x| piece(x).sum(), &x);
    assert_eq!(bar.to_vec(), y_dot.to_vec());
}
