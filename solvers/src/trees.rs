//! **Rooted trees**: what the order of a Runge–Kutta method is counted with.
//!
//! Derivatives of `f(y)` along a solution are sums over rooted trees: a node is
//! an `f`, an edge a derivative with respect to `y`. A tree is either a single
//! node or a tree, the *stem*, to whose root another one, the *graft*, has been
//! tied by a new edge:
//!
//! ```math
//! \tau = \tau_1 \circ \tau_2, \qquad |\tau| = |\tau_1| + |\tau_2|
//! ```
//!
//! Children of a root are tied on in ascending order, so that each tree is
//! made exactly once, and its numbers follow from those of its two parts:
//!
//! ```math
//! \gamma(\tau) = \frac{|\tau|}{|\tau_1|}\,\gamma(\tau_1)\,\gamma(\tau_2), \qquad
//! \sigma(\tau) = m\,\sigma(\tau_1)\,\sigma(\tau_2) \tag{RK.6}
//! ```
//!
//! with density `γ`, symmetry `σ`, and `m` the number of children of `τ` equal
//! to `τ₂`. Butcher, *Numerical Methods for Ordinary Differential Equations*,
//! chapter 3; Hairer, Nørsett and Wanner, *Solving ODEs I*, II.2.
//!
//! ```
//! use solvers::trees::{TREES, first_of_order};
//! let four: Vec<String> = TREES[first_of_order(4)..first_of_order(5)]
//!     .iter().map(|tree| format!("{tree} γ={} σ={}", tree.density, tree.symmetry)).collect();
//! assert_eq!(four, ["[τττ] γ=4 σ=6", "[τ[τ]] γ=8 σ=1", "[[ττ]] γ=12 σ=2", "[[[τ]]] γ=24 σ=1"]);
//! ```

use crate::fraction::Fraction;
use crate::order::{Coefficients, Ring};
use std::fmt;

/// The largest order of the table.
pub const MOST_NODES: usize = 9;

/// The number of trees with at most [`MOST_NODES`] nodes:
/// 1 + 1 + 2 + 4 + 9 + 20 + 48 + 115 + 286.
pub const COUNT: usize = 486;

/// A rooted tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The number of nodes `|τ|`.
    pub order: usize,
    /// The place of the stem in [`TREES`]; of no meaning for a single node.
    pub stem: usize,
    /// The place of the graft.
    pub graft: usize,
    /// How many children of the root equal the graft.
    pub multiplicity: u64,
    /// The density `γ`.
    pub density: u64,
    /// The symmetry `σ`, the number of automorphisms.
    pub symmetry: u64,
}

impl Tree {
    const NODE: Self = Tree {
        order: 1,
        stem: 0,
        graft: 0,
        multiplicity: 0,
        density: 1,
        symmetry: 1,
    };

    /// `stem ∘ graft`, if no child of the stem comes after the graft.
    const fn tie(stem: (usize, &Self), graft: (usize, &Self)) -> Option<Self> {
        let bare = stem.1.order == 1;
        if !bare && stem.1.graft > graft.0 {
            return None;
        }
        let again = !bare && stem.1.graft == graft.0;
        let multiplicity = if again { stem.1.multiplicity + 1 } else { 1 };
        let order = stem.1.order + graft.1.order;
        Some(Tree {
            order,
            stem: stem.0,
            graft: graft.0,
            multiplicity,
            density: order as u64 * (stem.1.density / stem.1.order as u64) * graft.1.density, // (RK.6)
            symmetry: multiplicity * stem.1.symmetry * graft.1.symmetry,
        })
    }
}

/// All trees with at most nine nodes, in ascending order.
pub static TREES: [Tree; COUNT] = TABLE.0;

/// The trees, and the place of the first of each order.
const TABLE: ([Tree; COUNT], [usize; MOST_NODES + 2]) = {
    let mut trees = [Tree::NODE; COUNT];
    let mut first = [0; MOST_NODES + 2];
    let (mut count, mut order) = (1, 2);
    first[2] = 1;
    while order <= MOST_NODES {
        let mut size = 1;
        while size < order {
            let mut stem = first[order - size];
            while stem < first[order - size + 1] {
                let mut graft = first[size];
                while graft < first[size + 1] {
                    let tied = Tree::tie((stem, &trees[stem]), (graft, &trees[graft]));
                    if let Some(tree) = tied {
                        trees[count] = tree;
                        count += 1;
                    }
                    graft += 1;
                }
                stem += 1;
            }
            size += 1;
        }
        order += 1;
        first[order] = count;
    }
    assert!(count == COUNT, "every tree once");
    (trees, first)
};

