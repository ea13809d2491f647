//! **Axes**: from values to places in a picture, with round ticks.
//!
//! An [`Axis`] maps its range to \[0, 1\], linearly or by the logarithm. A
//! [`Frame`] puts two of them around a rectangle and draws grid, ticks and
//! labels. SVG counts downwards; the flip happens in [`Frame::y`] alone.

use super::markup::{coordinate, escape, significant, superscript};
use std::fmt::Write as _;

/// Whether a value can be placed: finite, and small enough that differences
/// of two such values cannot overflow.
pub(super) fn drawable(value: f64) -> bool {
    value.abs() < 1e100
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

/// A labelled range of values.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    label: String,
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// An axis over \[`low`, `high`\] exactly. A range without extent is
    /// widened, so that its one value lies in the middle.
    pub(super) fn over(label: &str, scale: Scale, low: f64, high: f64) -> Self {
        let (low, high) = match scale {
            _ if low < high => (low, high),
            Scale::Linear => {
                let half = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
                (low - half, low + half)
            }
            Scale::Logarithmic => (low / 2.0, low * 2.0),
        };
        Self {
            label: label.to_owned(),
            scale,
            low,
            high,
        }
    }

    /// An axis that holds all `values` with a little air on both sides;
    /// nothing if none of them can be drawn (on a logarithmic axis: if none is
    /// positive).
    pub(super) fn around(
        label: &str,
        scale: Scale,
        values: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let (low, high) = values
            .into_iter()
            .filter(|&v| drawable(v) && (scale == Scale::Linear || v > 0.0))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
                (a.min(v), b.max(v))
            });
        if low > high {
            return None;
        }
        let tight = Self::over(label, scale, low, high);
        let air = 0.04;
        let (low, high) = (tight.value_at(-air), tight.value_at(1.0 + air));
        Some(Self { low, high, ..tight })
    }

    /// The place of a value: 0 at the low end, 1 at the high end.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        let [low, high, v] = [self.low, self.high, value].map(|v| self.warp(v));
        (v - low) / (high - low)
    }

    /// The value at a place; the inverse of [`fraction`](Self::fraction).
    fn value_at(&self, fraction: f64) -> f64 {
        let (low, high) = (self.warp(self.low), self.warp(self.high));
        let warped = low + fraction * (high - low);
        match self.scale {
            Scale::Linear => warped,
            Scale::Logarithmic => 10f64.powf(warped),
        }
    }

    fn warp(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
        }
    }

    pub(super) fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Round values inside the range with their texts, about `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => self.linear_ticks(wanted),
            Scale::Logarithmic => self.logarithmic_ticks(wanted),
        }
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn linear_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|m| m * power)
            .into_iter()
            // A third more ticks than wanted look better than half as many.
            .find(|&s| s >= rough * 0.75)
            .unwrap_or(10.0 * power);
        // An end that is itself round must not be lost to the rounding of its
        // quotient.
        let slack = 1e-9;
        let first = (self.low / step - slack).ceil();
        let last = (self.high / step + slack).floor();
        // A range far narrower than its distance from zero has no distinct
        // round values in f64; then only its ends are named.
        if !(last - first >= 0.0 && last - first < 100.0) {
            return [self.low, self.high]
                .map(|v| (v, significant(v, 4)))
                .to_vec();
        }
        let steps = (last - first) as usize;
        (0..=steps)
            .map(|i| {
                let value = (first + i as f64) * step;
                (value, linear_tick_text(value, step))
            })
            .collect()
    }

    /// Powers of ten; 2 and 5 times them where there are few.
    fn logarithmic_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let candidates = |mantissas: &[f64], every: usize| -> Vec<f64> {
            (first..=last)
                .step_by(every)
                .flat_map(|e| mantissas.iter().map(move |m| m * 10f64.powi(e)))
                .filter(|&v| self.contains(v))
                .collect()
        };
        let decades = candidates(&[1.0], 1).len();
        let values = if decades >= 3 {
            candidates(&[1.0], decades.div_ceil(wanted.max(2)))
        } else {
            let fine = candidates(&[1.0, 2.0, 5.0], 1);
            if fine.len() < 2 {
                // Less than a factor of two in all: the linear ticks are rounder.
                return self
                    .linear_ticks(wanted)
                    .into_iter()
                    .filter(|(v, _)| self.contains(*v))
                    .collect();
            }
            fine
        };
        values
            .into_iter()
            .map(|v| (v, logarithmic_tick_text(v)))
            .collect()
    }
}

fn linear_tick_text(value: f64, step: f64) -> String {
    let largest = value.abs().max(step);
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e6).contains(&largest) && step >= 1e-4 {
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        format!("{value:.decimals$}").replace('-', "−")
    } else {
        significant(value, 3)
    }
}

fn logarithmic_tick_text(value: f64) -> String {
    // A logarithm a rounding below a whole number still means that power.
    let exponent = (value.log10() + 1e-9).floor() as i32;
    let mantissa = value / 10f64.powi(exponent);
    if (-2..5).contains(&exponent) {
        format!("{value:.*}", (-exponent).max(0) as usize)
    } else if (mantissa - 1.0).abs() < 1e-9 {
        format!("10{}", superscript(exponent))
    } else {
        format!("{mantissa:.0}·10{}", superscript(exponent))
    }
}

/// The outer size of a picture, in units that are pixels when it is shown at
/// its natural size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A chart for a desk and one for a phone.
const WIDE: Size = Size {
    width: 760.0,
    height: 420.0,
};
const NARROW: Size = Size {
    width: 360.0,
    height: 330.0,
};

/// A chart drawn twice, for wide and for narrow screens, of which the style
/// sheet shows one: text shrunk with the picture would be unreadable.
pub(super) fn for_both_screens(draw: impl Fn(Size) -> String) -> String {
    format!(
        "<div class=\"wide\">{}</div><div class=\"narrow\">{}</div>",
        draw(WIDE),
        draw(NARROW)
    )
}

/// Two axes around a rectangle.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) size: Size,
    pub(super) x: Axis,
    pub(super) y: Axis,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    /// The least distance wanted between two ticks of the first axis; its
    /// texts lie side by side, so they need more room than those of the second.
    gap: f64,
}

impl Frame {
    pub(super) fn new(size: Size, x: Axis, y: Axis) -> Self {
        Self {
            size,
            x,
            y,
            left: 62.0,
            right: 16.0,
            top: 12.0,
            bottom: 48.0,
            gap: 70.0,
        }
    }

    /// A square of side `side` for the plane: the same units on both axes.
    pub(super) fn plane(side: f64, window: [f64; 4]) -> Self {
        let [x_low, x_high, y_low, y_high] = window;
        let [left, right, top, bottom] = [52.0, 8.0, 8.0, 38.0];
        let size = Size {
            width: side + left + right,
            height: side + top + bottom,
        };
        Self {
            size,
            // Not x₁ and x₂: x₁ is a datum, the end of a path.
            x: Axis::over(
                "first coordinate (data units)",
                Scale::Linear,
                x_low,
                x_high,
            ),
            y: Axis::over(
                "second coordinate (data units)",
                Scale::Linear,
                y_low,
                y_high,
            ),
            left,
            right,
            top,
            bottom,
            gap: 50.0,
        }
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        self.left + self.x.fraction(value) * self.inner_width()
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.top + (1.0 - self.y.fraction(value)) * self.inner_height()
    }

    /// The height at which the rectangle ends.
    pub(super) fn bottom(&self) -> f64 {
        self.size.height - self.bottom
    }

    fn inner_width(&self) -> f64 {
        self.size.width - self.left - self.right
    }

    fn inner_height(&self) -> f64 {
        self.size.height - self.top - self.bottom
    }

    /// The rectangle as `x`, `y`, `width` and `height` attributes.
    pub(super) fn rectangle(&self) -> String {
        format!(
            "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            coordinate(self.left),
            coordinate(self.top),
            coordinate(self.inner_width()),
            coordinate(self.inner_height())
        )
    }

    /// `content`, drawn in the frame's coordinates and cut off at its edges.
    /// An inner `<svg>` cuts without an `id`, which two pictures could share.
    pub(super) fn clipped(&self, content: &str) -> String {
        format!(
            "<svg {} viewBox=\"{} {} {} {}\">{content}</svg>",
            self.rectangle(),
            coordinate(self.left),
            coordinate(self.top),
            coordinate(self.inner_width()),
            coordinate(self.inner_height())
        )
    }

    /// Grid lines, ticks, their texts and the labels of both axes.
    pub(super) fn axes(&self) -> String {
        let mut svg = format!("<rect class=\"ground\" {}/>", self.rectangle());
        let (right, bottom) = (self.size.width - self.right, self.bottom());
        let mut grid = String::new();
        let mut texts = String::new();
        for (value, text) in self.x.ticks((self.inner_width() / self.gap) as usize) {
            let x = coordinate(self.x(value));
            let _ = write!(grid, "M{x} {}V{}", coordinate(self.top), coordinate(bottom));
            let _ = write!(
                texts,
                "<text class=\"tick\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                coordinate(bottom + 16.0),
                escape(&text)
            );
        }
        for (value, text) in self.y.ticks((self.inner_height() / 48.0) as usize) {
            let y = self.y(value);
            let _ = write!(
                grid,
                "M{} {}H{}",
                coordinate(self.left),
                coordinate(y),
                coordinate(right)
            );
            let _ = write!(
                texts,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                coordinate(self.left - 6.0),
                coordinate(y + 4.0),
                escape(&text)
            );
        }
        let middle = self.top + self.inner_height() / 2.0;
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"{grid}\"/>{texts}\
             <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text class=\"label\" transform=\"translate({} {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            coordinate(self.left + self.inner_width() / 2.0),
            coordinate(self.size.height - 6.0),
            escape(&self.x.label),
            13,
            coordinate(middle),
            escape(&self.y.label),
        );
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis, wanted: usize) -> Vec<String> {
        axis.ticks(wanted).into_iter().map(|(_, t)| t).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let axis = Axis::over("", Scale::Linear, -2.3, 3.1);
        assert_eq!(texts(&axis, 5), ["−2", "−1", "0", "1", "2", "3"]);
        let axis = Axis::over("", Scale::Linear, 0.0, 0.3);
        assert_eq!(
            texts(&axis, 6),
            ["0", "0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]
        );
    }

    #[test]
    fn logarithmic_ticks_are_decades_or_finer() {
        let axis = Axis::over("", Scale::Logarithmic, 3e-7, 2.0);
        assert_eq!(
            texts(&axis, 8),
            ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "0.01", "0.1", "1"]
        );
        let axis = Axis::over("", Scale::Logarithmic, 0.9, 130.0);
        assert_eq!(texts(&axis, 8), ["1", "10", "100"]);
        let axis = Axis::over("", Scale::Logarithmic, 3.0, 14.0);
        assert_eq!(texts(&axis, 8), ["5", "10"]);
    }

    /// 512 random ranges: every tick lies inside, in order, and there are
    /// neither none nor too many.
    #[test]
    fn ticks_lie_in_the_range() {
        let mut state = 7u64;
        let mut uniform = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        for case in 0..512 {
            let low = 10f64.powf(uniform() * 12.0 - 6.0);
            let high = low * (1.0 + 10f64.powf(uniform() * 8.0 - 3.0));
            for scale in [Scale::Linear, Scale::Logarithmic] {
                let axis = Axis::over("", scale, low, high);
                let ticks = axis.ticks(6);
                assert!(
                    (1..=14).contains(&ticks.len()),
                    "case {case}: {axis:?} {ticks:?}"
                );
                for pair in ticks.windows(2) {
                    assert!(pair[0].0 < pair[1].0, "case {case}: {ticks:?}");
                }
                for (v, _) in &ticks {
                    // A tick may overshoot by 1e-9 of a step, which is less than
                    // the range; then one rounding of step × multiple.
                    let slack = 1e-9 * (high - low) + 2.0 * f64::EPSILON * high;
                    assert!(
                        *v >= low - slack && *v <= high + slack,
                        "case {case}: {v} outside {axis:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn degenerate_ranges_are_widened_and_empty_ones_refused() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let axis = Axis::around("", scale, [3.0]).expect("one value");
            assert!((axis.fraction(3.0) - 0.5).abs() < 0.1, "{axis:?}");
            assert!(Axis::around("", scale, [f64::NAN, f64::INFINITY]).is_none());
        }
        assert!(Axis::around("", Scale::Logarithmic, [0.0, -1.0]).is_none());
        let axis = Axis::around("", Scale::Linear, [0.0]).expect("zero");
        assert!(axis.contains(0.0) && axis.ticks(4).len() > 1);
    }

    #[test]
    fn the_axis_map_and_its_inverse_agree() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let axis = Axis::over("", scale, 0.3, 47.0);
            for v in [0.3, 1.0, 12.5, 47.0] {
                // Two logarithms and one power: a few rounding errors.
                assert!((axis.value_at(axis.fraction(v)) - v).abs() <= 1e-13 * v);
            }
        }
    }
}
