//! **Order conditions**: how far a method agrees with the exact solution.
//!
//! With the elementary weights of the stages
//!
//! ```math
//! \Phi_i(\bullet) = 1, \qquad
//! \Phi_i(\tau_1 \circ \tau_2) = \Phi_i(\tau_1) \sum_j a_{ij}\,\Phi_j(\tau_2) \tag{RK.7}
//! ```
//!
//! the result has order `p` if (RK.3) holds for every tree with at most `p`
//! nodes; the difference of two results, the error estimate, vanishes to order
//! `p̂` if `Σ eᵢΦᵢ(τ) = 0` for every tree with at most `p̂`; and dense output
//! has order `q` if for every tree with at most `q`, as polynomials,
//!
//! ```math
//! \sum_i b_i(\theta)\,\Phi_i(\tau) = \frac{\theta^{|\tau|}}{\gamma(\tau)} \tag{RK.8}
//! ```
//!
//! Conditions do not see a scaled estimate, and do not say how large an error
//! is. For that there are the norms of the leading error coefficients,
//!
//! ```math
//! T_{p+1} = \Bigl(\sum_{|\tau| = p+1} \Bigl(\frac{1}{\sigma(\tau)}
//! \Bigl(\sum_i b_i\Phi_i(\tau) - \frac1{\gamma(\tau)}\Bigr)\Bigr)^2\Bigr)^{1/2},
//! \qquad E = \Bigl(\sum_{|\tau| = \hat p+1} \Bigl(\frac{1}{\sigma(\tau)}
//! \sum_i e_i\Phi_i(\tau)\Bigr)^2\Bigr)^{1/2} \tag{RK.9}
//! ```
//!
//! Everything here is generic over the numbers: the stepper's own doubles, or
//! exact ones.

use crate::dense::power_coefficient;
use crate::trees::{MOST_NODES, TREES, Tree, first_of_order};

/// Numbers that can be added and multiplied.
pub trait Ring: Clone {
    /// A whole number.
    fn integer(n: i64) -> Self;
    /// The sum.
    #[must_use]
    fn plus(&self, other: &Self) -> Self;
    /// The product.
    #[must_use]
    fn times(&self, other: &Self) -> Self;
}

impl Ring for f64 {
    fn integer(n: i64) -> Self {
        n as f64
    }
    fn plus(&self, other: &Self) -> Self {
        self + other
    }
    fn times(&self, other: &Self) -> Self {
        self * other
    }
}

/// A method's coefficients as vectors of numbers, zeros included.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients<R> {
    /// The nodes.
    pub c: Vec<R>,
    /// The matrix, a row for each stage.
    pub a: Vec<Vec<R>>,
    /// The weights.
    pub b: Vec<R>,
    /// Differences `b̂ − b` of embedded weights: none, one, or DOP853's two.
    pub error: Vec<Vec<R>>,
    /// Dense output: weights of the functions (RK.10), the first being `b`.
    pub dense: Vec<Vec<R>>,
}

impl<R: Ring> Coefficients<R> {
    /// `Φᵢ(τ)` of each stage, for every tree with at most `nodes` nodes.
    ///
    /// # Panics
    /// If `nodes` exceeds [`MOST_NODES`].
    #[must_use]
    pub fn elementary_weights(&self, nodes: usize) -> Vec<Vec<R>> {
        let mut weights: Vec<Vec<R>> = vec![vec![R::integer(1); self.a.len()]];
        for tree in &TREES[1..first_of_order(nodes + 1)] {
            let (stem, graft) = (&weights[tree.stem], &weights[tree.graft]);
            let tied = self.a.iter().zip(stem);
            let tied = tied.map(|(row, stem)| stem.times(&dot(row, graft))); // (RK.7)
            weights.push(tied.collect());
        }
        weights
    }

    /// `γ(τ)·Σ bᵢΦᵢ(τ) − 1` for each tree, as in `elementary_weights`.
    #[must_use]
    pub fn residuals(&self, nodes: usize) -> Vec<R> {
        let weights = self.elementary_weights(nodes);
        let pairs = weights.iter().zip(&TREES);
        pairs
            .map(|(phi, tree)| defect(&self.b, phi, tree))
            .collect()
    }

    /// `Σ eᵢΦᵢ(τ)` for each tree, for one of the rows of `error`.
    #[must_use]
    pub fn error_residuals(&self, row: &[R], nodes: usize) -> Vec<R> {
        let weights = self.elementary_weights(nodes);
        weights.iter().map(|phi| dot(row, phi)).collect()
    }

