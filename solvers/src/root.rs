//! **Inverse root** `x^(−1/N)` without branches, tables or a library's call, so
//! that the compiler takes several at once.
//!
//! Every sample needs one for each of its steps, (RK.4), and as a logarithm and
//! an exponential, one by one, they cost as much as the arithmetic of the step.
//! Here a guess is read from the bits, whose upper half is nearly a logarithm,
//! and corrected three times: with `e = 1 − x yᴺ`, the wanted root is
//! `y (1 − e)^(−1/N) = y (1 + e/N + (N+1)/(2N²) e² + …)`, so that an error of
//! `e` leaves one of the size of `e³`.

use crate::vectors::{Vectorized, widest_of};

/// Its last bit counts 1, so an integer below 2³² that is added stands in the
/// low bits.
const INTEGERS: f64 = 4_503_599_627_370_496.0; // 2⁵²

/// `x^(−1/N)` to two units in the last place, for `x` from 1e-300 to 1e300 and
/// `N` from 1 to 8.
#[inline(always)]
fn inverse_root<const N: usize>(x: f64) -> f64 {
    let n = N as f64;
    // log₂ x + 1023 in units of 2⁻²⁰, but that the mantissa stands for its
    // logarithm, which is larger by 0.045 in the middle.
    let upper = f64::from_bits(x.to_bits() >> 32 | INTEGERS.to_bits()) - INTEGERS;
    let zero = 1_048_576.0 * (1023.0 - 0.045);
    let guess = zero + (zero - upper) * (1.0 / n);
    let mut y = f64::from_bits((guess + INTEGERS).to_bits() << 32);
    for _ in 0..3 {
        let e = 1.0 - power::<N>(y) * x;
        y += y * (e * (1.0 / n + (n + 1.0) / (2.0 * n * n) * e));
    }
    y
}

/// `yᴺ` by squares.
#[inline(always)]
fn power<const N: usize>(y: f64) -> f64 {
    let (mut power, mut square, mut left) = (1.0, y, N);
    while left > 0 {
        if left % 2 == 1 {
            power *= square;
        }
        square *= square;
        left /= 2;
    }
    power
}

/// The inverse roots of numbers from 1e-300 to 1e300.
pub(crate) fn inverse_roots(n: usize, x: &[f64], out: &mut [f64]) {
    match n {
        1 => all::<1>(x, out),
        2 => all::<2>(x, out),
        3 => all::<3>(x, out),
        4 => all::<4>(x, out),
        5 => all::<5>(x, out),
        6 => all::<6>(x, out),
        7 => all::<7>(x, out),
        8 => all::<8>(x, out),
        _ => {
            for (out, x) in out.iter_mut().zip(x) {
                *out = x.powf(-1.0 / n as f64);
            }
        }
    }
}

struct All<'a, const N: usize> {
    x: &'a [f64],
    out: &'a mut [f64],
}

impl<const N: usize> Vectorized for All<'_, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = inverse_root::<N>(x);
        }
    }
}

fn all<const N: usize>(x: &[f64], out: &mut [f64]) {
    widest_of(x.len(), All::<N> { x, out });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_root_is_the_librarys_to_two_units_and_the_same_alone() {
        // Between any numbers, and at powers of 2.
        let steps = (0..24_000).map(|i| 10f64.powf(-300.0 + f64::from(i) / 40.0));
        let twos = (-990..990).map(|i| 2f64.powi(i));
        let x: Vec<f64> = steps.chain(twos).filter(|x| *x <= 1e300).collect();
        assert!(x.len() > 20_000);
        for n in 1..=11 {
            let mut found = vec![f64::NAN; x.len()];
            inverse_roots(n, &x, &mut found);
            for (i, (&x, &found)) in x.iter().zip(&found).enumerate() {
                let exact = x.powf(-1.0 / n as f64);
                // The library's exponent is −1/n rounded, which moves x^(−1/n)
                // by up to ln x·2⁻⁵³/n.
                let moved = x.ln().abs() / n as f64 * 0.5 * f64::EPSILON;
                let bound = (2.0 * f64::EPSILON + moved) * exact;
                let error = (found - exact).abs();
                assert!(error <= bound, "{x:e}^(-1/{n}): {found:e}, {exact:e}");
                if i % 1000 == 0 {
                    let mut alone = [0.0];
                    inverse_roots(n, &[x], &mut alone);
                    assert_eq!(alone[0].to_bits(), found.to_bits());
                }
            }
        }
    }
}
