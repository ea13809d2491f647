//! **Fractions**, exact and computed by the compiler.
//!
//! The coefficients of classical methods are rational, and the conditions they
//! satisfy hold exactly. So they are written as fractions and checked with
//! fractions, in constant expressions.

use crate::order::Ring;
use std::fmt;

/// `numerator/denominator`, in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    numerator: i128,
    denominator: i128,
}

const fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Wrapped around, a number would be wrong in silence where overflow is not
/// checked.
const fn product(a: i128, b: i128) -> i128 {
    match a.checked_mul(b) {
        Some(product) => product,
        None => panic!("a product of fractions overflows"),
    }
}

/// `p/q`.
#[must_use]
pub(crate) const fn frac(p: i128, q: i128) -> Fraction {
    Fraction::new(p, q)
}

impl Fraction {
    /// 0.
    pub const ZERO: Self = Self::new(0, 1);
    /// 1.
    pub const ONE: Self = Self::new(1, 1);

    /// `p/q` in lowest terms.
    ///
    /// # Panics
    /// If `q` is 0.
    #[must_use]
    pub const fn new(p: i128, q: i128) -> Self {
        assert!(q != 0, "a denominator must not be zero");
        let g = gcd(p, q) * q.signum();
        Fraction {
            numerator: p / g,
            denominator: q / g,
        }
    }

    /// The sum.
    ///
    /// # Panics
    /// If a number overflows, at compile time in constants.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let g = gcd(self.denominator, other.denominator);
        let scale = other.denominator / g;
        let (mine, its) = (
            product(self.numerator, scale),
            product(other.numerator, self.denominator / g),
        );
        let Some(sum) = mine.checked_add(its) else {
            panic!("a sum of fractions overflows");
        };
        Self::new(sum, product(self.denominator, scale))
    }

    /// The product, cancelled crosswise first so that numbers stay small.
    ///
    /// # Panics
    /// If a number overflows, at compile time in constants.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        let g = gcd(self.numerator, other.denominator);
        let h = gcd(other.numerator, self.denominator);
        // gcd(0, q) = q > 0, so neither divisor is 0.
        Self::new(
            product(self.numerator / g, other.numerator / h),
            product(self.denominator / h, other.denominator / g),
        )
    }

    /// The difference.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        self.plus(Self::new(-1, 1).times(other))
    }

    /// Whether both are the same number.
    #[must_use]
    pub const fn is(self, other: Self) -> bool {
        self.numerator == other.numerator && self.denominator == other.denominator
    }

    /// Numerator and denominator.
    #[must_use]
    pub const fn parts(self) -> (i128, i128) {
        (self.numerator, self.denominator)
    }

    /// The nearest double.
    #[must_use]
    pub const fn to_f64(self) -> f64 {
        // Both parts of the coefficients in use are below 2⁵³, so the quotient
        // is rounded once.
        self.numerator as f64 / self.denominator as f64
    }
}

impl Ring for Fraction {
    fn integer(n: i64) -> Self {
        Self::new(i128::from(n), 1)
    }
    fn plus(&self, other: &Self) -> Self {
        Fraction::plus(*self, *other)
    }
    fn times(&self, other: &Self) -> Self {
        Fraction::times(*self, *other)
    }
}

impl fmt::Display for Fraction {
    /// `p/q`, or `p` alone for a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            q => write!(f, "{}/{q}", self.numerator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_exact_and_in_lowest_terms() {
        assert_eq!(frac(2, -4), frac(-1, 2));
        assert_eq!(frac(1, 6).plus(frac(1, 10)), frac(4, 15));
        assert_eq!(frac(1, 6).minus(frac(1, 10)), frac(1, 15));
        assert_eq!(frac(-3, 4).times(frac(8, 9)), frac(-2, 3));
        assert_eq!(Fraction::ZERO.times(frac(5, 7)), Fraction::ZERO);
        assert_eq!(frac(1, 3).to_f64(), 1.0 / 3.0);
    }

    #[test]
    fn printed_as_one_writes_them() {
        let printed = [frac(-3, 6), frac(8, 2), Fraction::ZERO].map(|x| x.to_string());
        assert_eq!(printed, ["-1/2", "4", "0"]);
    }

    #[test]
    fn what_overflows_is_refused_and_not_wrong() {
        let large = frac(i128::MAX / 2, 1);
        let caught = |f: fn(Fraction) -> Fraction| {
            std::panic::catch_unwind(move || f(large)).expect_err("an overflow")
        };
        caught(|x| x.times(x));
        caught(|x| x.plus(x).plus(x));
        caught(|x| x.plus(frac(1, 1 << 100)));
    }
}
