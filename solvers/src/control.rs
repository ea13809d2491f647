//! **Step control**: the next step from the errors of the last ones.
//!
//! ```math
//! h_{n+1} = h_n\cdot\min\Bigl(f_{\max},\ \max\Bigl(f_{\min},\
//! s\,\bigl(e_n^{-\beta_1} e_{n-1}^{-\beta_2} e_{n-2}^{-\beta_3}\bigr)^{1/(\hat p + 1)}\Bigr)\Bigr) \tag{RK.4}
//! ```
//!
//! `e` are the scaled errors of accepted steps (1 is just acceptable), `p̂` the
//! order to which the estimate vanishes. With `β = (1, 0, 0)` the step is
//! corrected at once (I: the integral of the error's logarithm is controlled);
//! with further terms it follows more smoothly, which matters where stability
//! and not accuracy limits the step. A rejected step is corrected by I alone,
//! and the step after it may not grow. Hairer, Nørsett and Wanner, *Solving
//! ODEs I*, II.4; Söderlind, *Digital filters in adaptive time-stepping*, ACM
//! TOMS 29 (2003) 1–26.

use crate::root::inverse_roots;
use crate::vectors::{Vectorized, widest_of};

/// A law of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controller {
    /// The safety factor `s`.
    pub safety: f64,
    /// The least factor, `f_min`.
    pub least: f64,
    /// The largest factor, `f_max`.
    pub most: f64,
    /// The exponents `β`.
    pub beta: [f64; 3],
}

impl Controller {
    /// Integral control with the factors of Hairer's and scipy's programs.
    pub const I: Self = Controller {
        safety: 0.9,
        least: 0.2,
        most: 10.0,
        beta: [1.0, 0.0, 0.0],
    };
    /// Proportional and integral control (Gustafsson, ACM TOMS 17 (1991)
    /// 533–554; the exponents are Hairer's, *Solving ODEs II*, IV.2).
    pub const PI: Self = Controller {
        beta: [0.7, -0.4, 0.0],
        ..Self::I
    };
    /// With a differential term (Kennedy and Carpenter, Appl. Numer. Math. 44
    /// (2003) 139–181; the exponents are those of ARKODE's default).
    pub const PID: Self = Controller {
        beta: [0.58, -0.21, 0.1],
        ..Self::I
    };

    /// What to multiply each step by, after steps with these errors, which are
    /// remembered. A NaN error shrinks a step as far as it goes. In `room` there
    /// is a number for each.
    pub(crate) fn factors(
        &self,
        errors: &[f64],
        estimate_order: usize,
        past: &mut History,
        (room, out): (&mut [f64], &mut [f64]),
    ) {
        for (room, &error) in room.iter_mut().zip(errors) {
            // An error of 0 says only that it is small. What is not finite is
            // put right below.
            *room = between(LEAST_ERROR, error, 1.0 / LEAST_ERROR);
        }
        inverse_roots(estimate_order + 1, room, out);
        if self.beta != Self::I.beta {
            let [before, earlier] = &mut past.errors;
            let accepted = errors.iter().map(|error| *error <= 1.0);
            let past = before.iter_mut().zip(earlier);
            for (((out, &mut bounded), accepted), (before, earlier)) in
                out.iter_mut().zip(room).zip(accepted).zip(past)
            {
                if accepted {
                    *out *= self.smoothing(bounded, [*before, *earlier], estimate_order);
                    (*before, *earlier) = (bounded, *before);
                }
            }
        }
        let bound = Bound {
            law: self,
            errors,
            rejected: &mut past.rejected,
            out,
        };
        widest_of(errors.len(), bound);
    }

    /// What other laws have beside the factor of I.
    fn smoothing(&self, error: f64, [before, earlier]: [f64; 2], estimate_order: usize) -> f64 {
        let [b1, b2, b3] = self.beta;
        let exponent = (b1 - 1.0) * error.ln() + b2 * before.ln() + b3 * earlier.ln();
        (-exponent / (estimate_order + 1) as f64).exp()
    }
}

/// Errors are counted as no smaller than this, and no larger than its inverse.
const LEAST_ERROR: f64 = 1e-300;

/// The middle one of three numbers of which the first is the least, or the
/// first if the middle one is NaN: two instructions, where `clamp` takes more to
/// keep a NaN.
#[inline(always)]
fn between(least: f64, x: f64, most: f64) -> f64 {
    let x = if x < most { x } else { most };
    if x > least { x } else { least }
}

/// Keeps each factor within its bounds, and notes which steps are rejected.
struct Bound<'a> {
    law: &'a Controller,
    errors: &'a [f64],
    rejected: &'a mut [bool],
    out: &'a mut [f64],
}

impl Vectorized for Bound<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Controller {
            safety,
            least,
            most,
            ..
        } = *self.law;
        let steps = self.errors.iter().zip(self.rejected);
        for (out, (&error, rejected)) in self.out.iter_mut().zip(steps) {
            let most = if *rejected { 1.0 } else { most };
            let wish = between(least, safety * *out, most); // (RK.4)
            *out = if error <= f64::MAX { wish } else { least };
            *rejected = !(error <= 1.0);
        }
    }
}

