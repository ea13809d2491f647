//! **Check**: every derivative against numbers that know nothing of rules.
//!
//! A [`Program`] is a function of some arrays that can be read with any
//! algebra. [`check`] reads one with plain arrays, duals, variables and their
//! nestings, in `f64` and `f32`, and holds the answers together:
//!
//! 1. the value is the same number in every reading, bit for bit;
//! 2. the derivatives of both modes, in every coordinate, equal the
//!    [extrapolation](richardson) of central differences;
//! 3. forward and reverse mode are transposes of each other:
//!    `⟨w, Jv⟩ = ⟨Jᵀw, v⟩`;
//! 4. an input used twice gets both contributions, through two uses of the
//!    program and through two slots of one;
//! 5. first derivatives are the same numbers inside another derivative, in
//!    every nesting of two modes;
//! 6. second derivatives of `φ(x) = ⟨w, f(x)⟩ + ½‖f(x)‖²` agree between the
//!    four ways to take them and the extrapolated differences of the
//!    gradient, and the Hessian is symmetric;
//! 7. in `f32`, values and derivatives differ from those in `f64` by no more
//!    than the rounding errors that a [running analysis](rounding) of the
//!    very same program adds up.
//!
//! Arrays should be tiny, with extents that differ pairwise, so that no
//! transposition can hide. Every comparison fails on NaN.
//!
//! The [catalogue] lists every operation of this crate for it, [references]
//! have their values to far more digits, and [sensitivity] measures how small
//! an error in a rule it notices.

pub mod catalogue;
mod first_order;
mod points;
pub mod references;
pub mod richardson;
pub mod rounding;
mod second_order;
pub mod sensitivity;
mod single;

pub use crate::fault::{Direction, Fault, with_fault};
pub use points::sample;

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::tensor::Tensor;
use first_order::Jacobian;
use points::Weyl;
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
    /// Reverse derivative against the same differences.
    pub vjp_error: f64,
    /// `⟨w, Jv⟩ − ⟨Jᵀw, v⟩`.
    pub dot_residual: f64,
    /// First derivatives inside another derivative against those outside.
    pub nesting_residual: f64,
    /// Hessian products against extrapolated differences of the gradient.
    pub hvp_error: f64,
    /// Disagreement of the ways to take a second derivative, and asymmetry.
    pub hessian_residual: f64,
    /// The largest deviation of a value or first derivative in `f32` from
    /// `f64`, over its bound.
    pub single_over_bound: f64,
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

/// Largest allowed [`Report::jvp_error`] and [`Report::vjp_error`].
/// Differences over a step `h` carry a rounding error of about `ε/h` with `h ≥`
/// [`FIRST_STEP`](richardson::FIRST_STEP)`/2⁵ = 4·10⁻³`, that is 6·10⁻¹⁴ for a
/// program of a few operations, and extrapolation amplifies it by less than 3;
/// what is left, a factor of 5, is room for programs of many operations. Where
/// this is not enough the point is too near to a singularity.
pub const JVP_TOLERANCE: f64 = 1e-12;
/// Largest allowed [`Report::hvp_error`]: as above, through a program several
/// times as long.
pub const HVP_TOLERANCE: f64 = 1e-11;
/// Largest allowed [`Report::dot_residual`] and [`Report::nesting_residual`]:
/// both sides are the same sums in another order, a few hundred roundings.
pub const DOT_TOLERANCE: f64 = 1e-13;
/// Largest allowed [`Report::hessian_residual`]: as above, through a program
/// several times as long.
pub const HESSIAN_TOLERANCE: f64 = 1e-12;

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

    let values = if first_order::same_value(program, &at, &y) {
        0.0
    } else {
        f64::NAN
    };
    hold("the value is the same in every reading", values, 0.0)?;
    let jacobian = Jacobian::measured(program, &at);
    let mut report = Report {
        jvp_error: jacobian.forward_error(program, &at),
        ..Report::default()
    };
    hold(
        "jvp equals extrapolated differences",
        report.jvp_error,
        JVP_TOLERANCE,
    )?;
    report.dot_residual = first_order::dot_residual(program, &at, &v, &w);
    hold(
        "jvp and vjp are transposes",
        report.dot_residual,
        DOT_TOLERANCE,
    )?;
    report.vjp_error = jacobian.reverse_error(program, &at, &y);
    hold(
        "vjp equals extrapolated differences",
        report.vjp_error,
        JVP_TOLERANCE,
    )?;
    hold(
        "an input used twice gets both contributions",
        first_order::fan_out_residual(program, &at, &w),
        DOT_TOLERANCE,
    )?;
    hold(
        "an input in two slots gets both contributions",
        first_order::two_slots_residual(program, &at, &w),
        DOT_TOLERANCE,
    )?;
    report.nesting_residual = first_order::nesting_residual(program, &at, &v, &w);
    hold(
        "first derivatives are the same inside another derivative",
        report.nesting_residual,
        DOT_TOLERANCE,
    )?;
    report.hvp_error = second_order::hvp_error(program, &at, &u, &w);
    hold(
        "hvp equals extrapolated differences of the gradient",
        report.hvp_error,
        HVP_TOLERANCE,
    )?;
    report.hessian_residual = second_order::hessian_residual(program, &at, &u, &v, &w);
    hold(
        "second derivatives agree in every mode and are symmetric",
        report.hessian_residual,
        HESSIAN_TOLERANCE,
    )?;
    report.single_over_bound = single::over_bound(program, &at, &v, &w);
    hold(
        "f32 differs from f64 by its rounding errors only",
        report.single_over_bound,
        1.0,
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
