//! **Verification**: every equation of the post, by number, in numbers.
//!
//! For each equation there is a *claim* that can fail, a measurement on random
//! cases, and a deliberately wrong twin of the formula (a missing factor, a
//! wrong sign, `σ` for `σ²`) that goes through the same measurement and the
//! same judge and must be rejected. Where a derivative is involved, the
//! residual must fall with the square of the difference step: a slope catches
//! a wrong constant and a wrong derivative alike.

mod cases;
mod conditional;
mod learning;
mod mixing;
mod transport;

use autograd::Draw;
use cases::Cases;
use serde::Serialize;

/// How to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of the random cases.
    pub seed: u64,
    /// Random cases for each equation.
    pub cases: u32,
    /// An equation whose wrong twin is put in its place, to show that the
    /// verdict is earned.
    pub plant: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 20_260_501,
            cases: 256,
            plant: None,
        }
    }
}

/// Right, or deliberately wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twin {
    True,
    Wrong,
}

impl Twin {
    /// The right value, or the wrong one.
    pub(crate) fn pick<T>(self, right: T, wrong: T) -> T {
        match self {
            Twin::True => right,
            Twin::Wrong => wrong,
        }
    }
}

/// What was measured of one claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    /// How far from holding.
    pub(crate) residual: f64,
    /// How far it may be.
    pub(crate) allowed: f64,
    /// The order expected, and the one observed.
    pub(crate) order: Option<(f64, f64)>,
    /// If it was looked for and there is one: a case of its own beyond what is
    /// allowed, shrunk.
    pub(crate) smallest_failing_case: Option<String>,
}

/// Largest deviation of an observed order from the expected one.
const ORDER_WINDOW: f64 = 0.1;

impl Measured {
    /// The one judge. NaN fails.
    fn holds(&self) -> bool {
        let order = match self.order {
            Some((expected, observed)) => (observed - expected).abs() <= ORDER_WINDOW,
            None => true,
        };
        self.residual <= self.allowed && order
    }
}

/// How one claim is measured.
type Measure = fn(&Cases, Twin) -> Measured;

/// An equation, its claim, and its measurement.
#[derive(Clone, Copy)]
pub struct Equation {
    /// Its number, such as `"FM.8"`.
    pub tag: &'static str,
    /// What must hold.
    pub claim: &'static str,
    measure: Measure,
}

impl std::fmt::Debug for Equation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.tag, self.claim)
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Number of the equation.
    pub equation: &'static str,
    /// What must hold.
    pub claim: &'static str,
    /// How far it is from holding.
    pub residual: f64,
    /// The order with which the residual must vanish.
    pub expected_order: Option<f64>,
    /// The order observed.
    pub observed_order: Option<f64>,
    /// Whether the wrong twin was rejected.
    pub control_rejected: bool,
    /// If the formula fails: the smallest case found in which it does.
    pub smallest_failing_case: Option<String>,
    /// The judgement: right formula accepted and wrong twin rejected.
    pub verdict: Verdict,
}

/// The judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The formula holds and its wrong twin does not.
    Pass,
    /// One of the two is not so.
    Fail,
}

impl Equation {
    /// Measures and judges the claim and its control.
    #[must_use]
    pub fn verify(&self, settings: &Settings) -> Row {
        let planted = settings.plant.as_deref() == Some(self.tag);
        let subject = if planted { Twin::Wrong } else { Twin::True };
        // The stream is the number of the equation, so that verifying one
        // alone meets the same cases as verifying all.
        let number = self.tag.trim_start_matches("FM.").parse().unwrap_or(0);
        let mut cases = Cases {
            draw: Draw::seed(settings.seed).stream(number),
            count: settings.cases,
            shrinking: false,
        };
        let mut measured = (self.measure)(&cases, subject);
        let control = (self.measure)(&cases, Twin::Wrong);
        if !measured.holds() {
            cases.shrinking = true;
            measured = (self.measure)(&cases, subject);
        }
        let passes = measured.holds() && !control.holds();
        Row {
            equation: self.tag,
            claim: self.claim,
            residual: measured.residual,
            expected_order: measured.order.map(|o| o.0),
            observed_order: measured.order.map(|o| o.1),
            control_rejected: !control.holds(),
            smallest_failing_case: measured.smallest_failing_case,
            verdict: if passes { Verdict::Pass } else { Verdict::Fail },
        }
    }
}

