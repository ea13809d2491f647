//! **Step**: the one place where stages are evaluated.

use crate::dense::weight;
use crate::method::{Method, Terms};
use crate::space::{Field, Space};
use crate::vectors::{Vectorized, widest};

/// The times of a step, row by row, or one for all rows.
#[derive(Clone, Copy)]
pub(crate) struct Times<'a> {
    /// Where it begins.
    pub(crate) t: &'a [f64],
    /// Its length, with its sign.
    pub(crate) h: &'a [f64],
    /// Where it ends: `t + h`, but in bits what it is meant to be.
    pub(crate) next: &'a [f64],
}

/// The buffers of a step, made once.
pub(crate) struct Stages<S> {
    /// The slopes.
    pub(crate) k: Vec<S>,
    /// The argument of the last evaluation, and then the result.
    pub(crate) y: S,
    /// The times of the stage at hand; or those of each stage, if batches that
    /// are at the same time follow each other, and find them filled.
    times: Vec<Vec<f64>>,
    /// How many of the slopes are known already.
    known: usize,
}

impl<S: Clone> Stages<S> {
    pub(crate) fn new(method: &Method, y: &S, rows: usize) -> Self {
        Stages {
            k: vec![y.clone(); method.c.len()],
            y: y.clone(),
            times: vec![vec![0.0; rows]],
            known: 0,
        }
    }

    /// For batches that follow each other at the same times.
    pub(crate) fn for_many(method: &Method, y: &S, rows: usize) -> Self {
        Stages {
            times: vec![vec![0.0; rows]; method.c.len()],
            ..Stages::new(method, y, rows)
        }
    }

    /// The first slope at `(t, y)`. Returns the evaluations made.
    pub(crate) fn begin<F: Field<S>>(&mut self, field: &mut F, t: f64, y: &S) -> usize {
        self.times[0].fill(t);
        field.eval(&self.times[0], y, &mut self.k[0]);
        self.known = 1;
        1
    }

    /// The slope at the end of an explicit Euler step that goes no further than
    /// to `t1`, in the place of the second. Returns the evaluations made.
    pub(crate) fn probe<P, F>(
        &mut self,
        (space, field): (&P, &mut F),
        (t, t1, y): (f64, f64, &S),
        h: &[f64],
    ) -> usize
    where
        P: Space<State = S>,
        F: Field<S>,
    {
        let (first, rest) = self.k.split_at_mut(1);
        space.combine(&mut self.y, y, h, &[(1.0, &first[0])]);
        // A step over the whole interval may be rounded past its end.
        let at = |time: &mut f64, h: &f64| {
            let end = t + h;
            *time = if (t1 - end) * h < 0.0 { t1 } else { end };
        };
        match h {
            [all] => self.times[0].iter_mut().for_each(|time| at(time, all)),
            each => self.times[0]
                .iter_mut()
                .zip(each)
                .for_each(|(time, h)| at(time, h)),
        }
        field.eval(&self.times[0], &self.y, &mut rest[0]);
        1
    }

