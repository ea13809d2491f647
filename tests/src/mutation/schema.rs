//! **Schema**: one text that holds all mutants, and a switch.
//!
//! `a + b` becomes
//!
//! ```text
//! match (a, b) { (l, r) => if crate::mutated(7) { l - r } else { l + r } }
//! ```
//!
//! so that each operand is written, and evaluated, once. Each change stands on
//! lines of its own, by which an error of the compiler finds its mutant.

use super::mutant::{Form, Mutant, Operands, Site};
use std::ops::{Range, RangeInclusive};

/// What asks the environment; appended to the root of the crate. The name of a
/// file in place of a number writes down there which mutants are reached.
pub const SWITCH: &str = r#"
/// Whether this change of the program is chosen.
#[inline]
#[allow(warnings)]
pub(crate) fn mutated(number: usize) -> bool {
    static CHOSEN: std::sync::LazyLock<Result<usize, std::ffi::OsString>> =
        std::sync::LazyLock::new(|| {
            let chosen = std::env::var_os("FLOWGRAD_MUTANT").unwrap_or_default();
            let number = chosen.to_str().and_then(|n| n.parse().ok());
            number.ok_or(chosen)
        });
    match &*CHOSEN {
        Ok(chosen) => *chosen == number,
        Err(other) => {
            mutant_reached(number, other);
            false
        }
    }
}

#[cold]
#[allow(warnings)]
fn mutant_reached(number: usize, file: &std::ffi::OsStr) {
    use std::sync::atomic::{AtomicBool, Ordering};
    static SEEN: [AtomicBool; 1 << 14] = [const { AtomicBool::new(false) }; 1 << 14];
    if !file.is_empty() && !SEEN[number].swap(true, Ordering::Relaxed) {
        let log = std::fs::File::options().create(true).append(true).open(file);
        let line = format!("{number}\n");
        std::io::Write::write_all(&mut log.unwrap(), line.as_bytes()).unwrap();
    }
}
"#;

/// The variable that chooses.
pub const VARIABLE: &str = "FLOWGRAD_MUTANT";

/// Whose lines these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The changed text of one mutant.
    Mutant(usize),
    /// A whole site, with what chooses.
    Site(Vec<usize>),
}

/// A text in which all changes of a file can be chosen.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The text.
    pub text: String,
    marks: Vec<(RangeInclusive<usize>, Owner)>,
    line: usize,
}

impl Schema {
    /// The text of a file with these sites, of which only mutants that `chosen`
    /// holds can be chosen.
    #[must_use]
    pub fn new(
        source: &str,
        sites: &[Site],
        mutants: &[Mutant],
        chosen: impl Fn(usize) -> bool,
    ) -> Self {
        let mut sites: Vec<Site> = sites.to_vec();
        for site in &mut sites {
            site.mutants.retain(|&n| chosen(n));
        }
        sites.retain(|s| !matches!(s.form, Form::Alone | Form::Never) && !s.mutants.is_empty());
        // What holds another stands before it; a body or a condition may be one
        // expression.
        sites.sort_by_key(|s| {
            let depth = match s.form {
                Form::Body { .. } => 0,
                Form::Value => 1,
                _ => 2,
            };
            (s.place.start, usize::MAX - s.place.end, depth)
        });
        let mut schema = Schema {
            line: 1,
            ..Schema::default()
        };
        let writer = Writer {
            source,
            sites: &sites,
            mutants,
        };
        writer.write(&mut schema, 0..source.len(), 0);
        schema
    }

    /// Whose line this is, counted from 1: the narrowest owner.
    #[must_use]
    pub fn owner(&self, line: usize) -> Option<&Owner> {
        let holding = self.marks.iter().filter(|(lines, _)| lines.contains(&line));
        let narrowest = holding.min_by_key(|(lines, _)| lines.end() - lines.start());
        narrowest.map(|(_, owner)| owner)
    }

    fn push(&mut self, text: &str) {
        self.line += text.matches('\n').count();
        self.text.push_str(text);
    }

    /// The changed text of a mutant, on lines of its own.
    fn change(&mut self, number: usize, text: &str) {
        self.push("\n");
        let first = self.line;
        self.push(text);
        self.marks.push((first..=self.line, Owner::Mutant(number)));
        self.push("\n");
    }
}

struct Writer<'a> {
    source: &'a str,
    sites: &'a [Site],
    mutants: &'a [Mutant],
}

