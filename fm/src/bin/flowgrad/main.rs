//! The program `flowgrad`: verify, train, sample, judge, or take the tour.

mod command_line;
mod device;
mod few_steps;
mod info;
mod likelihood;
mod operations;
mod sample;
mod solver;
mod solvers_table;
mod table;
mod tour;
mod train;

use clap::{Parser, Subcommand};
use cuda::CudaError;
use fm::Error;
use fm::compute::guarded;
use fm::verify::Settings;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Flow matching, verified: time 0 is noise, time 1 is data.
///
/// Without a command: the guided tour. It verifies the 22 equations, asks how
/// many steps sampling takes, learns two moons and handwritten digits, and
/// writes out/report.html with pictures of all of it.
#[derive(Parser, Debug)]
#[command(name = "flowgrad", version, max_term_width = 90)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Verify the equations of flow matching numerically.
    ///
    /// Each equation is measured on random cases, and a deliberately wrong
    /// twin of it goes through the same measurement and must be rejected.
    /// Exits with 1 if an equation fails.
    #[command(allow_negative_numbers = true)]
    Verify {
        /// Every operation of autograd in place of the equations: derivatives
        /// against extrapolated differences, values against 400 digits, and
        /// the smallest error in a rule that is noticed.
        #[arg(long)]
        autograd: bool,
        /// Only this equation, such as FM.8, or this operation.
        #[arg(long, value_name = "TAG")]
        only: Option<String>,
        /// A list of objects in place of the table.
        #[arg(long)]
        json: bool,
        /// Seed of the random cases.
        #[arg(long, default_value_t = Settings::default().seed)]
        seed: u64,
        /// Random cases for each equation.
        #[arg(long, default_value_t = Settings::default().cases,
              value_parser = clap::value_parser!(u32).range(16..=100_000))]
        cases: u32,
        /// Put the wrong twin of this equation in its place, to see it fail;
        /// or an error of 1e-9 into the rules of this operation, or one of a
        /// thousandth into a weight of this method (euler to dop853).
        #[arg(long, value_name = "TAG")]
        plant: Option<String>,
        /// The Runge-Kutta methods in place of the equations: orders counted
        /// and seen, estimates, dense output, stability.
        #[arg(long, conflicts_with_all = ["autograd", "only", "seed", "cases"])]
        solvers: bool,
    },
    Info(info::Info),
    Train(train::Train),
    Sample(sample::Sample),
    Likelihood(likelihood::Likelihood),
    /// Sample eight Gaussians with every solver, with exact fields.
    ///
    /// Two paths from noise to the same data: the straight one of flow
    /// matching, and the probability flow of a variance-preserving diffusion.
    #[command(allow_negative_numbers = true)]
    FewSteps {
        /// Samples in a set.
        #[arg(long, default_value_t = 500,
              value_parser = clap::value_parser!(u32).range(2..=4000))]
        count: u32,
        /// Seed of noise and data.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

/// One line in place of a panic's backtrace. Printing panics where the output
/// cannot be written: a quiet end when whoever reads it has gone (`flowgrad
/// verify | head`), one line when the disk it goes to is full. An error of a
/// GPU is thrown by an operator that cannot return it: it goes on to `main`.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        if info.payload().is::<CudaError>() {
            return;
        }
        let text = info.payload_as_str().unwrap_or("no message");
        if text.contains("Broken pipe") {
            // What a shell reports for a program ended by a closed pipe.
            std::process::exit(141);
        }
        if let Some(reason) = text.strip_prefix("failed printing to stdout: ") {
            command_line::say(&format!("cannot write to the standard output: {reason}"));
            std::process::exit(2);
        }
        command_line::say(&format!("internal error: {text}; please report it"));
        std::process::exit(70);
    }));
}

fn main() -> ExitCode {
    report_panics();
    let arguments: Arguments = match command_line::read() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match guarded(|| run(arguments.command)) {
        Ok(code) => code,
        Err(error) => {
            command_line::say(&error.to_string());
            ExitCode::from(2)
        }
    }
}

fn run(command: Option<Command>) -> Result<ExitCode, Error> {
    match command {
        Some(Command::Verify {
            autograd: true,
            only,
            json,
            plant,
            ..
        }) => operations::verify(only.as_deref(), plant.as_deref(), json),
        Some(Command::Verify {
            solvers: true,
            json,
            plant,
            ..
        }) => solvers_table::verify(plant.as_deref(), json),
        Some(Command::Verify {
            only,
            json,
            seed,
            cases,
            plant,
            autograd: false,
            solvers: false,
        }) => {
            let settings = Settings { seed, cases, plant };
            table::verify(&settings, only.as_deref(), json)
        }
        Some(Command::FewSteps { count, seed }) => {
            few_steps::measure(count, seed)?.print();
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Info(info)) => {
            info.run().map_err(CudaError::from)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Train(train)) => train.run().map(|()| ExitCode::SUCCESS),
        Some(Command::Sample(sample)) => sample.run().map(|()| ExitCode::SUCCESS),
        Some(Command::Likelihood(likelihood)) => likelihood.run().map(|()| ExitCode::SUCCESS),
        None => tour::take(),
    }
}
