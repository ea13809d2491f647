//! The optimisers against trajectories computed elsewhere, against closed
//! forms, and cut in the middle.

use autograd::{
    Adam, AdamConfig, Archive, Cpu, Lion, LionConfig, Muon, MuonConfig, Optimiser, Sgd, SgdConfig,
    Tensor, Tree, orthogonalise,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Plain = Tensor<Cpu<f64>>;
type Model = (Plain, Plain);
type Boxed<M> = Box<dyn Optimiser<f64, M>>;

/// The six of the reference, with its constants; the last number is the rate.
fn family(model: &Model) -> Vec<(&'static str, Boxed<Model>, f64)> {
    let sgd = |nesterov| SgdConfig {
        momentum: 0.9,
        nesterov,
        weight_decay: 0.01,
    };
    let adamw = AdamConfig {
        weight_decay: 0.1,
        ..AdamConfig::default()
    };
    let lion = LionConfig {
        weight_decay: 0.1,
        ..LionConfig::default()
    };
    let muon = MuonConfig {
        weight_decay: 0.1,
        adam_rate: 0.5,
        ..MuonConfig::default()
    };
    vec![
        ("sgd", Box::new(Sgd::new(model, sgd(false))), 0.05),
        ("nesterov", Box::new(Sgd::new(model, sgd(true))), 0.05),
        (
            "adam",
            Box::new(Adam::new(model, AdamConfig::default())),
            0.05,
        ),
        ("adamw", Box::new(Adam::new(model, adamw)), 0.05),
        ("lion", Box::new(Lion::new(model, lion)), 0.02),
        ("muon", Box::new(Muon::new(model, muon)), 0.02),
    ]
}

fn split(numbers: &[f64]) -> Model {
    let (w, b) = numbers.split_at(12);
    (
        Plain::new(&[3, 4], w.to_vec()),
        Plain::new(&[4], b.to_vec()),
    )
}

fn joined(model: &Model) -> Vec<f64> {
    model.leaves().iter().flat_map(Tensor::to_vec).collect()
}

fn start() -> Model {
    let numbers: Vec<f64> = (0..16)
        .map(|k| (f64::from(7 * k % 16) - 7.5) / 4.0)
        .collect();
    split(&numbers)
}

/// Of a quadratic with curvatures 0.2 to 1.7, and a push that changes.
fn gradient(model: &Model, n: u32) -> Model {
    let theta = joined(model);
    let numbers = theta.iter().zip(0u32..).map(|(theta, k)| {
        let push = (f64::from((5 * k + 3 * n) % 11) - 5.0) / 8.0;
        (0.2 + 0.1 * f64::from(k)) * theta + push
    });
    split(&numbers.collect::<Vec<_>>())
}

/// Twenty steps each, with a rate that falls, to the numbers of
/// `data/optimisers.py`.
///
/// Verifies (AD.12), (AD.26), (AD.28), (AD.29).
#[test]
fn trajectories_are_those_of_the_reference() {
    let text = include_str!("../data/optimisers.txt");
    let mut compared = 0;
    for (name, mut optimiser, peak) in family(&start()) {
        let mut model = start();
        for n in 1..=20 {
            let slope = gradient(&model, n);
            optimiser.step(&mut model, &slope, peak * (1.0 - f64::from(n) / 40.0));
            let head = format!("{name} {n} ");
            let Some(line) = text.lines().find_map(|line| line.strip_prefix(&head)) else {
                continue;
            };
            let expected: Vec<f64> = line
                .split(' ')
                .map(|x| x.parse().expect("a number"))
                .collect();
            assert_eq!(expected.len(), 16);
            for (found, expected) in joined(&model).iter().zip(&expected) {
                // Some ten roundings a step of numbers below 4, which the
                // steps contract; the orthogonal factor comes out of a
                // decomposition that is good to some hundred roundings of
                // numbers below 1, at a rate of 0.02.
                let error = (found - expected).abs();
                assert!(
                    error <= 10.0 * 20.0 * 4.0 * f64::EPSILON,
                    "{name} {n}: {error:e}"
                );
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 6 * 4);
    // The wrong twin: the two momenta do not pass for each other.
    let last = |name: &str| text.lines().find(|l| l.starts_with(name)).map(|l| &l[20..]);
    assert_ne!(last("sgd 20"), last("nesterov 20"));
}

/// The positions of a scalar `θ` on `f = hθ²/2`.
fn on_a_quadratic(
    mut optimiser: impl Optimiser<f64, Plain>,
    h: f64,
    rate: f64,
    n: usize,
) -> Vec<f64> {
    let mut theta = Plain::scalar(1.0);
    let mut seen = vec![1.0];
    for _ in 0..n {
        let slope = h * &theta;
        optimiser.step(&mut theta, &slope, rate);
        seen.push(theta.item());
    }
    seen
}

/// How far a sequence is from `θₙ₊₂ = pθₙ₊₁ − qθₙ`, and its measured rate: the
/// form `θₙ₊₁² − pθₙ₊₁θₙ + qθₙ²` shrinks by `q` at each step, so that `√q` is the
/// factor a step takes away.
fn judge(theta: &[f64], p: f64, q: f64) -> (f64, f64) {
    let recursion = theta.windows(3).map(|w| {
        let size = w[0].abs() + w[1].abs();
        (w[2] - (p * w[1] - q * w[0])).abs() / size // (AD.27)
    });
    let worst = recursion.fold(0.0, |m: f64, e| if e > m || e.is_nan() { e } else { m });
    let form = |w: &[f64]| w[1] * w[1] - p * w[1] * w[0] + q * w[0] * w[0];
    let n = theta.len();
    let (first, last) = (form(&theta[..2]), form(&theta[n - 2..]));
    (worst, (last / first).powf(1.0 / (n - 2) as f64))
}

/// Verifies (AD.26), (AD.27).
#[test]
fn momentum_converges_at_the_rate_of_its_recursion() {
    for (h, rate, mu) in [(1.0, 0.1, 0.9), (4.0, 0.1, 0.8), (0.5, 0.3, 0.7)] {
        let run = |nesterov| {
            let config = SgdConfig {
                momentum: mu,
                nesterov,
                weight_decay: 0.0,
            };
            on_a_quadratic(Sgd::new(&Plain::scalar(1.0), config), h, rate, 60)
        };
        let keep = 1.0 - rate * h;
        let (plain, nesterov) = ((1.0 + mu - rate * h, mu), (keep * (1.0 + mu), keep * mu));
        for (theta, (p, q)) in [(run(false), plain), (run(true), nesterov)] {
            assert!(p * p < 4.0 * q, "complex roots: the rate is √q");
            let (residual, found) = judge(&theta, p, q);
            // Six roundings of each side; the velocity, a difference of
            // positions over the rate, carries its own from step to step.
            assert!(residual <= 100.0 * f64::EPSILON, "{residual:e}");
            assert!((found - q).abs() <= 1e-12, "rate {found} against {q}");
        }
        // Each fails the other's law.
        assert!(judge(&run(true), plain.0, plain.1).0 > 1e-3);
        assert!(judge(&run(false), nesterov.0, nesterov.1).0 > 1e-3);
    }
    // Without momentum: (1 − ηh)ⁿ, here 2⁻ⁿ, exactly.
    let config = SgdConfig {
        momentum: 0.0,
        ..SgdConfig::default()
    };
    let theta = on_a_quadratic(Sgd::new(&Plain::scalar(1.0), config), 2.0, 0.25, 30);
    assert!(theta.windows(2).all(|w| w[1] == 0.5 * w[0]), "{theta:?}");
}

/// Where `ε` is far above the gradients, Adam is gradient descent along a
/// running mean, with `p = 1 + β₁ − (1 − β₁)(η/ε)h` and `q = β₁`. Where the
/// gradient is constant, every step is `η·g/(|g| + ε)`. Without a gradient,
/// only the decay is left.
///
/// Verifies (AD.12).
#[test]
fn adam_in_three_closed_forms() {
    let one = Plain::scalar(1.0);
    let config = AdamConfig {
        beta1: 0.5,
        beta2: 0.9,
        epsilon: 1e9,
        ..AdamConfig::default()
    };
    let theta = on_a_quadratic(Adam::new(&one, config), 1.0, 1e9, 130);
    // From step 60 on, the bias correction 1 − 0.5ⁿ is 1 to the last bit.
    let (residual, found) = judge(&theta[60..], 1.5 - 0.5, 0.5);
    // √v/ε is at most 1e-9, of a step that is as large as the position.
    assert!(residual <= 1e-8, "{residual:e}");
    assert!((found - 0.5).abs() <= 1e-8, "{found}");

    let config = AdamConfig {
        epsilon: 0.25,
        ..AdamConfig::default()
    };
    let (mut theta, mut adam) = (one.clone(), Adam::new(&one, config));
    for n in 1..=50 {
        adam.step(&mut theta, &Plain::scalar(-0.75), 0.01);
        let expected = 1.0 + 0.01 * f64::from(n) * 0.75;
        // 1 − 0.999ⁿ cancels three digits at first, of a step of 0.01.
        let error = (theta.item() - expected).abs();
        assert!(
            error <= 0.01 * f64::from(n) * 2000.0 * f64::EPSILON,
            "{n}: {error:e}"
        );
    }

    let config = AdamConfig {
        weight_decay: 0.5,
        ..AdamConfig::default()
    };
    let (mut theta, mut adam) = (one.clone(), Adam::new(&one, config));
    for n in 1..=20 {
        adam.step(&mut theta, &one.zeros_like(), 0.5);
        assert_eq!(theta.item(), 0.75f64.powi(n), "decay is decoupled");
    }
}

/// Every step is as long as the rate; with decay, the parameters of a linear
/// function go to `∓1/λ` by a factor `1 − ηλ` each.
///
/// Verifies (AD.28).
#[test]
fn lion_moves_by_the_rate_and_stays_within_its_bound() {
    let rate = 1.0 / 64.0;
    let theta = on_a_quadratic(
        Lion::new(&Plain::scalar(1.0), LionConfig::default()),
        0.3,
        rate,
        60,
    );
    for (n, &theta) in theta.iter().enumerate() {
        assert_eq!(theta, 1.0 - n as f64 * rate);
    }
    let config = LionConfig {
        weight_decay: 2.0,
        ..LionConfig::default()
    };
    let mut theta = Plain::new(&[3], vec![3.0, -2.0, 1.0]);
    let mut lion = Lion::new(&theta, config);
    let slope = Plain::new(&[3], vec![1e-6, -1e6, 0.0]);
    for n in 1..=40 {
        lion.step(&mut theta, &slope, 0.25);
        let left = 0.5f64.powi(n);
        // Dyadic until the last bits are rounded off.
        let expected = [-0.5 + 3.5 * left, 0.5 - 2.5 * left, left];
        for (found, expected) in theta.as_slice().iter().zip(expected) {
            assert!((found - expected).abs() <= f64::EPSILON, "{n}: {found}");
        }
    }
    let nan = Plain::new(&[3], vec![f64::NAN, 1.0, 1.0]);
    lion.step(&mut theta, &nan, 0.25);
    assert!(theta.as_slice()[0].is_nan(), "NaN is not taken for a sign");
}

/// What the docs say the constants are.
#[test]
fn constants_are_those_of_the_papers() {
    let adam = AdamConfig::default();
    let constants = [adam.beta1, adam.beta2, adam.epsilon, adam.weight_decay];
    assert_eq!(constants, [0.9, 0.999, 1e-8, 0.0]);
    let lion = LionConfig::default();
    assert_eq!(
        [lion.beta1, lion.beta2, lion.weight_decay],
        [0.9, 0.99, 0.0]
    );
    let sgd = SgdConfig::default();
    assert_eq!(
        (sgd.momentum, sgd.nesterov, sgd.weight_decay),
        (0.9, false, 0.0)
    );
    let muon = MuonConfig::default();
    assert_eq!(
        [muon.momentum, muon.weight_decay, muon.adam_rate],
        [0.95, 0.0, 0.015]
    );
    assert_eq!((muon.nesterov, muon.iterations, muon.adam), (true, 5, adam));
}

/// `m₁ = (1 − β₂)g`, in bits: the direction sees only its sign.
///
/// Verifies (AD.28).
#[test]
fn the_mean_of_lion_is_its_recursion() {
    let mut theta = Plain::new(&[2], vec![3.0, -2.0]);
    let mut lion = Lion::new(&theta, LionConfig::default());
    let slope = Plain::new(&[2], vec![0.7, -11.0]);
    lion.step(&mut theta, &slope, 0.25);
    let moments = &Optimiser::<f64, Plain>::memory(&lion).moments;
    let expected = [(1.0 - 0.99) * 0.7, (1.0 - 0.99) * -11.0];
    assert_eq!(moments[0].1.to_vec(), expected);
}

/// `I − 2vvᵀ/‖v‖²`, orthogonal.
fn reflection(v: &[f64]) -> Plain {
    let n = v.len();
    let norm: f64 = v.iter().map(|x| x * x).sum();
    let entry = |k: usize| f64::from(u8::from(k / n == k % n)) - 2.0 * v[k / n] * v[k % n] / norm;
    Plain::new(&[n, n], (0..n * n).map(entry).collect())
}

/// `U·diag(s)·Vᵀ` of shape `[3, 4]`.
fn of_singular_values(s: &[f64]) -> Plain {
    let mut middle = vec![0.0; 12];
    for (i, &s) in s.iter().enumerate() {
        middle[5 * i] = s;
    }
    let (u, v) = (
        reflection(&[1.0, -2.0, 0.5]),
        reflection(&[0.3, 1.0, -1.0, 2.0]),
    );
    u.matmul(&Plain::new(&[3, 4], middle)).matmul(&v)
}

/// Five steps of the scalar polynomial, after division by the norm.
fn brought_near_one(s: &[f64]) -> Vec<f64> {
    let norm = s.iter().map(|s| s * s).sum::<f64>().sqrt();
    let step = |s: f64, _| 3.4445 * s - 4.7750 * s.powi(3) + 2.0315 * s.powi(5);
    s.iter().map(|&s| (0..5).fold(s / norm, step)).collect()
}

fn farthest(a: &Plain, b: &Plain) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let pairs = a.as_slice().iter().zip(b.as_slice());
    let errors = pairs.map(|(a, b)| (a - b).abs());
    errors.fold(0.0, |m, e| if e > m || e.is_nan() { e } else { m })
}

/// Verifies (AD.32).
#[test]
fn orthogonalising_acts_on_singular_values_alone() {
    for s in [[3.0, 1.0, 0.25], [5.0, 0.01, 2.0], [1.0, 0.0, 1.0]] {
        let (g, expected) = (
            of_singular_values(&s),
            of_singular_values(&brought_near_one(&s)),
        );
        for (found, expected) in [
            (orthogonalise(&g, 5), expected.clone()),
            (orthogonalise(&g.t(), 5), expected.t()),
            (orthogonalise(&(1e-9 * &g), 5), expected),
        ] {
            // Five steps, each of a derivative of at most 3.45 and some fifty
            // roundings: 50·ε·Σ 3.45ᵏ.
            let error = farthest(&found, &expected);
            assert!(error <= 50.0 * 700.0 * f64::EPSILON, "{s:?}: {error:e}");
        }
    }
    let (mut low, mut high) = (f64::INFINITY, 0.0f64);
    for i in 0..=20_000 {
        let s = 0.01f64.powf(f64::from(i) / 20_000.0);
        // Alone in the direction (s, √(1 − s²)), whose norm is 1.
        let near = brought_near_one(&[s, (1.0 - s * s).sqrt()])[0];
        (low, high) = (low.min(near), high.max(near));
    }
    assert!(low >= 0.68 && high <= 1.14, "[{low}, {high}]");
    // A square one, by its own recursion: the diagonal follows the scalars.
    let square = Plain::new(&[2, 2], vec![3.0, 0.0, 0.0, 1.0]);
    let near = brought_near_one(&[3.0, 1.0]);
    let expected = Plain::new(&[2, 2], vec![near[0], 0.0, 0.0, near[1]]);
    let error = farthest(&orthogonalise(&square, 5), &expected);
    assert!(error <= 50.0 * 700.0 * f64::EPSILON, "{error:e}");
    let zeros = Plain::full(&[2, 3], 0.0);
    assert_eq!(orthogonalise(&zeros, 5).to_vec(), zeros.to_vec());
}

/// On `‖W‖²/2` the singular vectors stay, and the singular values follow a
/// scalar recursion.
///
/// Verifies (AD.29).
#[test]
fn muon_on_a_quadratic_follows_the_singular_values() {
    let config = MuonConfig {
        momentum: 0.0,
        weight_decay: 0.5,
        ..MuonConfig::default()
    };
    let mut s = vec![3.0, 1.0, 0.25];
    let mut w = of_singular_values(&s);
    let mut muon = Muon::new(&w, config);
    let scale = f64::sqrt(4.0 / 3.0);
    for n in 1..=15 {
        let slope = w.clone();
        muon.step(&mut w, &slope, 0.1);
        let moved = brought_near_one(&s);
        for (s, moved) in s.iter_mut().zip(&moved) {
            *s = 0.95 * *s - 0.1 * scale * moved;
        }
        let error = farthest(&w, &of_singular_values(&s));
        // As above for each step, at a rate of 0.12, carried on.
        let allowed = f64::from(n) * 0.12 * 50.0 * 700.0 * f64::EPSILON;
        assert!(error <= allowed, "{n}: {error:e}");
    }
    // More inputs than outputs: the step is not scaled, in bits.
    let (plain, slope) = (of_singular_values(&[3.0, 1.0, 0.25]).t(), w.t());
    assert!(plain.size(0) > plain.size(1));
    let config = MuonConfig {
        momentum: 0.0,
        nesterov: false,
        ..MuonConfig::default()
    };
    let mut moved = plain.clone();
    Muon::new(&plain, config).step(&mut moved, &slope, 0.1);
    let expected = &plain - 0.1 * orthogonalise(&slope, 5);
    assert_eq!(moved.to_vec(), expected.to_vec());
    // What is not a matrix goes with AdamW, and holds no velocity.
    let model = (w, Plain::new(&[2], vec![1.0, -1.0]));
    let muon = Muon::new(&model, MuonConfig::default());
    let sizes = |m: &Model| m.leaves().iter().map(|x| x.shape().count()).collect();
    let moments = &Optimiser::<f64, Model>::memory(&muon).moments;
    let held: Vec<(&str, Vec<usize>)> = moments.iter().map(|(n, m)| (*n, sizes(m))).collect();
    assert_eq!(
        held,
        [
            ("velocity", vec![12, 0]),
            ("first", vec![0, 2]),
            ("second", vec![0, 2])
        ]
    );
}

/// A training cut in the middle, and gone on with from a file, has the same
/// bits: every optimiser, in both number types.
#[test]
fn a_restored_optimiser_goes_on_to_the_same_bits() {
    for (i, (name, _, rate)) in family(&start()).into_iter().enumerate() {
        let fresh = || family(&start()).swap_remove(i).1;
        let run = |optimiser: &mut Boxed<Model>, model: &mut Model, steps: std::ops::Range<u32>| {
            for n in steps {
                let slope = gradient(model, n);
                optimiser.step(model, &slope, rate);
            }
        };
        let (mut whole, mut model) = (fresh(), start());
        run(&mut whole, &mut model, 1..12);
        let (mut first, mut cut) = (fresh(), start());
        run(&mut first, &mut cut, 1..6);
        let mut archive = Archive::new();
        archive.insert("model", &cut);
        first.save("optimiser", &mut archive);
        let archive = Archive::from_bytes(&archive.to_bytes()).expect("a valid file");
        let (mut second, mut resumed) = (fresh(), split(&[0.0; 16]));
        archive.fill("model", &mut resumed).expect("it fits");
        second.restore("optimiser", &archive).expect("it fits");
        assert_eq!(second.memory().steps, 5);
        // The wrong twin: going on without the memory.
        let mut forgetful = resumed.clone();
        run(&mut fresh(), &mut forgetful, 6..12);
        run(&mut second, &mut resumed, 6..12);
        let bits = |m: &Model| joined(m).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&resumed), bits(&model), "{name}");
        assert_ne!(bits(&forgetful), bits(&model), "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let model = start();
    let mut adam = Adam::new(&model, AdamConfig::default());
    let mut moved = start();
    adam.step(&mut moved, &gradient(&model, 1), 0.1);
    let mut archive = Archive::new();
    adam.save("adam", &mut archive);
    let small = (Plain::full(&[3, 3], 0.0), Plain::full(&[4], 0.0));
    let mut other = Adam::new(&small, AdamConfig::default());
    let error = other.restore("adam", &archive).unwrap_err().to_string();
    assert_eq!(
        error,
        "2 tensors do not fit: \
         tensor \"adam.first.0\" has shape [3, 4], but the model needs [3, 3]; \
         tensor \"adam.second.0\" has shape [3, 4], but the model needs [3, 3]"
    );
    let error = other.restore("sgd", &archive).unwrap_err().to_string();
    assert_eq!(error, "its metadata has no entry \"sgd.steps\"");
    archive
        .metadata
        .insert("adam.steps".to_owned(), "many".to_owned());
    let error = other.restore("adam", &archive).unwrap_err().to_string();
    assert_eq!(
        error,
        "its metadata entry \"adam.steps\" is \"many\", not a number"
    );
    let memory = Optimiser::<f64, Model>::memory(&other);
    assert_eq!(memory.steps, 0);
    assert!(
        memory
            .moments
            .iter()
            .all(|(_, m)| joined(m).iter().all(|&x| x == 0.0))
    );

    for (wrong, said) in [
        (
            (Plain::full(&[4, 3], 0.0), Plain::full(&[4], 0.0)),
            "optimiser: parameter number 0 has shape [3, 4], its gradient [4, 3]",
        ),
        (
            (Plain::full(&[3, 4], 0.0), Plain::full(&[5], 0.0)),
            "optimiser: parameter number 1 has shape [4], its gradient [5]",
        ),
    ] {
        let payload = catch_unwind(AssertUnwindSafe(|| adam.step(&mut moved, &wrong, 0.1)))
            .expect_err("a gradient of another shape is refused");
        assert_eq!(payload.downcast_ref::<String>().expect("text"), said);
    }
}
