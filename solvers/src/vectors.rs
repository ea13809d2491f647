//! **Vectors**: loops in the widest vectors of the machine they run on.
//!
//! A program is compiled for the least machine of its kind, which on x86-64
//! means two numbers at a time, where most take four or eight. A loop that is
//! `Vectorized` is compiled for each width there is, by the crate `pulp`, and
//! `widest` picks when it runs. It is plain Rust and every number is computed
//! as before, never with a fused multiply-add, so the bits depend on no width.
//!
//! A loop is a struct of what it works on with the loop as its `call`, which
//! has to be `#[inline(always)]`: what is not inlined there, and a closure
//! might not be, is compiled for the least machine.

use pulp::Arch;
pub(crate) use pulp::NullaryFnOnce as Vectorized;

/// Runs a loop in the widest vectors at hand.
#[inline(always)]
pub(crate) fn widest<L: Vectorized>(each: L) -> L::Output {
    Arch::new().dispatch(each)
}

/// The same for a loop over `count` numbers, which may be one: where all
/// samples share their steps, or there is a single one, to ask for the width
/// would take longer than the loop.
#[inline(always)]
pub(crate) fn widest_of<L: Vectorized>(count: usize, each: L) -> L::Output {
    match count {
        0 | 1 => each.call(),
        _ => widest(each),
    }
}
