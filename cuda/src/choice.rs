//! **Choice of a device**: what `--device` may say.

use crate::found::Found;
use crate::unavailable::CudaUnavailable;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Where a program is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// On the processor.
    Cpu,
    /// On the GPU, and nowhere else.
    Cuda,
    /// On the GPU if one can be used, else on the processor.
    #[default]
    Auto,
}

impl DeviceChoice {
    /// The words there are.
    pub const NAMES: [&'static str; 3] = ["cpu", "cuda", "auto"];

    /// Whether to run on the GPU, given what was found.
    ///
    /// # Errors
    /// If the GPU was asked for by name and cannot be used.
    pub fn wants_cuda(self, found: &Found) -> Result<bool, CudaUnavailable> {
        match self {
            DeviceChoice::Cpu => Ok(false),
            DeviceChoice::Cuda => found.usable().map(|()| true),
            DeviceChoice::Auto => Ok(found.usable().is_ok()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

/// A word that names no device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDevice {
    /// The word.
    pub given: String,
}

impl fmt::Display for UnknownDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = DeviceChoice::NAMES.join(", ");
        write!(f, "device `{}`: expected one of {names}", self.given)
    }
}

impl Error for UnknownDevice {}

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;
    fn from_str(word: &str) -> Result<Self, UnknownDevice> {
        match word {
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda),
            "auto" => Ok(DeviceChoice::Auto),
            _ => Err(UnknownDevice {
                given: word.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_others_are_refused() {
        for name in DeviceChoice::NAMES {
            let choice: DeviceChoice = name.parse().expect("the name is known");
            assert_eq!(choice.to_string(), name);
        }
        let refused = "GPU".parse::<DeviceChoice>().expect_err("no such name");
        let text = "device `GPU`: expected one of cpu, cuda, auto";
        assert_eq!(refused.to_string(), text);
    }

    #[test]
    fn auto_falls_back_and_cuda_does_not() {
        let none = Found::nothing(CudaUnavailable::NoDriver);
        assert_eq!(DeviceChoice::Auto.wants_cuda(&none), Ok(false));
        assert_eq!(DeviceChoice::Cpu.wants_cuda(&none), Ok(false));
        let refused = DeviceChoice::Cuda.wants_cuda(&none);
        assert_eq!(refused, Err(CudaUnavailable::NoDriver));
    }
}
