//! **Field over density**: the velocity as arrows on the density as a map, at
//! several times.
//!
//! The continuity equation says that the arrows move the mass: between two
//! panels, density has gone where the arrows of the first one point.

use super::axis::{Frame, drawable};
use super::figure::{Figure, dropped, empty_picture};
use super::markup::{data_uri, open_svg, point, significant, time};
use super::palette::DENSITY;
use super::raster::{Levels, encode};
use super::window::Window;
use ndarray::{Array2, ArrayView2};
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>The colour is the density <i>p</i><sub><i>t</i></sub>(<i>x</i>): how \
    crowded the particles are at a place. The arrows are the velocity <i>v</i><sub><i>t</i></sub>(<i>x</i>): \
    which way a particle there moves, and how fast. Mass is neither made nor lost, so wherever arrows \
    run together the density must rise, and wherever they part it must fall. That bookkeeping is the \
    continuity equation (FM.2):</p>\
    <p class=\"formula\"><math display=\"block\"><mfrac><mrow><mo>∂</mo><msub><mi>p</mi><mi>t</mi></msub>\
    <mo stretchy=\"false\">(</mo><mi>x</mi><mo stretchy=\"false\">)</mo></mrow><mrow><mo>∂</mo><mi>t</mi></mrow></mfrac>\
    <mo>+</mo><mo>∇</mo><mo>⋅</mo><mrow><mo stretchy=\"false\">(</mo><msub><mi>p</mi><mi>t</mi></msub>\
    <mo stretchy=\"false\">(</mo><mi>x</mi><mo stretchy=\"false\">)</mo><msub><mi>v</mi><mi>t</mi></msub>\
    <mo stretchy=\"false\">(</mo><mi>x</mi><mo stretchy=\"false\">)</mo><mo stretchy=\"false\">)</mo></mrow>\
    <mo>=</mo><mn>0</mn></math></p>\
    <p>Follow one panel to the next and you can watch it hold. No single target point decides an arrow: \
    it is the average of the straight lines to all the data, weighted by how likely each is to have \
    put a particle there (FM.8).</p>";

/// The share of the highest density below which a place counts as empty.
const SPARSE: f64 = 3e-3;

/// A square lattice of places: `side × side` cell centres of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lattice {
    /// The region that the cells fill.
    pub window: Window,
    /// Cells along each side; at least 1.
    pub side: usize,
}

impl Lattice {
    /// The centres of the cells, `[side², 2]`: line by line from the lowest
    /// second coordinate, along a line from the lowest first coordinate.
    pub fn points(&self) -> Array2<f64> {
        let [x_low, x_high, y_low, y_high] = self.window.bounds();
        let at = |low: f64, high: f64, i: usize| {
            low + (high - low) * (i as f64 + 0.5) / self.side as f64
        };
        Array2::from_shape_fn((self.side * self.side, 2), |(n, axis)| match axis {
            0 => at(x_low, x_high, n % self.side),
            _ => at(y_low, y_high, n / self.side),
        })
    }
}

/// Density and velocity at one time.
#[derive(Clone, Debug)]
pub struct FieldSnapshot {
    /// The time in \[0, 1\]; 0 is noise, 1 is data.
    pub t: f64,
    /// The density (not its logarithm) at [`FieldOverDensity::density_lattice`],
    /// in the order of [`Lattice::points`].
    pub density: Vec<f64>,
    /// The velocity `[side², 2]` at [`FieldOverDensity::arrow_lattice`], in the
    /// order of [`Lattice::points`].
    pub velocity: Array2<f64>,
}

/// Arrows over a density map, one panel for each time.
#[derive(Clone, Debug)]
pub struct FieldOverDensity<'a> {
    /// Title of the figure.
    pub title: &'a str,
    /// Where the density was evaluated; about 96 cells a side look smooth.
    pub density_lattice: Lattice,
    /// Where the velocity was evaluated; about 15 cells a side can be read. Same window.
    pub arrow_lattice: Lattice,
    /// The panels, in order of time.
    pub snapshots: Vec<FieldSnapshot>,
}

