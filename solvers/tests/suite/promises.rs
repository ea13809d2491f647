//! What the solvers promise: the exact maps, the orders, the ends of the
//! interval, independence of the batch, and endings that say what happened.

use crate::references::{METHODS, numbers, references};
use crate::rounding::{UNIT, jacobian, left};
use solvers::sde::{Brownian, Scheme, solve_sde};
use solvers::{
    AB2, AB3, AB4, Adaptive, Batch as Batches, Companions, Error, Mean, Method, Outcome, Rows,
    Solve, TimeGrid, adaptive_adjoint, continuous_adjoint, discrete_adjoint, methods,
    reversible_adjoint, reversible_heun,
};
use std::ops::ControlFlow;

/// Rows of two coordinates, one behind the other.
type Batch = Vec<f64>;

/// `y' = (y₂, −sin y₁ − 0.2 y₂ + 0.5 cos t)`: nonlinear and non-autonomous, so
/// every order condition and every node counts.
fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

fn lotka_volterra(_t: &[f64], y: &Batch, dy: &mut Batch) {
    for (y, dy) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)) {
        (dy[0], dy[1]) = (y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0));
    }
}

type Pair = fn(&[f64], &Batch, &mut Batch);
const PAIRS: Rows<f64> = Rows::new(2);

fn march(mut field: Pair, method: &Method, y0: &[f64], nodes: Vec<f64>) -> Vec<f64> {
    let grid = TimeGrid::new(nodes).expect("a monotone grid");
    let end = Solve::new(&PAIRS, &mut field).fixed(method, y0.to_vec(), &grid);
    let end = end.expect("a valid problem");
    assert_eq!(end.outcome, Outcome::Done);
    end.state
}

/// What a bound on rounding asks of a field: its slope, its derivatives by `y` and
/// by `t`, and what it rounds itself.
struct Sizes {
    slope: [f64; 2],
    by_state: [[f64; 2]; 2],
    by_time: [f64; 2],
    noise: [f64; 2],
}

/// A sine or cosine to an ulp, its products and the sums: at most six units of
/// each term, constants that are not exact among them.
fn of_pendulum(t: f64, y: [f64; 2]) -> Sizes {
    let terms = y[0].sin().abs() + 0.2 * y[1].abs() + 0.5 * t.cos().abs();
    Sizes {
        slope: [y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos()],
        by_state: [[0.0, 1.0], [-y[0].cos(), -0.2]],
        by_time: [0.0, -0.5 * t.sin()],
        noise: [0.0, 6.0 * UNIT * terms],
    }
}

/// A difference and a product.
fn of_lotka_volterra(_: f64, y: [f64; 2]) -> Sizes {
    let [a, b] = [1.5 - y[1], y[0] - 3.0];
    Sizes {
        slope: [y[0] * a, y[1] * b],
        by_state: [[a, -y[0]], [y[1], b]],
        by_time: [0.0; 2],
        noise: [2.0 * UNIT * (y[0] * a).abs(), 2.0 * UNIT * (y[1] * b).abs()],
    }
}

type OfField = fn(f64, [f64; 2]) -> Sizes;

