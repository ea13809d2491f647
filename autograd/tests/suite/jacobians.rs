//! Whole matrices of derivatives, traces of them, and third derivatives:
//! against closed forms, in every mode that makes them.

use autograd::check::{Program, sample};
use autograd::{
    Algebra, Cpu, Draw, Dual, Mlp, Probe, Pullback, Tensor, TimeFeatures, Tree, Unary, Var,
    divergence, divergence_reverse, grad, hessian, hutchinson, hvp, jacobian, jacobian_forward,
    jacobian_reverse, jvp, laplacian,
};
use std::cell::RefCell;

type Plain = Tensor<Cpu<f64>>;

/// Largest difference of two lists of one length; NaN if any is.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared lists have one length");
    let pairs = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    pairs.fold(0.0, |m, d| if d.is_nan() || d > m { d } else { m })
}

const W: [f64; 6] = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75];

/// `y = tanh(Wx)`, three numbers to two.
fn layer<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    x.lift(&[2, 3], &W)
        .matmul(&x.reshape(&[3, 1]))
        .reshape(&[2])
        .tanh()
}

/// `J = diag(1 − y²)·W`, by columns and by rows.
///
/// Verifies (AD.20).
#[test]
fn a_jacobian_by_columns_and_by_rows_is_the_closed_form() {
    let x = Plain::new(&[3], vec![0.3, -0.2, 0.6]);
    let y = layer(&x).to_vec();
    let expected: Vec<f64> = (0..6).map(|i| (1.0 - y[i / 3].powi(2)) * W[i]).collect();
    let forward = jacobian_forward(layer, &x);
    let reverse = jacobian_reverse(layer, &x);
    for j in [&forward, &reverse] {
        assert_eq!(j.shape()[..], [2, 3]);
        // A slope and a product, each rounded a few times, of size below 2.
        let error = distance(j.as_slice(), &expected);
        assert!(error <= 8.0 * f64::EPSILON, "{error:e}");
    }
    // The wrong twin, the slope left out, is seen.
    assert!(distance(forward.as_slice(), &W) > 0.01);
}

/// Every entry of `∂(aᵢbⱼ)`, in the structure of the pair.
///
/// Verifies (AD.20).
#[test]
fn a_jacobian_has_the_structure_of_the_argument() {
    let pair = (
        Plain::new(&[2, 1], vec![3.0, 5.0]),
        Plain::new(&[3], vec![7.0, 11.0, 13.0]),
    );
    let by_a: Vec<f64> = (0..12)
        .map(|k| match (k / 2 / 3 == k % 2, k / 2 % 3) {
            (true, j) => pair.1.as_slice()[j],
            _ => 0.0,
        })
        .collect();
    let by_b: Vec<f64> = (0..18)
        .map(|k| match (k / 3 % 3 == k % 3, k / 9) {
            (true, i) => pair.0.as_slice()[i],
            _ => 0.0,
        })
        .collect();
    let forward = jacobian_forward(|(a, b)| a * b, &pair);
    let reverse = jacobian_reverse(|(a, b)| a * b, &pair);
    for (a, b) in [forward, reverse] {
        assert_eq!((a.shape().to_vec(), a.to_vec()), (vec![6, 2], by_a.clone()));
        assert_eq!((b.shape().to_vec(), b.to_vec()), (vec![6, 3], by_b.clone()));
    }
    // A leaf that is not reached: zeros. No numbers, no entries.
    let forward = jacobian_forward(|(a, _)| a.square(), &pair).1;
    let reverse = jacobian_reverse(|(a, _)| a.square(), &pair).1;
    for j in [forward, reverse] {
        assert_eq!((j.shape().to_vec(), j.to_vec()), (vec![2, 3], vec![0.0; 6]));
    }
    let none = Plain::new(&[0], vec![]);
    let constant = jacobian_forward(|x| x.sum().broadcast_to(&[2]), &none);
    assert_eq!(constant.shape()[..], [2, 0]);
    assert_eq!(jacobian_reverse(|x| x.exp(), &none).shape()[..], [0, 0]);
    let cut = jacobian_reverse(|x| x.slice(0, 0, 0), &pair.1);
    assert_eq!(cut.shape()[..], [0, 3]);
}

