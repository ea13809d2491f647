//! Claims that need several crates stand in this package's `tests/` folder,
//! one file for each family of claims; this library only finds the files they
//! look at, counts what they allocate, and asks whether they would notice a
//! wrong program.

pub mod counting;
pub mod mutation;

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the package is in a folder")
        .to_owned()
}

/// All files below the crates with one of these endings, but for what was built,
/// sorted: path from the root, and text.
#[must_use]
pub fn sources(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in [
        "autograd", "benches", "book", "cuda", "fm", "solvers", "tests",
    ] {
        collect(&root().join(folder), endings, &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            // Where a workspace of its own builds, code is generated.
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, endings, found);
            }
        } else if endings
            .iter()
            .any(|e| path.extension().is_some_and(|x| x == *e))
        {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let name = path.strip_prefix(root()).expect("below the root");
            found.push((name.display().to_string(), text));
        }
    }
}
