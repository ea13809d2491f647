//! **Scatter**: clouds of points side by side, on the same axes.

use super::axis::Frame;
use super::figure::{Figure, dropped};
use super::markup::{count, counted, escape, open_svg, point, significant};
use super::noise_floor::NoiseFloor;
use super::raster::{Levels, encode};
use super::window::{Window, drawable_points};
use ndarray::ArrayView2;
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>A generative model is judged by what it produces. Every dot is one \
    sample. Beside the data that the model was shown stand points that it drew: they started as pure \
    Gaussian noise at <i>t</i> = 0 and were carried along the velocity to <i>t</i> = 1 (FM.22). If all is \
    well, you cannot tell the two apart.</p>";

/// Dots drawn of one cloud; more would only grow the page.
const MOST_DOTS: usize = 3000;

/// What a cloud of points is; it decides the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Noise, t = 0.
    Noise,
    /// Real data.
    Data,
    /// Drawn by a model, t = 1.
    Drawn,
}

impl Cloud {
    fn class(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Data => "data",
            Self::Drawn => "drawn",
        }
    }
}

/// One cloud of a [`Scatter`].
#[derive(Clone, Copy, Debug)]
pub struct ScatterPanel<'a> {
    /// Its heading, for instance `moons, 2000 points`.
    pub label: &'a str,
    /// What it is.
    pub cloud: Cloud,
    /// Points `[N, 2]` in data units.
    pub points: ArrayView2<'a, f64>,
}

/// A W2 distance beside the floor that gives it meaning, in data units.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredDistance {
    /// The distance between the data and what was drawn.
    pub w2: f64,
    /// What perfect samples of the same number would measure.
    pub floor: NoiseFloor,
}

/// Clouds of points side by side.
#[derive(Clone, Copy, Debug)]
pub struct Scatter<'a> {
    /// Title of the figure.
    pub title: &'a str,
    /// The clouds, in reading order.
    pub panels: &'a [ScatterPanel<'a>],
    /// How far the drawn points are from the data, if measured.
    pub distance: Option<MeasuredDistance>,
}

impl Scatter<'_> {
    /// The picture. Points that are not finite are left out and counted in a
    /// note, as are points outside the window (which holds the bulk of all
    /// clouds, see [`Window::around`]).
    pub fn figure(&self) -> Figure {
        let clouds: Vec<_> = self.panels.iter().map(|p| p.points).collect();
        let Some(window) = Window::around(&clouds) else {
            return Figure::empty(
                self.title,
                EXPLANATION,
                "There is no finite point in two dimensions to draw.",
            )
            .with_note(dropped(clouds.iter().map(ArrayView2::nrows).sum(), "point"));
        };
        let mut drawing = String::from("<div class=\"panels\">");
        let (mut lost, mut outside, mut thinned) = (0, 0, false);
        for panel in self.panels {
            let points: Vec<_> = drawable_points(&panel.points).collect();
            lost += panel.points.nrows() - points.len();
            outside += points.iter().filter(|&&p| !window.contains(p)).count();
            thinned |= points.len() > MOST_DOTS;
            drawing.push_str(&draw_panel(panel, &points, window));
        }
        drawing.push_str("</div>");
        let outside = (outside > 0).then(|| {
            format!(
                "{} outside the window, which holds the bulk of the rest.",
                are(outside, "point")
            )
        });
        let thinned = thinned.then(|| {
            format!(
                "At most {} points of a cloud are drawn, evenly picked; distances use them all.",
                count(MOST_DOTS)
            )
        });
        Figure::new(self.title, EXPLANATION, drawing, self.caption())
            .with_note(dropped(lost, "point"))
            .with_note(outside)
            .with_note(thinned)
    }

    fn caption(&self) -> String {
        let labels: Vec<&str> = self.panels.iter().map(|p| p.label).collect();
        let mut text = format!(
            "In order: {}. The axes are the two coordinates, in data units, and the same \
             in every panel.",
            labels.join("; ")
        );
        if let Some(MeasuredDistance { w2, floor }) = self.distance {
            let verdict = if floor.is_reached_by(w2) {
                "W2 cannot tell the samples from data at this size (the eye may)"
            } else {
                "some distance is left"
            };
            let _ = write!(
                text,
                " Distance W2 between data and samples: {}; two samples of the data themselves \
                 measure {floor}, so {verdict}.",
                significant(w2, 3)
            );
        }
        text
    }
}

fn are(n: usize, noun: &str) -> String {
    format!("{} {}", counted(n, noun), if n == 1 { "is" } else { "are" })
}

fn draw_panel(panel: &ScatterPanel<'_>, points: &[[f64; 2]], window: Window) -> String {
    let frame = Frame::plane(250.0, window.bounds());
    let description = format!(
        "Scatter plot of {}: {} in the plane.",
        panel.label,
        counted(points.len(), "point")
    );
    let dots = if points.is_empty() {
        "<text class=\"tick\" x=\"177\" y=\"137\" text-anchor=\"middle\">no finite points</text>"
            .to_owned()
    } else {
        let path = dots(evenly(points, MOST_DOTS), &frame);
        format!(
            "<path class=\"dots {}\" style=\"stroke-width:{}\" d=\"{path}\"/>",
            panel.cloud.class(),
            dot_size(points.len())
        )
    };
    format!(
        "<div class=\"panel\"><h4>{}</h4>{}{}{}</svg></div>",
        escape(panel.label),
        open_svg(frame.size.width, frame.size.height, &description),
        frame.axes(),
        frame.clipped(&dots)
    )
}

