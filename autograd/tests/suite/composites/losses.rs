//! Losses against their textbook formulas, and where those lose their digits.

use super::{Plain, close, distance, held, holds_in_f32, passes, plain};
use crate::panic_text;
use autograd::check::{Program, check, sample};
use autograd::{Algebra, Cpu, Dual, Index, Tensor, Var, grad, hvp};

const DELTA: f64 = 1.25;

/// By name, of predictions and targets.
struct Loss(&'static str);
impl Program for Loss {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        match self.0 {
            "mse" => x[0].mse(&x[1]),
            "mae" => x[0].mae(&x[1]),
            "huber" => x[0].huber(&x[1], DELTA),
            "binary_cross_entropy" => x[0].binary_cross_entropy(&x[1]),
            // Wrong twins.
            "huber, half forgotten" => {
                let e = &x[0] - &x[1];
                let c = e.clamp((-DELTA, DELTA));
                (c.square() + DELTA * (e - c).abs()).mean()
            }
            "huber, clamped error held" => {
                let e = &x[0] - &x[1];
                let c = held(&e.clamp((-DELTA, DELTA)));
                (0.5 * c.square() + DELTA * (e - c).abs()).mean()
            }
            "mse, one target for all" => (&x[0] - x[1].mean()).square().mean(),
            "binary_cross_entropy, labels exchanged" => x[0].binary_cross_entropy(&(1.0 - &x[1])),
            other => panic!("no loss {other}"),
        }
    }
}

/// The same, for one element, in the words of a textbook.
fn textbook(name: &str, x: f64, y: f64) -> f64 {
    let e = (x - y).abs();
    match name {
        "mse" => e * e,
        "mae" => e,
        "huber" if e <= DELTA => e * e / 2.0,
        "huber" => DELTA * (e - DELTA / 2.0),
        "binary_cross_entropy" => {
            let p = 1.0 / (1.0 + (-x).exp());
            -(y * p.ln() + (1.0 - y) * (1.0 - p).ln())
        }
        other => panic!("no loss {other}"),
    }
}

/// Errors on all sides of the kinks at 0 and ±[`DELTA`], and further from them
/// than the largest step of the differences in both arguments, 0.28.
fn case(name: &str) -> [Plain; 2] {
    if name == "binary_cross_entropy" {
        return [
            sample(&[2, 3], (-3.0, 3.0), 1),
            sample(&[2, 3], (0.1, 0.9), 2),
        ];
    }
    let targets = sample(&[2, 3], (-1.0, 1.0), 2);
    let errors = plain(&[2, 3], &[0.5, -0.7, 1.9, -2.6, 0.8, 4.1]);
    [&targets + &errors, targets]
}

/// Verifies (AD.41), (AD.43).
#[test]
fn losses_equal_the_textbook_and_pass_the_checker() {
    for name in ["mse", "mae", "huber", "binary_cross_entropy"] {
        let at = case(name);
        let pairs = at[0].as_slice().iter().zip(at[1].as_slice());
        let expected: f64 = pairs.map(|(&x, &y)| textbook(name, x, y)).sum::<f64>() / 6.0;
        // Some twenty operations on numbers below 20.
        let allowed = 20.0 * 20.0 * f64::EPSILON;
        let y = Loss(name).run(&at);
        assert_eq!(y.rank(), 0);
        close(name, &y, &[expected], allowed);
        passes(name, &Loss(name), &at);
        holds_in_f32(name, &Loss(name), &at);
        // Rank 0 and nothing at all.
        let one = [plain(&[], &[at[0].as_slice()[2]]), plain(&[], &[0.25])];
        let expected = textbook(name, one[0].item(), 0.25);
        close(name, &Loss(name).run(&one), &[expected], allowed);
        let none = [plain(&[0, 3], &[]), plain(&[0, 3], &[])];
        assert!(Loss(name).run(&none).item().is_nan(), "{name} of nothing");
    }
}

#[test]
fn wrong_twins_are_rejected() {
    for (right, wrong) in [
        ("huber", "huber, half forgotten"),
        ("mse", "mse, one target for all"),
        (
            "binary_cross_entropy",
            "binary_cross_entropy, labels exchanged",
        ),
    ] {
        let at = case(right);
        let d = distance(
            Loss(right).run(&at).as_slice(),
            Loss(wrong).run(&at).as_slice(),
        );
        assert!(d > 1e-3, "{wrong} passes for {right}");
    }
    let failure = check(&Loss("huber, clamped error held"), &case("huber")).unwrap_err();
    assert_eq!(failure.law, "jvp equals extrapolated differences");
    let failure = check(&Rows("held"), &logits()).unwrap_err();
    assert_eq!(failure.law, "jvp equals extrapolated differences");
}

/// First and second derivative of a loss of one error.
fn slopes(name: &'static str, error: f64) -> (f64, f64) {
    let (x, zero) = (Plain::scalar(error), Plain::scalar(0.0));
    let first = grad(
        |x| Loss(name).run(&[x.clone(), Tensor::constant(&zero)]),
        &x,
    );
    let second = hvp(
        |x: &Tensor<Var<Dual<Cpu<f64>>>>| Loss(name).run(&[x.clone(), Tensor::constant(&zero)]),
        &x,
        &x.ones_like(),
    );
    (first.item(), second.item())
}

#[test]
fn conventions_at_kinks_and_infinite_errors() {
    assert_eq!(slopes("mae", 0.0), (0.0, 0.0));
    assert_eq!(slopes("huber", 0.0), (0.0, 1.0));
    assert_eq!(slopes("huber", DELTA), (DELTA, 1.0));
    assert_eq!(slopes("huber", -DELTA), (-DELTA, 1.0));
    assert_eq!(slopes("huber", 2.0 * DELTA), (DELTA, 0.0));
    assert_eq!(slopes("huber", f64::INFINITY), (DELTA, 0.0));
    assert_eq!(slopes("huber", f64::NEG_INFINITY), (-DELTA, 0.0));
}

