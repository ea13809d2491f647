//! A whole report from made-up data, and what must hold of every report.

use super::few_step_table::tests::row as few_step_row;
use super::verification_table::tests::row as verification_row;
use super::*;
use ndarray::{Array2, Array3, Axis, s};

/// Pseudo-random numbers, good enough for pictures: a linear congruential
/// generator with the constants of Knuth's MMIX.
struct Lcg(u64);

impl Lcg {
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn cloud(&mut self, n: usize) -> Array2<f64> {
        Array2::from_shape_simple_fn((n, 2), || self.normal())
    }
}

/// Eight blobs on a circle, as means and a common variance.
const SPREAD: f64 = 0.16;
fn means() -> [[f64; 2]; 8] {
    std::array::from_fn(|k| {
        let angle = k as f64 * std::f64::consts::FRAC_PI_4;
        [3.0 * angle.cos(), 3.0 * angle.sin()]
    })
}

/// Density and velocity of the straight path from the normal to the blobs.
fn blobs(t: f64, x: f64, y: f64) -> (f64, [f64; 2]) {
    let variance = t * t * SPREAD + (1.0 - t) * (1.0 - t);
    let slope = (t * SPREAD - (1.0 - t)) / variance;
    let (mut density, mut flux) = (0.0, [0.0; 2]);
    for [mx, my] in means() {
        let (dx, dy) = (x - t * mx, y - t * my);
        let p = (-0.5 * (dx * dx + dy * dy) / variance).exp()
            / (8.0 * std::f64::consts::TAU * variance);
        density += p;
        flux[0] += p * (mx + slope * dx);
        flux[1] += p * (my + slope * dy);
    }
    (density, flux.map(|f| f / density.max(1e-300)))
}

fn data(random: &mut Lcg, n: usize) -> Array2<f64> {
    let noise = random.cloud(n);
    Array2::from_shape_fn((n, 2), |(i, axis)| {
        means()[i % 8][axis] + SPREAD.sqrt() * noise[[i, axis]]
    })
}

/// Midpoint steps along the exact field: `[T, N, 2]`.
fn flow(start: &Array2<f64>, steps: usize) -> Array3<f64> {
    let mut all = Array3::zeros((steps + 1, start.nrows(), 2));
    all.slice_mut(s![0, .., ..]).assign(start);
    let h = 1.0 / steps as f64;
    for i in 0..steps {
        for n in 0..start.nrows() {
            let [x, y] = [all[[i, n, 0]], all[[i, n, 1]]];
            let t = i as f64 * h;
            let v = blobs(t, x, y).1;
            let v = blobs(t + h / 2.0, x + h / 2.0 * v[0], y + h / 2.0 * v[1]).1;
            all[[i + 1, n, 0]] = x + h * v[0];
            all[[i + 1, n, 1]] = y + h * v[1];
        }
    }
    all
}

fn flow_pictures(random: &mut Lcg, chapter: &mut Chapter) {
    let (real, noise) = (data(random, 1200), random.cloud(1200));
    let positions = flow(&noise, 60);
    let drawn = positions.index_axis(Axis(0), 60);
    let floor = NoiseFloor {
        mean: 0.463,
        std: 0.034,
    };
    let scatter = Scatter {
        title: "Eight blobs, real and drawn",
        panels: &[
            ScatterPanel {
                label: "noise at t = 0, 1200 points",
                cloud: Cloud::Noise,
                points: noise.view(),
            },
            ScatterPanel {
                label: "data, 1200 points",
                cloud: Cloud::Data,
                points: real.view(),
            },
            ScatterPanel {
                label: "drawn at t = 1, 1200 points",
                cloud: Cloud::Drawn,
                points: drawn,
            },
        ],
        distance: Some(MeasuredDistance { w2: 0.498, floor }),
    };
    let window = Window::around(&[real.view(), noise.view()]).expect("finite points");
    let field = FieldOverDensity::evaluate_pointwise(
        "How the field moves the density",
        window,
        &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        |t, x, y| blobs(t, x, y).0,
        |t, x, y| blobs(t, x, y).1,
    );
    let times: Vec<f64> = (0..=60).map(|i| f64::from(i) / 60.0).collect();
    let ways = Trajectories {
        title: "From noise to data",
        times: &times,
        positions: positions.view(),
        straightness: Some(0.892),
    };
    chapter
        .figure(scatter.figure())
        .figure(field.figure())
        .figure(ways.figure());
}

fn loss_picture(random: &mut Lcg) -> Figure {
    let steps: Vec<f64> = (1..=4000).map(f64::from).collect();
    let loss: Vec<f64> = steps
        .iter()
        .map(|s| {
            3.81 + 2.6 * (-s / 160.0).exp() + 0.3 * (-s / 1500.0).exp() + 0.16 * random.normal()
        })
        .collect();
    LossCurve {
        title: "Loss while training on two moons",
        steps: &steps,
        loss: &loss,
        floor: Some(3.76),
        scale: LossScale::Linear,
    }
    .figure()
}

