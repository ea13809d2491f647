//! **In turn**: several programs timed alternately, so that a machine whose
//! speed drifts slows all of them alike.
//!
//! Criterion measures one program after the other, and seconds lie between
//! them. Here each round runs every program once, and the ratio of two times
//! is taken within the round; the median of those ratios is what to quote.
//! The time is the processor time of the calling thread: what the scheduler
//! gives to others in between does not count, so a program must not have
//! threads of its own.

use crate::clock::Clock;
use std::time::{Duration, Instant};

/// A program with its name.
pub type Contender<'a> = (&'a str, &'a mut dyn FnMut());

/// What was measured of one program.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Median seconds of processor time of one run.
    pub seconds: f64,
    /// Quartiles of its time over the first program's in the same round: a
    /// quarter of the rounds lies below the first, half below the second.
    pub over_first: [f64; 3],
    /// How many rounds.
    pub rounds: usize,
}

/// Shortest time worth measuring: asking the clock costs a thousandth of it.
const SHORTEST: Duration = Duration::from_micros(100);

/// Fewest rounds for which quartiles mean something.
const FEWEST_ROUNDS: usize = 11;

/// Runs all programs in turn until `budget` is spent, after one run each to
/// warm up. The order is reversed every other round.
pub fn in_turn(budget: Duration, contenders: &mut [Contender<'_>]) -> Vec<Line> {
    let repeats: Vec<u32> = contenders.iter_mut().map(|c| repeats(&mut c.1)).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    let start = Instant::now();
    while times.iter().any(|t| t.len() < FEWEST_ROUNDS) || start.elapsed() < budget {
        let forward = times.first().is_some_and(|t| t.len() % 2 == 0);
        let count = contenders.len();
        for place in 0..count {
            let i = if forward { place } else { count - 1 - place };
            times[i].push(seconds(&mut contenders[i].1, repeats[i]));
        }
    }
    let lines = contenders.iter().zip(&times).map(|((name, _), own)| {
        let ratios: Vec<f64> = own.iter().zip(&times[0]).map(|(a, b)| a / b).collect();
        Line {
            name: (*name).to_owned(),
            seconds: quartiles(own.clone())[1],
            over_first: quartiles(ratios),
            rounds: own.len(),
        }
    });
    lines.collect()
}

/// Seconds of one run, from `repeats` of them.
fn seconds(program: &mut dyn FnMut(), repeats: u32) -> f64 {
    let begin = Clock::Thread.seconds();
    for _ in 0..repeats {
        program();
    }
    (Clock::Thread.seconds() - begin) / f64::from(repeats)
}

/// How many runs fill the shortest time worth measuring.
fn repeats(program: &mut dyn FnMut()) -> u32 {
    program();
    let own = seconds(program, 1).max(1e-9);
    (SHORTEST.as_secs_f64() / own).ceil() as u32
}

/// The values below which a quarter, a half and three quarters lie.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|q| values[(values.len() - 1) * q / 4])
}

/// Whether this run of a criterion file is meant to measure: `cargo bench`
/// says `--bench`, while `cargo test` and `-- --test` only try each program,
/// and `--profile-time` wants a profiler to see one program alone. A filter on
/// the command line chooses among criterion's programs, not among these.
#[must_use]
pub fn measuring() -> bool {
    let given = |name: &str| std::env::args().any(|a| a == name);
    given("--bench")
        && !["--test", "--list", "--profile-time"]
            .into_iter()
            .any(given)
}

/// Measures in turn and prints a line for each program, if this run is meant
/// to measure.
pub fn report(title: &str, budget: Duration, contenders: &mut [Contender<'_>]) {
    if !measuring() {
        return;
    }
    println!("\n{title}, in turn:");
    for line in in_turn(budget, contenders) {
        let ms = line.seconds * 1e3;
        let [low, middle, high] = line.over_first;
        println!(
            "  {:<28} {ms:>10.4} ms   {middle:>7.3} of the first ({low:.3} to {high:.3}, {} rounds)",
            line.name, line.rounds
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_values_that_occurred() {
        assert_eq!(quartiles(vec![5.0, 1.0, 3.0, 2.0, 4.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(vec![7.0]), [7.0; 3]);
    }

    #[test]
    fn every_round_runs_every_program() {
        let (mut first, mut second) = (0u64, 0u64);
        let lines = in_turn(
            Duration::ZERO,
            &mut [
                ("first", &mut || first += 1),
                ("second", &mut || second += 1),
            ],
        );
        assert_eq!(
            lines.iter().map(|l| l.rounds).collect::<Vec<_>>(),
            [FEWEST_ROUNDS; 2]
        );
        assert_eq!(lines[0].over_first, [1.0; 3]);
        assert!(first.min(second) >= FEWEST_ROUNDS as u64);
    }
}
