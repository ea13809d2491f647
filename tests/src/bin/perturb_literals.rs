//! **Perturbed literals**: does any test notice if a number in the sources is
//! off by a millionth?
//!
//! ```sh
//! cargo run --release -p flowgrad-tests --bin perturb_literals            # all of autograd/src
//! cargo run --release -p flowgrad-tests --bin perturb_literals -- autograd/src/gamma.rs
//! ```
//!
//! In a copy of the repository below `target/`, each float literal `c` of the
//! files becomes `c` or `c·(1 + 10⁻⁶)`, according to a number in the
//! environment that the tests are run with, so that one build serves for all.
//! Literals that stand where only a constant may stand are changed in the text,
//! one build for each. Zeros are left out, and so is what stands in tests, or
//! tells the checker where to look and what to allow (`on (…)` and `ulps (…)` in
//! the formula sheet).
//!
//! A literal that no test notices is a *survivor*. The known ones stand in
//! `tests/data/literal_survivors.txt` with the reason why no test can or need
//! notice; another one makes the exit code 1. Results are kept: begun again, the
//! program goes on where it was, until the sources change.

use flowgrad_tests::root;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// By how much a literal is off.
const RELATIVE: f64 = 1e-6;
/// Whose tests are asked, in this order; the next is asked about what nobody
/// noticed in those before.
const ROUNDS: [&[&str]; 3] = [
    &["--test", "golden_bits"],
    &[
        "--lib",
        "--test",
        "every_operation",
        "--test",
        "conventions",
    ],
    &["--lib", "--tests"],
];
/// What tells the tests which literal is off.
const VARIABLE: &str = "FLOWGRAD_PERTURBED";
/// Tests that take longer than this hang, which notices too.
const PATIENCE: Duration = Duration::from_secs(600);

/// A float literal in a file.
#[derive(Clone, Debug, PartialEq)]
struct Literal {
    file: String,
    line: usize,
    /// Where it stands in the text, in bytes.
    place: std::ops::Range<usize>,
    text: String,
}

impl Literal {
    /// The same number, a little larger, with the same suffix.
    fn perturbed(&self) -> String {
        let digits = self.text.replace('_', "");
        let suffix = ["f32", "f64"].into_iter().find(|s| digits.ends_with(s));
        let digits = digits.trim_end_matches(suffix.unwrap_or("\0"));
        let value: f64 = digits.parse().expect("a float literal is a number");
        format!("{:?}{}", value * (1.0 + RELATIVE), suffix.unwrap_or(""))
    }
}

/// The float literals of a file, without zeros, up to its tests.
fn literals(file: &str, source: &str) -> Vec<Literal> {
    let end = source.find("#[cfg(test)]").unwrap_or(source.len());
    let bytes = &source.as_bytes()[..end];
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut found = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &source[i..end];
        if rest.starts_with("//") {
            i += rest.find('\n').unwrap_or(rest.len());
        } else if bytes[i] == b'\'' && bytes.get(i + 2) == Some(&b'\'') {
            // A character, which may be a quotation mark.
            i += 3;
        } else if bytes[i] == b'"' {
            i += 1;
            while i < bytes.len() && bytes[i] != b'"' {
                i += if bytes[i] == b'\\' { 2 } else { 1 };
            }
            i += 1;
        } else if rest.starts_with("on (") || rest.starts_with("ulps (") {
            i += rest.find(')').unwrap_or(rest.len());
        } else if bytes[i].is_ascii_digit() {
            let begin = i;
            while i < bytes.len() && word(bytes[i]) {
                i += 1;
                let sign = i < bytes.len() && matches!(bytes[i], b'-' | b'+');
                let decimal = !source[begin..i].starts_with("0x");
                if sign && decimal && matches!(bytes[i - 1], b'e' | b'E') {
                    i += 1;
                }
                // A point with a digit behind it belongs to the number.
                let point =
                    i + 1 < bytes.len() && bytes[i] == b'.' && bytes[i + 1].is_ascii_digit();
                let first = !source[begin..i].contains('.');
                let field = begin > 0 && bytes[begin - 1] == b'.';
                if point && first && !field {
                    i += 1;
                }
            }
            let text = &source[begin..i];
            let plain = text.replace('_', "");
            let number = plain.trim_end_matches("f32").trim_end_matches("f64");
            let is_float = text.contains('.')
                || text.ends_with("f32")
                || text.ends_with("f64")
                || (number.contains(['e', 'E']) && !text.starts_with("0x"));
            if is_float && number.parse::<f64>().is_ok_and(|value| value != 0.0) {
                found.push(Literal {
                    file: file.to_owned(),
                    line: source[..begin].matches('\n').count() + 1,
                    place: begin..i,
                    text: text.to_owned(),
                });
            }
        } else if word(bytes[i]) {
            // A name, with the digits in it.
            while i < bytes.len() && word(bytes[i]) {
                i += 1;
            }
        } else {
            i += 1;
        }
    }
    found
}