fn error_pictures(chapter: &mut Chapter) {
    let series = |saturation: f64| {
        [
            ("Euler", 1.0, 1),
            ("midpoint", 2.0, 2),
            ("RK4", 4.0, 4),
            ("Dormand–Prince 5(4)", 5.0, 6),
        ]
        .map(|(label, order, stages)| SolverSeries {
            label,
            points: (0..8)
                .map(|i| 2u32.pow(i))
                .map(|n| {
                    let error = 2.0 * (1.6 * f64::from(n)).powf(-order);
                    (f64::from(stages * n), error.hypot(saturation))
                })
                .collect(),
        })
        .to_vec()
    };
    let floor = NoiseFloor {
        mean: 0.178,
        std: 0.013,
    };
    let w2 = ErrorAgainstNfe {
        title: "What can be seen in the samples",
        quantity: ErrorQuantity::W2 { floor },
        series: series(0.19),
    };
    let map = ErrorAgainstNfe {
        title: "What the solver really does",
        quantity: ErrorQuantity::MapError,
        series: series(1e-12),
    };
    chapter.figure(w2.figure()).figure(map.figure());
}

fn digits_picture(random: &mut Lcg) -> Figure {
    // The header of the file takes 128 bytes, its rows 64 each.
    let file = include_bytes!("../../data/digits_images_u8.npy");
    let image = |i: usize| {
        file[128 + 64 * i..128 + 64 * (i + 1)]
            .iter()
            .map(|&v| f32::from(v))
    };
    let grid = |from: usize| {
        Array2::from_shape_vec((30, 64), (from..from + 30).flat_map(image).collect())
            .expect("thirty images")
    };
    let (real, nearest) = (grid(0), grid(400));
    let drawn = nearest.mapv(|v| v + 1.3 * random.normal() as f32);
    DigitGrids {
        title: "Real digits and drawn ones",
        panels: &[
            DigitPanel {
                label: "held-out real digits",
                images: real.view(),
            },
            DigitPanel {
                label: "drawn by the model",
                images: drawn.view(),
            },
            DigitPanel {
                label: "training digit nearest to each",
                images: nearest.view(),
            },
        ],
        range: PixelRange::ZeroToSixteen,
        columns: 6,
        scores: Some(DigitScores {
            accuracy: 0.63,
            accuracy_of_real: 0.511,
            nearest_of_drawn: 2.31,
            nearest_of_held_out: 2.44,
        }),
    }
    .figure()
}

/// A report with every kind of block.
pub(super) fn example() -> Report {
    let mut random = Lcg(20);
    let mut report = Report::new("A tour of flow matching", 20);
    let mut rows: Vec<_> = (1..=8)
        .map(|i| verification_row(&format!("FM.{i}"), true))
        .collect();
    for (row, claim) in rows.iter_mut().zip([
        "density, velocity and flux agree: J = p v",
        "mass is conserved: ∂p/∂t + ∇·(p v) = 0 for random mixtures, every schedule",
        "the same in flux form, every derivative by differences",
        "the flow map moves with the velocity",
        "sampling reaches the end of the flow",
        "the marginal density is the mixture of the conditional ones",
        "every conditional path conserves mass by itself",
        "the marginal velocity is the posterior mean of the conditional ones, by Monte Carlo",
    ]) {
        row.claim = claim.to_owned();
    }
    rows[0].expected_order = None;
    rows[0].observed_order = None;
    rows[0].residual = 2.2e-16;
    rows[7].expected_order = Some(-0.5);
    rows[7].observed_order = Some(-0.493);
    report
        .chapter("Do the equations hold?", "")
        .verification(&rows);
    let chapter = report.chapter(
        "From noise to data",
        "Eight blobs on a circle, drawn by the exact velocity field.",
    );
    flow_pictures(&mut random, chapter);
    report
        .chapter("Learning it", "The same, learned from samples.")
        .figure(loss_picture(&mut random));
    let solvers = [
        ("Euler", 1.0),
        ("Euler", 8.0),
        ("midpoint", 8.0),
        ("RK4", 16.0),
    ];
    let rows: Vec<_> = [
        "straight (OT) path of flow matching",
        "variance-preserving path of diffusion",
    ]
    .into_iter()
    .flat_map(|path| {
        solvers.map(|(solver, nfe)| few_step_row(path, solver, nfe, 0.17 + 1.2 / (nfe * nfe)))
    })
    .collect();
    let chapter = report.chapter("How few steps?", "");
    chapter.few_steps(&rows);
    error_pictures(chapter);
    report
        .chapter("Handwritten digits", "")
        .text("1297 digits for training, 500 held out.")
        .figure(digits_picture(&mut random));
    report
}

