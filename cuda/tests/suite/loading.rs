//! All kernels on this device: they compile, load, and say what they are.

use crate::place::device;
use cuda::{Source, sources};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// The kernels that a text declares.
fn kernels(source: &Source) -> Vec<String> {
    let declarations = source.text().split("extern \"C\" __global__ void").skip(1);
    let name = |declaration: &str| {
        let head = declaration.split('(').find_map(|part| {
            // Past a launch bound, whose number and bracket stand first.
            let word = part.rsplit([')', ' ', '\n']).next().unwrap_or_default();
            let named = word.starts_with(|c: char| c.is_ascii_lowercase());
            named.then(|| word.to_owned())
        });
        head.expect("a kernel has a name")
    };
    declarations.map(name).collect()
}

#[test]
fn every_kernel_compiles_and_loads() {
    let (device, begin) = (device(), Instant::now());
    let mut count = 0;
    for source in sources() {
        let kernels = kernels(&source);
        assert!(!kernels.is_empty(), "{}", source.name());
        for kernel in kernels {
            let loaded = device.load(&source, &kernel);
            loaded.unwrap_or_else(|e| panic!("{kernel} of {}: {e}", source.name()));
            count += 1;
        }
    }
    match device.is_emulated() {
        true => println!("emulated: {count} kernels"),
        false => println!("{count} kernels in {:.2?}", begin.elapsed()),
    }
    let error = device
        .load(&sources()[0], "nobody")
        .expect_err("no such kernel");
    assert!(error.to_string().contains("NOT_FOUND"), "{error}");
}

/// What the head of a kernel's file must tell its reader.
fn missing(head: &str) -> Vec<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| head.contains(word));
    let tag = head.split('(').any(|rest| {
        let tag = rest.split(')').next().unwrap_or_default();
        let (letters, number) = tag.split_once('.').unwrap_or_default();
        letters.chars().all(|c| c.is_ascii_uppercase()) && number.parse::<u32>().is_ok()
    });
    let all = [
        ("an equation's tag", tag),
        ("shapes", says(&["["])),
        ("the launch", says(&["thread"])),
        ("bytes", says(&["bytes"])),
        ("operations", says(&["operation", "addition"])),
    ];
    all.into_iter()
        .filter(|(_, there)| !there)
        .map(|(what, _)| what)
        .collect()
}

/// The comment at the beginning of a file.
fn head(file: &str) -> String {
    let lines = file.lines().take_while(|line| line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_file_begins_with_what_a_reader_needs() {
    let mut seen = BTreeSet::new();
    for source in sources() {
        for file in source.text().split("#line 1 \"").skip(1) {
            let (name, text) = file.split_once("\"\n").expect("a name and a text");
            if name.ends_with(".cu") {
                assert_eq!(missing(&head(text)), Vec::<&str>::new(), "{name}");
                seen.insert(name.to_owned());
            }
        }
    }
    // Where the sources are: a file in none of them would be seen by no check.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels");
    match fs::read_dir(&folder) {
        Ok(entries) => {
            let names = entries.map(|entry| entry.expect("readable").file_name());
            let names = names.map(|name| name.into_string().expect("Unicode"));
            let there: BTreeSet<String> = names.filter(|name| name.ends_with(".cu")).collect();
            assert_eq!(seen, there, "a file of kernels is in the list of sources()");
        }
        Err(reason) => println!("skipped: {}: {reason}", folder.display()),
    }
    assert!(seen.contains("adamw.cu"), "{seen:?}");
    let bare = "// Adds one to x [n], one thread an element.\nint x; // (AD.1) bytes";
    let expected = ["an equation's tag", "bytes", "operations"];
    assert_eq!(missing(&head(bare)), expected);
}
