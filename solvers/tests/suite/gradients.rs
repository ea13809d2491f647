//! Gradients: of the steps that were made, of the flow, and of each other.
//!
//! The pulls are written by hand here; the tests of the workspace take them
//! from a tape.

use crate::references::{number, references};
use crate::reversible::rounding_of_the_way_back;
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
    let flow = &references()["flows"]["forced_damped_pendulum"];
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

/// A way of the pendulum, and what its end is weighed with.
#[derive(Clone, Copy, Debug)]
struct Way {
    span: (f64, f64),
    start: [f64; 2],
}

impl Way {
    fn grid(&self, steps: usize) -> TimeGrid {
        TimeGrid::uniform(self.span.0, self.span.1, steps).expect("a grid")
    }

    fn end(&self, method: &Method, steps: usize) -> Points {
        let mut field = field([DAMPING, DRIVE]);
        let grid = self.grid(steps);
        let solve = Solve::new(&PAIRS, &mut field);
        let end = solve.fixed(method, self.start.to_vec(), &grid);
        end.expect("a valid problem").state
    }

    /// By the adjoint of the steps.
    fn discrete(&self, method: &Method, steps: usize) -> Gradient {
        let parameters = [DAMPING, DRIVE];
        let (mut field, mut bar) = (field(parameters), [0.0; 2]);
        let found = discrete_adjoint(
            &PAIRS,
            (&mut field, &mut pull(parameters, &mut bar)),
            method,
            &self.start.to_vec(),
            &self.grid(steps),
            &BAR.to_vec(),
            steps,
        );
        let y = &found.start_bar;
        Gradient([y[0], y[1], bar[0], bar[1]])
    }

    /// By the adjoint equation.
    fn continuous(&self, method: &Method, steps: usize) -> Gradient {
        let parameters = [DAMPING, DRIVE];
        let end = self.end(method, steps);
        let (mut field, mut bar) = (field(parameters), [0.0; 2]);
        let found = continuous_adjoint(
            &PAIRS,
            (&mut field, &mut pull(parameters, &mut bar)),
            method,
            (&end, &BAR.to_vec()),
            &self.grid(steps),
        );
        let y = &found.start_bar;
        Gradient([y[0], y[1], bar[0], bar[1]])
    }

    /// By the adjoint of steps of order 8 so short that rounding is all that is
    /// left of their error.
    fn exact(&self) -> Gradient {
        let length = (self.span.1 - self.span.0).abs();
        self.discrete(&methods::DOP853, (60.0 * length) as usize)
    }
}

/// Ways from several starts, so that no leading term of an error vanishes by
/// chance.
fn ways(span: (f64, f64), count: usize) -> Vec<Way> {
    let start = |i: usize| [(i as f64 * 0.37).sin() * 2.0, (i as f64 * 0.73).cos()];
    let way = |i: usize| Way {
        span,
        start: start(i),
    };
    (1..=count).map(way).collect()
}

/// What is taken for exact below is: against derivatives of the flow known to 17
/// digits, and, backwards, of its inverse.
#[test]
fn the_gradient_taken_for_exact_is_that_of_the_flow() {
    let there = Way {
        span: (0.0, 10.0),
        start: START,
    };
    // Some hundred roundings of numbers up to 10.
    let error = there.exact().minus(flow());
    assert!(error <= 1e-12, "{error:e}");
    // With y₀ = φ⁻¹(y₁): the rows of J⁻¹ weighed by ȳ, and −J⁻¹ ∂φ/∂θ.
    let flow = &references()["flows"]["forced_damped_pendulum"];
    let entry = |i: usize, j: usize| number(&flow["flow_jacobian"][i][j]);
    let determinant = entry(0, 0) * entry(1, 1) - entry(0, 1) * entry(1, 0);
    let back = [
        (BAR[0] * entry(1, 1) - BAR[1] * entry(1, 0)) / determinant,
        (BAR[1] * entry(0, 0) - BAR[0] * entry(0, 1)) / determinant,
    ];
    let parameter = |name: &str| {
        let along = |i: usize| number(&flow["dy1_dparam"][name][i]);
        -(back[0] * along(0) + back[1] * along(1))
    };
    let exact = Gradient([back[0], back[1], parameter("damping"), parameter("drive")]);
    let end = &flow["y1"];
    let home = Way {
        span: (10.0, 0.0),
        start: [0, 1].map(|i| number(&end[i])),
    };
    // Backwards, damping excites: e² more.
    let error = home.exact().minus(exact);
    assert!(error <= 1e-11, "{error:e}");
}

