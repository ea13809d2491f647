//! **Adaptive adjoint**: the differential equation of the derivative, (AJ.3),
//! with steps chosen on the way back by the errors of state and cotangent.
//!
//! The grid of the way there is forgotten. State and cotangent are one state in
//! a space of pairs, solved like any other, each sample with its own steps if
//! the plan says so. Gradients of parameters are an integral along the way and
//! no part of the state: they cannot make a step be rejected, and a rejected
//! step must add nothing to them. So of each accepted step of length `h` they
//! take, by Gauss's rule with `⌈p/2⌉` places on dense output,
//!
//! ```math
//! \bar\theta \leftarrow \bar\theta + h \sum_g w_g \Bigl(\frac{\partial f}{\partial\theta}(t_g,
//! y(t_g))\Bigr)^{\!\mathsf T} \lambda(t_g), \qquad t_g = t + c_g h \tag{AJ.5}
//! ```
//!
//! which has the order `p` of the method.

use super::Pull;
use crate::adaptive::Adaptive;
use crate::end::{Counts, Outcome};
use crate::error::Error;
use crate::method::Method;
use crate::norm::Norm;
use crate::solve::Solve;
use crate::space::{Field, Space};
use crate::step::MOST_STAGES;
use crate::trajectory::{Keeper, Piece};
use std::cell::RefCell;

/// What an adaptive adjoint found.
#[derive(Clone, Debug)]
pub struct AdaptiveAdjoint<S> {
    /// The start, come back to.
    pub start: S,
    /// Its cotangent.
    pub start_bar: S,
    /// How the way back ended; only if it is `Done` is the rest a gradient.
    pub outcome: Outcome,
    /// The steps of each sample on the way back.
    pub counts: Vec<Counts>,
    /// Evaluations of the field.
    pub evaluations: usize,
    /// Calls of its pull: one with each evaluation, of weight 0, and those of
    /// (AJ.5).
    pub pulls: usize,
}

/// The cotangent of the start, from the end of a solve and its cotangent. The
/// plan is that of the way there, from `t0` to `t1`, and is gone through
/// backwards; a first step, if one is given, is that of the way back. The
/// tolerance is that of the state and of the cotangent alike.
///
/// # Errors
/// If the method has no error estimate, or the plan makes no sense.
pub fn adaptive_adjoint<P: Space>(
    space: &P,
    (field, pull): (&mut impl Field<P::State>, &mut impl Pull<P::State>),
    method: &Method,
    (end, end_bar): (&P::State, &P::State),
    plan: &Adaptive,
) -> Result<AdaptiveAdjoint<P::State>, Error> {
    let pull = RefCell::new((pull, 0));
    let back = Adaptive {
        t0: plan.t1,
        t1: plan.t0,
        ..*plan
    };
    let pairs = Pairs {
        space,
        room: RefCell::new(vec![]),
    };
    let mut negative = end_bar.clone();
    let mut both = |t: &[f64], at: &Pair<P>, out: &mut Pair<P>| {
        let (pull, pulls) = &mut *pull.borrow_mut();
        field.eval(t, &at.0, &mut out.0);
        pull.pull(t, &at.0, &at.1, 0.0, &mut negative);
        *pulls += 1;
        // λ' = −l, and l − 2l is −l in bits.
        space.combine(&mut out.1, &negative, &[1.0], &[(-2.0, &negative)]); // (AJ.3)
    };
    let mut integral = Integral {
        space,
        places: gauss(method.order),
        pull: &pull,
    };
    let start = (end.clone(), end_bar.clone());
    let found = Solve::new(&pairs, &mut both)
        .keeper(&mut integral)
        .adaptive(method, start, &back)?;
    let (start, start_bar) = found.state;
    let pulls = pull.borrow().1;
    Ok(AdaptiveAdjoint {
        start,
        start_bar,
        outcome: found.outcome,
        counts: found.counts,
        evaluations: found.evaluations,
        pulls,
    })
}

