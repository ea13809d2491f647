//! Gradients: of the steps that were made, of the flow, and of each other.
//!
//! The pulls are written by hand here; the tests of the workspace take them
//! from a tape.

use serde_json::Value;
use solvers::{
    Adaptive, Batch, Companions, Mean, Method, Outcome, Rows, Solve, TimeGrid, adaptive_adjoint,
    continuous_adjoint, discrete_adjoint, forward_steps, methods, reversible_adjoint,
    reversible_heun,
};

type Points = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);
const DAMPING: f64 = 0.2;
const DRIVE: f64 = 0.5;

/// A damped and driven pendulum, with parameters.
fn field([damping, drive]: [f64; 2]) -> impl FnMut(&[f64], &Points, &mut Points) {
    move |t: &[f64], y: &Points, dy: &mut Points| {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - damping * y[1] + drive * t[0].cos());
    }
}

/// Its pull, which adds the gradient of the parameters to `bar`.
fn pull<'a>(
    [damping, _]: [f64; 2],
    bar: &'a mut [f64; 2],
) -> impl FnMut(&[f64], &Points, &Points, f64, &mut Points) + 'a {
    move |t: &[f64], y: &Points, y_bar: &Points, weight: f64, out: &mut Points| {
        out[0] = -y[0].cos() * y_bar[1];
        out[1] = y_bar[0] - damping * y_bar[1];
        bar[0] -= weight * y[1] * y_bar[1];
        bar[1] += weight * t[0].cos() * y_bar[1];
    }
}

/// The gradient of `⟨ȳ, y(t₁)⟩` with respect to the start and the parameters.
#[derive(Clone, Copy, Debug)]
struct Gradient([f64; 4]);

impl Gradient {
    fn minus(self, other: Self) -> f64 {
        let pairs = self.0.iter().zip(other.0);
        pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }
}

const START: [f64; 2] = [1.0, 0.3];
const BAR: [f64; 2] = [0.7, -1.1];

fn grid(steps: usize) -> TimeGrid {
    TimeGrid::uniform(0.0, 10.0, steps).expect("a grid")
}

fn march(method: &Method, y0: [f64; 2], parameters: [f64; 2], steps: usize) -> Points {
    let mut field = field(parameters);
    let grid = grid(steps);
    let solve = Solve::new(&PAIRS, &mut field);
    solve
        .fixed(method, y0.to_vec(), &grid)
        .expect("valid")
        .state
}

fn discrete(method: &Method, steps: usize, places: usize) -> (Gradient, usize) {
    let parameters = [DAMPING, DRIVE];
    let (mut field, mut bar) = (field(parameters), [0.0; 2]);
    let found = discrete_adjoint(
        &PAIRS,
        (&mut field, &mut pull(parameters, &mut bar)),
        method,
        &START.to_vec(),
        &grid(steps),
        &BAR.to_vec(),
        places,
    );
    let y = &found.start_bar;
    (Gradient([y[0], y[1], bar[0], bar[1]]), found.evaluations)
}

fn continuous(method: &Method, steps: usize) -> Gradient {
    let parameters = [DAMPING, DRIVE];
    let end = march(method, START, parameters, steps);
    let (mut field, mut bar) = (field(parameters), [0.0; 2]);
    let found = continuous_adjoint(
        &PAIRS,
        (&mut field, &mut pull(parameters, &mut bar)),
        method,
        (&end, &BAR.to_vec()),
        &grid(steps),
    );
    let y = &found.start_bar;
    Gradient([y[0], y[1], bar[0], bar[1]])
}

fn reversible(steps: usize) -> (Gradient, Points) {
    let parameters = [DAMPING, DRIVE];
    let (mut field, mut bar) = (field(parameters), [0.0; 2]);
    let start = Companions::at(START.to_vec());
    let end = reversible_heun(&PAIRS, &mut field, start, &grid(steps));
    let found = reversible_adjoint(
        &PAIRS,
        (&mut field, &mut pull(parameters, &mut bar)),
        (end.state, &BAR.to_vec()),
        &grid(steps),
    );
    let y = &found.start_bar;
    (Gradient([y[0], y[1], bar[0], bar[1]]), found.start.y)
}

/// Differences of a function of start and parameters, extrapolated to order 6.
fn differences(f: impl Fn([f64; 2], [f64; 2]) -> Points) -> Gradient {
    let value = |x: [f64; 4]| {
        let y = f([x[0], x[1]], [x[2], x[3]]);
        BAR[0] * y[0] + BAR[1] * y[1]
    };
    let at = [START[0], START[1], DAMPING, DRIVE];
    Gradient([0, 1, 2, 3].map(|i| {
        let central = |h: f64| {
            let [mut up, mut down] = [at, at];
            up[i] += h;
            down[i] -= h;
            (value(up) - value(down)) / (2.0 * h)
        };
        let [a, b, c] = [central(1e-3), central(5e-4), central(2.5e-4)];
        let [ab, bc] = [(4.0 * b - a) / 3.0, (4.0 * c - b) / 3.0];
        (16.0 * bc - ab) / 15.0
    }))
}