/// Where the textbook form has no digit left: `σ(40)` rounds to 1.
#[test]
fn tiny_and_huge_losses_keep_their_digits() {
    let loss = |x: f64, y: f64| Plain::scalar(x).binary_cross_entropy(&Plain::scalar(y));
    let tiny = (-40f64).exp(); // ln(1 + u) = u to 4·10⁻¹⁸
    for found in [loss(40.0, 1.0), loss(-40.0, 0.0)] {
        assert!((found.item() / tiny - 1.0).abs() <= 4.0 * f64::EPSILON);
    }
    assert_eq!(loss(-1000.0, 1.0).item(), 1000.0);
    assert_eq!(loss(1000.0, 0.0).item(), 1000.0);
    let rows = plain(&[3, 2], &[1000.0, 0.0, 1000.0, 0.0, -1000.0, -1000.0]);
    let each = rows.cross_entropy_rows(&Index::new(vec![0, 1, 0]));
    assert_eq!(each.to_vec(), [0.0, 1000.0, 2f64.ln()]);
}

/// Logits in two stacks of three rows of four, with these classes.
struct Rows(&'static str);
const CLASSES: [usize; 6] = [2, 0, 3, 1, 1, 2];
impl Program for Rows {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let classes = Index::new(CLASSES.to_vec());
        match self.0 {
            "rows" => x[0].cross_entropy_rows(&classes),
            "mean" => x[0].cross_entropy(&classes),
            // A wrong twin: the normaliser held constant.
            "held" => {
                let own = x[0].take_along_axis(2, &classes, 1).reshape(&[2, 3]);
                held(&x[0].logsumexp(2)) - own
            }
            other => panic!("no program {other}"),
        }
    }
}

fn logits() -> [Plain; 1] {
    [sample(&[2, 3, 4], (-3.0, 3.0), 4)]
}

/// Verifies (AD.42).
#[test]
fn cross_entropy_is_minus_the_logarithm_of_the_softmax() {
    let at = logits();
    let x = at[0].as_slice();
    let (mut expected, mut slopes) = (Vec::new(), Vec::new());
    for (row, &class) in CLASSES.iter().enumerate() {
        let e: Vec<f64> = x[4 * row..][..4].iter().map(|x| x.exp()).collect();
        let total: f64 = e.iter().sum();
        expected.push(-(e[class] / total).ln());
        for (k, e) in e.iter().enumerate() {
            slopes.push((e / total - if k == class { 1.0 } else { 0.0 }) / 6.0);
        }
    }
    // A dozen operations on numbers below 8.
    let allowed = 12.0 * 8.0 * f64::EPSILON;
    let rows = Rows("rows").run(&at);
    assert_eq!(rows.shape()[..], [2, 3]);
    close("rows", &rows, &expected, allowed);
    let mean = expected.iter().sum::<f64>() / 6.0;
    close("mean", &Rows("mean").run(&at), &[mean], allowed);
    let gradient = grad(|x| Rows("mean").run(std::slice::from_ref(x)), &at[0]);
    close("gradient", &gradient, &slopes, allowed);
    passes("rows", &Rows("rows"), &at);
    passes("mean", &Rows("mean"), &at);
    holds_in_f32("rows", &Rows("rows"), &at);
}

/// A class excluded by −∞ has slope 0, and an empty batch has no rows.
#[test]
fn excluded_classes_and_empty_batches() {
    let x = plain(&[1, 3], &[0.0, f64::NEG_INFINITY, 0.0]);
    let class = Index::new(vec![0]);
    assert_eq!(x.cross_entropy(&class).item(), 2f64.ln());
    let g = grad(|x| x.cross_entropy(&class), &x);
    assert_eq!(g.to_vec(), [-0.5, 0.0, 0.5]);
    let own = x.cross_entropy(&Index::new(vec![1]));
    assert_eq!(own.item(), f64::INFINITY);
    let none = plain(&[0, 3], &[]);
    let rows = none.cross_entropy_rows(&Index::new(vec![]));
    assert_eq!(rows.shape()[..], [0]);
}

#[test]
fn what_does_not_fit_is_named() {
    let (a, b) = (plain(&[3], &[0.0; 3]), plain(&[3, 1], &[0.0; 3]));
    assert_eq!(
        panic_text(|| a.mse(&b)),
        "mse: predictions of shape [3] against targets of shape [3, 1]"
    );
    for name in ["mae", "huber", "binary_cross_entropy"] {
        let text = panic_text(|| Loss(name).run(&[a.clone(), b.clone()]));
        assert!(text.starts_with(&format!("{name}: predictions")), "{text}");
    }
    for delta in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        let text = panic_text(|| a.huber(&a, delta));
        assert!(text.ends_with("is not positive and finite"), "{text}");
    }
    let x = plain(&[2, 3], &[0.0; 6]);
    assert_eq!(
        panic_text(|| x.cross_entropy(&Index::new(vec![0]))),
        "cross_entropy: 1 classes for logits of shape [2, 3]"
    );
    assert_eq!(
        panic_text(|| x.cross_entropy(&Index::new(vec![0, 3]))),
        "cross_entropy: class 3, but logits of shape [2, 3] know 3"
    );
    assert_eq!(
        panic_text(|| Plain::scalar(1.0).cross_entropy(&Index::new(vec![0]))),
        "cross_entropy: rows of logits were expected, the shape is []"
    );
}
