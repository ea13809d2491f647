//! **Stages** of a Runge–Kutta method over a batch of rows: their combination,
//! the norm of an error for each row, and the choice of rows.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::constant::scaled;
use super::{expect_len, extent};
use crate::device::{Argument, Buffer, Grid};
use crate::error::CudaError;
use crate::formula::Formula;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("stages", &[("stages.cu", include_str!("stages.cu"))]));

/// Most terms of a combination.
const TERMS: usize = 16;

/// The step of each row.
#[derive(Clone, Copy, Debug)]
pub enum Steps<'a> {
    /// One for all.
    Common(f64),
    /// One for each.
    Rows(&'a Buffer<f64>),
}

/// Coefficients and what they multiply.
type Terms<'a, 'b> = &'a [(f64, &'b Buffer<f32>)];

/// The sixteen coefficients and buffers of a kernel; those beyond the terms
/// are `unread`.
fn arguments<'b>(
    of: &str,
    terms: Terms<'_, 'b>,
    unread: &'b Buffer<f32>,
    coefficient: impl Fn(f64) -> Argument<'b>,
) -> Result<Vec<Argument<'b>>, CudaError> {
    if terms.len() > TERMS {
        let expected = format!("at most {TERMS} terms");
        return Err(CudaError::mismatch(of, terms.len(), expected));
    }
    for (_, k) in terms {
        expect_len(of, k, &[unread.len()])?;
    }
    let term = |j: usize| terms.get(j).copied().unwrap_or((0.0, unread));
    let coefficients = (0..TERMS).map(|j| coefficient(term(j).0));
    let buffers = (0..TERMS).map(|j| term(j).1.into());
    Ok(coefficients.chain(buffers).collect())
}

/// `y + hᵣ·Σ c·k` of arrays `[rows, d]`, with coefficients and steps rounded to
/// single precision.
///
/// # Errors
/// If the shapes do not fit, there are more than sixteen terms, or the device
/// refuses.
pub fn combine_stages(
    y: &Buffer<f32>,
    [rows, d]: [usize; 2],
    steps: Steps<'_>,
    terms: Terms<'_, '_>,
) -> Result<Buffer<f32>, CudaError> {
    let device = y.device();
    expect_len("combine", y, &[rows, d])?;
    let mut out = device.uninitialised(y.len())?;
    let unused;
    let (own, step) = match steps {
        Steps::Common(h) => {
            unused = device.uninitialised::<f64>(0)?;
            (&unused, h as f32)
        }
        Steps::Rows(steps) => {
            expect_len("combine", steps, &[rows])?;
            (steps, 0.0)
        }
    };
    let e = |n| extent("combine", n);
    let mut all: Vec<Argument<'_>> = vec![
        (&mut out).into(),
        y.into(),
        own.into(),
        step.into(),
        u32::from(matches!(steps, Steps::Rows(_))).into(),
        e(y.len())?.into(),
        e(d)?.into(),
        e(terms.len())?.into(),
    ];
    all.extend(arguments("combine", terms, y, |c| (c as f32).into())?);
    // SAFETY: all arrays are [rows, d]; the steps are read only if there is
    // one for each row.
    unsafe { device.launch(&SOURCE, "combine", Grid::over(y.len()), &all)? };
    Ok(out)
}

/// The same with a step for all rows, and a launch for each product and each
/// sum: what [`combine_stages`] is compared with. The bits are the same.
///
/// # Errors
/// If an array is not as long as `y`, or the device refuses.
pub fn combine_stages_composed(
    y: &Buffer<f32>,
    step: f64,
    terms: Terms<'_, '_>,
) -> Result<Buffer<f32>, CudaError> {
    static SUM: LazyLock<Formula> =
        LazyLock::new(|| Formula::new("sum", 2, |x| vec![x[0].clone() + x[1].clone()]));
    let add = |a: &Buffer<f32>, b: &Buffer<f32>| {
        let mut sums = SUM.apply(y.device(), &[a, b], y.len())?;
        Ok::<_, CudaError>(sums.remove(0))
    };
    let mut sum = None;
    for &(c, k) in terms {
        let product = scaled(k, c as f32)?;
        sum = Some(match sum {
            None => product,
            Some(sum) => add(&sum, &product)?,
        });
    }
    let sum = match sum {
        None => y.device().zeros(y.len())?,
        Some(sum) => sum,
    };
    add(y, &scaled(&sum, step as f32)?)
}

