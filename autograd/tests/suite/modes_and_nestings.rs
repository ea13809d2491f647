//! What the modes promise beyond single operations: nesting, depth, clear
//! refusals, shards, divergence, and whole networks.

use crate::{filled, panic_text};
use autograd::check::{Program, check, sample};
use autograd::{
    Algebra, Cpu, Draw, Dual, Mlp, Tensor, TimeFeatures, Tree, Unary, Var, divergence, grad,
    hutchinson, hvp, jvp, sum_over_shards, trap_non_finite, value_and_grad, vjp,
};

type Plain = Tensor<Cpu<f64>>;

fn scalar(x: f64) -> Plain {
    Plain::scalar(x)
}

fn cubic_sine<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    (x.sin() * x.powi(3)).sum()
}

/// `d³/dx³ (x³ sin x) = (6 − 9x²)·… ` written out, by three nestings that all
/// have to give it.
#[test]
fn third_derivatives_agree_in_every_nesting() {
    let x = 0.7f64;
    let (s, c) = x.sin_cos();
    let expected = 6.0 * s + 18.0 * x * c - 9.0 * x * x * s - x.powi(3) * c;
    let at = scalar(x);
    let rrr = grad(|x| grad(|x| grad(cubic_sine, x), x), &at);
    let fff = jvp(
        |x| {
            let one = x.ones_like();
            jvp(
                |x| {
                    let one = x.ones_like();
                    jvp(cubic_sine, x, &one).1
                },
                x,
                &one,
            )
            .1
        },
        &at,
        &at.ones_like(),
    )
    .1;
    let rfr = grad(
        |x| {
            let one = x.ones_like();
            jvp(|x| grad(cubic_sine, x), x, &one).1
        },
        &at,
    );
    for found in [rrr, fff, rfr] {
        // Some thirty operations on numbers below 20.
        let error = (found.item() - expected).abs();
        assert!(error <= 30.0 * 20.0 * f64::EPSILON, "{error:e}");
    }
}

/// Verifies (AD.8).
#[test]
fn the_hessian_product_of_a_quadratic_is_its_matrix() {
    let m = Plain::new(&[2, 2], vec![3.0, 1.0, 1.0, -2.0]);
    let x = Plain::new(&[1, 2], vec![0.3, 0.9]);
    let v = Plain::new(&[1, 2], vec![1.0, 2.0]);
    let hv = hvp(
        |x: &Tensor<Var<Dual<Cpu<f64>>>>| {
            let m = Tensor::constant(&m);
            0.5 * (x.matmul(&m) * x).sum()
        },
        &x,
        &v,
    );
    assert_eq!(hv.to_vec(), [5.0, -3.0]);
}

/// `d/dx [x · d/dy (x + y)] = 1`; a confused system says 2.
#[test]
fn perturbations_are_kept_apart_or_refused() {
    let right = grad(
        |x| {
            let inner = grad(|y| y + Tensor::<Var<Var<Cpu<f64>>>>::constant(&x.stop()), x);
            x * inner
        },
        &scalar(1.0),
    );
    assert_eq!(right.item(), 1.0);
    // Two derivatives of one level in one operation: refused in clear words.
    let text = panic_text(|| {
        let _ = grad(
            |x| {
                let _ = grad(|y: &Tensor<Var<Cpu<f64>>>| (x * y).sum(), &scalar(2.0));
                x.clone()
            },
            &scalar(1.0),
        );
    });
    assert!(text.contains("two different derivatives meet"), "{text}");
    let text = panic_text(|| {
        let one = scalar(1.0);
        let _ = jvp(
            |x: &Tensor<Dual<Cpu<f64>>>| {
                let _ = jvp(|y: &Tensor<Dual<Cpu<f64>>>| x * y, &scalar(2.0), &one);
                x.clone()
            },
            &one,
            &one,
        );
    });
    assert!(text.contains("two different forward derivatives"), "{text}");
}

#[test]
fn a_variable_that_escapes_its_derivative_is_refused() {
    let mut escaped = None;
    let _ = grad(
        |x| {
            escaped = Some(x.clone());
            x.square()
        },
        &scalar(3.0),
    );
    let text = panic_text(|| {
        let _ = escaped.expect("it was set").exp();
    });
    assert!(
        text.contains("after the derivative it belongs to"),
        "{text}"
    );
}

