//! Composite operations and linear algebra, a file for each family: against
//! loops that know nothing of the library, through the checker in every mode,
//! at special points, and with wrong twins that must be rejected.

mod attention;
mod einsum;
mod linear_algebra;
mod losses;
mod normalisation;

use autograd::check::{self, Program, Report};
use autograd::{Algebra, Cpu, Dual, Real, Tensor, Var, grad, jvp, vjp_partial};

type Plain = Tensor<Cpu<f64>>;

fn plain(shape: &[usize], numbers: &[f64]) -> Plain {
    Tensor::new(shape, numbers.to_vec())
}

#[track_caller]
fn passes<P: Program>(name: &str, program: &P, at: &[Plain]) -> Report {
    match check::check(program, at) {
        Ok(report) => {
            println!("{name:>12} {report:?}");
            report
        }
        Err(failure) => panic!("{name}: {failure}"),
    }
}

/// The largest difference, NaN if one is; infinite if the lengths differ.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let pairs = a.iter().zip(b);
    pairs.fold(0.0, |worst, (a, b)| {
        let d = (a - b).abs();
        if d.is_nan() || d > worst { d } else { worst }
    })
}

/// The largest magnitude, at least 1.
fn size(a: &[f64]) -> f64 {
    a.iter().fold(1.0, |m, x| m.max(x.abs()))
}

#[track_caller]
fn close(name: &str, found: &Plain, expected: &[f64], allowed: f64) {
    let d = distance(found.as_slice(), expected);
    assert!(
        d <= allowed,
        "{name}: {:?} against {expected:?}: off by {d:e}, {allowed:e} allowed",
        found.as_slice()
    );
}

/// Numbers without symmetry: `sin` of multiples.
fn direction(x: &Plain, salt: f64) -> Plain {
    let numbers = (0..x.shape().count()).map(|i| (1.3 * i as f64 + salt).sin());
    Tensor::new(&x.shape(), numbers.collect())
}

/// Value, forward, reverse and second derivative of a program, in one list.
fn everything<P: Program>(program: &P, at: &[Plain]) -> Vec<Vec<f64>> {
    let at = at.to_vec();
    let v: Vec<Plain> = at.iter().map(|x| direction(x, 0.4)).collect();
    let (y, y_dot) = jvp(|x| program.run(x), &at, &v);
    let w = direction(&y, 0.9);
    let (_, x_bar) = vjp_partial(|x| program.run(x), &at, &w);
    let (_, second) = jvp(
        |x: &Vec<Tensor<Dual<Cpu<f64>>>>| {
            let g = grad(
                |x: &Vec<Tensor<Var<Dual<Cpu<f64>>>>>| {
                    let y = program.run(x);
                    (y.lift(&w.shape(), w.as_slice()) * &y + y.square()).sum()
                },
                x,
            );
            let flat: Vec<_> = g.iter().map(|g| g.reshape(&[g.shape().count()])).collect();
            Tensor::concat(&flat.iter().collect::<Vec<_>>(), 0)
        },
        &at,
        &v,
    );
    let x_bar = x_bar.iter().flat_map(Tensor::to_vec).collect();
    vec![y.to_vec(), y_dot.to_vec(), x_bar, second.to_vec()]
}

/// Two programs are one function, in value and derivatives.
#[track_caller]
fn agree<P: Program, Q: Program>(p: &P, q: &Q, at: &[Plain], allowed: f64) {
    let names = ["value", "jvp", "vjp", "second derivative"];
    for ((name, p), q) in names.iter().zip(everything(p, at)).zip(everything(q, at)) {
        let d = distance(&p, &q) / size(&q);
        assert!(d <= allowed, "{name}: {d:e}, {allowed:e} allowed");
    }
}

fn single(x: &[Plain]) -> Vec<Tensor<Cpu<f32>>> {
    let narrow = |x: &Plain| x.as_slice().iter().map(|&x| x as f32).collect();
    x.iter()
        .map(|x| Tensor::new(&x.shape(), narrow(x)))
        .collect()
}

fn double<F: Real>(x: &Tensor<Cpu<F>>) -> Plain {
    let wide = x.as_slice().iter().map(|x| x.wide()).collect();
    Tensor::new(&x.shape(), wide)
}

/// Value, forward and reverse derivative in `f32` are those in `f64` at the
/// same point, relative to their sizes, within a few `ε` of `f32`: up to some
/// sixty roundings of at most `ε/2` that add up like a random walk.
#[track_caller]
fn holds_in_f32<P: Program>(name: &str, program: &P, at: &[Plain]) {
    let narrow = single(at);
    let wide: Vec<Plain> = narrow.iter().map(double).collect();
    let v: Vec<Plain> = single(&wide.iter().map(|x| direction(x, 0.4)).collect::<Vec<_>>())
        .iter()
        .map(double)
        .collect();
    let (y, y_dot) = jvp(|x| program.run(x), &wide, &v);
    let (z, z_dot) = jvp(|x| program.run(x), &narrow, &single(&v));
    let w = single(&[direction(&y, 0.9)]).remove(0);
    let (_, x_bar) = vjp_partial(|x| program.run(x), &wide, &double(&w));
    let (_, z_bar) = vjp_partial(|x| program.run(x), &narrow, &w);
    let mut pairs = vec![(y, double(&z)), (y_dot, double(&z_dot))];
    pairs.extend(x_bar.into_iter().zip(z_bar.iter().map(double)));
    let errors = pairs
        .iter()
        .map(|(a, b)| distance(a.as_slice(), b.as_slice()) / size(a.as_slice()));
    let worst = errors.fold(0.0, |m: f64, e| if e <= m { m } else { e });
    let lost = worst / f64::from(f32::EPSILON);
    println!("{name:>12} in f32: {lost:.2} ε");
    assert!(lost <= 4.0, "{name} in f32: off by {lost} ε");
}

/// The derivative of a value held constant is lost: the checker must see it.
fn held<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
    Tensor::constant(&x.stop())
}
