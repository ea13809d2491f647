//! **Linear stability**: what a method makes of `y' = λy`.
//!
//! ```math
//! y_1 = R(h\lambda)\,y_0, \qquad R(z) = 1 + \sum_{k=1}^{s} z^k\; b^{\mathsf T} A^{k-1} \mathbf 1 \tag{RK.11}
//! ```
//!
//! The step is stable where `|R(z)| ≤ 1`. Two numbers describe the region:
//! how far it reaches from 0 along the negative real axis (decay) and along
//! the imaginary one (oscillation). Hairer and Wanner, *Solving ODEs II*, IV.2.
//!
//! ```
//! use solvers::methods::RK4_TABLEAU;
//! use solvers::stability::{Intervals, Polynomial};
//! let exact = Polynomial::of(&RK4_TABLEAU.coefficients(|fraction| fraction));
//! assert_eq!(exact.to_string(), "1 + z + z²/2 + z³/6 + z⁴/24");
//! let found = Intervals::of(&exact.to_f64());
//! assert_eq!(found.to_string(), "[-2.7853, 0] and [-2.8284i, 2.8284i]");
//! ```

use crate::fraction::Fraction;
use crate::order::{Coefficients, Ring};
use std::fmt;

/// The coefficients of `R`, that of `z⁰` first.
#[must_use]
pub fn stability_polynomial<R: Ring>(method: &Coefficients<R>) -> Vec<R> {
    let dot = |u: &[R], v: &[R]| {
        let products = u.iter().zip(v).map(|(u, v)| u.times(v));
        products.fold(R::integer(0), |sum, x| sum.plus(&x))
    };
    let stages = method.b.len();
    let mut powers = vec![R::integer(1); stages];
    let mut coefficients = vec![R::integer(1)];
    for _ in 0..stages {
        coefficients.push(dot(&method.b, &powers)); // (RK.11)
        powers = method.a.iter().map(|row| dot(row, &powers)).collect();
    }
    coefficients
}

/// `R` in exact numbers, to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polynomial(pub Vec<Fraction>);

impl Polynomial {
    /// That of a method made of fractions.
    #[must_use]
    pub fn of(method: &Coefficients<Fraction>) -> Self {
        Polynomial(stability_polynomial(method))
    }

    /// The coefficients in doubles.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        self.0.iter().map(|c| c.to_f64()).collect()
    }
}

impl fmt::Display for Polynomial {
    /// By rising powers, without the terms that are 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        let mut first = true;
        for (power, c) in self.0.iter().enumerate() {
            let (p, q) = c.parts();
            if p == 0 {
                continue;
            }
            f.write_str(match (first, p < 0) {
                (true, true) => "-",
                (true, false) => "",
                (false, true) => " - ",
                (false, false) => " + ",
            })?;
            first = false;
            if power == 0 || p.abs() != 1 {
                write!(f, "{}", p.abs())?;
            }
            if power > 0 {
                f.write_str("z")?;
            }
            if power > 1 {
                let digits = power.to_string().into_bytes().into_iter();
                let raised: String = digits.map(|d| DIGITS[usize::from(d - b'0')]).collect();
                f.write_str(&raised)?;
            }
            if q != 1 {
                write!(f, "/{q}")?;
            }
        }
        match first {
            true => f.write_str("0"),
            false => Ok(()),
        }
    }
}

/// Where a method is stable, next to 0 on either axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Stable on `[−x, 0]`.
    pub real: f64,
    /// Stable on `[−iy, iy]`.
    pub imaginary: f64,
}

impl Intervals {
    /// Those of a stability function.
    #[must_use]
    pub fn of(coefficients: &[f64]) -> Self {
        Intervals {
            real: real_interval(coefficients),
            imaginary: imaginary_interval(coefficients),
        }
    }
}

impl fmt::Display for Intervals {
    /// To four digits, or as many as a precision asks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (x, y) = (self.real, self.imaginary);
        let digits = f.precision().unwrap_or(4);
        write!(f, "[-{x:.digits$}, 0] and ")?;
        match y == 0.0 {
            true => f.write_str("0"),
            false => write!(f, "[-{y:.digits$}i, {y:.digits$}i]"),
        }
    }
}

