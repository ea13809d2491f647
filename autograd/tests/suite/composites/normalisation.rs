//! Normalisations against loops, and at rows where they could break.

use super::{Plain, close, distance, held, holds_in_f32, passes, plain};
use crate::panic_text;
use autograd::check::{Program, check, sample};
use autograd::{Algebra, Tensor, jvp};

/// Large enough to be seen in every digit.
const EPS: f64 = 0.3;

/// By name, with scale and shift if they are given.
struct Norm(&'static str);
impl Program for Norm {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        let (scale, shift) = (x.get(1), x.get(2));
        let x = &x[0];
        match self.0 {
            "layer_norm" => x.layer_norm(EPS, scale, shift),
            "rms_norm" => x.rms_norm(EPS, scale),
            "group_norm" => x.group_norm(2, EPS, scale, shift),
            // Wrong twins.
            "layer_norm, deviation held" => {
                let deviation = x - x.mean_axis(1).unsqueeze(1);
                let square = held(&deviation).square().mean_axis(1).unsqueeze(1);
                deviation * (square + EPS).rsqrt()
            }
            "layer_norm, n - 1" => {
                let deviation = x - x.mean_axis(1).unsqueeze(1);
                deviation / (x.var_axis(1, 1.0).unsqueeze(1) + EPS).sqrt()
            }
            "layer_norm, eps outside" => {
                let deviation = x - x.mean_axis(1).unsqueeze(1);
                deviation / (x.var_axis(1, 0.0).unsqueeze(1).sqrt() + EPS)
            }
            other => panic!("no normalisation {other}"),
        }
    }
}

/// One set of numbers, with or without its mean taken away.
fn naive(x: &[f64], centred: bool) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = if centred {
        x.iter().sum::<f64>() / n
    } else {
        0.0
    };
    let square = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let root = (square + EPS).sqrt();
    x.iter().map(|x| (x - mean) / root).collect()
}

/// Some thirty operations on numbers below 5.
const ALLOWED: f64 = 30.0 * 5.0 * f64::EPSILON;

/// Verifies (AD.44), (AD.45).
#[test]
fn layer_and_rms_norm_equal_the_loop_and_pass_the_checker() {
    let x = sample(&[2, 3, 5], (-2.0, 3.0), 1);
    let (scale, shift) = (sample(&[5], (0.5, 2.0), 2), sample(&[5], (-1.0, 1.0), 3));
    for (name, centred) in [("layer_norm", true), ("rms_norm", false)] {
        let rows = x.as_slice().chunks(5);
        let standard: Vec<f64> = rows.flat_map(|row| naive(row, centred)).collect();
        let bare = [x.clone()];
        close(name, &Norm(name).run(&bare), &standard, ALLOWED);
        passes(name, &Norm(name), &bare);
        let mut all = vec![x.clone(), scale.clone()];
        if centred {
            all.push(shift.clone());
        }
        let scaled = standard.iter().enumerate().map(|(i, y)| {
            let (g, b) = (scale.as_slice()[i % 5], shift.as_slice()[i % 5]);
            if centred { g * y + b } else { g * y }
        });
        let scaled: Vec<f64> = scaled.collect();
        close(name, &Norm(name).run(&all), &scaled, 2.0 * ALLOWED);
        passes(name, &Norm(name), &all);
        holds_in_f32(name, &Norm(name), &all);
    }
}

#[test]
fn group_norm_equals_the_loop_and_passes_the_checker() {
    // Two items of four channels in two groups, at three places.
    let x = sample(&[2, 4, 3], (-2.0, 3.0), 1);
    let (scale, shift) = (sample(&[4], (0.5, 2.0), 2), sample(&[4], (-1.0, 1.0), 3));
    let groups = x.as_slice().chunks(2 * 3);
    let standard: Vec<f64> = groups.flat_map(|group| naive(group, true)).collect();
    let bare = [x.clone()];
    close("bare", &Norm("group_norm").run(&bare), &standard, ALLOWED);
    passes("bare", &Norm("group_norm"), &bare);
    let scaled = standard.iter().enumerate().map(|(i, y)| {
        let channel = i / 3 % 4;
        scale.as_slice()[channel] * y + shift.as_slice()[channel]
    });
    let scaled: Vec<f64> = scaled.collect();
    let all = [x.clone(), scale, shift];
    close("all", &Norm("group_norm").run(&all), &scaled, 2.0 * ALLOWED);
    passes("all", &Norm("group_norm"), &all);
    holds_in_f32("group_norm", &Norm("group_norm"), &all);
    // One group: all of an item. No places: channels alone.
    let whole = x.group_norm(1, EPS, None, None).reshape(&[2, 12]);
    let layer = x.reshape(&[2, 12]).layer_norm(EPS, None, None);
    assert_eq!(whole.to_vec(), layer.to_vec());
    let flat = sample(&[3, 4], (-2.0, 3.0), 1);
    let paired = flat.reshape(&[3, 2, 2]).layer_norm(EPS, None, None);
    let grouped = flat.group_norm(2, EPS, None, None);
    assert_eq!(grouped.shape()[..], [3, 4]);
    assert_eq!(grouped.to_vec(), paired.to_vec());
}

