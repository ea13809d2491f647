//! Checkpoints change memory and time, and no bit of a result.

use autograd::check::{Program, check, sample};
use autograd::{Algebra, Cpu, Tensor, Var, checkpoint, grad, trap_non_finite, value_and_grad};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

type Plain = Tensor<Cpu<f64>>;

/// `tanh(x·w) + b`, twice, counting how often it is run.
#[derive(Clone, Default)]
struct Block(Rc<Cell<usize>>);
impl Program for Block {
    fn run<A: Algebra>(&self, inputs: &[Tensor<A>]) -> Tensor<A> {
        self.0.set(self.0.get() + 1);
        let [x, w, b] = inputs else {
            panic!("three inputs")
        };
        let h = x.matmul(w).tanh() + b;
        h.matmul(w).tanh() + b
    }
}

/// Two blocks in a row, each a checkpoint of its own if `inner`, all in
/// another if `outer`.
#[derive(Clone)]
struct Chain {
    block: Block,
    inner: bool,
}
impl Program for Chain {
    fn run<A: Algebra>(&self, inputs: &[Tensor<A>]) -> Tensor<A> {
        let [x, w, b] = inputs else {
            panic!("three inputs")
        };
        let step = |x: &Tensor<A>| {
            let inputs = [x.clone(), w.clone(), b.clone()];
            match self.inner {
                true => checkpoint(&self.block, &inputs),
                false => self.block.run(&inputs),
            }
        };
        step(&step(x))
    }
}

/// All of a chain as one checkpoint.
#[derive(Clone)]
struct Outer(Chain);
impl Program for Outer {
    fn run<A: Algebra>(&self, inputs: &[Tensor<A>]) -> Tensor<A> {
        checkpoint(&self.0, inputs)
    }
}

fn chain(inner: bool) -> Chain {
    let block = Block::default();
    Chain { block, inner }
}

fn at() -> Vec<Plain> {
    vec![
        sample(&[2, 3], (-1.0, 1.0), 1),
        sample(&[3, 3], (-1.0, 1.0), 2),
        sample(&[3], (-1.0, 1.0), 3),
    ]
}

/// Loss and gradient in all three inputs.
fn numbers<P: Program>(program: &P) -> Vec<f64> {
    let loss = |x: &Vec<Tensor<Var<Cpu<f64>>>>| program.run(x).square().sum();
    let (value, gradient) = value_and_grad(loss, &at());
    let numbers = gradient.iter().flat_map(Tensor::to_vec);
    numbers.chain([value.item()]).collect()
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// One evaluation, and one more for all three inputs together; nested, the
/// outer rerun runs the inner parts without recording them, and each of them
/// is then run for its own sweep.
///
/// Verifies (AD.25).
#[test]
fn a_part_is_run_once_more_for_all_inputs_and_keeps_the_bits() {
    let plain = numbers(&chain(false));
    let whole = Outer(chain(false));
    assert_eq!(bits(&numbers(&whole)), bits(&plain));
    assert_eq!(whole.0.block.0.get(), 2 + 2);
    let parts = chain(true);
    let by_parts = numbers(&parts);
    assert_eq!(parts.block.0.get(), 2 + 2);
    let nested = Outer(chain(true));
    assert_eq!(bits(&numbers(&nested)), bits(&by_parts));
    assert_eq!(nested.0.block.0.get(), 2 + 2 + 2);
    // The weights are used in both parts: their four contributions are added
    // in pairs, so numbers below 8 differ by three roundings at most.
    for (a, b) in by_parts.iter().zip(&plain) {
        assert!((a - b).abs() <= 3.0 * 8.0 * f64::EPSILON, "{a} {b}");
    }
}

/// All laws of the checker, second order in every nesting included.
///
/// Verifies (AD.25).
#[test]
fn checkpoints_pass_the_checker_alone_and_nested() {
    for inner in [false, true] {
        let report = check(&Outer(chain(inner)), &at());
        assert!(report.is_ok(), "{}", report.unwrap_err());
        let report = check(&chain(inner), &at());
        assert!(report.is_ok(), "{}", report.unwrap_err());
    }
}

/// Third order: `d³/dx³ tanh²…` through a checkpoint, against the same text
/// without.
#[test]
fn third_derivatives_go_through_a_checkpoint() {
    #[derive(Clone)]
    struct Curve;
    impl Program for Curve {
        fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
            x[0].sin() * x[0].powi(3)
        }
    }
    let x = Plain::scalar(0.7);
    let (s, c) = 0.7f64.sin_cos();
    let expected = 6.0 * s + 18.0 * 0.7 * c - 9.0 * 0.49 * s - 0.343 * c;
    let found = grad(
        |x| {
            grad(
                |x| grad(|x| checkpoint(&Curve, std::slice::from_ref(x)), x),
                x,
            )
        },
        &x,
    );
    // Some thirty operations on numbers below 20.
    let error = (found.item() - expected).abs();
    assert!(error <= 30.0 * 20.0 * f64::EPSILON, "{error:e}");
}

/// An input that is a constant costs no derivative, and inputs that are all
/// constants record nothing.
#[test]
fn constants_stay_constants() {
    let [x, w, b] = &at()[..] else {
        panic!("three")
    };
    let slope = grad(
        |w: &Tensor<Var<Cpu<f64>>>| {
            let inputs = [Tensor::constant(x), w.clone(), Tensor::constant(b)];
            checkpoint(&Block::default(), &inputs).sum()
        },
        w,
    );
    let all = grad(|m: &Vec<_>| Block::default().run(m).sum(), &at());
    assert_eq!(slope.to_vec(), all[1].to_vec());
    let plain = checkpoint(&Block::default(), &at());
    assert_eq!(plain.to_vec(), Block::default().run(&at()).to_vec());
}

/// In NaN mode the first operation at fault is named, inside the part.
#[test]
fn nan_mode_names_the_line_inside_the_part() {
    #[derive(Clone)]
    struct Root;
    impl Program for Root {
        fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
            x[0].sqrt()
        }
    }
    let root = line!() - 3;
    let caught = catch_unwind(AssertUnwindSafe(|| {
        trap_non_finite(|| {
            grad(
                |x| checkpoint(&Root, std::slice::from_ref(x)),
                &Plain::scalar(0.0),
            )
        })
    }));
    let payload = caught.expect_err("the slope is infinite");
    let text = payload.downcast_ref::<String>().expect("text");
    let place = format!("checkpoint.rs:{root}:");
    assert!(text.contains(&place), "{text} lacks {place}");
}
