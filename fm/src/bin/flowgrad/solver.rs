//! `--solver`, `--steps` and `--tolerance`: how an integral is done.

use clap::Args;
use fm::Error;
use fm::sampler::Plan;
use solvers::methods::{NAMES, by_name};

#[derive(Args, Debug)]
pub(crate) struct Solver {
    /// euler, midpoint, heun, ralston, kutta3, ssprk33, rk4, rk38, bs32, dopri5,
    /// tsit5, dop853 (fixed steps) or adaptive (Dormand-Prince).
    #[arg(long, default_value = "rk4")]
    solver: String,
    /// Steps of a fixed solver.
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// Tolerance of the adaptive solver.
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
}

impl Solver {
    /// What was asked for.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let tolerance = self.tolerance;
        if !(tolerance > 0.0 && tolerance.is_finite()) {
            return Err(Error::argument(
                "--tolerance",
                tolerance,
                "a positive number",
            ));
        }
        if self.solver == "adaptive" {
            return Ok(Plan::Adaptive(self.tolerance));
        }
        if self.steps == 0 || self.steps > 1_000_000 {
            return Err(Error::argument("--steps", self.steps, "1 to 1000000"));
        }
        let method = by_name(&self.solver).ok_or_else(|| Error::UnknownName {
            what: "solver",
            given: self.solver.clone(),
            expected: format!("{}, adaptive", NAMES.join(", ")),
        })?;
        Ok(Plan::Fixed(method, self.steps))
    }
}
