//! **Fractions**, exact and computed by the compiler.
//!
//! The coefficients of classical methods are rational, and the conditions they
//! satisfy hold exactly. So they are written as fractions and checked with
//! fractions, in constant expressions.

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

    /// The sum. Overflow is an error, at compile time in constants.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let g = gcd(self.denominator, other.denominator);
        let scale = other.denominator / g;
        Self::new(
            self.numerator * scale + other.numerator * (self.denominator / g),
            self.denominator * scale,
        )
    }

    /// The product, cancelled crosswise first so that numbers stay small.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        let g = gcd(self.numerator, other.denominator);
        let h = gcd(other.numerator, self.denominator);
        // gcd(0, q) = q > 0, so neither divisor is 0.
        Self::new(
            (self.numerator / g) * (other.numerator / h),
            (self.denominator / h) * (other.denominator / g),
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
}
