//! **Gradient descent** with momentum, plain or Nesterov's.
//!
//! ```math
//! g \leftarrow g + \lambda\theta, \quad v \leftarrow \mu v + g, \quad
//! \theta \leftarrow \theta - \eta \begin{cases} v & \text{plain} \\ g + \mu v & \text{Nesterov} \end{cases} \tag{AD.26}
//! ```
//!
//! As PyTorch has it: the velocity is not scaled by `1 − μ`, and the decay `λ`
//! is that of the penalty `λ‖θ‖²/2`, so it goes through the velocity too.
//! `μ = 0` is plain gradient descent. On `f = hθ²/2` a step is linear in the
//! last two positions,
//!
//! ```math
//! \theta_{n+1} = \begin{cases}
//! (1 + \mu - \eta h)\,\theta_n - \mu\,\theta_{n-1} & \text{plain} \\
//! (1 - \eta h)\bigl((1 + \mu)\,\theta_n - \mu\,\theta_{n-1}\bigr) & \text{Nesterov}
//! \end{cases} \tag{AD.27}
//! ```
//!
//! so where the roots are complex a step takes away a factor `√μ`, or
//! `√(μ(1 − ηh))`. Polyak 1964; Nesterov 1983 in the form of Sutskever,
//! Martens, Dahl and Hinton 2013.

use super::{Memory, Optimiser};
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tree::Tree;

/// The constants of the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// `μ`, in [0, 1).
    pub momentum: f64,
    /// Whether the gradient is looked at a step ahead.
    pub nesterov: bool,
    /// `λ`.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    /// `μ = 0.9`, plain, without decay.
    fn default() -> Self {
        SgdConfig {
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
        }
    }
}

/// The optimiser; it remembers `velocity`, `v`.
#[derive(Clone, Debug)]
pub struct Sgd<M> {
    /// The constants.
    pub config: SgdConfig,
    memory: Memory<M>,
}

impl<M> Sgd<M> {
    /// No steps taken, velocity zero.
    pub fn new<F: Real>(model: &M, config: SgdConfig) -> Self
    where
        M: Tree<Cpu<F>, With<Cpu<F>> = M>,
    {
        let memory = Memory::zeros(model, ["velocity"]);
        Sgd { config, memory }
    }
}

impl<F: Real, M: Tree<Cpu<F>>> Optimiser<F, M> for Sgd<M> {
    fn step(&mut self, model: &mut M, gradient: &M, rate: f64) {
        let c = self.config;
        let (mu, decay) = (F::from_f64(c.momentum), F::from_f64(c.weight_decay));
        let eta = F::from_f64(rate);
        self.memory.update(model, gradient, |theta, g, [v]| {
            let pairs = theta.as_mut_slice().iter_mut().zip(g.as_slice());
            for ((theta, &g), v) in pairs.zip(v.as_mut_slice()) {
                let g = g + decay * *theta;
                *v = mu * *v + g;
                let direction = if c.nesterov { g + mu * *v } else { *v };
                *theta -= eta * direction; // (AD.26)
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
