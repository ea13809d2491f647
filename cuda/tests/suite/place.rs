//! Where the suite runs.

use cuda::{Device, Memory};

/// The first GPU, or the emulated one if there is none or
/// `FLOWGRAD_EMULATED` is set. Memory comes straight from the driver, so that
/// bounds are exact.
pub(crate) fn device() -> Device {
    device_with(Memory::Direct)
}

/// The same, with another policy for memory.
pub(crate) fn device_with(memory: Memory) -> Device {
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    Device::open_with(0, memory).expect("there is a device, emulated at least")
}
