//! **Adam** and AdamW: gradient descent with running moments.
//!
//! ```math
//! m \leftarrow \beta_1 m + (1-\beta_1) g, \quad
//! v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
//! \theta \leftarrow (1 - \eta\lambda)\,\theta
//!   - \eta\,\frac{m/(1-\beta_1^n)}{\sqrt{v/(1-\beta_2^n)} + \varepsilon} \tag{AD.12}
//! ```
//!
//! Kingma and Ba 2015, algorithm 1; decoupled decay `λ` after Loshchilov and
//! Hutter 2019 (`λ = 0` is Adam). Step number `n` counts from 1.

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tensor::Tensor;
use crate::tree::Tree;

/// The constants of the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// `β₁`, memory of the mean.
    pub beta1: f64,
    /// `β₂`, memory of the square.
    pub beta2: f64,
    /// `ε`, added to the root.
    pub epsilon: f64,
    /// `λ`, decoupled weight decay.
    pub weight_decay: f64,
}

impl Default for AdamConfig {
    /// The values of the paper, without decay.
    fn default() -> Self {
        AdamConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// The state of the optimiser: the moments have the structure of the model.
#[derive(Clone, Debug)]
pub struct Adam<M> {
    /// The constants.
    pub config: AdamConfig,
    /// Steps taken.
    pub steps: u64,
    /// `m`.
    pub first: M,
    /// `v`.
    pub second: M,
}

impl<M> Adam<M> {
    /// No steps taken, moments zero.
    pub fn new<F: Real>(model: &M, config: AdamConfig) -> Self
    where
        M: Tree<Cpu<F>, With<Cpu<F>> = M>,
    {
        let zeros = || model.map(&mut |leaf| leaf.zeros_like());
        Adam {
            config,
            steps: 0,
            first: zeros(),
            second: zeros(),
        }
    }

    /// One step at learning rate `eta`, in place.
    pub fn step<F: Real>(&mut self, model: &mut M, gradient: &M, eta: f64)
    where
        M: Tree<Cpu<F>>,
    {
        self.steps += 1;
        let n = self.steps as f64;
        let c = self.config;
        // The bias corrections, folded into the step and the ε of the root:
        // (m/c₁)/(√(v/c₂) + ε) = (√c₂/c₁)·m/(√v + ε√c₂).
        let correction1 = 1.0 - c.beta1.powf(n);
        let root2 = (1.0 - c.beta2.powf(n)).sqrt();
        let constants = AdamStep {
            beta1: F::from_f64(c.beta1),
            beta2: F::from_f64(c.beta2),
            rate: F::from_f64(eta * root2 / correction1),
            epsilon: F::from_f64(c.epsilon * root2),
            keep: F::from_f64(1.0 - eta * c.weight_decay),
        };
        let mut gradients = gradient.leaves().into_iter();
        let (mut firsts, mut seconds) = (take(&mut self.first), take(&mut self.second));
        let (mut m, mut v) = (firsts.iter_mut(), seconds.iter_mut());
        model.each_mut(&mut |parameter| {
            let places = (gradients.next(), m.next(), v.next());
            let (Some(g), Some(m), Some(v)) = places else {
                panic!("adam: model, gradient and moments have one structure");
            };
            let (m, v) = (m.as_mut_slice(), v.as_mut_slice());
            F::adam(constants, parameter.as_mut_slice(), g.as_slice(), m, v);
        });
        put(&mut self.first, firsts);
        put(&mut self.second, seconds);
    }
}

/// The constants of one step.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep<F> {
    pub(crate) beta1: F,
    pub(crate) beta2: F,
    pub(crate) rate: F,
    pub(crate) epsilon: F,
    pub(crate) keep: F,
}

impl<F: Real> AdamStep<F> {
    /// One step for one parameter. (AD.12)
    #[inline(always)]
    pub(crate) fn apply(self, theta: &mut F, g: F, m: &mut F, v: &mut F) {
        let one = F::one();
        *m = self.beta1 * *m + (one - self.beta1) * g;
        *v = self.beta2 * *v + (one - self.beta2) * g * g;
        *theta = self.keep * *theta - self.rate * *m / (v.sqrt() + self.epsilon); // (AD.12)
    }
}

/// Moves the leaves out, so that each is its buffer's only holder.
fn take<A: Algebra, M: Tree<A>>(tree: &mut M) -> Vec<Tensor<A>> {
    let mut leaves = Vec::new();
    tree.each_mut(&mut |leaf| {
        let empty = leaf.full_like(&[0], 0.0);
        leaves.push(std::mem::replace(leaf, empty));
    });
    leaves
}

/// Moves them back.
fn put<A: Algebra, M: Tree<A>>(tree: &mut M, leaves: Vec<Tensor<A>>) {
    let mut leaves = leaves.into_iter();
    tree.each_mut(&mut |leaf| {
        if let Some(own) = leaves.next() {
            *leaf = own;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    type Plain = Tensor<Cpu<f64>>;

    /// Verifies (AD.12).
    #[test]
    fn the_folded_step_is_the_formula_of_the_paper() {
        let config = AdamConfig {
            weight_decay: 0.03,
            ..AdamConfig::default()
        };
        let (eta, g) = (0.01, [0.7, -0.2, 1.3]);
        let mut theta = Plain::scalar(0.4);
        let mut adam = Adam::new(&theta, config);
        let (mut reference, mut m, mut v) = (0.4f64, 0.0f64, 0.0f64);
        for (n, &g) in (1..).zip(&g) {
            adam.step(&mut theta, &Plain::scalar(g), eta);
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let hat = (m / (1.0 - 0.9f64.powi(n)), v / (1.0 - 0.999f64.powi(n)));
            reference = reference * (1.0 - eta * 0.03) - eta * hat.0 / (hat.1.sqrt() + 1e-8);
            // A dozen roundings; 1 − 0.999ⁿ cancels three digits of ε.
            let error = (theta.item() - reference).abs();
            assert!(error <= 3e-15, "step {n}: {error:e}");
        }
    }

    #[test]
    fn a_quadratic_is_minimised_and_shared_buffers_survive() {
        let mut theta = Plain::new(&[2], vec![3.0, -2.0]);
        let untouched = theta.clone();
        let mut adam = Adam::new(&theta, AdamConfig::default());
        for step in 0..2000 {
            let gradient = crate::grad(|x| x.square().sum(), &theta);
            adam.step(&mut theta, &gradient, 0.05 / (1.0 + 0.01 * f64::from(step)));
        }
        assert!(
            theta.as_slice().iter().all(|x| x.abs() <= 1e-3),
            "{theta:?}"
        );
        assert_eq!(untouched.to_vec(), [3.0, -2.0]);
    }
}