/// The text with some places replaced, which come in order.
fn replaced(source: &str, places: &[(std::ops::Range<usize>, String)]) -> String {
    let mut text = String::new();
    let mut last = 0;
    for (place, by) in places {
        text.push_str(&source[last..place.start]);
        text.push_str(by);
        last = place.end;
    }
    text + &source[last..]
}

/// The copy of the repository in which things are changed.
struct Scratch {
    folder: PathBuf,
    sources: BTreeMap<String, String>,
    literals: Vec<Literal>,
}

/// What asks the environment; appended to the library of the copy.
const SWITCH: &str = r#"
/// Whether this literal is to be off.
#[inline]
fn perturbed(number: usize) -> bool {
    static WHICH: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {
        let number = std::env::var("FLOWGRAD_PERTURBED").ok();
        number.and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
    });
    *WHICH == number
}
"#;

impl Scratch {
    fn new(files: &[String]) -> Self {
        let folder = root().join("target/perturbed");
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root())
            .output();
        let listed = listed.expect("git runs").stdout;
        for file in String::from_utf8_lossy(&listed).split('\0') {
            let (from, to) = (root().join(file), folder.join(file));
            if file.is_empty() || !from.is_file() {
                continue;
            }
            let text = fs::read(&from).expect("a readable file");
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder is made");
            // What has not changed keeps its time, so that it is not built anew.
            if fs::read(&to).ok().as_ref() != Some(&text) {
                fs::write(&to, text).expect("a file is written");
            }
        }
        let read = |file: &String| {
            let text = fs::read_to_string(root().join(file)).expect("a readable source");
            (file.clone(), text)
        };
        let sources: BTreeMap<String, String> = files.iter().map(read).collect();
        let of = |(file, text): (&String, &String)| literals(file, text);
        let literals = sources.iter().flat_map(of).collect();
        Scratch {
            folder,
            sources,
            literals,
        }
    }

    /// What a result is kept under: the place of the literal and its line.
    fn key(&self, number: usize) -> String {
        let Literal {
            file,
            line,
            place,
            text,
        } = &self.literals[number];
        let source = &self.sources[file];
        let column = place.start - source[..place.start].rfind('\n').map_or(0, |n| n + 1);
        let around = source.lines().nth(line - 1).unwrap_or("").trim();
        format!("{file}:{line}:{column}\t{text}\t{around}")
    }

    /// Writes the files with these replacements of literals.
    fn write(&self, by: impl Fn(usize, &Literal) -> Option<String>) {
        for (file, source) in &self.sources {
            let own = self.literals.iter().enumerate();
            let places: Vec<_> = own
                .filter(|(_, l)| l.file == *file)
                .filter_map(|(n, l)| Some((l.place.clone(), by(n, l)?)))
                .collect();
            fs::write(self.folder.join(file), replaced(source, &places))
                .expect("a source is written");
        }
        let library = "autograd/src/lib.rs";
        let text = fs::read_to_string(root().join(library)).expect("the library is there");
        let path = self.folder.join(library);
        let text = format!("{text}{SWITCH}");
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            fs::write(path, text).expect("the library is written");
        }
    }

    /// Builds the tests of a round: the programs, or the lines with errors.
    fn build(&self, round: &[&str]) -> Result<Vec<PathBuf>, BTreeSet<(String, usize)>> {
        let output = Command::new("cargo")
            .args(["test", "-p", "flowgrad-autograd", "--no-run"])
            .arg("--message-format=json")
            .args(round)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .current_dir(&self.folder)
            .stderr(Stdio::null())
            .output();
        let output = output.expect("cargo runs");
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let messages: Vec<Value> = messages
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        if output.status.success() {
            let programs = messages.iter().filter_map(|m| m["executable"].as_str());
            let mut programs: Vec<PathBuf> = programs.map(PathBuf::from).collect();
            // The quickest and keenest first.
            let keen = |path: &PathBuf| !path.to_string_lossy().contains("golden_bits");
            programs.sort_by_key(keen);
            return Ok(programs);
        }
        let mut lines = BTreeSet::new();
        for message in messages.iter().filter(|m| m["message"]["level"] == "error") {
            spans(&message["message"], &mut lines);
        }
        Err(lines)
    }

    /// Writes and builds the sources in which literals can be chosen by the
    /// environment. Those that must be constants are found by building.
    fn switchable(
        &self,
        round: &[&str],
        fixed: &mut BTreeSet<usize>,
    ) -> Result<Vec<PathBuf>, BTreeSet<(String, usize)>> {
        loop {
            self.write(|n, l| {
                let (right, wrong) = (&l.text, l.perturbed());
                let choice = format!("(if crate::perturbed({n}) {{ {wrong} }} else {{ {right} }})");
                (!fixed.contains(&n)).then_some(choice)
            });
            let lines = match self.build(round) {
                Ok(programs) => return Ok(programs),
                Err(lines) => lines,
            };
            let at = |l: &Literal| lines.contains(&(l.file.clone(), l.line));
            let before = fixed.len();
            fixed.extend((0..self.literals.len()).filter(|&n| at(&self.literals[n])));
            println!("{} literals must be constants", fixed.len());
            if fixed.len() == before {
                return Err(lines);
            }
        }
    }

    /// Who notices a literal that must be a constant.
    fn noticed_as_constant(&self, round: &[&str], number: usize) -> Option<String> {
        self.write(|n, l| (n == number).then(|| l.perturbed()));
        match self.build(round) {
            Ok(programs) => self.noticed(&programs, usize::MAX),
            Err(_) => Some("the compiler".to_owned()),
        }
    }

    /// The name of the first test program that notices, or none.
    fn noticed(&self, programs: &[PathBuf], number: usize) -> Option<String> {
        programs.iter().find_map(|program| {
            let passed = passes(program, &self.folder.join("autograd"), number);
            let name = program.file_stem().unwrap_or_default().to_string_lossy();
            let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
            (!passed).then(|| name.to_owned())
        })
    }
}

