//! Derivatives of the times of events, through tapes and duals, against closed
//! forms and differences.

use autograd::{Algebra, Cpu, Dual, Tensor, Var, jvp, value_and_grad};
use fm::batches::Batches;
use fm::event_time::{AtEvent, at_event};
use fm::sampler::TensorSpace;
use solvers::{Adaptive, Crossing, Event, Outcome, Solve, Then, methods};

type Plain = Tensor<Cpu<f64>>;

/// What a solve depends on: heights and velocities `[B, 2]`; gravity and drag
/// `[2]`; the floor's height at time 0 and its velocity `[2]`.
type Parameters<A> = ((Tensor<A>, Tensor<A>), Tensor<A>);

/// A stone in a medium: `y' = (w, −γ − κ w²)`.
fn velocity<A: Algebra>(y: &Tensor<A>, laws: &Tensor<A>) -> Tensor<A> {
    let w = y.slice(1, 1, 1);
    let (gravity, drag) = (laws.slice(0, 0, 1), laws.slice(0, 1, 1));
    let slowing = -(gravity + drag * w.square());
    Tensor::concat(&[&w, &slowing], 1)
}

/// Its height above a moving floor.
fn above<A: Algebra>(t: &Tensor<A>, y: &Tensor<A>, floor: &Tensor<A>) -> Tensor<A> {
    y.slice(1, 0, 1) - (floor.slice(0, 0, 1) + floor.slice(0, 1, 1) * t)
}

/// Whether the rate knows of the time: the wrong twin's does not.
#[derive(Clone, Copy, PartialEq)]
enum Rate {
    Right,
    FloorAtRest,
}

/// Solves until each stone meets the floor.
fn fall<A: Batches>(((start, laws), floor): &Parameters<A>, rate: Rate) -> AtEvent<A>
where
    A::Base: Batches,
{
    let space = TensorSpace::<A>::new();
    let plan = Adaptive::new(0.0, 20.0, 1e-12).expect("a plan");
    let mut field = |_: &[f64], y: &Tensor<A>, dy: &mut Tensor<A>| *dy = velocity(y, laws);
    let mut height = |t: &[f64], y: &Tensor<A>, out: &mut [f64]| {
        let height = above(&y.lift(&[t.len(), 1], t), y, floor);
        out.copy_from_slice(&Batches::to_f64(&height.stop()));
    };
    let event = Event::new(&mut height, Crossing::Falling, Then::Stop);
    let solve = Solve::new(&space, &mut field).event(event);
    let end = solve.adaptive(&methods::DOP853, start.clone(), &plan);
    let end = end.expect("a valid problem");
    assert_eq!(end.outcome, Outcome::Done);
    assert!(end.events.iter().all(|times| times.len() == 1));
    let plain = floor.stop();
    let rate_of = |t: &Tensor<Dual<A::Base>>, y: &Tensor<Dual<A::Base>>| {
        let floor = Tensor::constant(&plain);
        match rate {
            Rate::Right => above(t, y, &floor),
            Rate::FloorAtRest => above(&Tensor::constant(&t.stop()), y, &floor),
        }
    };
    at_event(
        (&end.times, &end.state),
        |_, y| velocity(y, laws),
        (|t, y| above(t, y, floor), rate_of),
    )
}

/// Times, places and velocities at the floor, with a weight for each.
fn weighed<A: Batches>(parameters: &Parameters<A>, rate: Rate) -> Tensor<A>
where
    A::Base: Batches,
{
    let AtEvent { time, state } = fall(parameters, rate);
    let all = Tensor::concat(&[&time, &state], 1);
    let weights = [1.0, -0.4, 0.3, 0.7, 0.2, -0.6, -1.3, 0.9, 0.5];
    let weights = all.lift(&[3, 3], &weights);
    (all * weights).sum()
}

fn parameters(drag: f64) -> Parameters<Cpu<f64>> {
    let start = Plain::new(&[3, 2], vec![2.0, 1.5, 5.0, -0.5, 0.7, 3.0]);
    let laws = Plain::new(&[2], vec![1.7, drag]);
    ((start, laws), Plain::new(&[2], vec![0.3, -0.25]))
}

