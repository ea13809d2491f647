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
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Named arrays of one number type, and text about them.
///
/// A file may hold arrays of other types too: their names, types and shapes
/// are kept, so that what does not fit can be said, but not their numbers.
#[derive(Clone, Debug, Default)]
pub struct Archive<F: Real> {
    tensors: BTreeMap<String, Tensor<Cpu<F>>>,
    foreign: BTreeMap<String, Foreign>,
    /// Free text by key, such as the arguments of a training.
    pub metadata: BTreeMap<String, String>,
}

/// An array of a file that this archive cannot hold.
#[derive(Clone, Debug)]
struct Foreign {
    dtype: String,
    shape: Vec<usize>,
}

/// One way in which an archive does not fit a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misfit {
    /// The model needs it; the archive does not have it.
    Missing,
    /// The archive has it; the model has no such leaf.
    Extra {
        /// In the archive.
        found: Vec<usize>,
    },
    /// Another shape than the model's.
    Shape {
        /// In the archive.
        found: Vec<usize>,
        /// In the model.
        expected: Vec<usize>,
    },
    /// Another type than the model's, or more axes than are supported.
    Dtype {
        /// In the archive, as safetensors calls it.
        found: String,
        /// How many axes it has.
        axes: usize,
        /// The model's.
        expected: &'static str,
    },
    /// A NaN or infinite element.
    NotFinite,
}

