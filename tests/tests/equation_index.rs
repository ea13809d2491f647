//! The equation index: every formula is stated once, computed by a line of
//! code that carries its tag, and verified by a test that names it.
//!
//! | mark | where |
//! |---|---|
//! | `\tag{…}` | in a formula of the documentation, once |
//! | `// (…)` | at the end of the code line that computes it |
//! | `Verifies (…)` | in the comment above a test |

use flowgrad_tests::{root, sources};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Where the marks of one tag stand, as `file:line`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Marks {
    defined: Vec<String>,
    coded: Vec<String>,
    tested: Vec<String>,
}

/// The marks in all files.
fn collect(files: &[(String, String)]) -> BTreeMap<String, Marks> {
    let mut index: BTreeMap<String, Marks> = BTreeMap::new();
    for (file, text) in files {
        for (number, line) in (1..).zip(text.lines()) {
            let place = format!("{file}:{number}");
            let comment = line.trim_start().starts_with("//");
            for tag in between(line, "\\tag{", "}") {
                if comment || file.ends_with(".md") {
                    index.entry(tag).or_default().defined.push(place.clone());
                }
            }
            if comment && line.contains("Verifies (") {
                for tag in between(line, "(", ")") {
                    index.entry(tag).or_default().tested.push(place.clone());
                }
            } else if let Some((code, marks)) = line.split_once("// (")
                && !code.trim().is_empty()
                && !code.contains("//")
                // The book quotes code, it does not compute.
                && !file.ends_with(".md")
            {
                for tag in between(&format!("({marks}"), "(", ")") {
                    index.entry(tag).or_default().coded.push(place.clone());
                }
            }
        }
    }
    index
}

/// The tags between two delimiters in a line: capitals, a dot, a number.
fn between(line: &str, open: &str, close: &str) -> Vec<String> {
    let pieces = line.split(open).skip(1);
    let inside = pieces.filter_map(|piece| piece.split(close).next());
    inside
        .filter(|tag| is_tag(tag))
        .map(str::to_owned)
        .collect()
}

fn is_tag(text: &str) -> bool {
    text.split_once('.').is_some_and(|(letters, number)| {
        !letters.is_empty()
            && letters.chars().all(|c| c.is_ascii_uppercase())
            && number.parse::<u32>().is_ok()
    })
}

/// Everything that is wrong with an index.
fn faults(index: &BTreeMap<String, Marks>) -> Vec<String> {
    let mut faults = Vec::new();
    for (tag, marks) in index {
        match &marks.defined[..] {
            [] => faults.push(format!("({tag}) is cited but defined nowhere: {marks:?}")),
            [one] => {
                if marks.coded.is_empty() {
                    faults.push(format!("({tag}), defined at {one}, is in no code line"));
                }
                if marks.tested.is_empty() {
                    faults.push(format!("({tag}), defined at {one}, is in no test"));
                }
            }
            many => faults.push(format!("({tag}) is defined more than once: {many:?}")),
        }
    }
    for number in 1..=22 {
        let tag = format!("FM.{number}");
        if !index.contains_key(&tag) {
            faults.push(format!("({tag}) of the text is missing"));
        }
    }
    faults
}

/// The index as a page of the book.
fn page(index: &BTreeMap<String, Marks>) -> String {
    let mut page = String::from(
        "# Equation index\n\nWritten by `cargo test -p flowgrad-tests`; do not edit.\n\n| equation | stated in | computed in | verified in |\n|---|---|---|---|\n",
    );
    let files = |places: &[String]| {
        let mut files: Vec<&str> = places.iter().filter_map(|p| p.split(':').next()).collect();
        files.sort_unstable();
        files.dedup();
        files.join(", ")
    };
    let mut tags: Vec<&String> = index.keys().collect();
    tags.sort_by_key(|tag| {
        let (letters, number) = tag.split_once('.').expect("a tag has a dot");
        (letters.to_owned(), number.parse::<u32>().unwrap_or(0))
    });
    for tag in tags {
        let marks = &index[tag];
        let (stated, coded) = (files(&marks.defined), files(&marks.coded));
        let tested = files(&marks.tested);
        writeln!(page, "| ({tag}) | {stated} | {coded} | {tested} |").expect("a string grows");
    }
    page
}

/// All sources but this file, whose texts are examples.
fn all() -> Vec<(String, String)> {
    let mut files = sources(&["rs", "md"]);
    files.retain(|(name, _)| {
        !name.ends_with("tests/equation_index.rs") && !name.ends_with("equation_index.md")
    });
    files
}

#[test]
fn every_equation_is_stated_once_computed_and_verified() {
    let faults = faults(&collect(&all()));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_page_of_the_book_is_up_to_date() {
    let path = root().join("book/src/equation_index.md");
    let page = page(&collect(&all()));
    if std::env::var_os("UPDATE_INDEX").is_some() {
        fs::write(&path, &page).expect("the page is written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "book/src/equation_index.md is out of date: run UPDATE_INDEX=1 cargo test -p flowgrad-tests"
    );
}

#[test]
fn each_fault_is_found_and_a_clean_text_passes() {
    let clean: String = (1..=22)
        .map(|n| {
            format!("/// \\tag{{FM.{n}}}\nlet y = f(x); // (FM.{n})\n/// Verifies (FM.{n}).\n")
        })
        .collect();
    let judge = |text: String| faults(&collect(&[("a.rs".to_owned(), text)]));
    assert_eq!(judge(clean.clone()), Vec::<String>::new());
    let spoilt = [
        (clean.replace("/// \\tag{FM.3}\n", ""), "defined nowhere"),
        (clean.replace("f(x); // (FM.3)", "f(x);"), "in no code line"),
        (clean.replace("/// Verifies (FM.3).\n", ""), "in no test"),
        (format!("{clean}/// \\tag{{FM.3}}\n"), "more than once"),
        (
            clean.replace("FM.22", "FM.23"),
            "(FM.22) of the text is missing",
        ),
        (
            format!("{clean}let z = 1; // (FM.99)\n"),
            "(FM.99) is cited",
        ),
    ];
    for (text, expected) in spoilt {
        let faults = judge(text).join("\n");
        assert!(faults.contains(expected), "{expected}: {faults}");
    }
}
