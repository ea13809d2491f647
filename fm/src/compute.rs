//! **Compute**: where a program runs, on the processor or on a GPU.
//!
//! A model is one text for both; what differs is where its arrays live. That
//! is [`Home`]: how they come from the host and go back to it.

use crate::Error;
use crate::batches::Batches;
use autograd::{Cpu, Draw, Philox, Tensor};
pub use cuda::Precision;
use cuda::{CudaError, DeviceChoice};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The processor, or a GPU in use.
#[derive(Clone, Debug, Default)]
pub enum Compute {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU.
    #[cfg(feature = "cuda")]
    Cuda(cuda::Device),
}

impl Compute {
    /// What a choice means here; with it, why `auto` means the processor if it
    /// does.
    ///
    /// # Errors
    /// If the GPU was asked for by name and cannot be used: what is missing.
    /// If the processor is asked to round.
    pub fn choose(
        choice: DeviceChoice,
        precision: Precision,
    ) -> Result<(Self, Option<String>), Error> {
        if choice == DeviceChoice::Cpu {
            return match precision {
                Precision::F32 => Ok((Compute::Cpu, None)),
                other => Err(Error::argument(
                    "--precision",
                    other,
                    "f32 on the processor, or --device cuda",
                )),
            };
        }
        match (open(precision), choice) {
            (Ok(device), _) => Ok((device, None)),
            (Err(reason), DeviceChoice::Auto) => Ok((Compute::Cpu, Some(reason.to_string()))),
            (Err(reason), _) => Err(Error::Device(reason)),
        }
    }

    /// Whether it is the emulator of the tests, whose times mean nothing.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        match self {
            Compute::Cpu => false,
            #[cfg(feature = "cuda")]
            Compute::Cuda(device) => device.is_emulated(),
        }
    }
}

/// The first GPU, set to a precision.
#[cfg(feature = "cuda")]
fn open(precision: Precision) -> Result<Compute, CudaError> {
    let device = cuda::Device::open(0)?;
    device.set_precision(precision);
    Ok(Compute::Cuda(device))
}

/// There is none for a program that was built without.
#[cfg(not(feature = "cuda"))]
fn open(_: Precision) -> Result<Compute, CudaError> {
    Err(cuda::CudaUnavailable::NotBuilt.into())
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compute::Cpu => f.write_str("the processor"),
            #[cfg(feature = "cuda")]
            Compute::Cuda(device) => f.write_str(&device.facts().name),
        }
    }
}

/// Runs what may use a GPU. An operator cannot return an error, so one of the
/// device comes as a panic that carries it; here it becomes an error again.
/// Other panics go on.
///
/// # Errors
/// Those of the work, and those of the device.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // What the work has changed is not used after an error.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => match payload.downcast::<CudaError>() {
            Ok(error) => Err(Error::Device(*error)),
            Err(other) => resume_unwind(other),
        },
    }
}

/// What a device has done, or a panic with its error for [`guarded`].
#[cfg(feature = "cuda")]
#[track_caller]
pub(crate) fn done<T>(result: Result<T, CudaError>) -> T {
    result.unwrap_or_else(|error| std::panic::panic_any(error))
}

/// Plain arrays of single precision, and where they live.
pub trait Home: Batches<Scalar = f32, Base = Self> {
    /// A place to live.
    type Place;

    /// A copy there.
    ///
    /// # Errors
    /// If there is no room for it.
    fn upload(place: &Self::Place, x: &Tensor<Cpu<f32>>) -> Result<Tensor<Self>, Error>;

    /// A copy on the host.
    ///
    /// # Errors
    /// If what was to compute it has failed.
    fn download(x: &Tensor<Self>) -> Result<Tensor<Cpu<f32>>, Error>;

    /// Normal numbers from place `first` of a draw on: the same bits anywhere.
    ///
    /// # Errors
    /// If there is no room for them.
    fn normal(
        place: &Self::Place,
        draw: Draw,
        first: u64,
        shape: [usize; 2],
    ) -> Result<Tensor<Self>, Error>;
}

impl Home for Cpu<f32> {
    type Place = ();
    fn upload((): &(), x: &Tensor<Self>) -> Result<Tensor<Self>, Error> {
        Ok(x.clone())
    }
    fn download(x: &Tensor<Self>) -> Result<Tensor<Self>, Error> {
        Ok(x.clone())
    }
    fn normal((): &(), draw: Draw, first: u64, shape: [usize; 2]) -> Result<Tensor<Self>, Error> {
        let mut numbers = vec![0.0; shape.iter().product()];
        Philox::normal_f32(draw, first, &mut numbers);
        Ok(Tensor::new(&shape, numbers))
    }
}

#[cfg(feature = "cuda")]
impl Home for autograd::Cuda<f32> {
    type Place = cuda::Device;
    fn upload(device: &cuda::Device, x: &Tensor<Cpu<f32>>) -> Result<Tensor<Self>, Error> {
        Ok(Tensor::upload(device, x)?)
    }
    fn download(x: &Tensor<Self>) -> Result<Tensor<Cpu<f32>>, Error> {
        Ok(x.download()?)
    }
    fn normal(
        device: &cuda::Device,
        draw: Draw,
        first: u64,
        shape: [usize; 2],
    ) -> Result<Tensor<Self>, Error> {
        let sequence = cuda::Sequence {
            seed: draw.seed,
            stream: draw.stream,
            step: draw.step,
        };
        let count = shape.iter().product();
        let numbers = cuda::random(device, cuda::Law::Normal, sequence, first, count)?;
        Ok(Tensor::from_buffer(&shape, numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_device_come_back_and_other_panics_go_on() {
        let lost = CudaError::NoKernel {
            operation: "own".to_owned(),
        };
        let thrown = lost.clone();
        let caught = guarded::<()>(|| std::panic::panic_any(thrown));
        assert!(matches!(caught, Err(Error::Device(error)) if error == lost));
        assert!(matches!(guarded(|| Ok(3)), Ok(3)));
        let other = catch_unwind(|| guarded::<()>(|| panic!("another")));
        let payload = other.expect_err("it goes on");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"another"));
    }

    #[test]
    fn the_processor_needs_no_search() {
        let chosen = Compute::choose(DeviceChoice::Cpu, Precision::F32);
        assert!(matches!(chosen, Ok((Compute::Cpu, None))));
        let refused = Compute::choose(DeviceChoice::Cpu, Precision::Bf16);
        let text = refused.expect_err("it does not round").to_string();
        assert!(
            text.starts_with("--precision is bf16; expected f32"),
            "{text}"
        );
    }
}