/// Repeats its two inputs up to `self.0` numbers, and notes the algebras it is
/// read with.
struct Repeated(usize, RefCell<Vec<&'static str>>);
impl Program for Repeated {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        self.1.borrow_mut().push(std::any::type_name::<A>());
        let both = Tensor::concat(&[&x[0], &x[1]], 0).sin();
        Tensor::concat(&[&both; 3], 0).slice(0, 0, self.0)
    }
}

/// Four numbers go in: eight results are made forward, seven in reverse.
#[test]
fn the_cheaper_mode_is_chosen_by_shape() {
    let numbers = [0.1, 0.2, 0.3, 0.4f64];
    let at = [&numbers[..2], &numbers[2..]].map(|x| Plain::new(&[2], x.to_vec()));
    for (m, mode, runs) in [
        (12, "Dual<", 5),
        (8, "Dual<", 5),
        (7, "Var<", 2),
        (1, "Var<", 2),
    ] {
        let program = Repeated(m, RefCell::default());
        let blocks = jacobian(&program, &at);
        assert_eq!(blocks[0].shape()[..], [m, 2]);
        assert_eq!(blocks[1].shape()[..], [m, 2]);
        let slopes: f64 = blocks.iter().map(|b| b.sum().item()).sum();
        let expected: f64 = (0..m).map(|i| numbers[i % 4].cos()).sum();
        // Sums of a dozen numbers below 1.
        assert!(
            (slopes - expected).abs() <= 24.0 * 12.0 * f64::EPSILON,
            "{slopes}"
        );
        let readings = program.1.into_inner();
        assert_eq!(readings.len(), runs, "{readings:?}");
        assert!(
            readings[1..].iter().all(|a| a.contains(mode)),
            "{readings:?}"
        );
    }
}

/// A recording pulled back several times gives what fresh ones give.
#[test]
fn a_pullback_can_be_used_again() {
    let x = sample(&[2, 3], (-1.0, 1.0), 1);
    let f = |x: &Tensor<Var<Cpu<f64>>>| (x.sin() * x).sum_axis(0);
    let pullback = Pullback::of(f, &x);
    assert_eq!(pullback.value().shape()[..], [3]);
    for salt in 0..3 {
        let y_bar = sample(&[3], (-2.0, 2.0), salt);
        let fresh = autograd::vjp(f, &x, &y_bar).1;
        assert_eq!(pullback.pull(&y_bar).to_vec(), fresh.to_vec());
    }
    // Over another derivative: the gradient of one of its sweeps.
    let slope = grad(
        |x| {
            let pullback = Pullback::of(|x| x.powi(3), x);
            let one = x.ones_like();
            (pullback.pull(&one) + pullback.pull(&(2.0 * &one))).sum()
        },
        &Plain::scalar(2.0),
    );
    assert_eq!(slope.item(), 3.0 * 6.0 * 2.0);
}

/// `f = ½xᵀMx + Σ xᵢ²xᵢ₊₁`, and its Hessian written out.
///
/// Verifies (AD.21).
#[test]
fn a_hessian_is_the_closed_form_in_every_mode() {
    const M: [f64; 9] = [2.0, 0.5, -1.0, 0.5, 3.0, 0.25, -1.0, 0.25, -4.0];
    fn f<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
        let row = x.reshape(&[1, 3]);
        let quadratic = 0.5 * (row.matmul(&x.lift(&[3, 3], &M)) * &row).sum();
        let cubic = x.slice(0, 0, 2).square() * x.slice(0, 1, 2);
        quadratic + cubic.sum()
    }
    let x = Plain::new(&[3], vec![0.5, -1.5, 0.75]);
    let [a, b, c] = [0.5, -1.5, 0.75];
    let mut expected = M;
    expected[0] += 2.0 * b;
    expected[4] += 2.0 * c;
    for (i, j, extra) in [(0, 1, 2.0 * a), (1, 2, 2.0 * b)] {
        expected[3 * i + j] += extra;
        expected[3 * j + i] += extra;
    }
    let forward_reverse = hessian(f, &x);
    let reverse_reverse = jacobian_reverse(|x| grad(f, x), &x);
    let forward_forward = jacobian_forward(|x: &Tensor<Dual<_>>| jacobian_forward(f, x), &x);
    let reverse_forward = jacobian_reverse(|x: &Tensor<Var<_>>| jacobian_forward(f, x), &x);
    for h in [
        forward_reverse,
        reverse_reverse,
        forward_forward,
        reverse_forward,
    ] {
        assert_eq!(h.shape()[..], [3, 3]);
        // Small dyadic numbers: exact.
        assert_eq!(h.to_vec(), expected);
    }
    // A product is a column, a direction at a time.
    let column = hvp(f, &x, &Plain::new(&[3], vec![0.0, 1.0, 0.0]));
    assert_eq!(column.to_vec(), [expected[1], expected[4], expected[7]]);
    // A linear function has none, and that is no mistake.
    let none = hessian(|x| (2.0 * x).sum(), &x);
    assert_eq!(none.to_vec(), [0.0; 9]);
}

