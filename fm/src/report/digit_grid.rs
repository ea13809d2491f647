//! **Digit grid**: small square images laid out in rows, as crisp pixels.

use super::figure::{Figure, dropped};
use super::markup::{counted, data_uri, escape, significant};
use super::palette::FAULT;
use super::raster::{Levels, encode};
use ndarray::ArrayView2;
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>The same equations work in 64 dimensions: an image of 8 × 8 pixels is one \
    point <i>x</i>, and each pixel a coordinate. Every drawn digit started as 64 independent Gaussian \
    numbers. Two questions decide whether the model is any good. Do its digits look real? Compare the \
    first two grids. And did it draw them, or copy them? Compare each drawn digit with the training \
    digit nearest to it: alike in kind but not in every pixel is what one hopes for.</p>";

/// Which value of a pixel is paper and which is ink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelRange {
    /// −1 is paper, 1 is ink: as networks see digits.
    MinusOneToOne,
    /// 0 is paper, 16 is ink: as the data set stores them.
    ZeroToSixteen,
}

impl PixelRange {
    /// The share of ink in \[0, 1\]; values outside the range are cut off.
    fn ink(self, value: f32) -> f32 {
        match self {
            Self::MinusOneToOne => (value + 1.0) / 2.0,
            Self::ZeroToSixteen => value / 16.0,
        }
        .clamp(0.0, 1.0)
    }
}

/// One grid of a [`DigitGrids`].
#[derive(Clone, Copy, Debug)]
pub struct DigitPanel<'a> {
    /// Its heading, for instance `drawn`.
    pub label: &'a str,
    /// Images `[N, D]`, each a square of `√D × √D` pixels, line by line.
    pub images: ArrayView2<'a, f32>,
}

/// How well drawn digits stand up to two tests against real ones.
#[derive(Clone, Copy, Debug)]
pub struct DigitScores {
    /// Accuracy with which the nearest neighbour tells drawn digits from
    /// held-out ones; 0.5 is ideal, 1 is told apart without fail.
    pub accuracy: f64,
    /// The same test between two halves of real digits.
    pub accuracy_of_real: f64,
    /// Mean distance of a drawn digit to the nearest training digit.
    pub nearest_of_drawn: f64,
    /// Mean distance of a held-out digit to the nearest training digit. Far
    /// above `nearest_of_drawn` means that the model has memorised.
    pub nearest_of_held_out: f64,
}

/// Grids of digits side by side.
#[derive(Clone, Copy, Debug)]
pub struct DigitGrids<'a> {
    /// Title of the figure.
    pub title: &'a str,
    /// The grids in reading order: real, drawn, nearest training digit. An
    /// image of the last belongs to the image at the same place in the second.
    pub panels: &'a [DigitPanel<'a>],
    /// What the values of the pixels mean.
    pub range: PixelRange,
    /// Images in a row.
    pub columns: usize,
    /// What was measured about the drawn digits.
    pub scores: Option<DigitScores>,
}

impl DigitGrids<'_> {
    /// The picture. Pixels that are not finite are drawn in orange and counted.
    pub fn figure(&self) -> Figure {
        if self.panels.iter().all(|p| p.images.is_empty()) {
            return Figure::empty(self.title, EXPLANATION, "There are no digits to draw.");
        }
        let mut drawing = String::from("<div class=\"panels\">");
        let mut lost = 0;
        for panel in self.panels {
            lost += panel.images.iter().filter(|v| !v.is_finite()).count();
            drawing.push_str(&self.draw_panel(panel));
        }
        drawing.push_str("</div>");
        let lost = dropped(lost, "pixel").map(|text| text.replace("Not drawn", "Drawn in orange"));
        Figure::new(self.title, EXPLANATION, drawing, self.caption()).with_note(lost)
    }

    fn draw_panel(&self, panel: &DigitPanel<'_>) -> String {
        let label = escape(panel.label);
        if panel.images.is_empty() || side(&panel.images).is_none() {
            let reason = if panel.images.is_empty() {
                "no images".to_owned()
            } else {
                format!("rows of {} pixels are no squares", panel.images.ncols())
            };
            let picture = super::figure::empty_picture(&reason);
            return format!("<div class=\"panel\"><h4>{label}</h4>{picture}</div>");
        }
        let png = digit_grid_png(panel.images, self.columns, self.range);
        let description = format!(
            "Grid of {}: {label}.",
            counted(panel.images.nrows(), "small grey image")
        );
        format!(
            "<div class=\"panel\"><h4>{label}</h4><img class=\"pixels\" role=\"img\" \
             alt=\"{description}\" aria-label=\"{description}\" src=\"{}\"/></div>",
            data_uri(&png)
        )
    }

    fn caption(&self) -> String {
        let labels: Vec<&str> = self.panels.iter().map(|p| p.label).collect();
        let mut text = format!("In order: {}.", labels.join("; "));
        if self.panels.len() >= 3 {
            text.push_str(" The last two grids match place by place.");
        }
        if let Some(scores) = self.scores {
            let _ = write!(
                text,
                " A nearest-neighbour test tells drawn from held-out digits with accuracy {} (0.5 is \
                 ideal; real against real: {}). The mean distance to the nearest training digit is {} \
                 for drawn and {} for held-out digits; far below would mean memorised.",
                significant(scores.accuracy, 3),
                significant(scores.accuracy_of_real, 3),
                significant(scores.nearest_of_drawn, 3),
                significant(scores.nearest_of_held_out, 3)
            );
        }
        text
    }
}

/// Pixels of the file to a pixel of an image: enough to stay crisp when shown
/// at an odd size.
const ZOOM: usize = 6;
/// Pixels of the file between two images.
const GAP: usize = 4;

