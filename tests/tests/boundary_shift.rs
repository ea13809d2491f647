//! What the constant thickness moves at the two ends of the path.
//!
//! The path with thickness begins at `N(0, (1 + σ²) I)` (FM.17), but sampling
//! begins at `N(0, I)`; and it ends at the data blurred by `σ`. For a Gaussian
//! target `N(m, s²)` the field is affine, so a solver shows exactly what both
//! do: starts `±1` have deviation 1 and end at `m ± ` the deviation reached.

use approx::assert_abs_diff_eq;
use autograd::{Cpu, Tensor};
use fm::metric::w2;
use fm::mixture::{Mixture, MixturePath};
use fm::sampler::{Plan, sample};
use fm::schedule::Schedule;
use ndarray::array;
use solvers::methods::RK4;

const M: f64 = 2.0;
const S: f64 = 0.6;

/// The deviation of the samples at t = 1, from starts of the given deviation.
fn reached(sigma: f64, start: f64) -> f64 {
    let target = Mixture::new(vec![1.0], vec![vec![M]], vec![S]).expect("valid");
    let path = MixturePath::new(target, Schedule::CondOt, sigma).expect("valid");
    let x0 = Tensor::<Cpu<f64>>::new(&[2, 1], vec![start, -start]);
    let end = sample(&x0, &Plan::Fixed(&RK4, 400), |t, x| path.velocity(t, x));
    let x1 = end.expect("finite").x1.to_vec();
    assert_abs_diff_eq!(x1[0] + x1[1], 2.0 * M, epsilon = 1e-9);
    (x1[0] - x1[1]) / 2.0
}

/// From the path's own start the blurred data are reached; RK4 at 400 steps of
/// a field with slopes below 2 leaves less than 1e-9.
#[test]
fn from_its_own_start_the_path_ends_at_the_blurred_data() {
    for sigma in [0.0, 0.05, 0.2, 0.4] {
        let own = reached(sigma, (1.0 + sigma * sigma).sqrt());
        assert_abs_diff_eq!(own, (S * S + sigma * sigma).sqrt(), epsilon = 1e-9);
    }
}

/// From `N(0, I)` the samples are narrower by the factor `1/√(1 + σ²)`: a shift
/// of second order in `σ`, while the blur is of first order at a sharp target
/// and `W₂` to the data is at most `σ`.
#[test]
fn sampling_from_the_standard_normal_shifts_the_end_with_order_two() {
    let shift = |sigma: f64| (S * S + sigma * sigma).sqrt() - reached(sigma, 1.0);
    for sigma in [0.05, 0.2, 0.4] {
        let wide = (S * S + sigma * sigma).sqrt();
        assert_abs_diff_eq!(
            shift(sigma),
            wide - wide / (1.0 + sigma * sigma).sqrt(),
            epsilon = 1e-9
        );
        // W₂ of two centred normals on a line is the difference of deviations.
        assert!((wide - S).abs() <= sigma);
    }
    let order = (shift(0.1) / shift(0.05)).log2();
    assert!((order - 2.0).abs() <= 0.1, "{order}");
    // Wrong twin: had the path no thickness at its start, there would be no shift.
    assert!(reached(0.0, 1.0) - S < 1e-9 && shift(0.2) > 1e-2);
}

/// At the start itself: `W₂(N(0, I), p₀) = √(1 + σ²) − 1 ≈ σ²/2` a coordinate.
///
/// Verifies (FM.17).
#[test]
fn the_start_is_off_by_half_the_square_of_the_thickness() {
    let standard = array![[1.0], [-1.0]];
    for sigma in [1e-5, 0.1, 0.3] {
        let wide = fm::path::initial_variance(sigma).sqrt();
        let distance = w2(standard.view(), (&standard * wide).view()).expect("finite");
        // 5e-11 at the customary 1e-5: no sample will ever tell.
        let half = 0.5 * sigma * sigma;
        assert_abs_diff_eq!(distance, half, epsilon = half * half + 4.0 * f64::EPSILON);
        assert!(
            (distance - sigma * sigma).abs() > 0.4 * sigma * sigma,
            "the twin without the half"
        );
    }
}
