//! **A diary** of one number a step: the host reads many at once, and seldom.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{expect_len, extent};
use crate::device::{Buffer, Device, Grid};
use crate::error::CudaError;
use crate::source::Source;
use std::sync::LazyLock;

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("diary", &[("diary.cu", include_str!("diary.cu"))]));

/// The last numbers that were noted.
#[derive(Debug)]
pub struct Diary {
    /// The bits of the numbers, and behind them how many were noted.
    ring: Buffer<u32>,
    capacity: usize,
}

impl Diary {
    /// Room for so many numbers; more overwrite the oldest.
    ///
    /// # Errors
    /// If the device refuses.
    ///
    /// # Panics
    /// If there is room for none.
    pub fn new(device: &Device, capacity: usize) -> Result<Self, CudaError> {
        assert!(capacity > 0, "a diary needs room for one number at least");
        extent("diary", capacity)?;
        let ring = device.zeros(capacity + 1)?;
        Ok(Diary { ring, capacity })
    }

    /// Notes a number; one launch, which a graph may record.
    ///
    /// # Errors
    /// If it is not one number, or the device refuses.
    pub fn note(&mut self, x: &Buffer<f32>) -> Result<(), CudaError> {
        expect_len("diary", x, &[1])?;
        let capacity = extent("diary", self.capacity)?;
        let arguments = [(&mut self.ring).into(), x.into(), capacity.into()];
        // SAFETY: the ring has `capacity` words and one more.
        unsafe {
            x.device()
                .launch(&SOURCE, "diary_note", Grid::line(1, 1), &arguments)
        }
    }

    /// The last numbers noted, oldest first: `n`, or as many as there are.
    /// One copy to the host, which waits for the work before it.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn last(&self, n: usize) -> Result<Vec<f32>, CudaError> {
        let words = self.ring.download()?;
        let count = words[self.capacity];
        let n = n.min(self.capacity).min(count as usize);
        let places = (count - n as u32..count).map(|i| i as usize % self.capacity);
        Ok(places.map(|i| f32::from_bits(words[i])).collect())
    }
}
