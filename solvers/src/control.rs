//! **Step control**: the next step from the error of the last.
//!
//! ```math
//! h \leftarrow h\cdot\min\bigl(f_{\max},\ \max(f_{\min},\ s\,e^{-1/(\hat p + 1)})\bigr) \tag{RK.4}
//! ```
//!
//! `e` is the scaled error of the step (1 is just acceptable), `p̂` the order
//! of the embedded weights. After a rejection the step may not grow. Hairer,
//! Nørsett and Wanner, *Solving ODEs I*, II.4.

/// Safety factor `s`, and the bounds of a change.
const SAFETY: f64 = 0.9;
const SMALLEST: f64 = 0.2;
const LARGEST: f64 = 10.0;

/// What to multiply the step by. A NaN error shrinks the step as far as it
/// goes.
pub(crate) fn factor(error: f64, embedded_order: u32, rejected_before: bool) -> f64 {
    let ceiling = if rejected_before { 1.0 } else { LARGEST };
    if error == 0.0 {
        return ceiling;
    }
    let wish = SAFETY * error.powf(-1.0 / f64::from(embedded_order + 1)); // (RK.4)
    if wish.is_nan() {
        return SMALLEST;
    }
    wish.clamp(SMALLEST, ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies (RK.4).
    #[test]
    fn the_factor_follows_the_law_between_its_bounds() {
        assert!((factor(1.0, 4, false) - 0.9).abs() <= 1e-15);
        assert!((factor(32.0, 4, false) - 0.45).abs() <= 1e-15);
        assert_eq!(factor(1e-30, 4, false), 10.0);
        assert_eq!(factor(1e-30, 4, true), 1.0);
        assert_eq!(factor(0.0, 4, true), 1.0);
        assert_eq!(factor(1e30, 4, false), 0.2);
        assert_eq!(factor(f64::NAN, 4, false), 0.2);
        assert_eq!(factor(f64::INFINITY, 4, false), 0.2);
    }
}
