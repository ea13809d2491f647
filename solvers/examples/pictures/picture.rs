//! **Picture**: lines in a frame, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 480.0;
const MARGIN: f64 = 60.0;

/// Colours that are told apart by those who see fewer (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933",
];

/// What an axis shows, from where to where, and what a number reads.
pub(crate) struct Axis {
    pub(crate) title: &'static str,
    pub(crate) range: (f64, f64),
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Powers of ten; values are given as logarithms.
    pub(crate) fn powers_of_ten(title: &'static str, range: (f64, f64), every: i32) -> Self {
        let (low, high) = (range.0.ceil() as i32, range.1.floor() as i32);
        let ticks = (low..=high).step_by(every.unsigned_abs() as usize);
        Axis {
            title,
            range,
            ticks: ticks.map(|p| (f64::from(p), format!("1e{p}"))).collect(),
        }
    }

    /// Equal steps.
    pub(crate) fn even(title: &'static str, range: (f64, f64), step: f64) -> Self {
        let (low, high) = (
            (range.0 / step).ceil() as i32,
            (range.1 / step).floor() as i32,
        );
        let at = |i: i32| f64::from(i) * step;
        Axis {
            title,
            range,
            ticks: (low..=high)
                .map(|i| (at(i), format!("{}", at(i))))
                .collect(),
        }
    }

    /// The place of a value between 0 and 1.
    fn place(&self, x: f64) -> f64 {
        (x - self.range.0) / (self.range.1 - self.range.0)
    }
}

/// A picture under way.
pub(crate) struct Picture {
    axes: [Axis; 2],
    body: String,
    legend: Vec<String>,
}

impl Picture {
    pub(crate) fn new(title: &str, x: Axis, y: Axis) -> Self {
        let mut picture = Picture {
            axes: [x, y],
            body: String::new(),
            legend: vec![],
        };
        let middle = WIDTH / 2.0;
        picture.text((middle, 24.0), title, "middle");
        let (x_title, y_title) = (picture.axes[0].title, picture.axes[1].title);
        picture.text((middle, HEIGHT - 12.0), x_title, "middle");
        picture.text((8.0, MARGIN - 16.0), y_title, "start");
        for i in 0..picture.axes[0].ticks.len() {
            let (value, text) = picture.axes[0].ticks[i].clone();
            let (x, _) = picture.at(value, 0.0);
            picture.rule((x, MARGIN), (x, HEIGHT - MARGIN));
            picture.text((x, HEIGHT - MARGIN + 18.0), &text, "middle");
        }
        for i in 0..picture.axes[1].ticks.len() {
            let (value, text) = picture.axes[1].ticks[i].clone();
            let (_, y) = picture.at(0.0, value);
            picture.rule((MARGIN, y), (WIDTH - MARGIN, y));
            picture.text((MARGIN - 6.0, y + 4.0), &text, "end");
        }
        picture
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [a, b] = &self.axes;
        let (inner_x, inner_y) = (WIDTH - 2.0 * MARGIN, HEIGHT - 2.0 * MARGIN);
        (
            MARGIN + inner_x * a.place(x),
            HEIGHT - MARGIN - inner_y * b.place(y),
        )
    }

    fn text(&mut self, (x, y): (f64, f64), text: &str, anchor: &str) {
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    fn rule(&mut self, from: (f64, f64), to: (f64, f64)) {
        let _ = writeln!(
            self.body,
            r##"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="#ddd"/>"##,
            from.0, from.1, to.0, to.1
        );
    }

    /// A line with its name; points off the picture are left out.
    pub(crate) fn line(&mut self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let inside = |&(x, y): &(f64, f64)| {
            let [a, b] = [self.axes[0].place(x), self.axes[1].place(y)];
            (-0.01..=1.01).contains(&a) && (-0.01..=1.01).contains(&b)
        };
        let places = points.into_iter().filter(inside).map(|(x, y)| {
            let (x, y) = self.at(x, y);
            format!("{x:.1},{y:.1}")
        });
        let places: Vec<String> = places.collect();
        let colour = COLOURS[self.legend.len() % COLOURS.len()];
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#,
            places.join(" ")
        );
        self.legend.push(name.to_owned());
    }

    pub(crate) fn finish(mut self) -> String {
        for (i, name) in std::mem::take(&mut self.legend).iter().enumerate() {
            let (x, y) = (WIDTH - MARGIN - 130.0, MARGIN + 16.0 * (i as f64 + 1.0));
            let colour = COLOURS[i % COLOURS.len()];
            let _ = writeln!(
                self.body,
                r#"<line x1="{x:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="{colour}" stroke-width="3"/>"#,
                y - 4.0,
                x + 20.0,
                y - 4.0
            );
            self.text((x + 26.0, y), name, "start");
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
             fill=\"white\"/>\n{}</svg>\n",
            self.body
        )
    }
}