/// What one step rounds at most: what each stage rounds, operation by operation,
/// times what the result makes of it. And the size of the result's terms,
/// `|y| + |h| Σ |bᵢkᵢ|`. The step may be longer or shorter than it should be by
/// `slack`, a part of it.
fn rounded(
    method: &Method,
    sizes: OfField,
    (t, y, h): (f64, [f64; 2], f64),
    slack: f64,
) -> ([f64; 2], [f64; 2]) {
    let (tableau, count) = (method.coefficients(), method.stages());
    let mut stages: Vec<Sizes> = vec![];
    // `y + h Σ c·k`: the value, what is rounded in it, and the size of its terms.
    let combined = |row: &[f64], stages: &[Sizes]| {
        [0, 1].map(|i| {
            let terms = row.iter().zip(stages).filter(|(c, _)| **c != 0.0);
            let terms: Vec<f64> = terms.map(|(c, k)| h * c * k.slope[i]).collect();
            let size: f64 = terms.iter().map(|x| x.abs()).sum();
            let value = y[i] + terms.iter().sum::<f64>();
            // Each term: its coefficient, its product, the sums, the step; then
            // the whole.
            let roundings = terms.len() as f64 + 2.0;
            let error = (UNIT * roundings + slack) * size + UNIT * value.abs();
            (value, error, y[i].abs() + size)
        })
    };
    // What is rounded in the slope of each stage.
    let mut sources = vec![];
    for i in 0..count {
        let [(y0, e0, _), (y1, e1, _)] = combined(&tableau.a[i], &stages);
        let at = sizes(t + tableau.c[i] * h, [y0, y1]);
        // The time: a node, a product, a sum.
        let late = 3.0 * UNIT * (t.abs() + h.abs());
        sources.push([0, 1].map(|i| {
            let carried = at.by_state[i][0].abs() * e0 + at.by_state[i][1].abs() * e1;
            carried + at.by_time[i].abs() * late + at.noise[i]
        }));
        stages.push(at);
    }
    let [(_, e0, s0), (_, e1, s1)] = combined(&tableau.b, &stages);
    let mut sum = [e0, e1];
    for (source, errors) in sources.iter().enumerate() {
        for (coordinate, error) in errors.iter().enumerate() {
            // The slopes' derivatives by this one, with their signs.
            let mut slopes = vec![[0.0; 2]; count];
            slopes[source][coordinate] = 1.0;
            let along = |row: &[f64], slopes: &[[f64; 2]], i: usize| {
                let terms = row.iter().zip(slopes).map(|(c, k)| c * k[i]);
                h * terms.sum::<f64>()
            };
            for i in source + 1..count {
                let moved = [0, 1].map(|j| along(&tableau.a[i], &slopes, j));
                let by_state = stages[i].by_state;
                slopes[i] = by_state.map(|row| row[0] * moved[0] + row[1] * moved[1]);
            }
            for (i, sum) in sum.iter_mut().enumerate() {
                *sum += along(&tableau.b, &slopes, i).abs() * error;
            }
        }
    }
    (sum, [s0, s1])
}

/// The error of a march: in units of what rounding may leave of it, which is
/// derived step by step and carried to the end by the derivatives of the steps;
/// and in ulps of the largest terms of a step, beside what it may be in these.
fn in_units_of_rounding(
    (method, wrong): (&Method, &Method),
    (field, sizes): (Pair, OfField),
    (nodes, y0, exact): (&[f64], &[f64], &[f64]),
    h: f64,
) -> [f64; 3] {
    // The start, which is a decimal, is rounded too.
    let unit = |i: usize| [0, 1].map(|j| f64::from(u8::from(i == j))).to_vec();
    let start = y0.iter().map(|y| UNIT * y.abs()).collect();
    let (mut chain, mut y) = (vec![(vec![unit(0), unit(1)], start)], y0.to_vec());
    let mut size: [f64; 2] = [0.0; 2];
    for pair in nodes.windows(2) {
        let step = |y: &[f64]| march(field, method, y, pair.to_vec());
        let from = (pair[0], [y[0], y[1]], pair[1] - pair[0]);
        let slack = ((from.2.abs() - h) / h).abs();
        let (local, terms) = rounded(method, sizes, from, slack);
        chain.push((jacobian(step, &y), local.to_vec()));
        size = [0, 1].map(|i| size[i].max(terms[i]));
        y = step(&y);
    }
    let (bound, found) = (left(&chain), march(field, wrong, y0, nodes.to_vec()));
    let errors = found.iter().zip(exact).map(|(a, b)| (a - b).abs());
    let errors: Vec<f64> = errors.collect();
    let largest = |over: [f64; 2], of: &[f64]| {
        let quotients = of.iter().zip(over).map(|(x, over)| x / over);
        quotients.fold(0.0, |most, x| if x <= most { most } else { x })
    };
    let ulps = size.map(|size| f64::EPSILON * size);
    [
        largest([bound[0], bound[1]], &errors),
        largest(ulps, &errors),
        largest(ulps, &bound),
    ]
}