/// The diameter of a dot: the fewer there are, the larger they may be.
fn dot_size(dots: usize) -> f64 {
    match dots {
        0..200 => 5.0,
        200..800 => 3.6,
        _ => 2.6,
    }
}

/// At most `most` of the items, evenly spaced.
pub(super) fn evenly<T>(items: &[T], most: usize) -> impl Iterator<Item = &T> {
    let shown = items.len().min(most);
    (0..shown).map(move |i| &items[i * items.len() / shown])
}

/// Dots as one path: strokes of no length, which round caps turn into discs.
/// A tenth of the bytes of a circle each.
pub(super) fn dots<'a>(points: impl Iterator<Item = &'a [f64; 2]>, frame: &Frame) -> String {
    points.fold(String::new(), |mut path, &[x, y]| {
        let _ = write!(path, "M{}h0", point(frame.x(x), frame.y(y)));
        path
    })
}

/// Pixels on a side of [`scatter_png`].
const SIDE: usize = 640;

/// A cloud of points `[N, 2]` as a PNG of 640 by 640 pixels: dots over a grid
/// whose lines lie on round values, written at the edges.
///
/// Points that are not finite are left out; without any finite point the
/// picture shows \[-1, 1\]² and no dots.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a view is passed like the slice it is"
)]
pub fn scatter_png(points: ArrayView2<'_, f64>) -> Vec<u8> {
    let window = Window::around(&[points]).unwrap_or(Window::centred(1.0));
    let frame = Frame::plane(SIDE as f64, window.bounds());
    let mut canvas = Canvas::new();
    // The frame's rectangle is moved so that it fills the picture.
    let column = |x: f64| frame.x.fraction(x) * SIDE as f64;
    let row = |y: f64| (1.0 - frame.y.fraction(y)) * SIDE as f64;
    for (value, text) in frame.x.ticks(6) {
        canvas.vertical(column(value));
        canvas.text(&text, column(value) + 4.0, SIDE as f64 - 14.0);
    }
    for (value, text) in frame.y.ticks(6) {
        canvas.horizontal(row(value));
        canvas.text(&text, 4.0, row(value) - 14.0);
    }
    // Crowds of dots stay readable when each is smaller.
    let radius = if points.nrows() > 2000 { 1.7 } else { 2.6 };
    for [x, y] in drawable_points(&points).filter(|&p| window.contains(p)) {
        canvas.disc(column(x), row(y), radius);
    }
    canvas.into_png()
}

/// Grey levels of [`scatter_png`]: how much of a dot covers each pixel, over a
/// faint ground.
struct Canvas {
    ground: Vec<u8>,
    /// Coverage by dots, 0 to 1.
    ink: Vec<f32>,
}

impl Canvas {
    fn new() -> Self {
        Self {
            ground: vec![0; SIDE * SIDE],
            ink: vec![0.0; SIDE * SIDE],
        }
    }

    fn set(&mut self, x: usize, y: usize, level: u8) {
        if x < SIDE && y < SIDE {
            let pixel = &mut self.ground[y * SIDE + x];
            *pixel = (*pixel).max(level);
        }
    }

    fn vertical(&mut self, x: f64) {
        (0..SIDE).for_each(|y| self.set(x as usize, y, 1));
    }

    fn horizontal(&mut self, y: f64) {
        (0..SIDE).for_each(|x| self.set(x, y as usize, 1));
    }

    /// A disc with a soft edge one pixel wide.
    fn disc(&mut self, x: f64, y: f64, radius: f64) {
        let reach = radius.ceil() as i64 + 1;
        for row in y as i64 - reach..=y as i64 + reach {
            for column in x as i64 - reach..=x as i64 + reach {
                if (0..SIDE as i64).contains(&row) && (0..SIDE as i64).contains(&column) {
                    let distance = (column as f64 + 0.5 - x).hypot(row as f64 + 0.5 - y);
                    let cover = (radius + 0.5 - distance).clamp(0.0, 1.0) as f32;
                    let ink = &mut self.ink[row as usize * SIDE + column as usize];
                    *ink = ink.max(cover);
                }
            }
        }
    }

