//! **Pullback**: one recording, pulled back as often as wanted.
//!
//! [`vjp`](crate::vjp) gives each part of its recording back as soon as it has
//! been used. Where several cotangents are pulled through the same function at
//! the same point (the rows of a Jacobian, the terms of a divergence) the
//! recording is kept instead, and each sweep costs no new evaluation.

use crate::algebra::Algebra;
use crate::derivative::{Recording, complete, rebuild, seed};
use crate::tensor::Tensor;
use crate::tree::Tree;
use crate::var::Var;

/// The map `y_bar ↦ Jᵀ·y_bar` of a function at a point.
///
/// ```
/// use autograd::{Cpu, Pullback, Tensor};
/// let x = Tensor::<Cpu<f64>>::new(&[2], vec![3.0, 5.0]);
/// let pullback = Pullback::of(|x| x.square(), &x);
/// assert_eq!(pullback.value().to_vec(), [9.0, 25.0]);
/// let row = |y_bar: Vec<f64>| pullback.pull(&Tensor::new(&[2], y_bar)).to_vec();
/// assert_eq!(row(vec![1.0, 0.0]), [6.0, 0.0]);
/// assert_eq!(row(vec![0.0, 1.0]), [0.0, 10.0]);
/// ```
#[derive(Debug)]
pub struct Pullback<A: Algebra, M> {
    recording: Recording<A>,
    x: M,
}

impl<A: Algebra, M: Tree<A, With<A> = M>> Pullback<A, M> {
    /// Records `f` at `x`.
    #[track_caller]
    #[must_use]
    pub fn of<F>(f: F, x: &M) -> Self
    where
        F: FnOnce(&M::With<Var<A>>) -> Tensor<Var<A>>,
    {
        Pullback {
            recording: Recording::of(f, x),
            x: x.map(&mut Tensor::clone),
        }
    }

    /// The value of `f`.
    #[must_use]
    pub fn value(&self) -> &Tensor<A> {
        &self.recording.value
    }

    /// `Jᵀ·y_bar`, in the structure of the point.
    ///
    /// # Panics
    /// If `y_bar` has not the shape of the value, or the value does not depend
    /// on one of the leaves; where that is meant, use
    /// [`pull_partial`](Self::pull_partial).
    #[track_caller]
    #[must_use]
    pub fn pull(&self, y_bar: &Tensor<A>) -> M {
        complete(&self.x, self.swept("pull", y_bar), "pull_partial")
    }

    /// Like [`pull`](Self::pull), with zeros for leaves that are not reached.
    #[track_caller]
    #[must_use]
    pub fn pull_partial(&self, y_bar: &Tensor<A>) -> M {
        rebuild(&self.x, self.swept("pull_partial", y_bar))
    }

    #[track_caller]
    fn swept(&self, name: &str, y_bar: &Tensor<A>) -> Vec<Option<Tensor<A>>> {
        let Recording {
            value,
            tape,
            output,
            leaves,
        } = &self.recording;
        let seed = seed(name, value, y_bar);
        match *output {
            Some(output) => tape.sweep_again(output, seed, *leaves),
            None => vec![None; *leaves],
        }
    }
}