    /// For each tree the coefficients of `θ, θ², …` in the difference of both
    /// sides of (RK.8), times `γ`.
    #[must_use]
    pub fn dense_residuals(&self, nodes: usize) -> Vec<Vec<R>> {
        let weights = self.elementary_weights(nodes);
        let degrees = self.dense.len().max(nodes);
        let one = |(phi, tree): (&Vec<R>, &Tree)| {
            let moments: Vec<R> = self.dense.iter().map(|row| dot(row, phi)).collect();
            let coefficient = |power: usize| {
                let terms = moments.iter().enumerate();
                let sum = terms.fold(R::integer(0), |sum, (m, moment)| {
                    sum.plus(&moment.times(&R::integer(power_coefficient(m, power))))
                });
                let right = -i64::from(power == tree.order);
                let left = sum.times(&R::integer(tree.density as i64));
                left.plus(&R::integer(right)) // (RK.8)
            };
            (1..=degrees).map(coefficient).collect()
        };
        weights.iter().zip(&TREES).map(one).collect()
    }
}

/// `γ·b·Φ − 1`.
fn defect<R: Ring>(b: &[R], phi: &[R], tree: &Tree) -> R {
    let left = dot(b, phi).times(&R::integer(tree.density as i64));
    left.plus(&R::integer(-1))
}

fn dot<R: Ring>(u: &[R], v: &[R]) -> R {
    let products = u.iter().zip(v).map(|(u, v)| u.times(v));
    products.fold(R::integer(0), |sum, x| sum.plus(&x))
}

/// What is below this is zero for a method in doubles: the conditions,
/// multiplied by densities of up to 5040 where they must hold, are sums of
/// products of coefficients up to 400, so rounding leaves near 1e-8 of them,
/// and where they fail at all they fail by more than 1e-6.
const ROUNDING: f64 = 1e-7;

impl Coefficients<f64> {
    /// The order of the result.
    #[must_use]
    pub fn order(&self) -> usize {
        leading(self.residuals(MOST_NODES).iter().map(|x| x.abs()))
    }

    /// The order to which an error estimate vanishes.
    #[must_use]
    pub fn error_order(&self, row: &[f64]) -> usize {
        leading(
            self.error_residuals(row, MOST_NODES)
                .iter()
                .map(|x| x.abs()),
        )
    }

    /// The order of the dense output.
    #[must_use]
    pub fn dense_order(&self) -> usize {
        let size = |x: &Vec<f64>| x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        leading(self.dense_residuals(MOST_NODES).iter().map(size))
    }

    /// The largest defect of `Σⱼ aᵢⱼ = cᵢ`.
    #[must_use]
    pub fn row_sum_defect(&self) -> f64 {
        let rows = self.a.iter().zip(&self.c);
        let defects = rows.map(|(row, c)| (row.iter().sum::<f64>() - c).abs());
        defects.fold(0.0, f64::max)
    }

    /// The norm of the leading error coefficients, for a method of order at
    /// most 8.
    #[must_use]
    pub fn error_norm(&self) -> f64 {
        let residuals = self.residuals(self.order() + 1);
        norm(residuals.iter().zip(&TREES).map(|(x, tree)| {
            (x / tree.density as f64, tree) // γ is taken out again.
        }))
    }

    /// The norm of the leading coefficients of an error estimate.
    #[must_use]
    pub fn estimator_norm(&self, row: &[f64]) -> f64 {
        let residuals = self.error_residuals(row, self.error_order(row) + 1);
        norm(residuals.into_iter().zip(&TREES))
    }
}

/// The number of nodes up to which all residuals vanish.
fn leading(residuals: impl Iterator<Item = f64>) -> usize {
    let mut pairs = residuals.zip(&TREES);
    // Written so that a NaN does not pass.
    let first = pairs.find(|(residual, _)| !(*residual <= ROUNDING));
    first.map_or(MOST_NODES, |(_, tree)| tree.order - 1)
}

/// (RK.9) over the trees of the highest order.
fn norm<'a>(coefficients: impl Iterator<Item = (f64, &'a Tree)>) -> f64 {
    let all: Vec<(f64, &Tree)> = coefficients.collect();
    let highest = all.last().map_or(0, |(_, tree)| tree.order);
    let leading = all.iter().filter(|(_, tree)| tree.order == highest);
    let squares = leading.map(|(x, tree)| (x / tree.symmetry as f64).powi(2));
    squares.sum::<f64>().sqrt() // (RK.9)
}