type Pair<P> = (<P as Space>::State, <P as Space>::State);

/// The integral of the parameters' gradients, along the accepted steps.
struct Integral<'a, P, L> {
    space: &'a P,
    places: &'static [(f64, f64)],
    /// The pull, and how often it was called.
    pull: &'a RefCell<(&'a mut L, usize)>,
}

impl<P: Space, L: Pull<P::State>> Keeper<Pair<P>> for Integral<'_, P, L> {
    fn begin(&mut self, _: f64, _: &Pair<P>, _: usize) {}

    fn keep(&mut self, piece: Piece<Pair<P>>) {
        let (pull, pulls) = &mut *self.pull.borrow_mut();
        let rows = piece.rows.len();
        let mut zero = piece.y.1.clone();
        self.space
            .combine(&mut zero, &piece.y.1, &[1.0], &[(-1.0, &piece.y.1)]);
        let (mut bar, mut out) = (zero.clone(), zero.clone());
        let pairs = Pairs {
            space: self.space,
            room: RefCell::new(vec![]),
        };
        // Steps go backwards, and the integral is that of the way there.
        let lengths: Vec<f64> = piece.h.iter().map(|h| -h).collect();
        for &(place, weight) in self.places {
            let (y, lambda) = piece.at(&pairs, &vec![place; rows]);
            let time = |row| {
                let (t, h, _) = piece.step(row);
                t + place * h
            };
            let times: Vec<f64> = (0..rows).map(time).collect();
            self.space
                .combine(&mut bar, &zero, &lengths, &[(weight, &lambda)]);
            pull.pull(&times, &y, &bar, 1.0, &mut out); // (AJ.5)
            *pulls += 1;
        }
    }
}

/// Gauss's rule on [0, 1] for a method of this order: places and weights, exact
/// for polynomials of degree below twice their number.
fn gauss(order: usize) -> &'static [(f64, f64)] {
    const HALF: [(f64, f64); 1] = [(0.5, 1.0)];
    // ½ ± 1/√12.
    const TWO: [(f64, f64); 2] = [
        (0.211_324_865_405_187_1, 0.5),
        (0.788_675_134_594_812_9, 0.5),
    ];
    // ½ ± √(3/20).
    const THREE: [(f64, f64); 3] = [
        (0.112_701_665_379_258_31, 5.0 / 18.0),
        (0.5, 4.0 / 9.0),
        (0.887_298_334_620_741_7, 5.0 / 18.0),
    ];
    // ½ ± √(3/28 ± √(6/5)/14), (18 ∓ √30)/72.
    const FOUR: [(f64, f64); 4] = [
        (0.069_431_844_202_973_71, 0.173_927_422_568_726_93),
        (0.330_009_478_207_571_87, 0.326_072_577_431_273_07),
        (0.669_990_521_792_428_1, 0.326_072_577_431_273_07),
        (0.930_568_155_797_026_3, 0.173_927_422_568_726_93),
    ];
    match order {
        ..=2 => &HALF,
        3 | 4 => &TWO,
        5 | 6 => &THREE,
        _ => &FOUR,
    }
}

/// State and cotangent, as one state.
struct Pairs<'a, P> {
    space: &'a P,
    /// The norms of the cotangents.
    room: RefCell<Vec<f64>>,
}

