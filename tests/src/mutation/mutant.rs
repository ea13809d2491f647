//! **Mutant**: one small change of the program.

use std::ops::Range;

/// A change, with the place in the text that it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The source, from the root of the repository.
    pub file: String,
    /// Where the change stands, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is changed, in words.
    pub what: String,
    /// The bytes that are replaced.
    pub place: Range<usize>,
    /// What replaces them.
    pub by: String,
}

impl Mutant {
    /// The text with this change alone.
    #[must_use]
    pub fn alone(&self, source: &str) -> String {
        let (before, after) = (&source[..self.place.start], &source[self.place.end..]);
        format!("{before}{}{after}", self.by)
    }

    /// The line that the change stands on.
    #[must_use]
    pub fn around<'a>(&self, source: &'a str) -> &'a str {
        source.lines().nth(self.line - 1).unwrap_or("").trim()
    }

    /// What a result is kept under. Lines may move; the text on them may not.
    #[must_use]
    pub fn key(&self, source: &str) -> String {
        let (file, column) = (&self.file, self.column);
        format!("{file}\t{}\t{column}\t{}", self.what, self.around(source))
    }
}

/// How changes of one place can stand beside what is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// An expression, which is replaced whole.
    Value,
    /// The statements of a function, before which another may return.
    Body {
        /// Whether the function hides its type (`impl Trait`), so that what is
        /// right and what is changed cannot stand in one function.
        opaque: bool,
    },
    /// `left + right`, or another operator that evaluates both.
    Arithmetic(Operands),
    /// `left < right`, or another that only looks at both.
    Comparison(Operands),
    /// `left && right` or `left || right`.
    Lazy(Operands),
    /// `left += right`.
    Assignment(Operands),
    /// `-operand` or `!operand`, without its sign.
    Sign {
        /// The bytes behind the sign.
        operand: Range<usize>,
    },
    /// An arm of a `match`, left out: what stands from the end of its pattern to
    /// its arrow.
    Arm {
        /// Its condition, if it has one.
        guard: Option<Range<usize>>,
    },
    /// None is known: each change needs a build of its own.
    Alone,
    /// None is possible: a condition that binds (`a && let …`) cannot be changed
    /// to `||`.
    Never,
}

/// The parts of a binary expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operands {
    /// The left operand, in bytes.
    pub left: Range<usize>,
    /// The operator.
    pub operator: String,
    /// The right operand, in bytes.
    pub right: Range<usize>,
}

/// A place of a file with all changes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The bytes that a choice replaces.
    pub place: Range<usize>,
    /// How.
    pub form: Form,
    /// The numbers of the changes.
    pub mutants: Vec<usize>,
}
