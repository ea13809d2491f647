//! **Tableau**: a Runge–Kutta method as data, right by construction.
//!
//! ```math
//! k_i = f\Bigl(t + c_i h,\; y + h\sum_{j<i} a_{ij} k_j\Bigr), \qquad
//! y_1 = y + h\sum_i b_i k_i \tag{RK.2}
//! ```
//!
//! A method has order `p` if for every rooted tree `τ` with at most `p` nodes
//!
//! ```math
//! \sum_i b_i\,\Phi_i(\tau) = \frac{1}{\gamma(\tau)} \tag{RK.3}
//! ```
//!
//! (Butcher 1963; Hairer, Nørsett and Wanner, *Solving ODEs I*, II.2.) The
//! trees are in `trees.rs`, the weights `Φ` in `order.rs`.
//! [`Tableau::checked`] holds a method made of fractions to all its claims in
//! exact arithmetic, in a constant expression: a wrong coefficient does not
//! compile. Methods whose coefficients are decimals are held to theirs by
//! `tests/suite/order_conditions.rs`, with 120 digits.
//!
//! ```compile_fail
//! use solvers::{Dense, Estimate, Fraction, Tableau};
//! const HALF: Fraction = Fraction::new(1, 2);
//! const O: Fraction = Fraction::ZERO;
//! // The midpoint rule with its node at 1/3: the rows do not sum to c.
//! const WRONG: Tableau<Fraction, 2> = Tableau {
//!     name: "wrong", source: "", order: 2,
//!     c: [O, Fraction::new(1, 3)],
//!     a: [[O, O], [HALF, O]],
//!     b: [O, Fraction::ONE],
//!     estimate: Estimate::None,
//!     dense: Dense::continuous(2, &[]),
//! }.checked();
//! # let _ = WRONG;
//! ```
//!
//! The same text with the right node compiles, so it is the node that did not:
//!
//! ```
//! use solvers::{Dense, Estimate, Fraction, Tableau};
//! const HALF: Fraction = Fraction::new(1, 2);
//! const O: Fraction = Fraction::ZERO;
//! const RIGHT: Tableau<Fraction, 2> = Tableau {
//!     name: "midpoint", source: "", order: 2,
//!     c: [O, Fraction::new(1, 2)],
//!     a: [[O, O], [HALF, O]],
//!     b: [O, Fraction::ONE],
//!     estimate: Estimate::None,
//!     dense: Dense::continuous(2, &[]),
//! }.checked();
//! assert_eq!(RIGHT.order_of(&RIGHT.b), 2);
//! ```

use crate::dense::{Dense, Smoothness, power_coefficient};
use crate::fraction::{Fraction, frac};
use crate::method::{Estimator, Method, Terms};
use crate::order::{Coefficients, Ring};
use crate::printed::Coefficient;
use crate::trees::{Tree, first_of_order, tree};

/// The coefficients of an explicit method with `S` stages, those included that
/// only dense output needs.
#[derive(Clone, Copy, Debug)]
pub struct Tableau<N: 'static, const S: usize> {
    /// The name in the literature.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// The order of the weights `b`.
    pub order: usize,
    /// The nodes.
    pub c: [N; S],
    /// The matrix, strictly lower triangular.
    pub a: [[N; S]; S],
    /// The weights.
    pub b: [N; S],
    /// What the error is estimated by.
    pub estimate: Estimate<N, S>,
    /// How values within a step are found.
    pub dense: Dense<N, S>,
}

/// Differences `b̂ − b` between the weights of a second result and the first.
#[derive(Clone, Copy, Debug)]
pub enum Estimate<N, const S: usize> {
    /// There is no second result.
    None,
    /// A result of order one less.
    Embedded([N; S]),
    /// Hairer's for DOP853, which vanish to orders 5 and 3 and are mixed so
    /// that the estimate is of order 8, see (RK.13).
    FifthAndThird([N; S], [N; S]),
}

