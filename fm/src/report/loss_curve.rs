//! **Loss curve**: the training loss against the floor it cannot fall below.

use super::axis::{Axis, Frame, Scale, Size, drawable, for_both_screens};
use super::figure::{Figure, dropped};
use super::markup::{coordinate, count, counted, legend_entry, open_svg, point, significant};
use std::fmt::Write as _;

const EXPLANATION: &str = "<p>Training asks the network for the velocity at a random place between a \
    noise point <i>x</i><sub>0</sub> and a datum <i>x</i><sub>1</sub>, and punishes the squared \
    difference to the straight line&#39;s velocity <i>x</i><sub>1</sub> − <i>x</i><sub>0</sub> (FM.21):</p>\
    <p class=\"formula\"><math display=\"block\"><mi>ℒ</mi><mo>=</mo><mi>E</mi>\
    <msup><mrow><mo stretchy=\"false\">‖</mo><msub><mi>v</mi><mi>θ</mi></msub><mo stretchy=\"false\">(</mo>\
    <mrow><mo stretchy=\"false\">(</mo><mn>1</mn><mo>−</mo><mi>t</mi><mo stretchy=\"false\">)</mo></mrow>\
    <msub><mi>x</mi><mn>0</mn></msub><mo>+</mo><mi>t</mi><msub><mi>x</mi><mn>1</mn></msub><mo>,</mo><mi>t</mi>\
    <mo stretchy=\"false\">)</mo><mo>−</mo><mrow><mo stretchy=\"false\">(</mo><msub><mi>x</mi><mn>1</mn></msub>\
    <mo>−</mo><msub><mi>x</mi><mn>0</mn></msub><mo stretchy=\"false\">)</mo></mrow><mo stretchy=\"false\">‖</mo></mrow>\
    <mn>2</mn></msup></math></p>\
    <p>This loss does not go to zero, even for a perfect network. Many pairs pass through the same place \
    with different velocities, and one answer cannot match them all; the best is their average. What \
    remains is the irreducible loss <i>L</i>*, a property of the data and the path. Only the gap between \
    the curve and that line is the network&#39;s own error.</p>";

/// How the loss is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossScale {
    /// Equal differences look equal.
    Linear,
    /// Equal ratios look equal; losses of zero or less are left out.
    Logarithmic,
}

/// The loss of a training run, step by step.
#[derive(Clone, Copy, Debug)]
pub struct LossCurve<'a> {
    /// Title of the figure.
    pub title: &'a str,
    /// The number of the step at which each loss was measured.
    pub steps: &'a [f64],
    /// The loss of each step, mean per sample, summed over coordinates.
    pub loss: &'a [f64],
    /// The irreducible loss L*, in the same units, if known.
    pub floor: Option<f64>,
    /// How to lay the loss out.
    pub scale: LossScale,
}

/// What is drawn: measurements that can be placed, with their running mean.
struct Curve {
    raw: Vec<[f64; 2]>,
    smooth: Vec<[f64; 2]>,
    half_width: usize,
}