/// Both halves of terms, on the stack.
fn halves<'a, S, R>(
    terms: &[(f64, &'a (S, S))],
    f: impl FnOnce(&[(f64, &'a S)], &[(f64, &'a S)]) -> R,
) -> R {
    let Some((_, some)) = terms.first() else {
        return f(&[], &[]);
    };
    if terms.len() > MOST_STAGES {
        let first: Vec<_> = terms.iter().map(|(c, pair)| (*c, &pair.0)).collect();
        let second: Vec<_> = terms.iter().map(|(c, pair)| (*c, &pair.1)).collect();
        return f(&first, &second);
    }
    let (mut first, mut second) = ([(0.0, &some.0); MOST_STAGES], [(0.0, &some.1); MOST_STAGES]);
    for (i, (c, pair)) in terms.iter().enumerate() {
        (first[i], second[i]) = ((*c, &pair.0), (*c, &pair.1));
    }
    f(&first[..terms.len()], &second[..terms.len()])
}

impl<P: Space> Space for Pairs<'_, P> {
    type State = Pair<P>;

    fn rows(&self, y: &Pair<P>) -> usize {
        self.space.rows(&y.0)
    }

    fn combine(&self, out: &mut Pair<P>, y: &Pair<P>, h: &[f64], terms: &[(f64, &Pair<P>)]) {
        halves(terms, |first, second| {
            self.space.combine(&mut out.0, &y.0, h, first);
            self.space.combine(&mut out.1, &y.1, h, second);
        });
    }

    fn error_norm(
        &self,
        out: &mut [f64],
        (y0, y1): (&Pair<P>, &Pair<P>),
        h: &[f64],
        terms: &[(f64, &Pair<P>)],
        norm: &Norm,
    ) {
        let mut room = self.room.borrow_mut();
        room.resize(out.len(), 0.0);
        halves(terms, |first, second| {
            self.space.error_norm(out, (&y0.0, &y1.0), h, first, norm);
            self.space
                .error_norm(&mut room, (&y0.1, &y1.1), h, second, norm);
        });
        for (out, other) in out.iter_mut().zip(&*room) {
            *out = norm.mean.over(&[*out, *other]);
        }
    }

    fn non_finite_row(&self, y: &Pair<P>) -> Option<usize> {
        let rows = [&y.0, &y.1].map(|half| self.space.non_finite_row(half));
        rows.into_iter().flatten().min()
    }

    fn take(&self, y: &Pair<P>, rows: &[usize]) -> Pair<P> {
        (self.space.take(&y.0, rows), self.space.take(&y.1, rows))
    }

    fn put(&self, y: &mut Pair<P>, rows: &[usize], part: &Pair<P>) {
        self.space.put(&mut y.0, rows, &part.0);
        self.space.put(&mut y.1, rows, &part.1);
    }

    fn choose(&self, a: &mut Pair<P>, b: &Pair<P>, choose_b: &[bool]) {
        self.space.choose(&mut a.0, &b.0, choose_b);
        self.space.choose(&mut a.1, &b.1, choose_b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gausss_rules_are_exact_below_twice_their_number_and_no_further() {
        for order in 1..=8 {
            let rule = gauss(order);
            assert_eq!(rule.len(), order.div_ceil(2));
            for degree in 0..=2 * rule.len() {
                let terms = rule.iter().map(|(c, w)| w * c.powi(degree as i32));
                let error = terms.sum::<f64>() - 1.0 / (degree + 1) as f64;
                // Four numbers below 1; the first that is not exact is off by
                // (n!)⁴/((2n + 1)(2n)!²), which is 1/44100 for four places.
                match degree < 2 * rule.len() {
                    true => assert!(error.abs() <= 4.0 * f64::EPSILON, "{order} {degree}"),
                    false => assert!(error.abs() > 1e-5 / 3.0, "{order} {degree}: {error:e}"),
                }
            }
        }
    }

    /// More of them than are kept on the stack too.
    #[test]
    fn terms_are_parted_however_many() {
        let pairs: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), -f64::from(i))).collect();
        for count in 0..=20 {
            let terms: Vec<(f64, &(f64, f64))> =
                (0..count).map(|i| (0.5 + i as f64, &pairs[i])).collect();
            halves(&terms, |first, second| {
                assert_eq!((first.len(), second.len()), (count, count));
                for i in 0..count {
                    assert_eq!(first[i], (0.5 + i as f64, &pairs[i].0));
                    assert_eq!(second[i], (0.5 + i as f64, &pairs[i].1));
                }
            });
        }
    }
}
