//! **Examination**: a method held to everything it says, for a table.
//!
//! Conditions are counted in the doubles that the stepper runs, orders are
//! also *seen*, by stepping through a problem that is neither linear nor
//! autonomous, and wrong twins of the method, with one coefficient a thousandth
//! off, go through the same judge and must be rejected.

use crate::method::{Estimator, Method, Terms};
use crate::methods;
use crate::rows::Rows;
use crate::solve::Solve;
use crate::stability::{imaginary_interval, real_interval, stability_polynomial};
use crate::time_grid::TimeGrid;

/// What was found about a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// The name.
    pub method: &'static str,
    /// Stages of a step.
    pub stages: usize,
    /// The order, by the conditions.
    pub order: usize,
    /// The order to which the error estimate vanishes, by the conditions;
    /// DOP853's of order 5.
    pub embedded_order: Option<usize>,
    /// The order of values within a step, by the conditions.
    pub dense_order: usize,
    /// The norm of the estimate's leading coefficients, (RK.9).
    pub estimator_norm: Option<f64>,
    /// Stable on `[−x, 0]`.
    pub real_interval: f64,
    /// Stable on `[−iy, iy]`.
    pub imag_interval: f64,
    /// The order seen at the end of an interval.
    pub order_observed: f64,
    /// The order seen within a step.
    pub dense_order_observed: f64,
    /// Whether every wrong twin was rejected.
    pub control_rejected: bool,
    /// Whether everything holds.
    pub passed: bool,
}

/// Examines a method.
#[must_use]
pub fn examine(method: &Method) -> Examination {
    let mut found = look(method);
    found.control_rejected = twins(method).iter().all(|twin| !holds(twin, &look(twin)));
    found.passed = holds(method, &found) && found.control_rejected;
    found
}

/// The method with its last weight a thousandth off: a planted fault, to see a
/// row of the table fail.
#[must_use]
pub fn with_wrong_weight(method: &Method) -> Method {
    let mut wrong = method.clone();
    off(&mut wrong.b);
    wrong
}

/// The last of the coefficients a thousandth off.
fn off(terms: &mut Terms) {
    if let Some((_, x)) = terms.0.last_mut() {
        *x *= 1.001;
    }
}

/// Norms of estimates as they are known from elsewhere: conditions do not see
/// a scaled estimate.
const NORMS: [(&str, f64); 3] = [
    ("Bogacki-Shampine", 0.029_462_782_55),
    ("Dormand-Prince", 0.001_182_957_151),
    ("Tsitouras", 0.001_064_972_833),
];

/// Whether what was found is what the method says.
fn holds(method: &Method, found: &Examination) -> bool {
    let coefficients = method.coefficients();
    let said = method.estimator.as_ref().map(|estimator| match estimator {
        Estimator::Embedded { order, .. } => *order,
        Estimator::FifthAndThird { .. } => 5,
    });
    let third = coefficients.error.get(1);
    let known = NORMS.iter().find(|(name, _)| *name == method.name);
    let scaled = known.is_some_and(|(_, known)| {
        let norm = found.estimator_norm.unwrap_or(f64::NAN);
        // Ten digits are known.
        !((norm / known - 1.0).abs() <= 1e-8)
    });
    // Sums of sixteen numbers of size at most 50.
    coefficients.row_sum_defect() <= 1e-13
        && found.order == method.order
        && found.embedded_order == said
        && third.is_none_or(|row| coefficients.error_order(row) == 3)
        && found.dense_order == method.dense_order
        && !scaled
        && (found.order_observed - method.order as f64).abs() <= 0.1
        && (found.dense_order_observed - method.dense_order as f64).abs() <= 0.1
}

fn look(method: &Method) -> Examination {
    let coefficients = method.coefficients();
    let polynomial = stability_polynomial(&coefficients);
    let estimate = coefficients.error.first();
    Examination {
        method: method.name,
        stages: method.stages(),
        order: coefficients.order(),
        embedded_order: estimate.map(|row| coefficients.error_order(row)),
        dense_order: coefficients.dense_order(),
        estimator_norm: estimate.map(|row| coefficients.estimator_norm(row)),
        real_interval: real_interval(&polynomial),
        imag_interval: imaginary_interval(&polynomial),
        order_observed: order_observed(method),
        dense_order_observed: dense_order_observed(method),
        control_rejected: false,
        passed: false,
    }
}