/// What control remembers of each sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct History {
    /// The errors of the last two accepted steps, the latest first, for laws
    /// that ask for them.
    errors: [Vec<f64>; 2],
    /// Whether the last attempt was rejected.
    rejected: Vec<bool>,
}

impl History {
    /// Nothing yet: errors of 1, which no exponent changes.
    pub(crate) fn new(samples: usize) -> Self {
        History {
            errors: [(); 2].map(|()| vec![1.0; samples]),
            rejected: vec![false; samples],
        }
    }

    /// Only these samples, in this order.
    pub(crate) fn pick(&mut self, samples: &[usize]) {
        for errors in &mut self.errors {
            *errors = samples.iter().map(|&i| errors[i]).collect();
        }
        self.rejected = samples.iter().map(|&i| self.rejected[i]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a law with exponents remembers.
    fn after(errors: &[f64]) -> History {
        let mut history = History::new(1);
        for &e in errors {
            let room = (&mut [0.0][..], &mut [0.0][..]);
            Controller::PID.factors(&[e], 4, &mut history, room);
        }
        history
    }

    /// The factor of one sample.
    fn one(law: Controller, error: f64, past: &History) -> f64 {
        let mut out = [f64::NAN];
        law.factors(&[error], 4, &mut past.clone(), (&mut [0.0], &mut out));
        out[0]
    }

    /// Verifies (RK.4).
    #[test]
    fn the_factor_follows_the_law_between_its_bounds() {
        let (new, rejected) = (after(&[]), after(&[2.0]));
        let factor = |e, past: &History| one(Controller::I, e, past);
        assert!((factor(1.0, &new) - 0.9).abs() <= 1e-15);
        assert!((factor(32.0, &new) - 0.45).abs() <= 1e-15);
        assert_eq!(factor(1e-30, &new), 10.0);
        assert_eq!(factor(1e-30, &rejected), 1.0);
        assert_eq!(factor(0.0, &new), 10.0);
        assert_eq!(factor(0.0, &rejected), 1.0);
        assert_eq!(factor(1e30, &new), 0.2);
        assert_eq!(factor(f64::NAN, &new), 0.2);
        assert_eq!(factor(f64::INFINITY, &new), 0.2);
    }

    #[test]
    fn earlier_errors_enter_with_their_exponents_and_rejected_ones_do_not() {
        let past = after(&[0.25, 0.5, 3.0]);
        let past = History {
            rejected: vec![false],
            ..past
        };
        let by_hand = |[b1, b2, b3]: [f64; 3]| {
            0.9 * (0.125f64.powf(-b1) * 0.5f64.powf(-b2) * 0.25f64.powf(-b3)).powf(0.2)
        };
        for law in [Controller::I, Controller::PI, Controller::PID] {
            let found = one(law, 0.125, &past);
            assert!((found - by_hand(law.beta)).abs() <= 1e-15, "{law:?}");
            // A rejected step is corrected alike by all.
            assert_eq!(one(law, 32.0, &past), one(Controller::I, 32.0, &past));
        }
    }

    /// With all errors alike the filters leave `e^(−Σβ/k)`; with an error that
    /// fell they ask for less than I does, since it will fall no further.
    #[test]
    fn the_laws_are_those_that_were_published() {
        assert_eq!(Controller::I.beta, [1.0, 0.0, 0.0]);
        assert_eq!(Controller::PI.beta, [0.7, -0.4, 0.0]);
        assert_eq!(Controller::PID.beta, [0.58, -0.21, 0.1]);
        for law in [Controller::I, Controller::PI, Controller::PID] {
            assert_eq!((law.safety, law.least, law.most), (0.9, 0.2, 10.0));
            let steady = after(&[0.5, 0.5]);
            let sum: f64 = law.beta.iter().sum();
            let expected = 0.9 * 0.5f64.powf(-sum / 5.0);
            assert!((one(law, 0.5, &steady) - expected).abs() <= 1e-15);
            let fell = one(law, 0.25, &after(&[0.5, 0.5]));
            assert!(fell <= one(Controller::I, 0.25, &steady), "{law:?}");
        }
    }

    #[test]
    fn a_sample_has_the_same_factor_among_others_and_remembers_the_same() {
        let wild = [0.0, 1e-300, 0.3, 1.0, 1.5, f64::INFINITY, f64::NAN, 7.0];
        let errors: Vec<f64> = (0..27).map(|i| wild[i % 8] * (1.0 + i as f64)).collect();
        let mut past = after(&[0.5, 3.0]);
        past.pick(&[0; 27]);
        let mut factors = vec![0.0; 27];
        let room = (&mut vec![0.0; 27][..], &mut factors[..]);
        Controller::PID.factors(&errors, 4, &mut past, room);
        for (i, &error) in errors.iter().enumerate() {
            let (mut own, mut factor) = (after(&[0.5, 3.0]), [0.0]);
            Controller::PID.factors(&[error], 4, &mut own, (&mut [0.0], &mut factor));
            let mut same = past.clone();
            same.pick(&[i]);
            assert_eq!((own, factor[0]), (same, factors[i]), "{error}");
            assert_eq!(past.rejected[i], !(error <= 1.0));
        }
    }
}
