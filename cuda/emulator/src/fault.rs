//! **Fault**: what a kernel did that no kernel may do.

use std::fmt;

/// Where in the grid: block and thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block: [u32; 3],
    pub(crate) thread: [u32; 3],
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {:?} thread {:?}", self.block, self.thread)
    }
}

/// What went wrong in a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An access outside every allocation.
    OutOfBounds {
        write: bool,
        bytes: usize,
        detail: String,
    },
    /// An access at an address that is no multiple of these bytes.
    Misaligned { bytes: usize },
    /// Two threads met at one address, and nothing ordered them.
    Race { detail: String },
    /// Threads of a block or a warp did not come to the same barrier.
    Divergence { detail: String },
    /// The device was taken away, as the test asked for.
    Lost,
}

/// A fault and where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kernel: String,
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

impl Fault {
    /// The device is gone when a kernel is to be launched.
    pub(crate) fn lost(kernel: &str) -> Self {
        Fault {
            kernel: kernel.to_owned(),
            place: Place::default(),
            kind: Kind::Lost,
        }
    }

    /// The driver's number for it.
    pub(crate) fn code(&self) -> u32 {
        match self.kind {
            Kind::OutOfBounds { .. } => 700, // ILLEGAL_ADDRESS
            Kind::Misaligned { .. } => 716,  // MISALIGNED_ADDRESS
            Kind::Race { .. } | Kind::Divergence { .. } => 719, // LAUNCH_FAILED
            Kind::Lost => 46,                // DEVICE_UNAVAILABLE
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { kernel, place, .. } = self;
        write!(f, "emulated: kernel {kernel} {place}: ")?;
        match &self.kind {
            Kind::OutOfBounds {
                write,
                bytes,
                detail,
            } => {
                let verb = if *write { "write" } else { "read" };
                write!(f, "out of bounds: {verb} of {bytes} bytes {detail}")
            }
            Kind::Misaligned { bytes } => {
                write!(f, "misaligned: the address must be a multiple of {bytes}")
            }
            Kind::Race { detail } => write!(f, "race: {detail}"),
            Kind::Divergence { detail } => write!(f, "divergent barrier: {detail}"),
            Kind::Lost => f.write_str("the device was lost"),
        }
    }
}