/// All 22 equations, in order.
#[rustfmt::skip]
pub const EQUATIONS: [Equation; 22] = [
    Equation { tag: "FM.1",  claim: "the flow map moves with the field: dφ/dt = v(φ)",          measure: transport::flow_map },
    Equation { tag: "FM.2",  claim: "density and field satisfy the continuity equation",         measure: transport::continuity },
    Equation { tag: "FM.3",  claim: "the same in flux form, every derivative by differences",    measure: transport::flux_form },
    Equation { tag: "FM.4",  claim: "the exact map of a Gaussian solves dx/dt = v",              measure: transport::exact_trajectory },
    Equation { tag: "FM.5",  claim: "x1 is x0 plus the integral of v along the trajectory",      measure: transport::integral_of_velocity },
    Equation { tag: "FM.6",  claim: "the marginal is the mixture of conditional densities",      measure: mixing::marginal_density },
    Equation { tag: "FM.7",  claim: "each conditional path satisfies the continuity equation",   measure: transport::conditional_continuity },
    Equation { tag: "FM.8",  claim: "the marginal velocity is the weighted mean of conditional ones", measure: mixing::marginal_velocity },
    Equation { tag: "FM.9",  claim: "the mixed flux moves the marginal: div of it is -dp/dt",    measure: mixing::flux_swap },
    Equation { tag: "FM.10", claim: "on finite data it is the posterior expectation",            measure: mixing::posterior_expectation },
    Equation { tag: "FM.11", claim: "the straight line meets both ends, in bits",                measure: conditional::ends },
    Equation { tag: "FM.12", claim: "its velocity is x1 - x0",                                   measure: conditional::joint_velocity },
    Equation { tag: "FM.13", claim: "given x1 the particle has variance (1-t)^2",                measure: conditional::singular_moments },
    Equation { tag: "FM.14", claim: "the singular field is the velocity of the line through x",  measure: conditional::singular_velocity },
    Equation { tag: "FM.15", claim: "with thickness the variance is (1-t)^2 + sigma^2",          measure: conditional::thick_moments },
    Equation { tag: "FM.16", claim: "the thick particle has the mean and variance of its path",  measure: conditional::thick_particle },
    Equation { tag: "FM.17", claim: "the thick path begins at variance 1 + sigma^2",             measure: conditional::initial_variance },
    Equation { tag: "FM.18", claim: "the field follows from the rates of mean and deviation",    measure: conditional::gaussian_field },
    Equation { tag: "FM.19", claim: "the final form is the same field, and x1 in bits at t = 1", measure: conditional::final_field },
    Equation { tag: "FM.20", claim: "it is the mean of x1 - x0 given x and x1",                  measure: conditional::mean_joint_velocity },
    Equation { tag: "FM.21", claim: "the exact field's loss is (pi/2) s d, in standard errors",  measure: learning::irreducible_loss },
    Equation { tag: "FM.22", claim: "solvers reach x1 with their orders (worst deviation)",      measure: learning::solver_orders },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies (FM.1), (FM.2), (FM.3), (FM.4), (FM.5), (FM.6), (FM.7),
    /// Verifies (FM.8), (FM.9), (FM.10), (FM.11), (FM.12), (FM.13), (FM.14),
    /// Verifies (FM.15), (FM.16), (FM.17), (FM.18), (FM.19), (FM.20),
    /// Verifies (FM.21), (FM.22).
    #[test]
    fn every_equation_holds_and_every_wrong_twin_is_rejected() {
        for seed in [1, 2, 3] {
            let settings = Settings {
                seed,
                ..Settings::default()
            };
            for equation in EQUATIONS {
                let row = equation.verify(&settings);
                println!(
                    "{:6} {:.2e} {:?} {:?} {:?}",
                    row.equation,
                    row.residual,
                    row.observed_order,
                    row.control_rejected,
                    row.verdict
                );
                assert_eq!(row.verdict, Verdict::Pass, "seed {seed}: {row:?}");
            }
        }
    }

    #[test]
    fn a_planted_twin_fails_its_equation_and_no_other() {
        for planted in EQUATIONS {
            let settings = Settings {
                cases: 32,
                plant: Some(planted.tag.to_owned()),
                ..Settings::default()
            };
            let row = planted.verify(&settings);
            assert_eq!(row.verdict, Verdict::Fail, "{row:?}");
        }
    }

    #[test]
    fn the_judge_refuses_nan_and_wrong_orders() {
        let measured = |residual, order| Measured {
            residual,
            allowed: 1.0,
            order,
            smallest_failing_case: None,
        };
        assert!(measured(0.5, Some((2.0, 2.05))).holds());
        assert!(!measured(f64::NAN, None).holds());
        assert!(!measured(0.5, Some((2.0, f64::NAN))).holds());
        assert!(!measured(0.5, Some((2.0, 1.85))).holds());
        assert!(!measured(1.5, None).holds());
    }

    #[test]
    fn there_is_one_row_for_each_equation_of_the_post() {
        let tags: Vec<String> = EQUATIONS.iter().map(|e| e.tag.to_owned()).collect();
        let expected: Vec<String> = (1..=22).map(|n| format!("FM.{n}")).collect();
        assert_eq!(tags, expected);
    }
}