/// How the error of a row is measured: `solvers::Norm`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowNorm {
    /// Allowed in the coordinate's own unit; the smallest normal number if it is
    /// less, so that no quotient is 0/0.
    pub absolute: f64,
    /// Allowed relative to the size of the coordinate.
    pub relative: f64,
    /// The largest quotient, in place of the root mean square.
    pub largest: bool,
    /// How many coordinates count, from the first.
    pub counted: usize,
}

/// For each row the norm of `hᵣ·Σ c·k` between the states `y₀` and `y₁`, all
/// `[rows, d]`, in double precision; NaN if any number of `y₁` is not finite.
///
/// # Errors
/// If the shapes do not fit, no coordinate counts, or the device refuses.
pub fn error_norms(
    [y0, y1]: [&Buffer<f32>; 2],
    [rows, d]: [usize; 2],
    steps: Steps<'_>,
    terms: Terms<'_, '_>,
    norm: RowNorm,
) -> Result<Buffer<f64>, CudaError> {
    let device = y0.device();
    expect_len("error_norms", y0, &[rows, d])?;
    expect_len("error_norms", y1, &[rows, d])?;
    if norm.counted == 0 || norm.counted > d {
        let expected = format!("1 to {d} coordinates");
        return Err(CudaError::mismatch("error_norms", norm.counted, expected));
    }
    let mut out = device.uninitialised(rows)?;
    let unused;
    let (own, step) = match steps {
        Steps::Common(h) => {
            unused = device.uninitialised::<f64>(0)?;
            (&unused, h)
        }
        Steps::Rows(steps) => {
            expect_len("error_norms", steps, &[rows])?;
            (steps, 0.0)
        }
    };
    let e = |n| extent("error_norms", n);
    e(y0.len())?;
    let mut all: Vec<Argument<'_>> = vec![
        (&mut out).into(),
        y0.into(),
        y1.into(),
        own.into(),
        step.into(),
        u32::from(matches!(steps, Steps::Rows(_))).into(),
        norm.absolute.max(f64::MIN_POSITIVE).into(),
        norm.relative.into(),
        u32::from(norm.largest).into(),
        e(rows)?.into(),
        e(d)?.into(),
        e(norm.counted)?.into(),
        e(terms.len())?.into(),
    ];
    all.extend(arguments("error_norms", terms, y0, Argument::from)?);
    // SAFETY: all arrays are [rows, d], norms are [rows], and the steps are read
    // only if there is one for each row.
    unsafe { device.launch(&SOURCE, "error_norms", Grid::over(rows), &all)? };
    Ok(out)
}

/// Row `r` of `b` where `chosen[r]` is not 0, else row `r` of `a`.
///
/// # Errors
/// If the shapes do not fit, or the device refuses.
pub fn choose_rows(
    [a, b]: [&Buffer<f32>; 2],
    chosen: &Buffer<u32>,
    d: usize,
) -> Result<Buffer<f32>, CudaError> {
    expect_len("choose", a, &[chosen.len(), d])?;
    expect_len("choose", b, &[chosen.len(), d])?;
    let n = extent("choose", b.len())?;
    let d = extent("choose", d)?;
    let mut out = b.device().uninitialised(b.len())?;
    let all = [
        (&mut out).into(),
        a.into(),
        b.into(),
        chosen.into(),
        n.into(),
        d.into(),
    ];
    let grid = Grid::over(b.len());
    // SAFETY: all arrays are [rows, d], and each row has its mark.
    unsafe { b.device().launch(&SOURCE, "choose", grid, &all)? };
    Ok(out)
}
