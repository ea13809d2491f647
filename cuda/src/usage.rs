//! **What a kernel uses** of a multiprocessor, as the assembler reports it:
//! registers, memory of its own for each thread, and what of the registers had
//! to be spilled there.

use crate::compile::Compiled;

/// What the assembler says of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub kernel: String,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of a thread's own memory.
    pub stack: u32,
    /// Bytes of registers that are written there and read again, since there
    /// were not enough.
    pub spilled: u32,
}

impl Compiled {
    /// What each kernel uses, in the order of the report.
    #[must_use]
    pub fn usages(&self) -> Vec<Usage> {
        usages(&self.report)
    }
}

/// The number before a word.
fn before(line: &str, word: &str) -> Option<u32> {
    let (head, _) = line.split_once(word)?;
    let digits = head
        .trim_end()
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

/// Reads the assembler's report.
fn usages(report: &str) -> Vec<Usage> {
    let mut usages: Vec<Usage> = Vec::new();
    for line in report.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let kernel = rest.split('\'').next().unwrap_or_default().to_owned();
            usages.push(Usage {
                kernel,
                ..Usage::default()
            });
        }
        let Some(usage) = usages.last_mut() else {
            continue;
        };
        if let Some(stack) = before(line, " bytes stack frame") {
            usage.stack = stack;
            let stores = before(line, " bytes spill stores");
            let loads = before(line, " bytes spill loads");
            usage.spilled = stores.zip(loads).map_or(u32::MAX, |(s, l)| s + l);
        }
        if let Some(registers) = before(line, " registers") {
            usage.registers = registers;
        }
    }
    usages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_read_as_it_stands() {
        let report = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'one' for 'sm_90'
ptxas info    : Function properties for one
    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem
";
        let one = Usage {
            kernel: "one".to_owned(),
            registers: 32,
            stack: 16,
            spilled: 12,
        };
        assert_eq!(usages(report), [one]);
        assert_eq!(usages(""), []);
    }
}
