//! Numbers to test with, and comparisons that NaN cannot pass.

/// Extents that fit no warp, block or tile.
pub(crate) const SIZES: [usize; 6] = [0, 1, 31, 33, 257, 1025];

/// `u = 2⁻²⁴`: a rounding changes a number by a factor of at most `1 ± u`.
pub(crate) const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Numbers without a pattern, in (−1, 1).
pub(crate) fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// `|found − exact| ≤ bound` for each element, and false for NaN.
#[track_caller]
pub(crate) fn close(found: &[f32], exact: &[f64], bound: f64) {
    assert_eq!(found.len(), exact.len());
    for (i, (&found, &exact)) in found.iter().zip(exact).enumerate() {
        let error = (f64::from(found) - exact).abs();
        assert!(error <= bound, "{i}: {found} for {exact}, bound {bound:e}");
    }
}

/// The bits, so that NaN equals itself and 0 differs from −0.
pub(crate) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// A product by its definition; the functions read (row, column) of a factor.
pub(crate) fn product(
    [m, n, k]: [usize; 3],
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> Vec<f64> {
    let element = |row, column| {
        let products = (0..k).map(|i| f64::from(a(row, i)) * f64::from(b(i, column)));
        products.sum::<f64>()
    };
    let places = (0..m).flat_map(|row| (0..n).map(move |column| (row, column)));
    places.map(|(row, column)| element(row, column)).collect()
}

/// A bound for the error of a sum of `k` products below 1: each is rounded,
/// and so is each of `k` partial sums of at most `k` (Higham, *Accuracy and
/// Stability of Numerical Algorithms*, 3.1).
pub(crate) fn product_bound(k: usize) -> f64 {
    let k = k as f64;
    1.01 * (k + 1.0) * UNIT * k
}
