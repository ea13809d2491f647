//! **Floors**: what a GPU's own ceilings leave of a time.
//!
//! A point's floor is the longest of its operations at the measured rate of
//! large products, the bytes that must move at the measured rate of a copy, and
//! its launches inside a graph, and one launch. Bytes are counted as if each
//! array were touched once by whoever needs it; what a cache keeps of them makes
//! a point beat its floor.
//!
//! | question | operations | bytes | launches inside a graph |
//! |---|---|---|---|
//! | product `m n k` | `2mnk` | `4(mk + kn + mn)` | |
//! | pointwise chain `n` | | `16n` | |
//! | sum `n` | | `4n` | |
//! | softmax `r c` | | `4(2rc + r)` | |
//! | scatter-add `p r i` | | `4(pi + ri + p)` | |
//! | convolution `B C H F` | `18BCFH²` | `4(BCH² + 9CF + BFH²)` | |
//! | sampling step `B H L` | `2BW` | `16B + 4P` | `L + 1` |
//! | training step `B H L` | `6BW − 6BH` | `16BHL + 28B + 36P` | `3L + 2` |
//!
//! Scatter-add puts `p` rows of `i` numbers into `r`; the convolution is of `B`
//! images `[C, H, H]` with `F` filters `3 × 3` and a margin of 1. A graph has a
//! launch for each product at least, one for the whole network if its program is
//! fused (sampling), and one more for its pull if it is narrow (training).
//!
//! `W` are the weights and `P` the parameters of `[3 → H × L → 2]`; of a
//! training step the activations `z` and `h` are written and read once, and
//! AdamW with the moving average reads five numbers a parameter and writes four.

use std::fmt::Write as _;

/// What a GPU was measured to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ceilings {
    /// Bytes a second of a copy, read and written.
    pub copy: f64,
    /// Operations a second of a large product, by how factors are rounded.
    pub f32: f64,
    /// The same to 11 bits.
    pub tf32: f64,
    /// The same to 8 bits.
    pub bf16: f64,
    /// Seconds of a launch.
    pub launch: f64,
    /// Seconds of a launch inside a graph.
    pub node: f64,
    /// Seconds of the launch of a graph with one launch inside.
    pub graph: f64,
}

