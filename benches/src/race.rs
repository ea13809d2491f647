//! **The race's table**: what the programs printed, as medians and ratios.
//!
//! Every program prints a line for each size, `name BATCH HIDDEN LAYERS MEDIAN
//! ms`. In a round each program runs once; a ratio is taken between two times
//! of one round, and the table has the median over the rounds, with the least
//! and the most in brackets: at a handful of rounds quartiles say less.

use std::fmt::Write;

/// One line of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Time {
    /// Batch, hidden and layers, as printed.
    pub size: String,
    /// Milliseconds of a step.
    pub ms: f64,
}

/// The lines of the program called `name`.
///
/// # Errors
/// With the line that is not of the form above, or if there is none.
pub fn read(name: &str, output: &str) -> Result<Vec<Time>, String> {
    let line = |text: &str| {
        let broken =
            || format!("{name} printed {text:?}, not \"{name} BATCH HIDDEN LAYERS MS ms\"");
        let words: Vec<&str> = text.split_whitespace().collect();
        let [own, batch, hidden, layers, ms, "ms"] = words[..] else {
            return Err(broken());
        };
        let counts = [batch, hidden, layers];
        let ms = ms.parse().ok().filter(|ms: &f64| *ms > 0.0);
        match ms {
            Some(ms) if own == name && counts.iter().all(|n| n.parse::<u32>().is_ok()) => {
                let size = counts.join(" ");
                Ok(Time { size, ms })
            }
            _ => Err(broken()),
        }
    };
    let lines: Vec<Time> = output.lines().map(line).collect::<Result<_, _>>()?;
    match lines.is_empty() {
        true => Err(format!("{name} printed nothing")),
        false => Ok(lines),
    }
}

/// The table in Markdown. `rounds[r][p]` is what program `p` printed in round
/// `r`; the first program is the one the others are compared with.
///
/// # Panics
/// If the programs did not all print the same sizes in every round.
#[must_use]
pub fn table(names: &[&str], rounds: &[Vec<Vec<Time>>]) -> String {
    let mut text = String::from("| batch hidden layers |");
    let mut rule = String::from("|---|");
    for (p, name) in names.iter().enumerate() {
        let _ = write!(text, " {name} ms |");
        rule.push_str("---|");
        if p > 0 {
            let _ = write!(text, " {}/{name} |", names[0]);
            rule.push_str("---|");
        }
    }
    let _ = write!(text, "\n{rule}\n");
    let sizes = rounds.first().map_or(0, |round| round[0].len());
    for i in 0..sizes {
        let size = &rounds[0][0][i].size;
        let _ = write!(text, "| {size} |");
        for p in 0..names.len() {
            let time = |round: &Vec<Vec<Time>>, p: usize| {
                let time = &round[p][i];
                assert_eq!(&time.size, size, "all programs have the same sizes");
                time.ms
            };
            let own = rounds.iter().map(|round| time(round, p)).collect();
            let _ = write!(text, " {} |", spread(own));
            if p > 0 {
                let ratio = |round| time(round, 0) / time(round, p);
                let _ = write!(
                    text,
                    " **{}** |",
                    spread(rounds.iter().map(ratio).collect())
                );
            }
        }
        text.push('\n');
    }
    text
}

/// Median, least and most, to three digits.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values[0], values[values.len() - 1]);
    let middle = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
    format!("{} ({}–{})", digits(middle), digits(low), digits(high))
}

/// A positive number to three digits.
fn digits(x: f64) -> String {
    let after = (2 - x.log10().floor() as i32).clamp(0, 6) as usize;
    format!("{x:.after$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_are_refused() {
        let output = "jax 256 64 3 0.350 ms\njax 4096 512 4 118.000 ms\n";
        let times = read("jax", output).expect("two lines");
        assert_eq!(times[1].size, "4096 512 4");
        assert_eq!(times[0].ms, 0.35);
        for wrong in [
            "",
            "torch 256 64 3 0.350 ms",
            "jax 256 64 0.350 ms",
            "jax 256 64 3 fast ms",
            "jax 256 64 3 NaN ms",
            "jax 256 64 3 0 ms",
            "jax 256 x 3 1 ms",
        ] {
            assert!(read("jax", wrong).is_err(), "{wrong:?}");
        }
    }

    /// The ratio of the medians would be 2/3; the median of the ratios is 1/2.
    #[test]
    fn ratios_are_taken_within_rounds() {
        let round = |a: f64, b: f64| {
            let time = |ms| Time {
                size: "1 2 3".to_owned(),
                ms,
            };
            vec![vec![time(a)], vec![time(b)]]
        };
        let rounds = [round(1.0, 2.0), round(2.0, 3.0), round(3.0, 9.0)];
        let expected = "| batch hidden layers | a ms | b ms | a/b |\n|---|---|---|---|\n\
            | 1 2 3 | 2.00 (1.00–3.00) | 3.00 (2.00–9.00) | **0.500 (0.333–0.667)** |\n";
        assert_eq!(table(&["a", "b"], &rounds), expected);
    }

    #[test]
    fn numbers_keep_three_digits() {
        let found = [0.0634, 0.5, 1.0, 12.34, 118.4, 1234.0].map(digits);
        assert_eq!(found, ["0.0634", "0.500", "1.00", "12.3", "118", "1234"]);
    }
}
