//! Sums of products against a loop over all letters.

use super::{Plain, close, distance, held, holds_in_f32, passes, plain};
use crate::panic_text;
use autograd::check::{Program, check, sample};
use autograd::{Algebra, Tensor};

struct Einsum(&'static str);
impl Program for Einsum {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        Tensor::einsum(self.0, &x[0], &x[1])
    }
}

/// Extents that differ pairwise; `z` is empty and `o` a single place.
fn extent(letter: char) -> usize {
    "zoijklAb"
        .find(letter)
        .expect("a letter of these specifications")
}

fn operands(spec: &str) -> [Plain; 2] {
    let spec = spec.replace(' ', "");
    let both = spec.split("->").next().expect("a split has a first part");
    let (a, b) = both.split_once(',').expect("two operands");
    let shape = |letters: &str| letters.chars().map(extent).collect::<Vec<_>>();
    [
        sample(&shape(a), (-1.0, 1.0), 1),
        sample(&shape(b), (0.2, 2.0), 2),
    ]
}

/// What a specification means, letter by letter: the numbers, and the sums of
/// magnitudes with the number of terms, for the bound on rounding.
fn naive(spec: &str, a: &Plain, b: &Plain) -> (Vec<usize>, Vec<f64>, f64) {
    let spec = spec.replace(' ', "");
    let (both, result) = match spec.split_once("->") {
        Some((both, result)) => (both, result.to_owned()),
        None => {
            let mut once: Vec<char> = spec.chars().filter(|&c| c != ',').collect();
            once.sort_unstable();
            let all = once.clone();
            once.retain(|c| all.iter().filter(|d| *d == c).count() == 1);
            (&spec[..], once.into_iter().collect())
        }
    };
    let (left, right) = both.split_once(',').expect("two operands");
    let mut letters: Vec<(char, usize)> = Vec::new();
    for (names, x) in [(left, a), (right, b)] {
        for (letter, &extent) in names.chars().zip(x.shape().iter()) {
            if letters.iter().all(|&(l, _)| l != letter) {
                letters.push((letter, extent));
            }
        }
    }
    let extent_of = |c: char| letters.iter().find(|&&(l, _)| l == c).expect("known").1;
    let shape: Vec<usize> = result.chars().map(extent_of).collect();
    let mut sums = vec![0.0; shape.iter().product()];
    let mut magnitude = vec![0.0; sums.len()];
    let total: usize = letters.iter().map(|&(_, n)| n).product();
    for mut number in 0..total {
        let mut at = Vec::new();
        for &(letter, n) in &letters {
            at.push((letter, number % n));
            number /= n;
        }
        let place = |names: &str| {
            names.chars().fold(0, |place, c| {
                let i = at.iter().find(|&&(l, _)| l == c).expect("known").1;
                place * extent_of(c) + i
            })
        };
        let term = a.as_slice()[place(left)] * b.as_slice()[place(right)];
        sums[place(&result)] += term;
        magnitude[place(&result)] += term.abs();
    }
    // Both sides round each product and each of at most `total` additions.
    let largest = magnitude.iter().fold(0.0, |m: f64, &x| m.max(x));
    (shape, sums, (total + 2) as f64 * f64::EPSILON * largest)
}

/// Verifies (AD.40).
#[test]
fn every_kind_of_specification_against_a_loop_over_its_letters() {
    let specs = [
        "ij,jk->ik",
        "ij,jk->ki",
        "kij,kjl->kil",
        "kij,klj->kil",
        "kji,kjl->kil",
        "kji,klj->kil",
        "jik,lkj->kli",
        "ijkl,ijlA->ijkA",
        // Products without a sum, and sums to a number.
        "ij,ij->",
        "ij,ji->",
        "ij,ij->ij",
        "ij,ji->ji",
        "ij,ij->i",
        "i,j->ji",
        "ij,kl->ljki",
        "i,i->",
        // Several letters in each part.
        "ijk,jil->kl",
        "ijk,kjil->l",
        // A letter that only one operand has.
        "ijk,k->k",
        "ijk,jl->i",
        "ijk,l->",
        // Repeated letters.
        "ii,ij->j",
        "ii,i->i",
        "iij,jk->ik",
        "iij,jj->i",
        "iii,ki->ki",
        "ijij,jk->ik",
        "jj,kk->",
        "ijj,jji->ij",
        // Numbers as operands.
        ",->",
        ",ij->ji",
        "ij,->j",
        // The result left out; spaces; capitals.
        "ij,jk",
        "jb,Ab",
        "ij,ji",
        " ij , j k -> k i ",
        "Ai,Aj->ji",
        // Empty axes and single places.
        "zj,jk->zk",
        "iz,zk->ik",
        "iz,jz->",
        "ij,zj->zi",
        "ooi,ok->ik",
        "oi,ok->ko",
        "zi,zi->i",
    ];
    for spec in specs {
        let at = operands(spec);
        let (shape, sums, allowed) = naive(spec, &at[0], &at[1]);
        let y = Tensor::einsum(spec, &at[0], &at[1]);
        assert_eq!(y.shape()[..], shape, "{spec}");
        close(spec, &y, &sums, allowed);
        passes(spec, &Einsum(spec), &at);
    }
}