impl Ceilings {
    /// Names and values, in a fixed order.
    fn fields(&mut self) -> [(&'static str, &mut f64); 7] {
        [
            ("copy", &mut self.copy),
            ("f32", &mut self.f32),
            ("tf32", &mut self.tf32),
            ("bf16", &mut self.bf16),
            ("launch", &mut self.launch),
            ("node", &mut self.node),
            ("graph", &mut self.graph),
        ]
    }

    /// A line for each, `name value`.
    #[must_use]
    pub fn to_lines(mut self) -> String {
        let mut lines = String::new();
        for (name, value) in self.fields() {
            writeln!(lines, "ceiling {name} {value:e}").expect("a string grows");
        }
        lines
    }

    /// Reads such lines; others are passed over.
    ///
    /// # Errors
    /// With the ceiling that is missing or no positive number.
    pub fn of_lines(text: &str) -> Result<Self, String> {
        let mut ceilings = Ceilings::default();
        for (name, value) in ceilings.fields() {
            let line = text.lines().find_map(|line| {
                let rest = line.strip_prefix("ceiling ")?.strip_prefix(name)?;
                rest.strip_prefix(' ')
            });
            let number = line.and_then(|word| word.trim().parse().ok());
            let positive = number.filter(|x: &f64| *x > 0.0 && x.is_finite());
            *value = positive.ok_or(format!("ceiling {name}: {line:?} is no positive number"))?;
        }
        Ok(ceilings)
    }

    /// Operations a second of a program, by what its name says of precision.
    fn rate(&self, program: &str) -> f64 {
        let says = |word: &str| program.contains(word);
        if says("Tf32") {
            self.tf32
        } else if says("Bf16") || says("Tensor") {
            self.bf16
        } else {
            self.f32
        }
    }

    /// Seconds that a point cannot fall below, if it runs on the GPU and its
    /// question is one of the table's.
    #[must_use]
    pub fn floor(&self, question: &str, program: &str, size: &str) -> Option<f64> {
        if program == "cpu" {
            return None;
        }
        let numbers: Option<Vec<f64>> = size.split(' ').map(|n| n.parse().ok()).collect();
        let numbers = numbers?;
        let (operations, bytes) = cost(question, &numbers)?;
        let work = f64::max(operations / self.rate(program), bytes / self.copy);
        let recorded = program.contains("graph") || program.contains("fused");
        if !recorded {
            return Some(work + self.launch);
        }
        let inside = launches(question, program, &numbers) * self.node;
        Some(work.max(inside) + self.graph)
    }
}

/// The fewest launches that a recorded point consists of.
fn launches(question: &str, program: &str, size: &[f64]) -> f64 {
    match (question, size) {
        ("sampling step", _) if program.contains("fused") => 1.0,
        ("sampling step", &[_, _, layers]) => layers + 1.0,
        ("training step", _) if program.contains("narrow") => 2.0,
        // A product forward and two back, but none to what goes in.
        ("training step", &[_, _, layers]) => 3.0 * layers + 2.0,
        _ => 1.0,
    }
}

/// Operations and bytes of a point.
fn cost(question: &str, size: &[f64]) -> Option<(f64, f64)> {
    match (question, size) {
        ("product", &[m, n, k]) => Some((2.0 * m * n * k, 4.0 * (m * k + k * n + m * n))),
        ("pointwise chain", &[n]) => Some((0.0, 16.0 * n)),
        ("sum", &[n]) => Some((0.0, 4.0 * n)),
        ("softmax", &[r, c]) => Some((0.0, 4.0 * (2.0 * r * c + r))),
        ("scatter-add", &[p, r, i]) => Some((0.0, 4.0 * (p * i + r * i + p))),
        ("convolution", &[b, c, h, f]) => {
            let places = b * h * h;
            let numbers = places * c + 9.0 * c * f + places * f;
            Some((2.0 * places * 9.0 * c * f, 4.0 * numbers))
        }
        ("sampling step" | "training step", &[b, h, l]) => {
            let weights = 3.0 * h + (l - 1.0) * h * h + 2.0 * h;
            let parameters = weights + l * h + 2.0;
            Some(match question {
                "sampling step" => (2.0 * b * weights, 16.0 * b + 4.0 * parameters),
                _ => (
                    6.0 * b * weights - 6.0 * b * h,
                    16.0 * b * h * l + 28.0 * b + 36.0 * parameters,
                ),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Round numbers, of the size of a GPU's.
    pub(crate) const ROUND: Ceilings = Ceilings {
        copy: 1e12,
        f32: 1e13,
        tf32: 1e14,
        bf16: 2e14,
        launch: 5e-6,
        node: 1e-6,
        graph: 7e-6,
    };

    #[test]
    fn lines_are_read_as_they_are_written() {
        let lines = format!("a word before\n{}", ROUND.to_lines());
        assert_eq!(Ceilings::of_lines(&lines), Ok(ROUND));
        for (right, wrong) in [
            ("ceiling copy", "ceiling"),
            ("1e12", "NaN"),
            ("7e-6", "-7e-6"),
            ("5e-6", "inf"),
        ] {
            let error = Ceilings::of_lines(&lines.replace(right, wrong));
            assert!(error.is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_longer_of_operations_and_bytes_and_one_launch() {
        let close = |found: Option<f64>, expected: f64| {
            let found = found.expect("a point of the table");
            assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        };
        let floor = |question, program, size| ROUND.floor(question, program, size);
        // 2·10⁹ operations, 4·3·10⁶ bytes.
        close(floor("product", "cuda F32", "1000 1000 1000"), 2e-4 + 5e-6);
        close(floor("product", "cuda Tf32", "1000 1000 1000"), 2e-5 + 5e-6);
        // Bytes are longer where k is small.
        close(
            floor("product", "cuda Bf16", "1000 1000 1"),
            4.0 * 1.002e6 / 1e12 + 5e-6,
        );
        close(floor("sum", "cuda", "1000000"), 4e-6 + 5e-6);
        close(
            floor("pointwise chain", "cuda printed", "1000000"),
            16e-6 + 5e-6,
        );
        close(
            floor("softmax", "cuda Warp", "1000 100"),
            4.0 * 201e3 / 1e12 + 5e-6,
        );
        close(
            floor("scatter-add", "cuda Listed", "1000 100 10"),
            4.0 * 12e3 / 1e12 + 5e-6,
        );
        // 10⁴ places of 9·10 numbers and 20 filters.
        close(
            floor("convolution", "cuda F32", "100 10 10 20"),
            2.0 * 1e4 * 90.0 * 20.0 / 1e13 + 5e-6,
        );
        // A lesson's name says how it rounds; what says Tensor alone rounds to 8 bits.
        for (program, rate) in [
            ("cuda lesson Blocked", 1e13),
            ("cuda lesson TensorTf32", 1e14),
            ("cuda lesson TensorDirect", 2e14),
        ] {
            close(
                floor("product", program, "2000 2000 1000"),
                8e9 / rate + 5e-6,
            );
        }
        // One hidden layer of one number: 3 + 2 weights, 3 more parameters.
        let many = Ceilings {
            node: 1e-12,
            ..ROUND
        };
        close(
            many.floor("training step", "cuda graph F32", "100 1 1"),
            (1600.0 + 2800.0 + 36.0 * 8.0) / 1e12 + 7e-6,
        );
        // So little work that the launches inside decide: of two layers two
        // products forward and three back; the whole network, and its pull.
        for (question, program, count) in [
            ("training step", "cuda graph F32", 5.0),
            ("training step", "cuda fused Bf16", 5.0),
            ("training step", "cuda narrow, fused F32", 2.0),
            ("sampling step", "cuda graph F32", 2.0),
            ("sampling step", "cuda fused Shared", 1.0),
        ] {
            close(floor(question, program, "100 1 1"), count * 1e-6 + 7e-6);
        }
        // 10 weights at batch 10⁶ in the slowest precision: operations decide.
        let slow = Ceilings { copy: 1e18, ..many };
        close(
            slow.floor("sampling step", "cuda fused Shared", "1000000 2 1"),
            2e7 / 1e13 + 7e-6,
        );
        close(
            slow.floor("training step", "torch-graph Tf32", "1000000 2 1"),
            (6e7 - 12e6) / 1e14 + 7e-6,
        );
    }

    #[test]
    fn what_is_not_in_the_table_has_no_floor() {
        assert_eq!(ROUND.floor("sum", "cpu", "10"), None);
        assert_eq!(ROUND.floor("sum", "cuda", "10 20"), None);
        assert_eq!(ROUND.floor("sum", "cuda", "ten"), None);
        assert_eq!(ROUND.floor("other", "cuda", "10"), None);
    }
}