    /// One trial step of every row from `(t, y)`: fills the stages and leaves
    /// the result in `y` of the buffers. Returns the evaluations made.
    pub(crate) fn attempt<P, F>(
        &mut self,
        (space, field): (&P, &mut F),
        method: &Method,
        (times, y): (Times<'_>, &S),
    ) -> usize
    where
        P: Space<State = S>,
        F: Field<S>,
    {
        let before = self.known;
        for i in before..method.stages() {
            self.stage((space, field), method, i, (times, y));
        }
        if !method.first_same_as_last {
            weighted(&method.b, &self.k, |terms| {
                space.combine(&mut self.y, y, times.h, terms); // (RK.2)
            });
        }
        self.known = method.stages();
        method.stages() - before
    }

    /// One trial step of all rows from `t` by `h` to `next`, of which the first
    /// slope may be known. Returns the evaluations made.
    pub(crate) fn try_step<P, F>(
        &mut self,
        problem: (&P, &mut F),
        method: &Method,
        (known, [t, h, next], y): (bool, &[f64; 3], &S),
    ) -> usize
    where
        P: Space<State = S>,
        F: Field<S>,
    {
        match known {
            true => self.keep_first(),
            false => self.forget(),
        }
        let one = std::slice::from_ref;
        let times = Times {
            t: one(t),
            h: one(h),
            next: one(next),
        };
        self.attempt(problem, method, (times, y))
    }

    /// The stages that only dense output needs, if there are any. The result
    /// in `y` stays. Returns the evaluations made.
    pub(crate) fn complete<P, F>(
        &mut self,
        (space, field): (&P, &mut F),
        method: &Method,
        (times, y): (Times<'_>, &S),
    ) -> usize
    where
        P: Space<State = S>,
        F: Field<S>,
    {
        if self.known >= method.c.len() {
            return 0;
        }
        let (before, result) = (self.known, self.y.clone());
        for i in before..method.c.len() {
            self.stage((space, field), method, i, (times, y));
        }
        self.known = method.c.len();
        self.y = result;
        self.known - before
    }

    /// Slope `i`, from the earlier ones.
    fn stage<P, F>(
        &mut self,
        (space, field): (&P, &mut F),
        method: &Method,
        i: usize,
        (times, y): (Times<'_>, &S),
    ) where
        P: Space<State = S>,
        F: Field<S>,
    {
        let place = i.min(self.times.len() - 1);
        let at = &mut self.times[place];
        node(at, times, method.c[i]);
        let (earlier, rest) = self.k.split_at_mut(i);
        weighted(&method.a[i], earlier, |terms| {
            space.combine(&mut self.y, y, times.h, terms);
        });
        field.eval(at, &self.y, &mut rest[0]); // (RK.1)
    }

    /// The last stage becomes the first of the next step.
    pub(crate) fn reuse_last(&mut self, method: &Method) {
        self.k.swap(0, method.stages() - 1);
        self.known = 1;
    }

    /// The same for the rows that move on; for the others the first stage is
    /// still right.
    pub(crate) fn reuse_last_of<P>(&mut self, space: &P, method: &Method, rows: &[bool])
    where
        P: Space<State = S>,
    {
        let (first, rest) = self.k.split_at_mut(1);
        space.choose(&mut first[0], &rest[method.stages() - 2], rows);
        self.known = 1;
    }

    /// The first slope is still right: no row moved.
    pub(crate) fn keep_first(&mut self) {
        self.known = 1;
    }

    /// Nothing is known at the next point.
    pub(crate) fn forget(&mut self) {
        self.known = 0;
    }

    /// Only these rows stay.
    pub(crate) fn keep<P: Space<State = S>>(&mut self, space: &P, rows: &[usize]) {
        for k in &mut self.k {
            *k = space.take(k, rows);
        }
        self.y = space.take(&self.y, rows);
        for times in &mut self.times {
            times.truncate(rows.len());
        }
    }
}

/// The times of a node.
#[inline]
pub(crate) fn node(out: &mut [f64], times: Times<'_>, c: f64) {
    if let (&[t], &[h], &[next]) = (times.t, times.h, times.next) {
        let time = node_within(t, h, next, c);
        // Filled by this line alone while there is one time for all, so the
        // first number stands for the others: the last stages share their node.
        if out.first() != Some(&time) {
            out.fill(time);
        }
        return;
    }
    widest(Nodes { out, times, c });
}

/// A node rounded past an end of the step is moved back, and the end itself is
/// met in bits.
#[inline(always)]
fn node_within(t: f64, h: f64, next: f64, c: f64) -> f64 {
    let inside = t + c * h;
    let (low, high) = if t < next { (t, next) } else { (next, t) };
    let inside = if inside < low { low } else { inside };
    let inside = if inside > high { high } else { inside };
    if c == 1.0 { next } else { inside }
}

/// The times of a node, each row with its own.
struct Nodes<'a> {
    out: &'a mut [f64],
    times: Times<'a>,
    c: f64,
}

impl Vectorized for Nodes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Times { t, h, next } = self.times;
        let steps = t.iter().zip(h).zip(next);
        for (out, ((&t, &h), &next)) in self.out.iter_mut().zip(steps) {
            *out = node_within(t, h, next, self.c);
        }
    }
}

/// `out ← y(t + θh)` by dense output, with a `θ` for each row and an `h` for
/// each or for all; `scratch` and `steps` may hold anything.
pub(crate) fn interpolate<P: Space>(
    space: &P,
    method: &Method,
    (y, k): (&P::State, &[P::State]),
    (h, theta): (&[f64], &[f64]),
    (out, scratch, steps): (&mut P::State, &mut P::State, &mut Vec<f64>),
) {
    for (m, row) in method.dense.iter().enumerate() {
        steps.clear();
        let step =
            |(i, &theta): (usize, &f64)| h[if h.len() == 1 { 0 } else { i }] * weight(m, theta);
        steps.extend(theta.iter().enumerate().map(step));
        weighted(row, k, |terms| {
            let before = if m == 0 { y } else { &*scratch };
            space.combine(out, before, steps, terms); // (RK.10)
        });
        if m + 1 < method.dense.len() {
            std::mem::swap(out, scratch);
        }
    }
}

/// Most stages of the methods at hand; more of them cost an allocation.
pub(crate) const MOST_STAGES: usize = 16;

