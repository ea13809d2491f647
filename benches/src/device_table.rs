//! **The table of a run on a GPU**: measured, floor, and their ratio, from
//! ceilings, from what criterion has kept, and from the lines of peers.

use crate::floor::Ceilings;
use crate::race;
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// A time of one program at one size of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which question.
    pub question: String,
    /// The size.
    pub size: String,
    /// Who answered it.
    pub program: String,
    /// Median seconds.
    pub seconds: f64,
}

/// What criterion writes beside each result, as far as it is needed.
#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// Nanoseconds.
    point_estimate: f64,
}

/// All points below a folder that criterion has written (`CRITERION_HOME`).
///
/// # Errors
/// If a folder cannot be read, or a file is not as criterion writes it.
pub fn of_criterion(folder: &Path) -> io::Result<Vec<Point>> {
    let mut points = Vec::new();
    let (result, median) = (folder.join("benchmark.json"), folder.join("estimates.json"));
    // Criterion may have been stopped between the two.
    if folder.ends_with("new") && result.exists() && median.exists() {
        let benchmark: Benchmark = serde_json::from_slice(&fs::read(result)?)?;
        let estimates: Estimates = serde_json::from_slice(&fs::read(median)?)?;
        points.push(Point {
            question: benchmark.group_id,
            size: benchmark.value_str.unwrap_or_default(),
            program: benchmark.function_id.unwrap_or_default(),
            seconds: estimates.median.point_estimate * 1e-9,
        });
        return Ok(points);
    }
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.into_iter().filter(|entry| entry.path().is_dir()) {
        points.extend(of_criterion(&entry.path())?);
    }
    Ok(points)
}

/// The lines of peers, `name BATCH HIDDEN LAYERS MEDIAN ms`; others are passed
/// over, because frameworks say this and that.
#[must_use]
pub fn of_peers(text: &str) -> Vec<Point> {
    let line = |line: &str| {
        let name = line.split_whitespace().next()?;
        let time = race::read(name, line).ok()?.remove(0);
        Some(Point {
            question: "training step".to_owned(),
            size: time.size,
            program: name.to_owned(),
            seconds: time.ms * 1e-3,
        })
    };
    text.lines().filter_map(line).collect()
}

/// The table in Markdown: questions in the order of their first point, sizes
/// and programs within.
#[must_use]
pub fn table(ceilings: &Ceilings, points: &[Point]) -> String {
    let mut text = String::from("| question | size | program | measured µs | floor µs | ratio |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    let mut order: Vec<(&str, &str)> = Vec::new();
    for point in points {
        let key = (point.question.as_str(), point.size.as_str());
        if !order.contains(&key) {
            order.push(key);
        }
    }
    order.sort_by_key(|(question, _)| points.iter().position(|point| point.question == *question));
    for (question, size) in order {
        let here = points
            .iter()
            .filter(|p| p.question == question && p.size == size);
        for Point {
            program, seconds, ..
        } in here
        {
            let measured = seconds * 1e6;
            write!(text, "| {question} | {size} | {program} | {measured:.2} |")
                .expect("a string grows");
            match ceilings.floor(question, program, size) {
                Some(floor) => {
                    let ratio = seconds / floor;
                    writeln!(text, " {:.2} | **{ratio:.2}** |", floor * 1e6)
                }
                None => writeln!(text, " | |"),
            }
            .expect("a string grows");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::tests::ROUND;

    #[test]
    fn what_criterion_has_kept_is_read() {
        let folder = tempfile::tempdir().expect("there is room");
        let write = |place: &str, name: &str, text: &str| {
            let place = folder.path().join(place);
            fs::create_dir_all(&place).expect("made");
            fs::write(place.join(name), text).expect("written");
        };
        let benchmark = r#"{"group_id":"sum","function_id":"cuda","value_str":"1000000","full_id":"sum/cuda/1000000","directory_name":"x","title":"x","throughput":null}"#;
        write("sum/cuda/1000000/new", "benchmark.json", benchmark);
        let estimates = r#"{"mean":{"point_estimate":9.0},"median":{"confidence_interval":{},"point_estimate":18000.0,"standard_error":1.0}}"#;
        write("sum/cuda/1000000/new", "estimates.json", estimates);
        // What was measured before is no point of this run.
        write("sum/cuda/1000000/base", "benchmark.json", benchmark);
        write("sum/cuda/1000000/base", "estimates.json", estimates);
        let points = of_criterion(folder.path()).expect("readable");
        let point = Point {
            question: "sum".to_owned(),
            size: "1000000".to_owned(),
            program: "cuda".to_owned(),
            seconds: 18e-6,
        };
        assert_eq!(points.len(), 1);
        assert!((points[0].seconds - point.seconds).abs() < 1e-15);
        assert_eq!(
            (&points[0].question, &points[0].program),
            (&point.question, &point.program)
        );
        let text = table(&ROUND, &[point]);
        let line = "| sum | 1000000 | cuda | 18.00 | 9.00 | **2.00** |\n";
        assert!(text.ends_with(line), "{text}");
        // Stopped half way, it is no point; broken, it is an error.
        write("broken/new", "benchmark.json", "{}");
        assert_eq!(of_criterion(folder.path()).expect("readable").len(), 1);
        write("broken/new", "estimates.json", "{}");
        assert!(of_criterion(folder.path()).is_err());
    }

    #[test]
    fn peers_stand_beside_ours_at_the_same_size() {
        let said = "compiling for a while\ntorch-eager-Tf32 4096 64 3 0.500 ms\n\
                    jax-scan-Tf32 4096 64 3 0.070 ms\njax-scan 4096 64 3 NaN ms\n";
        let peers = of_peers(said);
        assert_eq!(peers.len(), 2);
        let ours = |size: &str, seconds| Point {
            question: "training step".to_owned(),
            size: size.to_owned(),
            program: "cuda graph Tf32".to_owned(),
            seconds,
        };
        let mut points = vec![ours("4096 64 3", 1e-4), ours("256 64 3", 5e-5)];
        points.extend(peers);
        let cpu = Point {
            program: "cpu".to_owned(),
            ..ours("4096 64 3", 1e-3)
        };
        points.push(cpu);
        let text = table(&ROUND, &points);
        let programs: Vec<&str> = text
            .lines()
            .skip(2)
            .filter_map(|line| line.split(" | ").nth(2))
            .collect();
        let expected = [
            "cuda graph Tf32",
            "torch-eager-Tf32",
            "jax-scan-Tf32",
            "cpu",
            "cuda graph Tf32",
        ];
        assert_eq!(programs, expected);
        assert!(
            text.contains("| cpu | 1000.00 | | |\n"),
            "no floor of a CPU: {text}"
        );
    }
}