/// Rounding of 1e-15 a few times over differences of 2.5e-4, weighted by up to
/// 1.5 in the extrapolation: near 1e-11. Truncation is (1e-3)⁶ times sixth
/// derivatives, which are below 1e6.
const OF_DIFFERENCES: f64 = 1e-10;

/// Verifies (AJ.2).
#[test]
fn the_discrete_adjoint_is_the_derivative_of_the_steps() {
    for method in *methods::ALL {
        let steps = 25;
        let exact = differences(|y, p| march(method, y, p, steps));
        let (found, _) = discrete(method, steps, steps);
        let error = found.minus(exact);
        assert!(error <= OF_DIFFERENCES, "{}: {error:e}", method.name);
        // The wrong twin: another number of steps has another derivative.
        let (twin, _) = discrete(method, steps + 1, steps);
        assert!(twin.minus(exact) > 10.0 * OF_DIFFERENCES, "{}", method.name);
    }
}

/// The same bits from fewer places, at the least cost.
///
/// Verifies (AJ.1).
#[test]
fn checkpoints_change_the_cost_and_nothing_else() {
    let steps = 40;
    let (all, _) = discrete(&methods::RK4, steps, steps);
    for places in [0, 1, 3, 6, 39] {
        let (found, evaluations) = discrete(&methods::RK4, steps, places);
        assert_eq!(found.0, all.0, "{places}");
        assert_eq!(evaluations, 4 * (steps + forward_steps(steps, places)));
    }
}

fn flow() -> Gradient {
    let text = include_str!("../data/references.json");
    let references: Value = serde_json::from_str(text).expect("valid JSON");
    let flow = &references["flows"]["forced_damped_pendulum"];
    let number = |v: &Value| v.as_str().expect("text").parse::<f64>().expect("a number");
    let jacobian = |i: usize, j: usize| number(&flow["flow_jacobian"][i][j]);
    let parameter = |name: &str, i: usize| number(&flow["dy1_dparam"][name][i]);
    let along = |column: &dyn Fn(usize) -> f64| BAR[0] * column(0) + BAR[1] * column(1);
    Gradient([
        along(&|i| jacobian(i, 0)),
        along(&|i| jacobian(i, 1)),
        along(&|i| parameter("damping", i)),
        along(&|i| parameter("drive", i)),
    ])
}

/// Against derivatives of the flow known to 17 digits: both adjoints converge
/// to it with the order of the method, and to each other.
///
/// Verifies (AJ.3).
#[test]
fn gradients_converge_to_those_of_the_flow_with_the_order_of_the_method() {
    let exact = flow();
    for (method, steps) in [
        (&*methods::EULER, 2000),
        (&methods::HEUN, 400),
        (&methods::KUTTA3, 300),
        (&methods::RK4, 150),
        (&methods::DORMAND_PRINCE, 160),
    ] {
        let p = method.order as f64;
        // Without the next term of the error, as in `convergence.rs`.
        let slope = |gradient: &dyn Fn(usize) -> Gradient| {
            let error = |n: usize| {
                let found = gradient(n).0;
                [0, 1, 2, 3].map(|i| found[i] - exact.0[i])
            };
            let [first, second, third] = [steps, 2 * steps, 4 * steps].map(error);
            let without = |coarse: [f64; 4], fine: [f64; 4]| {
                let pairs = coarse.iter().zip(fine);
                pairs
                    .map(|(c, f)| (c - 2f64.powf(p + 1.0) * f).powi(2))
                    .sum::<f64>()
            };
            0.5 * (without(first, second) / without(second, third)).log2()
        };
        let steps_made = slope(&|n| discrete(method, n, n).0);
        let equation = slope(&|n| continuous(method, n));
        println!(
            "{}: discrete {steps_made:.3}, continuous {equation:.3}",
            method.name
        );
        assert!(
            (steps_made - p).abs() <= 0.1,
            "{}: {steps_made}",
            method.name
        );
        assert!((equation - p).abs() <= 0.1, "{}: {equation}", method.name);
    }
}

