//! **Einsum**: sums of products of two arrays, with a letter for each axis.
//!
//! Every such sum is a stack of matrix products once the axes stand in the
//! right order, so nothing here has a derivative of its own.

use crate::algebra::{Algebra, Transpose};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// Sums of products.
impl<A: Algebra> Tensor<A> {
    /// The sum of products of two arrays that `spec` describes, with a letter
    /// for each axis: `"bij,bjk->bik"` is a stack of matrix products.
    ///
    /// ```math
    /// y_{\text{result}} = \sum_{\text{letters not in the result}} a_{\text{left}}\; b_{\text{right}} \tag{AD.40}
    /// ```
    ///
    /// A letter twice in one operand means its diagonal; a letter that the
    /// result lacks is summed over, in one operand or in both. Without `->` the
    /// result has the letters that stand once in all, in alphabetical order,
    /// capitals first. Spaces mean nothing. Axes of one letter have one extent:
    /// an extent 1 is not stretched.
    ///
    /// Computed as diagonals, sums of what only one operand has, and one stack
    /// of matrix products; operands whose axes stand in another order are
    /// copied, except for a plain transposition.
    ///
    /// ```
    /// use autograd::{Cpu, Tensor};
    /// let a = Tensor::<Cpu<f64>>::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    /// let trace_of_product = Tensor::einsum("ij,ji->", &a, &a);
    /// assert_eq!(trace_of_product.item(), 1.0 + 6.0 + 6.0 + 16.0);
    /// ```
    ///
    /// # Panics
    /// If `spec` is not of this form or does not fit the shapes.
    #[track_caller]
    #[must_use]
    pub fn einsum(spec: &str, a: &Self, b: &Self) -> Self {
        let (s, t) = (a.shape(), b.shape());
        let Letters {
            left,
            right,
            result,
            extents,
        } = match Letters::read(spec, &s, &t) {
            Ok(letters) => letters,
            Err(what) => panic!("einsum {spec:?} of {s} and {t}: {what}"),
        };
        let (a, left) = without_repeats(a.clone(), left);
        let (b, right) = without_repeats(b.clone(), right);
        // What only one operand has, and the result has not, is summed at once.
        let (a, left) = summed_but(a, left, &[&right[..], &result].concat());
        let (b, right) = summed_but(b, right, &[&left[..], &result].concat());

        let keep = |from: &[char], in_left: bool, in_right: bool| -> Vec<char> {
            let fits = |l: &&char| left.contains(l) == in_left && right.contains(l) == in_right;
            from.iter().filter(fits).copied().collect()
        };
        let stack = keep(&result, true, true);
        let rows = keep(&result, true, false);
        let columns = keep(&result, false, true);
        let mut inner = keep(&left, true, true);
        inner.retain(|l| !result.contains(l));

        let (a, ta) = matrices(&a, &left, [&stack, &rows, &inner], &extents);
        let (b, tb) = matrices(&b, &right, [&stack, &inner, &columns], &extents);
        let product = if inner.is_empty() {
            a * b // [S, R, 1] with [S, 1, C]
        } else {
            a.matmul_with(ta, &b, tb) // (AD.40)
        };
        let order = [stack, rows, columns].concat();
        let shape: Vec<usize> = order.iter().map(|l| extents[l]).collect();
        permuted(&product.reshape(&shape), &order, &result)
    }
}

/// A specification, and the extent of each of its letters.
struct Letters {
    left: Vec<char>,
    right: Vec<char>,
    result: Vec<char>,
    extents: BTreeMap<char, usize>,
}