impl LossCurve<'_> {
    /// The picture: single losses faint, their running mean strong, the floor
    /// dashed. Losses that are not finite are left out and counted.
    ///
    /// # Panics
    /// If `steps` and `loss` differ in length.
    pub fn figure(&self) -> Figure {
        assert_eq!(
            self.steps.len(),
            self.loss.len(),
            "steps for {} losses",
            self.loss.len()
        );
        let raw: Vec<[f64; 2]> = self
            .steps
            .iter()
            .zip(self.loss)
            .map(|(&step, &loss)| [step, loss])
            .filter(|p| p.iter().all(|&v| drawable(v)))
            .filter(|&[_, loss]| self.scale == LossScale::Linear || loss > 0.0)
            .collect();
        let lost = self.note_on_lost(raw.len());
        let Some((x, y)) = self.axes(&raw) else {
            let reason = "No finite loss was recorded, so there is no curve to draw.";
            return Figure::empty(self.title, EXPLANATION, reason).with_note(lost);
        };
        // Two hundredths of the run: quiet enough to read, short enough to follow.
        let half_width = raw.len() / 100;
        let curve = Curve {
            smooth: running_mean(&raw, half_width),
            raw,
            half_width,
        };
        let drawing = format!(
            "{}{}",
            self.legend(&curve),
            for_both_screens(|size| self.draw(&curve, size, &x, &y))
        );
        Figure::new(self.title, EXPLANATION, drawing, self.caption(&curve)).with_note(lost)
    }

    fn note_on_lost(&self, drawn: usize) -> Option<String> {
        let finite = self.loss.iter().filter(|&&l| drawable(l)).count();
        match self.scale {
            LossScale::Logarithmic if drawn < finite => Some(format!(
                "Not drawn: {} that {} not positive, or not finite; a logarithm has no place for them.",
                counted(self.loss.len() - drawn, "loss value"),
                if self.loss.len() - drawn == 1 {
                    "is"
                } else {
                    "are"
                }
            )),
            _ => dropped(self.loss.len() - drawn, "loss value"),
        }
    }

    fn axes(&self, raw: &[[f64; 2]]) -> Option<(Axis, Axis)> {
        let scale = match self.scale {
            LossScale::Linear => Scale::Linear,
            LossScale::Logarithmic => Scale::Logarithmic,
        };
        let x = Axis::around("training step", Scale::Linear, raw.iter().map(|p| p[0]))?;
        let losses = raw.iter().map(|p| p[1]).chain(self.floor);
        let y = Axis::around("loss (squared data units)", scale, losses)?;
        Some((x, y))
    }

    fn draw(&self, curve: &Curve, size: Size, x: &Axis, y: &Axis) -> String {
        let frame = Frame::new(size, x.clone(), y.clone());
        let (last, floor) = (curve.last(), self.drawable_floor());
        let mut description = format!(
            "Line chart of the training loss, which ends at {}",
            significant(last, 3)
        );
        let mut content = format!(
            "<path class=\"raw\" d=\"{}\"/><path class=\"line s0\" d=\"{}\"/>",
            envelope(&curve.raw, &frame),
            polyline(&curve.smooth, &frame)
        );
        if let Some(floor) = floor {
            let level = frame.y(floor);
            // Below the line, where the running mean does not come; above it
            // where there is no room.
            let below = level + 18.0;
            let label = if below < frame.bottom() {
                below
            } else {
                level - 8.0
            };
            let _ = write!(
                content,
                "<path class=\"floor\" d=\"M0 {y}H{}\"/>\
                 <text class=\"mark\" x=\"{}\" y=\"{}\" text-anchor=\"end\">L* = {}</text>",
                coordinate(size.width),
                coordinate(size.width - 24.0),
                coordinate(label),
                significant(floor, 3),
                y = coordinate(level)
            );
            let _ = write!(description, "; the floor L* is {}", significant(floor, 3));
        }
        description.push('.');
        format!(
            "{}{}{}</svg>",
            open_svg(size.width, size.height, &description),
            frame.axes(),
            frame.clipped(&content)
        )
    }

    fn drawable_floor(&self) -> Option<f64> {
        self.floor
            .filter(|&f| drawable(f) && (self.scale == LossScale::Linear || f > 0.0))
    }

    fn legend(&self, curve: &Curve) -> String {
        let mut entries = legend_entry(
            "<path class=\"raw\" d=\"M1 9L6 3L10 11L15 4L20 10L27 5\"/>",
            "loss of single batches",
        );
        entries += &legend_entry(
            "<path class=\"line s0\" d=\"M1 7H27\"/>",
            &format!("mean over {}", counted(2 * curve.half_width + 1, "step")),
        );
        if self.drawable_floor().is_some() {
            entries += &legend_entry(
                "<path class=\"floor\" d=\"M1 7H27\"/>",
                "irreducible loss L*",
            );
        }
        format!("<ul class=\"legend\">{entries}</ul>")
    }

    fn caption(&self, curve: &Curve) -> String {
        let last = curve.last();
        let mut text = format!(
            "The loss of every batch (faint) and its running mean (strong) over {} steps.",
            count(curve.raw.len())
        );
        let Some(floor) = self.drawable_floor() else {
            let _ = write!(text, " It ends at {}.", significant(last, 3));
            return text;
        };
        let above = 100.0 * (last - floor) / floor;
        let _ = match floor {
            f if f > 0.0 && above.abs() < 1e4 => write!(
                text,
                " It ends at {}, {:.1} % {} L* = {} (dashed).",
                significant(last, 3),
                above.abs(),
                if above < 0.0 {
                    "below (single batches scatter around it)"
                } else {
                    "above"
                },
                significant(floor, 3)
            ),
            _ => write!(
                text,
                " It ends at {}; L* = {} (dashed).",
                significant(last, 3),
                significant(floor, 3)
            ),
        };
        text
    }
}

impl Curve {
    /// The running mean at the end.
    fn last(&self) -> f64 {
        self.smooth.last().map_or(f64::NAN, |p| p[1])
    }
}

