//! **Source**: the text of kernels, as the compiler gets it.
//!
//! One text holds everything a module needs, headers included, so the same
//! bytes go to NVRTC on a device, to NVRTC in the tests and to the emulator.

use std::fmt::Write as _;

/// A module's text, under a name for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    hash: u64,
}

impl Source {
    /// Several files one behind the other, each introduced by a line that
    /// tells the compiler where it comes from.
    #[must_use]
    pub fn of(name: &str, files: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (file, content) in files {
            write!(text, "#line 1 \"{file}\"\n{content}\n").expect("a string grows");
        }
        let hash = fnv1a(text.as_bytes());
        Source {
            name: name.to_owned(),
            text,
            hash,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The hash of the text, by `fnv1a`.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// The 64-bit hash of Fowler, Noll and Vo (FNV-1a).
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_in_their_own_file() {
        let source = Source::of("two", &[("a.cuh", "int a;"), ("b.cu", "int b;")]);
        let text = "#line 1 \"a.cuh\"\nint a;\n#line 1 \"b.cu\"\nint b;\n";
        assert_eq!(source.text(), text);
        let other = Source::of("two", &[("a.cuh", "int a;"), ("b.cu", "int c;")]);
        assert_ne!(source.hash(), other.hash());
    }
}
