//! Events: found where they are, alone and in a batch.

use solvers::{
    Adaptive, Crossing, End, Event, Method, Outcome, Rows, Solve, Then, TimeGrid, methods,
};
use std::f64::consts::{PI, SQRT_2};

type Batch = Vec<f64>;

const PAIRS: Rows<f64> = Rows::new(2);

/// Height and velocity of a stone.
fn falling(_: &[f64], y: &Batch, dy: &mut Batch) {
    for (y, dy) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)) {
        (dy[0], dy[1]) = (y[1], -1.0);
    }
}

fn pendulum(t: &[f64], y: &Batch, dy: &mut Batch) {
    for ((y, dy), t) in y.chunks_exact(2).zip(dy.chunks_exact_mut(2)).zip(t) {
        (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t.cos());
    }
}

/// The first coordinate of each row.
fn first(_: &[f64], y: &Batch, g: &mut [f64]) {
    for (g, y) in g.iter_mut().zip(y.chunks_exact(2)) {
        *g = y[0];
    }
}

enum Steps {
    Grid(TimeGrid),
    Chosen(Adaptive),
}

fn run(
    mut field: fn(&[f64], &Batch, &mut Batch),
    (method, steps): (&Method, &Steps),
    y0: Batch,
    (crossing, then): (Crossing, Then),
    save_at: &[f64],
) -> End<Batch> {
    let mut g = first;
    let event = Event::new(&mut g, crossing, then);
    let solve = Solve::new(&PAIRS, &mut field).event(event).save_at(save_at);
    let end = match steps {
        Steps::Grid(grid) => solve.fixed(method, y0, grid),
        Steps::Chosen(plan) => solve.adaptive(method, y0, plan),
    };
    end.expect("a valid problem")
}

fn ways(t0: f64, t1: f64) -> [Steps; 2] {
    [
        Steps::Grid(TimeGrid::uniform(t0, t1, 7).expect("a grid")),
        Steps::Chosen(Adaptive::new(t0, t1, 1e-6).expect("a plan")),
    ]
}

/// A parabola is exact from order 2 on, so the time of the fall is √(2·height)
/// to rounding.
#[test]
fn stones_stop_where_they_fall_each_at_its_time() {
    let heights: Vec<f64> = (1..=9).map(|i| f64::from(i) * 0.5).collect();
    let y0: Batch = heights.iter().flat_map(|&height| [height, 0.0]).collect();
    for steps in &ways(0.0, 4.0) {
        let way = (&*methods::DORMAND_PRINCE, steps);
        let end = run(
            falling,
            way,
            y0.clone(),
            (Crossing::Falling, Then::Stop),
            &[1.5],
        );
        assert_eq!(end.outcome, Outcome::Done);
        for (i, height) in heights.iter().enumerate() {
            let time = SQRT_2 * height.sqrt();
            assert_eq!(end.events[i], [end.times[i]]);
            // A dozen roundings of numbers up to 4.5 and of slope 1 and more.
            assert!((end.times[i] - time).abs() <= 1e-14, "{height}");
            assert!(end.state[2 * i].abs() <= 1e-14, "{height}");
            assert!((end.state[2 * i + 1] + time).abs() <= 1e-14, "{height}");
            let passed = usize::from(time >= 1.5);
            assert_eq!(end.saved_count[i], passed);
            if passed == 1 {
                assert!((end.saved[0][2 * i] - (height - 1.125)).abs() <= 1e-14);
            }
            // Alone it falls at the same time in bits.
            let alone = run(
                falling,
                way,
                vec![*height, 0.0],
                (Crossing::Falling, Then::Stop),
                &[],
            );
            assert_eq!(alone.state[..], end.state[2 * i..2 * i + 2]);
            assert_eq!(alone.times[0].to_bits(), end.times[i].to_bits());
        }
        // Nothing rises.
        let none = run(
            falling,
            way,
            y0.clone(),
            (Crossing::Rising, Then::Stop),
            &[],
        );
        assert!(none.events.iter().all(Vec::is_empty));
        assert_eq!(none.times, [4.0; 9]);
    }
}

#[test]
fn zeros_of_an_oscillation_are_noted_on_the_way_forwards_and_backwards() {
    let mut circle = |_: &[f64], y: &Batch, dy: &mut Batch| (dy[0], dy[1]) = (y[1], -y[0]);
    for sign in [1.0, -1.0] {
        let mut plan = Adaptive::new(0.0, sign * 10.0, 1e-11).expect("a plan");
        plan.max_steps = 10_000;
        for (crossing, zeros) in [
            (Crossing::Either, vec![0.5, 1.5, 2.5]),
            (Crossing::Falling, vec![0.5, 2.5]),
            (Crossing::Rising, vec![1.5]),
        ] {
            let mut g = first;
            let event = Event::new(&mut g, crossing, Then::GoOn);
            let solve = Solve::new(&PAIRS, &mut circle).event(event);
            let end = solve.adaptive(&methods::DOP853, vec![1.0, 0.0], &plan);
            let end = end.expect("a valid problem");
            assert_eq!(end.times, [sign * 10.0]);
            assert_eq!(end.events[0].len(), zeros.len(), "{crossing:?}");
            for (found, zero) in end.events[0].iter().zip(zeros) {
                // Thirty steps of 1e-11, and dense output of order 7 in steps
                // whose order is 8.
                assert!((found - sign * zero * PI).abs() <= 1e-8, "{found}");
            }
        }
    }
}

/// The time of an event converges as the values within a step do.
#[test]
fn the_time_of_an_event_has_the_order_of_the_method() {
    let time = |method: &Method, steps: usize| {
        let grid = Steps::Grid(TimeGrid::uniform(0.0, 3.0, steps).expect("a grid"));
        let y0 = vec![1.0, 0.3];
        let way = (method, &grid);
        let end = run(pendulum, way, y0, (Crossing::Falling, Then::Stop), &[]);
        assert_eq!(end.events[0].len(), 1);
        end.times[0]
    };
    let exact = time(&methods::DOP853, 400);
    for (method, steps) in [
        (&*methods::EULER, 2000),
        (&methods::MIDPOINT, 400),
        (&methods::BOGACKI_SHAMPINE, 100),
        (&methods::RK4, 60),
        (&methods::DORMAND_PRINCE, 40),
    ] {
        // Where in its step the event falls changes with the steps, and the
        // error with it; the mean over many numbers of steps does not.
        let error = |n: usize| {
            let all = (0..24).map(|i| (time(method, n + n * i / 48) - exact).powi(2));
            (all.sum::<f64>() / 24.0).sqrt()
        };
        let found = (error(steps) / error(2 * steps)).log2();
        println!("{}: {found:.3}", method.name);
        assert!(
            (found - method.order as f64).abs() <= 0.1,
            "{}: {found}",
            method.name
        );
    }
}