/// `Σ aᵢ²b + (Σ a)·b³` by both of a pair.
///
/// Verifies (AD.8).
#[test]
fn a_hessian_product_has_the_structure_of_the_argument() {
    let at = (Plain::new(&[2], vec![3.0, -1.0]), Plain::scalar(2.0));
    let v = (Plain::new(&[2], vec![0.5, 4.0]), Plain::scalar(-1.5));
    let (a, b) = hvp(
        |(a, b)| (a.square() * b).sum() + a.sum() * b.powi(3),
        &at,
        &v,
    );
    // Haa = 2b·I, Hab = 2a + 3b², Hbb = 6b·Σa.
    let [x, y, z, u, w, t] = [3.0, -1.0, 2.0, 0.5, 4.0, -1.5];
    let mixed = |a: f64| 2.0 * a + 3.0 * z * z;
    assert_eq!(
        a.to_vec(),
        [2.0 * z * u + mixed(x) * t, 2.0 * z * w + mixed(y) * t]
    );
    assert_eq!(
        b.item(),
        mixed(x) * u + mixed(y) * w + 6.0 * z * (x + y) * t
    );
}

const A: [f64; 3] = [0.7, -0.4, 0.2];
const B: [f64; 3] = [0.3, 0.5, -0.6];

/// `f(x) = sin⟨a, x⟩ + ⟨b, x⟩³`.
fn ridge<T: Algebra>(x: &Tensor<T>) -> Tensor<T> {
    let along = |c: &[f64; 3]| (x * x.lift(&[3], c)).sum();
    along(&A).sin() + along(&B).powi(3)
}

fn forward<T: Algebra>(
    f: impl Fn(&Tensor<Dual<T>>) -> Tensor<Dual<T>>,
    x: &Tensor<T>,
    u: &[f64; 3],
) -> Tensor<T> {
    jvp(f, x, &x.lift(&[3], u)).1
}

fn reverse<T: Algebra>(
    f: impl Fn(&Tensor<Var<T>>) -> Tensor<Var<T>>,
    x: &Tensor<T>,
    u: &[f64; 3],
) -> Tensor<T> {
    (grad(f, x) * x.lift(&[3], u)).sum()
}

/// The third derivative along three directions, in all eight nestings:
/// `D³f[u, v, w] = −cos⟨a, x⟩⟨a, u⟩⟨a, v⟩⟨a, w⟩ + 6⟨b, u⟩⟨b, v⟩⟨b, w⟩`.
#[test]
fn third_derivatives_in_all_eight_nestings() {
    let at = [0.4, 1.1, -0.3];
    let x = Plain::new(&[3], at.to_vec());
    let (u, v, w) = ([1.0, 2.0, -1.0], [0.5, -1.0, 3.0], [-2.0, 0.25, 1.0]);
    let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cube = |c: &[f64; 3]| dot(c, &u) * dot(c, &v) * dot(c, &w);
    let expected = 6.0 * cube(&B) - dot(&A, &at).cos() * cube(&A);
    macro_rules! third {
        ($($outer:ident $middle:ident $inner:ident),*) => {
            [$($outer(|x| $middle(|x| $inner(ridge, x, &w), x, &v), &x, &u).item()),*]
        };
    }
    let found = third!(
        forward forward forward, forward forward reverse, forward reverse forward,
        forward reverse reverse, reverse forward forward, reverse forward reverse,
        reverse reverse forward, reverse reverse reverse
    );
    for (nesting, found) in found.into_iter().enumerate() {
        // Some fifty operations on numbers below 10.
        let error = (found - expected).abs();
        assert!(error <= 50.0 * 10.0 * f64::EPSILON, "{nesting}: {error:e}");
        // Wrong twins: a sign, and the six that a power of three leaves.
        assert!((found - 6.0 * cube(&B) - dot(&A, &at).cos() * cube(&A)).abs() > 1e-2);
        assert!((found - 3.0 * cube(&B) + dot(&A, &at).cos() * cube(&A)).abs() > 1e-2);
    }
}

