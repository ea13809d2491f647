//! **Check**: every derivative against numbers that know nothing of rules.
//!
//! A [`Program`] is a function of some arrays that can be read with any
//! algebra. [`check`] reads one with plain arrays, duals, variables and their
//! nestings, and holds the answers together:
//!
//! 1. the value is the same number in every reading, bit for bit;
//! 2. the forward derivative in every coordinate equals the Richardson
//!    extrapolation of central differences;
//! 3. forward and reverse mode are transposes of each other:
//!    `⟨w, Jv⟩ = ⟨Jᵀw, v⟩`;
//! 4. second derivatives of `φ(x) = ⟨w, f(x)⟩ + ½‖f(x)‖²` agree between
//!    forward-over-reverse, reverse-over-reverse, forward-over-forward and
//!    the extrapolated differences of the gradient, and the Hessian is
//!    symmetric;
//! 5. an input used twice gets both contributions.
//!
//! ```math
//! D_h = \frac{f(x + h e) - f(x - h e)}{2h} = f' + c_2 h^2 + c_4 h^4 + \dots, \qquad
//! R_{k,j} = R_{k,j-1} + \frac{R_{k,j-1} - R_{k-1,j-1}}{4^j - 1} \tag{AD.11}
//! ```
//!
//! Arrays should be tiny, with extents that differ pairwise, so that no
//! transposition can hide. Every comparison fails on NaN.

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::derivative::{jvp, value_and_grad_partial, vjp_partial};
use crate::dual::Dual;
use crate::tensor::Tensor;
use crate::var::Var;
use std::fmt;

/// A plain `f64` tensor, which all checks compute with.
type Plain = Tensor<Cpu<f64>>;

/// A function of arrays that can be read with any algebra.
pub trait Program {
    /// The value.
    fn run<A: Algebra>(&self, inputs: &[Tensor<A>]) -> Tensor<A>;
}

/// What was measured; all numbers are relative to the larger of 1 and the
/// size of what is compared.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Forward derivative against extrapolated differences.
    pub jvp_error: f64,
    /// `⟨w, Jv⟩ − ⟨Jᵀw, v⟩`.
    pub dot_residual: f64,
    /// Hessian products against extrapolated differences of the gradient.
    pub hvp_error: f64,
    /// Disagreement of the ways to take a second derivative, and asymmetry.
    pub hessian_residual: f64,
}

/// Which law a program broke, and by how much.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failure {
    /// The law.
    pub law: &'static str,
    /// The residual found; may be NaN.
    pub found: f64,
    /// The largest residual allowed.
    pub allowed: f64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            law,
            found,
            allowed,
        } = self;
        write!(
            f,
            "{law}: residual {found:.3e}, at most {allowed:.1e} allowed"
        )
    }
}

impl std::error::Error for Failure {}

/// Largest allowed [`Report::jvp_error`]. Differences over a step `h` carry a
/// rounding error of about `ε/h` with `h ≥` [`FIRST_STEP`]`/2⁵ = 4·10⁻³`, that
/// is 6·10⁻¹⁴ for a program of a few operations, and extrapolation amplifies
/// it by less than 3; what is left is room for programs of many operations.
pub const JVP_TOLERANCE: f64 = 1e-11;
/// Largest allowed [`Report::hvp_error`]: as above, through a longer program.
pub const HVP_TOLERANCE: f64 = 1e-10;
/// Largest allowed [`Report::dot_residual`] and [`Report::hessian_residual`]:
/// both sides are the same sums in another order, a few hundred roundings.
pub const DOT_TOLERANCE: f64 = 1e-13;

/// Largest step of the central differences. Programs are to be checked where
/// they are analytic in a disc several times as wide.
pub const FIRST_STEP: f64 = 0.125;
/// Rows of the extrapolation table: the remainder is `O(h¹²)`.
const LEVELS: usize = 6;

/// Runs all checks at one point.
///
/// # Errors
/// The first law that does not hold.
pub fn check<P: Program>(program: &P, at: &[Plain]) -> Result<Report, Failure> {
    let at = at.to_vec();
    let y = program.run(&at);
    let mut numbers = Weyl::new();
    let w = numbers.like(&y);
    let u: Vec<Plain> = at.iter().map(|x| numbers.like(x)).collect();
    let v: Vec<Plain> = at.iter().map(|x| numbers.like(x)).collect();
    let report = Report {
        jvp_error: forward_error(program, &at),
        dot_residual: dot_residual(program, &at, &v, &w),
        hvp_error: hvp_error(program, &at, &u, &w),
        hessian_residual: hessian_residual(program, &at, &u, &v, &w),
    };
    same_value(program, &at, &y)?;
    hold(
        "jvp equals extrapolated differences",
        report.jvp_error,
        JVP_TOLERANCE,
    )?;
    hold(
        "jvp and vjp are transposes",
        report.dot_residual,
        DOT_TOLERANCE,
    )?;
    hold(
        "hvp equals extrapolated differences of the gradient",
        report.hvp_error,
        HVP_TOLERANCE,
    )?;
    hold(
        "second derivatives agree in every mode and are symmetric",
        report.hessian_residual,
        10.0 * DOT_TOLERANCE,
    )?;
    hold(
        "an input used twice gets both contributions",
        fan_out_residual(program, &at, &w),
        DOT_TOLERANCE,
    )?;
    Ok(report)
}

