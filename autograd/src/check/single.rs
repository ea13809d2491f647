//! **Single precision** against double, within the bounds of the
//! [running analysis](super::rounding).

use super::points::nan_max;
use super::rounding::Rounded;
use super::second_order::hessian_times;
use super::{Plain, Program};
use crate::cpu::Cpu;
use crate::derivative::{jvp, vjp_partial};
use crate::tensor::Tensor;

fn narrow(x: &Plain) -> Tensor<Cpu<f32>> {
    let numbers = x.as_slice().iter().map(|&x| x as f32);
    Tensor::new(&x.shape(), numbers.collect())
}

/// The largest deviation of the value, the derivatives of both modes and the
/// second derivative in `f32`, over its bound. Point and directions are numbers of `f32`.
pub(super) fn over_bound<P: Program>(program: &P, at: &[Plain], v: &[Plain], w: &Plain) -> f64 {
    let (bound_y, bound_jvp) = {
        let at: Vec<_> = at.iter().map(Tensor::exact).collect();
        let v = v.iter().map(Tensor::exact).collect();
        jvp(|x| program.run(x), &at, &v)
    };
    let (y, pushed) = {
        let at: Vec<_> = at.iter().map(narrow).collect();
        let v = v.iter().map(narrow).collect();
        jvp(|x| program.run(x), &at, &v)
    };
    let bound_vjp = {
        let at: Vec<_> = at.iter().map(Tensor::exact).collect();
        vjp_partial(|x| program.run(x), &at, &Tensor::exact(w)).1
    };
    let pulled = {
        let at: Vec<_> = at.iter().map(narrow).collect();
        vjp_partial(|x| program.run(x), &at, &narrow(w)).1
    };
    let plain = {
        let at: Vec<_> = at.iter().map(narrow).collect();
        program.run(&at)
    };
    // Second order, forward over reverse.
    let bound_hvp = {
        let at: Vec<_> = at.iter().map(Tensor::exact).collect();
        let v: Vec<_> = v.iter().map(Tensor::exact).collect();
        hessian_times(program, &at, &v, w)
    };
    let curved = {
        let at: Vec<_> = at.iter().map(narrow).collect();
        let v: Vec<_> = v.iter().map(narrow).collect();
        hessian_times(program, &at, &v, w)
    };
    let mut worst = nan_max(ratio(&y, &bound_y), ratio(&plain, &bound_y));
    worst = nan_max(worst, ratio(&pushed, &bound_jvp));
    for (pulled, bound) in pulled.iter().zip(&bound_vjp) {
        worst = nan_max(worst, ratio(pulled, bound));
    }
    for (curved, bound) in curved.iter().zip(&bound_hvp) {
        worst = nan_max(worst, ratio(curved, bound));
    }
    worst
}

/// The largest deviation over its bound; equal numbers deviate by 0.
fn ratio(found: &Tensor<Cpu<f32>>, bound: &Tensor<Rounded>) -> f64 {
    let exact = bound
        .value()
        .as_slice()
        .iter()
        .zip(bound.error().as_slice());
    let pairs = found.as_slice().iter().zip(exact);
    pairs.fold(0.0, |worst, (&found, (&exact, &bound))| {
        let found = f64::from(found);
        let ratio = if found == exact {
            0.0
        } else if bound.is_infinite() {
            // What bounds nothing holds nothing.
            f64::NAN
        } else {
            (found - exact).abs() / bound
        };
        nan_max(worst, ratio)
    })
}
