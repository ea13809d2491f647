//! **Richardson's extrapolation**: derivatives from values alone.
//!
//! Central differences have an error in even powers of the step, so those of
//! two steps eliminate the first power, those of three the first two, and so
//! on: Romberg's table.
//!
//! ```math
//! D_h = \frac{f(x + h e) - f(x - h e)}{2h} = f' + c_2 h^2 + c_4 h^4 + \dots, \qquad
//! R_{k,j} = R_{k,j-1} + \frac{R_{k,j-1} - R_{k-1,j-1}}{4^j - 1} \tag{AD.11}
//! ```

/// Largest step of the central differences. Programs are to be checked where
/// they are analytic in a disc several times as wide.
pub const FIRST_STEP: f64 = 0.125;
/// Rows of the extrapolation table: the remainder is `O(h¹²)`.
const LEVELS: usize = 6;

/// The derivative at 0 of a function of `h`, by Romberg's table.
///
/// ```
/// use autograd::check::richardson::derivative;
/// let slope = derivative(|h| vec![(1.0 + h).ln()]);
/// assert!((slope[0] - 1.0).abs() < 1e-13);
/// ```
pub fn derivative(f: impl Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let central = |h: f64| -> Vec<f64> {
        let (ahead, behind) = (f(h), f(-h));
        let pairs = ahead.iter().zip(&behind);
        pairs.map(|(a, b)| (a - b) / (2.0 * h)).collect()
    };
    let mut row: Vec<Vec<f64>> = Vec::new();
    for level in 0..LEVELS {
        let mut next = vec![central(FIRST_STEP / f64::from(1u32 << level))];
        let mut four_to_j = 1.0;
        for earlier in &row {
            four_to_j *= 4.0;
            let last = next.last().expect("the row has begun");
            let pairs = last.iter().zip(earlier);
            let better = pairs
                .map(|(&r, &s)| r + (r - s) / (four_to_j - 1.0)) // (AD.11)
                .collect();
            next.push(better);
        }
        row = next;
    }
    row.pop().expect("there is at least one level")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies (AD.11).
    ///
    /// `1/(1 − x)` has all Taylor coefficients 1, so the remainder of six
    /// levels is `h₀²h₁²…h₅² = h₀¹²/2³⁰ = 1.4·10⁻²⁰`; rounding is `ε/h₅`,
    /// amplified by less than 3.
    #[test]
    fn twelve_orders_of_the_step_are_eliminated() {
        let slope = derivative(|h| vec![1.0 / (1.0 - h)])[0];
        let h5 = FIRST_STEP / 32.0;
        assert!((slope - 1.0).abs() <= 3.0 * f64::EPSILON / h5, "{slope}");
        // A polynomial of degree 12 has no remainder but the one of x¹³.
        let slope = derivative(|h| vec![(0.5 + h).powi(11)])[0];
        let error = (slope - 11.0 * 0.5f64.powi(10)).abs();
        assert!(error <= 3.0 * 1e-3 * f64::EPSILON / h5, "{error:e}");
    }
}