/// Without drag everything is known: relative to the floor a stone falls from
/// `H = h − a` with `W = w − b`, and meets it after
/// `T = (W + √(W² + 2γH))/γ`, at the height `a + bT` with the velocity `w − γT`.
///
/// Verifies (EV.1).
#[test]
fn times_of_events_have_the_derivatives_of_the_closed_form() {
    let at = parameters(0.0);
    let direct = |((start, laws), floor): &Parameters<Var<Cpu<f64>>>| {
        let (h, w) = (start.slice(1, 0, 1), start.slice(1, 1, 1));
        let (a, b) = (floor.slice(0, 0, 1), floor.slice(0, 1, 1));
        let gravity = laws.slice(0, 0, 1);
        let (height, speed) = (h - &a, &w - &b);
        let root = (speed.square() + 2.0 * &gravity * height).sqrt();
        let time = (speed + root) / &gravity;
        let all = Tensor::concat(&[&time, &(a + b * &time), &(w - gravity * &time)], 1);
        let weights = [1.0, -0.4, 0.3, 0.7, 0.2, -0.6, -1.3, 0.9, 0.5];
        let weights = all.lift(&[3, 3], &weights);
        // The drag has no part in it.
        (all * weights).sum() + 0.0 * laws.slice(0, 1, 1).sum()
    };
    let (exact, exact_bar) = value_and_grad(direct, &at);
    let solved = |p: &Parameters<Var<Cpu<f64>>>, rate| weighed(p, rate);
    let (found, found_bar) = value_and_grad(|p| solved(p, Rate::Right), &at);
    // A parabola is solved to rounding, some ten steps of numbers below 10.
    assert!((found.item() - exact.item()).abs() <= 1e-13);
    let numbers = |((start, laws), floor): &Parameters<Cpu<f64>>| {
        // The drag is the last of the laws and left out.
        [start.to_vec(), laws.to_vec()[..1].to_vec(), floor.to_vec()].concat()
    };
    let far = |a: &Parameters<Cpu<f64>>| {
        let pairs = numbers(a).into_iter().zip(numbers(&exact_bar));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    // The rates divided by are 1 and more.
    assert!(far(&found_bar) <= 1e-12, "{:e}", far(&found_bar));
    let (_, twin) = value_and_grad(|p| solved(p, Rate::FloorAtRest), &at);
    assert!(far(&twin) > 1e-2, "the floor's velocity is in the rate");
}

/// With drag: forward and reverse mode agree, and differences of the event's own
/// numbers have the same slope.
///
/// Verifies (EV.1).
#[test]
fn times_of_events_move_as_differences_say_through_tapes_and_duals() {
    let at = parameters(0.15);
    let along = (
        (
            Plain::new(&[3, 2], vec![0.5, -1.0, 0.8, 0.3, -0.2, 0.6]),
            Plain::new(&[2], vec![0.4, -0.1]),
        ),
        Plain::new(&[2], vec![-0.7, 0.35]),
    );
    let (value, forward) = jvp(|p| weighed::<Dual<Cpu<f64>>>(p, Rate::Right), &at, &along);
    let (_, bar) = value_and_grad(|p| weighed::<Var<Cpu<f64>>>(p, Rate::Right), &at);
    let dot = |a: &Plain, b: &Plain| (a * b).sum().item();
    let reverse = dot(&bar.0.0, &along.0.0) + dot(&bar.0.1, &along.0.1) + dot(&bar.1, &along.1);
    assert!(
        (forward.item() - reverse).abs() <= 1e-11,
        "{forward:?} {reverse}"
    );
    let moved = |step: f64| {
        let shift = |x: &Plain, x_dot: &Plain| x + step * x_dot;
        let p = (
            (shift(&at.0.0, &along.0.0), shift(&at.0.1, &along.0.1)),
            shift(&at.1, &along.1),
        );
        weighed::<Cpu<f64>>(&p, Rate::Right).item()
    };
    assert!((moved(0.0) - value.item()).abs() <= 1e-12);
    let central = |step: f64| (moved(step) - moved(-step)) / (2.0 * step);
    let found = (4.0 * central(5e-3) - central(1e-2)) / 3.0;
    // Solves are right to some 1e-12, so differences over 5e-3 to 1e-9; what
    // extrapolation leaves is (1e-2)⁴ times a fifth derivative near 1.
    let error = (found - forward.item()).abs();
    assert!(error <= 3e-8, "{error:e}");
    let (_, twin) = jvp(
        |p| weighed::<Dual<Cpu<f64>>>(p, Rate::FloorAtRest),
        &at,
        &along,
    );
    assert!((twin.item() - found).abs() > 1e-3);
}