/// Against maps computed with fifty digits: this tests the stepper, not only
/// the coefficients. How much rounding may leave is derived for each method, in
/// ulps of the terms of a step.
///
/// Verifies (RK.2).
#[test]
fn one_step_and_sixteen_are_the_exact_maps() {
    let references = references();
    let problems: [(&str, Pair, OfField); 2] = [
        ("forced_damped_pendulum", pendulum, of_pendulum),
        ("lotka_volterra", lotka_volterra, of_lotka_volterra),
    ];
    for (name, method) in METHODS.into_iter().zip(*methods::ALL) {
        // The wrong twin: a coefficient of the result, a few thousand ulps off.
        let mut twin = method.clone();
        let last = method.stages() - 1;
        let terms = match method.first_same_as_last {
            true => &mut twin.a[last],
            false => &mut twin.b,
        };
        terms.0[0].1 *= 1.0 + 1e-12;
        let mut seen = false;
        for (problem, field, sizes) in problems {
            let map = &references["maps"][name][problem];
            let scalar = |key: &str| {
                map[key]
                    .as_str()
                    .expect("text")
                    .parse::<f64>()
                    .expect("number")
            };
            let (t0, h, y0) = (scalar("t0"), scalar("h"), numbers(&map["y0"]));
            let grid = |steps: u32| {
                (0..=steps)
                    .map(|i| t0 + h * f64::from(i))
                    .collect::<Vec<_>>()
            };
            let y1 = numbers(&map["y1"]);
            for (nodes, start, key) in [
                (grid(1), &y0, "y1"),
                (grid(16), &y0, "y_after_16_steps"),
                (vec![t0 + h, t0], &y1, "one_step_back_from_y1"),
            ] {
                let exact = numbers(&map[key]);
                let judge = |run: &Method| {
                    let way = (&nodes[..], &start[..], &exact[..]);
                    in_units_of_rounding((method, run), (field, sizes), way, h)
                };
                let [ratio, ulps, most] = judge(method);
                let place = format!("{name} {problem} {key}");
                println!("{place}: {ulps:.2} of {most:.1} ulps, {ratio:.3}");
                assert!(ratio <= 1.0, "{place}: {ratio}");
                // The bound is for the worst of all roundings at once. Measured,
                // it is 2.2 ulps at most; a sine elsewhere may be an ulp off.
                assert!(ulps <= 4.0, "{place}: {ulps}");
                seen |= !(judge(&twin)[0] <= 1.0);
            }
        }
        assert!(seen, "{name}: the wrong twin");
    }
}

/// Ends of intervals, both ways; some whose length is rounded, so that `t0 + (t1
/// − t0)` is not `t1`.
const SPANS: [(f64, f64); 6] = [
    (0.0, 1.0),
    (0.1, 0.7),
    (1.0, 0.0),
    (0.3, -0.9),
    (0.7, 0.1),
    (-1.1, 0.3),
];

/// Runs what is told of each span with a field that refuses to be looked at
/// outside of it; and counts the looks.
fn within(
    span: (f64, f64),
    slowness: f64,
    run: impl FnOnce(&mut dyn FnMut(&[f64], &Batch, &mut Batch)),
) {
    let (low, high) = (f64::min(span.0, span.1), f64::max(span.0, span.1));
    let mut seen = 0;
    run(&mut |t: &[f64], y: &Batch, dy: &mut Batch| {
        assert!(
            t.iter().all(|t| (low..=high).contains(t)),
            "{t:?} of {span:?}"
        );
        seen += 1;
        pendulum(t, y, dy);
        dy.iter_mut().for_each(|dy| *dy *= slowness);
    });
    assert!(seen > 0);
}

const TWO: [f64; 4] = [1.0, 0.3, -0.7, 0.1];

/// Of steps chosen from the error: alone and in a batch, in steps of their own and
/// common ones, in blocks, by the solver and by its adjoint. The probe for a first
/// step, which a slow field makes as long as the interval, is looked at as well.
fn chosen_steps_stay_within(slowness: f64) {
    for span in SPANS {
        for method in methods::ALL.iter().filter(|m| m.estimator.is_some()) {
            for batch in [
                Batches::PerSample,
                Batches::Shared(Mean::Largest),
                Batches::Shared(Mean::RootMeanSquare),
            ] {
                for block in [1, 8] {
                    let mut plan = Adaptive::new(span.0, span.1, 1e-7).expect("a plan");
                    plan.batch = batch;
                    within(span, slowness, |mut field| {
                        let solve = Solve::new(&PAIRS, &mut field).in_blocks(block);
                        let end = solve.adaptive(method, TWO.to_vec(), &plan);
                        let end = end.expect("valid");
                        assert_eq!((end.times, end.outcome), (vec![span.1; 2], Outcome::Done));
                    });
                    within(span, slowness, |mut field| {
                        let problem = (&mut field, &mut no_pull);
                        let ends = (&TWO.to_vec(), &TWO.to_vec());
                        let found = adaptive_adjoint(&PAIRS, problem, method, ends, &plan);
                        assert_eq!(found.expect("valid").outcome, Outcome::Done);
                    });
                }
            }
        }
    }
}

/// A pull of no consequence: it is times that are looked at.
fn no_pull(_: &[f64], _: &Batch, bar: &Batch, _: f64, out: &mut Batch) {
    out.clone_from(bar);
}

