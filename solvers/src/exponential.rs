//! **Exponential steps** along affine paths: DPM-Solver++.
//!
//! On a path `x_t = a_t x₁ + b_t x₀` from noise to data, the flow is known
//! but for the expected end `D(x, t) = E[x₁ | x_t = x]`. In the logarithm of the
//! ratio of signal to noise, `λ = ln(a/b)`, its linear part is integrated
//! exactly:
//!
//! ```math
//! x_t = \frac{b_t}{b_s} x_s + b_t \int_{\lambda_s}^{\lambda_t} e^{\lambda}\, D\, d\lambda \tag{EX.1}
//! ```
//!
//! and `D` is extrapolated by the polynomial in `λ` through its last one, two
//! or three values. With `h = λ_t − λ_s` that needs
//!
//! ```math
//! I_m = \int_0^h e^{\tau - h}\, \tau^m\, d\tau, \qquad
//! I_0 = 1 - e^{-h}, \quad I_m = h^m - m I_{m-1} \tag{EX.2}
//! ```
//!
//! Lu et al., *DPM-Solver++*, arXiv:2211.01095 (2022), multistep form; they
//! replace `I₁` by `h I₀/2`, here the integrals are exact. At `a_s = 0` or
//! `b_t = 0` the logarithm is infinite; there the step is of order 1, which
//! needs no logarithm: `x_t = (b_t/b_s) x_s + (a_t − b_t a_s/b_s) D`.
//!
//! Backwards, from data to noise, all of it holds with a negative `h`.
//!
//! The second step of order 3 must not follow a first step of order 1, whose
//! error is `O(h²)` once: the first step of order 3 looks half way, at the cost
//! of one evaluation.

use crate::end::{End, Outcome};
use crate::error::Error;
use crate::space::{Field, Space};
use crate::time_grid::TimeGrid;

/// How many values of the expected end are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExponentialOrder {
    /// One: DDIM's step.
    First,
    /// Two: DPM-Solver++(2M).
    Second,
    /// Three: DPM-Solver++(3M).
    Third,
}

/// Solves along the path whose coefficients at `t` are `path(t) = (a, b)`;
/// `expected_end` writes `D(x, t)` where a field would write a velocity.
///
/// # Errors
/// If at a node a coefficient is negative or not finite, both vanish, the
/// ratio of signal to noise neither grows all along the grid nor falls, or `b`
/// vanishes before the last node: nothing goes back from pure data.
pub fn exponential<P: Space, F: Field<P::State>>(
    space: &P,
    path: impl Fn(f64) -> (f64, f64),
    expected_end: &mut F,
    order: ExponentialOrder,
    x0: P::State,
    grid: &TimeGrid,
) -> Result<End<P::State>, Error> {
    let nodes = grid.nodes();
    let places: Vec<Place> = nodes.iter().map(|&t| Place::at(t, &path)).collect();
    check(&places)?;
    let rows = space.rows(&x0);
    let mut end = End::at_start(&x0, nodes[0], rows);
    let (ones, mut times) = ([1.0], vec![0.0; rows]);
    let (mut x, mut next) = (x0.clone(), x0.clone());
    let mut values = Known {
        d: vec![x0; order as usize + 1],
        // One more than is kept, since a value comes before one goes.
        lambda: Vec::with_capacity(order as usize + 2),
    };
    for pair in places.windows(2) {
        let (from, to) = (&pair[0], &pair[1]);
        times.fill(from.t);
        values.push(from, |d| expected_end.eval(&times, &x, d));
        let mut made = 1;
        let infinite = !(to.lambda - from.lambda).is_finite();
        if order == ExponentialOrder::Third && values.lambda.len() == 1 && !infinite {
            // Half way in λ, by order 1, for the slope of D over this step.
            let middle = Place::between(from, to, &path);
            step(space, (&mut next, &x), &ones, (from, &middle), &values, 1);
            let mut half = values.clone();
            times.fill(middle.t);
            half.push(&middle, |d| expected_end.eval(&times, &next, d));
            made += 1;
            half.swap_latest();
            step(space, (&mut next, &x), &ones, (from, to), &half, 2);
        } else {
            let known = if infinite { 1 } else { values.lambda.len() };
            step(space, (&mut next, &x), &ones, (from, to), &values, known);
        }
        if let Some(sample) = space.non_finite_row(&next) {
            end.note_evaluations(made);
            end.outcome = Outcome::NonFinite { t: from.t, sample };
            break;
        }
        std::mem::swap(&mut x, &mut next);
        end.note_step(made, to.t);
    }
    end.state = x;
    Ok(end)
}

