//! **Error against NFE**: what accuracy each solver buys for its work.
//!
//! Work is the number of function evaluations (NFE): how often the network is
//! asked for a velocity, which is nearly all the cost of sampling.

use super::axis::{Axis, Frame, Scale, Size, drawable, for_both_screens};
use super::figure::{Figure, dropped};
use super::markup::{coordinate, count, escape, legend_entry, open_svg, point, significant};
use super::noise_floor::NoiseFloor;
use super::palette::{SERIES, dashes, marker};
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>Drawing a sample costs as many network evaluations (NFE) as the solver \
    makes. Euler takes one per step, the midpoint rule two, the classical Runge–Kutta method (RK4) \
    four; Dormand–Prince chooses its own steps. Both axes are logarithmic, so a solver of order \
    <i>p</i> falls along a line of slope −<i>p</i>: ten times the work divides the error by \
    10<sup><i>p</i></sup>.</p><p>A distance between samples, however, stops falling at the noise floor, \
    where the error of the solver drowns in the chance of sampling. Work spent beyond that point \
    cannot be seen in the samples.</p>";

/// What the error is.
#[derive(Clone, Copy, Debug)]
pub enum ErrorQuantity {
    /// The distance W2 between samples and data, in data units. It levels off
    /// at its floor, which is drawn as a band.
    W2 {
        /// What perfect samples of the same number would measure.
        floor: NoiseFloor,
    },
    /// The root mean square distance between where the solver puts a particle
    /// and where the exact flow does, in data units. It falls to rounding.
    MapError,
}

/// The measurements of one solver.
#[derive(Clone, Debug)]
pub struct SolverSeries<'a> {
    /// Its name, and the path if several are compared.
    pub label: &'a str,
    /// (NFE per sample, error) in ascending order of NFE.
    pub points: Vec<(f64, f64)>,
}

/// Error against work, a line for each solver.
#[derive(Clone, Debug)]
pub struct ErrorAgainstNfe<'a> {
    /// Title of the figure.
    pub title: &'a str,
    /// What the error is.
    pub quantity: ErrorQuantity,
    /// The solvers.
    pub series: Vec<SolverSeries<'a>>,
}

impl ErrorAgainstNfe<'_> {
    /// The picture, log-log. Points that are not finite and positive have no
    /// place in it; they are left out and counted.
    pub fn figure(&self) -> Figure {
        let all = || self.series.iter().flat_map(|s| &s.points);
        let drawn = || all().filter(|&&p| has_place(p));
        let lost = all().count() - drawn().count();
        let lost = (lost > 0).then(|| {
            dropped(lost, "point").map(|text| {
                text.replace(
                    "not finite.",
                    "not finite and positive, as a logarithm needs.",
                )
            })
        });
        let lost = lost.flatten();
        let x = Axis::around(
            "network evaluations per sample (NFE)",
            Scale::Logarithmic,
            drawn().map(|p| p.0),
        );
        let heights = drawn()
            .map(|p| p.1)
            .chain(self.band().into_iter().flatten());
        let y = Axis::around(self.axis_label(), Scale::Logarithmic, heights);
        let (Some(x), Some(y)) = (x, y) else {
            let reason = "There is no measurement with a finite, positive error to draw.";
            return Figure::empty(self.title, EXPLANATION, reason).with_note(lost);
        };
        let drawing = format!(
            "{}{}",
            self.legend(),
            for_both_screens(|size| self.draw(size, &x, &y))
        );
        Figure::new(self.title, EXPLANATION, drawing, self.caption()).with_note(lost)
    }

    fn axis_label(&self) -> &'static str {
        match self.quantity {
            ErrorQuantity::W2 { .. } => "distance W2 to data (data units)",
            ErrorQuantity::MapError => "rms error of the map (data units)",
        }
    }

    /// Lower edge, mean and upper edge of the floor, if it can be drawn.
    fn band(&self) -> Option<[f64; 3]> {
        let ErrorQuantity::W2 { floor } = self.quantity else {
            return None;
        };
        // A deviation as large as the mean would reach below zero, where a
        // logarithm ends; half the mean stands for "down to nothing".
        let low = (floor.mean - floor.std).max(0.5 * floor.mean);
        let band = [low, floor.mean, floor.mean + floor.std];
        band.iter().all(|&v| drawable(v) && v > 0.0).then_some(band)
    }

    fn draw(&self, size: Size, x: &Axis, y: &Axis) -> String {
        let frame = Frame::new(size, x.clone(), y.clone());
        let names: Vec<&str> = self.series.iter().map(|s| s.label).collect();
        let description = format!(
            "Log-log chart of {} against network evaluations for {}.",
            self.axis_label(),
            names.join(", ")
        );
        let mut content = self
            .band()
            .map(|band| draw_band(band, size, &frame))
            .unwrap_or_default();
        for (i, series) in self.series.iter().enumerate() {
            content.push_str(&draw_series(i, series, &frame));
        }
        format!(
            "{}{}{}</svg>",
            open_svg(size.width, size.height, &description),
            frame.axes(),
            frame.clipped(&content)
        )
    }

    fn legend(&self) -> String {
        let mut entries = String::new();
        for (i, series) in self.series.iter().enumerate() {
            let mark = format!(
                "<path class=\"line s{}\" stroke-dasharray=\"{}\" d=\"M0 7H28\"/>{}",
                i % SERIES,
                dashes(i),
                marker(i, 14.0, 7.0, "")
            );
            entries += &legend_entry(&mark, series.label);
        }
        if self.band().is_some() {
            entries += &legend_entry(
                "<rect class=\"band\" width=\"28\" height=\"14\"/><path class=\"floor\" d=\"M0 7H28\"/>",
                "noise floor, mean ± std",
            );
        }
        format!("<ul class=\"legend\">{entries}</ul>")
    }

    fn caption(&self) -> String {
        match self.quantity {
            ErrorQuantity::W2 { floor } => format!(
                "Distance W2 between drawn and real points against the network evaluations spent on \
                 each sample; lower and further left is better. Perfect samples of the same number \
                 measure {floor} (band)."
            ),
            ErrorQuantity::MapError => "Root mean square distance between where a solver puts a \
                particle and where the exact flow takes it from the same start, against the network \
                evaluations spent. No chance of sampling is in this number, so there is no floor but \
                the rounding of the arithmetic."
                .to_owned(),
        }
    }
}

