//! **Workshop**: the copy of the repository in which things are changed, and
//! its builds.

use super::mutant::{Form, Mutant, Site};
use super::schema::{Owner, SWITCH, Schema};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is to become of a mutant, as far as the compiler knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be chosen while the tests run.
    Chosen,
    /// It needs a build of its own.
    Alone,
    /// It does not compile.
    Unviable,
}

/// A test program and where it runs.
#[derive(Clone, Debug)]
pub struct Built {
    /// The program.
    pub path: PathBuf,
    /// Its name for people.
    pub name: String,
    /// The folder of its package.
    pub folder: PathBuf,
}

/// A file with the places where it can be changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The text as it is.
    pub source: String,
    /// Its sites.
    pub sites: Vec<Site>,
}

/// A copy of the repository.
#[derive(Debug)]
pub struct Workshop {
    folder: PathBuf,
    package: String,
    asked: Vec<String>,
    /// Between commas.
    features: String,
    /// The files that are changed.
    pub files: BTreeMap<String, Changed>,
    /// All changes.
    pub mutants: Vec<Mutant>,
    /// What can be done with each.
    pub standing: Vec<Standing>,
}

type Errors = BTreeSet<(String, usize)>;

impl Workshop {
    /// A copy below `target/`, for changes of a package that the tests of the
    /// `asked` packages are to notice, built with these features.
    #[must_use]
    pub fn new(root: &Path, package: &str, asked: &[String], features: &str) -> Self {
        let folder = root.join("target/mutants").join(package);
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output();
        let listed = listed.expect("git runs").stdout;
        let mut copied = BTreeSet::new();
        for file in String::from_utf8_lossy(&listed).split('\0') {
            let (from, to) = (root.join(file), folder.join(file));
            if file.is_empty() || !from.is_file() {
                continue;
            }
            let text = fs::read(&from).expect("a readable file");
            write_if_other(&to, &text);
            copied.insert(to);
        }
        remove_others(&folder, &copied);
        Workshop {
            folder,
            package: package.to_owned(),
            asked: asked.to_vec(),
            features: features.to_owned(),
            files: BTreeMap::new(),
            mutants: Vec::new(),
            standing: Vec::new(),
        }
    }

