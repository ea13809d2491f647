//! Every formula of the documentation and the book can be typeset, and every
//! formula is inside the marks that get it typeset.
//!
//! Formulas are blocks of the language `math` and code between dollars, as
//! GitHub writes them; `book/katex` typesets them. Here a second, independent
//! reader of the same language parses each one.

use flowgrad_tests::sources;
use pulldown_latex::{Parser, Storage};
use regex::Regex;

/// The formulas of a text: blocks, and code between dollars.
fn formulas(text: &str) -> Vec<String> {
    let comment = Regex::new(r"(?m)^ *//[/!] ?").expect("a pattern");
    let text = comment.replace_all(text, "");
    let block = Regex::new(r"(?ms)^```math\n(.*?)^```").expect("a pattern");
    let span = Regex::new(r"\$`([^`]+)`\$").expect("a pattern");
    let both = block.captures_iter(&text).chain(span.captures_iter(&text));
    both.map(|found| found[1].to_owned()).collect()
}

/// What is wrong with a formula, if anything.
fn complaint(formula: &str) -> Option<String> {
    // A number at the margin is no part of the formula for this reader.
    let tag = Regex::new(r"\\tag\{[^}]*\}").expect("a pattern");
    let formula = tag.replace_all(formula, "");
    let storage = Storage::new();
    let error = Parser::new(&formula, &storage).find_map(Result::err);
    error.map(|e| e.to_string())
}

#[test]
fn every_formula_parses() {
    let mut count = 0;
    // All sources but this file, whose formulas are examples.
    let files = sources(&["rs", "md"]).into_iter();
    for (name, text) in files.filter(|(name, _)| !name.ends_with("formulas.rs")) {
        for formula in formulas(&text) {
            count += 1;
            if let Some(complaint) = complaint(&formula) {
                panic!("{name}: {formula}\n{complaint}");
            }
        }
    }
    println!("{count} formulas");
    assert!(count >= 90, "only {count} formulas were found");
}

#[test]
fn a_formula_that_is_none_is_found_and_refused() {
    let text = "/// The ``` of\n//! ```math\n//! x^2 \\tag{*}\n//! ```\n/// and $`\\Biglx`$.\n";
    let found = formulas(text);
    assert_eq!(found, ["x^2 \\tag{*}\n", "\\Biglx"]);
    assert_eq!(complaint(&found[0]), None);
    assert!(complaint(&found[1]).is_some());
    assert!(complaint("\\frac{1}{2").is_some());
}