impl<'a> FieldOverDensity<'a> {
    /// Evaluates `density` and `velocity`, each a function of (t, points `[N, 2]`),
    /// at every time on lattices of 96 and 15 cells a side.
    pub fn evaluate(
        title: &'a str,
        window: Window,
        times: &[f64],
        density: impl Fn(f64, ArrayView2<'_, f64>) -> Vec<f64>,
        velocity: impl Fn(f64, ArrayView2<'_, f64>) -> Array2<f64>,
    ) -> Self {
        let density_lattice = Lattice { window, side: 96 };
        let arrow_lattice = Lattice { window, side: 15 };
        let (places, starts) = (density_lattice.points(), arrow_lattice.points());
        let snapshots = times
            .iter()
            .map(|&t| FieldSnapshot {
                t,
                density: density(t, places.view()),
                velocity: velocity(t, starts.view()),
            })
            .collect();
        Self {
            title,
            density_lattice,
            arrow_lattice,
            snapshots,
        }
    }

    /// [`evaluate`](Self::evaluate) for functions of a single place:
    /// `density(t, x, y)` and `velocity(t, x, y)`.
    pub fn evaluate_pointwise(
        title: &'a str,
        window: Window,
        times: &[f64],
        density: impl Fn(f64, f64, f64) -> f64,
        velocity: impl Fn(f64, f64, f64) -> [f64; 2],
    ) -> Self {
        let rows = |places: ArrayView2<'_, f64>| -> Vec<[f64; 2]> {
            places.rows().into_iter().map(|p| [p[0], p[1]]).collect()
        };
        Self::evaluate(
            title,
            window,
            times,
            |t, places| {
                let places = rows(places);
                places.iter().map(|&[x, y]| density(t, x, y)).collect()
            },
            |t, places| {
                let places = rows(places);
                let velocities: Vec<_> = places.iter().map(|&[x, y]| velocity(t, x, y)).collect();
                Array2::from(velocities)
            },
        )
    }

    /// The picture. Values that are not finite are left out and counted.
    ///
    /// # Panics
    /// If a snapshot has not as many values as its lattice has places.
    pub fn figure(&self) -> Figure {
        let window = self.density_lattice.window;
        let sides = [self.density_lattice.side, self.arrow_lattice.side];
        if self.snapshots.is_empty() || !window.is_sound() || sides.contains(&0) {
            return Figure::empty(
                self.title,
                EXPLANATION,
                "There is no time, or no place, at which the field was evaluated.",
            );
        }
        for snapshot in &self.snapshots {
            self.check(snapshot);
        }
        let scale = self.arrow_scale();
        let mut drawing = String::from("<div class=\"panels\">");
        let mut lost = 0;
        for snapshot in &self.snapshots {
            lost += lost_values(snapshot);
            drawing.push_str(&self.draw_panel(snapshot, scale));
        }
        drawing.push_str("</div>");
        Figure::new(self.title, EXPLANATION, drawing, self.caption(scale))
            .with_note(dropped(lost, "value"))
    }

    fn check(&self, snapshot: &FieldSnapshot) {
        let (places, arrows) = (self.density_lattice.side, self.arrow_lattice.side);
        assert_eq!(
            snapshot.density.len(),
            places * places,
            "densities at t = {} for a lattice of {places} by {places}",
            snapshot.t
        );
        assert_eq!(
            snapshot.velocity.dim(),
            (arrows * arrows, 2),
            "velocities at t = {} for a lattice of {arrows} by {arrows}",
            snapshot.t
        );
    }

    /// The speed of an arrow as long as a cell is wide: only a twentieth of
    /// the arrows that stand where mass is are faster.
    fn arrow_scale(&self) -> f64 {
        let places = self.arrow_lattice.points();
        let mut speeds = Vec::new();
        for snapshot in &self.snapshots {
            let peak = peak(&snapshot.density).unwrap_or(0.0);
            for (place, v) in places.rows().into_iter().zip(snapshot.velocity.rows()) {
                let crowded = self.density_at(snapshot, [place[0], place[1]]) > SPARSE * peak;
                let speed = v[0].hypot(v[1]);
                if crowded && drawable(speed) {
                    speeds.push(speed);
                }
            }
        }
        speeds.sort_by(f64::total_cmp);
        let scale = speeds.get(speeds.len() * 19 / 20).copied().unwrap_or(1.0);
        if scale > 0.0 { scale } else { 1.0 }
    }

    fn draw_panel(&self, snapshot: &FieldSnapshot, scale: f64) -> String {
        let frame = Frame::plane(230.0, self.density_lattice.window.bounds());
        let t = time(snapshot.t);
        let heading = format!("<h4><i>t</i> = {t}{}</h4>", name_of(snapshot.t));
        let Some(peak) = peak(&snapshot.density) else {
            return format!(
                "<div class=\"panel\">{heading}{}</div>",
                empty_picture("No density here is finite and positive.")
            );
        };
        let description = format!(
            "Map of the density at t = {t}, highest {}, with arrows of the velocity.",
            significant(peak, 2)
        );
        format!(
            "<div class=\"panel\">{heading}{}{}{}{}</svg><p class=\"under\">highest density {}</p></div>",
            open_svg(frame.size.width, frame.size.height, &description),
            frame.axes(),
            self.heat_map(snapshot, peak, &frame),
            frame.clipped(&self.arrows(snapshot, peak, scale, &frame)),
            significant(peak, 2)
        )
    }

    /// The density as a picture whose opacity is the square root of
    /// density over peak: the root keeps thin mass visible.
    fn heat_map(&self, snapshot: &FieldSnapshot, peak: f64, frame: &Frame) -> String {
        let side = self.density_lattice.side;
        let level = |p: f64| {
            if drawable(p) && p > 0.0 {
                ((p / peak).sqrt() * 255.0).round() as u8
            } else {
                0
            }
        };
        // Lattice lines count upwards, lines of a picture downwards.
        let pixels: Vec<u8> = (0..side * side)
            .map(|n| level(snapshot.density[(side - 1 - n / side) * side + n % side]))
            .collect();
        let levels = Levels::new(|v| (DENSITY, (f64::from(v) * 0.86).round() as u8));
        let png = encode(&pixels, side, side, &levels);
        format!(
            "<image {} preserveAspectRatio=\"none\" href=\"{}\"/>",
            frame.rectangle(),
            data_uri(&png)
        )
    }

    /// Arrows centred at their places: strong where there is mass, faint where
    /// the density is below [`SPARSE`] of its peak and hardly a particle comes by.
    fn arrows(&self, snapshot: &FieldSnapshot, peak: f64, scale: f64, frame: &Frame) -> String {
        let cell = 2.0 * self.arrow_lattice.window.radius / self.arrow_lattice.side as f64;
        let (mut strong, mut faint) = (String::new(), String::new());
        for (place, v) in self
            .arrow_lattice
            .points()
            .rows()
            .into_iter()
            .zip(snapshot.velocity.rows())
        {
            let speed = v[0].hypot(v[1]);
            if !drawable(speed) || speed < 0.02 * scale {
                continue;
            }
            // At most a quarter longer than a cell.
            let length = (speed / scale).min(1.25) * cell * 0.92 / speed;
            let (dx, dy) = (v[0] * length / 2.0, v[1] * length / 2.0);
            let tail = (frame.x(place[0] - dx), frame.y(place[1] - dy));
            let tip = (frame.x(place[0] + dx), frame.y(place[1] + dy));
            let crowded = self.density_at(snapshot, [place[0], place[1]]) > SPARSE * peak;
            arrow(if crowded { &mut strong } else { &mut faint }, tail, tip);
        }
        format!(
            "<path class=\"arrows faint\" d=\"{faint}\"/><path class=\"arrows\" d=\"{strong}\"/>"
        )
    }

    /// The density of the cell that holds a place.
    fn density_at(&self, snapshot: &FieldSnapshot, place: [f64; 2]) -> f64 {
        let Lattice { window, side } = self.density_lattice;
        let [x_low, _, y_low, _] = window.bounds();
        let cell = |v: f64, low: f64| {
            let index = (v - low) / (2.0 * window.radius) * side as f64;
            (index.max(0.0) as usize).min(side - 1)
        };
        snapshot.density[cell(place[1], y_low) * side + cell(place[0], x_low)]
    }

    fn caption(&self, scale: f64) -> String {
        format!(
            "Density (colour; stronger is denser, each panel by its own highest value) and velocity \
             (arrows) over the plane, both coordinates in data units. An arrow as long as the gap \
             between two arrows is a speed of {} units per unit of time, in every panel; faint arrows \
             stand where hardly any mass is.",
            significant(scale / 0.92, 2)
        )
    }
}

/// A shaft and a barbed head, in pixels.
fn arrow(path: &mut String, tail: (f64, f64), tip: (f64, f64)) {
    let (dx, dy) = (tip.0 - tail.0, tip.1 - tail.1);
    let head = 0.36;
    let barb = |side: f64| {
        let across = 0.55 * side;
        point(
            tip.0 - head * (dx - across * dy),
            tip.1 - head * (dy + across * dx),
        )
    };
    let _ = write!(
        path,
        "M{}L{}M{}L{}L{}",
        point(tail.0, tail.1),
        point(tip.0, tip.1),
        barb(1.0),
        point(tip.0, tip.1),
        barb(-1.0)
    );
}

fn name_of(t: f64) -> &'static str {
    if t == 0.0 {
        " (noise)"
    } else if t == 1.0 {
        " (data)"
    } else {
        ""
    }
}