/// The gradient by steps chosen on the way back, from the exact end; how many
/// were accepted and how many rejected.
fn chosen(method: &Method, plan: &Adaptive, end: [f64; 2]) -> (Gradient, [usize; 2]) {
    let parameters = [DAMPING, DRIVE];
    let (mut field, mut bar) = (field(parameters), [0.0; 2]);
    let found = adaptive_adjoint(
        &PAIRS,
        (&mut field, &mut pull(parameters, &mut bar)),
        method,
        (&end.to_vec(), &BAR.to_vec()),
        plan,
    );
    let found = found.expect("a valid plan");
    assert_eq!(found.outcome, Outcome::Done);
    for (start, exact) in found.start.iter().zip(START) {
        // A hundred steps of the tolerance, which grow by no more than 100 on
        // the way back: e^(0.2·10) is 7.4.
        let bound = 1e4 * plan.norm.tolerance.absolute;
        assert!((start - exact).abs() <= bound, "{start} of {exact}");
    }
    let counts = found.counts[0];
    assert_eq!(found.evaluations, counts.evaluations);
    // A pull with each evaluation, and ⌈p/2⌉ for each accepted step.
    let places = method.order.div_ceil(2);
    assert_eq!(found.pulls, counts.evaluations + places * counts.accepted);
    let y = &found.start_bar;
    let gradient = Gradient([y[0], y[1], bar[0], bar[1]]);
    (gradient, [counts.accepted, counts.rejected])
}

/// The flow's end, to 17 digits.
fn exact_end() -> [f64; 2] {
    let grid = TimeGrid::uniform(0.0, 10.0, 400).expect("a grid");
    let mut field = field([DAMPING, DRIVE]);
    let solve = Solve::new(&PAIRS, &mut field);
    let end = solve.fixed(&methods::DOP853, START.to_vec(), &grid);
    let end = end.expect("valid").state;
    [end[0], end[1]]
}

/// With the tolerance the error of the gradient falls in proportion, parameters
/// included, and rejected steps leave nothing in them.
///
/// Verifies (AJ.3), (AJ.5).
#[test]
fn chosen_steps_bring_the_gradient_of_the_flow_to_the_tolerance() {
    let (exact, end) = (flow(), exact_end());
    for method in methods::ALL.iter().filter(|m| m.estimator.is_some()) {
        let mut plan = Adaptive::new(0.0, 10.0, 1e-4).expect("a plan");
        let mut error = |tolerance: f64| {
            plan.norm.tolerance.relative = tolerance;
            plan.norm.tolerance.absolute = tolerance;
            // A first step that is far too long is rejected.
            plan.first_step = Some(10.0);
            let (found, [accepted, rejected]) = chosen(method, &plan, end);
            assert!(rejected > 0 && accepted > 5, "{}", method.name);
            // Between parts, each part is as good as the others.
            let parts = found.0.iter().zip(exact.0);
            parts.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        // The tolerance goes as hᵖ, since estimates vanish to order p − 1, and
        // so does the error of the result, which is of order p: the slope is 1,
        // but for steps at the largest and for the spread of errors below 1.
        let (coarse, fine) = (error(1e-5), error(1e-8));
        let slope = (coarse / fine).log10() / 3.0;
        println!("{}: {coarse:.1e}, {fine:.1e}, {slope:.3}", method.name);
        assert!((slope - 1.0).abs() <= 0.2, "{}: {slope}", method.name);
        assert!(fine <= 1e-5, "{}: {fine:e}", method.name);
    }
}

/// Each sample goes back in its own steps, to the same bits as alone, and the
/// gradients of parameters are those of the samples, added.
#[test]
fn samples_go_back_in_steps_of_their_own() {
    let parameters = [DAMPING, DRIVE];
    let ends: Points = (0..7)
        .flat_map(|i| [f64::from(i) * 0.4 - 1.0, 1.0 - f64::from(i) * 0.3])
        .collect();
    let bars: Points = (0..14).map(|i| 1.0 - 0.2 * f64::from(i)).collect();
    let mut field = |t: &[f64], y: &Points, dy: &mut Points| {
        for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
            dy[0] = y[1];
            dy[1] = -y[0].sin() - DAMPING * y[1] + DRIVE * t.cos();
        }
    };
    let mut back = |rows: std::ops::Range<usize>, batch: Batch| {
        let mut plan = Adaptive::new(0.0, 3.0, 1e-7).expect("a plan");
        plan.batch = batch;
        let mut sum = [0.0; 2];
        let mut pulls = |t: &[f64], y: &Points, bar: &Points, weight: f64, out: &mut Points| {
            for (row, &t) in t.iter().enumerate() {
                let pair = 2 * row..2 * row + 2;
                let mut own = vec![0.0; 2];
                let mut one = pull(parameters, &mut sum);
                let (y, bar) = (y[pair.clone()].to_vec(), bar[pair.clone()].to_vec());
                one(&[t], &y, &bar, weight, &mut own);
                out[pair].copy_from_slice(&own);
            }
        };
        let numbers = 2 * rows.start..2 * rows.end;
        let (end, bar) = (ends[numbers.clone()].to_vec(), bars[numbers].to_vec());
        let problem = (&mut field, &mut pulls);
        let method = &methods::TSITOURAS;
        let found = adaptive_adjoint(&PAIRS, problem, method, (&end, &bar), &plan);
        let found = found.expect("a valid plan");
        assert_eq!(found.outcome, Outcome::Done);
        (found.start, found.start_bar, found.counts, sum)
    };
    let (start, bar, counts, sum) = back(0..7, Batch::PerSample);
    let mut added = [0.0; 2];
    for i in 0..7 {
        let alone = back(i..i + 1, Batch::PerSample);
        assert_eq!(alone.0, start[2 * i..2 * i + 2]);
        assert_eq!(alone.1, bar[2 * i..2 * i + 2]);
        assert_eq!(alone.2, counts[i..=i]);
        added = [added[0] + alone.3[0], added[1] + alone.3[1]];
    }
    let shared = back(0..7, Batch::Shared(Mean::Largest));
    for i in 0..2 {
        // Some hundred numbers below 10, added in another order.
        assert!((sum[i] - added[i]).abs() <= 1e-12, "{sum:?} {added:?}");
        // A hundred steps of 1e-7 each way.
        assert!(
            (sum[i] - shared.3[i]).abs() <= 2e-5,
            "{sum:?} {:?}",
            shared.3
        );
    }
    assert!(counts.iter().any(|count| *count != counts[0]));
}

