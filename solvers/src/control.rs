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

use crate::elementary::{exp, ln};

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
    /// remembered. A NaN error shrinks a step as far as it goes.
    ///
    /// Errors are taken eight at a time; one alone gives the same bits.
    pub(crate) fn factors(
        &self,
        errors: &[f64],
        estimate_order: usize,
        past: &mut [History],
        out: &mut [f64],
    ) {
        let (errors, last_errors) = errors.as_chunks::<LANES>();
        let (past, last_past) = past.as_chunks_mut::<LANES>();
        let (out, last_out) = out.as_chunks_mut::<LANES>();
        for ((errors, past), out) in errors.iter().zip(past).zip(out) {
            *out = self.of(errors, estimate_order, past);
        }
        for ((&error, past), out) in last_errors.iter().zip(last_past).zip(last_out) {
            [*out] = self.of(&[error], estimate_order, std::array::from_mut(past));
        }
    }

    #[inline(always)]
    fn of<const N: usize>(
        &self,
        errors: &[f64; N],
        estimate_order: usize,
        past: &mut [History; N],
    ) -> [f64; N] {
        let mut logarithms = [0.0; N];
        for i in 0..N {
            // An error of 0 says only that it is small. Those that are not
            // finite are put right below.
            logarithms[i] = ln(errors[i].clamp(f64::MIN_POSITIVE, f64::MAX));
        }
        let mut exponents = [0.0; N];
        for i in 0..N {
            exponents[i] = past[i].exponent(errors[i], logarithms[i], self.beta);
        }
        let root = -1.0 / (estimate_order + 1) as f64;
        let mut factors = [0.0; N];
        for i in 0..N {
            let wish = self.safety * exp((root * exponents[i]).clamp(-700.0, 700.0)); // (RK.4)
            factors[i] = wish.min(self.most).max(self.least);
        }
        for i in 0..N {
            if past[i].rejected {
                factors[i] = factors[i].min(1.0f64.max(self.least));
            }
            if !(errors[i] <= f64::MAX) {
                factors[i] = self.least;
            }
            past[i].remember(errors[i], logarithms[i]);
        }
        factors
    }
}

/// As many as are computed at once.
const LANES: usize = 8;

/// What a sample's control remembers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct History {
    /// The logarithms of the errors of the last two accepted steps, the latest
    /// first.
    logarithms: [f64; 2],
    /// Whether the last attempt was rejected.
    rejected: bool,
}

impl History {
    /// Nothing yet: errors of 1, which no exponent changes.
    pub(crate) const NEW: Self = History {
        logarithms: [0.0, 0.0],
        rejected: false,
    };

    /// The logarithm of what the root in (RK.4) is taken of, turned over.
    #[inline(always)]
    fn exponent(&self, error: f64, logarithm: f64, [b1, b2, b3]: [f64; 3]) -> f64 {
        let [before, earlier] = self.logarithms;
        if error <= 1.0 {
            b1 * logarithm + b2 * before + b3 * earlier
        } else {
            logarithm
        }
    }

    /// Remembers an attempt.
    #[inline(always)]
    fn remember(&mut self, error: f64, logarithm: f64) {
        self.rejected = !(error <= 1.0);
        if !self.rejected {
            self.logarithms = [logarithm, self.logarithms[0]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(errors: &[f64]) -> History {
        let mut history = History::NEW;
        for &e in errors {
            history.remember(e, e.ln());
        }
        history
    }

    /// The factor of one sample.
    fn one(law: Controller, error: f64, past: &History) -> f64 {
        let mut out = [f64::NAN];
        law.factors(&[error], 4, &mut [*past], &mut out);
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
            rejected: false,
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

    #[test]
    fn a_sample_has_the_same_factor_among_others_and_remembers_the_same() {
        let wild = [0.0, 1e-300, 0.3, 1.0, 1.5, f64::INFINITY, f64::NAN, 7.0];
        let errors: Vec<f64> = (0..27).map(|i| wild[i % 8] * (1.0 + i as f64)).collect();
        let mut past = vec![after(&[0.5, 3.0]); 27];
        let mut factors = vec![0.0; 27];
        Controller::PID.factors(&errors, 4, &mut past, &mut factors);
        for (i, &error) in errors.iter().enumerate() {
            let (mut own, mut factor) = ([after(&[0.5, 3.0])], [0.0]);
            Controller::PID.factors(&[error], 4, &mut own, &mut factor);
            assert_eq!((own[0], factor[0]), (past[i], factors[i]), "{error}");
            assert_eq!(past[i].rejected, !(error <= 1.0));
        }
    }
}