/// Calls `f` with the stages paired with their coefficients, on the stack.
#[inline]
pub(crate) fn weighted<S, R>(row: &Terms, k: &[S], f: impl FnOnce(&[(f64, &S)]) -> R) -> R {
    let pair = |&(stage, c): &(usize, f64)| (c, &k[stage]);
    // Most rows are short, and filling room for long ones takes longer than a
    // step of a small system should.
    match &row.0[..] {
        [] => f(&[]),
        [a] => f(&[pair(a)]),
        [a, b] => f(&[pair(a), pair(b)]),
        [a, b, c] => f(&[pair(a), pair(b), pair(c)]),
        [a, b, c, d] => f(&[pair(a), pair(b), pair(c), pair(d)]),
        [a, b, c, d, e] => f(&[pair(a), pair(b), pair(c), pair(d), pair(e)]),
        [a, b, c, d, e, g] => f(&[pair(a), pair(b), pair(c), pair(d), pair(e), pair(g)]),
        many if many.len() > MOST_STAGES => f(&many.iter().map(pair).collect::<Vec<_>>()),
        many => {
            let mut room = [pair(&many[0]); MOST_STAGES];
            for (room, term) in room.iter_mut().zip(many) {
                *room = pair(term);
            }
            f(&room[..many.len()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Estimator;
    use crate::{Rows, methods};
    use serde_json::Value;

    type Batch = Vec<f64>;
    const PAIRS: Rows<f64> = Rows::new(2);

    fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t[0].cos());
    }

    fn lotka_volterra(_: &[f64], y: &Batch, dy: &mut Batch) {
        (dy[0], dy[1]) = (y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0));
    }

    type Pair = fn(&[f64], &Batch, &mut Batch);

    /// One step; the stages of it, those of dense output included.
    fn one(mut field: Pair, method: &Method, (t, y, h): (f64, &Batch, f64)) -> Stages<Batch> {
        let mut stages = Stages::new(method, y, 1);
        let (t, h, next) = ([t], [h], [t + h]);
        let times = Times {
            t: &t,
            h: &h,
            next: &next,
        };
        stages.attempt((&PAIRS, &mut field), method, (times, y));
        stages.complete((&PAIRS, &mut field), method, (times, y));
        stages
    }

    /// `h·Σ e·k`.
    fn estimate(row: &Terms, stages: &Stages<Batch>, h: f64) -> Batch {
        let mut out = vec![0.0; 2];
        weighted(row, &stages.k, |terms| {
            PAIRS.combine(&mut out, &vec![0.0; 2], &[h], terms);
        });
        out
    }

    fn numbers(value: &Value) -> Batch {
        let list = value.as_array().expect("a list").iter();
        list.map(|x| x.as_str().expect("text").parse().expect("a number"))
            .collect()
    }

    /// Against maps computed with fifty digits: estimates, and values within a
    /// step.
    ///
    /// Verifies (RK.10).
    #[test]
    fn estimates_and_values_within_a_step_are_the_exact_ones() {
        let text = include_str!("../tests/data/references.json");
        let references: Value = serde_json::from_str(text).expect("valid JSON");
        for (name, method) in [
            ("bogacki_shampine32", &*methods::BOGACKI_SHAMPINE),
            ("dormand_prince54", &methods::DORMAND_PRINCE),
            ("tsitouras54", &methods::TSITOURAS),
            ("dop853", &methods::DOP853),
        ] {
            for (problem, field) in [
                ("forced_damped_pendulum", pendulum as Pair),
                ("lotka_volterra", lotka_volterra),
            ] {
                let map = &references["maps"][name][problem];
                let scalar = |key: &str| numbers(&Value::Array(vec![map[key].clone()]))[0];
                let (t, h, y) = (scalar("t0"), scalar("h"), numbers(&map["y0"]));
                let stages = one(field, method, (t, &y, h));
                let rows = match method.estimator.as_ref().expect("a pair") {
                    Estimator::Embedded { weights, .. } => vec![("error_E", weights)],
                    Estimator::FifthAndThird { fifth, third } => {
                        vec![("error_E5", fifth), ("error_E3", third)]
                    }
                };
                for (key, row) in rows {
                    let found = estimate(row, &stages, h);
                    for (found, exact) in found.iter().zip(numbers(&map[key])) {
                        // Weights of at most 2 on slopes of at most 40, a
                        // dozen of them, times h; slopes themselves are off by
                        // a few roundings.
                        let bound = h * 12.0 * 2.0 * 40.0 * f64::EPSILON;
                        let error = (found - exact).abs();
                        assert!(error <= bound, "{name} {problem} {key}: {error:e}");
                    }
                }
                let dense = map["dense"].as_object().expect("values");
                assert_eq!(dense.len(), 2);
                for (theta, exact) in dense {
                    let theta = [theta.parse().expect("a place")];
                    let (mut out, mut scratch) = (y.clone(), y.clone());
                    let room = (&mut out, &mut scratch, &mut vec![]);
                    interpolate(&PAIRS, method, (&y, &stages.k), (&[h], &theta), room);
                    for (found, exact) in out.iter().zip(numbers(exact)) {
                        // Rows of dense output sum to at most 2000 in size,
                        // times functions below 1/8.
                        let bound = h * 2000.0 / 8.0 * 40.0 * f64::EPSILON;
                        let bound = bound.min(5e-13);
                        let error = (found - exact).abs();
                        assert!(error <= bound, "{name} {problem} {theta:?}: {error:e}");
                    }
                }
            }
        }
    }

    /// Halving the step divides an estimate by `2^(p̂ + 1)`.
    ///
    /// Verifies (RK.13).
    #[test]
    fn estimates_vanish_with_their_order() {
        let pairs = methods::ALL.iter().filter(|m| m.estimator.is_some());
        for method in pairs {
            let estimator = method.estimator.as_ref().expect("a pair");
            // Root mean squares over many starts, forwards and backwards.
            let size = |row: &Terms, h: f64| {
                let square = |i: usize| {
                    let phase = i as f64;
                    let y = vec![2.0 * (0.37 * phase).sin(), (0.73 * phase).cos()];
                    let stages = one(pendulum, method, (phase, &y, h));
                    let e = estimate(row, &stages, h);
                    e[0] * e[0] + e[1] * e[1]
                };
                (0..64).map(square).sum::<f64>().sqrt()
            };
            let slope = |size: &dyn Fn(f64) -> f64, h: f64| (size(h) / size(h / 2.0)).log2();
            for sign in [1.0, -1.0] {
                let (found, expected) = match estimator {
                    Estimator::Embedded { weights, order } => {
                        (slope(&|h| size(weights, h), sign * 0.02), order + 1)
                    }
                    Estimator::FifthAndThird { fifth, third } => {
                        assert!((slope(&|h| size(fifth, h), sign * 0.1) - 6.0).abs() <= 0.1);
                        assert!((slope(&|h| size(third, h), sign * 0.1) - 4.0).abs() <= 0.1);
                        let mixed = |h: f64| {
                            let (e5, e3) = (size(fifth, h), size(third, h));
                            e5 * e5 / (e5 * e5 + 0.01 * e3 * e3).sqrt()
                        };
                        (slope(&mixed, sign * 0.1), 8)
                    }
                };
                assert_eq!(expected, estimator.order() + 1);
                let error = (found - expected as f64).abs();
                assert!(error <= 0.1, "{}: {found} of {expected}", method.name);
            }
        }
    }

    /// Times from anywhere, with steps to the spacing of numbers: a node is
    /// between the ends of its step however it is rounded.
    #[test]
    fn a_node_lies_within_its_step_in_bits() {
        let mut before = 0;
        for i in 0..3000 {
            let x = |k: f64| (f64::from(i) * k).sin();
            let (t, h) = (3.0 * x(0.7), x(1.3) * 10f64.powi(-(i % 17)));
            let next = t + h;
            for c in [f64::EPSILON, 0.3, 1.0 - f64::EPSILON / 2.0, 1.0] {
                let found = node_within(t, h, next, c);
                let (low, high) = (t.min(next), t.max(next));
                assert!((low..=high).contains(&found), "{t} {h} {c}: {found}");
                assert!(c < 1.0 || found == next);
                let inside = t + c * h;
                before += usize::from(found == t && h != 0.0);
                if (low..=high).contains(&inside) && c < 1.0 {
                    assert_eq!(found.to_bits(), inside.to_bits());
                }
            }
        }
        assert!(before > 0, "{before}");
        // A node past either end, by more than any rounding, is moved back.
        assert_eq!(node_within(0.0, 1.0, 0.5, 0.75), 0.5);
        assert_eq!(node_within(0.0, -1.0, -0.5, 0.75), -0.5);
        assert_eq!(node_within(1.0, 0.5, 1.5, -1e-3), 1.0);
        assert_eq!(node_within(1.0, -0.5, 0.5, -1e-3), 1.0);
    }

    /// More stages than are kept on the stack, with gaps between them.
    #[test]
    fn stages_are_paired_with_their_coefficients_however_many() {
        let k: Vec<f64> = (0..40).map(f64::from).collect();
        for count in 0..=20 {
            let row = Terms((0..count).map(|i| (2 * i, 0.5 + i as f64)).collect());
            let expected: Vec<(f64, f64)> = row.0.iter().map(|&(stage, c)| (c, k[stage])).collect();
            let found = weighted(&row, &k, |terms| {
                terms.iter().map(|(c, k)| (*c, **k)).collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{count}");
        }
    }
}
