//! What a program says where something is missing, each case in a process of
//! its own with another set of libraries.

use cuda::{CudaUnavailable, Device, Found};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

/// Set in the processes that this test starts.
const CHILD: &str = "FLOWGRAD_AVAILABILITY_CHILD";

/// A folder with some of the emulator's three libraries.
fn folder_with(names: &[&str]) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let all = cuda_emulator::folder().expect("the emulator was built");
    let folder = all.join(format!("only-{}", names.join("-")));
    fs::create_dir_all(&folder).expect("a folder can be made");
    for name in names {
        let copy = folder.join(name);
        if !copy.exists() {
            let part = folder.join(format!("{name}.{}", std::process::id()));
            fs::copy(all.join(name), &part).expect("a library can be copied");
            fs::rename(&part, &copy).expect("and named");
        }
    }
    folder
}

/// What the child below prints, with these libraries and settings.
fn seen(libraries: &Path, settings: &[(&str, &str)]) -> String {
    let program = env::current_exe().expect("this test is a program");
    let run = Command::new(program)
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, "yes")
        .env("LD_LIBRARY_PATH", libraries)
        .envs(settings.iter().copied())
        .output()
        .expect("it can be started");
    assert!(run.status.success(), "no panic: {run:?}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// Looks for CUDA and opens it, and says what came of it.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        println!("skipped: this is what the other tests start");
        return;
    }
    println!("{}", Found::look());
    match Device::open(0) {
        Ok(device) => println!("opened {device:?}"),
        Err(reason) => println!("refused {reason}"),
    }
    match Device::open(7) {
        Ok(_) => println!("opened the eighth"),
        Err(reason) => println!("of eight, {reason}"),
    }
}

const ALL: [&str; 3] = ["libcuda.so", "libnvrtc.so", "libcublas.so"];

#[test]
fn with_everything_there_the_device_opens() {
    let seen = seen(&folder_with(&ALL), &[]);
    assert!(seen.contains("opened Device(emulated GPU"), "{seen}");
    assert!(seen.contains("capability 9.0"), "{seen}");
    assert!(
        seen.contains("of eight, no CUDA: there is no GPU 7: 1 found"),
        "{seen}"
    );
}

#[test]
fn each_thing_that_is_missing_is_named() {
    let real = |library: fn(&Found) -> bool| library(&Found::look());
    let no_driver = CudaUnavailable::NoDriver.to_string();
    if real(|found| found.driver.is_ok()) {
        println!("skipped: no driver; this machine has one");
    } else {
        let seen = seen(&folder_with(&[]), &[]);
        assert!(seen.contains(&format!("refused {no_driver}")), "{seen}");
    }
    if real(|found| found.compiler.is_ok()) {
        println!("skipped: no NVRTC; this machine has it");
    } else {
        let seen = seen(&folder_with(&["libcuda.so", "libcublas.so"]), &[]);
        let expected = format!("refused {}", CudaUnavailable::NoCompiler);
        assert!(seen.contains(&expected), "{seen}");
    }
    if real(|found| found.cublas.is_ok()) {
        println!("skipped: no cuBLAS; this machine has it");
    } else {
        let seen = seen(&folder_with(&["libcuda.so", "libnvrtc.so"]), &[]);
        let expected = format!("refused {}", CudaUnavailable::NoCublas);
        assert!(seen.contains(&expected), "{seen}");
    }
}

#[test]
fn a_driver_without_a_gpu_and_one_that_is_too_old() {
    let all = folder_with(&ALL);
    let none = seen(&all, &[("CUDA_EMULATOR_DEVICES", "0")]);
    assert!(
        none.contains("refused no CUDA: the driver finds no GPU"),
        "{none}"
    );
    let old = seen(&all, &[("CUDA_EMULATOR_VERSION", "12080")]);
    let expected = "refused no CUDA: the driver speaks CUDA 12.8, and 13.0 is needed";
    assert!(old.contains(expected), "{old}");
}

/// A library that is there but lacks functions, or is none at all.
#[test]
fn broken_libraries_are_named() {
    let folder = folder_with(&["libnvrtc.so", "libcublas.so"]);
    let empty = folder.join("libcuda.so");
    let made = Command::new("g++")
        .args(["-shared", "-nostdlib", "-Wl,-soname,libcuda.so", "-o"])
        .arg(&empty)
        .args(["-x", "c++", "/dev/null"])
        .status()
        .expect("there is a C++ compiler");
    assert!(made.success());
    let lacking = seen(&folder, &[]);
    let expected = "refused no CUDA: libcuda.so cannot be used: it lacks cuCtxGetCurrent";
    assert!(lacking.contains(expected), "{lacking}");
}