/// `found ≤ allowed`, which NaN is not.
fn hold(law: &'static str, found: f64, allowed: f64) -> Result<(), Failure> {
    if found <= allowed {
        Ok(())
    } else {
        Err(Failure {
            law,
            found,
            allowed,
        })
    }
}

fn same_value<P: Program>(program: &P, at: &Vec<Plain>, y: &Plain) -> Result<(), Failure> {
    let (forward, _) = jvp(|x| program.run(x), at, at);
    let (reverse, _) = vjp_partial(|x| program.run(x), at, y);
    let plain = bits(y);
    let same = plain == bits(&forward) && plain == bits(&reverse);
    let found = if same { 0.0 } else { f64::NAN };
    hold("the value is the same in every reading", found, 0.0)
}

fn bits(x: &Plain) -> Vec<u64> {
    x.as_slice().iter().map(|x| x.to_bits()).collect()
}

/// The worst relative error of the forward derivative, over all coordinates.
fn forward_error<P: Program>(program: &P, at: &Vec<Plain>) -> f64 {
    let mut worst = 0.0;
    for (input, x) in at.iter().enumerate() {
        for place in 0..x.shape().count() {
            let e = unit(at, input, place);
            let exact = jvp(|x| program.run(x), at, &e).1.to_vec();
            let measured = richardson(|h| program.run(&moved(at, &e, h)).to_vec());
            worst = nan_max(worst, relative(&exact, &measured));
        }
    }
    worst
}

/// `⟨w, Jv⟩ − ⟨Jᵀw, v⟩`, relative to the sums of magnitudes.
fn dot_residual<P: Program>(program: &P, at: &Vec<Plain>, v: &Vec<Plain>, w: &Plain) -> f64 {
    let (_, pushed) = jvp(|x| program.run(x), at, v);
    let (_, pulled) = vjp_partial(|x| program.run(x), at, w);
    let (left, left_size) = dot(std::slice::from_ref(w), &[pushed]);
    let (right, right_size) = dot(&pulled, v);
    (left - right).abs() / left_size.max(right_size).max(1.0)
}

/// `φ(x) = ⟨w, f(x)⟩ + ½‖f(x)‖²`: the square makes the second derivative see
/// first derivatives too, also where `f` is linear.
fn potential<P: Program, A: Algebra>(program: &P, x: &[Tensor<A>], w: &Plain) -> Tensor<A> {
    let y = program.run(x);
    let w = y.lift(&w.shape(), w.as_slice());
    (&w * &y + 0.5 * y.square()).sum()
}

fn gradient<P: Program, A: Algebra>(program: &P, x: &Vec<Tensor<A>>, w: &Plain) -> Vec<Tensor<A>> {
    value_and_grad_partial(|x: &Vec<Tensor<Var<A>>>| potential(program, x, w), x).1
}

/// `Hu` by forward over reverse.
fn hessian_times<P: Program>(program: &P, at: &[Plain], u: &[Plain], w: &Plain) -> Vec<Plain> {
    (0..at.len())
        .map(|i| {
            jvp(
                |x: &Vec<Tensor<Dual<Cpu<f64>>>>| gradient(program, x, w)[i].clone(),
                &at.to_vec(),
                &u.to_vec(),
            )
            .1
        })
        .collect()
}

/// `Hu` against extrapolated differences of the gradient along `u`.
fn hvp_error<P: Program>(program: &P, at: &[Plain], u: &[Plain], w: &Plain) -> f64 {
    let exact = hessian_times(program, at, u, w);
    let measured = richardson(|h| flat(&gradient(program, &moved(at, u, h), w)));
    relative(&flat(&exact), &measured)
}

fn hessian_residual<P: Program>(
    program: &P,
    at: &Vec<Plain>,
    u: &Vec<Plain>,
    v: &Vec<Plain>,
    w: &Plain,
) -> f64 {
    let hu = hessian_times(program, at, u, w);
    let hv = hessian_times(program, at, v, w);
    let (vhu, a) = dot(v, &hu);
    let (uhv, b) = dot(u, &hv);
    let size = a.max(b).max(1.0);
    let asymmetry = (vhu - uhv).abs() / size;
    // Reverse over reverse: the gradient of ⟨u, ∇φ⟩.
    let twice = value_and_grad_partial(
        |x: &Vec<Tensor<Var<Cpu<f64>>>>| {
            let g = gradient(program, x, w);
            let terms = g.iter().zip(u);
            let along = terms.map(|(g, u)| (g * Tensor::constant(u)).sum());
            along.reduce(|a, b| a + b).expect("at least one input")
        },
        at,
    )
    .1;
    let reverse = relative(&flat(&twice), &flat(&hu));
    // Forward over forward: vᵀHu directly.
    let (_, mixed) = jvp(
        |x: &Vec<Tensor<Dual<Cpu<f64>>>>| {
            let u: Vec<Tensor<Dual<Cpu<f64>>>> = u.iter().map(Tensor::constant).collect();
            jvp(
                |x: &Vec<Tensor<Dual<Dual<Cpu<f64>>>>>| potential(program, x, w),
                x,
                &u,
            )
            .1
        },
        at,
        v,
    );
    let forward = (mixed.item() - vhu).abs() / size;
    nan_max(asymmetry, nan_max(reverse, forward))
}