/// A normal density with a full precision matrix: `Δ log p = −tr P`.
///
/// Verifies (AD.24).
#[test]
fn the_laplacian_of_a_log_density_is_the_closed_form() {
    const P: [f64; 9] = [2.0, 0.5, -1.0, 0.5, 3.0, 0.25, -1.0, 0.25, 4.0];
    let x = sample(&[5, 3], (-2.0, 2.0), 1);
    let (value, found) = laplacian(
        |x| {
            let centred = x - x.lift(&[3], &[0.5, -1.0, 0.25]);
            -0.5 * (centred.matmul(&x.lift(&[3, 3], &P)) * centred).sum_axis(1)
        },
        &x,
    );
    assert_eq!(
        (value.shape()[..].to_vec(), found.shape()[..].to_vec()),
        (vec![5], vec![5])
    );
    // Sums of dyadic numbers: exact.
    assert_eq!(found.to_vec(), [-9.0; 5]);
    // The wrong twin, the second derivative along (1, 1, 1): the sum of all
    // entries in place of the trace.
    assert_eq!(-P.iter().sum::<f64>(), -8.5);

    // A mixture: Δ log p = Σ rₖ(|gₖ|² − D/σ²) − |Σ rₖgₖ|², gₖ = (mₖ − x)/σ².
    const MEANS: [[f64; 2]; 2] = [[1.0, 0.5], [-1.5, 0.25]];
    const S2: f64 = 0.7;
    fn log_density<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
        let parts = MEANS.map(|m| {
            let centred = x - x.lift(&[2], &m);
            (-0.5 / S2) * centred.square().sum_axis_keep(1)
        });
        Tensor::concat(&[&parts[0], &parts[1]], 1).logsumexp(1)
    }
    let x = sample(&[4, 2], (-1.5, 1.5), 2);
    let (value, found) = laplacian(log_density, &x);
    assert_eq!(value.to_vec(), log_density(&x).to_vec());
    for (row, found) in x.as_slice().chunks(2).zip(found.as_slice()) {
        let g = MEANS.map(|m| [(m[0] - row[0]) / S2, (m[1] - row[1]) / S2]);
        let square = |g: [f64; 2]| g[0] * g[0] + g[1] * g[1];
        let weight = g.map(|g| (-0.5 * S2 * square(g)).exp());
        let r = weight.map(|w| w / (weight[0] + weight[1]));
        let mean = [0, 1].map(|i| r[0] * g[0][i] + r[1] * g[1][i]);
        let second = r[0] * square(g[0]) + r[1] * square(g[1]) - 2.0 / S2;
        // Forty operations on numbers below 20.
        let error = (found - (second - square(mean))).abs();
        assert!(error <= 40.0 * 20.0 * f64::EPSILON, "{error:e}");
        assert!(
            (found - second).abs() > 1e-3,
            "the gradient's square is seen"
        );
    }
}

