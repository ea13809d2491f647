//! **Archive**: named arrays in a safetensors file.
//!
//! A model is written as one tensor for each leaf, under the leaf's name
//! (`layers.0.weight`), in the format every framework reads. Reading trusts
//! nothing: the header is validated against the length of the file before
//! anything is allocated, and names, shapes, types and finiteness are checked
//! against the model that is to be filled. A file is replaced whole or not at
//! all.

use crate::cpu::Cpu;
use crate::real::Real;
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::Tensor;
use crate::tree::Tree;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Named arrays of one number type, and text about them.
#[derive(Clone, Debug, Default)]
pub struct Archive<F: Real> {
    tensors: BTreeMap<String, Tensor<Cpu<F>>>,
    /// Free text by key, such as the arguments of a training.
    pub metadata: BTreeMap<String, String>,
}

/// Why an archive could not be written, read or used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file system said no.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file is not a valid safetensors file.
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor the model needs is not there.
    Missing {
        /// Its name.
        name: String,
        /// What is there.
        present: Vec<String>,
    },
    /// A tensor has another shape than the model's.
    Shape {
        /// Its name.
        name: String,
        /// In the file.
        found: Vec<usize>,
        /// In the model.
        expected: Vec<usize>,
    },
    /// A tensor has a NaN or infinite element.
    NotFinite {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveError::Io { path, source } => write!(f, "{}: {source}", path.display()),
            ArchiveError::Format { path, reason } => write!(
                f,
                "{}: a safetensors file was expected, but {reason}",
                path.display()
            ),
            ArchiveError::Missing { name, present } => write!(
                f,
                "tensor {name:?} is missing; the file has {}",
                abbreviated(present)
            ),
            ArchiveError::Shape {
                name,
                found,
                expected,
            } => write!(
                f,
                "tensor {name:?} has shape {found:?}, but the model needs {expected:?}"
            ),
            ArchiveError::NotFinite { name } => {
                write!(f, "tensor {name:?} has a NaN or infinite element")
            }
        }
    }
}

impl std::error::Error for ArchiveError {}

/// At most eight names, and how many more there are.
fn abbreviated(names: &[String]) -> String {
    if names.is_empty() {
        return "no tensors".to_owned();
    }
    let shown = names.len().min(8);
    let more = match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names[..shown].join(", "))
}

impl<F: Real> Archive<F> {
    /// An archive with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Archive {
            tensors: BTreeMap::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Puts all leaves of a model in, under `prefix` if it is not empty.
    pub fn insert<M: Tree<Cpu<F>>>(&mut self, prefix: &str, model: &M) {
        model.each(prefix, &mut |name, leaf| {
            let name = name.trim_start_matches('.').to_owned();
            self.tensors.insert(name, leaf.clone());
        });
    }

    /// Puts the arrays of the archive into the leaves of a model.
    ///
    /// # Errors
    /// A leaf that is missing, has another shape, or is not finite. The model
    /// is then unchanged.
    pub fn fill<M: Tree<Cpu<F>>>(&self, prefix: &str, model: &mut M) -> Result<(), ArchiveError> {
        let mut found = Ok(Vec::new());
        model.each(prefix, &mut |name, leaf| {
            let name = name.trim_start_matches('.');
            if let Ok(tensors) = &mut found {
                match self.get(name, &leaf.shape()) {
                    Ok(tensor) => tensors.push(tensor.clone()),
                    Err(error) => found = Err(error),
                }
            }
        });
        let mut tensors = found?.into_iter();
        model.each_mut(&mut |leaf| {
            if let Some(tensor) = tensors.next() {
                *leaf = tensor;
            }
        });
        Ok(())
    }

    /// The tensor of a name, which must have this shape and be finite.
    ///
    /// # Errors
    /// If it is missing, has another shape, or is not finite.
    pub fn get(&self, name: &str, expected: &Shape) -> Result<&Tensor<Cpu<F>>, ArchiveError> {
        let name = name.to_owned();
        let Some(tensor) = self.tensors.get(&name) else {
            let present = self.tensors.keys().cloned().collect();
            return Err(ArchiveError::Missing { name, present });
        };
        if tensor.shape() != *expected {
            let (found, expected) = (tensor.shape().to_vec(), expected.to_vec());
            #[rustfmt::skip]
            return Err(ArchiveError::Shape { name, found, expected });
        }
        if !tensor.all_finite() {
            return Err(ArchiveError::NotFinite { name });
        }
        Ok(tensor)
    }

