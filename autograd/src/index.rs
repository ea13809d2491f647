//! **Index**: which rows to take, kept beside the arrays as integers.
//!
//! Row numbers are never stored as floating-point numbers: `f32` counts only
//! to 2²⁴.
//!
//! A GPU copies a list when it first meets it and knows it again by its
//! identity: clones are one list, equal lists made twice are two. So lists that
//! operations make for themselves are made once: those that a rule makes of a
//! few numbers are remembered, and those derived from another list are kept
//! with it.

use crate::shape::Shape;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// An immutable list of row numbers; cloning it is cheap.
#[derive(Clone)]
pub struct Index {
    list: Arc<List>,
}

struct List {
    rows: Box<[usize]>,
    derived: Mutex<Vec<(Derivation, Index)>>,
}

/// How a list comes from another: the axis, and the shapes of what is read and
/// of the result.
type Derivation = (usize, Shape, Shape);

/// Most lists that are remembered for all rules, or kept with one list.
const MOST: [usize; 2] = [1024, 8];

impl Index {
    /// The rows in the order given; a row may come more than once.
    #[must_use]
    pub fn new(rows: Vec<usize>) -> Self {
        let (rows, derived) = (rows.into(), Mutex::default());
        let list = Arc::new(List { rows, derived });
        Self { list }
    }

    /// The list that a rule makes of numbers: the same one each time.
    pub(crate) fn of_rule(
        rule: (&'static str, [usize; 4]),
        make: impl FnOnce() -> Vec<usize>,
    ) -> Self {
        type Made = HashMap<(&'static str, [usize; 4]), Index>;
        static MADE: Mutex<Option<Made>> = Mutex::new(None);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.get_or_insert_default();
        if let Some(index) = made.get(&rule) {
            return index.clone();
        }
        if made.len() >= MOST[0] {
            made.clear();
        }
        let index = Index::new(make());
        made.insert(rule, index.clone());
        index
    }

    /// The list that comes from this one: the same one each time.
    pub(crate) fn derived(
        &self,
        how: Derivation,
        make: impl FnOnce(&[usize]) -> Vec<usize>,
    ) -> Self {
        let derived = self.list.derived.lock();
        let mut derived = derived.unwrap_or_else(PoisonError::into_inner);
        if let Some((_, index)) = derived.iter().find(|(known, _)| *known == how) {
            return index.clone();
        }
        if derived.len() >= MOST[1] {
            derived.remove(0);
        }
        let index = Index::new(make(&self.list.rows));
        derived.push((how, index.clone()));
        index
    }

    /// What makes it this list and no other.
    #[cfg(feature = "cuda")]
    pub(crate) fn identity(&self) -> Arc<dyn std::any::Any + Send + Sync> {
        self.list.clone()
    }

    /// The row numbers.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        &self.list.rows
    }

    /// How many rows are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.rows.len()
    }

    /// Whether no row is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.rows.is_empty()
    }
}

/// Two lists are equal if their numbers are.
impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Index {}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Index").field(&self.as_slice()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &Index, b: &Index) -> bool {
        Arc::ptr_eq(&a.list, &b.list)
    }

    /// One test, because what is remembered is shared by all.
    #[test]
    fn what_operations_make_is_made_once_and_what_is_remembered_is_bounded() {
        let rule = |n| Index::of_rule(("test", [n, 0, 0, 0]), || vec![n]);
        let (three, four) = (rule(3), rule(4));
        assert!(same(&three, &rule(3)) && same(&four, &rule(4)));
        assert!(!same(&three, &four));
        let list = Index::new(vec![2, 1]);
        let shape = |n| Shape::new(&[n]);
        let double = |n| {
            let make = |rows: &[usize]| rows.iter().map(|row| 2 * row).collect();
            list.derived((0, shape(n), shape(2)), make)
        };
        assert_eq!(double(3).as_slice(), [4, 2]);
        assert!(same(&double(3), &double(3)) && !same(&double(3), &double(4)));
        let other = Index::new(vec![2, 1]);
        assert!(list == other && !same(&list, &other));
        assert!(list != Index::new(vec![1, 2]));
        assert_eq!(format!("{list:?}"), "Index([2, 1])");

        let list = Index::new(vec![0]);
        for n in 0..3 * MOST[0] {
            let rule = Index::of_rule(("many", [n, 0, 0, 0]), || vec![n]);
            assert_eq!(rule.as_slice(), [n]);
            let shape = Shape::new(&[n]);
            let own = list.derived((0, shape, shape), |_| vec![n]);
            assert_eq!(own.as_slice(), [n]);
        }
        assert_eq!(list.list.derived.lock().expect("no panic").len(), MOST[1]);
        assert!(!same(&three, &rule(3)), "the oldest are forgotten");
    }

    #[test]
    fn an_index_knows_whether_it_lists_anything() {
        let (none, two) = (Index::new(Vec::new()), Index::new(vec![4, 4]));
        assert!(none.is_empty() && !two.is_empty());
        assert_eq!((none.len(), two.len()), (0, 2));
        assert_eq!(two.as_slice(), [4, 4]);
    }
}
