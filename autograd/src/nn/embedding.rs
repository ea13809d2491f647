//! **Class embedding**: how a network is told what it is asked for.

use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::index::Index;
use crate::philox::{Draw, Philox};
use crate::real::Real;
use crate::tensor::Tensor;

/// A learned vector for each class, and one more for "no class", which lets a
/// network be asked with and without (Ho and Salimans 2022);
/// `(classes + 1)·width` numbers.
#[derive(Clone, Debug)]
pub struct ClassEmbedding<A: Algebra> {
    /// `[classes + 1, width]`; the last row means no class.
    pub table: Tensor<A>,
}

impl<F: Real> ClassEmbedding<Cpu<F>> {
    /// Standard normal entries, as PyTorch draws them.
    #[must_use]
    pub fn new(classes: usize, width: usize, draw: Draw) -> Self {
        let mut numbers = vec![0.0; (classes + 1) * width];
        Philox::normal_f32(draw, 0, &mut numbers);
        let numbers = numbers.iter().map(|&x| F::from_f64(x.into()));
        ClassEmbedding {
            table: Tensor::new(&[classes + 1, width], numbers.collect()),
        }
    }
}

impl<A: Algebra> ClassEmbedding<A> {
    /// The number that means no class.
    #[must_use]
    pub fn none(&self) -> usize {
        self.table.shape()[0] - 1
    }

    /// The vectors `[B, width]` of these classes; [`none`](Self::none) is
    /// one of them.
    ///
    /// # Panics
    /// If there is no such class.
    #[track_caller]
    #[must_use]
    pub fn of(&self, classes: &Index) -> Tensor<A> {
        self.table.gather(classes)
    }
}

crate::tree!(ClassEmbedding { table });
