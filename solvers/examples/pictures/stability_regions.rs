//! Where `|R(z)| = 1`: inside, a decaying solution is computed as decaying.

use crate::picture::{Axis, Picture};
use solvers::methods;
use solvers::stability::{amplification, real_interval, stability_polynomial};
use std::f64::consts::PI;

pub(crate) fn draw() -> String {
    let mut picture = Picture::new(
        "Regions of linear stability",
        Axis::even("Re h lambda", (-7.0, 2.0), 1.0),
        Axis::even("Im h lambda", (-6.5, 6.5), 1.0),
    );
    for method in [
        &*methods::EULER,
        &methods::MIDPOINT,
        &methods::KUTTA3,
        &methods::RK4,
        &methods::DORMAND_PRINCE,
        &methods::TSITOURAS,
        &methods::DOP853,
    ] {
        let r = stability_polynomial(&method.coefficients());
        let middle = -0.5 * real_interval(&r);
        // From the middle of the real interval outwards to the first place
        // where the modulus exceeds 1.
        let edge = |angle: f64| {
            let (sin, cos) = angle.sin_cos();
            let at = |d: f64| (middle + d * cos, d * sin);
            let step = |i: u32| 0.005 * f64::from(i);
            let outside = (1..4000).find(|&i| amplification(&r, at(step(i))) > 1.0);
            at(step(outside.unwrap_or(4000)))
        };
        let points = (0..=720).map(|i| edge(f64::from(i) * PI / 360.0));
        picture.line(method.name, points);
    }
    picture.finish()
}
