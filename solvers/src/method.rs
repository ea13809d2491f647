//! **Method**: a tableau ready to step, in doubles and without its zeros.

use crate::order::Coefficients;

/// The nonzero entries of a row: (stage, coefficient).
#[derive(Clone, Debug, PartialEq)]
pub struct Terms(pub Vec<(usize, f64)>);

impl Terms {
    pub(crate) fn of(row: &[f64]) -> Self {
        let entries = row.iter().copied().enumerate();
        Terms(entries.filter(|(_, x)| *x != 0.0).collect())
    }

    /// The row with its zeros.
    fn row(&self, stages: usize) -> Vec<f64> {
        let mut row = vec![0.0; stages];
        for &(i, x) in &self.0 {
            row[i] = x;
        }
        row
    }
}

/// A method as the stepper runs it.
#[derive(Clone, Debug)]
pub struct Method {
    /// The name in the literature.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// The order.
    pub order: usize,
    /// The nodes, those of stages included that only dense output needs.
    pub c: Vec<f64>,
    /// The matrix.
    pub a: Vec<Terms>,
    /// The weights.
    pub b: Terms,
    /// What the error is estimated by.
    pub estimator: Option<Estimator>,
    /// The rows `d` of dense output (RK.10).
    pub dense: Vec<Terms>,
    /// The order of dense output.
    pub dense_order: usize,
    /// The number of stages of a step.
    pub(crate) stages: usize,
    /// Whether the last stage of a step is evaluated at the result, so that it
    /// is the first stage of the next step. Derived, never declared.
    pub first_same_as_last: bool,
}

/// Differences of results, whose size estimates the error.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimator {
    /// One, which vanishes to `order`.
    Embedded {
        /// `b̂ − b`.
        weights: Terms,
        /// The order of `b̂`.
        order: usize,
    },
    /// Two, mixed by (RK.13).
    FifthAndThird {
        /// The one that vanishes to order 5.
        fifth: Terms,
        /// The one that vanishes to order 3.
        third: Terms,
    },
}

impl Estimator {
    /// The order to which the estimate vanishes as a function of the step.
    #[must_use]
    pub fn order(&self) -> usize {
        match self {
            Estimator::Embedded { order, .. } => *order,
            // h⁶·h⁶/h⁴ is h⁸.
            Estimator::FifthAndThird { .. } => 7,
        }
    }

    /// Its weights; of two, those of the one that vanishes to order 5.
    pub(crate) fn weights(&self) -> &Terms {
        match self {
            Estimator::Embedded { weights, .. } => weights,
            Estimator::FifthAndThird { fifth, .. } => fifth,
        }
    }
}

impl Method {
    /// The number of stages of a step, without those that only dense output
    /// needs.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.stages
    }

    /// The coefficients with their zeros, to be examined.
    #[must_use]
    pub fn coefficients(&self) -> Coefficients<f64> {
        let row = |terms: &Terms| terms.row(self.c.len());
        Coefficients {
            c: self.c.clone(),
            a: self.a.iter().map(row).collect(),
            b: row(&self.b),
            error: match &self.estimator {
                None => vec![],
                Some(Estimator::Embedded { weights, .. }) => vec![row(weights)],
                Some(Estimator::FifthAndThird { fifth, third }) => vec![row(fifth), row(third)],
            },
            dense: self.dense.iter().map(row).collect(),
        }
    }
}