/// `|R(x + iy)|` for coefficients of `R`.
#[must_use]
pub fn amplification(coefficients: &[f64], (x, y): (f64, f64)) -> f64 {
    let (re, im) = coefficients.iter().rev().fold((0.0, 0.0), |(re, im), c| {
        (re * x - im * y + c, re * y + im * x)
    });
    f64::hypot(re, im)
}

/// The largest `x` such that the method is stable on `[−x, 0]`, to 1e-9.
#[must_use]
pub fn real_interval(coefficients: &[f64]) -> f64 {
    // Near 0 the modulus is 1 − x + …; the rounding of R does not matter
    // there, only where the modulus comes back to 1.
    first_exit(|x| amplification(coefficients, (-x, 0.0)) - 1.0)
}

/// The largest `y` such that the method is stable on `[−iy, iy]`, to 1e-9;
/// 0 if it is stable nowhere near 0.
#[must_use]
pub fn imaginary_interval(coefficients: &[f64]) -> f64 {
    // |R(iy)|² − 1 as a polynomial in u = y². If R agrees with the exponential
    // to order p, the coefficients up to u^(p/2) vanish; what rounding leaves
    // of them must not decide, so the sign is read without them.
    let part = |parity: usize| -> Vec<f64> {
        let kept = coefficients
            .iter()
            .enumerate()
            .filter(|(k, _)| k % 2 == parity);
        let signed = kept.map(|(k, c)| if (k / 2) % 2 == 0 { *c } else { -c });
        signed.collect()
    };
    let (real, imaginary) = (part(0), part(1));
    let mut square = vec![0.0; coefficients.len() + 1];
    for (shift, part) in [(0, &real), (1, &imaginary)] {
        for (i, a) in part.iter().enumerate() {
            for (j, b) in part.iter().enumerate() {
                square[i + j + shift] += a * b;
            }
        }
    }
    let lowest = exponential_order(coefficients) / 2 + 1;
    let value = |y: f64| {
        let u = y * y;
        square[lowest..]
            .iter()
            .rev()
            .fold(0.0, |sum, c| sum * u + c)
    };
    first_exit(value)
}

/// The order to which the polynomial agrees with the exponential.
fn exponential_order(coefficients: &[f64]) -> usize {
    let mut factorial = 1.0;
    let agrees = move |(k, c): &(usize, &f64)| {
        factorial *= (*k as f64).max(1.0);
        // As `order.rs`: rounding is below, a wrong digit above.
        (*c * factorial - 1.0).abs() <= 1e-9
    };
    coefficients
        .iter()
        .enumerate()
        .take_while(agrees)
        .count()
        .max(1)
        - 1
}

