//! What a precision costs: evaluations over error, on Arenstorf's orbit.

use crate::orbit::{PERIOD, START, field};
use crate::picture::{Axis, Picture};
use solvers::{Adaptive, Rows, Solve, methods};

pub(crate) fn draw() -> String {
    let mut picture = Picture::new(
        "Arenstorf's orbit: work and precision",
        Axis::powers_of_ten("gap after one period", (-10.0, 1.0), 2),
        Axis::powers_of_ten("evaluations", (2.5, 5.5), 1),
    );
    for method in [
        &*methods::BOGACKI_SHAMPINE,
        &methods::DORMAND_PRINCE,
        &methods::TSITOURAS,
        &methods::DOP853,
    ] {
        let points = (8..=26).map(|i| {
            let tolerance = 10f64.powf(-f64::from(i) / 2.0);
            let mut plan = Adaptive::new(0.0, PERIOD, tolerance).expect("a plan");
            plan.max_steps = 200_000;
            let (space, mut field) = (Rows::<f64>::new(4), field);
            let solve = Solve::new(&space, &mut field);
            let end = solve.adaptive(method, START.to_vec(), &plan);
            let end = end.expect("a valid problem");
            let gap = (end.state[0] - START[0]).hypot(end.state[1] - START[1]);
            (gap.log10(), (end.evaluations as f64).log10())
        });
        picture.line(method.name, points);
    }
    picture.finish()
}
