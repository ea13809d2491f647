//! **Shards**: one parallel region for a whole training step.
//!
//! The gradient of a sum is the sum of gradients. So a batch is cut into
//! shards, each thread differentiates its own on its own tape, and the results
//! are added in the order of the shards. Number and size of the shards depend
//! on the batch alone, never on the number of threads, so the bits of the
//! result do not depend on it either.
//!
//! ```math
//! \nabla_\theta \sum_{i<B} \ell_i = \sum_{s} \nabla_\theta \sum_{i \in \text{shard } s} \ell_i \tag{AD.10}
//! ```

use crate::algebra::Algebra;
use crate::tensor::Tensor;
use crate::tree::Tree;
use rayon::prelude::*;
use std::ops::Range;

/// Cuts `rows` into shards, runs `f` on each in parallel, and adds what they
/// return, in the order of the shards. `f` gets the rows of its shard and
/// returns a value and a structure, mostly from
/// [`value_and_grad`](crate::value_and_grad) of a *sum* over those rows.
///
/// # Panics
/// If `rows` or `shard_rows` is 0.
pub fn sum_over_shards<A, M, F>(rows: usize, shard_rows: usize, f: F) -> (Tensor<A>, M)
where
    A: Algebra + Send,
    M: Tree<A> + Send,
    F: Fn(Range<usize>) -> (Tensor<A>, M) + Sync,
{
    assert!(
        rows > 0 && shard_rows > 0,
        "shards: {rows} rows in shards of {shard_rows}: both must be positive"
    );
    let shards: Vec<Range<usize>> = (0..rows)
        .step_by(shard_rows)
        .map(|start| start..rows.min(start + shard_rows))
        .collect();
    let results: Vec<(Tensor<A>, M)> = shards.into_par_iter().map(&f).collect();
    let mut results = results.into_iter();
    let (mut value, mut sum) = results.next().expect("there is at least one shard");
    for (v, m) in results {
        value = value + v;
        let mut terms = m.leaves().into_iter();
        drop(m);
        sum.each_mut(&mut |leaf| {
            let term = terms.next().expect("all shards return one structure");
            // Added into the running sum's own buffer.
            let own = std::mem::replace(leaf, term.clone());
            *leaf = own + term; // (AD.10)
        });
    }
    (value, sum)
}