#[test]
fn a_parameter_that_is_not_reached_is_an_error() {
    let model = (scalar(1.0), scalar(2.0));
    let text = panic_text(|| {
        let _ = value_and_grad(|m: &(Tensor<Var<Cpu<f64>>>, _)| m.0.square(), &model);
    });
    assert!(
        text.contains(r#"does not depend on parameter "1""#),
        "{text}"
    );
    let (_, g) =
        autograd::value_and_grad_partial(|m: &(Tensor<Var<Cpu<f64>>>, _)| m.0.square(), &model);
    assert_eq!((g.0.item(), g.1.item()), (2.0, 0.0));
}

#[test]
fn shape_errors_name_both_shapes() {
    let a = Plain::full(&[3, 4], 1.0);
    let text = panic_text(|| {
        let _ = a.matmul(&a);
    });
    assert_eq!(
        text,
        "matmul: [3, 4] times [3, 4]: inner sizes 4 and 3 differ"
    );
    let text = panic_text(|| {
        let _ = &a + Plain::full(&[2, 4], 1.0);
    });
    assert_eq!(
        text,
        "add: shapes [3, 4] and [2, 4] do not broadcast together"
    );
}

#[test]
fn nan_mode_names_operation_and_line() {
    let text = panic_text(|| {
        let _ = trap_non_finite(|| scalar(-1.0).ln().square());
    });
    assert!(text.starts_with("ln: first non-finite result"), "{text}");
    assert!(text.contains("modes_and_nestings.rs"), "{text}");
    // The value under a derivative is looked at like any other.
    let text = panic_text(|| {
        let _ = trap_non_finite(|| grad(|x| x.ln().sum(), &scalar(-1.0)));
    });
    assert!(text.starts_with("ln: first non-finite result"), "{text}");
    // √x has a finite value at 0 and an infinite slope.
    let text = panic_text(|| {
        let _ = trap_non_finite(|| grad(|x| x.sqrt().sum(), &scalar(0.0)));
    });
    assert!(text.contains("derivative of the operation at"), "{text}");
    assert!(text.contains("modes_and_nestings.rs"), "{text}");
    assert!(scalar(-1.0).ln().item().is_nan(), "the mode is off again");
}

/// A dual number is finite if both halves are; and linear operations are named
/// like the others.
#[test]
fn nan_mode_sees_tangents_and_names_rearrangements() {
    // √x at 0: value 0, tangent infinite.
    let text = panic_text(|| {
        let _ = trap_non_finite(|| jvp(|x| x.sqrt(), &scalar(0.0), &scalar(1.0)));
    });
    assert!(text.contains("first non-finite result"), "{text}");
    // A NaN handed in: the value is NaN, the tangent finite.
    let text = panic_text(|| {
        let nan = scalar(f64::NAN);
        let _ = trap_non_finite(|| jvp(|x| x.reshape(&[1]), &nan, &scalar(1.0)));
    });
    assert!(text.starts_with("reshape: first"), "{text}");
    // Nothing to complain about: no panic, also where there is no tangent.
    let (y, y_dot) = trap_non_finite(|| jvp(|x| 0.0 * x + 2.0, &scalar(3.0), &scalar(1.0)));
    assert_eq!((y.item(), y_dot.item()), (2.0, 0.0));
    for (name, op) in [
        ("permute", (|x| x.permute(&[1, 0])) as fn(&Plain) -> Plain),
        ("sum", |x| x.sum_axis(0)),
        ("slice", |x| x.slice(0, 0, 1)),
    ] {
        let nan = Plain::new(&[2, 1], vec![f64::NAN; 2]);
        let text = panic_text(|| {
            let _ = trap_non_finite(|| op(&nan));
        });
        assert!(text.starts_with(&format!("{name}: first")), "{text}");
    }
}

/// A chain of three million operations: no recursion, no stack overflow.
///
/// Verifies (AD.7).
#[test]
fn a_tape_of_three_million_nodes_is_swept_and_dropped() {
    const LINKS: i32 = 3_000_000;
    let slope = grad(
        |x| {
            let mut y = x.clone();
            for _ in 0..LINKS {
                y = y + 1e-9;
            }
            y.square()
        },
        &scalar(1.0),
    );
    let expected = 2.0 * (1.0 + 3e-3);
    // Every addition rounds once: 3·10⁶·ε/2 at most.
    let error = (slope.item() - expected).abs();
    assert!(error <= 2.0 * 1.5e6 * f64::EPSILON, "{error:e}");
}

/// A linear field: the divergence is the trace, exactly; over all sign probes
/// the estimates average to it, with the variance of the formula.
///
/// Verifies (AD.9).
#[test]
fn divergence_is_the_trace_and_hutchinson_averages_to_it() {
    let m = [0.5, -1.0, 2.0, 0.25, 1.5, -0.75, 3.0, 0.125, -2.0];
    let x = sample(&[4, 3], (-1.0, 1.0), 2);
    let field = |x: &Tensor<Dual<Cpu<f64>>>| x.matmul(&x.lift(&[3, 3], &m)) + x.square();
    let (value, exact) = divergence(field, &x);
    assert_eq!(value.shape()[..], [4, 3]);
    let trace = m[0] + m[4] + m[8];
    for (row, &found) in exact.as_slice().iter().enumerate() {
        let x = &x.as_slice()[3 * row..3 * row + 3];
        let expected = trace + 2.0 * x.iter().sum::<f64>();
        assert!((found - expected).abs() <= 8.0 * f64::EPSILON * 8.0);
    }
    let (mut mean, mut square) = (0.0, 0.0);
    for signs in 0..8u32 {
        let probe: Vec<f64> = (0..12)
            .map(|i| if signs >> (i % 3) & 1 == 0 { 1.0 } else { -1.0 })
            .collect();
        let (_, estimate) = hutchinson(field, &x, &Plain::new(&[4, 3], probe));
        let deviation = estimate.as_slice()[0] - exact.as_slice()[0];
        mean += deviation / 8.0;
        square += deviation * deviation / 8.0;
    }
    assert!(mean.abs() <= 1e-14, "unbiased: {mean:e}");
    let off = |i: usize, j: usize| 0.5 * (m[3 * i + j] + m[3 * j + i]);
    let variance = 4.0 * (off(0, 1).powi(2) + off(0, 2).powi(2) + off(1, 2).powi(2));
    assert!(
        (square - variance).abs() <= 1e-12,
        "{square} against {variance}"
    );
}

fn network() -> Mlp<Cpu<f64>> {
    let time = TimeFeatures::Fourier(2);
    Mlp::new(2, &[5, 4], 2, time, Unary::Silu, Draw::seed(3))
}

/// The network as a program of its inputs and all its parameters.
struct Network;
impl Program for Network {
    fn run<A: Algebra>(&self, inputs: &[Tensor<A>]) -> Tensor<A> {
        filled(&network(), &inputs[2..]).velocity(&inputs[0], &inputs[1])
    }
}

#[test]
fn the_network_passes_the_checker_in_all_inputs_and_parameters() {
    let mut at = vec![
        sample(&[3, 1], (0.0, 1.0), 1),
        sample(&[3, 2], (-1.0, 1.0), 2),
    ];
    at.extend(network().leaves());
    let report = check(&Network, &at);
    assert!(report.is_ok(), "{}", report.unwrap_err());
}

/// Verifies (AD.10).
#[test]
fn shards_add_up_and_their_bits_do_not_depend_on_threads() {
    let net = network();
    let (t, x) = (
        sample(&[50, 1], (0.0, 1.0), 4),
        sample(&[50, 2], (-2.0, 2.0), 5),
    );
    let loss = |net: &Mlp<Var<Cpu<f64>>>, rows: std::ops::Range<usize>| {
        let cut = |a: &Plain| Tensor::constant(&a.slice(0, rows.start, rows.len()));
        net.velocity(&cut(&t), &cut(&x)).square().sum()
    };
    let sharded = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("a pool").install(|| {
            sum_over_shards(50, 16, |rows| {
                value_and_grad(|net: &Mlp<Var<Cpu<f64>>>| loss(net, rows), &net)
            })
        })
    };
    let bits = |(value, grad): &(Plain, Mlp<Cpu<f64>>)| -> Vec<u64> {
        let mut all = value.to_vec();
        all.extend(grad.leaves().iter().flat_map(Tensor::to_vec));
        all.iter().map(|x| x.to_bits()).collect()
    };
    let one = sharded(1);
    for threads in [2, 3, 5] {
        assert_eq!(bits(&one), bits(&sharded(threads)), "{threads} threads");
    }
    let whole = value_and_grad(|net: &Mlp<Var<Cpu<f64>>>| loss(net, 0..50), &net);
    // Squares: a sum of 50 terms in another order, none of which cancels.
    let value = whole.0.item();
    assert!((one.0.item() - value).abs() <= 100.0 * f64::EPSILON * value);
    for (a, b) in one.1.leaves().iter().zip(whole.1.leaves()) {
        let scale = b.as_slice().iter().fold(1.0f64, |m, x| m.max(x.abs()));
        for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
            // Sums of 50 terms in another order.
            assert!((a - b).abs() <= 100.0 * f64::EPSILON * scale);
        }
    }
}

