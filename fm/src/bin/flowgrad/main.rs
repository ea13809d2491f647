//! The program `flowgrad`: verify the equations, take the tour.

mod few_steps;
mod sample;
mod solvers_table;
mod table;
mod tour;
mod train;

use clap::{Parser, Subcommand};
use fm::Error;
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
    Verify {
        /// Only this equation, such as FM.8.
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
        /// Put the wrong twin of this equation in its place, to see it fail.
        #[arg(long, value_name = "TAG")]
        plant: Option<String>,
        /// The Runge-Kutta methods in place of the equations: orders counted
        /// and seen, estimates, dense output, stability.
        #[arg(long, conflicts_with_all = ["only", "seed", "cases", "plant"])]
        solvers: bool,
    },
    Train(train::Train),
    Sample(sample::Sample),
    /// Sample eight Gaussians with every solver, with exact fields.
    ///
    /// Two paths from noise to the same data: the straight one of flow
    /// matching, and the probability flow of a variance-preserving diffusion.
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

/// One line in place of a panic's backtrace, and a quiet end when whoever
/// reads the output has gone (`flowgrad verify | head`).
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("no message");
        if text.contains("Broken pipe") {
            // What a shell reports for a program ended by a closed pipe.
            std::process::exit(141);
        }
        eprintln!("flowgrad: internal error: {text}; please report it");
        std::process::exit(70);
    }));
}

fn main() -> ExitCode {
    report_panics();
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("flowgrad: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Option<Command>) -> Result<ExitCode, Error> {
    match command {
        Some(Command::Verify {
            solvers: true,
            json,
            ..
        }) => solvers_table::verify(json),
        Some(Command::Verify {
            only,
            json,
            seed,
            cases,
            plant,
            solvers: _,
        }) => {
            let settings = Settings { seed, cases, plant };
            table::verify(&settings, only.as_deref(), json)
        }
        Some(Command::FewSteps { count, seed }) => {
            few_steps::measure(count, seed)?.print();
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Train(train)) => train.run().map(|()| ExitCode::SUCCESS),
        Some(Command::Sample(sample)) => sample.run().map(|()| ExitCode::SUCCESS),
        None => tour::take(),
    }
}
