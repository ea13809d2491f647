//! **What was found**: driver, devices and libraries, as `flowgrad info`
//! prints them.

use crate::unavailable::CudaUnavailable;
use std::fmt;

/// A version of CUDA or of one of its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// Behind it.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// The maker's name for it.
    pub name: String,
    /// Compute capability, such as 9.0.
    pub capability: Version,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of memory.
    pub memory: u64,
}

/// Driver, devices and libraries, each found or a reason why not.
#[derive(Clone, Debug)]
pub struct Found {
    /// The newest CUDA that the driver speaks.
    pub driver: Result<Version, CudaUnavailable>,
    /// The GPUs, or why they could not be asked for.
    pub devices: Result<Vec<DeviceFacts>, CudaUnavailable>,
    /// NVRTC, which compiles the kernels.
    pub compiler: Result<Version, CudaUnavailable>,
    /// cuBLAS, which multiplies matrices.
    pub cublas: Result<Version, CudaUnavailable>,
}

impl Found {
    /// Looks for all of it. Never panics, and touches no device memory.
    #[must_use]
    pub fn look() -> Self {
        #[cfg(feature = "cuda")]
        return crate::probe::look();
        #[cfg(not(feature = "cuda"))]
        Self::nothing(CudaUnavailable::NotBuilt)
    }

    /// Nothing is there, for one reason.
    #[must_use]
    pub fn nothing(reason: CudaUnavailable) -> Self {
        Found {
            driver: Err(reason.clone()),
            devices: Err(reason.clone()),
            compiler: Err(reason.clone()),
            cublas: Err(reason),
        }
    }

    /// Whether programs can run on a GPU here.
    ///
    /// # Errors
    /// The first thing that is missing.
    pub fn usable(&self) -> Result<(), CudaUnavailable> {
        self.driver.clone()?;
        if self.devices.clone()?.is_empty() {
            return Err(CudaUnavailable::NoDevice);
        }
        self.compiler.clone()?;
        self.cublas.clone().map(|_| ())
    }
}

/// A table with one line for each thing.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("driver", &self.driver),
            ("NVRTC", &self.compiler),
            ("cuBLAS", &self.cublas),
        ];
        for (name, found) in rows {
            match found {
                Ok(version) => writeln!(f, "{name:<8} {version}")?,
                Err(reason) => writeln!(f, "{name:<8} {reason}")?,
            }
        }
        match &self.devices {
            Ok(devices) if devices.is_empty() => {
                writeln!(f, "{:<8} {}", "GPU", CudaUnavailable::NoDevice)?;
            }
            Ok(devices) => {
                for (number, device) in devices.iter().enumerate() {
                    writeln!(f, "GPU {number:<4} {device}")?;
                }
            }
            Err(reason) => writeln!(f, "{:<8} {reason}", "GPU")?,
        }
        Ok(())
    }
}

impl fmt::Display for DeviceFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.memory as f64 / f64::from(1 << 30);
        write!(
            f,
            "{}, capability {}, {} multiprocessors, {gib:.1} GiB",
            self.name, self.capability, self.multiprocessors
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_there() -> Found {
        let version = Version {
            major: 13,
            minor: 0,
        };
        let device = DeviceFacts {
            name: "Example".to_owned(),
            capability: Version { major: 9, minor: 0 },
            multiprocessors: 132,
            memory: 80 << 30,
        };
        Found {
            driver: Ok(version),
            devices: Ok(vec![device]),
            compiler: Ok(version),
            cublas: Ok(version),
        }
    }

    #[test]
    fn usable_only_when_nothing_is_missing() {
        assert_eq!(all_there().usable(), Ok(()));
        let judge = |take_away: fn(&mut Found)| {
            let mut found = all_there();
            take_away(&mut found);
            found.usable().expect_err("something is missing")
        };
        use CudaUnavailable::{NoCompiler, NoCublas, NoDevice, NoDriver};
        assert_eq!(judge(|f| f.driver = Err(NoDriver)), NoDriver);
        assert_eq!(judge(|f| f.devices = Ok(vec![])), NoDevice);
        assert_eq!(judge(|f| f.compiler = Err(NoCompiler)), NoCompiler);
        assert_eq!(judge(|f| f.cublas = Err(NoCublas)), NoCublas);
    }

    #[test]
    fn the_table_has_a_line_for_each_thing() {
        let text = all_there().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "driver   13.0");
        assert_eq!(
            lines[3],
            "GPU 0    Example, capability 9.0, 132 multiprocessors, 80.0 GiB"
        );
        let none = Found::nothing(CudaUnavailable::NoDriver).to_string();
        assert_eq!(
            none.matches("libcuda.so was not found").count(),
            4,
            "{none}"
        );
    }
}
