//! `--device` and `--precision`: where a command runs, and how it multiplies.

use clap::Args;
use cuda::DeviceChoice;
use fm::Error;
use fm::compute::{Compute, Precision};

/// Where to run. The default is the processor: there the bits of a result are
/// a function of the settings, on any machine.
#[derive(Args, Debug)]
pub(crate) struct Device {
    /// Where to run: cpu, cuda (a GPU, and nowhere else) or auto (a GPU if one
    /// can be used). Random numbers have the same bits anywhere, sums have not.
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// How a GPU rounds what it multiplies: f32 (not at all), tf32 (to 11 bits)
    /// or bf16 (to 8 bits).
    #[arg(long, value_name = "PRECISION", default_value_t)]
    precision: Precision,
}

impl Device {
    /// The processor or a GPU; says which, if that is a question.
    pub(crate) fn open(&self) -> Result<Compute, Error> {
        let (compute, instead) = Compute::choose(self.device, self.precision)?;
        match instead {
            Some(reason) if self.precision == Precision::F32 => {
                println!("running on {compute}: {reason}");
            }
            Some(reason) => println!("running on {compute}, products in f32: {reason}"),
            None if self.device != DeviceChoice::Cpu => {
                println!("running on {compute}, products in {}", self.precision);
            }
            None => {}
        }
        Ok(compute)
    }
}
