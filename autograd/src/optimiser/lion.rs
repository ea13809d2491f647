//! **Lion**: gradient descent by signs.
//!
//! ```math
//! c = \beta_1 m + (1 - \beta_1) g, \quad
//! \theta \leftarrow (1 - \eta\lambda)\,\theta - \eta\,\operatorname{sign} c, \quad
//! m \leftarrow \beta_2 m + (1 - \beta_2) g \tag{AD.28}
//! ```
//!
//! Every parameter moves by `η` at every step, whatever the size of its
//! gradient (not at all where `c` is 0), so rates are to be some ten times
//! smaller than Adam's, and the decay larger. With decay the parameters stay
//! within `1/λ`. Chen and others 2023, *Symbolic discovery of optimization
//! algorithms*, algorithm 2.

use super::{Memory, Optimiser};
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tree::Tree;

/// The constants of the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LionConfig {
    /// `β₁`, weight of the memory in the direction.
    pub beta1: f64,
    /// `β₂`, memory of the mean.
    pub beta2: f64,
    /// `λ`, decoupled weight decay.
    pub weight_decay: f64,
}

impl Default for LionConfig {
    /// The values of the paper, without decay.
    fn default() -> Self {
        LionConfig {
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
        }
    }
}

/// The optimiser; it remembers `mean`, `m`.
#[derive(Clone, Debug)]
pub struct Lion<M> {
    /// The constants.
    pub config: LionConfig,
    memory: Memory<M>,
}

impl<M> Lion<M> {
    /// No steps taken, mean zero.
    pub fn new<F: Real>(model: &M, config: LionConfig) -> Self
    where
        M: Tree<Cpu<F>, With<Cpu<F>> = M>,
    {
        let memory = Memory::zeros(model, ["mean"]);
        Lion { config, memory }
    }
}

impl<F: Real, M: Tree<Cpu<F>>> Optimiser<F, M> for Lion<M> {
    fn step(&mut self, model: &mut M, gradient: &M, rate: f64) {
        let c = self.config;
        let [one, eta] = [1.0, rate].map(F::from_f64);
        let [beta1, beta2] = [c.beta1, c.beta2].map(F::from_f64);
        let keep = F::from_f64(1.0 - rate * c.weight_decay);
        self.memory.update(model, gradient, |theta, g, [m]| {
            let pairs = theta.as_mut_slice().iter_mut().zip(g.as_slice());
            for ((theta, &g), m) in pairs.zip(m.as_mut_slice()) {
                let direction = beta1 * *m + (one - beta1) * g;
                *theta = keep * *theta - eta * sign(direction); // (AD.28)
                *m = beta2 * *m + (one - beta2) * g;
            }
        });
    }
    fn memory(&self) -> &Memory<M> {
        &self.memory
    }
    fn memory_mut(&mut self) -> &mut Memory<M> {
        &mut self.memory
    }
}

/// −1, 0 or 1; NaN stays NaN. (`signum` of the library makes 1 of 0.)
fn sign<F: Real>(x: F) -> F {
    if x == F::zero() { x } else { x.signum() }
}
