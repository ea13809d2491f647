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

use super::{Memory, Optimiser};
use crate::cpu::Cpu;
use crate::real::Real;
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

/// The optimiser; it remembers `first`, the mean `m`, and `second`, the mean
/// square `v`.
#[derive(Clone, Debug)]
pub struct Adam<M> {
    /// The constants.
    pub config: AdamConfig,
    memory: Memory<M>,
}

impl<M> Adam<M> {
    /// No steps taken, moments zero.
    pub fn new<F: Real>(model: &M, config: AdamConfig) -> Self
    where
        M: Tree<Cpu<F>, With<Cpu<F>> = M>,
    {
        let memory = Memory::zeros(model, ["first", "second"]);
        Adam { config, memory }
    }
}

impl<F: Real, M: Tree<Cpu<F>>> Optimiser<F, M> for Adam<M> {
    fn step(&mut self, model: &mut M, gradient: &M, rate: f64) {
        let constants = AdamStep::new(self.config, self.memory.steps + 1, rate);
        self.memory.update(model, gradient, |theta, g, [m, v]| {
            let (m, v) = (m.as_mut_slice(), v.as_mut_slice());
            F::adam(constants, theta.as_mut_slice(), g.as_slice(), m, v);
        });
    }
    fn memory(&self) -> &Memory<M> {
        &self.memory
    }
    fn memory_mut(&mut self) -> &mut Memory<M> {
        &mut self.memory
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
    /// Step number `n`, counted from 1, at learning rate `eta`. The bias
    /// corrections are folded into the rate and the ε of the root:
    /// `(m/c₁)/(√(v/c₂) + ε) = (√c₂/c₁)·m/(√v + ε√c₂)`.
    pub(super) fn new(c: AdamConfig, n: u64, eta: f64) -> Self {
        let n = n as f64;
        let correction1 = 1.0 - c.beta1.powf(n);
        let root2 = (1.0 - c.beta2.powf(n)).sqrt();
        AdamStep {
            beta1: F::from_f64(c.beta1),
            beta2: F::from_f64(c.beta2),
            rate: F::from_f64(eta * root2 / correction1),
            epsilon: F::from_f64(c.epsilon * root2),
            keep: F::from_f64(1.0 - eta * c.weight_decay),
        }
    }

    /// One step for one parameter. (AD.12)
    #[inline(always)]
    pub(crate) fn apply(self, theta: &mut F, g: F, m: &mut F, v: &mut F) {
        let one = F::one();
        *m = self.beta1 * *m + (one - self.beta1) * g;
        *v = self.beta2 * *v + (one - self.beta2) * g * g;
        *theta = self.keep * *theta - self.rate * *m / (v.sqrt() + self.epsilon); // (AD.12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

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
