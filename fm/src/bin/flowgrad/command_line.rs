//! The command line read, or refused in one line.
//!
//! The parser's own messages are paragraphs with hints and a usage text; here
//! every refusal names the argument, the value and what was expected, like the
//! messages of the library.

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{CommandFactory, Parser};
use std::error::Error as _;
use std::io::{self, Write};
use std::num::{ParseFloatError, ParseIntError};
use std::process::ExitCode;

/// The arguments, or the exit code to end with: after `--help` and
/// `--version`, and after a refusal.
pub(crate) fn read<A: Parser>() -> Result<A, ExitCode> {
    let error = match A::try_parse() {
        Ok(arguments) => return Ok(arguments),
        Err(error) => error,
    };
    if !error.use_stderr() {
        // `print!` ends the program in one line if it cannot be written.
        print!("{}", error.render());
        return Err(ExitCode::SUCCESS);
    }
    say(&refusal::<A>(&error));
    Err(ExitCode::from(2))
}

/// A line for the user. Where nobody can read it, the exit code has to do.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "flowgrad: {line}");
}

/// What is wrong with the command line.
fn refusal<A: CommandFactory>(error: &Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    // "--seed <SEED>" is known to its user as --seed.
    let name = argument.split(' ').next().unwrap_or_default();
    let value = context(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("{name} is {value:?}; expected {}", expected(error))
        }
        ErrorKind::UnknownArgument => {
            format!("unknown argument {argument:?}; expected one that --help lists")
        }
        ErrorKind::InvalidSubcommand => {
            let given = context(ContextKind::InvalidSubcommand);
            let command = A::command();
            let names: Vec<&str> = command
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            format!("unknown command {given:?}; expected {}", names.join(", "))
        }
        ErrorKind::MissingRequiredArgument => format!("{argument} missing; expected a value"),
        ErrorKind::ArgumentConflict => format!("{name} is given twice; expected once"),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or("no message");
            first.trim_start_matches("error: ").to_owned()
        }
    }
}

/// What a value should have been.
fn expected(error: &Error) -> String {
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::ValidValue)
        && !names.is_empty()
    {
        return names.join(", ");
    }
    let Some(reason) = error.source() else {
        return "a value".to_owned();
    };
    if reason.is::<ParseIntError>() {
        return "a whole number that is not negative".to_owned();
    }
    if reason.is::<ParseFloatError>() {
        return "a number".to_owned();
    }
    // "0 is not in 16..=100000", or whatever else a parser says.
    let reason = reason.to_string();
    match reason.split_once(" is not in ") {
        Some((_, range)) => format!("a whole number in {range}"),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arguments;

    #[test]
    fn every_refusal_is_one_line_with_value_and_expectation() {
        let cases: [(&[&str], &str); 12] = [
            (
                &["dance"],
                "unknown command \"dance\"; expected verify, info, train, sample, likelihood",
            ),
            (
                &["train", "--frob"],
                "unknown argument \"--frob\"; expected",
            ),
            (&["train", "moons"], "unknown argument \"moons\"; expected"),
            (
                &["train", "--seed", "x"],
                "--seed is \"x\"; expected a whole number",
            ),
            (
                &["train", "--seed", "-1"],
                "--seed is \"-1\"; expected a whole number",
            ),
            (
                &["train", "--sigma", "wide"],
                "--sigma is \"wide\"; expected a number",
            ),
            (
                &["train", "--hidden", "64,,64"],
                "--hidden is \"\"; expected a whole",
            ),
            (
                &["train", "--steps", "1", "--steps", "2"],
                "--steps is given twice",
            ),
            (&["train", "--out"], "--out is \"\"; expected a value"),
            (&["sample", "--out", "x.npy"], "--model <FILE> missing"),
            (
                &["verify", "--cases", "0"],
                "--cases is \"0\"; expected a whole number in 16..=100000",
            ),
            (&["verify", "--json=yes"], "--json"),
        ];
        for (given, piece) in cases {
            let all = ["flowgrad"].iter().chain(given);
            let error = Arguments::try_parse_from(all).expect_err("refused");
            let line = refusal::<Arguments>(&error);
            assert!(line.contains(piece), "{line:?} lacks {piece:?}");
            assert!(!line.contains('\n'), "{line:?}");
        }
    }
}