/// The method with one coefficient a thousandth off: a node, a weight, an
/// entry of the matrix, of the estimate and of dense output.
fn twins(method: &Method) -> Vec<Method> {
    let mut twins = Vec::new();
    let mut spoil = |change: &dyn Fn(&mut Method)| {
        let mut twin = method.clone();
        change(&mut twin);
        if twin.coefficients() != method.coefficients() {
            twins.push(twin);
        }
    };
    let last = method.stages() - 1;
    spoil(&|m| m.c[last] *= 1.001);
    spoil(&|m| off(&mut m.a[last]));
    spoil(&|m| off(&mut m.b));
    spoil(&|m| {
        if let Some(row) = m.dense.last_mut() {
            off(row);
        }
    });
    spoil(&|m| match &mut m.estimator {
        None => (),
        Some(Estimator::Embedded { weights, .. }) => {
            for (_, x) in &mut weights.0 {
                *x *= 1.001;
            }
        }
        Some(Estimator::FifthAndThird { fifth, .. }) => off(fifth),
    });
    twins
}

type Batch = Vec<f64>;

/// A pendulum that is damped and driven.
fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

/// Many starts, so that no leading term of the error vanishes by chance.
fn starts() -> Batch {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    (0..32).flat_map(start).collect()
}

/// The end of `steps` steps, and the values at a time to save at.
fn march(method: &Method, (t0, t1): (f64, f64), steps: usize, save_at: &[f64]) -> Vec<Batch> {
    let space = Rows::<f64>::new(2);
    let mut field = pendulum;
    let solve = Solve::new(&space, &mut field).save_at(save_at);
    let Ok(grid) = TimeGrid::uniform(t0, t1, steps) else {
        return vec![];
    };
    let end = solve.fixed(method, starts(), &grid);
    let Ok(end) = end else { return vec![] };
    std::iter::once(end.state).chain(end.saved).collect()
}

fn difference(a: &Batch, b: &Batch) -> Batch {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// The slope between errors `e` of three steps, each half of the one before,
/// without the next term: `e(h) − 2ᵖ⁺¹e(h/2)`. It makes the leading term
/// visible where a method made it small; an error of another order keeps its
/// own slope.
fn slope(order: usize, [first, second, third]: [Batch; 3]) -> f64 {
    let without = |coarse: &Batch, fine: &Batch| -> f64 {
        let weight = 2f64.powi(order as i32 + 1);
        let pairs = coarse.iter().zip(fine);
        pairs.map(|(c, f)| (c - weight * f).powi(2)).sum()
    };
    0.5 * (without(&first, &second) / without(&second, &third)).log2()
}

fn order_observed(method: &Method) -> f64 {
    // Errors between 1e-4 and 1e-13.
    let (span, steps) = match method.order {
        1 => ((0.0, 3.0), 1000),
        2 => ((0.0, 3.0), 200),
        3 => ((0.0, 3.0), 100),
        4 => ((0.0, 3.0), 60),
        5 => ((0.0, 3.0), 48),
        _ => ((0.0, 4.0), 10),
    };
    let exact = &march(&methods::DOP853, span, 200, &[])[0];
    let error = |n: usize| difference(&march(method, span, n, &[])[0], exact);
    slope(method.order, [steps, 2 * steps, 4 * steps].map(error))
}

/// One step from an exact start leaves `O(h^(q + 1))` within it.
fn dense_order_observed(method: &Method) -> f64 {
    let h = match (method.dense_order, method.name) {
        (1 | 2, _) => 0.01,
        (3, _) => 0.04,
        (4, "Tsitouras") => 0.1,
        (4, _) => 0.16,
        _ => 0.64,
    };
    let error = |h: f64| {
        let (t0, theta) = (0.3, 0.37);
        let exact = &march(&methods::DOP853, (t0, t0 + theta * h), 40, &[])[0];
        difference(&march(method, (t0, t0 + h), 1, &[t0 + theta * h])[1], exact)
    };
    slope(method.dense_order + 1, [h, h / 2.0, h / 4.0].map(error)) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_passes_and_each_of_its_twins_fails() {
        for method in *methods::ALL {
            let found = examine(method);
            assert!(found.passed && found.control_rejected, "{found:?}");
            assert!(!twins(method).is_empty(), "{}", method.name);
            let planted = examine(&with_wrong_weight(method));
            assert!(!planted.passed, "{planted:?}");
        }
        let scaled = twins(&methods::DORMAND_PRINCE).pop().expect("an estimate");
        assert!(
            !examine(&scaled).passed,
            "an estimate that is 1.001 times too large"
        );
    }
}