/// All places in the sources that a message points to, also through macros.
fn spans(message: &Value, lines: &mut BTreeSet<(String, usize)>) {
    match message {
        Value::Object(fields) => {
            if let (Some(file), Some(first), Some(last)) = (
                fields.get("file_name").and_then(Value::as_str),
                fields.get("line_start").and_then(Value::as_u64),
                fields.get("line_end").and_then(Value::as_u64),
            ) {
                lines.extend((first..=last).map(|line| (file.to_owned(), line as usize)));
            }
            fields.values().for_each(|value| spans(value, lines));
        }
        Value::Array(values) => values.iter().for_each(|value| spans(value, lines)),
        _ => {}
    }
}

/// Whether a test program passes, in time, with one literal off.
fn passes(program: &Path, folder: &Path, number: usize) -> bool {
    let child = Command::new(program)
        .env(VARIABLE, number.to_string())
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.expect("a test program starts");
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status.success();
        }
        if begin.elapsed() > PATIENCE {
            child.kill().expect("a child can be ended");
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Results that were kept, by key: what noticed, or nothing.
fn kept(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs
        .map(|(by, key)| (key.to_owned(), by.to_owned()))
        .collect()
}

/// The survivors that are known: file, literal, and what stands on its line.
fn known() -> Vec<(String, String, String)> {
    let path = root().join("tests/data/literal_survivors.txt");
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    let read = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let around = line.split('`').nth(1)?.to_owned();
        Some((words.next()?, words.next()?, around))
    };
    lines.filter_map(read).collect()
}