/// Verifies (AJ.4), (RV.1).
#[test]
fn reversible_steps_are_taken_back_and_their_gradient_is_that_of_the_steps() {
    let steps = 50;
    let (found, start) = reversible(steps);
    for (a, b) in start.iter().zip(START) {
        // A rounding or two a step on numbers up to 4, both ways, kept bounded
        // by the damping.
        assert!(
            (a - b).abs() <= 4.0 * 2.0 * 2.0 * 50.0 * f64::EPSILON,
            "{a} {b}"
        );
    }
    let exact = differences(|y, p| {
        let mut field = field(p);
        let start = Companions::at(y.to_vec());
        reversible_heun(&PAIRS, &mut field, start, &grid(steps))
            .state
            .y
    });
    let error = found.minus(exact);
    assert!(error <= OF_DIFFERENCES, "{error:e}");
    // It is a method of order 2, and so is its gradient.
    let flow = flow();
    let error = |n: usize| reversible(n).0.minus(flow);
    let found = (error(2000) / error(4000)).log2();
    assert!((found - 2.0).abs() <= 0.1, "{found}");
}

/// The integral of the divergence along the way is the logarithm of the
/// determinant of the flow's derivative.
#[test]
fn probability_is_conserved() {
    let text = include_str!("../data/references.json");
    let references: Value = serde_json::from_str(text).expect("valid JSON");
    let number = |v: &Value| v.as_str().expect("text").parse::<f64>().expect("a number");
    let space = Rows::<f64>::new(3);
    for (name, field) in [
        ("lotka_volterra", lotka_volterra as fn(&Points, &mut Points)),
        ("brusselator", brusselator),
    ] {
        let flow = &references["flows"][name];
        let time = |key: &str| {
            flow[key]
                .as_f64()
                .or_else(|| flow[key].as_str()?.parse().ok())
        };
        let (t0, t1) = (time("t0").expect("a time"), time("t1").expect("a time"));
        let mut y0: Points = (0..2).map(|i| number(&flow["y0"][i])).collect();
        y0.push(0.0);
        let jacobian = |i: usize, j: usize| number(&flow["flow_jacobian"][i][j]);
        let determinant = jacobian(0, 0) * jacobian(1, 1) - jacobian(0, 1) * jacobian(1, 0);
        let exact = number(&flow["integral_of_divergence"]);
        assert!((determinant.abs().ln() - exact).abs() <= 1e-9);
        let error = |n: usize| {
            let grid = TimeGrid::uniform(t0, t1, n).expect("a grid");
            let mut field = |_: &[f64], y: &Points, dy: &mut Points| field(y, dy);
            let solve = Solve::new(&space, &mut field);
            let end = solve
                .fixed(&methods::RK4, y0.clone(), &grid)
                .expect("valid");
            (end.state[2] - exact).abs()
        };
        let found = (error(2000) / error(4000)).log2();
        println!("{name}: log-density {found:.3}");
        assert!((found - 4.0).abs() <= 0.1, "{name}: {found}");
    }
}

/// With the divergence as a third coordinate.
fn lotka_volterra(y: &Points, dy: &mut Points) {
    (dy[0], dy[1]) = (y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0));
    dy[2] = 1.5 - y[1] + y[0] - 3.0;
}

fn brusselator(y: &Points, dy: &mut Points) {
    let square = y[0] * y[0] * y[1];
    (dy[0], dy[1]) = (1.0 + square - 4.0 * y[0], 3.0 * y[0] - square);
    dy[2] = 2.0 * y[0] * y[1] - 4.0 - y[0] * y[0];
}
