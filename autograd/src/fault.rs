//! **Fault**: a small error put into the shipped rules on purpose.
//!
//! A checker is worth what it rejects, and a wrong rule written for its sake
//! proves little about the rules in use. So the two places where every rule
//! of the crate is applied, [`Dual`](crate::Dual) pushing a tangent and the
//! tape pulling a cotangent, pass what goes through them by here. Inside
//! [`with_fault`] the rule `M` is replaced by `M + ε·DM`, where `D` is the
//! identity, or keeps one row:
//!
//! ```math
//! \dot y = (1 + \varepsilon D)\,M\,\dot x, \qquad \bar x = M^{\mathsf T}(1 + \varepsilon D)\,\bar y
//! ```
//!
//! With the same `D` in both, forward and reverse mode stay transposes of each
//! other, which is the error that only differences can find. Off by default
//! and then one look at a thread's flag for each rule.

use crate::algebra::Algebra;
use crate::linear::Linear;
use crate::tensor::Tensor;
use std::cell::Cell;

/// Which direction of the rules is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Tangents, in forward mode.
    Push,
    /// Cotangents, in reverse mode.
    Pull,
    /// Both, by the same wrong map.
    Alike,
}

impl Direction {
    /// All three.
    pub const ALL: [Direction; 3] = [Direction::Push, Direction::Pull, Direction::Alike];
}

/// An error in the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// `ε`, the relative error.
    pub relative: f64,
    /// Which modes are wrong.
    pub direction: Direction,
    /// The one row of the Jacobian that is wrong, modulo the number of rows;
    /// none means all.
    pub row: Option<usize>,
    /// The one rule that is wrong, counted from 0 in the order in which a
    /// derivative's pairs (input, map) arise; none means all.
    pub rule: Option<usize>,
}

thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    /// Whether there is a fault: all that is looked at when there is none.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    /// How many rules the newest forward derivative has applied.
    static PUSHES: Cell<usize> = const { Cell::new(0) };
}

/// Runs `f`, on this thread, with the fault in every derivative.
///
/// ```
/// use autograd::check::{Direction, Fault, with_fault};
/// use autograd::{Cpu, Tensor, grad};
/// let x = Tensor::<Cpu<f64>>::scalar(3.0);
/// let fault = Fault { relative: 0.5, direction: Direction::Pull, row: None, rule: None };
/// assert_eq!(with_fault(fault, || grad(|x| x.square(), &x)).item(), 9.0);
/// assert_eq!(grad(|x| x.square(), &x).item(), 6.0);
/// ```
pub fn with_fault<R>(fault: Fault, f: impl FnOnce() -> R) -> R {
    let _restore = Restore(PLANTED.replace(Some(fault)), ACTIVE.replace(true));
    f()
}

/// Puts the earlier state back, also when the closure panics.
struct Restore(Option<Fault>, bool);
impl Drop for Restore {
    fn drop(&mut self) {
        PLANTED.set(self.0);
        ACTIVE.set(self.1);
    }
}

/// How many rules the one forward derivative taken by `f` applies.
pub(crate) fn rules_applied(f: impl FnOnce()) -> usize {
    let none = Fault {
        relative: 0.0,
        direction: Direction::Push,
        row: None,
        rule: Some(usize::MAX),
    };
    with_fault(none, || {
        f();
        PUSHES.get()
    })
}

/// A forward derivative begins: its rules are counted from 0.
pub(crate) fn forward_begins() {
    if ACTIVE.get() {
        PUSHES.set(0);
    }
}

/// A tangent that came out of a rule.
#[inline]
pub(crate) fn pushed<A: Algebra>(y_dot: Tensor<A>) -> Tensor<A> {
    if !ACTIVE.get() {
        return y_dot;
    }
    let rule = PUSHES.get();
    PUSHES.set(rule + 1);
    distorted(Direction::Push, rule, y_dot)
}