/// `Δ‖x‖⁴ = 4(D + 2)‖x‖²`, `Re (x + iy)⁴` is harmonic, and the Laplacian is
/// the divergence of the gradient and can be differentiated.
///
/// Verifies (AD.24).
#[test]
fn laplacians_of_powers_and_of_a_harmonic_function() {
    fn quartic<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
        x.square().sum_axis(1).square()
    }
    let x = Plain::new(&[2, 3], vec![0.5, -1.0, 2.0, 1.5, 0.25, -0.75]);
    let norms = x.square().sum_axis(1);
    let (_, found) = laplacian(quartic, &x);
    assert_eq!(found.to_vec(), (20.0 * &norms).to_vec());
    let (_, by_gradient) = divergence(|x| grad(|x| quartic(x).sum(), x), &x);
    assert_eq!(by_gradient.to_vec(), found.to_vec());
    // ∇Δ‖x‖⁴ = 8(D + 2)x, reverse over forward over forward.
    let slope = grad(|x| laplacian(quartic, x).1.sum(), &x);
    assert_eq!(slope.to_vec(), (40.0 * &x).to_vec());
    let (_, none) = laplacian(
        |x| {
            let (x, y) = (x.slice(1, 0, 1).square(), x.slice(1, 1, 1).square());
            (x.square() - 6.0 * &x * &y + y.square()).sum_axis(1)
        },
        &Plain::new(&[1, 2], vec![0.5, -1.5]),
    );
    assert_eq!(none.to_vec(), [0.0]);
}

/// The trace of a network's Jacobian, forward, reverse and from the matrix.
///
/// Verifies (AD.22).
#[test]
fn the_divergence_by_reverse_is_the_divergence() {
    let net = Mlp::<Cpu<f64>>::new(
        3,
        &[5, 4],
        3,
        TimeFeatures::Plain,
        Unary::Tanh,
        Draw::seed(3),
    );
    let (t, x) = (
        sample(&[6, 1], (0.0, 1.0), 1),
        sample(&[6, 3], (-1.0, 1.0), 2),
    );
    let (value, forward) = divergence(
        |x| net.lift::<Dual<_>>().velocity(&Tensor::constant(&t), x),
        &x,
    );
    let (same, reverse) = divergence_reverse(
        |x| net.lift::<Var<_>>().velocity(&Tensor::constant(&t), x),
        &x,
    );
    assert_eq!(value.to_vec(), same.to_vec());
    assert_eq!(reverse.shape()[..], [6]);
    let matrix = jacobian_reverse(
        |x| net.lift::<Var<_>>().velocity(&Tensor::constant(&t), x),
        &x,
    );
    for row in 0..6 {
        let place = |i: usize| (3 * row + i) * 18 + 3 * row + i;
        let trace: f64 = (0..3).map(|i| matrix.as_slice()[place(i)]).sum();
        for found in [forward.as_slice()[row], reverse.as_slice()[row]] {
            // Three sums of 20 products below 1 each, in another order.
            let error = (found - trace).abs();
            assert!(error <= 60.0 * f64::EPSILON, "{error:e}");
        }
        // The wrong twin: the sum of the sweeps' whole rows.
        let all: f64 = (0..9)
            .map(|k| matrix.as_slice()[(3 * row + k / 3) * 18 + 3 * row + k % 3])
            .sum();
        assert!((all - trace).abs() > 1e-3);
    }
    // A recording can itself be differentiated: ∇ ∇·(x³) = 6x.
    let slope = grad(|x| divergence_reverse(|x| x.powi(3), x).1.sum(), &x);
    assert!(distance(slope.as_slice(), (6.0 * &x).as_slice()) <= 8.0 * f64::EPSILON * 6.0);
}