/// The files to look at: those that are named, else all of the library but
/// the checker.
fn files() -> Vec<String> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let mut files = named;
    if files.is_empty() {
        let all = flowgrad_tests::sources(&["rs"]).into_iter();
        let own = |f: &String| f.starts_with("autograd/src/") && !f.contains("/check/");
        files = all.map(|(file, _)| file).filter(own).collect();
    }
    files.retain(|f| f != "autograd/src/lib.rs");
    files
}

fn main() -> ExitCode {
    let scratch = Scratch::new(&files());
    let count = scratch.literals.len();
    println!("{count} literals in {} files", scratch.sources.len());
    let results = scratch.folder.join("results.txt");
    let mut found = kept(&results);
    let log = fs::File::options().create(true).append(true).open(&results);
    let mut log = log.expect("the results can be written");
    let begin = Instant::now();
    for (round, tests) in (1..).zip(ROUNDS) {
        // What nobody noticed in the rounds before.
        let earlier = format!("nobody in round {}", round - 1);
        let open = |found: &BTreeMap<String, String>, n: usize| match found.get(&scratch.key(n)) {
            None => round == 1,
            Some(by) => *by == earlier,
        };
        if !(0..count).any(|n| open(&found, n)) {
            continue;
        }
        let mut fixed = BTreeSet::new();
        let programs = match scratch.switchable(tests, &mut fixed) {
            Ok(programs) => programs,
            Err(lines) => {
                eprintln!("perturb_literals: the copy does not build: {lines:?}");
                return ExitCode::from(2);
            }
        };
        if let Some(by) = scratch.noticed(&programs, usize::MAX) {
            eprintln!("perturb_literals: {by} fails with no literal changed");
            return ExitCode::from(2);
        }
        // Constants last: they take the sources that the others need.
        let switchable = (0..count).filter(|n| !fixed.contains(n));
        for number in switchable.chain(fixed.iter().copied()) {
            if !open(&found, number) {
                continue;
            }
            let by = match fixed.contains(&number) {
                true => scratch.noticed_as_constant(tests, number),
                false => scratch.noticed(&programs, number),
            };
            let by = by.unwrap_or_else(|| format!("nobody in round {round}"));
            let (literal, seconds) = (&scratch.literals[number], begin.elapsed().as_secs());
            let Literal {
                file, line, text, ..
            } = literal;
            println!("{seconds:5} s, {number:4} of {count}: {file}:{line} {text} {by}");
            writeln!(log, "{by}\t{}", scratch.key(number)).expect("the results grow");
            found.insert(scratch.key(number), by);
        }
    }
    report(&scratch, &found)
}

/// Lists the survivors; the exit code says whether all of them are known.
fn report(scratch: &Scratch, found: &BTreeMap<String, String>) -> ExitCode {
    let nobody = format!("nobody in round {}", ROUNDS.len());
    let survives = |n: &usize| found.get(&scratch.key(*n)) == Some(&nobody);
    let known = known();
    let mut unknown = 0;
    for number in (0..scratch.literals.len()).filter(survives) {
        let Literal {
            file, line, text, ..
        } = &scratch.literals[number];
        let around = scratch.sources[file].lines().nth(line - 1).unwrap_or("");
        let listed = known
            .iter()
            .any(|(f, t, part)| f == file && t == text && around.contains(&**part));
        unknown += usize::from(!listed);
        let word = if listed { "known" } else { "NOT LISTED" };
        println!("survivor {file}:{line} {text} {word}");
    }
    match unknown {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_and_nothing_else() {
        let source = "on (-7.0, 7.0), let a = 1.5e-3_f32 * x.0.1 + 2f64; // 3.0\nlet b = (0..5, \"4.0\", 0x1e5, 0.0, r2, 1_000.0, t.1, 1e6);\n#[cfg(test)] 9.0";
        let found = literals("a.rs", source);
        let texts: Vec<&str> = found.iter().map(|l| &l.text[..]).collect();
        assert_eq!(texts, ["1.5e-3_f32", "2f64", "1_000.0", "1e6"]);
        assert_eq!((found[0].line, found[3].line), (1, 2));
        assert_eq!(
            found[1].perturbed(),
            format!("{:?}f64", 2.0 * (1.0 + RELATIVE))
        );
        let places = [(found[3].place.clone(), "7.0".to_owned())];
        assert!(replaced(source, &places).contains("t.1, 7.0);"));
    }
}
