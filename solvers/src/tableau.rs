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
//! (Butcher 1963; Hairer, Nørsett and Wanner, *Solving ODEs I*, II.2.) The 17
//! trees up to order 5 are written out below. [`Tableau::checked`] holds every
//! method to its claim in exact arithmetic, in a constant expression: a wrong
//! coefficient does not compile.
//!
//! ```compile_fail
//! use solvers::{Fraction, Tableau};
//! const HALF: Fraction = Fraction::new(1, 2);
//! const O: Fraction = Fraction::ZERO;
//! // The midpoint rule with its node at 1/3: the rows do not sum to c.
//! const WRONG: Tableau<2> = Tableau {
//!     name: "wrong", order: 2,
//!     c: [O, Fraction::new(1, 3)],
//!     a: [[O, O], [HALF, O]],
//!     b: [O, Fraction::ONE], embedded: None,
//! }.checked();
//! # let _ = WRONG;
//! ```

use crate::fraction::{Fraction, frac};

/// The coefficients of an explicit method with `S` stages.
#[derive(Clone, Copy, Debug)]
pub struct Tableau<const S: usize> {
    /// The name in the literature.
    pub name: &'static str,
    /// The order of the weights `b`.
    pub order: u32,
    /// The nodes.
    pub c: [Fraction; S],
    /// The matrix, strictly lower triangular.
    pub a: [[Fraction; S]; S],
    /// The weights.
    pub b: [Fraction; S],
    /// Weights of a second result, of order one less, for the error estimate.
    pub embedded: Option<[Fraction; S]>,
}

impl<const S: usize> Tableau<S> {
    /// The tableau itself, if it is what it claims to be.
    ///
    /// # Panics
    /// If the matrix is not explicit, a row does not sum to its node, the
    /// weights have not exactly the claimed order, or the embedded weights
    /// not exactly one less.
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
        if let Some(embedded) = self.embedded {
            assert!(
                self.order_of(&embedded) + 1 == self.order,
                "the embedded weights have one order less"
            );
        }
        self
    }

    /// The order of the result with these weights, at most 5.
    #[must_use]
    pub const fn order_of(&self, weights: &[Fraction; S]) -> u32 {
        let residuals = self.residuals(weights);
        let mut i = 0;
        while i < TREES {
            if !residuals[i].is(Fraction::ZERO) {
                return TREE_ORDER[i] - 1;
            }
            i += 1;
        }
        5
    }

    /// `Σ bᵢΦᵢ(τ) − 1/γ(τ)` for each of the 17 trees, in ascending order.
    #[must_use]
    pub const fn residuals(&self, b: &[Fraction; S]) -> [Fraction; TREES] {
        let one = [Fraction::ONE; S];
        let c = self.c;
        let (c2, ac) = (product(&c, &c), self.apply(&c));
        let c3 = product(&c2, &c);
        let (ac2, aac) = (self.apply(&c2), self.apply(&ac));
        let cac = product(&c, &ac);
        [
            residual(b, &one, 1),
            residual(b, &c, 2),
            residual(b, &c2, 3),
            residual(b, &ac, 6),
            residual(b, &c3, 4),
            residual(b, &cac, 8),
            residual(b, &ac2, 12),
            residual(b, &aac, 24),
            residual(b, &product(&c2, &c2), 5),
            residual(b, &product(&c, &cac), 10),
            residual(b, &product(&ac, &ac), 20),
            residual(b, &product(&c, &ac2), 15),
            residual(b, &product(&c, &aac), 30),
            residual(b, &self.apply(&c3), 20),
            residual(b, &self.apply(&cac), 40),
            residual(b, &self.apply(&ac2), 60),
            residual(b, &self.apply(&aac), 120),
        ]
    }

    const fn apply(&self, v: &[Fraction; S]) -> [Fraction; S] {
        let mut out = [Fraction::ZERO; S];
        let mut i = 0;
        while i < S {
            let mut j = 0;
            while j < S {
                out[i] = out[i].plus(self.a[i][j].times(v[j]));
                j += 1;
            }
            i += 1;
        }
        out
    }
}