impl<const S: usize> Tableau<Fraction, S> {
    /// With embedded weights `b̂`, as they are printed, and the square of the norm
    /// (RK.9) of the estimate. Order conditions are blind to that norm: `2b − b̂`
    /// and half of the difference have the same orders, and tolerances would
    /// mean something else.
    ///
    /// # Panics
    /// If the estimate has another norm.
    #[must_use]
    pub(crate) const fn embedded(mut self, b_hat: [Fraction; S], norm_squared: Fraction) -> Self {
        let mut difference = [Fraction::ZERO; S];
        let mut i = 0;
        while i < S {
            difference[i] = b_hat[i].minus(self.b[i]);
            i += 1;
        }
        assert!(
            self.norm_squared(&difference).is(norm_squared),
            "the estimate has the claimed norm"
        );
        self.estimate = Estimate::Embedded(difference);
        self
    }

    /// The square of the norm of an estimate of order one less than the method's.
    const fn norm_squared(&self, error: &[Fraction; S]) -> Fraction {
        let mut squares = Fraction::ZERO;
        let mut weights = [[Fraction::ONE; S]; first_of_order(7)];
        let mut place = 0;
        while place < first_of_order(self.order + 1) {
            let tree = tree(place);
            weights[place] = self.elementary_weight(&weights, tree);
            if tree.order == self.order {
                let inverse = frac(1, tree.symmetry as i128);
                let coefficient = dot(error, &weights[place]).times(inverse);
                squares = squares.plus(coefficient.times(coefficient)); // (RK.9)
            }
            place += 1;
        }
        squares
    }

    /// `Φ` of a tree, from those of the trees it is made of, each at its place.
    const fn elementary_weight(
        &self,
        weights: &[[Fraction; S]; first_of_order(7)],
        tree: Tree,
    ) -> [Fraction; S] {
        if tree.order == 1 {
            return [Fraction::ONE; S];
        }
        product(&weights[tree.stem], &self.apply(&weights[tree.graft]))
    }

    /// The tableau itself, if it is what it claims to be.
    ///
    /// # Panics
    /// If the matrix is not explicit, a row does not sum to its node, the
    /// weights have not exactly the claimed order, the embedded weights not
    /// exactly one less, or the dense output not exactly what it claims.
    /// Dense output with slopes needs a last stage that is evaluated at the
    /// result.
    #[must_use]
    pub const fn checked(self) -> Self {
        let mut i = 0;
        while i < S {
            let mut sum = Fraction::ZERO;
            let mut j = 0;
            while j < S {
                sum = sum.plus(self.a[i][j]);
                assert!(
                    j < i || self.a[i][j].is(Fraction::ZERO),
                    "a is strictly lower triangular"
                );
                j += 1;
            }
            assert!(sum.is(self.c[i]), "the rows of a sum to c");
            i += 1;
        }
        assert!(
            self.order_of(&self.b) == self.order,
            "b has the claimed order"
        );
        match self.estimate {
            Estimate::None => (),
            Estimate::Embedded(e) => assert!(
                self.order_of(&sum(&self.b, &e)) + 1 == self.order,
                "the embedded weights have one order less"
            ),
            Estimate::FifthAndThird(..) => panic!("this pair is not made of fractions"),
        }
        assert!(
            self.dense_order() == self.dense.order,
            "dense output has the claimed order"
        );
        if let Smoothness::Slopes = self.dense.smoothness {
            // Its last function matches the slope at the result.
            let mut i = 0;
            while i < S {
                assert!(
                    self.a[S - 1][i].is(self.b[i]),
                    "the last stage is evaluated at the result"
                );
                i += 1;
            }
        }
        self
    }

    /// The order of the result with these weights, at most 5.
    #[must_use]
    pub const fn order_of(&self, weights: &[Fraction; S]) -> usize {
        self.first_defect(weights, None)
    }

    /// The order of dense output, at most 5.
    const fn dense_order(&self) -> usize {
        self.first_defect(&self.b, Some(&self.dense))
    }

    /// One less than the number of nodes of the first tree of which (RK.3), or
    /// for dense output (RK.8), does not hold. At least one tree with six nodes
    /// fails for every method at hand.
    const fn first_defect(&self, b: &[Fraction; S], dense: Option<&Dense<Fraction, S>>) -> usize {
        let mut weights = [[Fraction::ONE; S]; first_of_order(7)];
        let mut place = 0;
        while place < weights.len() {
            let tree = tree(place);
            weights[place] = self.elementary_weight(&weights, tree);
            let phi = &weights[place];
            let holds = match dense {
                None => dot(b, phi).is(frac(1, tree.density as i128)), // (RK.3)
                Some(dense) => self.holds_densely(dense, phi, tree.order, tree.density),
            };
            if !holds {
                return tree.order - 1;
            }
            place += 1;
        }
        panic!("the order is larger than the trees at hand reach")
    }

