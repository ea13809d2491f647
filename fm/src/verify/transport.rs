//! Claims about fields that move densities and points: (FM.1) to (FM.5) and
//! (FM.7).

use super::cases::{Case, Cases};
use super::{Measured, Twin};
use crate::continuity::{ConditionalPath, Transport, flux_residual, log_residual};
use crate::mixture::MixturePath;
use crate::schedule::Schedule;
use solvers::{Rows, Solve, TimeGrid, methods};

/// Difference step of the finer measurement: the truncation error `h²·f'''/6`
/// is then above rounding `ε/h` by four orders, and the `h⁴` term below it by
/// as many.
const H: f64 = 1e-3;

/// Residuals carry third derivatives of log densities, which for deviations
/// down to 0.2 at late times reach 10³; times `h²/6`.
const ALLOWED: f64 = 1e-2;

/// A field with its velocity scaled: the wrong twin's missing factor.
struct Scaled<'a, T>(&'a T, f64);

impl<T: Transport> Transport for Scaled<'_, T> {
    fn log_density(&self, t: f64, x: &[f64]) -> f64 {
        self.0.log_density(t, x)
    }
    fn velocity(&self, t: f64, x: &[f64]) -> Vec<f64> {
        self.0.velocity(t, x).iter().map(|v| self.1 * v).collect()
    }
}

/// A random path, time and point of it; away from the ends, where schedules
/// have infinite slopes.
fn draw(case: &mut Case) -> (MixturePath, f64, Vec<f64>) {
    let path = case.mixture_path();
    let t = case.uniform("t", 0.1, 0.9);
    let x = case.on(&path, t);
    (path, t, x)
}

/// The solution of `dx/dt = ±v` from `t0` to `t1` in 200 steps of RK4.
fn flow(path: &MixturePath, sign: f64, (t0, t1): (f64, f64), x: &[f64]) -> Vec<f64> {
    let space = Rows::<f64>::new(x.len());
    let mut field = |t: &[f64], x: &Vec<f64>, dx: &mut Vec<f64>| {
        for (dx, v) in dx.iter_mut().zip(path.at(t[0], x).velocity) {
            *dx = sign * v;
        }
    };
    let grid = TimeGrid::uniform(t0, t1, 200).expect("two different times");
    let end = Solve::new(&space, &mut field).fixed(&methods::RK4, x.to_vec(), &grid);
    end.expect("a valid problem").state
}

/// `dφ/dt` by differences of the solver's flow map against `v(φ)`.
pub(super) fn flow_map(cases: &Cases, twin: Twin) -> Measured {
    cases.second_order(8.0 * H, ALLOWED, |case, h| {
        let (path, _, x) = draw(case);
        let t = case.uniform("t (end)", 0.3, 0.7);
        let sign = twin.pick(1.0, -1.0);
        let position = |t: f64| flow(&path, sign, (0.1, t), &x);
        let (here, ahead, behind) = (position(t), position(t + h), position(t - h));
        let v = path.at(t, &here).velocity;
        let rate = |i: usize| (ahead[i] - behind[i]) / (2.0 * h);
        (0..x.len())
            .map(|i| (rate(i) - v[i]).powi(2))
            .sum::<f64>()
            .sqrt()
    })
}

pub(super) fn continuity(cases: &Cases, twin: Twin) -> Measured {
    cases.second_order(H, ALLOWED, |case, h| {
        let (path, t, x) = draw(case);
        let local = path.at(t, &x);
        let divergence = twin.pick(1.0, -1.0) * local.divergence;
        log_residual(&path, (t, &x), divergence, &local.score, h)
    })
}

pub(super) fn flux_form(cases: &Cases, twin: Twin) -> Measured {
    cases.second_order(H, ALLOWED, |case, h| {
        let (path, t, x) = draw(case);
        flux_residual(&Scaled(&path, twin.pick(1.0, 0.5)), t, &x, h)
    })
}