/// A node of the path.
#[derive(Clone, Copy, Debug)]
struct Place {
    t: f64,
    a: f64,
    b: f64,
    lambda: f64,
}

impl Place {
    fn at(t: f64, path: &impl Fn(f64) -> (f64, f64)) -> Self {
        let (a, b) = path(t);
        Place {
            t,
            a,
            b,
            lambda: (a / b).ln(),
        }
    }

    /// Where `λ` is half way, by bisection of the time.
    fn between(from: &Self, to: &Self, path: &impl Fn(f64) -> (f64, f64)) -> Self {
        let wanted = 0.5 * (from.lambda + to.lambda);
        let (mut low, mut high) = (from.t, to.t);
        let mut middle = *from;
        // As many bisections as a number has bits, and one.
        for _ in 0..54 {
            middle = Place::at(low.midpoint(high), path);
            if (middle.lambda < wanted) == (from.lambda < wanted) {
                low = middle.t;
            } else {
                high = middle.t;
            }
        }
        middle
    }
}

fn check(places: &[Place]) -> Result<(), Error> {
    let refuse = |name, value, expected| {
        Err(Error::Argument {
            name,
            value,
            expected,
        })
    };
    for (n, place) in places.iter().enumerate() {
        let inside = |x: f64| x >= 0.0 && x.is_finite();
        if !(inside(place.a) && inside(place.b) && place.a + place.b > 0.0) {
            return refuse(
                "the time of a node",
                place.t,
                "finite coefficients, not negative",
            );
        }
        if place.b == 0.0 && n + 1 < places.len() {
            return refuse("the time of a node", place.t, "noise before the last node");
        }
    }
    // The first step says which way the path is gone.
    let grows = places[1].lambda > places[0].lambda;
    let goes_on = |w: &[Place]| match grows {
        true => w[1].lambda > w[0].lambda,
        false => w[1].lambda < w[0].lambda,
    };
    match places.windows(2).find(|w| !goes_on(w)) {
        Some(w) => refuse(
            "the time of a node",
            w[1].t,
            "more signal at every node than at the one before, or less at every one",
        ),
        None => Ok(()),
    }
}

/// Values of the expected end, the latest first, and where they were taken.
#[derive(Clone)]
struct Known<S> {
    d: Vec<S>,
    lambda: Vec<f64>,
}

impl<S> Known<S> {
    /// Takes in a value, and forgets the oldest if there are too many, and
    /// those at an infinite place.
    fn push(&mut self, place: &Place, write: impl FnOnce(&mut S)) {
        self.d.rotate_right(1);
        write(&mut self.d[0]);
        self.lambda.insert(0, place.lambda);
        self.lambda.truncate(self.d.len());
        if let Some(first) = self.lambda.iter().skip(1).position(|l| !l.is_finite()) {
            self.lambda.truncate(first + 1);
        }
    }

    /// The value before the latest becomes the one to step from.
    fn swap_latest(&mut self) {
        self.d.swap(0, 1);
        self.lambda.swap(0, 1);
    }
}

/// One step from `x`, with the first `count` of the known values.
fn step<P: Space>(
    space: &P,
    (out, x): (&mut P::State, &P::State),
    ones: &[f64],
    (from, to): (&Place, &Place),
    known: &Known<P::State>,
    count: usize,
) {
    let ratio = to.b / from.b;
    let mut weights = [to.a - ratio * from.a, 0.0, 0.0];
    if count > 1 {
        weights = extrapolated(&known.lambda[..count], to.lambda).map(|w| to.a * w);
    }
    let [w0, w1, w2] = weights;
    let d = &known.d;
    // x + ((b_t/b_s − 1) x + …), since states are combined that way.
    let linear = (ratio - 1.0, x);
    match count {
        1 => space.combine(out, x, ones, &[linear, (w0, &d[0])]),
        2 => space.combine(out, x, ones, &[linear, (w0, &d[0]), (w1, &d[1])]),
        _ => {
            let terms = [linear, (w0, &d[0]), (w1, &d[1]), (w2, &d[2])];
            space.combine(out, x, ones, &terms); // (EX.1)
        }
    }
}

/// The weights of values at two or three places in `∫ e^(λ−λ_t) D dλ` from the
/// first place to `λ_t`.
fn extrapolated(places: &[f64], to: f64) -> [f64; 3] {
    let [i0, i1, i2] = integrals(to - places[0]);
    let p = places[0] - places[1];
    if places.len() == 2 {
        // D + τ (D − D₁)/p.
        return [i0 + i1 / p, -i1 / p, 0.0];
    }
    // Newton: D + τ D[0,1] + τ(τ + p) D[0,1,2].
    let q = places[1] - places[2];
    let second = (i2 + p * i1) / (p + q);
    [
        i0 + i1 / p + second / p,
        -i1 / p - second / p - second / q,
        second / q,
    ]
}