#[test]
fn softmax_and_logsumexp_hold_at_the_ends_of_the_range() {
    let x = Plain::new(&[1, 3], vec![1000.0, 0.0, -1000.0]);
    assert_eq!(x.logsumexp(1).to_vec(), [1000.0]);
    assert_eq!(x.softmax(1).to_vec(), [1.0, 0.0, 0.0]);
    let none = Plain::new(&[1, 2], vec![f64::NEG_INFINITY; 2]);
    assert_eq!(none.logsumexp(1).to_vec(), [f64::NEG_INFINITY]);
    let (_, g) = vjp(
        |x: &Tensor<Var<Cpu<f64>>>| x.logsumexp(1),
        &x,
        &Plain::full(&[1], 1.0),
    );
    assert_eq!(g.to_vec(), [1.0, 0.0, 0.0]);
}

/// Stated conventions at the points where calculus gives no answer.
#[test]
fn conventions_at_kinks_and_ties() {
    let slope = |op: Unary, x: f64| grad(|x| x.unary(op).sum(), &scalar(x)).item();
    assert_eq!(slope(Unary::Relu, 0.0), 0.0);
    assert_eq!(slope(Unary::Abs, 0.0), 0.0);
    assert!(scalar(f64::NAN).relu().item().is_nan(), "NaN stays NaN");
    let tie = (scalar(1.0), scalar(1.0));
    let g = grad(
        |m: &(Tensor<Var<Cpu<f64>>>, Tensor<Var<_>>)| m.0.maximum(&m.1),
        &tie,
    );
    assert_eq!((g.0.item(), g.1.item()), (0.5, 0.5));
    // No constant slope is computed as 0·x + c.
    let at_infinity = grad(|x| (x + 1.0).sum(), &scalar(f64::INFINITY));
    assert_eq!(at_infinity.item(), 1.0);
    let untouched: Tensor<Cpu<f64>> = autograd::value_and_grad_partial(
        |x: &Tensor<Var<Cpu<f64>>>| x.sign().sum(),
        &scalar(f64::INFINITY),
    )
    .1;
    assert_eq!(untouched.item(), 0.0);
}