pub(super) fn conditional_continuity(cases: &Cases, twin: Twin) -> Measured {
    cases.second_order(H, ALLOWED, |case, h| {
        let sigma = match case.below(2) {
            0 => 0.0,
            _ => case.uniform("sigma", 0.05, 0.5),
        };
        let d = 1 + case.below(3);
        let data = case.point("x1", d, -3.0, 3.0);
        let t = case.uniform("t", 0.1, 0.7);
        let deviation = crate::path::variance(t, sigma).sqrt();
        let noise = case.normal("(x - t x1) over its deviation", d);
        let ends = data.iter().zip(noise);
        let x: Vec<f64> = ends.map(|(x1, n)| t * x1 + deviation * n).collect();
        let path = ConditionalPath { data, sigma };
        flux_residual(&Scaled(&path, twin.pick(1.0, -1.0)), t, &x, h)
    })
}

/// The exact flow map from noise to one Gaussian: `x(t) = a m + √(v/v₀)·x₀`.
fn gaussian_map(path: &MixturePath, t: f64, x0: &[f64], twin: Twin) -> Vec<f64> {
    let (_, mean, std) = path.target.components().next().expect("one component");
    let c = path.schedule.at(t);
    let v = c.a * c.a * std * std + c.b * c.b;
    let stretch = twin.pick(v.sqrt(), v);
    let each = mean.iter().zip(x0);
    each.map(|(m, x0)| c.a * m + stretch * x0).collect()
}

/// A random path to a single Gaussian without thickness, and a start.
fn gaussian_case(case: &mut Case) -> (MixturePath, Vec<f64>) {
    let d = 1 + case.below(3);
    let mean = case.point("mean", d, -3.0, 3.0);
    let std = case.uniform("deviation", 0.5, 1.5);
    let target = crate::mixture::Mixture::new(vec![1.0], vec![mean], vec![std]);
    let schedule = [Schedule::CondOt, Schedule::Cosine][case.below(2)];
    let path = MixturePath::new(target.expect("valid"), schedule, 0.0).expect("valid");
    let x0 = case.normal("x0", d);
    (path, x0)
}

pub(super) fn exact_trajectory(cases: &Cases, twin: Twin) -> Measured {
    cases.second_order(H, ALLOWED, |case, h| {
        let (path, x0) = gaussian_case(case);
        let t = case.uniform("t", 0.1, 0.9);
        let at = |t: f64| gaussian_map(&path, t, &x0, twin);
        let v = path.at(t, &at(t)).velocity;
        let (ahead, behind) = (at(t + h), at(t - h));
        let rate = |i: usize| (ahead[i] - behind[i]) / (2.0 * h);
        (0..x0.len())
            .map(|i| (rate(i) - v[i]).powi(2))
            .sum::<f64>()
            .sqrt()
    })
}

/// The midpoint rule over the exact trajectory: the error falls with order 2.
pub(super) fn integral_of_velocity(cases: &Cases, twin: Twin) -> Measured {
    cases.second_order(1.0 / 64.0, ALLOWED, |case, h| {
        let (path, x0) = gaussian_case(case);
        let intervals = (1.0 / h).round() as u32;
        let mut integral = vec![0.0; x0.len()];
        for i in 0..intervals {
            let t = (f64::from(i) + 0.5) * h;
            // The wrong twin stands still at x0 and looks at the field there.
            let moving = gaussian_map(&path, t, &x0, Twin::True);
            let v = path.at(t, twin.pick(&moving, &x0)).velocity;
            for (sum, v) in integral.iter_mut().zip(v) {
                *sum += h * v;
            }
        }
        let x1 = gaussian_map(&path, 1.0, &x0, Twin::True);
        let miss = |i: usize| x1[i] - x0[i] - integral[i];
        (0..x0.len()).map(|i| miss(i).powi(2)).sum::<f64>().sqrt()
    })
}