/// The place in [`TREES`] of the first tree with this many nodes, from 1 to
/// ten, where ten stands for the end.
///
/// # Panics
/// If the order is larger.
#[must_use]
pub const fn first_of_order(order: usize) -> usize {
    TABLE.1[order]
}

/// A tree of the table by value, for constants.
pub(crate) const fn tree(place: usize) -> Tree {
    TABLE.0[place]
}

impl fmt::Display for Tree {
    /// Butcher's notation: `τ` is a single node and `[τ₁…τₘ]` joins trees to a
    /// new root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.order == 1 {
            return f.write_str("τ");
        }
        let mut children = Vec::new();
        let mut rest = self;
        while rest.order > 1 {
            children.push(&TREES[rest.graft]);
            rest = &TREES[rest.stem];
        }
        f.write_str("[")?;
        for child in children.iter().rev() {
            write!(f, "{child}")?;
        }
        f.write_str("]")
    }
}

/// The elementary weights of a tree, `Φᵢ(τ)` of each stage and their sum with
/// the weights of the result, to be printed beside what a condition asks for.
///
/// ```
/// use solvers::methods::RK4_TABLEAU;
/// use solvers::trees::{ElementaryWeights, TREES};
/// let method = RK4_TABLEAU.coefficients(|fraction| fraction);
/// let printed = ElementaryWeights::of(&method, 2)[1].to_string();
/// assert_eq!(printed, "[τ]: Φ = (0, 1/2, 1/2, 1), b·Φ = 1/2, 1/γ = 1/2");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ElementaryWeights<R> {
    /// The tree.
    pub tree: Tree,
    /// `Φᵢ(τ)` of each stage.
    pub stages: Vec<R>,
    /// `Σ bᵢΦᵢ(τ)`.
    pub result: R,
}

impl<R: Ring> ElementaryWeights<R> {
    /// Those of a method, for every tree with at most `nodes` nodes.
    ///
    /// # Panics
    /// If `nodes` exceeds [`MOST_NODES`].
    #[must_use]
    pub fn of(method: &Coefficients<R>, nodes: usize) -> Vec<Self> {
        let one = |(stages, tree): (Vec<R>, &Tree)| {
            let products = method.b.iter().zip(&stages).map(|(b, phi)| b.times(phi));
            ElementaryWeights {
                tree: *tree,
                result: products.fold(R::integer(0), |sum, x| sum.plus(&x)),
                stages,
            }
        };
        let weights = method.elementary_weights(nodes).into_iter();
        weights.zip(&TREES).map(one).collect()
    }
}