/// The level of a pixel that is not a number; ink takes 0 to 253.
const LEVEL_FAULT: u8 = 255;
/// The level between images.
const LEVEL_GAP: u8 = 254;

/// Square images `[N, D]` in rows of `columns`, as a PNG: dark ink on white
/// paper, pixels that are not finite in orange.
///
/// Without any image the picture is one empty square.
///
/// # Panics
/// If `D` is not the square of a whole number of at least 1.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a view is passed like the slice it is"
)]
pub fn digit_grid_png(images: ArrayView2<'_, f32>, columns: usize, range: PixelRange) -> Vec<u8> {
    let side = if images.is_empty() {
        8
    } else {
        side(&images).unwrap_or_else(|| {
            panic!(
                "images of {} pixels: expected a square number",
                images.ncols()
            )
        })
    };
    let count = images.nrows();
    let columns = columns.clamp(1, count.max(1));
    let rows = count.div_ceil(columns).max(1);
    let tile = side * ZOOM;
    let extent = |n: usize| n * tile + (n - 1) * GAP;
    let (width, height) = (extent(columns), extent(rows));
    let mut pixels = vec![LEVEL_GAP; width * height];
    for (n, image) in images.rows().into_iter().enumerate() {
        let (top, left) = ((n / columns) * (tile + GAP), (n % columns) * (tile + GAP));
        for y in 0..tile {
            for x in 0..tile {
                let value = image[(y / ZOOM) * side + x / ZOOM];
                pixels[(top + y) * width + left + x] = level(value, range);
            }
        }
    }
    let levels = Levels::new(|level| match level {
        LEVEL_FAULT => (FAULT, u8::MAX),
        LEVEL_GAP => ([226; 3], u8::MAX),
        _ => {
            let grey = 255.0 - f64::from(level) / 253.0 * 235.0;
            ([grey.round() as u8; 3], u8::MAX)
        }
    });
    encode(&pixels, width, height, &levels)
}

fn level(value: f32, range: PixelRange) -> u8 {
    if value.is_finite() {
        (range.ink(value) * 253.0).round() as u8
    } else {
        LEVEL_FAULT
    }
}

/// The side of the squares that the rows are.
fn side(images: &ArrayView2<'_, f32>) -> Option<usize> {
    let side = images.ncols().isqrt();
    (side > 0 && side * side == images.ncols()).then_some(side)
}

#[cfg(test)]
mod tests {
    use super::super::raster::tests::decode;
    use super::*;
    use ndarray::Array2;

    #[test]
    fn pixels_are_where_they_belong() {
        // Two images of 2 by 2, one above the other.
        let images = ndarray::array![[0.0, 16.0, 0.0, 0.0], [0.0, 0.0, 16.0, f32::NAN]];
        let png = digit_grid_png(images.view(), 1, PixelRange::ZeroToSixteen);
        let (width, height, pixels) = decode(&png);
        assert_eq!((width, height), (2 * ZOOM, 4 * ZOOM + GAP));
        let at = |x: usize, y: usize| pixels[y * width + x];
        assert_eq!((at(0, 0), at(ZOOM, 0), at(0, ZOOM)), (0, 253, 0));
        assert_eq!(at(0, 2 * ZOOM), LEVEL_GAP);
        let second = 2 * ZOOM + GAP;
        assert_eq!((at(0, second), at(0, second + ZOOM)), (0, 253));
        assert_eq!(at(ZOOM, second + ZOOM), LEVEL_FAULT);
    }

    #[test]
    fn both_ranges_reach_from_paper_to_ink() {
        for (range, paper, ink) in [
            (PixelRange::MinusOneToOne, -1.0, 1.0),
            (PixelRange::ZeroToSixteen, 0.0, 16.0),
        ] {
            assert_eq!((level(paper, range), level(ink, range)), (0, 253));
            assert_eq!(
                (level(paper - 1.0, range), level(ink + 1.0, range)),
                (0, 253)
            );
            assert_eq!(level((paper + ink) / 2.0, range), 127);
        }
    }

    #[test]
    fn a_png_of_nothing_is_still_a_picture() {
        let none = Array2::zeros((0, 64));
        let (width, height, pixels) =
            decode(&digit_grid_png(none.view(), 10, PixelRange::MinusOneToOne));
        assert_eq!((width, height), (8 * ZOOM, 8 * ZOOM));
        assert!(pixels.iter().all(|&p| p == LEVEL_GAP));
    }

    #[test]
    #[should_panic(expected = "images of 63 pixels")]
    fn images_that_are_not_square_are_refused() {
        digit_grid_png(Array2::zeros((2, 63)).view(), 2, PixelRange::MinusOneToOne);
    }

    #[test]
    fn the_figure_says_what_is_missing() {
        let mut images = Array2::zeros((3, 64));
        images[[1, 1]] = f32::NAN;
        let odd = Array2::zeros((2, 63));
        let none = Array2::zeros((0, 64));
        let panels = [
            DigitPanel {
                label: "a",
                images: images.view(),
            },
            DigitPanel {
                label: "b",
                images: odd.view(),
            },
            DigitPanel {
                label: "c",
                images: none.view(),
            },
        ];
        let grids = |panels| DigitGrids {
            title: "t",
            panels,
            range: PixelRange::MinusOneToOne,
            columns: 2,
            scores: None,
        };
        let html = grids(&panels).figure().markup(1, false);
        assert!(html.contains("Drawn in orange: 1 pixel that is not finite"));
        assert!(html.contains("rows of 63 pixels are no squares"));
        assert!(html.contains("no images"));
        let html = grids(&panels[2..]).figure().markup(1, false);
        assert!(html.contains("There are no digits"));
    }
}