/// Rooted trees with at most five nodes.
pub(crate) const TREES: usize = 17;
/// The number of nodes of each.
const TREE_ORDER: [u32; TREES] = [1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5];

const fn product<const S: usize>(u: &[Fraction; S], v: &[Fraction; S]) -> [Fraction; S] {
    let mut out = [Fraction::ZERO; S];
    let mut i = 0;
    while i < S {
        out[i] = u[i].times(v[i]);
        i += 1;
    }
    out
}

/// `b·Φ − 1/γ`.
const fn residual<const S: usize>(b: &[Fraction; S], phi: &[Fraction; S], gamma: i128) -> Fraction {
    let mut sum = frac(-1, gamma);
    let mut i = 0;
    while i < S {
        sum = sum.plus(b[i].times(phi[i])); // (RK.3)
        i += 1;
    }
    sum
}

/// A method ready to step: the tableau in doubles, without its zeros.
#[derive(Clone, Debug)]
pub struct Method {
    /// The name in the literature.
    pub name: &'static str,
    /// The order.
    pub order: u32,
    /// The nodes.
    pub c: Vec<f64>,
    /// For each stage, the nonzero entries of its row: (stage, coefficient).
    pub a: Vec<Vec<(usize, f64)>>,
    /// The nonzero weights.
    pub b: Vec<(usize, f64)>,
    /// The nonzero entries of `b̂ − b`.
    pub error: Option<Vec<(usize, f64)>>,
    /// Whether the last stage is evaluated at the result, so that it is the
    /// first stage of the next step (first same as last). Derived, never
    /// declared.
    pub first_same_as_last: bool,
}

impl<const S: usize> From<Tableau<S>> for Method {
    fn from(t: Tableau<S>) -> Self {
        let nonzero = |row: &[Fraction]| -> Vec<(usize, f64)> {
            let entries = row.iter().enumerate();
            let present = entries.filter(|(_, x)| !x.is(Fraction::ZERO));
            present.map(|(i, x)| (i, x.to_f64())).collect()
        };
        let minus_one = frac(-1, 1);
        let difference = |hat: [Fraction; S]| {
            let pairs = hat.iter().zip(&t.b);
            let e: Vec<Fraction> = pairs.map(|(x, y)| x.plus(minus_one.times(*y))).collect();
            nonzero(&e)
        };
        let last = (t.c[S - 1], t.a[S - 1]);
        Method {
            name: t.name,
            order: t.order,
            c: t.c.iter().map(|c| c.to_f64()).collect(),
            a: t.a.iter().map(|row| nonzero(row)).collect(),
            b: nonzero(&t.b),
            error: t.embedded.map(difference),
            first_same_as_last: last.0.is(Fraction::ONE) && last.1 == t.b,
        }
    }
}

impl Method {
    /// The number of stages.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.c.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::DORMAND_PRINCE_TABLEAU as DP;

    /// Verifies (RK.3).
    #[test]
    fn each_wrong_coefficient_loses_the_order() {
        assert_eq!(DP.order_of(&DP.b), 5);
        for i in 0..7 {
            let mut wrong = DP;
            wrong.b[i] = wrong.b[i].plus(frac(1, 1_000_000_000));
            assert!(wrong.order_of(&wrong.b) < 5, "b[{i}]");
            for j in 0..i {
                // The last row of a equals b and enters no condition of b.
                let mut wrong = DP;
                wrong.a[i][j] = wrong.a[i][j].plus(frac(1, 1_000_000_000));
                let caught = std::panic::catch_unwind(|| wrong.checked()).is_err();
                assert!(caught, "a[{i}][{j}]");
            }
        }
    }

    #[test]
    fn first_same_as_last_is_derived() {
        assert!(crate::methods::DORMAND_PRINCE.first_same_as_last);
        assert!(!crate::methods::RK4.first_same_as_last);
        assert!(!crate::methods::EULER.first_same_as_last);
    }
}
