//! **Trajectories**: the ways of single particles from noise to data.

use super::axis::Frame;
use super::figure::{Figure, dropped};
use super::markup::{count, legend_entry, open_svg, point, significant, time};
use super::palette::TIME_STEPS;
use super::scatter::{dots, evenly};
use super::window::Window;
use ndarray::{ArrayView2, ArrayView3, Axis as ArrayAxis};
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>Sampling means solving d<i>x</i>/d<i>t</i> = <i>v</i><sub><i>t</i></sub>(<i>x</i>) \
    (FM.4) from a random start: the particle asks the field for its velocity, moves a little, and asks \
    again. During training every pair of noise and datum is joined by a straight line (FM.11), and \
    those lines cross. Two particles of a flow, however, can never be in one \
    place at one time, since each place has only one velocity; so the paths bend where lines would have met. If they were \
    straight and even, one step of Euler&#39;s method would follow them exactly. The straightness is the mean squared difference between a particle&#39;s velocity and \
    that of the straight line from its start to its end; 0 is perfectly straight.</p>";

/// Particles drawn; more would hide one another.
const MOST_PARTICLES: usize = 160;

/// Paths of particles in the plane.
#[derive(Clone, Copy, Debug)]
pub struct Trajectories<'a> {
    /// Title of the figure.
    pub title: &'a str,
    /// The times of the record, ascending in \[0, 1\].
    pub times: &'a [f64],
    /// Positions `[T, N, 2]`: time, particle, coordinate; in data units.
    pub positions: ArrayView3<'a, f64>,
    /// The straightness of the flow, if measured.
    pub straightness: Option<f64>,
}

impl Trajectories<'_> {
    /// The picture. Particles with a position that is not finite are left out
    /// and counted.
    ///
    /// # Panics
    /// If `times` and the first axis of `positions` differ in length.
    pub fn figure(&self) -> Figure {
        let (instants, particles, dimension) = self.positions.dim();
        assert_eq!(
            self.times.len(),
            instants,
            "times for positions of shape {:?}",
            self.positions.dim()
        );
        let paths: Vec<ArrayView2<'_, f64>> = self
            .positions
            .axis_iter(ArrayAxis(1))
            .filter(|path| path.iter().all(|&v| super::axis::drawable(v)))
            .collect();
        let lost = dropped(particles - paths.len(), "particle");
        let window = if instants >= 2 && dimension >= 2 {
            Window::around(&paths)
        } else {
            None
        };
        let Some(window) = window else {
            let reason = "There is no particle with two finite positions in the plane.";
            return Figure::empty(self.title, EXPLANATION, reason).with_note(lost);
        };
        let shown: Vec<_> = evenly(&paths, MOST_PARTICLES).copied().collect();
        let drawing = format!(
            "{}<div class=\"single\">{}</div>",
            legend(),
            self.draw(&shown, window)
        );
        Figure::new(
            self.title,
            EXPLANATION,
            drawing,
            self.caption(shown.len(), particles),
        )
        .with_note(lost)
    }

    fn draw(&self, paths: &[ArrayView2<'_, f64>], window: Window) -> String {
        let frame = Frame::plane(380.0, window.bounds());
        let mut segments = vec![String::new(); TIME_STEPS];
        for path in paths {
            self.add_segments(&mut segments, path, &frame);
        }
        let mut content = String::new();
        for (i, d) in segments.iter().enumerate().filter(|(_, d)| !d.is_empty()) {
            let _ = write!(
                content,
                "<path class=\"way\" style=\"stroke:var(--time-{i})\" d=\"{d}\"/>"
            );
        }
        let ends =
            |i: usize| -> Vec<[f64; 2]> { paths.iter().map(|p| [p[[i, 0]], p[[i, 1]]]).collect() };
        let (starts, stops) = (ends(0), ends(self.times.len() - 1));
        let (starts, stops) = (dots(starts.iter(), &frame), dots(stops.iter(), &frame));
        let _ = write!(
            content,
            "<path class=\"dots start\" d=\"{starts}\"/><path class=\"dots hole\" d=\"{starts}\"/>\
             <path class=\"dots stop\" d=\"{stops}\"/>"
        );
        let description = format!(
            "Paths of {} particles in the plane, from noise at t = {} to data at t = {}.",
            paths.len(),
            time(self.times[0]),
            time(self.times[self.times.len() - 1])
        );
        format!(
            "{}{}{}</svg>",
            open_svg(frame.size.width, frame.size.height, &description),
            frame.axes(),
            frame.clipped(&content)
        )
    }

    /// Adds one particle's way, cut where the colour of the time changes.
    fn add_segments(&self, segments: &mut [String], path: &ArrayView2<'_, f64>, frame: &Frame) {
        let mut current = None;
        for i in 1..self.times.len() {
            let middle = 0.5 * (self.times[i - 1] + self.times[i]);
            // NaN becomes 0 in this cast, so any times give a colour.
            let colour = ((middle * TIME_STEPS as f64) as usize).min(TIME_STEPS - 1);
            let place = |i: usize| point(frame.x(path[[i, 0]]), frame.y(path[[i, 1]]));
            let d = &mut segments[colour];
            if current != Some(colour) {
                let _ = write!(d, "M{}", place(i - 1));
                current = Some(colour);
            }
            let _ = write!(d, "L{}", place(i));
        }
    }

    fn caption(&self, shown: usize, particles: usize) -> String {
        let of = if shown < particles {
            format!(" of {}", count(particles))
        } else {
            String::new()
        };
        let mut text = format!(
            "The ways of {}{of} particles through the plane, both coordinates in data units. The \
             colour is the time: rings mark the starts in the noise (t = 0), discs the ends (t = 1).",
            count(shown)
        );
        if let Some(straightness) = self.straightness {
            let _ = write!(
                text,
                " Straightness {} (squared units; 0 would be straight lines).",
                significant(straightness, 3)
            );
        }
        text
    }
}

