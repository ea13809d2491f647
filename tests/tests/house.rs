//! The shape of the house: dependencies point one way, every file introduces
//! itself, and what is unsafe stands where it may.

use cargo_metadata::{Metadata, MetadataCommand};
use flowgrad_tests::{root, sources};
use std::collections::BTreeSet;

/// The edges between packages of the workspace.
fn edges(metadata: &Metadata) -> BTreeSet<(String, String)> {
    let short = |name: &str| name.trim_start_matches("flowgrad-").to_owned();
    let mut edges = BTreeSet::new();
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            if dependency.path.is_some() {
                edges.insert((short(&package.name), short(&dependency.name)));
            }
        }
    }
    edges
}

/// Edges the design does not have.
fn forbidden(edges: &BTreeSet<(String, String)>) -> Vec<String> {
    let allowed = |from: &str, to: &str| match from {
        "autograd" => to == "cuda" || to == "cuda-emulator",
        "cuda" => to == "cuda-emulator",
        "fm" => ["autograd", "cuda", "cuda-emulator", "solvers"].contains(&to),
        "tests" | "benches" => !["tests", "benches"].contains(&to),
        _ => false,
    };
    let wrong = edges.iter().filter(|(from, to)| !allowed(from, to));
    wrong.map(|(from, to)| format!("{from} -> {to}")).collect()
}

#[test]
fn dependencies_point_one_way() {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    let mut edges = edges(&command.exec().expect("cargo metadata runs"));
    assert!(
        edges.contains(&("fm".to_owned(), "autograd".to_owned())),
        "edges are seen"
    );
    assert_eq!(forbidden(&edges), Vec::<String>::new());
    // A planted edge is found.
    edges.insert(("solvers".to_owned(), "autograd".to_owned()));
    assert_eq!(forbidden(&edges), ["solvers -> autograd"]);
}

/// Files and folders that may say `unsafe`.
const UNSAFE: [&str; 4] = [
    "autograd/src/cpu/dispatch.rs",
    "autograd/src/cpu/tile.rs",
    "tests/src/counting.rs",
    "cuda/",
];

/// What is wrong with one file.
fn complaints(name: &str, text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push("does not begin with a `//!` line that introduces it");
    }
    let stem = name.rsplit('/').next().unwrap_or(name);
    if [
        "utils.rs",
        "common.rs",
        "types.rs",
        "helpers.rs",
        "core.rs",
        "misc.rs",
    ]
    .contains(&stem)
    {
        found.push("has a catch-all name");
    }
    let allows = ["#![", "allow("].concat();
    let crate_level = stem == "lib.rs" || stem == "main.rs";
    if crate_level && text.contains(&allows) {
        found.push("allows a lint for a whole crate");
    }
    let word = ["un", "safe {"].concat();
    if text.contains(&word) && !UNSAFE.iter().any(|place| name.starts_with(place)) {
        found.push("has an unsafe block");
    }
    if text.contains(&["/wo", "rk/"].concat()) || text.contains(&["/ro", "ot/"].concat()) {
        found.push("names a path of some machine");
    }
    found
}

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let files = sources(&["rs"]);
    assert!(files.len() > 50, "the files are seen");
    for (name, text) in &files {
        assert_eq!(complaints(name, text), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn each_broken_rule_is_found() {
    let block = ["un", "safe { }"].concat();
    assert_eq!(complaints("fm/src/a.rs", "fn f() {}").len(), 1);
    assert_eq!(complaints("fm/src/utils.rs", "//! A.").len(), 1);
    assert_eq!(
        complaints("fm/src/a.rs", &format!("//! A.\n{block}")).len(),
        1
    );
    assert_eq!(complaints(UNSAFE[0], &format!("//! A.\n{block}")).len(), 0);
    let lifted = ["//! A.\n#![", "allow(dead_code)]"].concat();
    assert_eq!(complaints("fm/src/lib.rs", &lifted).len(), 1);
}
