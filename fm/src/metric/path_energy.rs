//! **Path energy**: how much kinetic energy a flow spends, against how much it
//! had to.
//!
//! Along trajectories $`\dot z_t = v_t(z_t)`$ from noise at t = 0 to data at
//! t = 1,
//!
//! ```math
//! \mathrm{PE} = \int_0^1 \mathbb E\,\lVert v_t(z_t) \rVert^2 \, dt .
//! \tag{MT.3}
//! ```
//!
//! By Benamou and Brenier no flow between the two laws spends less than
//! $`W_2^2`$, and only straight, uncrossed, unhurried trajectories spend just
//! that. The excess, relative to it, is the normalised path energy of Tong et
//! al. (AISTATS 2024):
//!
//! ```math
//! \mathrm{NPE} = \frac{\lvert \mathrm{PE} - W_2^2 \rvert}{W_2^2} .
//! \tag{MT.4}
//! ```
//!
//! The straightness of Liu et al. (ICLR 2023) compares a trajectory with its
//! own chord instead, and is 0 for straight uniform motion to wherever:
//!
//! ```math
//! S = \int_0^1 \mathbb E\,\lVert (z_1 - z_0) - \dot z_t \rVert^2 dt
//!   = \mathrm{PE} - \mathbb E\,\lVert z_1 - z_0 \rVert^2 .
//! \tag{MT.5}
//! ```
//!
//! All three are in squared units of the data, except NPE, which has none.

use crate::Error;
use ndarray::ArrayView2;

/// The path energy (MT.3) from $`\lVert v \rVert^2`$ at the nodes of a time
/// grid: `times` rises from 0 to 1 in m nodes, `speeds_squared` is `[m, n]`,
/// a trajectory a column. The trapezoidal rule: second order in the steps.
///
/// # Errors
/// [`Error::Argument`] if `times` is not a rising grid from 0 to 1,
/// [`Error::Shape`] if there is not one row a node or no trajectory, and
/// [`Error::NotFinite`] for a speed that is NaN or infinite.
pub fn path_energy(times: &[f64], speeds_squared: ArrayView2<'_, f64>) -> Result<f64, Error> {
    let (nodes, trajectories) = speeds_squared.dim();
    let rises = times.windows(2).all(|t| t[0] < t[1]);
    if !rises || times.first() != Some(&0.0) || times.last() != Some(&1.0) {
        let given = format!("{times:?}");
        return Err(Error::argument(
            "the time grid",
            given,
            "times rising from 0 to 1",
        ));
    }
    if nodes != times.len() || trajectories == 0 {
        return Err(Error::Shape {
            what: "the squared speeds",
            given: vec![nodes, trajectories],
            expected: format!("[{}, n], a row for each time, n from 1", times.len()),
        });
    }
    if let Some(((row, column), &value)) = speeds_squared
        .indexed_iter()
        .find(|(_, speed)| !speed.is_finite())
    {
        let what = "the squared speeds";
        return Err(Error::NotFinite {
            what,
            row,
            column,
            value,
        });
    }
    let mean = |k: usize| speeds_squared.row(k).sum() / trajectories as f64;
    let step = |k: usize| times[k + 1] - times[k];
    Ok((0..nodes - 1)
        .map(|k| step(k) * (mean(k) + mean(k + 1)) / 2.0)
        .sum()) // (MT.3)
}

/// The normalised path energy (MT.4); `squared_w2` is the squared distance of
/// two *test* sets, of the noise and of the data. Infinite if it is 0.
#[must_use]
pub fn normalised_path_energy(path_energy: f64, squared_w2: f64) -> f64 {
    (path_energy - squared_w2).abs() / squared_w2 // (MT.4)
}

