//! Errors over steps, on logarithmic axes: the slopes are the orders.

use crate::picture::{Axis, Picture};
use solvers::{Method, Rows, Solve, TimeGrid, methods};

type State = Vec<f64>;

fn pendulum(t: &[f64], y: &State, dy: &mut State) {
    (dy[0], dy[1]) = (y[1], -y[0].sin() - 0.2 * y[1] + 0.5 * t[0].cos());
}

fn end(method: &Method, steps: usize) -> Vec<f64> {
    let grid = TimeGrid::uniform(0.0, 3.0, steps).expect("a grid");
    let (space, mut field) = (Rows::<f64>::new(2), pendulum);
    let solve = Solve::new(&space, &mut field);
    let end = solve.fixed(method, vec![1.0, 0.3], &grid);
    end.expect("a valid problem").state
}

pub(crate) fn draw() -> String {
    let mut picture = Picture::new(
        "A driven pendulum: error at t = 3",
        Axis::powers_of_ten("steps", (0.0, 4.0), 1),
        Axis::powers_of_ten("error", (-15.0, 0.0), 3),
    );
    let exact = end(&methods::DOP853, 300);
    for method in [
        &*methods::EULER,
        &methods::HEUN,
        &methods::BOGACKI_SHAMPINE,
        &methods::RK4,
        &methods::DORMAND_PRINCE,
        &methods::TSITOURAS,
        &methods::DOP853,
    ] {
        let error = |n: usize| {
            let y = end(method, n);
            (y[0] - exact[0]).hypot(y[1] - exact[1])
        };
        let points = (4..=26).map(|i| {
            let n = 10f64.powf(f64::from(i) / 7.0).round() as usize;
            ((n as f64).log10(), error(n).max(1e-16).log10())
        });
        picture.line(method.name, points);
    }
    picture.finish()
}
