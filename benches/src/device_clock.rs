//! **Seconds of work on a GPU**, and the refusal to ask an emulated one.

use cuda::{CudaError, Device, Found};
use std::time::{Duration, Instant};

/// The GPU of this machine, or one line that says why nothing is measured. An
/// emulated one is opened too: it can be asked for results.
///
/// # Errors
/// With the reason.
pub fn device() -> Result<Device, String> {
    let usable = Found::look().usable();
    let opened = usable.and_then(|()| Device::open(0));
    opened.map_err(|reason| format!("skipped: {reason}"))
}

/// Whether times of this device mean something; says so if they do not.
#[must_use]
pub fn tells_times(device: &Device) -> bool {
    if device.is_emulated() {
        println!("emulated: results were compared, times are refused");
    }
    !device.is_emulated()
}

/// Wall time of so many repetitions, from an idle device to an idle device.
///
/// # Errors
/// If the work fails.
///
/// # Panics
/// If the device is emulated.
pub fn timed(
    device: &Device,
    repetitions: u64,
    mut work: impl FnMut() -> Result<(), CudaError>,
) -> Result<Duration, CudaError> {
    assert!(!device.is_emulated(), "an emulated GPU is not timed");
    device.synchronize()?;
    let begin = Instant::now();
    for _ in 0..repetitions {
        work()?;
    }
    device.synchronize()?;
    Ok(begin.elapsed())
}