/// The mean of each value with up to `half_width` neighbours on both sides:
/// centred, so that it does not lag behind a falling loss. At the ends it is
/// cut off, so there it leans inwards.
fn running_mean(points: &[[f64; 2]], half_width: usize) -> Vec<[f64; 2]> {
    let mut sums = vec![0.0];
    for p in points {
        sums.push(sums[sums.len() - 1] + p[1]);
    }
    (0..points.len())
        .map(|i| {
            let from = i.saturating_sub(half_width);
            let to = (i + half_width + 1).min(points.len());
            [points[i][0], (sums[to] - sums[from]) / (to - from) as f64]
        })
        .collect()
}

/// Columns of pixels told apart; more points than that are merged.
const COLUMNS: usize = 320;

/// A line through at most [`COLUMNS`] of the points and the last.
fn polyline(points: &[[f64; 2]], frame: &Frame) -> String {
    let mut path = String::new();
    let stride = points.len().div_ceil(COLUMNS).max(1);
    let picked = points.iter().step_by(stride).chain(points.last());
    for (i, &[x, y]) in picked.enumerate() {
        path.push(if i == 0 { 'M' } else { 'L' });
        path.push_str(&point(frame.x(x), frame.y(y)));
    }
    path
}

/// A line that keeps the lowest and the highest value of each column, so that
/// merging does not hide the scatter.
fn envelope(points: &[[f64; 2]], frame: &Frame) -> String {
    let stride = points.len().div_ceil(COLUMNS).max(1);
    if stride == 1 {
        return polyline(points, frame);
    }
    let mut path = String::new();
    for (i, column) in points.chunks(stride).enumerate() {
        let (low, high) = column
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| {
                (a.min(p[1]), b.max(p[1]))
            });
        let x = frame.x(column[0][0]);
        path.push(if i == 0 { 'M' } else { 'L' });
        let _ = write!(
            path,
            "{}L{}",
            point(x, frame.y(low)),
            point(x, frame.y(high))
        );
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve<'a>(steps: &'a [f64], loss: &'a [f64], floor: Option<f64>) -> LossCurve<'a> {
        LossCurve {
            title: "t",
            steps,
            loss,
            floor,
            scale: LossScale::Linear,
        }
    }

    fn steps(n: usize) -> Vec<f64> {
        (0..n).map(|i| i as f64).collect()
    }

    /// A centred mean reproduces a straight line except where its window is
    /// cut by an end.
    #[test]
    fn the_running_mean_does_not_lag() {
        let line: Vec<[f64; 2]> = (0..400).map(|i| [f64::from(i), f64::from(i)]).collect();
        let mean = running_mean(&line, 4);
        for p in &mean[4..396] {
            assert!((p[0] - p[1]).abs() <= 1e-12, "{p:?}");
        }
    }

    #[test]
    fn the_gap_to_the_floor_is_stated() {
        let (steps, loss) = (steps(2000), vec![4.0; 2000]);
        let page = curve(&steps, &loss, Some(3.2)).figure().markup(1, true);
        assert!(
            page.contains("ends at 4.00, 25.0 % above L* = 3.20"),
            "{page}"
        );
    }

    #[test]
    fn a_run_that_diverged_is_drawn_as_far_as_it_goes() {
        let (steps, mut loss) = (steps(50), vec![1.0; 50]);
        loss[40..].fill(f64::NAN);
        let page = curve(&steps, &loss, None).figure().markup(1, false);
        assert!(page.contains("10 loss values that are not finite"));
        assert!(!page.contains("NaN"));
        loss.fill(f64::INFINITY);
        let page = curve(&steps, &loss, Some(1.0)).figure().markup(1, false);
        assert!(page.contains("No finite loss"));
        assert!(
            curve(&[], &[], None)
                .figure()
                .markup(1, false)
                .contains("No finite loss")
        );
    }

    #[test]
    fn a_logarithm_leaves_out_what_is_not_positive() {
        let mut log = curve(&[1.0, 2.0, 3.0], &[1.0, 0.0, 0.1], Some(0.0));
        log.scale = LossScale::Logarithmic;
        let page = log.figure().markup(1, false);
        assert!(page.contains("1 loss value that"));
        assert!(!page.contains("class=\"floor\""));
    }

    #[test]
    fn a_long_run_makes_no_longer_a_page() {
        let (short, long) = (steps(1_000), steps(200_000));
        let size = |s: &[f64]| curve(s, s, None).figure().markup(1, false).len();
        assert!(size(&long) < 2 * size(&short));
    }
}
