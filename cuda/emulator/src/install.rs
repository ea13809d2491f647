//! **Installing** the emulator in a process that has no GPU.
//!
//! A program opens `libcuda.so` by its bare name, and the loader first looks
//! among the libraries it has: one whose own name is `libcuda.so` answers. So
//! three empty libraries are made, each with one of the names and with the
//! emulator as what it depends on; a function looked up in one of them is
//! found in the emulator.

#![expect(unsafe_code, reason = "libraries are loaded and asked")]

use std::ffi::{CStr, CString, OsStr, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs, io};

/// The names programs open.
const NAMES: [&str; 3] = ["libcuda.so", "libnvrtc.so", "libcublas.so"];

/// Makes the emulator the driver of this process. Call it before the first
/// call of CUDA; further calls do nothing. Says so on the error stream.
///
/// # Errors
/// If the emulator was not built beside the running program, or there is no
/// C++ compiler.
pub fn install() -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let install = || {
        let folder = folder().map_err(|e| format!("emulated CUDA: {e}"))?;
        for name in NAMES {
            load(&folder.join(name))?;
        }
        let seed = crate::shuffle::Schedule::seed();
        eprintln!("emulated CUDA: results are checked (schedule {seed}), times mean nothing");
        Ok(())
    };
    DONE.get_or_init(install).clone()
}

/// Makes the emulator the driver of this process if it has no other, or if
/// `FLOWGRAD_EMULATED` is set in the environment. Of several threads one
/// decides for all.
///
/// # Errors
/// As [`install`].
pub fn install_where_needed(has_driver: impl FnOnce() -> bool) -> Result<(), String> {
    static DECIDED: OnceLock<Result<(), String>> = OnceLock::new();
    let decide = || match env::var_os("FLOWGRAD_EMULATED").is_none() && has_driver() {
        true => Ok(()),
        false => install(),
    };
    DECIDED.get_or_init(decide).clone()
}

/// A folder that holds the three names, for `LD_LIBRARY_PATH`.
///
/// # Errors
/// If the emulator was not built beside the running program, or there is no
/// C++ compiler.
pub fn folder() -> io::Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let emulator = emulator()?;
    let stamp = fs::metadata(&emulator)?.modified()?;
    let stamp = stamp
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let beside = emulator.parent().unwrap_or(Path::new("."));
    let folder = beside.join(format!("emulated-{}", stamp.as_nanos()));
    fs::create_dir_all(&folder)?;
    for name in NAMES {
        if !folder.join(name).exists() {
            link(&emulator, &folder, name)?;
        }
    }
    Ok(folder)
}

/// The emulator's own library: beside the running program, or beneath it.
fn emulator() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let folders = program.ancestors().skip(1).take(2);
    let places = folders.flat_map(|folder| [folder.to_owned(), folder.join("deps")]);
    let mut files = places.map(|folder| folder.join("libcuda_emulator.so"));
    let found = files.find(|file| file.exists());
    found.ok_or_else(|| io::Error::other("libcuda_emulator.so was not built"))
}

/// Makes one of the empty libraries, in one step so that others never see half.
fn link(emulator: &Path, folder: &Path, name: &str) -> io::Result<()> {
    let part = folder.join(format!("{name}.{}", std::process::id()));
    let run = Command::new("g++")
        .args(["-shared", "-nostdlib", "-Wl,--no-as-needed"])
        .arg(format!("-Wl,-soname,{name}"))
        .args([OsStr::new("-o"), part.as_os_str(), emulator.as_os_str()])
        .output()?;
    if !run.status.success() {
        let log = String::from_utf8_lossy(&run.stderr).into_owned();
        return Err(io::Error::other(log));
    }
    fs::rename(part, folder.join(name))
}

/// Loads a library for the rest of the process.
fn load(path: &Path) -> Result<*mut c_void, String> {
    let name = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| e.to_string())?;
    // SAFETY: one of the empty libraries, and with it the emulator.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    match handle.is_null() {
        true => Err(format!(
            "emulated CUDA: {} cannot be loaded",
            path.display()
        )),
        false => Ok(handle),
    }
}

/// How many launches have run kernels from the text with this hash (see
/// [`hash`](crate::hash)).
///
/// # Panics
/// If the emulator is not installed.
#[must_use]
pub fn launches(hash: u64) -> u64 {
    ask(c"cuda_emulator_launches", hash)
}

/// How many copies to the host there have been.
///
/// # Panics
/// If the emulator is not installed.
#[must_use]
pub fn copies_to_host() -> u64 {
    ask(c"cuda_emulator_copies_to_host", 0)
}

/// How many copies to the device there have been.
///
/// # Panics
/// If the emulator is not installed.
#[must_use]
pub fn copies_to_device() -> u64 {
    ask(c"cuda_emulator_copies_to_device", 0)
}

/// Asks the installed emulator, which is another copy of this code.
fn ask(question: &CStr, about: u64) -> u64 {
    let name = c"libcuda.so";
    // SAFETY: only a library that is loaded already is asked for.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
    // SAFETY: the handle is of a loaded library or null, which finds nothing.
    let function = unsafe { libc::dlsym(handle, question.as_ptr()) };
    assert!(!function.is_null(), "the emulator is installed");
    // SAFETY: the emulator declares all these functions with this type.
    let ask = unsafe { std::mem::transmute::<*mut c_void, extern "C" fn(u64) -> u64>(function) };
    ask(about)
}