    /// A place for results beside the copy.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.with_extension(name)
    }

    /// What a result is kept under.
    #[must_use]
    pub fn key(&self, number: usize) -> String {
        let mutant = &self.mutants[number];
        mutant.key(&self.files[&mutant.file].source)
    }

    /// The text of the file that a mutant changes.
    #[must_use]
    pub fn source(&self, number: usize) -> &str {
        &self.files[&self.mutants[number].file].source
    }

    /// The changes of this standing, one a line.
    #[must_use]
    pub fn listed(&self, standing: Standing) -> String {
        let own = (0..self.mutants.len()).filter(|&n| self.standing[n] == standing);
        own.map(|n| self.key(n) + "\n").collect()
    }

    fn site(&self, number: usize) -> &Site {
        let sites = &self.files[&self.mutants[number].file].sites;
        let mut own = sites.iter().filter(|s| s.mutants.contains(&number));
        own.next().expect("each mutant has a site")
    }

    /// Writes the copy with a switch for all that can be chosen.
    fn write_schemata(&self) -> BTreeMap<String, Schema> {
        let mut schemata = BTreeMap::new();
        for (file, Changed { source, sites }) in &self.files {
            let chosen = |n: usize| self.standing[n] == Standing::Chosen;
            let schema = Schema::new(source, sites, &self.mutants, chosen);
            let root = file.ends_with("src/lib.rs");
            let text = schema.text.clone() + if root { SWITCH } else { "" };
            write_if_other(&self.folder.join(file), text.as_bytes());
            schemata.insert(file.clone(), schema);
        }
        // The root of the crate, where it is not changed itself.
        let first = self.files.keys().next().expect("there is a file");
        let package = first.split("/src/").next().unwrap_or_default();
        let root = format!("{package}/src/lib.rs");
        if !self.files.contains_key(&root) {
            let path = self.folder.join(&root);
            let text = fs::read_to_string(&path).expect("a crate has a root");
            if !text.ends_with(SWITCH) {
                fs::write(path, text + SWITCH).expect("a source is written");
            }
        }
        schemata
    }

    /// Writes and checks the copy until it compiles; what does not compile, or
    /// must be a constant, is set aside.
    ///
    /// # Errors
    /// If it does not compile for another reason.
    pub fn settle(&mut self, say: &mut dyn FnMut(String)) -> Result<(), String> {
        loop {
            let schemata = self.write_schemata();
            let errors = match self.check() {
                Ok(()) => return Ok(()),
                Err(errors) => errors,
            };
            let mut moved = 0;
            for (file, line) in &errors {
                let owner = schemata.get(file).and_then(|s| s.owner(*line));
                let (numbers, standing) = match owner {
                    None => continue,
                    Some(Owner::Site(numbers)) => (numbers.clone(), Standing::Alone),
                    Some(Owner::Mutant(n)) => match self.site(*n).form {
                        // There the changed text is sound, but not beside the other.
                        Form::Value | Form::Body { opaque: true } => (vec![*n], Standing::Alone),
                        _ => (vec![*n], Standing::Unviable),
                    },
                };
                for n in numbers {
                    moved += usize::from(self.standing[n] == Standing::Chosen);
                    if self.standing[n] == Standing::Chosen {
                        self.standing[n] = standing;
                    }
                }
            }
            say(format!(
                "{} errors, {moved} changes set aside",
                errors.len()
            ));
            if moved == 0 {
                return Err(format!("the copy does not compile: {errors:?}"));
            }
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        // A loop of a constant that a change makes endless is the compiler's:
        // it is given as long as the longest build takes on a slow machine.
        let mut cargo = Command::new("timeout");
        cargo
            .args(["900", "cargo"])
            .args(arguments)
            .args(["--message-format=json", "--features", &self.features])
            .env("CARGO_TARGET_DIR", self.folder.with_extension("target"))
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            // A change may leave a variable unused.
            .env("RUSTFLAGS", "--cap-lints=warn")
            .current_dir(&self.folder)
            .stderr(Stdio::null());
        cargo
    }

    /// Whether the library compiles, or where it does not.
    fn check(&self) -> Result<(), Errors> {
        let mut cargo = self.cargo(&["check", "--lib", "-p", &self.package]);
        let output = cargo.output().expect("cargo runs");
        if output.status.success() {
            return Ok(());
        }
        let mut errors = Errors::new();
        for message in messages(&output.stdout) {
            if message["message"]["level"] == "error" {
                primary_lines(&message["message"], &mut errors);
            }
        }
        Err(errors)
    }

    /// Builds the tests: the programs, or nothing if they do not build.
    #[must_use]
    pub fn tests(&self) -> Option<Vec<Built>> {
        let packages = self.asked.iter();
        let each = packages.map(|p| self.programs(p, &["--lib", "--tests"]));
        Some(each.collect::<Option<Vec<_>>>()?.concat())
    }

    /// Builds one of them.
    #[must_use]
    pub fn build(&self, name: &str) -> Option<Built> {
        self.asked.iter().find_map(|package| {
            let library = package.trim_start_matches("flowgrad-");
            let which: &[&str] = match name == library {
                true => &["--lib"],
                false => &["--test", name],
            };
            self.programs(package, which)?.pop()
        })
    }

    fn programs(&self, package: &str, which: &[&str]) -> Option<Vec<Built>> {
        let arguments = [&["test", "--no-run", "-p", package], which].concat();
        let output = self.cargo(&arguments).output().expect("cargo runs");
        if !output.status.success() {
            return None;
        }
        let read = |message: Value| {
            let manifest = Path::new(message["manifest_path"].as_str()?);
            (message["profile"]["test"] == true).then_some(())?;
            Some(Built {
                path: PathBuf::from(message["executable"].as_str()?),
                name: message["target"]["name"].as_str()?.to_owned(),
                folder: manifest.parent()?.to_owned(),
            })
        };
        Some(
            messages(&output.stdout)
                .into_iter()
                .filter_map(read)
                .collect(),
        )
    }

    /// The copy with this one change and no switch: whether it compiles.
    #[must_use]
    pub fn alone(&self, number: usize) -> bool {
        for (file, Changed { source, .. }) in &self.files {
            let mutant = &self.mutants[number];
            let text = match mutant.file == *file {
                true => mutant.alone(source),
                false => source.clone(),
            };
            write_if_other(&self.folder.join(file), text.as_bytes());
        }
        self.check().is_ok()
    }
}

/// What is no longer in the repository goes from the copy.
fn remove_others(folder: &Path, copied: &BTreeSet<PathBuf>) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = path.path();
        if path.is_dir() {
            remove_others(&path, copied);
        } else if !copied.contains(&path) {
            fs::remove_file(path).expect("a file is removed");
        }
    }
}

/// What has not changed keeps its time, so that it is not built anew.
fn write_if_other(path: &Path, text: &[u8]) {
    if fs::read(path).ok().as_deref() != Some(text) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        fs::write(path, text).expect("a file is written");
    }
}

fn messages(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(output);
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The lines that an error points to, also through macros.
fn primary_lines(message: &Value, lines: &mut Errors) {
    for span in message["spans"].as_array().into_iter().flatten() {
        let mut span = span;
        loop {
            if let (Some(file), Some(line), Some(true)) = (
                span["file_name"].as_str(),
                span["line_start"].as_u64(),
                span["is_primary"].as_bool(),
            ) {
                lines.insert((file.to_owned(), line as usize));
            }
            match span["expansion"]["span"].is_object() {
                true => span = &span["expansion"]["span"],
                false => break,
            }
        }
    }
}