    /// Names and shapes, in alphabetical order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Shape)> {
        let entries = self.tensors.iter();
        entries.map(|(name, tensor)| (name.as_str(), tensor.shape()))
    }

    /// The file as bytes; the same archive gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let raw: Vec<(&String, Vec<u8>, Shape)> = self
            .tensors
            .iter()
            .map(|(name, t)| (name, F::to_le_bytes(t.as_slice()), t.shape()))
            .collect();
        let views = raw.iter().map(|(name, bytes, shape)| {
            let view = TensorView::new(F::DTYPE, shape.to_vec(), bytes);
            (
                name.as_str(),
                view.expect("bytes and shape belong together"),
            )
        });
        // The crate takes a hash map, whose order would differ from run to
        // run; with one entry there is only one order.
        let metadata = (!self.metadata.is_empty()).then(|| {
            let text = serialise(&self.metadata);
            HashMap::from([(METADATA_KEY.to_owned(), text)])
        });
        safetensors::serialize(views, metadata).expect("names and shapes are valid")
    }

    /// Writes the file: under a temporary name first, then moved in place, so
    /// that a full disk or a kill leaves the old file whole.
    ///
    /// # Errors
    /// What the file system says, with the path.
    pub fn write(&self, path: &Path) -> Result<(), ArchiveError> {
        replace_file(path, &self.to_bytes()).map_err(|source| ArchiveError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is not a safetensors file of this type.
    pub fn read(path: &Path) -> Result<Self, ArchiveError> {
        let bytes = fs::read(path).map_err(|source| ArchiveError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|reason| ArchiveError::Format {
            path: path.to_owned(),
            reason,
        })
    }

    /// Reads a file from memory.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let say = |error: SafeTensorError| format!("it is damaged: {error}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(say)?;
        let file = SafeTensors::deserialize(bytes).map_err(say)?;
        let mut archive = Self::new();
        for (name, view) in file.iter() {
            if view.dtype() != F::DTYPE {
                return Err(format!(
                    "tensor {name:?} has type {:?} where {} was expected",
                    view.dtype(),
                    F::NAME
                ));
            }
            if view.shape().len() > MAX_RANK {
                return Err(format!(
                    "tensor {name:?} has {} axes, at most {MAX_RANK} are supported",
                    view.shape().len()
                ));
            }
            let numbers = F::from_le_bytes(view.data());
            let tensor = Tensor::new(view.shape(), numbers);
            archive.tensors.insert(name.to_owned(), tensor);
        }
        if let Some(text) = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY)) {
            archive.metadata = parse(text)?;
        }
        Ok(archive)
    }
}

/// Our entry in the file's metadata: one `key=value` on each line.
const METADATA_KEY: &str = "flowgrad";

fn serialise(metadata: &BTreeMap<String, String>) -> String {
    // The sign of the escape goes first here and last in `parse`.
    let escape = |s: &str| {
        s.replace('%', "%25")
            .replace('\n', "%0A")
            .replace('=', "%3D")
    };
    let lines = metadata.iter();
    lines
        .map(|(k, v)| format!("{}={}\n", escape(k), escape(v)))
        .collect()
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let unescape = |s: &str| {
        s.replace("%3D", "=")
            .replace("%0A", "\n")
            .replace("%25", "%")
    };
    let pair = |line: &str| {
        let (k, v) = line
            .split_once('=')
            .ok_or_else(|| format!("metadata line {line:?} has no '='"))?;
        Ok((unescape(k), unescape(v)))
    };
    text.lines().map(pair).collect()
}

/// Puts `bytes` in place of the file: written beside it, synced, renamed.
///
/// # Errors
/// What the file system says; the old file is then untouched.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}.partial", std::process::id()));
    let temporary = path.with_file_name(temporary_name);
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        // Best effort: the error already says what matters.
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

