//! **Libraries**: finding NVRTC and cuBLAS where toolkits and Python wheels
//! put them.
//!
//! The loader looks a bare name up in `LD_LIBRARY_PATH` as it was when the
//! program began, and in the system's cache. Toolkits and wheels are often in
//! neither. A library loaded by its full path, though, answers to its own
//! name from then on, so loading it once and keeping it is enough for every
//! later `dlopen("libnvrtc.so.13")`.

#![expect(unsafe_code, reason = "loading a library runs its code")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// In the order in which they need each other: NVRTC opens its built-in
/// headers by name, cuBLAS is linked to cuBLASLt.
const NAMES: [&str; 4] = [
    "libnvrtc-builtins.so.13.0",
    "libnvrtc.so.13",
    "libcublasLt.so.13",
    "libcublas.so.13",
];

/// Loads whatever stands in the usual folders, once.
pub(crate) fn preload() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for name in NAMES {
            let paths = folders().into_iter().map(|folder| folder.join(name));
            // The first that loads; a broken one is as good as none.
            let _ = paths.into_iter().find(|path| load(path));
        }
    });
}

/// Where CUDA's libraries may stand: `CUDA_HOME` (a toolkit, or the folder
/// `nvidia/cu13` of the wheels), the toolkit's default, the active Python.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(home) = env::var_os("CUDA_HOME") {
        folders.push(Path::new(&home).join("lib64"));
        folders.push(Path::new(&home).join("lib"));
    }
    folders.push(PathBuf::from("/usr/local/cuda/lib64"));
    if let Some(python) = env::var_os("VIRTUAL_ENV") {
        let versions = fs::read_dir(Path::new(&python).join("lib"));
        for version in versions.into_iter().flatten().flatten() {
            folders.push(version.path().join("site-packages/nvidia/cu13/lib"));
        }
    }
    folders
}

/// Loads a library for the rest of the program's life.
fn load(path: &Path) -> bool {
    if !path.exists() {
        return false;
    }
    // SAFETY: loading runs the library's initialisers; these are NVIDIA's
    // libraries, found under their own names.
    let loaded = unsafe { libloading::Library::new(path) };
    loaded.map(std::mem::forget).is_ok()
}
