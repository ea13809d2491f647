//! **Literals** off by a millionth: `0.5` becomes `0.5·(1 + 10⁻⁶)`.
//!
//! Zeros are left out, which are not changed by a factor, and so is what stands
//! in tests, or tells the checker where to look and what to allow (`on (…)` and
//! `ulps (…)` in the formula sheet).

use super::mutant::{Form, Mutant, Site};

/// By how much a literal is off.
const RELATIVE: f64 = 1e-6;

/// The same number, a little larger, with the same suffix.
fn perturbed(literal: &str) -> String {
    let digits = literal.replace('_', "");
    let suffix = ["f32", "f64"].into_iter().find(|s| digits.ends_with(s));
    let digits = digits.trim_end_matches(suffix.unwrap_or("\0"));
    let value: f64 = digits.parse().expect("a float literal is a number");
    format!("{:?}{}", value * (1.0 + RELATIVE), suffix.unwrap_or(""))
}

/// The changes of a file, up to its tests, which are appended to those before.
#[must_use]
pub fn sites(file: &str, source: &str, mutants: &mut Vec<Mutant>) -> Vec<Site> {
    let mut sites = Vec::new();
    for place in places(source) {
        let text = &source[place.clone()];
        let line_begin = source[..place.start].rfind('\n').map_or(0, |n| n + 1);
        sites.push(Site {
            place: place.clone(),
            form: Form::Value,
            mutants: vec![mutants.len()],
        });
        mutants.push(Mutant {
            file: file.to_owned(),
            line: source[..place.start].matches('\n').count() + 1,
            column: source[line_begin..place.start].chars().count() + 1,
            what: format!("{text} off by a millionth"),
            by: perturbed(text),
            place,
        });
    }
    sites
}

/// Where the float literals of a source stand, without zeros, up to its tests.
fn places(source: &str) -> Vec<std::ops::Range<usize>> {
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
                found.push(begin..i);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_and_nothing_else() {
        let source = "on (-7.0, 7.0), let a = 1.5e-3_f32 * x.0.1 + 2f64; // 3.0\nlet b = (0..5, \"4.0\", 0x1e5, 0.0, r2, 1_000.0, t.1, 1e6);\n#[cfg(test)] 9.0";
        let mut mutants = Vec::new();
        let sites = sites("a.rs", source, &mut mutants);
        let texts: Vec<&str> = sites.iter().map(|s| &source[s.place.clone()]).collect();
        assert_eq!(texts, ["1.5e-3_f32", "2f64", "1_000.0", "1e6"]);
        assert_eq!((mutants[0].line, mutants[3].line), (1, 2));
        assert_eq!(mutants[1].by, format!("{:?}f64", 2.0 * (1.0 + RELATIVE)));
        let by: f64 = mutants[3].by.parse().expect("a number");
        assert!((by - 1_000_001.0).abs() < 1e-6, "{by}");
        assert!(mutants[3].alone(source).contains(&format!("t.1, {by:?})")));
    }
}