#[test]
fn wrong_twins_are_rejected() {
    let at = [sample(&[2, 5], (-2.0, 3.0), 1)];
    let right = Norm("layer_norm").run(&at);
    for wrong in ["layer_norm, n - 1", "layer_norm, eps outside"] {
        let d = distance(right.as_slice(), Norm(wrong).run(&at).as_slice());
        assert!(d > 1e-3, "{wrong}");
    }
    let d = distance(right.as_slice(), at[0].rms_norm(EPS, None).as_slice());
    assert!(d > 1e-3, "the mean matters");
    assert_eq!(
        check(&Norm("layer_norm, deviation held"), &at)
            .unwrap_err()
            .law,
        "jvp equals extrapolated differences"
    );
}

/// On a constant row the value is 0 and the slope that of `(x − μ)/√ε`.
#[test]
fn constant_rows_have_finite_slopes() {
    let eps = 1e-5;
    let x = plain(&[1, 4], &[0.5; 4]);
    let v = plain(&[1, 4], &[1.0, -2.0, 0.5, 3.0]);
    let (y, y_dot) = jvp(|x| x.layer_norm(eps, None, None), &x, &v);
    assert_eq!(y.to_vec(), [0.0; 4]);
    let expected: Vec<f64> = [1.0, -2.0, 0.5, 3.0]
        .iter()
        .map(|v| (v - 0.625) / eps.sqrt())
        .collect();
    close("tangent", &y_dot, &expected, 1e3 * 4.0 * f64::EPSILON);
    let (y, y_dot) = jvp(|x| x.rms_norm(eps, None), &x.zeros_like(), &v);
    assert_eq!(y.to_vec(), [0.0; 4]);
    let expected: Vec<f64> = [1.0, -2.0, 0.5, 3.0]
        .iter()
        .map(|v| v / eps.sqrt())
        .collect();
    close("tangent", &y_dot, &expected, 1e3 * 4.0 * f64::EPSILON);
    // Without ε there is nothing to divide by.
    assert!(x.layer_norm(0.0, None, None).to_vec()[0].is_nan());
}

/// A common offset of 10⁶ costs the six digits that the input has lost.
#[test]
fn a_large_offset_costs_no_more_digits_than_the_input_has_lost() {
    let x = sample(&[1, 5], (-2.0, 3.0), 1);
    let far = (&x + 1e6).layer_norm(0.0, None, None);
    let near = x.layer_norm(0.0, None, None);
    close("offset", &far, near.as_slice(), 4e6 * f64::EPSILON);
}

#[test]
fn empty_arrays_and_rows_of_one() {
    for shape in [&[0, 3][..], &[3, 0]] {
        let x = plain(shape, &[]);
        assert_eq!(x.layer_norm(EPS, None, None).shape()[..], *shape);
        assert_eq!(x.rms_norm(EPS, None).shape()[..], *shape);
        assert_eq!(x.group_norm(1, EPS, None, None).shape()[..], *shape);
    }
    let one = plain(&[2, 1], &[3.0, -4.0]);
    assert_eq!(one.layer_norm(EPS, None, None).to_vec(), [0.0, 0.0]);
    let signs = one.rms_norm(0.0, None);
    close("signs", &signs, &[1.0, -1.0], f64::EPSILON);
}

#[test]
fn what_does_not_fit_is_named() {
    let x = plain(&[2, 3], &[0.0; 6]);
    let two = plain(&[2], &[0.0; 2]);
    let scalar = Plain::scalar(1.0);
    for (found, text) in [
        (
            panic_text(|| x.layer_norm(EPS, Some(&two), None)),
            "layer_norm: the scale has shape [2], [3] was expected",
        ),
        (
            panic_text(|| x.layer_norm(EPS, None, Some(&two))),
            "layer_norm: the shift has shape [2], [3] was expected",
        ),
        (
            panic_text(|| x.layer_norm(-1.0, None, None)),
            "layer_norm: eps -1 is negative or not finite",
        ),
        (
            panic_text(|| x.rms_norm(f64::NAN, None)),
            "rms_norm: eps NaN is negative or not finite",
        ),
        (
            panic_text(|| scalar.layer_norm(EPS, None, None)),
            "layer_norm: an axis was expected, the shape is []",
        ),
        (
            panic_text(|| scalar.rms_norm(EPS, None)),
            "rms_norm: an axis was expected, the shape is []",
        ),
        (
            panic_text(|| two.group_norm(1, EPS, None, None)),
            "group_norm: items with channels, [B, C, …], were expected, the shape is [2]",
        ),
        (
            panic_text(|| x.group_norm(2, EPS, None, None)),
            "group_norm: 2 groups of the 3 channels of [2, 3]",
        ),
        (
            panic_text(|| x.group_norm(0, EPS, None, None)),
            "group_norm: 0 groups of the 3 channels of [2, 3]",
        ),
        (
            panic_text(|| x.group_norm(3, EPS, Some(&two), None)),
            "group_norm: the scale has shape [2], [3] was expected",
        ),
    ] {
        assert_eq!(found, text);
    }
}