/// Of steps on a grid, by every solver that has one and its adjoint.
#[test]
fn the_interval_is_never_left_on_a_grid_and_its_end_is_met_in_bits() {
    let y0 = || TWO.to_vec();
    for span in SPANS {
        let grid = TimeGrid::uniform(span.0, span.1, 7).expect("a grid");
        for method in *methods::ALL {
            within(span, 1.0, |mut field| {
                let end = Solve::new(&PAIRS, &mut field).fixed(method, y0(), &grid);
                let times = end.expect("valid").times;
                assert_eq!(times, [span.1; 2]);
            });
            within(span, 1.0, |mut field| {
                let problem = (&mut field, &mut no_pull);
                continuous_adjoint(&PAIRS, problem, method, (&y0(), &y0()), &grid);
            });
            within(span, 1.0, |mut field| {
                let problem = (&mut field, &mut no_pull);
                discrete_adjoint(&PAIRS, problem, method, &y0(), &grid, &y0(), 2);
            });
        }
        for method in [AB2, AB3, AB4] {
            within(span, 1.0, |mut field| {
                let end = method.solve(&PAIRS, &mut field, y0(), &grid);
                assert_eq!(end.expect("valid").times, [span.1; 2]);
            });
        }
        within(span, 1.0, |mut field| {
            let start = Companions::at(y0());
            let end = reversible_heun(&PAIRS, &mut field, start, &grid);
            assert_eq!(end.times, [span.1; 2]);
            let problem = (&mut field, &mut no_pull);
            reversible_adjoint(&PAIRS, problem, (end.state, &y0()), &grid);
        });
        if span.0 > span.1 {
            continue; // Stochastic schemes go forwards.
        }
        let motion = Brownian {
            seed: 5,
            t0: span.0,
            t1: span.1,
            dimension: 2,
        };
        let times = |t: f64| assert!((span.0..=span.1).contains(&t), "{t} of {span:?}");
        let mut noise = |t: f64, _: &Batch, dw: &Batch, out: &mut Batch| {
            times(t);
            out.clone_from(dw);
        };
        let mut correction = |t: f64, _: &Batch, _: &Batch, _: f64, out: &mut Batch| {
            times(t);
            out.fill(0.0);
        };
        for kind in 0..3 {
            within(span, 1.0, |mut field| {
                let scheme = match kind {
                    0 => Scheme::EulerMaruyama,
                    1 => Scheme::Heun,
                    _ => Scheme::Milstein(&mut correction),
                };
                let problem = (&mut field, &mut noise);
                let end = solve_sde(&PAIRS, problem, scheme, &motion, y0(), &grid);
                assert_eq!(end.times, [span.1; 2]);
            });
        }
    }
    // The wrong twin: a look that lies one number behind the end.
    let twin = std::panic::catch_unwind(|| {
        within((0.0, 1.0), 1.0, |field| {
            let behind = [1.0f64.next_up(); 2];
            field(&behind, &TWO.to_vec(), &mut TWO.to_vec());
        });
    });
    assert!(twin.is_err());
}

#[test]
fn the_interval_is_never_left_by_chosen_steps() {
    chosen_steps_stay_within(1.0);
}

/// So slow that the probe for the first step is as long as the interval.
#[test]
fn the_interval_is_never_left_by_the_probe_of_a_slow_field() {
    chosen_steps_stay_within(1e-3);
}

fn adaptive(y0: Vec<f64>, t0: f64, t1: f64, tolerance: f64) -> solvers::End<Vec<f64>> {
    let plan = Adaptive::new(t0, t1, tolerance).expect("a plan");
    let mut field = pendulum;
    Solve::new(&PAIRS, &mut field)
        .adaptive(&methods::DORMAND_PRINCE, y0, &plan)
        .expect("valid")
}

