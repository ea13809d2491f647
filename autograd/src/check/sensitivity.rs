//! **Sensitivity**: how small an error in the shipped rules the checker sees.
//!
//! [`measure`] plants [faults](super::Fault) in the rules a program is
//! differentiated with: in forward mode, in reverse mode, and in both alike; in
//! every row of the Jacobian and in single ones; in all rules and in each
//! alone. Each is made smaller by powers of ten until the first-order laws of
//! the checker accept it. The answer is the worst of them.
//!
//! A fault in a row of zeros changes no derivative and is none.

use super::first_order::{Jacobian, dot_residual};
use super::points::{Weyl, flat, units};
use super::{DOT_TOLERANCE, Direction, Fault, JVP_TOLERANCE, Plain, Program, with_fault};
use crate::derivative::{jvp, vjp_partial};
use crate::fault::rules_applied;

/// What was measured of one program at one point.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Measured {
    /// The worst error of forward derivatives against differences.
    pub jvp_error: f64,
    /// The worst error of reverse derivatives against differences.
    pub vjp_error: f64,
    /// `⟨w, Jv⟩ − ⟨Jᵀw, v⟩`.
    pub dot_residual: f64,
    /// The fault that had to be largest to be rejected, with its size; none
    /// where there is no rule to be wrong.
    pub hardest: Option<Fault>,
}

impl Measured {
    /// Whether the first-order laws hold.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.jvp_error <= JVP_TOLERANCE
            && self.vjp_error <= JVP_TOLERANCE
            && self.dot_residual <= DOT_TOLERANCE
    }
}

/// The smallest fault tried: `10⁻¹⁵`, four units of the last place.
const SMALLEST: i32 = 15;

/// Single rows tried, spread over the result.
const MOST_ROWS: usize = 6;

/// Of a program with more rules, such as a network, only all at once are tried.
const MOST_RULES: usize = 40;

/// Measures a program at one point.
#[must_use]
pub fn measure<P: Program>(program: &P, at: &[Plain]) -> Measured {
    let bench = Bench::new(program, at);
    Measured {
        jvp_error: bench.jacobian.forward_error(program, &bench.at),
        vjp_error: bench.jacobian.reverse_error(program, &bench.at, &bench.y),
        dot_residual: dot_residual(program, &bench.at, &bench.v, &bench.w),
        hardest: bench.hardest(),
    }
}

/// A program with the point and the directions it is checked at, and its
/// Jacobian by differences, in which no rule has a part.
struct Bench<'a, P> {
    program: &'a P,
    at: Vec<Plain>,
    y: Plain,
    v: Vec<Plain>,
    w: Plain,
    jacobian: Jacobian,
}

impl<'a, P: Program> Bench<'a, P> {
    fn new(program: &'a P, at: &[Plain]) -> Self {
        let y = program.run(at);
        let mut numbers = Weyl::new();
        Bench {
            program,
            w: numbers.like(&y),
            v: at.iter().map(|x| numbers.like(x)).collect(),
            jacobian: Jacobian::measured(program, at),
            at: at.to_vec(),
            y,
        }
    }

    /// The fault that has to be largest, over all of them.
    fn hardest(&self) -> Option<Fault> {
        let rules = rules_applied(|| {
            jvp(|x| self.program.run(x), &self.at, &self.v);
        });
        let each = if rules <= MOST_RULES { rules } else { 0 };
        let rules: Vec<Option<usize>> = std::iter::once(None).chain((0..each).map(Some)).collect();
        let count = self.y.shape().count();
        let rows = (0..count).step_by(count.div_ceil(MOST_ROWS).max(1));
        let rows = std::iter::once(None).chain(rows.map(Some));
        let mut hardest: Option<Fault> = None;
        for row in rows {
            for &rule in &rules {
                for direction in Direction::ALL {
                    let fault = Fault {
                        relative: 1.0,
                        direction,
                        row,
                        rule,
                    };
                    let Some(relative) = self.smallest_rejected(fault) else {
                        continue;
                    };
                    if hardest.is_none_or(|h| !(relative <= h.relative)) {
                        hardest = Some(Fault { relative, ..fault });
                    }
                }
            }
        }
        hardest
    }

    /// The smallest power of ten at which this fault is rejected; NaN if it is
    /// never, none if it changes no derivative. What is rejected grows with
    /// the fault, so the power is found by bisection.
    fn smallest_rejected(&self, fault: Fault) -> Option<f64> {
        let relative = |power: i32| 10f64.powi(-power);
        let rejected = |power| {
            let relative = relative(power);
            with_fault(Fault { relative, ..fault }, || self.rejects())
        };
        if !rejected(0) {
            return self.changes_something(fault).then_some(f64::NAN);
        }
        let (mut seen, mut unseen) = (0, SMALLEST + 1);
        while unseen - seen > 1 {
            let middle = (seen + unseen) / 2;
            if rejected(middle) {
                seen = middle;
            } else {
                unseen = middle;
            }
        }
        Some(relative(seen))
    }

    /// Whether a first-order law is broken; the cheapest is asked first, and the
    /// first answer that is wrong is enough.
    fn rejects(&self) -> bool {
        let (program, at) = (self.program, &self.at);
        let wrong = |error: f64| !(error <= JVP_TOLERANCE);
        !(dot_residual(program, at, &self.v, &self.w) <= DOT_TOLERANCE)
            || self.jacobian.forward_errors(program, at).any(wrong)
            || self
                .jacobian
                .reverse_errors(program, at, &self.y)
                .any(wrong)
    }

    /// Whether any entry of a derivative differs with the fault.
    fn changes_something(&self, fault: Fault) -> bool {
        let all = || -> Vec<f64> {
            let run = |e: Vec<Plain>| jvp(|x| self.program.run(x), &self.at, &e).1.to_vec();
            let mut entries: Vec<f64> = units(&self.at).flat_map(run).collect();
            entries.extend(flat(
                &vjp_partial(|x| self.program.run(x), &self.at, &self.w).1,
            ));
            entries
        };
        all() != with_fault(fault, all)
    }
}