/// Start, ramp of time, end.
fn legend() -> String {
    let mut ramp = String::new();
    for i in 0..TIME_STEPS {
        let width = 28.0 / TIME_STEPS as f64;
        let _ = write!(
            ramp,
            "<rect x=\"{:.2}\" y=\"4\" width=\"{:.2}\" height=\"6\" style=\"fill:var(--time-{i})\"/>",
            i as f64 * width,
            width + 0.3
        );
    }
    format!(
        "<ul class=\"legend\">{}{}{}</ul>",
        legend_entry(
            "<path class=\"dots start\" d=\"M14 7h0\"/><path class=\"dots hole\" d=\"M14 7h0\"/>",
            "start, t = 0: noise"
        ),
        legend_entry(&ramp, "time from 0 to 1"),
        legend_entry(
            "<path class=\"dots stop\" d=\"M14 7h0\"/>",
            "end, t = 1: data"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn fan(instants: usize, particles: usize) -> Array3<f64> {
        Array3::from_shape_fn((instants, particles, 2), |(i, n, axis)| {
            let t = i as f64 / (instants.max(2) - 1) as f64;
            if axis == 0 { t } else { t * n as f64 }
        })
    }

    fn html(times: &[f64], positions: &Array3<f64>) -> String {
        Trajectories {
            title: "t",
            times,
            positions: positions.view(),
            straightness: Some(0.25),
        }
        .figure()
        .markup(1, false)
    }

    #[test]
    fn every_particle_has_a_start_and_an_end() {
        let times: Vec<f64> = (0..=24).map(|i| f64::from(i) / 24.0).collect();
        let page = html(&times, &fan(25, 5));
        let drawing = page.split("class=\"single\"").nth(1).expect("the picture");
        assert_eq!(drawing.matches("class=\"way\"").count(), TIME_STEPS);
        let stops = drawing.split("dots stop\" d=\"").nth(1).expect("ends");
        assert_eq!(
            stops.split('"').next().expect("path").matches('M').count(),
            5
        );
        assert!(page.contains("Straightness 0.250"));
    }

    #[test]
    fn a_lost_particle_is_counted() {
        let mut positions = fan(3, 4);
        positions[[1, 2, 0]] = f64::NAN;
        let page = html(&[0.0, 0.5, 1.0], &positions);
        assert!(page.contains("1 particle that is not finite"));
        positions.fill(f64::NAN);
        let page = html(&[0.0, 0.5, 1.0], &positions);
        assert!(page.contains("There is no particle") && page.contains("4 particles that"));
    }

    #[test]
    fn too_little_to_draw_is_said() {
        assert!(html(&[0.0], &fan(1, 3)).contains("There is no particle"));
        assert!(html(&[], &Array3::zeros((0, 0, 2))).contains("There is no particle"));
        let line = Array3::zeros((2, 3, 1));
        assert!(html(&[0.0, 1.0], &line).contains("There is no particle"));
    }

    #[test]
    fn many_particles_are_thinned_and_that_is_said() {
        let page = html(&[0.0, 1.0], &fan(2, 1000));
        assert!(page.contains("The ways of 160 of 1000 particles"));
    }
}