impl Writer<'_> {
    /// Writes part of the source with the sites from `first` on that lie in it.
    fn write(&self, to: &mut Schema, part: Range<usize>, first: usize) {
        let mut at = part.start;
        for (i, site) in self.sites.iter().enumerate().skip(first) {
            if site.place.start < at || site.place.end > part.end {
                continue;
            }
            to.push(&self.source[at..site.place.start]);
            to.push("\n");
            let begin = to.line;
            self.site(to, i);
            to.marks
                .push((begin..=to.line, Owner::Site(site.mutants.clone())));
            to.push("\n");
            at = site.place.end;
        }
        to.push(&self.source[at..part.end]);
    }

    /// `if mutated(7) { changed } else if mutated(8) { … } else`, an open end.
    fn choose(&self, to: &mut Schema, site: &Site, changed: impl Fn(&Mutant) -> String) {
        for &n in &site.mutants {
            to.push(&format!("if crate::mutated({n}) {{"));
            to.change(n, &changed(&self.mutants[n]));
            to.push("} else ");
        }
    }

    fn site(&self, to: &mut Schema, i: usize) {
        let site = &self.sites[i];
        let inner = |to: &mut Schema, part: &Range<usize>| self.write(to, part.clone(), i + 1);
        match &site.form {
            Form::Alone | Form::Never => unreachable!("such sites are left out"),
            Form::Value => {
                to.push("(");
                self.choose(to, site, |m| m.by.clone());
                to.push("{");
                inner(to, &site.place);
                to.push("})");
            }
            Form::Body { .. } => {
                for &n in &site.mutants {
                    to.push(&format!("if crate::mutated({n}) {{"));
                    to.change(n, &format!("return {};", self.mutants[n].by));
                    to.push("}\n");
                }
                inner(to, &site.place);
            }
            Form::Arithmetic(Operands {
                left,
                operator,
                right,
            }) => {
                to.push("(match (");
                inner(to, left);
                to.push(", ");
                inner(to, right);
                to.push(") { (__l, __r) => ");
                self.choose(to, site, |m| format!("__l {} __r", m.by));
                to.push(&format!("{{ __l {operator} __r }} }})"));
            }
            Form::Comparison(Operands {
                left,
                operator,
                right,
            }) => {
                to.push("(match (&(");
                inner(to, left);
                to.push("), &(");
                inner(to, right);
                to.push(")) { (__l, __r) => ");
                self.choose(to, site, |m| format!("*__l {} *__r", m.by));
                to.push(&format!("{{ *__l {operator} *__r }} }})"));
            }
            Form::Lazy(Operands {
                left,
                operator,
                right,
            }) => {
                to.push("({ let __l: bool = ");
                inner(to, left);
                to.push("; ");
                for &n in &site.mutants {
                    to.push(&format!("if crate::mutated({n}) {{"));
                    to.push(&format!("__l {} (", self.mutants[n].by));
                    inner(to, right);
                    to.push(") } else ");
                }
                to.push(&format!("{{ __l {operator} ("));
                inner(to, right);
                to.push(") } })");
            }
            Form::Assignment(Operands {
                left,
                operator,
                right,
            }) => {
                to.push("(match ");
                inner(to, right);
                to.push(" { __r => ");
                let target = &self.source[left.clone()];
                self.choose(to, site, |m| format!("{target} {} __r", m.by));
                to.push("{ ");
                inner(to, left);
                to.push(&format!(" {operator} __r }} }})"));
            }
            Form::Sign { operand } => {
                let sign = &self.source[site.place.start..operand.start];
                to.push("(match ");
                inner(to, operand);
                to.push(" { __v => ");
                self.choose(to, site, |_| "__v".to_owned());
                to.push(&format!("{{ {sign} __v }} }})"));
            }
            Form::Arm { guard } => {
                let chosen = site.mutants.iter();
                let kept: Vec<String> = chosen.map(|n| format!("!crate::mutated({n})")).collect();
                to.push(&format!(" if {}", kept.join(" && ")));
                if let Some(guard) = guard {
                    to.push(" && (");
                    inner(to, guard);
                    to.push(")");
                }
                to.push(" ");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(place: Range<usize>, by: &str) -> Mutant {
        Mutant {
            file: "a.rs".to_owned(),
            line: 1,
            column: place.start + 1,
            what: String::new(),
            place,
            by: by.to_owned(),
        }
    }

    #[test]
    fn changes_of_changed_parts_stand_inside_each_other() {
        let source = "a * b + c";
        let mutants = [mutant(6..7, "-"), mutant(2..3, "/")];
        let operands = |left, operator: &str, right| Operands {
            left,
            operator: operator.to_owned(),
            right,
        };
        let sites = [
            Site {
                place: 0..5,
                form: Form::Arithmetic(operands(0..1, "*", 4..5)),
                mutants: vec![1],
            },
            Site {
                place: 0..9,
                form: Form::Arithmetic(operands(0..5, "+", 8..9)),
                mutants: vec![0],
            },
        ];
        let schema = Schema::new(source, &sites, &mutants, |_| true);
        let words: Vec<&str> = schema.text.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "(match ( (match (a, b) { (__l, __r) => if crate::mutated(1) { __l / __r } else \
             { __l * __r } }) , c) { (__l, __r) => if crate::mutated(0) { __l - __r } else \
             { __l + __r } })"
        );
        let line = |part: &str| {
            let at = schema.text.find(part).expect("it is there");
            schema.text[..at].matches('\n').count() + 1
        };
        let owner = |part| schema.owner(line(part));
        assert_eq!(owner("__l / __r"), Some(&Owner::Mutant(1)));
        assert_eq!(owner("__l * __r"), Some(&Owner::Site(vec![1])));
        assert_eq!(owner("__l + __r"), Some(&Owner::Site(vec![0])));
        // One alone.
        assert_eq!(mutants[1].alone(source), "a / b + c");
        let one = Schema::new(source, &sites, &mutants, |n| n == 1);
        assert!(!one.text.contains("mutated(0)") && one.text.ends_with(" + c"));
    }
}
