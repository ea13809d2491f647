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

    /// What to multiply the step by, after a step with this error. A NaN error
    /// shrinks the step as far as it goes.
    pub(crate) fn factor(&self, error: f64, estimate_order: usize, past: &History) -> f64 {
        let accepted = error <= 1.0;
        let ceiling = if past.rejected { 1.0 } else { self.most };
        let [b1, b2, b3] = self.beta;
        let exponent = if accepted {
            b1 * logarithm(error) + b2 * past.logarithms[0] + b3 * past.logarithms[1]
        } else {
            error.ln()
        };
        let wish = self.safety * (-exponent / (estimate_order + 1) as f64).exp(); // (RK.4)
        if wish.is_nan() {
            return self.least;
        }
        wish.clamp(self.least, ceiling.max(self.least))
    }
}

/// An error of 0 says only that it is small.
fn logarithm(error: f64) -> f64 {
    error.max(f64::MIN_POSITIVE).ln()
}

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

    /// Remembers an attempt.
    pub(crate) fn remember(&mut self, error: f64) {
        self.rejected = !(error <= 1.0);
        if !self.rejected {
            self.logarithms = [logarithm(error), self.logarithms[0]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(errors: &[f64]) -> History {
        let mut history = History::NEW;
        for &e in errors {
            history.remember(e);
        }
        history
    }

    /// Verifies (RK.4).
    #[test]
    fn the_factor_follows_the_law_between_its_bounds() {
        let (new, rejected) = (after(&[]), after(&[2.0]));
        let factor = |e, past: &History| Controller::I.factor(e, 4, past);
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
            let found = law.factor(0.125, 4, &past);
            assert!((found - by_hand(law.beta)).abs() <= 1e-15, "{law:?}");
            // A rejected step is corrected alike by all.
            assert_eq!(
                law.factor(32.0, 4, &past),
                Controller::I.factor(32.0, 4, &past)
            );
        }
    }
}
