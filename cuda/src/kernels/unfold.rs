//! **Windows** of images as rows of a matrix, its transpose, and convolution
//! by one product.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{expect_len, extent, numbers_of};
use crate::device::{Argument, Buffer, Grid};
use crate::error::CudaError;
use crate::precision::Precision;
use crate::product::{Factor, matmul};
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("unfold", &[("unfold.cu", include_str!("unfold.cu"))]));

/// How windows lie on images `[batch, channels, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageWindows {
    /// Images.
    pub batch: usize,
    /// Numbers of a pixel.
    pub channels: usize,
    /// Rows and columns of an image.
    pub image: [usize; 2],
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// From a window to the next, both ways; not 0.
    pub step: usize,
    /// Zeros around the image.
    pub margin: usize,
}

impl ImageWindows {
    /// How many windows an image has, downwards and across.
    #[must_use]
    pub fn places(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let margins = self.margin.saturating_mul(2);
            let wide = self.image[axis].saturating_add(margins);
            let free = wide.checked_sub(self.window[axis]);
            free.map_or(0, |free| free / self.step + 1)
        })
    }

    /// Numbers of a window; the largest number if they are more.
    #[must_use]
    pub fn window_len(&self) -> usize {
        let [rows, columns] = self.window;
        self.channels.saturating_mul(rows).saturating_mul(columns)
    }

    /// Windows of all images; the largest number if they are more.
    #[must_use]
    pub fn count(&self) -> usize {
        let [down, across] = self.places();
        self.batch.saturating_mul(down).saturating_mul(across)
    }

    fn image_shape(&self) -> [usize; 4] {
        [self.batch, self.channels, self.image[0], self.image[1]]
    }

    fn extents(&self, of: &str) -> Result<Vec<Argument<'static>>, CudaError> {
        if self.step == 0 {
            return Err(CudaError::mismatch(of, "step 0", "one place at least"));
        }
        let (image, window, places) = (self.image, self.window, self.places());
        // Sums of these stay below 2^32 as well, which the kernels rely on.
        let half = |n: usize| match n < 1 << 30 {
            true => extent(of, n).map(Argument::from),
            false => Err(CudaError::mismatch(of, n, "extents below 2^30")),
        };
        let extents = [
            self.batch,
            self.channels,
            image[0],
            image[1],
            window[0],
            window[1],
            self.step,
            self.margin,
            places[0],
            places[1],
        ];
        extents.into_iter().map(half).collect()
    }
}

/// Every window as a row: `[count, window_len]`.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn unfold(x: &Buffer<f32>, windows: ImageWindows) -> Result<Buffer<f32>, CudaError> {
    expect_len("unfold", x, &windows.image_shape())?;
    let n = numbers_of("unfold", &[windows.count(), windows.window_len()])?;
    extent("unfold", n)?;
    let device = x.device();
    let mut u = device.uninitialised(n)?;
    let extents = windows.extents("unfold")?;
    let mut arguments = vec![(&mut u).into(), x.into()];
    arguments.extend(extents);
    // SAFETY: x and u have the shapes that the extents say.
    unsafe { device.launch(&SOURCE, "unfold", Grid::over(n), &arguments)? };
    Ok(u)
}

/// The transpose of [`unfold`]: adds windows up where they came from.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn fold(u: &Buffer<f32>, windows: ImageWindows) -> Result<Buffer<f32>, CudaError> {
    expect_len("fold", u, &[windows.count(), windows.window_len()])?;
    let n = numbers_of("fold", &windows.image_shape())?;
    extent("fold", n)?;
    let device = u.device();
    let mut x = device.uninitialised(n)?;
    let extents = windows.extents("fold")?;
    let mut arguments = vec![(&mut x).into(), u.into()];
    arguments.extend(extents);
    // SAFETY: x and u have the shapes that the extents say.
    unsafe { device.launch(&SOURCE, "fold", Grid::over(n), &arguments)? };
    Ok(x)
}

/// The convolution of images with filters `[window_len, filters]`:
/// `[batch, oh, ow, filters]`.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn convolve(
    x: &Buffer<f32>,
    weights: &Buffer<f32>,
    filters: usize,
    windows: ImageWindows,
    precision: Precision,
) -> Result<Buffer<f32>, CudaError> {
    let u = unfold(x, windows)?;
    let mnk = [windows.count(), filters, windows.window_len()];
    matmul(Factor::plain(&u), Factor::plain(weights), 1, mnk, precision)
}