#[test]
fn single_precision_loses_only_its_own_digits() {
    let spec = "ijkl,kjb->ibl";
    holds_in_f32(spec, &Einsum(spec), &operands(spec));
}

/// A factor whose derivative is lost.
struct Halved;
impl Program for Halved {
    fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
        Tensor::einsum("ij,jk->ik", &x[0], &held(&x[1]))
    }
}

#[test]
fn wrong_twins_are_rejected() {
    // One extent for all letters: the shapes cannot tell.
    let (a, b) = (
        sample(&[3, 3, 3], (-1.0, 1.0), 1),
        sample(&[3, 3], (-1.0, 1.0), 2),
    );
    for (right, wrong) in [
        ("ijk,kl->ijl", "ijk,kl->jil"),
        ("ijk,kl->ijl", "ijk,lk->ijl"),
        ("iij,jk->ik", "ihj,jk->ik"),
        ("ijk,jk->i", "ijk,kj->i"),
    ] {
        let (_, sums, allowed) = naive(right, &a, &b);
        let d = |spec| distance(Tensor::einsum(spec, &a, &b).as_slice(), &sums);
        assert!(d(right) <= allowed, "{right}");
        assert!(d(wrong) > 1e-3, "{wrong} passes for {right}");
    }
    let at = operands("ij,jk->ik");
    assert_eq!(
        check(&Halved, &at).unwrap_err().law,
        "jvp equals extrapolated differences"
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let (a, b) = (plain(&[2, 3], &[0.0; 6]), plain(&[4, 3], &[0.0; 12]));
    let head = |spec: &str| format!("einsum {spec:?} of [2, 3] and [4, 3]: ");
    for (spec, complaint) in [
        ("ij,jk->ik", "letter 'j' has extents 3 and 4"),
        ("ii,jk->ik", "letter 'i' has extents 2 and 3"),
        ("ij->ij", "two operands with a comma between were expected"),
        ("", "two operands with a comma between were expected"),
        ("ij,kj,k->i", "',' is not a letter"),
        ("i...,kj->ik", "'.' is not a letter"),
        ("ij,kj->i1", "'1' is not a letter"),
        ("ij,kj->i->k", "'-' is not a letter"),
        ("ijk,kj->i", "the left operand has 3 letters but 2 axes"),
        ("ij,j->i", "the right operand has 1 letters but 2 axes"),
        (
            "ij,kj->ix",
            "letter 'x' of the result is in neither operand",
        ),
        ("ij,kj->ii", "letter 'i' is twice in the result"),
    ] {
        assert_eq!(
            panic_text(|| Tensor::einsum(spec, &a, &b)),
            head(spec) + complaint
        );
    }
    let c = plain(&[1, 1, 1, 1], &[0.0]);
    assert_eq!(
        panic_text(|| Tensor::einsum("abcd,efgh", &c, &c)),
        "einsum \"abcd,efgh\" of [1, 1, 1, 1] and [1, 1, 1, 1]: \
         the result has 8 axes, at most 6 are supported"
    );
    // Six are.
    let [a3, b3] = [
        plain(&[1, 1, 2], &[1.0, 2.0]),
        plain(&[3, 1, 1], &[3.0, 4.0, 5.0]),
    ];
    let outer = Tensor::einsum("abc,def->abcdef", &a3, &b3);
    assert_eq!(outer.shape()[..], [1, 1, 2, 3, 1, 1]);
    assert_eq!(outer.to_vec(), [3.0, 4.0, 5.0, 6.0, 8.0, 10.0]);
    // One is not stretched.
    let one = plain(&[1, 3], &[0.0; 3]);
    assert!(panic_text(|| Tensor::einsum("ij,ij->ij", &a, &one)).contains("extents 2 and 1"));
}