/// A cotangent about to go into the transpose of a rule.
#[inline]
pub(crate) fn pulled<A: Algebra>(rule: usize, y_bar: Tensor<A>) -> Tensor<A> {
    if !ACTIVE.get() {
        return y_bar;
    }
    distorted(Direction::Pull, rule, y_bar)
}

/// `(1 + εD)·v` where the fault says so.
#[cold]
fn distorted<A: Algebra>(direction: Direction, rule: usize, v: Tensor<A>) -> Tensor<A> {
    let Some(fault) = PLANTED.get() else { return v };
    let meant = fault.direction == direction || fault.direction == Direction::Alike;
    if !meant || fault.rule.is_some_and(|only| only != rule) {
        return v;
    }
    // The distortion is written with operations whose rules are not wrong.
    let _restore = Restore(Some(fault), ACTIVE.replace(false));
    let factor = 1.0 + fault.relative;
    let shape = v.shape();
    match fault.row {
        None => v.linear(&Linear::Scale(factor)),
        Some(_) if shape.count() == 0 => v,
        Some(row) => {
            let mut factors = vec![1.0; shape.count()];
            factors[row % shape.count()] = factor;
            let factors = v.lift(&shape, &factors);
            v * factors
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use crate::derivative::{jvp, vjp};

    /// `J = diag(2x)·3` through two rules, at (1, 2): `diag(6, 12)`.
    fn derivatives(fault: Option<Fault>) -> (Vec<f64>, Vec<f64>) {
        let x = Tensor::<Cpu<f64>>::new(&[2], vec![1.0, 2.0]);
        let ones = x.ones_like();
        let both = || {
            let push = jvp(|x| 3.0 * x.square(), &x, &ones).1.to_vec();
            let pull = vjp(|x| 3.0 * x.square(), &x, &ones).1.to_vec();
            (push, pull)
        };
        match fault {
            Some(fault) => with_fault(fault, both),
            None => both(),
        }
    }

    #[test]
    fn a_fault_is_where_it_is_planted_and_nowhere_else() {
        let planted = |direction, row, rule| {
            let relative = 0.5;
            #[rustfmt::skip]
            let fault = Fault { relative, direction, row, rule };
            derivatives(Some(fault))
        };
        let right = vec![6.0, 12.0];
        let wrong = |a: f64, b: f64| vec![a, b];
        // Halves and small whole numbers: exact.
        let (push, pull) = planted(Direction::Push, None, None);
        assert_eq!((push, pull), (wrong(13.5, 27.0), right.clone()));
        let (push, pull) = planted(Direction::Pull, None, Some(1));
        assert_eq!((push, pull), (right.clone(), wrong(9.0, 18.0)));
        let (push, pull) = planted(Direction::Alike, Some(1), Some(0));
        assert_eq!((push, pull), (wrong(6.0, 18.0), wrong(6.0, 18.0)));
        // An array without elements has no row to be wrong in.
        let fault = Fault {
            relative: 0.5,
            direction: Direction::Alike,
            row: Some(0),
            rule: None,
        };
        let none = Tensor::<Cpu<f64>>::new(&[0, 2], Vec::new());
        let (push, pull) = with_fault(fault, || {
            let push = jvp(|x| x.square(), &none, &none).1;
            (push, vjp(|x| x.square(), &none, &none).1)
        });
        assert!(push.to_vec().is_empty() && pull.to_vec().is_empty());
        // There is no third rule.
        let (push, pull) = planted(Direction::Alike, None, Some(2));
        assert_eq!((push, pull), (right.clone(), right.clone()));
        // It ends with its closure, also by a panic.
        let fault = Fault {
            relative: 0.5,
            direction: Direction::Alike,
            row: None,
            rule: None,
        };
        let ended = std::panic::catch_unwind(|| with_fault(fault, || panic!("an end")));
        assert!(ended.is_err());
        assert_eq!(derivatives(None), (right.clone(), right));
        let x = Tensor::<Cpu<f64>>::scalar(2.0);
        let rules = rules_applied(|| drop(jvp(|x| x.exp() * x, &x, &x)));
        assert_eq!(rules, 3);
    }
}