/// How numbers lie in the file: little-endian.
pub(crate) trait Bytes: Sized {
    const DTYPE: Dtype;
    fn to_le_bytes(numbers: &[Self]) -> Vec<u8>;
    fn from_le_bytes(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! bytes {
    ($float:ty, $dtype:expr) => {
        impl Bytes for $float {
            const DTYPE: Dtype = $dtype;
            fn to_le_bytes(numbers: &[Self]) -> Vec<u8> {
                numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
            }
            fn from_le_bytes(bytes: &[u8]) -> Vec<Self> {
                let (words, _) = bytes.as_chunks();
                words.iter().map(|w| <$float>::from_le_bytes(*w)).collect()
            }
        }
    };
}
bytes!(f32, Dtype::F32);
bytes!(f64, Dtype::F64);

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (Tensor<Cpu<f32>>, Tensor<Cpu<f32>>);

    fn model() -> Pair {
        let a = Tensor::new(&[2, 3], vec![1.0, -2.0, 3.5, 0.0, 1e-30, 7.0]);
        (a, Tensor::scalar(-0.0))
    }

    fn archive() -> Archive<f32> {
        let mut archive = Archive::new();
        archive.insert("model", &model());
        let text = "3 %25\nlines = %0A\\n".to_owned();
        archive.metadata.insert("note".to_owned(), text);
        archive
    }

    #[test]
    fn what_is_written_is_read_back_in_bits() {
        let written = archive();
        let bytes = written.to_bytes();
        assert_eq!(bytes, archive().to_bytes(), "same archive, same bytes");
        let read = Archive::<f32>::from_bytes(&bytes).expect("a valid file");
        assert_eq!(read.metadata, written.metadata);
        let mut filled: Pair = (Tensor::full(&[2, 3], 9.0), Tensor::scalar(9.0));
        read.fill("model", &mut filled).expect("it fits");
        for (x, y) in filled.leaves().iter().zip(model().leaves()) {
            let bits = |t: &Tensor<Cpu<f32>>| -> Vec<u32> {
                t.as_slice().iter().map(|x| x.to_bits()).collect()
            };
            assert_eq!(bits(x), bits(&y));
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_name_and_shapes() {
        let mut wrong: Pair = (Tensor::full(&[3, 2], 0.0), Tensor::scalar(0.0));
        let error = archive().fill("model", &mut wrong).unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            r#"tensor "model.0" has shape [2, 3], but the model needs [3, 2]"#
        );
        let error = archive().fill("other", &mut wrong).unwrap_err();
        assert!(
            error.to_string().contains(r#""other.0" is missing"#),
            "{error}"
        );
        let mut bad = Archive::new();
        bad.insert(
            "model",
            &(Tensor::full(&[3, 2], f32::NAN), Tensor::scalar(0.0f32)),
        );
        let error = bad.fill("model", &mut wrong).unwrap_err();
        assert!(error.to_string().contains("NaN"), "{error}");
        let f64s = Archive::<f64>::from_bytes(&archive().to_bytes()).unwrap_err();
        assert!(f64s.contains("type F32 where f64"), "{f64s}");
    }

    /// Every truncation, and thousands of damaged copies: an error or a valid
    /// archive, never a panic.
    #[test]
    fn damaged_files_are_refused_without_a_panic() {
        let bytes = archive().to_bytes();
        for length in 0..bytes.len() {
            assert!(Archive::<f32>::from_bytes(&bytes[..length]).is_err());
        }
        let mut state = 1u64;
        let mut next = |below: usize| {
            // Knuth's multiplicative generator; its high bits are good enough.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % below
        };
        for _ in 0..5000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + next(4) {
                let place = next(damaged.len());
                damaged[place] = next(256) as u8;
            }
            let _ = Archive::<f32>::from_bytes(&damaged);
        }
        // A header that claims more than there is.
        let mut hostile = u64::MAX.to_le_bytes().to_vec();
        hostile.extend_from_slice(b"{}");
        assert!(Archive::<f32>::from_bytes(&hostile).is_err());
    }

    #[test]
    fn an_old_file_survives_a_failed_write() {
        let missing = Path::new("no-such-folder/model.safetensors");
        let error = archive().write(missing).unwrap_err();
        assert!(error.to_string().starts_with("no-such-folder"), "{error}");
    }
}
