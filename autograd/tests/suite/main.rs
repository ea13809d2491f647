//! The tests of what the crate promises, a file for each kind of promise. They
//! are one program, because what takes time is compiling the checker for each.
//!
//! What needs a device, and the golden bits, are programs of their own.

mod checkpoint;
mod composites;
mod conventions;
mod convolution;
mod every_operation;
mod images;
mod jacobians;
mod modes_and_nestings;
mod optimisers;
mod pooling;
mod refusals;
mod residual_mlp;
mod safetensors;
mod sweeps;

use autograd::{Algebra, Cpu, Tensor, Tree};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The text a closure panics with.
#[track_caller]
fn panic_text<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("a panic was expected")
    };
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .expect("panics carry text")
}

/// The tree with its leaves replaced by these, in order.
fn filled<A: Algebra, M: Tree<Cpu<f64>>>(model: &M, leaves: &[Tensor<A>]) -> M::With<A> {
    let mut leaves = leaves.iter();
    model.map(&mut |_| leaves.next().expect("a leaf").clone())
}