impl Letters {
    /// Reads a specification for operands of these shapes; the error says what
    /// is wrong.
    fn read(spec: &str, a: &Shape, b: &Shape) -> Result<Self, String> {
        let spec: String = spec.chars().filter(|c| !c.is_whitespace()).collect();
        let (operands, result) = match spec.split_once("->") {
            Some((operands, result)) => (operands, Some(result)),
            None => (&spec[..], None),
        };
        let (left, right) = operands
            .split_once(',')
            .ok_or("two operands with a comma between were expected")?;
        let (left, right) = (letters(left)?, letters(right)?);
        let mut extents = BTreeMap::new();
        for (side, letters, shape) in [("left", &left, a), ("right", &right, b)] {
            if letters.len() != shape.rank() {
                return Err(format!(
                    "the {side} operand has {} letters but {} axes",
                    letters.len(),
                    shape.rank()
                ));
            }
            for (&letter, &extent) in letters.iter().zip(shape.iter()) {
                let first = *extents.entry(letter).or_insert(extent);
                if first != extent {
                    return Err(format!(
                        "letter {letter:?} has extents {first} and {extent}"
                    ));
                }
            }
        }
        let both = [&left[..], &right].concat();
        let times = |letter: char| both.iter().filter(|&&l| l == letter).count();
        let result = match result {
            Some(result) => letters(result)?,
            // The keys of a BTreeMap are sorted.
            None => extents.keys().copied().filter(|&l| times(l) == 1).collect(),
        };
        for (place, letter) in result.iter().enumerate() {
            if times(*letter) == 0 {
                return Err(format!(
                    "letter {letter:?} of the result is in neither operand"
                ));
            }
            if result[..place].contains(letter) {
                return Err(format!("letter {letter:?} is twice in the result"));
            }
        }
        if result.len() > MAX_RANK {
            return Err(format!(
                "the result has {} axes, at most {MAX_RANK} are supported",
                result.len()
            ));
        }
        Ok(Letters {
            left,
            right,
            result,
            extents,
        })
    }
}

fn letters(text: &str) -> Result<Vec<char>, String> {
    match text.chars().find(|c| !c.is_ascii_alphabetic()) {
        Some(other) => Err(format!("{other:?} is not a letter")),
        None => Ok(text.chars().collect()),
    }
}

/// The diagonal of each pair of axes with one letter.
#[track_caller]
fn without_repeats<A: Algebra>(mut x: Tensor<A>, mut letters: Vec<char>) -> (Tensor<A>, Vec<char>) {
    while let Some((i, j)) = repeat(&letters) {
        let letter = letters[i];
        let mut axes: Vec<usize> = (0..letters.len()).filter(|&k| k != i && k != j).collect();
        letters = axes.iter().map(|&k| letters[k]).collect();
        letters.push(letter);
        axes.extend([i, j]);
        x = x.permute(&axes).diagonal();
    }
    (x, letters)
}

/// The first two places with one letter.
fn repeat(letters: &[char]) -> Option<(usize, usize)> {
    let second = |i: usize| (i + 1..letters.len()).find(|&j| letters[j] == letters[i]);
    (0..letters.len()).find_map(|i| second(i).map(|j| (i, j)))
}

/// The sum over the axes whose letters are not wanted.
#[track_caller]
fn summed_but<A: Algebra>(
    mut x: Tensor<A>,
    letters: Vec<char>,
    wanted: &[char],
) -> (Tensor<A>, Vec<char>) {
    let mut kept = Vec::new();
    for letter in letters {
        if wanted.contains(&letter) {
            kept.push(letter);
        } else {
            x = x.sum_axis(kept.len());
        }
    }
    (x, kept)
}

/// The axes put from one order of letters into another.
#[track_caller]
fn permuted<A: Algebra>(x: &Tensor<A>, from: &[char], to: &[char]) -> Tensor<A> {
    if from == to {
        return x.clone();
    }
    let place = |letter| from.iter().position(|l| l == letter);
    let axes: Vec<usize> = to.iter().filter_map(place).collect();
    x.permute(&axes)
}

/// The array as a stack of matrices with these three groups of axes; where
/// the last two groups stand the other way round, to be read transposed.
#[track_caller]
fn matrices<A: Algebra>(
    x: &Tensor<A>,
    letters: &[char],
    [stack, first, second]: [&[char]; 3],
    extents: &BTreeMap<char, usize>,
) -> (Tensor<A>, Transpose) {
    let size = |group: &[char]| group.iter().map(|l| extents[l]).product();
    let straight = [stack, first, second].concat();
    let crossed = [stack, second, first].concat();
    if letters == crossed && letters != straight {
        let shape = [size(stack), size(second), size(first)];
        return (x.reshape(&shape), Transpose::Yes);
    }
    let shape = [size(stack), size(first), size(second)];
    let x = permuted(x, letters, &straight);
    (x.reshape(&shape), Transpose::No)
}