impl<R: fmt::Display> fmt::Display for ElementaryWeights<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: Φ = (", self.tree)?;
        for (i, phi) in self.stages.iter().enumerate() {
            write!(f, "{}{phi}", if i == 0 { "" } else { ", " })?;
        }
        let asked = Fraction::new(1, i128::from(self.tree.density));
        write!(f, "), b·Φ = {}, 1/γ = {asked}", self.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const NUMBERS: [usize; MOST_NODES] = [1, 1, 2, 4, 9, 20, 48, 115, 286];

    fn factorial(n: usize) -> u64 {
        (1..=n as u64).product()
    }

    /// Two identities of Cayley's: with `n` nodes, labelled trees number
    /// `Σ n!/σ = nⁿ⁻¹`, and those labelled in ascending order `Σ n!/(σγ) =
    /// (n − 1)!`. So neither a tree nor a factor is missing.
    ///
    /// Verifies (RK.6).
    #[test]
    fn the_trees_are_all_there_with_their_densities_and_symmetries() {
        let mut names = BTreeSet::new();
        for (n, count) in (1..).zip(NUMBERS) {
            let trees = &TREES[first_of_order(n)..first_of_order(n + 1)];
            assert_eq!(trees.len(), count);
            assert!(trees.iter().all(|tree| tree.order == n));
            let labelled: u64 = trees.iter().map(|t| factorial(n) / t.symmetry).sum();
            assert_eq!(labelled, (n as u64).pow(n as u32 - 1));
            let ascending: u64 = trees
                .iter()
                .map(|t| factorial(n) / (t.symmetry * t.density))
                .sum();
            assert_eq!(ascending, factorial(n - 1));
            names.extend(trees.iter().map(ToString::to_string));
        }
        assert_eq!(names.len(), COUNT, "no tree stands there twice");
    }

    #[test]
    fn known_trees_have_their_known_numbers() {
        // Hairer, Nørsett and Wanner, II.2, table 2.1 and 2.2.
        let find = |name: &str| {
            let found = TREES.iter().find(|tree| tree.to_string() == name);
            found.map(|tree| (tree.density, tree.symmetry))
        };
        assert_eq!(find("[ττττ]"), Some((5, 24)));
        assert_eq!(find("[[τ][τ]]"), Some((20, 2)));
        assert_eq!(find("[ττ[τ]]"), Some((10, 2)));
        assert_eq!(find("[[[[τ]]]]"), Some((120, 1)));
        assert_eq!(find("[[τ]τ]"), None, "children stand in ascending order");
    }

    fn printed(method: &Coefficients<Fraction>, nodes: usize) -> Vec<String> {
        let all = ElementaryWeights::of(method, nodes);
        all.iter().map(ToString::to_string).collect()
    }

    /// By hand: `A1 = c`, `c²`, `Ac`, `c³`, `c·Ac`, `Ac²`, `A²c`.
    #[test]
    fn elementary_weights_are_printed_as_one_writes_them() {
        use crate::methods::{DORMAND_PRINCE_TABLEAU, RK4_TABLEAU};
        let rk4 = printed(&RK4_TABLEAU.coefficients(|x| x), 4);
        assert_eq!(
            rk4,
            [
                "τ: Φ = (1, 1, 1, 1), b·Φ = 1, 1/γ = 1",
                "[τ]: Φ = (0, 1/2, 1/2, 1), b·Φ = 1/2, 1/γ = 1/2",
                "[ττ]: Φ = (0, 1/4, 1/4, 1), b·Φ = 1/3, 1/γ = 1/3",
                "[[τ]]: Φ = (0, 0, 1/4, 1/2), b·Φ = 1/6, 1/γ = 1/6",
                "[τττ]: Φ = (0, 1/8, 1/8, 1), b·Φ = 1/4, 1/γ = 1/4",
                "[τ[τ]]: Φ = (0, 0, 1/8, 1/2), b·Φ = 1/8, 1/γ = 1/8",
                "[[ττ]]: Φ = (0, 0, 1/8, 1/4), b·Φ = 1/12, 1/γ = 1/12",
                "[[[τ]]]: Φ = (0, 0, 0, 1/4), b·Φ = 1/24, 1/γ = 1/24",
            ]
        );
        // The stages of Dormand and Prince satisfy Ac = c²/2 but for the second,
        // whose weight is 0.
        let pair = printed(&DORMAND_PRINCE_TABLEAU.coefficients(|x| x), 3);
        assert_eq!(
            pair,
            [
                "τ: Φ = (1, 1, 1, 1, 1, 1, 1), b·Φ = 1, 1/γ = 1",
                "[τ]: Φ = (0, 1/5, 3/10, 4/5, 8/9, 1, 1), b·Φ = 1/2, 1/γ = 1/2",
                "[ττ]: Φ = (0, 1/25, 9/100, 16/25, 64/81, 1, 1), b·Φ = 1/3, 1/γ = 1/3",
                "[[τ]]: Φ = (0, 0, 9/200, 8/25, 32/81, 1/2, 1/2), b·Φ = 1/6, 1/γ = 1/6",
            ]
        );
        // A wrong weight shows itself beside what is asked for.
        let mut wrong = RK4_TABLEAU.coefficients(|x| x);
        wrong.b[3] = Fraction::new(1, 3);
        assert_eq!(
            printed(&wrong, 2)[1],
            "[τ]: Φ = (0, 1/2, 1/2, 1), b·Φ = 2/3, 1/γ = 1/2"
        );
    }
}