/// Checks that every element is closed in order, every attribute quoted and every `&` an
/// entity: what XML asks, so what every browser reads alike.
fn assert_well_formed(html: &str) {
    let body = html.strip_prefix("<!DOCTYPE html>\n").expect("doctype");
    let mut open: Vec<&str> = Vec::new();
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece
            .split_once('>')
            .unwrap_or_else(|| panic!("unclosed tag: {piece}"));
        let name = tag
            .split([' ', '/'])
            .find(|n| !n.is_empty())
            .expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
        } else {
            assert_eq!(tag.matches('"').count() % 2, 0, "unpaired quote in <{tag}>");
            let outside: String = tag.split('"').step_by(2).collect();
            assert_eq!(
                outside.matches('=').count(),
                tag.matches('"').count() / 2,
                "unquoted attribute in <{tag}>"
            );
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        for part in format!("{tag}{text}").split('&').skip(1) {
            let entity = part.split(';').next().expect("an entity");
            assert!(
                ["amp", "lt", "gt", "quot", "#39"].contains(&entity),
                "stray & before {entity}"
            );
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn the_page_is_well_formed() {
    assert_well_formed(&example().to_html());
    assert_well_formed(&Report::new("<&>", 0).to_html());
}

#[test]
fn the_checker_of_pages_can_fail() {
    for wrong in [
        "<p><b></p></b>",
        "<p>",
        "<p a=\"x>y</p>",
        "<p a=x></p>",
        "<p>a & b</p>",
    ] {
        let page = format!("<!DOCTYPE html>\n{wrong}");
        let judged = std::panic::catch_unwind(|| assert_well_formed(&page));
        assert!(judged.is_err(), "accepted {wrong}");
    }
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    assert_eq!(example().to_html(), example().to_html());
}

#[test]
fn the_page_needs_nothing_from_outside() {
    let html = example().to_html();
    for outside in ["://", "<script", "<link", "@import", "url(", "<iframe"] {
        assert!(!html.contains(outside), "found {outside}");
    }
    for address in html
        .split("src=\"")
        .skip(1)
        .chain(html.split("href=\"").skip(1))
    {
        assert!(
            address.starts_with("data:image/png;base64,") || address.starts_with("#chapter-"),
            "leads outside: {}",
            &address[..40]
        );
    }
}

/// Six maps, a thousand dots and thirty digits three times over: a page that
/// mails well.
#[test]
fn the_page_stays_below_a_megabyte() {
    let length = example().to_html().len();
    assert!(length <= 1_000_000, "{length} bytes");
}

#[test]
fn every_picture_is_described() {
    let html = example().to_html();
    for tag in html
        .split("<svg viewBox")
        .skip(1)
        .chain(html.split("<img").skip(1))
    {
        let tag = tag.split('>').next().expect("a tag");
        assert!(
            tag.contains("role=\"img\" ") && tag.contains("aria-label=\"")
                || tag.contains("aria-hidden=\"true\""),
            "undescribed: {}",
            &tag[..tag.len().min(120)]
        );
    }
}

#[test]
fn figures_are_numbered_and_explained_once() {
    let html = example().to_html();
    for n in 1..=7 {
        assert!(html.contains(&format!("<b>Figure {n}.</b>")), "figure {n}");
    }
    assert_eq!(html.matches("Drawing a sample costs as many").count(), 1);
}

#[test]
fn the_summary_counts_equations_over_all_tables() {
    let mut report = example();
    assert_eq!(report.summary(), "verified 8 of 8 equations");
    report
        .chapter("More", "")
        .verification(&[verification_row("FM.2", false)]);
    assert_eq!(report.summary(), "verified 7 of 8 equations");
    assert!(report.to_html().contains("✗ verified 7 of 8 equations"));
    assert_eq!(Report::new("", 0).summary(), "verified 0 of 0 equations");
}

#[test]
fn writing_creates_the_folder_and_replaces_the_file_whole() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let path = root.path().join("out/deep/report.html");
    Report::new("first", 1).write(&path).expect("written");
    let report = example();
    report.write(&path).expect("replaced");
    assert_eq!(
        std::fs::read_to_string(&path).expect("read"),
        report.to_html()
    );
    let beside = std::fs::read_dir(path.parent().expect("a folder")).expect("listed");
    assert_eq!(beside.count(), 1, "a temporary file was left behind");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_ne!(mode & 0o200, 0);
        // Whatever the mask, the owner's and an ordinary new file's rights agree.
        let plain = root.path().join("plain");
        std::fs::write(&plain, "").expect("written");
        let ordinary = std::fs::metadata(&plain)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode, ordinary);
    }
}

#[test]
fn a_path_that_cannot_be_written_is_an_error() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let file = root.path().join("file");
    std::fs::write(&file, "").expect("written");
    let report = Report::new("", 0);
    assert!(report.write(&file.join("report.html")).is_err());
    assert!(report.write(root.path()).is_err());
}