/// The straightness (MT.5) from the path energy and the ends `z0`, `z1` of the
/// same trajectories, `[n, d]` each.
///
/// Never negative but for the error of the solver and of the quadrature, both
/// of which it inherits from its two large terms.
///
/// # Errors
/// [`Error::Shape`] if the ends differ in shape or there are none.
pub fn straightness(
    path_energy: f64,
    z0: ArrayView2<'_, f64>,
    z1: ArrayView2<'_, f64>,
) -> Result<f64, Error> {
    if z0.dim() != z1.dim() || z0.nrows() == 0 {
        return Err(Error::Shape {
            what: "the ends of the trajectories",
            given: z1.shape().to_vec(),
            expected: format!("{:?}, and at least one row", z0.shape()),
        });
    }
    let chords: f64 = z0.iter().zip(z1).map(|(a, b)| (b - a) * (b - a)).sum();
    Ok(path_energy - chords / z0.nrows() as f64) // (MT.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use std::f64::consts::PI;

    const N: usize = 16;
    const SHIFT: f64 = 1.5;
    const S: f64 = 0.5;

    /// Starts of zero mean and unit mean square: the Gaussian closed forms
    /// hold for them exactly.
    fn starts() -> Array2<f64> {
        Array2::from_shape_fn((N, 1), |(i, _)| if i % 2 == 0 { 1.0 } else { -1.0 })
    }

    /// Squared speeds of the affine flow N(0, 1) → N(m, s²) with straight
    /// conditional paths: z_t = t m + √(t²s² + (1 − t)²) z_0.
    fn speeds(times: &[f64]) -> Array2<f64> {
        let z0 = starts();
        Array2::from_shape_fn((times.len(), N), |(k, i)| {
            let t = times[k];
            let slope = (t * S * S - (1.0 - t)) / (t * t * S * S + (1.0 - t).powi(2)).sqrt();
            (SHIFT + slope * z0[[i, 0]]).powi(2)
        })
    }

    /// A grid with steps of two sizes, so that unequal ones are tested too.
    fn grid(n: u32) -> Vec<f64> {
        let each = |k: u32| f64::from(k) / f64::from(n);
        (0..=n)
            .map(|k| {
                if 2 * k <= n {
                    1.2 * each(k)
                } else {
                    1.0 - 0.8 * (1.0 - each(k))
                }
            })
            .collect()
    }

    /// PE of that flow in closed form: m² + (1 + s² − πs/2).
    fn exact() -> f64 {
        SHIFT * SHIFT + 1.0 + S * S - PI * S / 2.0
    }

    /// Left sums: the wrong twin, first order.
    fn left_sums(times: &[f64], speeds: &Array2<f64>) -> f64 {
        let mean = |k: usize| speeds.row(k).sum() / N as f64;
        (0..times.len() - 1)
            .map(|k| (times[k + 1] - times[k]) * mean(k))
            .sum()
    }

    /// Verifies (MT.3).
    #[test]
    fn the_energy_of_an_affine_flow_is_met_to_second_order() {
        let error = |n: u32, twin: bool| {
            let times = grid(n);
            let speeds = speeds(&times);
            let energy = match twin {
                false => path_energy(&times, speeds.view()).expect("valid"),
                true => left_sums(&times, &speeds),
            };
            (energy - exact()).abs()
        };
        let order = |twin| (error(200, twin) / error(400, twin)).log2();
        assert!((order(false) - 2.0).abs() <= 0.1, "order {}", order(false));
        assert!(
            (order(true) - 1.0).abs() <= 0.1,
            "the twin's order {}",
            order(true)
        );
        assert!(error(400, false) <= 1e-5, "{:e}", error(400, false));
    }

    /// Verifies (MT.4).
    ///
    /// N(0, 1) → N(m, s²) has W₂² = m² + (1 − s)², so NPE = s(2 − π/2)/W₂².
    #[test]
    fn the_normalised_energy_of_a_gaussian_is_its_closed_form() {
        let squared_w2 = SHIFT * SHIFT + (1.0 - S).powi(2);
        let npe = normalised_path_energy(exact(), squared_w2);
        let closed = S * (2.0 - PI / 2.0) / squared_w2;
        // A difference of two numbers of size 3, rounded a few times.
        assert!((npe - closed).abs() <= 1e-14, "{npe} against {closed}");
        // Wrong twin: normalised by the energy instead.
        assert!(((exact() - squared_w2) / exact() - closed).abs() > 1e-3);
        assert_eq!(normalised_path_energy(3.0, 4.0), 0.25);
        assert!(normalised_path_energy(f64::NAN, 1.0).is_nan());
    }

    /// Verifies (MT.5).
    ///
    /// The affine flow ends in m + s z₀, so S = s(2 − π/2); straight uniform
    /// motion has S = 0.
    #[test]
    fn straightness_is_zero_on_chords_and_closed_on_gaussians() {
        let (z0, times) = (starts(), grid(2000));
        let z1 = z0.mapv(|z| SHIFT + S * z);
        let energy = path_energy(&times, speeds(&times).view()).expect("valid");
        let s = straightness(energy, z0.view(), z1.view()).expect("valid");
        // The quadrature's second-order error at 2000 steps is below 4e-7: the
        // bound of the test above, times (400 / 2000)².
        let closed = S * (2.0 - PI / 2.0);
        assert!((s - closed).abs() <= 4e-7, "{s} against {closed}");

        let chord = (&z1 - &z0).mapv(|c| c * c);
        let constant = Array2::from_shape_fn((times.len(), N), |(_, i)| chord[[i, 0]]);
        let energy = path_energy(&times, constant.view()).expect("valid");
        let s = straightness(energy, z0.view(), z1.view()).expect("valid");
        // 2000 products and sums of numbers of size 2.5, summing to it.
        assert!(s.abs() <= 2000.0 * f64::EPSILON * energy, "{s:e}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let speeds = Array2::<f64>::ones((3, 2));
        for times in [
            vec![],
            vec![0.0, 1.0, 1.0],
            vec![0.0, 0.5, 0.9],
            vec![0.0, f64::NAN, 1.0],
        ] {
            assert!(path_energy(&times, speeds.view()).is_err(), "{times:?}");
        }
        let times = [0.0, 0.5, 1.0];
        for shape in [(2, 2), (3, 0)] {
            assert!(path_energy(&times, Array2::ones(shape).view()).is_err());
        }
        let mut bad = speeds.clone();
        bad[[2, 1]] = f64::INFINITY;
        let text = path_energy(&times, bad.view()).unwrap_err().to_string();
        assert!(text.contains("inf at row 2, column 1"), "{text}");
        assert!(straightness(1.0, array![[1.0]].view(), array![[1.0, 2.0]].view()).is_err());
    }
}
