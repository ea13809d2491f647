//! **Operators and bodies**: the mutants of `cargo mutants`.
//!
//! Which changes are tried is its list (`cargo mutants --list --json`); the parts
//! of the expressions around them are read here.

use super::mutant::{Form, Mutant, Operands, Site};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A place as compilers count it: line and column, from 1.
type Position = (usize, usize);

/// One entry of the list.
#[derive(Clone, Debug)]
pub struct Listed {
    file: String,
    what: String,
    genre: String,
    by: String,
    opaque: bool,
    start: Position,
    end: Position,
}

/// The mutants that `cargo mutants` knows of a package.
///
/// # Errors
/// If it is not installed, or its list cannot be read.
pub fn listed(root: &Path, package: &str) -> Result<Vec<Listed>, String> {
    let output = Command::new("cargo")
        .args(["mutants", "--list", "--json", "--package", package])
        .current_dir(root)
        .output();
    let output = output.map_err(|error| format!("cargo does not run: {error}"))?;
    let list: Vec<Value> = serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("no list").to_owned();
        format!("`cargo mutants --list`: {said} (cargo install cargo-mutants --locked)")
    })?;
    list.iter()
        .map(|entry| Listed::read(entry).ok_or_else(|| format!("not a mutant: {entry}")))
        .collect()
}

impl Listed {
    fn read(entry: &Value) -> Option<Self> {
        let text = |key: &str| Some(entry[key].as_str()?.to_owned());
        let at = |end: &str| {
            let place = &entry["span"][end];
            let number = |key: &str| Some(place[key].as_u64()? as usize);
            Some((number("line")?, number("column")?))
        };
        let name = text("name")?;
        // The name begins with file, line and column.
        let what = name.split_once(": ").map_or(&*name, |(_, what)| what);
        let returned = entry["function"]["return_type"].as_str().unwrap_or("");
        Some(Listed {
            file: text("file")?,
            what: what.to_owned(),
            genre: text("genre")?,
            by: text("replacement")?,
            opaque: returned.contains("impl "),
            start: at("start")?,
            end: at("end")?,
        })
    }

    /// The source that it changes.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }
}

/// The changes of a file, which are appended to those before.
///
/// # Errors
/// If the source does not parse.
pub fn sites(
    source: &str,
    listed: &[Listed],
    mutants: &mut Vec<Mutant>,
) -> Result<Vec<Site>, String> {
    let lines = Lines::new(source);
    let parsed = syn::parse_file(source).map_err(|error| error.to_string())?;
    let mut forms = Forms {
        lines: &lines,
        found: BTreeMap::new(),
    };
    forms.visit_file(&parsed);
    let mut sites: BTreeMap<(String, Position), Site> = BTreeMap::new();
    for one in listed {
        let place = lines.byte(one.start)..lines.byte(one.end);
        let (outer, form) = match &*one.genre {
            "FnValue" => (place.clone(), Form::Body { opaque: one.opaque }),
            "MatchArmGuard" => (place.clone(), Form::Value),
            _ => {
                let key = (one.genre.clone(), one.start);
                let found = forms.found.get(&key).cloned();
                found.unwrap_or((place.clone(), Form::Alone))
            }
        };
        let site = sites.entry((one.genre.clone(), one.start));
        let site = site.or_insert(Site {
            place: outer,
            form,
            mutants: Vec::new(),
        });
        site.mutants.push(mutants.len());
        mutants.push(Mutant {
            file: one.file.clone(),
            line: one.start.0,
            column: one.start.1,
            what: one.what.clone(),
            place,
            by: one.by.clone(),
        });
    }
    Ok(sites.into_values().collect())
}

/// Where the lines of a text begin.
struct Lines<'a> {
    source: &'a str,
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(source: &'a str) -> Self {
        let breaks = source.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            source,
            begins: std::iter::once(0).chain(breaks).collect(),
        }
    }

    fn byte(&self, (line, column): Position) -> usize {
        let begin = self.begins[line - 1];
        let rest = &self.source[begin..];
        let far = rest.char_indices().nth(column - 1);
        begin + far.map_or(rest.len(), |(at, _)| at)
    }

    fn start(&self, what: &impl Spanned) -> Position {
        let start = what.span().start();
        (start.line, start.column + 1)
    }

    fn range(&self, what: &impl Spanned) -> Range<usize> {
        let end = what.span().end();
        self.byte(self.start(what))..self.byte((end.line, end.column + 1))
    }
}

/// The forms of the expressions of a file, by genre and place of the change.
struct Forms<'a> {
    lines: &'a Lines<'a>,
    found: BTreeMap<(String, Position), (Range<usize>, Form)>,
}