/// The estimates of many probes against mean and variance of the formula.
/// Four comparisons at 5.2 standard errors, 2·10⁻⁷ each (the sums are of
/// 200,000 terms, so normal): a false alarm has probability 8·10⁻⁷, and the
/// seed is fixed.
///
/// Verifies (AD.9), (AD.23).
#[test]
fn the_estimates_scatter_as_the_formula_says() {
    const N: usize = 200_000;
    const J: [f64; 16] = [
        0.5, -1.0, 2.0, 0.25, 1.5, -0.75, 3.0, 0.125, -2.0, 1.0, 1.25, 0.5, 0.0, 0.75, -0.5, 2.0,
    ];
    let jacobian = Plain::new(&[4, 4], J.to_vec());
    let s = 0.5 * (&jacobian + jacobian.t());
    let trace: f64 = (0..4).map(|i| J[5 * i]).sum();
    let x = Plain::full(&[N, 4], 0.25);
    let estimates = |probe: Probe| {
        let z = probe.like(&x, Draw::seed(20));
        let field = |x: &Tensor<Dual<Cpu<f64>>>| x.matmul(&Tensor::constant(&jacobian.t()));
        hutchinson(field, &x, &z).1.to_vec()
    };
    // The squared deviations of all sixteen choices of signs.
    let squares: Vec<f64> = (0..16u32)
        .map(|signs| {
            let sign = |i: usize| if signs >> i & 1 == 0 { 1.0 } else { -1.0 };
            let form = (0..16).map(|k| sign(k / 4) * J[k] * sign(k % 4));
            (form.sum::<f64>() - trace).powi(2)
        })
        .collect();
    let by_enumeration = squares.iter().sum::<f64>() / 16.0;
    // The variance of the squared deviation, for its standard error. Signs: by
    // enumeration. Normal: the fourth cumulant of zᵀSz is 48 tr S⁴.
    let spread = |probe: Probe| match probe {
        Probe::Rademacher => {
            let off = squares.iter().map(|d| (d - by_enumeration).powi(2));
            off.sum::<f64>() / 16.0
        }
        Probe::Gaussian => {
            let square = s.matmul(&s);
            let fourth = 48.0 * square.square().sum().item();
            fourth + 2.0 * Probe::Gaussian.variance(&jacobian).powi(2)
        }
    };
    // In standard errors: how far mean and variance lie from what is claimed.
    let judge = |probe: Probe, variance: f64| {
        let e = estimates(probe);
        let n = N as f64;
        let mean = e.iter().sum::<f64>() / n;
        let found = e.iter().map(|e| (e - trace).powi(2)).sum::<f64>() / n;
        let bias = (mean - trace).abs() / (probe.variance(&jacobian) / n).sqrt();
        let excess = (found - variance).abs() / (spread(probe) / n).sqrt();
        (bias, excess)
    };
    // The formula itself: signs by enumeration, and normal probes have twice the
    // squares of the diagonal more. A few dozen roundings of numbers below 100.
    let diagonal: f64 = (0..4).map(|i| J[5 * i].powi(2)).sum();
    let [signs, normal] = [Probe::Rademacher, Probe::Gaussian].map(|p| p.variance(&jacobian));
    assert!((signs - by_enumeration).abs() <= 50.0 * 100.0 * f64::EPSILON);
    assert!((normal - (by_enumeration + 2.0 * diagonal)).abs() <= 50.0 * 100.0 * f64::EPSILON);
    for probe in [Probe::Rademacher, Probe::Gaussian] {
        let (bias, excess) = judge(probe, probe.variance(&jacobian));
        assert!(bias <= 5.2 && excess <= 5.2, "{probe:?}: {bias}, {excess}");
    }
    // Wrong twins: the other law's variance, J in place of S, half of it.
    let norm = |m: &Plain| m.square().sum().item();
    for (probe, wrong) in [
        (Probe::Rademacher, Probe::Gaussian.variance(&jacobian)),
        (Probe::Gaussian, Probe::Rademacher.variance(&jacobian)),
        (Probe::Gaussian, 2.0 * norm(&jacobian)),
        (Probe::Gaussian, norm(&s)),
    ] {
        assert!(judge(probe, wrong).1 > 20.0, "{probe:?} against {wrong}");
    }
}

/// Places of a probe are functions of the draw, and signs are signs.
#[test]
fn probes_are_functions_of_the_draw() {
    let x = Plain::full(&[40, 5], 0.0);
    for probe in [Probe::Rademacher, Probe::Gaussian] {
        let at = |seed| probe.like(&x, Draw::seed(seed)).to_vec();
        assert_eq!(at(1), at(1));
        assert_ne!(at(1), at(2));
        let head = probe.like(&Plain::full(&[7], 0.0), Draw::seed(1));
        assert_eq!(at(1)[..7], head.to_vec());
    }
    let signs = Probe::Rademacher.like(&x, Draw::seed(1));
    assert!(signs.as_slice().iter().all(|z| z.abs() == 1.0));
}
