//! **Survivors**: mutants that no test kills, and why none can or need.
//!
//! They stand in `tests/data/survivors.txt`. A mutant that survives and is not
//! among them is a hole in the tests.

use super::mutant::Mutant;
use std::fs;
use std::path::Path;

/// A line of the list: file, what is changed, and what stands on the line of
/// the change, each in backticks, then the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The source.
    pub file: String,
    /// What is changed, or how its description ends or begins.
    pub what: String,
    /// Part of the line of the source.
    pub around: String,
    /// Why no test can or need notice.
    pub reason: String,
}

impl Known {
    /// Whether this mutant is meant.
    #[must_use]
    pub fn means(&self, mutant: &Mutant, source: &str) -> bool {
        let around = mutant.around(source);
        let what = mutant.what.starts_with(&*self.what) || mutant.what.ends_with(&*self.what);
        mutant.file == self.file && what && around.contains(&*self.around)
    }

    fn read(line: &str) -> Option<Self> {
        let mut parts = line.split('`').map(|part| part.trim().to_owned());
        let known = Known {
            file: parts.next()?,
            what: parts.next()?,
            around: parts.nth(1)?,
            reason: parts.collect::<Vec<_>>().join("`"),
        };
        (!known.reason.is_empty()).then_some(known)
    }
}

/// The list.
///
/// # Errors
/// If it cannot be read, or a line gives no reason.
pub fn known(root: &Path) -> Result<Vec<Known>, String> {
    let path = root.join("tests/data/survivors.txt");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let lines = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines
        .map(|line| {
            Known::read(line).ok_or_else(|| format!("no file, change, line, reason: {line}"))
        })
        .collect()
}