/// `zᵀJz` for a probe whose entries are not signs.
///
/// Verifies (AD.9).
#[test]
fn hutchinsons_estimate_is_the_quadratic_form_of_the_jacobian() {
    // v = (2x + 3y, 5x + 7y): zᵀJz = 2z₁² + 8z₁z₂ + 7z₂².
    let x = Plain::new(&[1, 2], vec![0.3, -0.8]);
    let probe = Plain::new(&[1, 2], vec![3.0, -0.5]);
    let mixing = Plain::new(&[2, 2], vec![2.0, 5.0, 3.0, 7.0]);
    let field = |x: &Tensor<Dual<Cpu<f64>>>| x.matmul(&Tensor::constant(&mixing));
    let (value, estimate) = hutchinson(field, &x, &probe);
    let expected = 2.0 * 9.0 - 8.0 * 1.5 + 7.0 * 0.25;
    // Small integers and halves: exact.
    assert_eq!(estimate.to_vec(), [expected]);
    assert_eq!(value.shape().to_vec(), [1, 2]);
    let (_, exact) = divergence(field, &x);
    assert_eq!(exact.to_vec(), [9.0]);
}

/// A value may be finite where its derivative is not: `√x` at 0.
#[test]
fn a_tangent_that_is_not_finite_is_not_overlooked() {
    let seen = |x: f64| {
        let mut seen = None;
        jvp(
            |x| {
                let y = x.sqrt();
                seen = Some((y.all_finite(), y.stop().all_finite()));
                y
            },
            &scalar(x),
            &scalar(1.0),
        );
        seen.expect("called")
    };
    assert_eq!(seen(4.0), (true, true));
    assert_eq!(seen(0.0), (false, true));
    assert_eq!(seen(-1.0), (false, false));
    assert!(!scalar(f64::NAN).all_finite());
}
