//! **Muon**: momentum, orthogonalised, for matrices.
//!
//! The velocity of a weight matrix has a few large singular values; a step
//! along it moves in a few directions only. Muon replaces all of them by
//! (about) 1:
//!
//! ```math
//! V \leftarrow \mu V + G, \qquad
//! W \leftarrow (1 - \eta\lambda)\,W - \eta\,\sqrt{\max(1,\, n/m)}\;\operatorname{orth}(G + \mu V) \tag{AD.29}
//! ```
//!
//! for a weight of `m` inputs and `n` outputs, stored `[m, n]`. The orthogonal
//! factor `UVᵀ` of `USVᵀ` comes from a polynomial of odd degree, which acts on
//! the singular values alone:
//!
//! ```math
//! X_0 = \frac{G}{\lVert G\rVert_F}, \qquad
//! X_{k+1} = a X_k + b\,(X_k X_k^{\mathsf T}) X_k + c\,(X_k X_k^{\mathsf T})^2 X_k,
//! \qquad \sigma \mapsto a\sigma + b\sigma^3 + c\sigma^5 \tag{AD.32}
//! ```
//!
//! with `(a, b, c) = (3.4445, −4.7750, 2.0315)`: five steps bring every
//! singular value above 0.01 of the norm into [0.68, 1.14], in place of
//! converging to 1. Everything that is not a matrix is left to AdamW. Jordan
//! and others 2024, *Muon: an optimizer for hidden layers in neural networks*.

use super::adam::{AdamConfig, AdamStep};
use super::{Memory, Optimiser};
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tensor::Tensor;
use crate::tree::Tree;

/// The constants of the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MuonConfig {
    /// `μ`, in [0, 1).
    pub momentum: f64,
    /// Whether the gradient is added to the velocity once more, as in the
    /// formula; else `orth(V)`.
    pub nesterov: bool,
    /// Steps of the polynomial.
    pub iterations: usize,
    /// `λ`, decoupled weight decay of the matrices.
    pub weight_decay: f64,
    /// For everything else.
    pub adam: AdamConfig,
    /// Its learning rate, as a multiple of the matrices' rate.
    pub adam_rate: f64,
}

impl Default for MuonConfig {
    /// The values of the authors: rates are around 0.02 for matrices and
    /// 3·10⁻⁴ for the rest.
    fn default() -> Self {
        MuonConfig {
            momentum: 0.95,
            nesterov: true,
            iterations: 5,
            weight_decay: 0.0,
            adam: AdamConfig::default(),
            adam_rate: 0.015,
        }
    }
}

/// The optimiser; it remembers `velocity` for matrices, `first` and `second`
/// for the rest, and empty arrays for what is not needed.
#[derive(Clone, Debug)]
pub struct Muon<M> {
    /// The constants.
    pub config: MuonConfig,
    memory: Memory<M>,
}

/// Arrays of two axes are matrices.
fn is_matrix<F: Real>(x: &Tensor<Cpu<F>>) -> bool {
    x.rank() == 2
}

impl<M> Muon<M> {
    /// No steps taken, moments zero.
    pub fn new<F: Real>(model: &M, config: MuonConfig) -> Self
    where
        M: Tree<Cpu<F>, With<Cpu<F>> = M>,
    {
        let mut memory = Memory::zeros(model, ["velocity", "first", "second"]);
        for (moment, tree) in &mut memory.moments {
            tree.each_mut(&mut |leaf| {
                if is_matrix(leaf) != (*moment == "velocity") {
                    *leaf = leaf.full_like(&[0], 0.0);
                }
            });
        }
        Muon { config, memory }
    }
}

impl<F: Real, M: Tree<Cpu<F>>> Optimiser<F, M> for Muon<M> {
    fn step(&mut self, model: &mut M, gradient: &M, rate: f64) {
        let c = self.config;
        let rest = AdamStep::new(c.adam, self.memory.steps + 1, rate * c.adam_rate);
        let keep = 1.0 - rate * c.weight_decay;
        self.memory
            .update(model, gradient, |theta, g, [v, first, second]| {
                if !is_matrix(theta) {
                    let (m, v) = (first.as_mut_slice(), second.as_mut_slice());
                    F::adam(rest, theta.as_mut_slice(), g.as_slice(), m, v);
                    return;
                }
                *v = c.momentum * &*v + g;
                let direction = match c.nesterov {
                    true => g + c.momentum * &*v,
                    false => v.clone(),
                };
                let (inputs, outputs) = (theta.size(0) as f64, theta.size(1) as f64);
                let scale = (outputs / inputs).max(1.0).sqrt();
                let step = (rate * scale) * orthogonalise(&direction, c.iterations);
                *theta = keep * &*theta - step; // (AD.29)
            });
    }
    fn memory(&self) -> &Memory<M> {
        &self.memory
    }
    fn memory_mut(&mut self) -> &mut Memory<M> {
        &mut self.memory
    }
}

/// The matrix with its singular values brought near 1, by `iterations` of the
/// polynomial; a matrix of zeros stays one.
///
/// # Panics
/// If `g` is not a matrix.
#[track_caller]
#[must_use]
pub fn orthogonalise<F: Real>(g: &Tensor<Cpu<F>>, iterations: usize) -> Tensor<Cpu<F>> {
    let shape = g.shape();
    assert!(
        shape.rank() == 2,
        "orthogonalise: a matrix was expected, the shape is {shape}"
    );
    // The products are as large as the shorter side.
    if shape[0] > shape[1] {
        return orthogonalise(&g.t(), iterations).t();
    }
    let squares = g.as_slice().iter().map(|&x| x.wide() * x.wide());
    let norm = squares.sum::<f64>().sqrt();
    if norm == 0.0 {
        return g.clone();
    }
    let mut x = g / norm;
    for _ in 0..iterations {
        let square = x.matmul(&x.t());
        let even = B * &square + C * square.matmul(&square);
        x = A * &x + even.matmul(&x); // (AD.32)
    }
    x
}

const A: f64 = 3.4445;
const B: f64 = -4.7750;
const C: f64 = 2.0315;
