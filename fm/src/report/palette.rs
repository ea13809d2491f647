//! **Palette**: the colours of the report, chosen so that everyone can tell
//! them apart.
//!
//! Series take the hues of Okabe and Ito, "Color Universal Design" (2008),
//! which stay distinct under the common kinds of colour blindness; each hue
//! has a darker form for a light page and a lighter form for a dark page. No
//! picture relies on colour alone: series also differ by the shape of their
//! markers and by their dashes, panels by their headings.
//!
//! Pictures name a *role* (`--data`, `--series-2`), never a colour, so one
//! style sheet decides both themes.

use std::fmt::Write as _;

/// A colour as red, green and blue, each 0 to 255.
pub(super) type Rgb = [u8; 3];

/// How many line series the palette tells apart before it starts over.
pub(super) const SERIES: usize = 6;

/// Steps of the ramp from noise (t = 0) to data (t = 1).
pub(super) const TIME_STEPS: usize = 12;

/// Density and data. One hue serves both themes where a raster cannot change
/// with the page: mass is drawn by its opacity.
pub(super) const DENSITY: Rgb = [0x1f, 0x83, 0xc4];

/// Pixels that are not numbers.
pub(super) const FAULT: Rgb = [0xd5, 0x5e, 0x00];

/// The colours of one theme.
struct Theme {
    page: &'static str,
    card: &'static str,
    ink: &'static str,
    muted: &'static str,
    line: &'static str,
    good: &'static str,
    bad: &'static str,
    series: [&'static str; SERIES],
    /// Noise, halfway, data.
    time: [Rgb; 3],
}

const LIGHT: Theme = Theme {
    page: "#f7f7f4",
    card: "#ffffff",
    ink: "#1d2127",
    muted: "#59616d",
    line: "#dcded9",
    good: "#00704f",
    bad: "#b03a00",
    series: [
        "#0072b2", "#d55e00", "#009e73", "#a8478a", "#8a6d00", "#3d4450",
    ],
    time: [[0xd5, 0x5e, 0x00], [0xb0, 0x3f, 0x86], [0x00, 0x72, 0xb2]],
};

const DARK: Theme = Theme {
    page: "#131519",
    card: "#1b1e24",
    ink: "#e9e9e4",
    muted: "#a4abb7",
    line: "#353a44",
    good: "#3fd0a4",
    bad: "#ff8f4f",
    series: [
        "#56b4e9", "#ff9044", "#2bc79b", "#e39ac8", "#f0d24b", "#c9ced8",
    ],
    time: [[0xff, 0x9e, 0x4a], [0xe0, 0x6b, 0xb0], [0x56, 0xb4, 0xe9]],
};

/// The style rules that define every colour role, in both themes.
pub(super) fn variables() -> String {
    format!(
        ":root{{color-scheme:light dark;{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        LIGHT.declarations(),
        DARK.declarations()
    )
}

impl Theme {
    fn declarations(&self) -> String {
        let mut text = format!(
            "--page:{};--card:{};--ink:{};--muted:{};--line:{};--good:{};--bad:{};",
            self.page, self.card, self.ink, self.muted, self.line, self.good, self.bad
        );
        for (i, colour) in self.series.iter().enumerate() {
            let _ = write!(text, "--series-{i}:{colour};");
        }
        let _ = write!(
            text,
            "--data:{};--noise:{};--drawn:{};",
            self.series[0], self.series[1], self.series[2]
        );
        for i in 0..TIME_STEPS {
            let [r, g, b] = self.at_time(i as f64 / (TIME_STEPS - 1) as f64);
            let _ = write!(text, "--time-{i}:#{r:02x}{g:02x}{b:02x};");
        }
        text
    }

    /// The ramp at time `t` in \[0, 1\], linear between its three stops.
    fn at_time(&self, t: f64) -> Rgb {
        let (from, to, s) = if t < 0.5 {
            (self.time[0], self.time[1], 2.0 * t)
        } else {
            (self.time[1], self.time[2], 2.0 * t - 1.0)
        };
        std::array::from_fn(|i| {
            let (a, b) = (f64::from(from[i]), f64::from(to[i]));
            (a + s * (b - a)).round() as u8
        })
    }
}

/// The dashes that go with a series, so that lines differ in print too.
pub(super) fn dashes(series: usize) -> &'static str {
    ["", "7 3", "2 3", "9 3 2 3", "12 4", "4 2"][series % SERIES]
}

/// The marker that goes with a series, centred at (`x`, `y`), as an SVG
/// element; `inside` may hold a `<title>`.
pub(super) fn marker(series: usize, x: f64, y: f64, inside: &str) -> String {
    use super::markup::{coordinate, point};
    let class = format!("class=\"marker s{}\"", series % SERIES);
    let polygon = |corners: &[(f64, f64)]| {
        let points: Vec<String> = corners
            .iter()
            .map(|(dx, dy)| point(x + dx, y + dy))
            .collect();
        format!(
            "<polygon {class} points=\"{}\">{inside}</polygon>",
            points.join(" ")
        )
    };
    match series % SERIES {
        0 => format!(
            "<circle {class} cx=\"{}\" cy=\"{}\" r=\"4.2\">{inside}</circle>",
            coordinate(x),
            coordinate(y)
        ),
        1 => polygon(&[(-3.8, -3.8), (3.8, -3.8), (3.8, 3.8), (-3.8, 3.8)]),
        2 => polygon(&[(0.0, -5.0), (4.8, 3.6), (-4.8, 3.6)]),
        3 => polygon(&[(0.0, -5.4), (5.4, 0.0), (0.0, 5.4), (-5.4, 0.0)]),
        4 => polygon(&[(0.0, 5.0), (4.8, -3.6), (-4.8, -3.6)]),
        _ => polygon(&[
            (-2.2, -4.6),
            (2.2, -4.6),
            (4.8, 0.0),
            (2.2, 4.6),
            (-2.2, 4.6),
            (-4.8, 0.0),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(hex: &str) -> f64 {
        let channel = |i: usize| {
            let c = f64::from(u8::from_str_radix(&hex[i..i + 2], 16).unwrap()) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2 asks for a contrast of 4.5 for text and 3 for graphics.
    #[test]
    fn every_colour_can_be_read_on_its_page() {
        assert!(contrast("#ffffff", "#000000") > 20.9);
        for theme in [&LIGHT, &DARK] {
            for ground in [theme.page, theme.card] {
                for text in [theme.ink, theme.muted, theme.good, theme.bad] {
                    let c = contrast(text, ground);
                    assert!(c >= 4.5, "text {text} on {ground}: {c}");
                }
                for series in theme.series {
                    let c = contrast(series, ground);
                    assert!(c >= 3.0, "series {series} on {ground}: {c}");
                }
            }
        }
    }

    #[test]
    fn the_ramp_starts_at_noise_and_ends_at_data() {
        let text = variables();
        assert!(text.contains("--time-0:#d55e00;"));
        assert!(text.contains("--time-11:#0072b2;"));
    }
}