#[test]
fn there_and_back_again() {
    let there = adaptive(vec![1.0, 0.3], 0.0, 3.0, 1e-10).state;
    let back = adaptive(there, 3.0, 0.0, 1e-10).state;
    // Two hundred steps of tolerance 1e-10 at most, mildly amplified.
    assert!(
        (back[0] - 1.0).abs() <= 2e-8 && (back[1] - 0.3).abs() <= 2e-8,
        "{back:?}"
    );
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    let batch: Vec<f64> = (0..257).flat_map(start).collect();
    let together = adaptive(batch.clone(), 0.0, 5.0, 1e-6);
    assert_eq!(together.outcome, Outcome::Done);
    let nodes: Vec<f64> = (0..=10).map(|i| 0.5 * f64::from(i)).collect();
    let fixed = march(pendulum, &methods::RK4, &batch, nodes.clone());
    let mut work = 0;
    for i in 0..257 {
        let alone = adaptive(start(i).to_vec(), 0.0, 5.0, 1e-6);
        assert_eq!(
            alone.state[..],
            together.state[2 * i..2 * i + 2],
            "sample {i}"
        );
        let alone_fixed = march(pendulum, &methods::RK4, &start(i), nodes.clone());
        assert_eq!(alone_fixed[..], fixed[2 * i..2 * i + 2], "sample {i}");
        work += alone.sample_evaluations;
    }
    // Compaction: no more than twice the work of solving each alone.
    assert!(together.sample_evaluations <= 2 * work);
    assert!(together.sample_evaluations >= work);
}

#[test]
fn a_field_that_breaks_down_is_named_with_time_and_sample() {
    let mut field = |t: &[f64], y: &Vec<f64>, dy: &mut Vec<f64>| {
        pendulum(t, y, dy);
        for (row, &t) in t.iter().enumerate() {
            // Rows move when the batch is compacted: known by its state.
            if y[2 * row] > 50.0 && t > 0.6 {
                dy[2 * row] = f64::NAN;
            }
        }
    };
    let mut y0 = vec![0.1; 8];
    y0[4] = 100.0;
    let grid = TimeGrid::uniform(0.0, 1.0, 10).expect("a grid");
    let end = Solve::new(&PAIRS, &mut field).fixed(&methods::RK4, y0.clone(), &grid);
    let end = end.expect("valid");
    match end.outcome {
        Outcome::NonFinite { t, sample: 2 } => assert!((t - 0.6).abs() <= 1e-12),
        other => panic!("{other:?}"),
    }
    assert!(
        end.state.iter().all(|y| y.is_finite()),
        "the last good state"
    );
    let plan = Adaptive::new(0.0, 1.0, 1e-6).expect("a plan");
    let end = Solve::new(&PAIRS, &mut field)
        .adaptive(&methods::DORMAND_PRINCE, y0, &plan)
        .expect("valid");
    assert!(
        matches!(end.outcome, Outcome::NonFinite { sample: 2, .. }),
        "{:?}",
        end.outcome
    );
    assert!(end.times[2] <= 0.6 && end.state.iter().all(|y| y.is_finite()));
}

#[test]
fn the_step_limit_and_the_observer_end_a_solve_with_its_state() {
    let mut plan = Adaptive::new(0.0, 10.0, 1e-8).expect("a plan");
    plan.max_steps = 5;
    let mut field = pendulum;
    let end = Solve::new(&PAIRS, &mut field)
        .adaptive(&methods::DORMAND_PRINCE, vec![1.0, 0.3], &plan)
        .expect("valid");
    let t = end.times[0];
    assert_eq!(end.outcome, Outcome::MaxSteps { t, sample: 0 });
    assert!(end.times[0] > 0.0 && end.times[0] < 10.0 && end.accepted + end.rejected == 5);
    let mut left = 3;
    let mut observer = |_: &[f64], _: &Vec<f64>| {
        left -= 1;
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let grid = TimeGrid::uniform(0.0, 1.0, 10).expect("a grid");
    let end = Solve::new(&PAIRS, &mut field)
        .observed(&mut observer)
        .fixed(&methods::EULER, vec![1.0, 0.3], &grid)
        .expect("valid");
    assert_eq!((end.outcome, end.accepted), (Outcome::Stopped, 2));
}

#[test]
fn bad_questions_are_refused_with_the_value() {
    let text = |e: Error| e.to_string();
    let error = Adaptive::new(0.0, 1.0, -1.0).map(|_| ()).unwrap_err();
    assert_eq!(
        text(error),
        "the tolerance is -1; expected a positive number"
    );
    let error = Adaptive::new(f64::NAN, 1.0, 1e-3).map(|_| ()).unwrap_err();
    assert_eq!(text(error), "t0 is NaN; expected a finite number");
    let plan = Adaptive::new(0.0, 1.0, 1e-3).expect("a plan");
    let mut field = pendulum;
    let error = Solve::new(&PAIRS, &mut field).adaptive(&methods::RK4, vec![1.0, 0.3], &plan);
    assert!(text(error.unwrap_err()).starts_with("RK4 has no embedded error estimate"));
}