    /// (RK.8), power by power of `θ`.
    const fn holds_densely(
        &self,
        dense: &Dense<Fraction, S>,
        phi: &[Fraction; S],
        order: usize,
        density: u64,
    ) -> bool {
        let mut power = 1;
        while power <= 8 {
            let mut sum = Fraction::ZERO;
            let mut m = 0;
            while m < dense.functions() {
                let moment = dot(&self.dense_row(m), phi);
                sum = sum.plus(moment.times(frac(power_coefficient(m, power) as i128, 1)));
                m += 1;
            }
            let right = if power == order {
                frac(1, density as i128)
            } else {
                Fraction::ZERO
            };
            if !sum.is(right) {
                return false;
            }
            power += 1;
        }
        true
    }

    /// The weights of one of the functions (RK.10).
    const fn dense_row(&self, m: usize) -> [Fraction; S] {
        let mut row = self.b;
        let mut i = 0;
        while i < S {
            let first = frac((i == 0) as i128, 1);
            row[i] = match (m, self.dense.smoothness) {
                (0, _) => self.b[i],
                (1, _) => first.minus(self.b[i]),
                (2, Smoothness::Slopes) => {
                    let last = frac((i + 1 == S) as i128, 1);
                    self.b[i].plus(self.b[i]).minus(first).minus(last)
                }
                (_, Smoothness::Slopes) => self.dense.rows[m - 3][i],
                (_, Smoothness::Values) => self.dense.rows[m - 2][i],
            };
            i += 1;
        }
        row
    }

    const fn apply(&self, v: &[Fraction; S]) -> [Fraction; S] {
        let mut out = [Fraction::ZERO; S];
        let mut i = 0;
        while i < S {
            out[i] = dot(&self.a[i], v);
            i += 1;
        }
        out
    }
}

const fn sum<const S: usize>(u: &[Fraction; S], v: &[Fraction; S]) -> [Fraction; S] {
    let mut out = [Fraction::ZERO; S];
    let mut i = 0;
    while i < S {
        out[i] = u[i].plus(v[i]);
        i += 1;
    }
    out
}

const fn product<const S: usize>(u: &[Fraction; S], v: &[Fraction; S]) -> [Fraction; S] {
    let mut out = [Fraction::ZERO; S];
    let mut i = 0;
    while i < S {
        out[i] = u[i].times(v[i]);
        i += 1;
    }
    out
}

const fn dot<const S: usize>(u: &[Fraction; S], v: &[Fraction; S]) -> Fraction {
    let mut sum = Fraction::ZERO;
    let mut i = 0;
    while i < S {
        if !u[i].is(Fraction::ZERO) {
            sum = sum.plus(u[i].times(v[i]));
        }
        i += 1;
    }
    sum
}

impl<N: Coefficient, const S: usize> Tableau<N, S> {
    /// All coefficients in another kind of numbers, with the weights of dense
    /// output that follow from the others.
    #[must_use]
    pub fn coefficients<R: Ring + PartialEq>(&self, number: impl Fn(N) -> R) -> Coefficients<R> {
        let row = |row: &[N; S]| row.iter().map(|&x| number(x)).collect::<Vec<R>>();
        let error = match &self.estimate {
            Estimate::None => vec![],
            Estimate::Embedded(e) => vec![row(e)],
            Estimate::FifthAndThird(fifth, third) => vec![row(fifth), row(third)],
        };
        let (b, a): (Vec<R>, Vec<Vec<R>>) = (row(&self.b), self.a.iter().map(row).collect());
        let c = row(&self.c);
        let end = last_at_result(&a, &b, &c);
        let mut dense = self.dense.derived(&b, end);
        dense.extend(self.dense.rows.iter().map(row));
        Coefficients {
            c,
            a,
            b,
            error,
            dense,
        }
    }
}

