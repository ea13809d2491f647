//! Nothing is left out of the catalogue of operations: the sources are read
//! for public methods of `Tensor`, functions of tensors and models, and each
//! must be used by an entry, or be on the list here with its reason.

use autograd::check::catalogue::{Entry, entries};
use flowgrad_tests::sources;
use regex::Regex;
use std::collections::BTreeSet;

/// What has no entry, and why.
const EXCUSED: &[(&str, &str)] = &[
    ("shape", "no number comes out"),
    ("rank", "no number comes out"),
    ("size", "no number comes out"),
    ("inner", "no number comes out"),
    ("all_finite", "no number comes out"),
    ("stop", "its derivative is 0 by definition"),
    ("constant", "a constant"),
    ("lift", "a constant"),
    ("full_like", "a constant"),
    ("zeros_like", "a constant"),
    ("ones_like", "a constant"),
    ("unary", "every entry of a function of one number uses it"),
    ("binary", "every entry of a function of two numbers uses it"),
    ("gt", "a mask: no derivative; tests/suite/conventions.rs"),
    ("le", "a mask: no derivative; tests/suite/conventions.rs"),
    ("ge", "a mask: no derivative; tests/suite/conventions.rs"),
    ("eq", "a mask: no derivative; tests/suite/conventions.rs"),
    ("ne", "a mask: no derivative; tests/suite/conventions.rs"),
    (
        "UNet",
        "hundreds of rules: tests/suite/images.rs checks one",
    ),
    ("Level", "a part of the U-Net: tests/suite/images.rs"),
    ("ResidualLayer", "a part of ResidualMlp, which has an entry"),
    ("UNetConfig", "no number comes out"),
];

/// The names of what the sources offer: methods of `Tensor<A>` for every
/// algebra, free functions from tensors to tensors, models.
fn offered(files: &[(String, String)]) -> BTreeSet<String> {
    let method = Regex::new(r"pub fn (\w+)").expect("a valid pattern");
    let model = Regex::new(r"pub (?:struct|enum) (\w+)").expect("a valid pattern");
    let mut names = BTreeSet::new();
    for (file, text) in files {
        if !file.starts_with("autograd/src/") || file.contains("/check/") {
            continue;
        }
        if file.contains("/nn/") {
            names.extend(model.captures_iter(text).map(|c| c[1].to_owned()));
        }
        let mut inside = false;
        for line in text.lines() {
            if line.starts_with("impl<A: Algebra> Tensor<A>") {
                inside = true;
            } else if line.starts_with('}') {
                inside = false;
            }
            if inside && let Some(found) = method.captures(line) {
                names.insert(found[1].to_owned());
            }
        }
    }
    names
}

/// Whether an entry is named like it, calls it, or writes its name.
fn is_used(name: &str, entries: &[Entry]) -> bool {
    let word = Regex::new(&format!(r"\b{name}\b")).expect("a valid pattern");
    entries
        .iter()
        .any(|e| e.name == name || word.is_match(e.text))
}

fn missing(files: &[(String, String)]) -> Vec<String> {
    let entries = entries();
    let excused = |name: &String| EXCUSED.iter().any(|(excused, _)| excused == name);
    let names = offered(files).into_iter();
    names
        .filter(|name| !excused(name) && !is_used(name, &entries))
        .collect()
}

#[test]
fn every_operation_and_model_is_in_the_catalogue() {
    let files = sources(&["rs"]);
    let offered = offered(&files);
    for name in ["softmax", "matmul", "cumsum", "Mlp", "lt"] {
        assert!(offered.contains(name), "{name} is seen");
    }
    assert_eq!(missing(&files), Vec::<String>::new());
    // Excuses do not outlive what they excuse.
    for (name, reason) in EXCUSED {
        assert!(offered.contains(*name), "{name} ({reason}) is gone");
    }
}

#[test]
fn what_is_not_in_the_catalogue_is_found() {
    let text = "impl<A: Algebra> Tensor<A> {\n    pub fn twice_unheard_of(&self) -> Self {\n}\n}\n";
    let operations = ("autograd/src/operations/a.rs".to_owned(), text.to_owned());
    let model = (
        "autograd/src/nn/a.rs".to_owned(),
        "pub struct UnheardOf<A: Algebra> {\n".to_owned(),
    );
    assert_eq!(
        missing(&[operations, model]),
        ["UnheardOf", "twice_unheard_of"]
    );
}
