//! The book cannot rot: code that it quotes stands in the sources, files that
//! it names exist, and the tables that it shows are what is measured here.
//!
//! `UPDATE_BOOK=1 cargo test -p flowgrad-tests --test book` writes the tables.

use autograd::{Cpu, Draw, Philox, Tensor};
use flowgrad_tests::{root, sources};
use fm::dataset::Dataset;
use fm::mixture::{Mixture, MixturePath};
use fm::objective::{irreducible_loss, mean_loss};
use fm::path;
use fm::sampler::{Plan, sample};
use fm::schedule::Schedule;
use fm::trajectory::Trajectories;
use ndarray::Array2;
use regex::Regex;
use solvers::{Method, methods};
use std::fmt::Write;
use std::fs;

fn chapters() -> Vec<(String, String)> {
    let files = sources(&["md"]).into_iter();
    files
        .filter(|(name, _)| name.starts_with("book/"))
        .collect()
}

/// The files a chapter names, without repetition.
fn named(chapter: &str) -> Vec<String> {
    let path = Regex::new(r"`([a-z]+/[a-z_/]+\.(?:rs|json))`").expect("a pattern");
    let mut found: Vec<String> = path
        .captures_iter(chapter)
        .map(|c| c[1].to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The Rust quoted by a chapter.
fn quoted(chapter: &str) -> Vec<String> {
    let block = Regex::new(r"(?ms)^```rust\n(.*?)^```").expect("a pattern");
    block
        .captures_iter(chapter)
        .map(|c| c[1].to_owned())
        .collect()
}

#[test]
fn what_is_quoted_stands_in_a_file_that_is_named() {
    let (mut files, mut quotes) = (0, 0);
    for (name, text) in chapters() {
        let named = named(&text);
        let read = |path: &String| {
            fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{name}: {path}: {e}"))
        };
        let texts: Vec<String> = named.iter().map(read).collect();
        for quote in quoted(&text) {
            let found = texts.iter().any(|text| text.contains(&quote));
            assert!(found, "{name} quotes what is in no file it names:\n{quote}");
            quotes += 1;
        }
        files += named.len();
    }
    assert!(
        files >= 20 && quotes >= 10,
        "{files} files, {quotes} quotes"
    );
}

#[test]
fn a_chapter_that_misquotes_is_found() {
    let chapter = "See `fm/src/path.rs`:\n```rust\n    x1 - x0 // (FM.11)\n```\n";
    assert_eq!(named(chapter), ["fm/src/path.rs"]);
    let quotes = quoted(chapter);
    let text = fs::read_to_string(root().join("fm/src/path.rs")).expect("readable");
    assert!(!text.contains(&quotes[0]) && text.contains("    x1 - x0 // (FM.12)\n"));
}

/// Error of the end point on the regularised field of one pair.
fn soft_landing() -> String {
    let (x0, x1, sigma) = (1.0, 2.0, 1e-5);
    let error = |method: &'static Method, steps: usize| {
        let start = Tensor::<Cpu<f64>>::new(&[1, 1], vec![x0]);
        let end = sample(&start, &Plan::Fixed(method, steps), |t, x| {
            let v = path::velocity(t[0], x.item(), x1, sigma);
            Tensor::new(&[1, 1], vec![v])
        });
        (end.expect("finite").x1.item() - x1).abs()
    };
    let mut table = String::from("method               10       20       40   order seen\n");
    for method in [
        &*methods::EULER,
        &methods::MIDPOINT,
        &methods::RK4,
        &methods::DORMAND_PRINCE,
    ] {
        let errors = [10, 20, 40].map(|n| error(method, n));
        let order = (errors[1] / errors[2]).log2();
        let order = match errors[2] > 1e-4 {
            true => format!("{order:.2} of {}", method.order),
            false => "at the thickness".to_owned(),
        };
        let [a, b, c] = errors;
        let _ = writeln!(
            table,
            "{:15} {a:8.1e} {b:8.1e} {c:8.1e}   {order}",
            method.name
        );
    }
    table
}

fn noise(n: usize) -> Tensor<Cpu<f64>> {
    let mut numbers = vec![0.0; 2 * n];
    Philox::normal_f64(Draw::seed(3), 0, &mut numbers);
    Tensor::new(&[n, 2], numbers)
}

/// The bounded time at which a field is asked whose rates are infinite at 1.
fn before_one(t: &[f64]) -> Vec<f64> {
    t.iter().map(|t| t.min(1.0 - 1e-9)).collect()
}

/// Path energy against the least possible.
fn energy() -> String {
    let mut table = String::from("target                        energy    least   excess\n");
    let mut line = |name: &str, energy: f64, least: f64| {
        let excess = (energy - least) / least;
        let _ = writeln!(table, "{name:27} {energy:8.3} {least:8.3} {excess:8.3}");
    };
    for (m, s) in [(0.0, 0.5), (2.0, 0.5), (0.0, 2.0)] {
        // Starts ±1 have the mean and deviation of the noise.
        let target = Mixture::new(vec![1.0], vec![vec![m]], vec![s]).expect("valid");
        let path = MixturePath::new(target, Schedule::CondOt, 0.0).expect("valid");
        let x0 = Tensor::<Cpu<f64>>::new(&[2, 1], vec![1.0, -1.0]);
        let data = Array2::from_shape_vec((2, 1), vec![m + s, m - s]).expect("two rows");
        let ways = Trajectories::follow(&x0, 400, |t, x| path.velocity(t, x)).expect("finite");
        let course = ways.course(data.view()).expect("valid");
        line(
            &format!("N({m}, {s}^2) on the line"),
            course.energy,
            course.least,
        );
    }
    let path = MixturePath::new(Mixture::eight_gaussians(), Schedule::CondOt, 0.0);
    let path = path.expect("valid");
    let mut rng = Philox::new(Draw::seed(4));
    let data: Vec<f64> = (0..500)
        .flat_map(|_| path.target.sample(&mut rng))
        .collect();
    let data = Array2::from_shape_vec((500, 2), data).expect("two coordinates a row");
    let ways = Trajectories::follow(&noise(500), 100, |t, x| path.velocity(&before_one(t), x));
    let course = ways.expect("finite").course(data.view()).expect("valid");
    line("eight Gaussians, 500 samples", course.energy, course.least);
    table
}

/// What the thickness moves.
fn thickness() -> String {
    let s: f64 = 0.6;
    let mut table =
        String::from("sigma    start is off by   end is off by   end is blurred by at most\n");
    for sigma in [1e-5, 0.01, 0.1, 0.3] {
        let start = path::initial_variance(sigma).sqrt() - 1.0;
        let wide = (s * s + sigma * sigma).sqrt();
        let end = wide * (1.0 - 1.0 / path::initial_variance(sigma).sqrt());
        let _ = writeln!(table, "{sigma:<8} {start:15.1e} {end:15.1e} {sigma:20.1e}");
    }
    table
}

/// The floor of the loss, the loss of the zero field, and their difference.
fn floor() -> String {
    let mut table = String::from("data          zero field    floor   path energy\n");
    for set in [Dataset::EightGaussians, Dataset::Moons, Dataset::SCurve] {
        let target = set.mixture().expect("a mixture");
        let path = MixturePath::new(target, Schedule::CondOt, 0.0).expect("valid");
        // The same particles for both.
        let rng = || Philox::new(Draw::seed(2));
        let floor = irreducible_loss(&path, 20_000, &mut rng()).mean;
        let rest = |_: f64, x: &[f64]| vec![0.0; x.len()];
        let zero = mean_loss(&path, 20_000, &mut rng(), rest, path::joint_velocity).mean;
        let _ = writeln!(
            table,
            "{:12} {zero:11.2} {floor:8.2} {:13.2}",
            set.to_string(),
            zero - floor
        );
    }
    table
}

/// The error of few steps on two paths to one target.
fn steps() -> String {
    const N: usize = 500;
    let x0 = noise(N);
    let mut rows: Vec<(String, [f64; 2])> = Vec::new();
    let mut straightness = [0.0; 2];
    let plans: [(&str, &'static Method, usize); 7] = [
        ("Euler", &methods::EULER, 4),
        ("Euler", &methods::EULER, 10),
        ("Euler", &methods::EULER, 20),
        ("midpoint", &methods::MIDPOINT, 4),
        ("midpoint", &methods::MIDPOINT, 10),
        ("RK4", &methods::RK4, 4),
        ("RK4", &methods::RK4, 10),
    ];
    for (name, method, steps) in plans {
        let evaluations = steps * method.stages();
        rows.push((format!("{name:9} {steps:5} {evaluations:5}"), [0.0; 2]));
    }
    for (column, schedule) in [Schedule::CondOt, Schedule::VariancePreserving]
        .into_iter()
        .enumerate()
    {
        let path = MixturePath::new(Mixture::eight_gaussians(), schedule, 0.0).expect("valid");
        let field = |t: &[f64], x: &Tensor<Cpu<f64>>| path.velocity(&before_one(t), x);
        let exact = sample(&x0, &Plan::Adaptive(1e-9), field)
            .expect("finite")
            .x1;
        for (row, (_, method, steps)) in rows.iter_mut().zip(plans) {
            let end = sample(&x0, &Plan::Fixed(method, steps), field).expect("finite");
            let miss = (&end.x1 - &exact).square().sum().item() / N as f64;
            row.1[column] = miss.sqrt();
        }
        let ways = Trajectories::follow(&x0, 100, field).expect("finite");
        let course = ways.course(ways.end()).expect("valid");
        straightness[column] = course.straightness;
    }
    let mut table = String::from("solver    steps   NFE   straight   variance preserving\n");
    for (name, [straight, preserving]) in rows {
        let _ = writeln!(table, "{name} {straight:10.1e} {preserving:21.1e}");
    }
    let [straight, preserving] = straightness;
    let _ = writeln!(
        table,
        "straightness          {straight:9.1} {preserving:21.1}"
    );
    table
}

/// Where Euler's error comes from: what each particle's velocity changes by, and
/// what of that reaches the end.
fn cancelling() -> String {
    const N: usize = 500;
    let x0 = noise(N);
    let rms = |of: &dyn Fn(usize) -> f64| {
        let squares: f64 = (0..N).map(|i| of(i).powi(2)).sum();
        (squares / N as f64).sqrt()
    };
    let norm = |row: [f64; 2]| row[0].hypot(row[1]);
    let mut columns = Vec::new();
    for schedule in [Schedule::CondOt, Schedule::VariancePreserving] {
        let path = MixturePath::new(Mixture::eight_gaussians(), schedule, 0.0).expect("valid");
        let field = |t: &[f64], x: &Tensor<Cpu<f64>>| path.velocity(&before_one(t), x);
        // ½a = ½(∂v/∂t + ∇v·v) comes in, and ∇v carries along what is there:
        // together one derivative, in the direction (½, ½v + δ).
        let start = Tensor::concat(&[&x0, &(0.0 * &x0)], 1);
        let first_order = sample(&start, &Plan::Fixed(&methods::RK4, 200), |t, y| {
            let (x, delta) = (y.slice(1, 0, 2), y.slice(1, 2, 2));
            let v = field(t, &x);
            let aside = 1e-4 * (0.5 * &v + &delta);
            let [after, before] = [1.0, -1.0].map(|sign| {
                // Next to an end the difference is taken a little inside.
                let t: Vec<f64> = t.iter().map(|t| t.clamp(5e-5, 1.0 - 5e-5)).collect();
                let t: Vec<f64> = t.iter().map(|t| t + sign * 5e-5).collect();
                field(&t, &(&x + sign * &aside))
            });
            Tensor::concat(&[&v, &((after - before) * (0.5 / 1e-4))], 1)
        });
        let end = first_order.expect("finite").x1;
        let (exact, delta) = (end.slice(1, 0, 2), end.slice(1, 2, 2));
        let euler = sample(&x0, &Plan::Fixed(&methods::EULER, 20), field).expect("finite");
        let miss = 20.0 * (euler.x1 - exact);
        let ways = Trajectories::follow(&x0, 400, field).expect("finite");
        let velocities: Vec<Vec<f64>> = (ways.times.iter().zip(ways.positions.outer_iter()))
            .map(|(&t, x)| {
                let x = Tensor::new(&[N, 2], x.iter().copied().collect());
                field(&vec![t; N], &x).to_vec()
            })
            .collect();
        let row = |of: &[f64], i: usize| [of[2 * i], of[2 * i + 1]];
        let change = |from: &[f64], to: &[f64], i: usize| {
            let (from, to) = (row(from, i), row(to, i));
            norm([to[0] - from[0], to[1] - from[1]])
        };
        let (first, last) = (&velocities[0], &velocities[velocities.len() - 1]);
        let steps = |i| {
            velocities
                .windows(2)
                .map(|v| change(&v[0], &v[1], i))
                .sum::<f64>()
        };
        columns.push([
            rms(&|i| norm(row(first, i))),
            rms(&|i| norm(row(last, i))),
            rms(&|i| 0.5 * steps(i)),
            rms(&|i| 0.5 * change(first, last, i)),
            rms(&|i| norm(row(delta.as_slice(), i))),
            rms(&|i| norm(row(miss.as_slice(), i))),
        ]);
    }
    let mut table =
        String::from("                                straight   variance preserving\n");
    let names = [
        "speed at the start",
        "speed at the end",
        "half the integral of |a|",
        "half |v(1) - v(0)|",
        "half |integral of J a|",
        "error of 20 Euler steps, * 20",
    ];
    for (i, name) in names.iter().enumerate() {
        let (straight, preserving) = (columns[0][i], columns[1][i]);
        let _ = writeln!(table, "{name:30} {straight:9.2} {preserving:21.2}");
    }
    table
}

/// The block after a marker, replaced.
fn with_table(text: &str, name: &str, table: &str) -> Option<String> {
    let marker = format!("<!-- measured: {name} -->\n```text\n");
    let begin = text.find(&marker)? + marker.len();
    let end = begin + text[begin..].find("```")?;
    Some(format!("{}{table}{}", &text[..begin], &text[end..]))
}

#[test]
fn the_tables_of_the_book_are_what_is_measured() {
    let file = root().join("book/src/not_literally_true.md");
    let text = fs::read_to_string(&file).expect("readable");
    let mut fresh = text.clone();
    type Measure = fn() -> String;
    let tables: [(&str, Measure); 6] = [
        ("soft_landing", soft_landing),
        ("energy", energy),
        ("thickness", thickness),
        ("floor", floor),
        ("steps", steps),
        ("cancelling", cancelling),
    ];
    for (name, measure) in tables {
        fresh = with_table(&fresh, name, &measure()).expect("a place for each table");
    }
    if std::env::var_os("UPDATE_BOOK").is_some() {
        fs::write(&file, &fresh).expect("writable");
        return;
    }
    assert!(
        text == fresh,
        "the tables of {} are out of date: run UPDATE_BOOK=1 cargo test -p flowgrad-tests --test book",
        file.display()
    );
}
