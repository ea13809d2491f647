//! **An ordinary file**, read whole: what a user's paths may name.

use crate::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The bytes of an ordinary file. Pipes and devices, which may never end, are
/// refused before they are opened.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |source| Error::io(path, "read", source);
    let kind = fs::metadata(path).map_err(refused)?;
    if !kind.is_file() {
        let found = match kind.is_dir() {
            true => "it is a folder",
            false => "it is a pipe or a device",
        };
        return Err(Error::data(path, found, "an ordinary file"));
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(refused)?.take(kind.len());
    file.read_to_end(&mut bytes).map_err(refused)?;
    Ok(bytes)
}
