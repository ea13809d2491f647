//! **NaN mode**: name the first operation whose result is not finite.
//!
//! Off by default. Inside [`trap_non_finite`] each operation looks at its
//! result, and the first one that is NaN or infinite panics with the
//! operation, its shape, and the file and line of the user's code that asked
//! for it; for a derivative, the line whose derivative it is.

use crate::algebra::Algebra;
use crate::tensor::Tensor;
use std::cell::Cell;
use std::panic::Location;

thread_local! {
    static TRAPPING: Cell<bool> = const { Cell::new(false) };
    static ORIGIN: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Runs `f`, on this thread, with every operation checked.
///
/// # Panics
/// With the operation's name, file and line at the first result with a NaN or
/// infinite element.
///
/// ```should_panic
/// use autograd::{Cpu, Tensor, trap_non_finite};
/// let x = Tensor::<Cpu<f64>>::new(&[1], vec![-1.0]);
/// trap_non_finite(|| x.ln().square()); // "ln: first non-finite result … at src/…:5"
/// ```
pub fn trap_non_finite<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Restore(TRAPPING.replace(true));
    f()
}

/// Puts the mode back also when the closure panics.
struct Restore(bool);
impl Drop for Restore {
    fn drop(&mut self) {
        TRAPPING.set(self.0);
    }
}

/// While it lives, results are blamed on `line`: the operation whose
/// derivative is being computed, not the inside of the sweep.
pub(crate) fn origin(line: &'static Location<'static>) -> Origin {
    Origin(ORIGIN.replace(Some(line)))
}

/// Restores the previous origin.
#[derive(Debug)]
pub(crate) struct Origin(Option<&'static Location<'static>>);
impl Drop for Origin {
    fn drop(&mut self) {
        ORIGIN.set(self.0);
    }
}

/// While it lives, nothing is looked at: an operation written by composition
/// is judged by its result, as a whole and under its own name; on the way it
/// may pad with infinities.
pub(crate) fn as_one() -> AsOne {
    AsOne(TRAPPING.replace(false))
}

/// Restores the mode.
#[derive(Debug)]
pub(crate) struct AsOne(bool);
impl Drop for AsOne {
    fn drop(&mut self) {
        TRAPPING.set(self.0);
    }
}

/// Passes a result through, looking at it in NaN mode.
#[track_caller]
pub(crate) fn checked<A: Algebra>(name: &str, y: Tensor<A>) -> Tensor<A> {
    if TRAPPING.get() && !y.0.all_finite() {
        let shape = y.shape();
        match ORIGIN.get() {
            Some(line) => panic!(
                "first non-finite result, of shape {shape}, in the derivative of the operation at {line} (computing {name})"
            ),
            None => panic!(
                "{name}: first non-finite result, of shape {shape}, at {}",
                Location::caller()
            ),
        }
    }
    y
}
