//! `flowgrad info`: what the program can run on, here and now.

use clap::Args;
use cuda::{CudaUnavailable, DeviceChoice, Found};

/// Show what this program can run on.
///
/// Prints the version, the processor's threads, and what there is of CUDA:
/// driver, GPUs and libraries, or what is missing.
#[derive(Args, Debug)]
pub(crate) struct Info {
    /// Ask what a choice of device would mean: cpu, cuda or auto. Exits with 2
    /// if it cannot be had.
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,
}

impl Info {
    pub(crate) fn run(&self) -> Result<(), CudaUnavailable> {
        let threads = std::thread::available_parallelism();
        println!("flowgrad {}", env!("CARGO_PKG_VERSION"));
        match threads {
            Ok(count) => println!("{:<8} {count} threads", "CPU"),
            Err(reason) => println!("{:<8} threads unknown: {reason}", "CPU"),
        }
        let found = Found::look();
        print!("{found}");
        let device = match self.device.wants_cuda(&found)? {
            true => "cuda",
            false => "cpu",
        };
        println!("{:<8} `{}` means {device} here", "device", self.device);
        Ok(())
    }
}
