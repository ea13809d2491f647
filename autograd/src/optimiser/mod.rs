//! **Optimisers**: one family, each a formula for one step.
//!
//! | optimiser | remembers, for each parameter | a step follows |
//! |---|---|---|
//! | [`Sgd`] | a velocity | the gradient, with momentum |
//! | [`Adam`] (and AdamW) | the running mean of gradient and square | the mean over the root of the square |
//! | [`Lion`] | the running mean | the sign of a mean |
//! | [`Muon`] | a velocity; for what is not a matrix, as AdamW | the orthogonal factor of the velocity |
//!
//! An optimiser knows nothing of a training: the learning rate is passed to
//! each [`step`](Optimiser::step), from a [`LearningRate`](crate::LearningRate)
//! or anything else. What it remembers has names, goes into an [`Archive`] and
//! comes back in bits, so a training that was cut goes on as if it had not
//! been.

mod adam;
mod lion;
mod muon;
mod sgd;

pub(crate) use adam::AdamStep;
pub use adam::{Adam, AdamConfig};
pub use lion::{Lion, LionConfig};
pub use muon::{Muon, MuonConfig, orthogonalise};
pub use sgd::{Sgd, SgdConfig};

use crate::algebra::Algebra;
use crate::archive::{Archive, ArchiveError};
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tensor::Tensor;
use crate::tree::Tree;

/// Moves a model against a gradient, a step at a time.
///
/// ```
/// use autograd::{Adam, AdamConfig, Cpu, Optimiser, Sgd, SgdConfig, Tensor, grad};
/// let mut x = Tensor::<Cpu<f64>>::new(&[2], vec![3.0, -2.0]);
/// let mut optimisers: Vec<Box<dyn Optimiser<f64, Tensor<Cpu<f64>>>>> = vec![
///     Box::new(Sgd::new(&x, SgdConfig::default())),
///     Box::new(Adam::new(&x, AdamConfig::default())),
/// ];
/// for optimiser in &mut optimisers {
///     for _ in 0..200 {
///         let slope = grad(|x| x.square().sum(), &x);
///         optimiser.step(&mut x, &slope, 0.05);
///     }
/// }
/// assert!(x.square().sum().item() < 1e-6);
/// ```
pub trait Optimiser<F: Real, M: Tree<Cpu<F>>> {
    /// One step at learning rate `rate`, in place.
    ///
    /// # Panics
    /// If model, gradient and memory have not one structure.
    fn step(&mut self, model: &mut M, gradient: &M, rate: f64);

    /// What is remembered between steps.
    fn memory(&self) -> &Memory<M>;

    /// The same, for changing it.
    fn memory_mut(&mut self) -> &mut Memory<M>;

    /// Puts the memory into an archive: arrays under `name.moment.leaf`, and
    /// the number of steps as metadata `name.steps`.
    fn save(&self, name: &str, archive: &mut Archive<F>) {
        let memory = self.memory();
        for (moment, tree) in &memory.moments {
            archive.insert(&format!("{name}.{moment}"), tree);
        }
        let steps = memory.steps.to_string();
        archive.metadata.insert(format!("{name}.steps"), steps);
    }

    /// Takes the memory back from an archive.
    ///
    /// # Errors
    /// All arrays that do not fit, or a number of steps that is missing or
    /// none. The memory is then unchanged.
    fn restore(&mut self, name: &str, archive: &Archive<F>) -> Result<(), ArchiveError> {
        let memory = self.memory_mut();
        let steps = archive.number(&format!("{name}.steps"))?;
        let prefix = |moment: &str| format!("{name}.{moment}");
        let trees = memory.moments.iter();
        archive.fits(trees.map(|(moment, tree)| (prefix(moment), tree)))?;
        for (moment, tree) in &mut memory.moments {
            archive.fill(&prefix(moment), tree)?;
        }
        memory.steps = steps;
        Ok(())
    }
}

/// What an optimiser remembers: running moments with the structure of the
/// model, each under a name, and how many steps were taken.
#[derive(Clone, Debug)]
pub struct Memory<M> {
    /// Steps taken.
    pub steps: u64,
    /// The moments, by name.
    pub moments: Vec<(&'static str, M)>,
}

impl<M> Memory<M> {
    /// No steps taken, moments zero.
    fn zeros<F: Real, const K: usize>(model: &M, names: [&'static str; K]) -> Self
    where
        M: Tree<Cpu<F>, With<Cpu<F>> = M>,
    {
        let zeros = |name| (name, model.map(&mut |leaf| leaf.zeros_like()));
        Memory {
            steps: 0,
            moments: names.map(zeros).into(),
        }
    }

    /// Visits each parameter with its gradient and its `K` moments. Every
    /// visited buffer has one holder, unless the caller holds the model twice.
    fn update<F: Real, const K: usize>(
        &mut self,
        model: &mut M,
        gradient: &M,
        mut visit: impl FnMut(&mut Tensor<Cpu<F>>, &Tensor<Cpu<F>>, [&mut Tensor<Cpu<F>>; K]),
    ) where
        M: Tree<Cpu<F>>,
    {
        const ONE: &str = "optimiser: model, gradient and memory have one structure";
        let mut gradients = gradient.leaves().into_iter();
        let mut taken: Vec<_> = self.moments.iter_mut().map(|(_, m)| take(m)).collect();
        let mut slots: Vec<_> = taken.iter_mut().map(|m| m.iter_mut()).collect();
        let mut number = 0;
        model.each_mut(&mut |parameter| {
            let gradient = gradients.next().expect(ONE);
            let (have, want) = (gradient.shape(), parameter.shape());
            assert!(
                have == want,
                "optimiser: parameter number {number} has shape {want}, its gradient {have}"
            );
            let moments = std::array::from_fn(|k| slots[k].next().expect(ONE));
            visit(parameter, &gradient, moments);
            number += 1;
        });
        assert!(gradients.next().is_none(), "{ONE}");
        for ((_, moment), leaves) in self.moments.iter_mut().zip(taken) {
            put(moment, leaves);
        }
        self.steps += 1;
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