/// Whether `let` stands in a condition, which then is no expression.
fn binds(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(both) => binds(&both.left) || binds(&both.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Forms<'_> {
    fn visit_expr_binary(&mut self, both: &'ast syn::ExprBinary) {
        use syn::BinOp;
        let place = self.lines.range(both);
        let operands = Operands {
            left: self.lines.range(&both.left),
            operator: self.lines.source[self.lines.range(&both.op)].to_owned(),
            right: self.lines.range(&both.right),
        };
        let form = match both.op {
            BinOp::And(_) | BinOp::Or(_) if binds(&both.left) || binds(&both.right) => Form::Never,
            BinOp::And(_) | BinOp::Or(_) => Form::Lazy(operands),
            BinOp::Eq(_)
            | BinOp::Ne(_)
            | BinOp::Lt(_)
            | BinOp::Le(_)
            | BinOp::Gt(_)
            | BinOp::Ge(_) => Form::Comparison(operands),
            _ if operands.operator.ends_with('=') => Form::Assignment(operands),
            _ => Form::Arithmetic(operands),
        };
        let key = ("BinaryOperator".to_owned(), self.lines.start(&both.op));
        self.found.insert(key, (place, form));
        visit::visit_expr_binary(self, both);
    }

    fn visit_expr_unary(&mut self, one: &'ast syn::ExprUnary) {
        let operand = self.lines.range(&one.expr);
        let key = ("UnaryOperator".to_owned(), self.lines.start(&one.op));
        self.found
            .insert(key, (self.lines.range(one), Form::Sign { operand }));
        visit::visit_expr_unary(self, one);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let (pattern, guard) = match &arm.pat {
            syn::Pat::Guard(guarded) => (&*guarded.pat, Some(&*guarded.guard)),
            pattern => (pattern, None),
        };
        let begin = self.lines.range(pattern).end;
        let end = self.lines.range(&arm.fat_arrow_token).start;
        let form = match guard {
            Some(guard) if binds(guard) => Form::Alone,
            _ => Form::Arm {
                guard: guard.map(|guard| self.lines.range(guard)),
            },
        };
        let key = ("MatchArm".to_owned(), self.lines.start(arm));
        self.found.insert(key, (begin..end, form));
        visit::visit_arm(self, arm);
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Schema;
    use super::*;

    const SOURCE: &str = "\
fn f(a: i64, b: i64, mut c: i64) -> bool {
    c += -a * b;
    let d = match c { 0 => a, x if x > b => b - 1, _ => !c };
    d == a && c != b || if let Some(e) = g(d) && e < 0 { true } else { false }
}
";

    /// What `cargo mutants` would say of a part of the source.
    fn entry(genre: &str, part: &str, by: &str) -> Listed {
        let at = SOURCE.find(part).expect("the part is there");
        let position = |at: usize| {
            let before = &SOURCE[..at];
            let begin = before.rfind('\n').map_or(0, |n| n + 1);
            (before.matches('\n').count() + 1, at - begin + 1)
        };
        let (start, end) = (position(at), position(at + part.len()));
        Listed {
            file: "a.rs".to_owned(),
            what: format!("{part} {by}"),
            genre: genre.to_owned(),
            by: by.to_owned(),
            opaque: false,
            start,
            end,
        }
    }

    /// The operator within a part of the source.
    fn within(genre: &str, part: &str, operator: &str, by: &str) -> Listed {
        let mut listed = entry(genre, part, by);
        listed.start.1 += part.find(operator).expect("it is there");
        listed.end.1 = listed.start.1 + operator.len();
        listed
    }

    /// Every form stands in the text that switches, which parses, and from which
    /// all that is changed can be taken again.
    #[test]
    fn each_form_of_expression_is_switched() {
        let body = SOURCE.split_once("{\n    ").expect("a body").1;
        let body = body.trim_end_matches("\n}\n");
        let mut listed = [
            entry("FnValue", body, "true"),
            entry("BinaryOperator", "+=", "-="),
            within("BinaryOperator", "-a * b", "*", "/"),
            entry("UnaryOperator", "-", ""),
            entry("MatchArm", "x if x > b => b - 1,", ""),
            entry("MatchArmGuard", "x > b", "true"),
            within("BinaryOperator", "x > b", ">", "<"),
            within("BinaryOperator", "b - 1", "-", "+"),
            entry("BinaryOperator", "==", "!="),
            within("BinaryOperator", "&& c", "&&", "||"),
            within("BinaryOperator", "|| if", "||", "&&"),
            within("BinaryOperator", "&& e", "&&", "||"),
        ];
        // An unary sign, not the one of `->`.
        listed[3].start = (2, 10);
        listed[3].end = (2, 11);
        let mut mutants = Vec::new();
        let sites = sites(SOURCE, &listed, &mut mutants).expect("the source parses");
        let form = |by: &str, line| {
            let number = mutants.iter().position(|m| m.by == by && m.line == line);
            let number = number.expect("there is one");
            let mut own = sites.iter().filter(|s| s.mutants.contains(&number));
            own.next().expect("a mutant has a site").form.clone()
        };
        assert!(matches!(form("true", 2), Form::Body { .. }));
        assert!(matches!(form("-=", 2), Form::Assignment(_)));
        assert!(matches!(form("/", 2), Form::Arithmetic(_)));
        assert!(matches!(form("", 2), Form::Sign { .. }));
        assert!(matches!(form("", 3), Form::Arm { guard: Some(_) }));
        assert!(matches!(form("true", 3), Form::Value));
        assert!(matches!(form("!=", 4), Form::Comparison(_)));
        assert!(matches!(form("&&", 4), Form::Lazy(_)));
        let never = sites.iter().filter(|s| s.form == Form::Never);
        assert_eq!(never.count(), 1, "a condition that binds is no expression");

        let schema = Schema::new(SOURCE, &sites, &mutants, |_| true);
        syn::parse_file(&schema.text).expect("the schema parses");
        for (n, mutant) in mutants.iter().enumerate() {
            let switched = schema.text.contains(&format!("mutated({n})"));
            let bound = mutant.what.starts_with("&& e");
            assert!(switched != bound, "{}", mutant.what);
            if !bound {
                let changed = mutant.alone(SOURCE);
                syn::parse_file(&changed).unwrap_or_else(|e| panic!("{}: {e}", mutant.what));
            }
        }
        let plain = Schema::new(SOURCE, &sites, &mutants, |_| false);
        assert_eq!(plain.text, SOURCE);
    }
}
