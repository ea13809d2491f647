//! **Schedule**: how noise is turned into data, as two functions of time.
//!
//! ```math
//! x_t = a(t)\,x_1 + b(t)\,x_0, \qquad a(0) = 0,\ b(0) = 1,\ a(1) = 1,\ b(1) = 0 \tag{E.1}
//! ```
//!
//! `t = 0` is noise, `t = 1` is data.

use std::f64::consts::FRAC_PI_2;

/// A pair of coefficient functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// `a = t`, `b = 1 − t`: straight lines, the conditional optimal
    /// transport.
    CondOt,
    /// `a = sin(πt/2)`, `b = cos(πt/2)`.
    Cosine,
    /// `a = t`, `b = √(1 − t²)`; `ḃ` is infinite at 1.
    LinearVp,
    /// The variance-preserving path of diffusion models,
    /// `a = e^{−T(1−t)/2}`, `b = √(1 − a²)` with
    /// `T(s) = ½s²(β₁ − β₀) + sβ₀`, `β₀ = 0.1`, `β₁ = 20` (Song et al. 2021).
    /// Its `a(0)` is `e^{−5.025} = 0.0066`, not quite 0; `ḃ` is infinite at 1.
    VariancePreserving,
}

/// The coefficients at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// `a(t)`, of the data.
    pub a: f64,
    /// `b(t)`, of the noise.
    pub b: f64,
    /// `da/dt`.
    pub a_dot: f64,
    /// `db/dt`.
    pub b_dot: f64,
}

impl Schedule {
    /// All of them.
    pub const ALL: [Schedule; 4] = [
        Schedule::CondOt,
        Schedule::Cosine,
        Schedule::LinearVp,
        Schedule::VariancePreserving,
    ];

    /// The coefficients and their derivatives at `t` in [0, 1].
    ///
    /// # Panics
    /// If `t` is outside, or NaN.
    #[track_caller]
    #[must_use]
    pub fn at(self, t: f64) -> Coefficients {
        assert!(
            (0.0..=1.0).contains(&t),
            "schedule: the time is {t}, a number from 0 to 1 was expected"
        );
        match self {
            Schedule::CondOt => Coefficients {
                a: t,
                b: 1.0 - t,
                a_dot: 1.0,
                b_dot: -1.0,
            },
            Schedule::Cosine => {
                let (sin, cos) = (FRAC_PI_2 * t).sin_cos();
                Coefficients {
                    a: sin,
                    b: cos,
                    a_dot: FRAC_PI_2 * cos,
                    b_dot: -FRAC_PI_2 * sin,
                }
            }
            Schedule::LinearVp => {
                let b = ((1.0 - t) * (1.0 + t)).sqrt();
                Coefficients {
                    a: t,
                    b,
                    a_dot: 1.0,
                    b_dot: -t / b,
                }
            }
            Schedule::VariancePreserving => variance_preserving(t),
        }
    }
}

fn variance_preserving(t: f64) -> Coefficients {
    const BETA_0: f64 = 0.1;
    const BETA_1: f64 = 20.0;
    let s = 1.0 - t;
    let integral = 0.5 * s * s * (BETA_1 - BETA_0) + s * BETA_0;
    let a = (-0.5 * integral).exp();
    // √(1 − a²) without cancellation for small s.
    let b = (-(-integral).exp_m1()).sqrt();
    let a_dot = 0.5 * a * (s * (BETA_1 - BETA_0) + BETA_0);
    Coefficients {
        a,
        b,
        a_dot,
        b_dot: -a * a_dot / b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_outside_is_refused_with_its_value() {
        for (t, said) in [(-1e-9, "-0.000000001"), (1.5, "1.5"), (f64::NAN, "NaN")] {
            let payload = std::panic::catch_unwind(|| Schedule::Cosine.at(t)).unwrap_err();
            assert_eq!(
                payload.downcast_ref::<String>().expect("text"),
                &format!("schedule: the time is {said}, a number from 0 to 1 was expected")
            );
        }
    }

    /// Verifies (E.1).
    #[test]
    fn the_ends_are_noise_and_data_and_the_slopes_are_the_derivatives() {
        for schedule in Schedule::ALL {
            let (start, end) = (schedule.at(0.0), schedule.at(1.0));
            let early = if schedule == Schedule::VariancePreserving {
                7e-3
            } else {
                0.0
            };
            assert!(
                start.a <= early && (start.b - 1.0).abs() <= early * early,
                "{start:?}"
            );
            assert!(
                (end.a - 1.0).abs() <= 1e-15 && end.b.abs() <= 1e-15,
                "{end:?}"
            );
            for t in [0.1, 0.37, 0.62, 0.9] {
                let error = |h: f64| {
                    let (p, m, c) = (schedule.at(t + h), schedule.at(t - h), schedule.at(t));
                    let a = (p.a - m.a) / (2.0 * h) - c.a_dot;
                    let b = (p.b - m.b) / (2.0 * h) - c.b_dot;
                    a.hypot(b)
                };
                let (coarse, fine) = (error(2e-3), error(1e-3));
                // Linear functions leave rounding only.
                let rounding = fine <= 1e-12;
                let slope = (coarse / fine).log2();
                assert!(
                    rounding || (slope - 2.0).abs() <= 0.1,
                    "{schedule:?} {t} {slope}"
                );
            }
        }
    }
}