    /// A number in a face of 3 by 5 pixels, doubled.
    fn text(&mut self, text: &str, x: f64, y: f64) {
        let (mut left, top) = (x.max(0.0) as usize, y.max(0.0) as usize);
        for c in text.chars() {
            let rows = glyph(c);
            for (dy, bits) in rows.into_iter().enumerate() {
                for dx in (0..3).filter(|dx| bits & (4 >> dx) != 0) {
                    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        self.set(left + 2 * dx + i, top + 2 * dy + j, 2);
                    }
                }
            }
            left += if c == '.' { 4 } else { 8 };
        }
    }

    /// Levels 0, 1 and 2 are paper, grid and text; 3 to 255 blend paper into
    /// the colour of the dots.
    fn into_png(self) -> Vec<u8> {
        let pixels: Vec<u8> = self
            .ground
            .iter()
            .zip(&self.ink)
            .map(|(&ground, &ink)| {
                if ink > 0.02 {
                    3 + (ink * 252.0) as u8
                } else {
                    ground
                }
            })
            .collect();
        let levels = Levels::new(|level| {
            let colour = match level {
                0 => [255; 3],
                1 => [226; 3],
                2 => [110; 3],
                _ => {
                    let s = f64::from(level - 3) / 252.0;
                    [0.0, 114.0, 178.0].map(|c| (255.0 + s * (c - 255.0)).round() as u8)
                }
            };
            (colour, u8::MAX)
        });
        encode(&pixels, SIDE, SIDE, &levels)
    }
}

/// Five rows of three pixels, the left one in bit 2.
fn glyph(c: char) -> [u8; 5] {
    match c {
        '0' => [7, 5, 5, 5, 7],
        '1' => [2, 6, 2, 2, 7],
        '2' => [7, 1, 7, 4, 7],
        '3' => [7, 1, 7, 1, 7],
        '4' => [5, 5, 7, 1, 1],
        '5' => [7, 4, 7, 1, 7],
        '6' => [7, 4, 7, 5, 7],
        '7' => [7, 1, 1, 2, 2],
        '8' => [7, 5, 7, 5, 7],
        '9' => [7, 5, 7, 1, 7],
        '-' | '−' => [0, 0, 7, 0, 0],
        '.' => [0, 0, 0, 0, 4],
        _ => [0; 5],
    }
}

#[cfg(test)]
mod tests {
    use super::super::raster::tests::decode;
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn lost_points_are_counted_in_a_note() {
        let points = array![
            [0.0, 1.0],
            [f64::NAN, 0.0],
            [1.0, f64::INFINITY],
            [2.0, 2.0]
        ];
        let panels = [ScatterPanel {
            label: "drawn <here>",
            cloud: Cloud::Drawn,
            points: points.view(),
        }];
        let html = Scatter {
            title: "t",
            panels: &panels,
            distance: None,
        }
        .figure()
        .markup(1, true);
        assert!(html.contains("2 points that are not finite"), "{html}");
        assert!(html.contains("drawn &lt;here&gt;"));
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }

    #[test]
    fn nothing_to_draw_is_said() {
        let html = Scatter {
            title: "t",
            panels: &[],
            distance: None,
        }
        .figure()
        .markup(1, false);
        assert!(html.contains("There is no finite point"));
    }

    #[test]
    fn a_distance_comes_with_its_floor() {
        let points = array![[0.0, 1.0], [2.0, 2.0]];
        let panels = [ScatterPanel {
            label: "data",
            cloud: Cloud::Data,
            points: points.view(),
        }];
        let scatter = |w2| {
            Scatter {
                title: "t",
                panels: &panels,
                distance: Some(MeasuredDistance {
                    w2,
                    floor: NoiseFloor {
                        mean: 0.18,
                        std: 0.01,
                    },
                }),
            }
            .caption()
        };
        assert!(scatter(0.19).contains(
            "0.190; two samples of the data themselves measure 0.180\u{a0}±\u{a0}0.010, so W2 cannot"
        ));
        assert!(scatter(f64::NAN).contains("some distance is left"));
    }

    #[test]
    fn the_png_puts_a_dot_where_the_point_is() {
        let points = array![[0.0, 0.0], [10.0, 10.0], [f64::NAN, 1.0]];
        let (width, height, pixels) = decode(&scatter_png(points.view()));
        assert_eq!((width, height), (SIDE, SIDE));
        let inked = |p: &u8| *p > 128;
        // The window is [-0.3, 10.3]²: the corners are below left, above right.
        let at = |fx: f64, fy: f64| {
            let (x, y) = ((fx * SIDE as f64) as usize, (fy * SIDE as f64) as usize);
            pixels[y * SIDE + x]
        };
        let edge = 0.3 / 10.6;
        assert!(inked(&at(edge, 1.0 - edge)) && inked(&at(1.0 - edge, edge)));
        assert!(!inked(&at(edge, edge)) && !inked(&at(0.5, 0.5)));
    }

    #[test]
    fn a_png_of_nothing_is_still_a_picture() {
        for empty in [Array2::zeros((0, 2)), Array2::from_elem((3, 2), f64::NAN)] {
            let (width, _, pixels) = decode(&scatter_png(empty.view()));
            assert_eq!(width, SIDE);
            assert!(pixels.iter().all(|&p| p < 3));
        }
    }

    #[test]
    fn thinning_keeps_the_first_and_spreads_the_rest() {
        let items: Vec<usize> = (0..10).collect();
        assert_eq!(evenly(&items, 3).copied().collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(evenly(&items, 99).count(), 10);
        assert_eq!(evenly::<u8>(&[], 3).count(), 0);
    }
}
