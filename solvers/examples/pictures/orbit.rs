//! Arenstorf's orbit: a satellite around Earth and Moon, in a frame that turns
//! with them, comes back after 17.06 units of time (Hairer, Nørsett and Wanner,
//! *Solving ODEs I*, II.0). It passes both closely, so the step changes a
//! thousandfold on the way.

use crate::picture::{Axis, Picture};
use solvers::{Adaptive, Rows, Solve, methods};

type State = Vec<f64>;

const MOON: f64 = 0.012_277_471;
const EARTH: f64 = 1.0 - MOON;
pub(crate) const START: [f64; 4] = [0.994, 0.0, 0.0, -2.001_585_106_379_082_5];
pub(crate) const PERIOD: f64 = 17.065_216_560_157_96;

/// Place and velocity of one satellite.
pub(crate) fn field(_: &[f64], y: &State, dy: &mut State) {
    let (to_earth, to_moon) = (y[0] + MOON, y[0] - EARTH);
    let d1 = (to_earth * to_earth + y[1] * y[1]).powf(1.5);
    let d2 = (to_moon * to_moon + y[1] * y[1]).powf(1.5);
    (dy[0], dy[1]) = (y[2], y[3]);
    dy[2] = y[0] + 2.0 * y[3] - EARTH * to_earth / d1 - MOON * to_moon / d2;
    dy[3] = y[1] - 2.0 * y[2] - EARTH * y[1] / d1 - MOON * y[1] / d2;
}

pub(crate) fn draw() -> String {
    let plan = Adaptive::new(0.0, PERIOD, 1e-10).expect("a plan");
    let times: Vec<f64> = (0..=2000).map(|i| PERIOD * f64::from(i) / 2000.0).collect();
    let (space, mut field) = (Rows::<f64>::new(4), field);
    let solve = Solve::new(&space, &mut field).save_at(&times);
    let end = solve.adaptive(&methods::DOP853, START.to_vec(), &plan);
    let end = end.expect("a valid problem");
    let gap = (end.state[0] - START[0]).hypot(end.state[1] - START[1]);
    println!(
        "orbit: {} steps, {} rejected, {} evaluations; it closes to {gap:.1e}",
        end.accepted, end.rejected, end.evaluations
    );
    let mut picture = Picture::new(
        "Arenstorf's orbit, DOP853 at 1e-10",
        Axis::even("x", (-1.6, 1.6), 0.5),
        Axis::even("y", (-1.2, 1.2), 0.5),
    );
    picture.line("satellite", end.saved.iter().map(|y| (y[0], y[1])));
    picture.line("Earth", circle(-MOON, 0.04));
    picture.line("Moon", circle(EARTH, 0.02));
    picture.finish()
}

fn circle(x: f64, radius: f64) -> impl Iterator<Item = (f64, f64)> {
    (0..=32).map(move |i| {
        let (sin, cos) = (f64::from(i) * std::f64::consts::TAU / 32.0).sin_cos();
        (x + radius * cos, radius * sin)
    })
}
