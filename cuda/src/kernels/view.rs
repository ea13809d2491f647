//! **Views**: an array read or written with another step along each axis; and
//! what goes along one axis: running sums and the largest.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{expect_len, extent, numbers_of};
use crate::device::{Argument, Buffer, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("view", &[("view.cu", include_str!("view.cu"))]));

/// The largest number of axes.
const AXES: usize = 6;

/// Places `begin + Σ iₖ·stepₖ` for all `i` below the extents, in row-major
/// order of `i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Extents, outermost first; six at most.
    pub extents: Vec<usize>,
    /// Elements from one place of an axis to the next.
    pub steps: Vec<isize>,
    /// Where the first element lies.
    pub begin: usize,
}

impl View {
    /// A whole array of these extents.
    #[must_use]
    pub fn dense(extents: &[usize]) -> Self {
        let mut steps = vec![1isize; extents.len()];
        for axis in (1..extents.len()).rev() {
            steps[axis - 1] = steps[axis].saturating_mul(extents[axis] as isize);
        }
        View {
            extents: extents.to_vec(),
            steps,
            begin: 0,
        }
    }

    /// How many places; the largest number if they are more.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.extents.contains(&0) {
            true => 0,
            false => self.extents.iter().fold(1, |n, &m| n.saturating_mul(m)),
        }
    }

    /// Whether all places lie in an array of so many numbers.
    fn lies_in(&self, len: usize) -> bool {
        if self.count() == 0 {
            return true;
        }
        let axes = self.extents.iter().zip(&self.steps);
        let far = axes.map(|(&extent, &step)| (extent as i128 - 1) * step as i128);
        let begin = self.begin as i128;
        let (low, high) = far.fold((begin, begin), |(low, high), far| {
            (low + far.min(0), high + far.max(0))
        });
        low >= 0 && high < len as i128
    }

    /// The arguments of a kernel, if the view fits an array of so many numbers.
    fn arguments(&self, of: &str, len: usize) -> Result<Vec<Argument<'static>>, CudaError> {
        let axes = self.extents.len();
        for &e in &self.extents {
            extent(of, e)?;
        }
        if axes > AXES || axes != self.steps.len() || !self.lies_in(len) {
            let expected = format!("one inside {len} numbers");
            return Err(CudaError::mismatch(of, format!("{self:?}"), expected));
        }
        extent(of, self.count())?;
        let mut extents = [1u32; AXES];
        let mut steps = [0i64; AXES];
        for (axis, (&e, &s)) in self.extents.iter().zip(&self.steps).enumerate() {
            extents[AXES - axes + axis] = extent(of, e)?;
            steps[AXES - axes + axis] = s as i64;
        }
        let mut arguments = vec![extent(of, self.count())?.into()];
        arguments.extend(extents.map(Argument::from));
        arguments.extend(steps.map(|step| Argument::from(step as u64)));
        arguments.push((self.begin as u64).into());
        Ok(arguments)
    }
}

/// The numbers at the places of a view, dense.
///
/// # Errors
/// If the view does not lie in the array, or the device refuses.
pub fn read_view(x: &Buffer<f32>, view: &View) -> Result<Buffer<f32>, CudaError> {
    let device = x.device();
    let rest = view.arguments("read_view", x.len())?;
    let mut y = device.uninitialised(view.count())?;
    let mut arguments = vec![(&mut y).into(), x.into()];
    arguments.extend(rest);
    let grid = Grid::over(view.count());
    // SAFETY: all places lie in x, and y has as many numbers as there are.
    unsafe { device.launch(&SOURCE, "view_read", grid, &arguments)? };
    Ok(y)
}

/// Writes a dense array to the places of a view, which must not meet.
///
/// # Errors
/// If the view does not lie in the array, or the device refuses.
pub fn write_view(y: &mut Buffer<f32>, x: &Buffer<f32>, view: &View) -> Result<(), CudaError> {
    expect_len("write_view", x, &view.extents)?;
    let rest = view.arguments("write_view", y.len())?;
    let mut arguments = vec![(&mut *y).into(), x.into()];
    arguments.extend(rest);
    let grid = Grid::over(view.count());
    // SAFETY: all places lie in y, and x has as many numbers as there are.
    unsafe { x.device().launch(&SOURCE, "view_write", grid, &arguments) }
}

/// Running sums along the middle axis of `[outer, n, inner]`, from the first
/// place or from the last.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn running_sum(
    x: &Buffer<f32>,
    axes: [usize; 3],
    from_last: bool,
) -> Result<Buffer<f32>, CudaError> {
    expect_len("running_sum", x, &axes)?;
    let device = x.device();
    let mut y = device.uninitialised(x.len())?;
    let lines = numbers_of("running_sum", &[axes[0], axes[2]])?;
    let [outer, n, inner] = axes.map(|n| extent("running_sum", n));
    extent("running_sum", lines)?;
    let arguments = [
        (&mut y).into(),
        x.into(),
        outer?.into(),
        n?.into(),
        inner?.into(),
        u32::from(from_last).into(),
    ];
    // SAFETY: x and y are [outer, n, inner].
    unsafe { device.launch(&SOURCE, "running_sum", Grid::over(lines), &arguments)? };
    Ok(y)
}

/// The largest along the middle axis of `[outer, n, inner]`: −∞ for an empty
/// one, NaN wins.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn largest(x: &Buffer<f32>, axes: [usize; 3]) -> Result<Buffer<f32>, CudaError> {
    expect_len("largest", x, &axes)?;
    let device = x.device();
    let lines = numbers_of("largest", &[axes[0], axes[2]])?;
    let mut y = device.uninitialised(lines)?;
    let [outer, n, inner] = axes.map(|n| extent("largest", n));
    extent("largest", lines)?;
    let arguments = [
        (&mut y).into(),
        x.into(),
        outer?.into(),
        n?.into(),
        inner?.into(),
    ];
    // SAFETY: x is [outer, n, inner], y is [outer, inner].
    unsafe { device.launch(&SOURCE, "largest", Grid::over(lines), &arguments)? };
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::View;

    #[test]
    fn a_view_knows_where_it_ends() {
        let dense = View::dense(&[2, 3, 4]);
        assert_eq!(dense.steps, [12, 4, 1]);
        assert!(dense.lies_in(24) && !dense.lies_in(23));
        let backwards = View {
            extents: vec![4],
            steps: vec![-1],
            begin: 3,
        };
        assert!(backwards.lies_in(4) && !backwards.lies_in(3));
        let below = View {
            begin: 2,
            ..backwards
        };
        assert!(!below.lies_in(100), "place −1");
        let empty = View {
            extents: vec![3, 0],
            steps: vec![100, 1],
            begin: 7,
        };
        assert!(empty.lies_in(0));
    }
}