/// Both adjoints converge to the gradient of the flow with the order of the
/// method, forwards and backwards: the first is the derivative of steps that
/// converge, the other solves an equation for state, cotangent and parameters by
/// the method itself.
///
/// Verifies (AJ.3).
#[test]
fn gradients_converge_to_those_of_the_flow_with_the_order_of_the_method() {
    // Without the next term of the error, as in `convergence.rs`.
    let slope =
        |ways: &[Way], p: usize, steps: usize, gradient: &dyn Fn(&Way, usize) -> Gradient| {
            let exact: Vec<Gradient> = ways.iter().map(Way::exact).collect();
            let error = |n: usize| -> Points {
                let pairs = ways.iter().zip(&exact);
                let parts = pairs.flat_map(|(way, exact)| {
                    let found = gradient(way, n).0;
                    [0, 1, 2, 3].map(|i| found[i] - exact.0[i])
                });
                parts.collect()
            };
            // At order 8 there is little room between the first regular step and
            // rounding: numbers of steps go by 3/2 there and not by 2.
            let by: f64 = if p == 8 { 1.5 } else { 2.0 };
            let count = |k: i32| (steps as f64 * by.powi(k)) as usize;
            let [first, second, third] = [0, 1, 2].map(|k| error(count(k)));
            let without = |coarse: &Points, fine: &Points| {
                let pairs = coarse.iter().zip(fine);
                let weight = by.powi(p as i32 + 1);
                pairs.map(|(c, f)| (c - weight * f).powi(2)).sum::<f64>()
            };
            0.5 * (without(&first, &second) / without(&second, &third)).log(by)
        };
    let mut off = vec![];
    for method in *methods::ALL {
        let p = method.order;
        // As in `convergence.rs`: errors between 1e-4 and 1e-13.
        let spans = match p {
            1 => [((0.0, 3.0), 1000), ((2.0, -1.0), 1000)],
            2 => [((0.0, 3.0), 200), ((2.0, -1.0), 200)],
            3 => [((0.0, 3.0), 100), ((2.0, -1.0), 100)],
            4 => [((0.0, 3.0), 60), ((2.0, -1.0), 60)],
            5 => [((0.0, 3.0), 48), ((2.0, -1.0), 48)],
            _ => [((0.0, 4.0), 16), ((3.0, 0.0), 16)],
        };
        for (span, steps) in spans {
            let ways = ways(span, 8);
            let made = slope(&ways, p, steps, &|way, n| way.discrete(method, n));
            let equation = slope(&ways, p, steps, &|way, n| way.continuous(method, n));
            println!(
                "{} {span:?}: discrete {made:.3}, continuous {equation:.3}",
                method.name
            );
            for found in [made, equation] {
                if !((found - p as f64).abs() <= 0.1) {
                    off.push(format!("{} {span:?}: {found}", method.name));
                }
            }
        }
    }
    assert!(off.is_empty(), "{off:?}");
    // The wrong twin: a cotangent that goes back by a method with a wrong node.
    let mut wrong = methods::RK4.clone();
    wrong.c[3] = 0.9;
    let ways = ways((2.0, -1.0), 8);
    let found = slope(&ways, 4, 60, &|way, n| way.continuous(&wrong, n));
    assert!(!((found - 4.0).abs() <= 0.1), "{found}");
}

/// The gradient by steps chosen on the way back, from the exact end; how many
/// were accepted and how many rejected.
fn chosen(
    method: &Method,
    plan: &Adaptive,
    end: [f64; 2],
    start: [f64; 2],
) -> (Gradient, [usize; 2]) {
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
    for (start, exact) in found.start.iter().zip(start) {
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

/// With the tolerance the error of the gradient falls in proportion, parameters
/// included, and rejected steps leave nothing in them.
///
/// An estimate vanishes to order `p − 1`, so a tolerance `ε` asks for steps `h` with
/// `hᵖ ~ ε`, and the result, of order `p`, is off by `hᵖ`: the slope is 1. (DOP853's
/// mixed estimate is of order 8, and so is its result.) It is fitted over the last
/// two decades above rounding, where the next power of `h` matters least, and over
/// many ways and tolerances, since the last step of a way is cut to meet its end:
/// what that does to an error is averaged.
///
/// Verifies (AJ.3), (AJ.5).
#[test]
fn chosen_steps_bring_the_gradient_of_the_flow_to_the_tolerance() {
    let slope = |method: &Method, span: (f64, f64), off: f64| {
        let known = ways(span, 24).into_iter().map(|mut way| {
            let (start, end) = (way.start, way.end(&methods::DOP853, 600));
            way.start[0] += off;
            (start, way.exact(), [end[0], end[1]])
        });
        let known: Vec<([f64; 2], Gradient, [f64; 2])> = known.collect();
        let error = |tolerance: f64| {
            let mut plan = Adaptive::new(span.0, span.1, tolerance).expect("a plan");
            // A first step that is far too long is rejected.
            plan.first_step = Some(10.0);
            let squares = known.iter().map(|(start, exact, end)| {
                let (found, [accepted, rejected]) = chosen(method, &plan, *end, *start);
                assert!(rejected > 0 && accepted > 5, "{}", method.name);
                found.minus(*exact).powi(2)
            });
            squares.sum::<f64>().sqrt()
        };
        let finest = match method.order {
            3 => 8.0,
            5 => 12.0,
            _ => 13.5,
        };
        let exponents: Vec<f64> = (0..=16).map(|i| finest - f64::from(i) / 8.0).collect();
        let logs = exponents.iter().map(|x| error(10f64.powf(-x)).log10());
        let logs: Vec<f64> = logs.collect();
        // Least squares.
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let (x0, y0) = (mean(&exponents), mean(&logs));
        let products = exponents
            .iter()
            .zip(&logs)
            .map(|(x, y)| (x - x0) * (y - y0));
        let squares = exponents.iter().map(|x| (x - x0).powi(2));
        -products.sum::<f64>() / squares.sum::<f64>()
    };
    for method in methods::ALL.iter().filter(|m| m.estimator.is_some()) {
        for span in [(0.0, 10.0), (6.0, 0.0)] {
            let found = slope(method, span, 0.0);
            println!("{} {span:?}: {found:.3}", method.name);
            let error = (found - 1.0).abs();
            assert!(error <= 0.1, "{} {span:?}: {found}", method.name);
            assert!(
                (found - 1.0).abs() <= 0.1,
                "{} {span:?}: {found}",
                method.name
            );
        }
    }
    // The wrong twin: the gradient of another start does not come nearer.
    let twin = slope(&methods::DORMAND_PRINCE, (0.0, 10.0), 1e-5);
    assert!(!((twin - 1.0).abs() <= 0.1), "{twin}");
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
    let bound = rounding_of_the_way_back(grid(steps).nodes(), START);
    for i in 0..2 {
        let error = (start[i] - START[i]).abs();
        assert!(error <= bound[i], "{error:e} of {:e}", bound[i]);
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
    let references = references();
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
