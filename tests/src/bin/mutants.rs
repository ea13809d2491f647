//! **Mutants**: does any test notice a wrong program?
//!
//! ```sh
//! cargo install cargo-mutants --locked      # whose list of changes is tried
//! cargo run --release -p flowgrad-tests --bin mutants -- flowgrad-autograd
//! cargo run --release -p flowgrad-tests --bin mutants -- flowgrad-solvers solvers/src/dense.rs
//! cargo run --release -p flowgrad-tests --bin mutants -- --literals flowgrad-autograd
//! ```
//!
//! Tries all changes that `cargo mutants` knows, or with `--literals` each float
//! literal off by a millionth, in one build (see [`flowgrad_tests::mutation`]).
//! A change that no test notices is a *survivor*; one that
//! `tests/data/survivors.txt` does not name, with its reason, makes the exit
//! code 1. Those that it names are tried with `--known` only. What was killed is
//! remembered until its line changes: begun again, the program goes on where it
//! was, and tries survivors anew.

use flowgrad_tests::mutation::mutant::Form;
use flowgrad_tests::mutation::survivor::Known;
use flowgrad_tests::mutation::trial::{End, Test};
use flowgrad_tests::mutation::workshop::{Changed, Standing, Workshop};
use flowgrad_tests::mutation::{literal, operator, survivor};
use flowgrad_tests::{root, sources};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Files that are no program: they say where and how to check.
const LEFT_OUT: [&str; 2] = ["/check/catalogue/", "/check/references/"];
/// Files whose numbers say what a check allows, and how far it steps.
const ALLOWANCES: &str = "/check/";

/// What is asked for.
struct Question {
    literals: bool,
    package: String,
    /// Packages whose tests are asked.
    asked: Vec<String>,
    files: Vec<String>,
    features: String,
    /// Whether known survivors are tried too.
    known: bool,
}

const USAGE: &str = "usage: mutants [--literals] [--known] [--ask PACKAGE]... [--features LIST] PACKAGE [FILE or FOLDER/]...";

fn question(mut words: impl Iterator<Item = String>) -> Result<Question, String> {
    let (mut literals, mut asked, mut plain) = (false, Vec::new(), Vec::new());
    let (mut features, mut known) = (String::new(), false);
    while let Some(word) = words.next() {
        match &*word {
            "--literals" => literals = true,
            "--known" => known = true,
            "--ask" => asked.push(words.next().ok_or(USAGE)?),
            "--features" => features = words.next().ok_or(USAGE)?,
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
            _ => plain.push(word),
        }
    }
    let mut plain = plain.into_iter();
    let package = plain.next().ok_or(USAGE)?;
    if asked.is_empty() {
        asked.push(package.clone());
    }
    Ok(Question {
        literals,
        package,
        asked,
        files: plain.collect(),
        features,
        known,
    })
}

/// Finds all changes.
fn find(question: &Question, workshop: &mut Workshop) -> Result<(), String> {
    let folder = question.package.trim_start_matches("flowgrad-");
    let below = format!("{folder}/src/");
    let wanted = |file: &String| {
        let named = question.files.iter().any(|part| file.starts_with(&**part));
        let named = named || question.files.is_empty();
        let program = file.contains("/bin/");
        let left_out = LEFT_OUT.iter().any(|part| file.contains(part))
            || (question.literals && file.contains(ALLOWANCES));
        file.starts_with(&below) && named && !program && !left_out
    };
    let listed = match question.literals {
        true => Vec::new(),
        false => operator::listed(&root(), &question.package)?,
    };
    for (file, source) in sources(&["rs"]) {
        if !wanted(&file) {
            continue;
        }
        let mutants = &mut workshop.mutants;
        let sites = match question.literals {
            true => literal::sites(&file, &source, mutants),
            false => {
                let own = listed.iter().filter(|l| l.file() == file);
                let own: Vec<_> = own.cloned().collect();
                operator::sites(&source, &own, mutants).map_err(|e| format!("{file}: {e}"))?
            }
        };
        if !sites.is_empty() {
            workshop.files.insert(file, Changed { source, sites });
        }
    }
    workshop.standing = vec![Standing::Chosen; workshop.mutants.len()];
    for changed in workshop.files.values() {
        for site in &changed.sites {
            let standing = match site.form {
                Form::Alone => Standing::Alone,
                Form::Never => Standing::Unviable,
                _ => continue,
            };
            for &n in &site.mutants {
                workshop.standing[n] = standing;
            }
        }
    }
    match workshop.mutants.is_empty() {
        true => Err(format!(
            "no changes in {below} of the files {:?}",
            question.files
        )),
        false => Ok(()),
    }
}

/// What was killed before, and by whom.
fn kept(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs
        .map(|(by, key)| (key.to_owned(), by.to_owned()))
        .collect()
}

/// The first test that notices a change, of those that reach it.
fn killer(tests: &[Test], n: usize) -> Option<String> {
    let reaching = tests.iter().filter(|test| test.reached.contains(&n));
    reaching.into_iter().find_map(|test| named(test, Some(n)))
}

/// The name of the test, if it notices.
fn named(test: &Test, change: Option<usize>) -> Option<String> {
    match test.run(change) {
        End::Passed => None,
        End::Failed => Some(test.name()),
        End::Hung => Some(format!("{}, which hangs", test.name())),
    }
}

