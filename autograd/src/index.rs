//! **Index**: which rows to take, kept beside the arrays as integers.
//!
//! Row numbers are never stored as floating-point numbers: `f32` counts only
//! to 2²⁴.

use std::sync::Arc;

/// An immutable list of row numbers; cloning it is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    rows: Arc<[usize]>,
}

impl Index {
    /// The rows in the order given; a row may come more than once.
    #[must_use]
    pub fn new(rows: Vec<usize>) -> Self {
        Self { rows: rows.into() }
    }

    /// The row numbers.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        &self.rows
    }

    /// How many rows are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_knows_whether_it_lists_anything() {
        let (none, two) = (Index::new(Vec::new()), Index::new(vec![4, 4]));
        assert!(none.is_empty() && !two.is_empty());
        assert_eq!((none.len(), two.len()), (0, 2));
        assert_eq!(two.as_slice(), [4, 4]);
    }
}