/// The gradient of `⟨w, f(x) + 2 f(x)⟩` is three times that of `⟨w, f(x)⟩`.
fn fan_out_residual<P: Program>(program: &P, at: &Vec<Plain>, w: &Plain) -> f64 {
    let (_, once) = vjp_partial(|x| program.run(x), at, w);
    let (_, thrice) = vjp_partial(|x| program.run(x) + 2.0 * program.run(x), at, w);
    let expected: Vec<f64> = flat(&once).iter().map(|g| 3.0 * g).collect();
    relative(&flat(&thrice), &expected)
}

/// The derivative at 0 of a function of `h`, by Romberg's table.
pub(crate) fn richardson(f: impl Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let central = |h: f64| -> Vec<f64> {
        let (ahead, behind) = (f(h), f(-h));
        let pairs = ahead.iter().zip(&behind);
        pairs.map(|(a, b)| (a - b) / (2.0 * h)).collect()
    };
    let mut row: Vec<Vec<f64>> = Vec::new();
    for level in 0..LEVELS {
        let mut next = vec![central(FIRST_STEP / f64::from(1u32 << level))];
        let mut four_to_j = 1.0;
        for earlier in &row {
            four_to_j *= 4.0;
            let last = next.last().expect("the row has begun");
            let pairs = last.iter().zip(earlier);
            let better = pairs
                .map(|(&r, &s)| r + (r - s) / (four_to_j - 1.0)) // (AD.11)
                .collect();
            next.push(better);
        }
        row = next;
    }
    row.pop().expect("there is at least one level")
}

/// The largest difference, relative to the larger of 1 and the largest entry.
fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared vectors have one length");
    let size = b.iter().fold(1.0, |m, x| nan_max(m, x.abs()));
    let pairs = a.iter().zip(b);
    pairs.fold(0.0, |m, (a, b)| nan_max(m, (a - b).abs() / size))
}

/// The larger; NaN if either is.
fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The inner product over all inputs, and the sum of magnitudes of its terms.
fn dot(a: &[Plain], b: &[Plain]) -> (f64, f64) {
    let (a, b) = (flat(a), flat(b));
    let terms = a.iter().zip(&b).map(|(x, y)| x * y);
    terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
}

fn flat(tensors: &[Plain]) -> Vec<f64> {
    tensors.iter().flat_map(Tensor::to_vec).collect()
}

/// `x + h·e` in all inputs.
fn moved(x: &[Plain], e: &[Plain], h: f64) -> Vec<Plain> {
    x.iter().zip(e).map(|(x, e)| x + h * e).collect()
}

/// The unit tangent at one place of one input.
fn unit(at: &[Plain], input: usize, place: usize) -> Vec<Plain> {
    let mut e: Vec<Plain> = at.iter().map(Tensor::zeros_like).collect();
    e[input].as_mut_slice()[place] = 1.0;
    e
}

/// Equidistributed numbers in (−1, 1) away from 0: multiples of the golden
/// ratio modulo 1. Deterministic, without repetition, and free of symmetries
/// that an all-ones cotangent has and rules can hide behind.
#[derive(Debug)]
pub(crate) struct Weyl(f64);

impl Weyl {
    pub(crate) fn new() -> Self {
        Weyl(0.5)
    }
    fn next(&mut self) -> f64 {
        self.0 = (self.0 + 0.618_033_988_749_894_9).fract();
        let signed = 2.0 * self.0 - 1.0;
        signed + 0.1_f64.copysign(signed)
    }
    fn like(&mut self, x: &Plain) -> Plain {
        let numbers = (0..x.shape().count()).map(|_| self.next()).collect();
        Tensor::new(&x.shape(), numbers)
    }
}

/// An array of numbers spread over an interval, no two alike.
#[must_use]
pub fn sample(shape: &[usize], (low, high): (f64, f64), salt: usize) -> Tensor<Cpu<f64>> {
    let count: usize = shape.iter().product();
    let numbers = (0..count).map(|i| {
        let phase = (0.5 + 0.618_033_988_749_894_9 * (i + 17 * salt + 1) as f64).fract();
        // Kept off the ends by the largest difference step, so that the
        // stencil stays inside the domain.
        let margin = FIRST_STEP.min(0.2 * (high - low));
        low + margin + (high - low - 2.0 * margin) * phase
    });
    Tensor::new(shape, numbers.collect())
}