/// `I₀, I₁, I₂` of (EX.2).
fn integrals(h: f64) -> [f64; 3] {
    if h.abs() > 0.5 {
        let i0 = -(-h).exp_m1();
        let i1 = h - i0; // (EX.2)
        return [i0, i1, h * h - 2.0 * i1];
    }
    // The recursion cancels for small h; the series alternates and is short:
    // hᵐ⁺¹ m! Σ (−h)ᵏ/(m + 1 + k)!, and 0.5¹⁶/16! is below 1e-18.
    [0, 1, 2].map(|m: i32| {
        let mut term = h.powi(m + 1) / f64::from(m + 1);
        let mut sum = 0.0;
        for k in 1..=16 {
            sum += term;
            term *= -h / f64::from(m + 1 + k);
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifies (EX.2).
    #[test]
    fn the_integrals_are_those_of_simpsons_rule() {
        let steps = [1e-3_f64, 0.2, 0.499, 0.501, 1.0, 3.0];
        for h in steps.into_iter().flat_map(|h| [h, -h]) {
            for (m, found) in integrals(h).into_iter().enumerate() {
                let n = 2000;
                let f = |i: usize| {
                    let tau = h * i as f64 / n as f64;
                    (tau - h).exp() * tau.powi(m as i32)
                };
                let inner = (1..n).map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * f(i));
                let sum = (f(0) + inner.sum::<f64>() + f(n)) * h / (3 * n) as f64;
                // Simpson's error is below (h/n)⁴; sums round to 1e-14.
                assert!((found / sum - 1.0).abs() <= 1e-10, "{h} {m}: {found} {sum}");
            }
        }
    }

    /// Verifies (EX.1).
    #[test]
    fn extrapolation_is_exact_for_polynomials_in_the_logarithm() {
        let (places, to) = ([0.3, 0.1, -0.4], 0.9);
        for count in [2, 3] {
            let weights = extrapolated(&places[..count], to);
            for power in 0..count {
                let d = |l: f64| (l - 0.3).powi(power as i32);
                let found: f64 = places.iter().zip(weights).map(|(&l, w)| w * d(l)).sum();
                let exact = integrals(0.6)[power];
                assert!((found - exact).abs() <= 1e-14, "{count} {power}");
            }
        }
    }

    /// On a path that is gone either way, the middle of the logarithm is found.
    #[test]
    fn half_way_is_half_way_in_the_logarithm() {
        let path = |t: f64| (t * t, 1.0 - t);
        for (from, to) in [(0.2, 0.9), (0.9, 0.2), (0.5, 0.51)] {
            let (from, to) = (Place::at(from, &path), Place::at(to, &path));
            let middle = Place::between(&from, &to, &path);
            let wanted = 0.5 * (from.lambda + to.lambda);
            assert!((middle.lambda - wanted).abs() <= 1e-14, "{middle:?}");
            let (a, b) = path(middle.t);
            assert_eq!((middle.a, middle.b), (a, b));
        }
    }

    #[test]
    fn coefficients_that_are_none_are_refused() {
        let accepted = |nodes: &[(f64, f64)]| {
            let place = |&(a, b): &(f64, f64)| Place {
                t: 0.5,
                a,
                b,
                lambda: f64::ln(a / b),
            };
            check(&nodes.iter().map(place).collect::<Vec<_>>()).is_ok()
        };
        assert!(accepted(&[(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]));
        assert!(accepted(&[(0.9, 0.1), (0.5, 0.5), (0.0, 1.0)]));
        for wrong in [
            [(-0.1, 1.0), (0.5, 0.5), (1.0, 0.0)],
            [(0.0, 1.0), (0.5, -0.5), (1.0, 0.1)],
            [(0.0, 1.0), (0.5, 0.5), (f64::INFINITY, 0.1)],
            [(0.0, f64::INFINITY), (0.5, 0.5), (1.0, 0.1)],
            [(0.0, 0.0), (0.5, 0.5), (1.0, 0.1)],
            [(0.0, 1.0), (0.5, 0.0), (1.0, 0.0)],
            [(1.0, 0.0), (0.5, 0.5), (0.1, 0.9)],
            [(0.1, 1.0), (0.5, 0.5), (0.5, 0.5)],
            [(0.1, 1.0), (0.5, 0.5), (0.4, 0.5)],
            [(0.9, 0.1), (0.5, 0.5), (0.6, 0.5)],
            [(0.9, 0.1), (0.5, 0.5), (0.5, 0.5)],
        ] {
            assert!(!accepted(&wrong), "{wrong:?}");
        }
    }
}