impl Misfit {
    /// What is wrong with the tensor of this name.
    fn say(&self, name: &str) -> String {
        match self {
            Misfit::Missing => format!("tensor {name:?} is missing"),
            Misfit::Extra { found } => {
                format!("tensor {name:?} of shape {found:?} has no place in the model")
            }
            Misfit::Shape { found, expected } => {
                format!("tensor {name:?} has shape {found:?}, but the model needs {expected:?}")
            }
            Misfit::Dtype { axes, .. } if *axes > MAX_RANK => {
                format!("tensor {name:?} has {axes} axes, at most {MAX_RANK} are supported")
            }
            Misfit::Dtype {
                found, expected, ..
            } => format!("tensor {name:?} has type {found}, but the model needs {expected}"),
            Misfit::NotFinite => format!("tensor {name:?} has a NaN or infinite element"),
        }
    }
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
    /// The arrays do not fit the model: every one of them that does not, in
    /// the order of the model, what is too much last.
    Misfits {
        /// Name and what is wrong with it.
        misfits: Vec<(String, Misfit)>,
        /// What there is.
        present: Vec<String>,
    },
    /// An entry of the metadata is missing or cannot be read.
    Metadata {
        /// Its key.
        key: String,
        /// What stands there.
        found: Option<String>,
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
            ArchiveError::Misfits { misfits, present } => {
                if misfits.len() > 1 {
                    write!(f, "{} tensors do not fit: ", misfits.len())?;
                }
                let said: Vec<String> = misfits.iter().map(|(name, m)| m.say(name)).collect();
                f.write_str(&said.join("; "))?;
                if misfits.iter().any(|(_, m)| *m == Misfit::Missing) {
                    write!(f, "; the file has {}", abbreviated(present))?;
                }
                Ok(())
            }
            ArchiveError::Metadata { key, found: None } => {
                write!(f, "its metadata has no entry {key:?}")
            }
            ArchiveError::Metadata {
                key,
                found: Some(found),
            } => write!(f, "its metadata entry {key:?} is {found:?}, not a number"),
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
            foreign: BTreeMap::new(),
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
    /// All leaves that are missing, have another shape or type, or are not
    /// finite, and all arrays under the prefix that the model has no leaf for.
    /// The model is then unchanged.
    pub fn fill<M: Tree<Cpu<F>>>(&self, prefix: &str, model: &mut M) -> Result<(), ArchiveError> {
        self.fits([(prefix, &*model)])?;
        self.fill_allowing_extra(prefix, model)
    }

    /// Like [`fill`](Self::fill), for a model that takes only some of the
    /// arrays.
    ///
    /// # Errors
    /// As for `fill`, but for arrays that the model has no leaf for.
    pub fn fill_allowing_extra<M: Tree<Cpu<F>>>(
        &self,
        prefix: &str,
        model: &mut M,
    ) -> Result<(), ArchiveError> {
        let mut misfits = Vec::new();
        let mut found = Vec::new();
        model.each(prefix, &mut |name, leaf| {
            let name = name.trim_start_matches('.');
            match self.look(name, &leaf.shape()) {
                Ok(tensor) => found.push(tensor.clone()),
                Err(misfit) => misfits.push((name.to_owned(), misfit)),
            }
        });
        self.none_of(misfits)?;
        let mut found = found.into_iter();
        model.each_mut(&mut |leaf| {
            if let Some(tensor) = found.next() {
                *leaf = tensor;
            }
        });
        Ok(())
    }

    /// Whether models fit what is under their prefixes, nothing missing and
    /// nothing too much.
    ///
    /// # Errors
    /// All that do not fit, of all models together.
    pub fn fits<'a, M: Tree<Cpu<F>> + 'a>(
        &self,
        models: impl IntoIterator<Item = (impl AsRef<str>, &'a M)>,
    ) -> Result<(), ArchiveError> {
        let mut misfits = Vec::new();
        for (prefix, model) in models {
            let prefix = prefix.as_ref();
            let mut wanted = BTreeSet::new();
            model.each(prefix, &mut |name, leaf| {
                let name = name.trim_start_matches('.').to_owned();
                if let Err(misfit) = self.look(&name, &leaf.shape()) {
                    misfits.push((name.clone(), misfit));
                }
                wanted.insert(name);
            });
            let under = |name: &str| match name.strip_prefix(prefix) {
                Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('.'),
                None => false,
            };
            let shapes = self.tensors.iter().map(|(n, t)| (n, t.shape().to_vec()));
            let foreign = self.foreign.iter().map(|(n, t)| (n, t.shape.clone()));
            for (name, found) in shapes.chain(foreign) {
                if under(name) && !wanted.contains(name) {
                    misfits.push((name.clone(), Misfit::Extra { found }));
                }
            }
        }
        self.none_of(misfits)
    }

    fn none_of(&self, misfits: Vec<(String, Misfit)>) -> Result<(), ArchiveError> {
        if misfits.is_empty() {
            return Ok(());
        }
        let names = self.tensors.keys().chain(self.foreign.keys());
        let mut present: Vec<String> = names.cloned().collect();
        present.sort_unstable();
        Err(ArchiveError::Misfits { misfits, present })
    }

    fn look(&self, name: &str, expected: &Shape) -> Result<&Tensor<Cpu<F>>, Misfit> {
        if let Some(Foreign { dtype, shape }) = self.foreign.get(name) {
            return Err(Misfit::Dtype {
                found: dtype.clone(),
                axes: shape.len(),
                expected: F::NAME,
            });
        }
        let tensor = self.tensors.get(name).ok_or(Misfit::Missing)?;
        if tensor.shape() != *expected {
            let (found, expected) = (tensor.shape().to_vec(), expected.to_vec());
            return Err(Misfit::Shape { found, expected });
        }
        match tensor.all_finite() {
            true => Ok(tensor),
            false => Err(Misfit::NotFinite),
        }
    }

    /// The tensor of a name, which must have this shape and be finite.
    ///
    /// # Errors
    /// If it is missing, has another shape or type, or is not finite.
    pub fn get(&self, name: &str, expected: &Shape) -> Result<&Tensor<Cpu<F>>, ArchiveError> {
        match self.look(name, expected) {
            Ok(tensor) => Ok(tensor),
            Err(misfit) => {
                let one = vec![(name.to_owned(), misfit)];
                Err(self.none_of(one).expect_err("there is one"))
            }
        }
    }

    /// The whole number under a key of the metadata.
    ///
    /// # Errors
    /// If it is missing or not a number.
    pub fn number(&self, key: &str) -> Result<u64, ArchiveError> {
        let found = self.metadata.get(key);
        let number = found.and_then(|text| text.parse().ok());
        number.ok_or_else(|| ArchiveError::Metadata {
            key: key.to_owned(),
            found: found.cloned(),
        })
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
    /// If it cannot be read, or is not a safetensors file.
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
            if view.dtype() != F::DTYPE || view.shape().len() > MAX_RANK {
                let foreign = Foreign {
                    dtype: format!("{:?}", view.dtype()),
                    shape: view.shape().to_vec(),
                };
                archive.foreign.insert(name.to_owned(), foreign);
                continue;
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
        let f64s = Archive::<f64>::from_bytes(&archive().to_bytes()).expect("a valid file");
        let error = f64s.get("model.1", &Shape::scalar()).unwrap_err();
        let text = r#"tensor "model.1" has type F32, but the model needs f64"#;
        assert_eq!(error.to_string(), text);
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