/// The first point above 0 where a function becomes positive, looked for in
/// steps of a thousandth up to 100.
fn first_exit(excess: impl Fn(f64) -> f64) -> f64 {
    let stable = |x: f64| excess(x) <= 0.0;
    let step = |i: u32| f64::from(i) * 1e-3;
    let Some(outside) = (1..100_000).find(|&i| !stable(step(i))) else {
        return step(100_000);
    };
    if outside == 1 {
        return 0.0;
    }
    let (mut low, mut high) = (step(outside - 1), step(outside));
    while high - low > 1e-10 {
        let middle = 0.5 * (low + high);
        if stable(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods;

    /// Up to order 4 with as many stages, `R` is the beginning of the
    /// exponential series, whatever the coefficients.
    ///
    /// Verifies (RK.11).
    #[test]
    fn the_polynomial_begins_like_the_exponential() {
        for method in *methods::ALL {
            let found = stability_polynomial(&method.coefficients());
            let mut factorial = 1.0;
            for (k, c) in found.iter().enumerate() {
                factorial *= (k as f64).max(1.0);
                if k <= method.order {
                    // A product of k sums of numbers up to 400.
                    assert!((c * factorial - 1.0).abs() <= 1e-10, "{} {k}", method.name);
                }
            }
            assert!(found.len() > method.order);
        }
    }

    #[test]
    fn known_regions_are_found() {
        let rk4 = stability_polynomial(&methods::RK4.coefficients());
        // R(z) = 1 + z + z²/2 + z³/6 + z⁴/24; |R(iy)|² = 1 − y⁶/72 + y⁸/576.
        assert!((imaginary_interval(&rk4) - 8f64.sqrt()).abs() <= 1e-9);
        let x = real_interval(&rk4);
        assert!((amplification(&rk4, (-x, 0.0)) - 1.0).abs() <= 1e-9 && x > 2.7);
        let kutta = stability_polynomial(&methods::KUTTA3.coefficients());
        assert!((imaginary_interval(&kutta) - 3f64.sqrt()).abs() <= 1e-9);
        let euler = stability_polynomial(&methods::EULER.coefficients());
        assert!((real_interval(&euler) - 2.0).abs() <= 1e-9);
        assert_eq!(imaginary_interval(&euler), 0.0);
        // A wrong coefficient is seen.
        let mut wrong = rk4.clone();
        wrong[3] *= 1.001;
        assert!((imaginary_interval(&wrong) - 8f64.sqrt()).abs() > 1e-4);
    }

    /// Written by hand: the exponential series, and Dormand and Prince's last
    /// term, (Hairer and Wanner, *Solving ODEs II*, IV.2).
    #[test]
    fn printed_as_one_writes_it() {
        let rk4 = methods::RK4_TABLEAU.coefficients(|x| x);
        let rk4 = Polynomial::of(&rk4);
        assert_eq!(rk4.to_string(), "1 + z + z²/2 + z³/6 + z⁴/24");
        let pair = methods::DORMAND_PRINCE_TABLEAU.coefficients(|x| x);
        let pair = Polynomial::of(&pair);
        assert_eq!(
            pair.to_string(),
            "1 + z + z²/2 + z³/6 + z⁴/24 + z⁵/120 + z⁶/600"
        );
        let printed = |p: &Polynomial| Intervals::of(&p.to_f64()).to_string();
        assert_eq!(printed(&rk4), "[-2.7853, 0] and [-2.8284i, 2.8284i]");
        assert_eq!(printed(&pair), "[-3.3066, 0] and [-0.9972i, 0.9972i]");
        let seven = format!("{:.7}", Intervals::of(&rk4.to_f64()));
        assert_eq!(seven, "[-2.7852936, 0] and [-2.8284271i, 2.8284271i]");
        let euler = Polynomial::of(&methods::EULER_TABLEAU.coefficients(|x| x));
        assert_eq!(euler.to_string(), "1 + z");
        assert_eq!(printed(&euler), "[-2.0000, 0] and 0");
        // Signs, numerators, gaps, and nothing at all.
        let whole = |n| Fraction::integer(n);
        let odd = [whole(-1), whole(0), Fraction::new(-3, 8), whole(2)];
        assert_eq!(Polynomial(odd.to_vec()).to_string(), "-1 - 3z²/8 + 2z³");
        let mut long = vec![Fraction::ZERO; 13];
        assert_eq!(Polynomial(long.clone()).to_string(), "0");
        long[12] = Fraction::new(1, 7);
        assert_eq!(Polynomial(long).to_string(), "z¹²/7");
    }

    /// Against `1 + z + z²/2 + z³/6` multiplied out.
    #[test]
    fn the_modulus_is_that_of_the_polynomial() {
        let coefficients = [1.0, 1.0, 0.5, 1.0 / 6.0];
        for (x, y) in [(-0.3, 0.7), (0.4, -1.2), (-2.0, 0.5), (0.0, 1.5)] {
            let re = 1.0 + x + (x * x - y * y) / 2.0 + (x * x * x - 3.0 * x * y * y) / 6.0;
            let im = y + x * y + (3.0 * x * x * y - y * y * y) / 6.0;
            let (found, exact) = (amplification(&coefficients, (x, y)), f64::hypot(re, im));
            assert!((found - exact).abs() <= 1e-15, "{x} {y}: {found} {exact}");
        }
    }
}