fn has_place((nfe, error): (f64, f64)) -> bool {
    [nfe, error].iter().all(|&v| drawable(v) && v > 0.0)
}

fn draw_band([low, mean, high]: [f64; 3], size: Size, frame: &Frame) -> String {
    let (top, bottom) = (frame.y(high), frame.y(low));
    let mean = frame.y(mean);
    format!(
        "<rect class=\"band\" x=\"0\" y=\"{}\" width=\"{}\" height=\"{}\"/>\
         <path class=\"floor\" d=\"M0 {}H{}\"/>",
        coordinate(top),
        coordinate(size.width),
        coordinate((bottom - top).max(1.0)),
        coordinate(mean),
        coordinate(size.width)
    )
}

fn draw_series(index: usize, series: &SolverSeries<'_>, frame: &Frame) -> String {
    let mut path = String::new();
    let mut markers = String::new();
    for &(nfe, error) in series.points.iter().filter(|&&p| has_place(p)) {
        let (x, y) = (frame.x(nfe), frame.y(error));
        let _ = write!(
            path,
            "{}{}",
            if path.is_empty() { "M" } else { "L" },
            point(x, y)
        );
        let hint = format!(
            "<title>{}: NFE {}, error {}</title>",
            escape(series.label),
            count(nfe.round() as usize),
            significant(error, 3)
        );
        markers.push_str(&marker(index, x, y, &hint));
    }
    format!(
        "<path class=\"line s{}\" stroke-dasharray=\"{}\" d=\"{path}\"/>{markers}",
        index % SERIES,
        dashes(index)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>, quantity: ErrorQuantity) -> String {
        ErrorAgainstNfe {
            title: "t",
            quantity,
            series: vec![SolverSeries {
                label: "Euler <1>",
                points,
            }],
        }
        .figure()
        .markup(1, false)
    }

    const FLOOR: ErrorQuantity = ErrorQuantity::W2 {
        floor: NoiseFloor {
            mean: 0.18,
            std: 0.02,
        },
    };

    #[test]
    fn every_measurement_gets_a_marker_and_its_numbers() {
        let page = chart(vec![(1.0, 2.0), (10.0, 0.2)], FLOOR);
        // Once for wide and once for narrow screens.
        assert_eq!(
            page.matches("Euler &lt;1&gt;: NFE 10, error 0.200").count(),
            2
        );
        assert!(page.contains("measure 0.180\u{a0}±\u{a0}0.020 (band)"));
        assert!(page.contains("class=\"band\""));
    }

    #[test]
    fn a_map_error_has_no_floor() {
        let page = chart(vec![(1.0, 2.0)], ErrorQuantity::MapError);
        assert!(!page.contains("class=\"band\""));
    }

    #[test]
    fn what_a_logarithm_cannot_place_is_counted() {
        let points = vec![(1.0, 2.0), (2.0, 0.0), (4.0, f64::NAN), (0.0, 1.0)];
        let page = chart(points, FLOOR);
        assert!(
            page.contains("3 points that are not finite and positive"),
            "{page}"
        );
        assert!(!page.contains("NaN"));
        let page = chart(vec![(1.0, f64::NAN)], FLOOR);
        assert!(page.contains("There is no measurement"));
        assert!(chart(vec![], ErrorQuantity::MapError).contains("There is no measurement"));
    }

    #[test]
    fn a_floor_that_is_not_a_number_leaves_no_band() {
        let floor = NoiseFloor {
            mean: f64::NAN,
            std: 0.0,
        };
        let page = chart(vec![(1.0, 2.0)], ErrorQuantity::W2 { floor });
        assert!(!page.contains("class=\"band\"") && page.contains("not a number"));
    }
}