/// The stage that is evaluated at the result, if there is one: the first of
/// the next step. Derived, never declared.
fn last_at_result<R: Ring + PartialEq>(a: &[Vec<R>], b: &[R], c: &[R]) -> Option<usize> {
    let one = R::integer(1);
    (0..b.len()).find(|&i| c[i] == one && a[i] == b)
}

impl<N: Coefficient, const S: usize> From<Tableau<N, S>> for Method {
    fn from(tableau: Tableau<N, S>) -> Self {
        let coefficients = tableau.coefficients(N::to_f64);
        let end = last_at_result(&coefficients.a, &coefficients.b, &coefficients.c);
        let mut error = coefficients.error.iter().map(|row| Terms::of(row));
        Method {
            name: tableau.name,
            source: tableau.source,
            order: tableau.order,
            stages: end.map_or(S, |end| end + 1),
            first_same_as_last: end.is_some(),
            a: coefficients.a.iter().map(|row| Terms::of(row)).collect(),
            b: Terms::of(&coefficients.b),
            estimator: match (error.next(), error.next()) {
                (None, _) => None,
                (Some(e), None) => Some(Estimator::Embedded {
                    weights: e,
                    order: tableau.order - 1,
                }),
                (Some(fifth), Some(third)) => Some(Estimator::FifthAndThird { fifth, third }),
            },
            dense: coefficients
                .dense
                .iter()
                .map(|row| Terms::of(row))
                .collect(),
            dense_order: tableau.dense.order,
            c: coefficients.c,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::{self, DORMAND_PRINCE_TABLEAU as DP};

    /// Verifies (RK.3).
    #[test]
    fn each_wrong_coefficient_loses_the_order() {
        let little = frac(1, 1_000_000_000);
        let caught =
            |wrong: Tableau<Fraction, 7>| std::panic::catch_unwind(|| wrong.checked()).is_err();
        assert_eq!((DP.order_of(&DP.b), DP.dense_order()), (5, 4));
        for i in 0..7 {
            let mut wrong = DP;
            wrong.b[i] = wrong.b[i].plus(little);
            assert!(wrong.order_of(&wrong.b) < 5, "b[{i}]");
            if let Estimate::Embedded(e) = &mut wrong.estimate {
                wrong.b = DP.b;
                e[i] = e[i].plus(little);
            }
            assert!(caught(wrong), "e[{i}]");
            for j in 0..i {
                // The last row of a equals b and enters no condition of b.
                let mut wrong = DP;
                wrong.a[i][j] = wrong.a[i][j].plus(little);
                assert!(caught(wrong), "a[{i}][{j}]");
            }
        }
    }

    /// Half of an estimate vanishes to the same order, and so does its double:
    /// only its norm tells.
    ///
    /// Verifies (RK.9).
    #[test]
    fn an_estimate_of_another_size_is_not_the_one_that_was_claimed() {
        let Estimate::Embedded(difference) = DP.estimate else {
            panic!("a pair")
        };
        let claimed = frac(29_380_423, 20_995_200_000_000);
        for (scale, right) in [(frac(1, 1), true), (frac(1, 2), false), (frac(2, 1), false)] {
            let b_hat = std::array::from_fn(|i| DP.b[i].plus(scale.times(difference[i])));
            let made = std::panic::catch_unwind(|| DP.embedded(b_hat, claimed).checked());
            assert_eq!(made.is_ok(), right, "{scale:?}");
        }
    }

    #[test]
    fn slopes_at_the_end_need_a_stage_there() {
        // Kutta's third order method, whose last stage is not at the result.
        let wrong = Tableau {
            dense: Dense::smooth(2, &[]),
            ..methods::KUTTA3_TABLEAU
        };
        assert!(std::panic::catch_unwind(|| wrong.checked()).is_err());
    }

    #[test]
    fn first_same_as_last_is_derived() {
        let yes: Vec<&str> = methods::ALL
            .iter()
            .filter(|m| m.first_same_as_last)
            .map(|m| m.name)
            .collect();
        let names = ["Bogacki-Shampine", "Dormand-Prince", "Tsitouras", "DOP853"];
        assert_eq!(yes, names);
        assert_eq!(methods::DOP853.stages(), 13);
        assert_eq!(methods::DOP853.c.len(), 16);
    }
}