/// The same for a change that needs a build of its own, of one program after the
/// other: most fall to the first.
fn killer_of_one(workshop: &Workshop, tests: &[Test], n: usize) -> Option<String> {
    if !workshop.alone(n) {
        return Some("the compiler".to_owned());
    }
    let mut programs: Vec<&str> = Vec::new();
    for test in tests {
        if !programs.contains(&test.program()) {
            programs.push(test.program());
        }
    }
    programs.into_iter().find_map(|name| {
        let built = workshop.build(name);
        let built = built.expect("a program builds, whose library does");
        let own = tests.iter().filter(|test| test.program() == name);
        own.into_iter()
            .find_map(|test| named(&test.with(built.clone()), None))
    })
}

fn run(question: &Question) -> Result<bool, String> {
    let begin = Instant::now();
    let Question {
        package,
        asked,
        features,
        ..
    } = question;
    let mut workshop = Workshop::new(&root(), package, asked, features);
    find(question, &mut workshop)?;
    let count = workshop.mutants.len();
    println!("{count} changes in {} files", workshop.files.len());
    workshop.settle(&mut |line| println!("{line}"))?;
    println!("{:5} s: the schema compiles", begin.elapsed().as_secs());
    for (name, standing) in [("unviable", Standing::Unviable), ("alone", Standing::Alone)] {
        let path = workshop.beside(name);
        fs::write(&path, workshop.listed(standing))
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }

    let results = workshop.beside("results");
    let mut killed = kept(&results);
    let log = fs::File::options().create(true).append(true).open(&results);
    let mut log = log.map_err(|e| format!("{}: {e}", results.display()))?;
    let open = |killed: &BTreeMap<String, String>, workshop: &Workshop, n: usize| {
        workshop.standing[n] != Standing::Unviable && !killed.contains_key(&workshop.key(n))
    };

    let built = workshop.tests().ok_or("the tests do not build")?;
    println!("{:5} s: the tests are built", begin.elapsed().as_secs());
    let mut tests = Vec::new();
    for program in built {
        let own = Test::all(&program, &workshop.beside("reached"))?;
        let seconds: f64 = own.iter().map(|test| test.time.as_secs_f64()).sum();
        println!("{:24} {:4} tests, {seconds:6.1} s", program.name, own.len());
        tests.extend(own);
    }
    // The quickest first.
    tests.sort_by_key(|test| test.time);

    let known = survivor::known(&root())?;
    let listed = |workshop: &Workshop, n: usize| {
        let (mutant, source) = (&workshop.mutants[n], workshop.source(n));
        known.iter().any(|k| k.means(mutant, source))
    };
    let mut survivors = Vec::new();
    // Those alone last: they take the sources that the others need.
    for standing in [Standing::Chosen, Standing::Alone] {
        let mine = (0..count).filter(|&n| workshop.standing[n] == standing);
        let mine: Vec<usize> = mine.filter(|&n| open(&killed, &workshop, n)).collect();
        let (skipped, mine): (Vec<usize>, Vec<usize>) = mine
            .into_iter()
            .partition(|&n| !question.known && listed(&workshop, n));
        println!(
            "{} changes {standing:?}, and {} listed ones not tried again",
            mine.len(),
            skipped.len()
        );
        survivors.extend(skipped);
        for (i, &n) in mine.iter().enumerate() {
            let by = match standing {
                Standing::Chosen => killer(&tests, n),
                _ => killer_of_one(&workshop, &tests, n),
            };
            let (seconds, mutant) = (begin.elapsed().as_secs(), &workshop.mutants[n]);
            let place = format!("{}:{}: {}", mutant.file, mutant.line, mutant.what);
            let said = by.as_deref().unwrap_or("SURVIVES");
            println!("{seconds:5} s, {i:4} of {}: {place}: {said}", mine.len());
            match by {
                None => survivors.push(n),
                Some(by) => {
                    let key = workshop.key(n);
                    writeln!(log, "{by}\t{key}").map_err(|e| e.to_string())?;
                    killed.insert(key, by);
                }
            }
        }
    }
    Ok(report(&workshop, &survivors, &known))
}

/// Lists the survivors; whether all of them are known.
fn report(workshop: &Workshop, survivors: &[usize], known: &[Known]) -> bool {
    let mut holes = 0;
    for &n in survivors {
        let (mutant, source) = (&workshop.mutants[n], workshop.source(n));
        let listed = known.iter().find(|k| k.means(mutant, source));
        holes += usize::from(listed.is_none());
        let said = listed.map_or("NOT LISTED", |known| &known.reason);
        let (file, line, around) = (&mutant.file, mutant.line, mutant.around(source));
        println!("{file}:{line}: {} `{around}` {said}", mutant.what);
    }
    let unviable = workshop
        .standing
        .iter()
        .filter(|&&s| s == Standing::Unviable);
    let (all, unviable) = (workshop.mutants.len(), unviable.count());
    let killed = all - unviable - survivors.len();
    println!(
        "{all} changes: {unviable} do not compile, {killed} killed, {} known survivors, {holes} holes",
        survivors.len() - holes
    );
    holes == 0
}

fn main() -> ExitCode {
    let done = question(std::env::args().skip(1)).and_then(|question| run(&question));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}