/// The highest density, if any is finite and positive.
fn peak(density: &[f64]) -> Option<f64> {
    let peak = density
        .iter()
        .copied()
        .filter(|&p| drawable(p))
        .fold(0.0, f64::max);
    (peak > 0.0).then_some(peak)
}

fn lost_values(snapshot: &FieldSnapshot) -> usize {
    let densities = snapshot.density.iter().filter(|&&p| !drawable(p)).count();
    let velocities = snapshot
        .velocity
        .rows()
        .into_iter()
        .filter(|v| !drawable(v[0].hypot(v[1])))
        .count();
    densities + velocities
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(density: impl Fn(f64, f64, f64) -> f64) -> FieldOverDensity<'static> {
        FieldOverDensity::evaluate_pointwise(
            "t",
            Window::centred(2.0),
            &[0.0, 0.5],
            density,
            |_, x, y| [-y, x],
        )
    }

    #[test]
    fn a_lattice_counts_from_below_left() {
        let lattice = Lattice {
            window: Window::centred(2.0),
            side: 2,
        };
        let expected = ndarray::array![[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]];
        assert_eq!(lattice.points(), expected);
    }

    #[test]
    fn the_map_is_the_right_way_up() {
        use super::super::raster::tests::decode;
        use base64::Engine as _;
        // All mass in the upper half.
        let field = field(|_, _, y| if y > 0.0 { 1.0 } else { 0.0 });
        let html = field.figure().markup(1, false);
        let uri = html.split("base64,").nth(1).expect("a picture");
        let png = base64::engine::general_purpose::STANDARD
            .decode(uri.split('"').next().expect("quoted"))
            .expect("base64");
        let (width, height, pixels) = decode(&png);
        assert_eq!((width, height), (96, 96));
        assert_eq!((pixels[0], pixels[95 * 96]), (255, 0));
    }

    #[test]
    fn values_that_are_not_finite_are_counted() {
        let mut field = field(|_, x, y| (-0.5 * (x * x + y * y)).exp());
        field.snapshots[1].density[7] = f64::NAN;
        field.snapshots[1].velocity[[3, 0]] = f64::INFINITY;
        let html = field.figure().markup(1, false);
        assert!(html.contains("2 values that are not finite"));
        field.snapshots[0].density.fill(f64::NAN);
        let html = field.figure().markup(1, false);
        assert!(html.contains("No density here"));
    }

    #[test]
    fn no_times_is_said() {
        let mut field = field(|_, _, _| 1.0);
        field.snapshots.clear();
        assert!(field.figure().markup(1, false).contains("There is no time"));
    }

    #[test]
    fn a_field_at_rest_has_no_arrows() {
        let mut field = field(|_, _, _| 1.0);
        for snapshot in &mut field.snapshots {
            snapshot.velocity.fill(0.0);
        }
        let html = field.figure().markup(1, false);
        assert!(html.contains("<path class=\"arrows\" d=\"\"/>"));
    }

    #[test]
    #[should_panic(expected = "densities at t = 0 for a lattice of 96 by 96")]
    fn a_snapshot_of_the_wrong_size_is_refused() {
        let mut field = field(|_, _, _| 1.0);
        field.snapshots[0].density.pop();
        field.figure();
    }

    #[test]
    fn arrow_heads_lie_on_both_sides_of_the_shaft() {
        let mut path = String::new();
        arrow(&mut path, (0.0, 0.0), (10.0, 0.0));
        assert_eq!(path, "M0 0L10 0M6.4 -2L10 0L6.4 2");
    }
}
