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

/// A folder with the emulator's libraries, but for one that is made of other
/// text: C++ before the emulator's own functions, or before none, or no library
/// at all.
enum Other {
    Before(&'static str),
    Alone(&'static str),
    NoLibrary,
}

fn folder_but(name: &str, other: &Other) -> tempfile::TempDir {
    let all = cuda_emulator::folder().expect("the emulator was built");
    let folder = tempfile::tempdir().expect("a folder can be made");
    for whole in ALL.iter().filter(|whole| **whole != name) {
        fs::copy(all.join(whole), folder.path().join(whole)).expect("a library can be copied");
    }
    let library = folder.path().join(name);
    let text = match other {
        Other::Before(text) | Other::Alone(text) => text,
        Other::NoLibrary => {
            fs::write(&library, "this is no library").expect("written");
            return folder;
        }
    };
    let unit = folder.path().join("other.cpp");
    fs::write(&unit, text).expect("written");
    let mut made = Command::new("g++");
    made.args(["-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed"])
        .arg(format!("-Wl,-soname,{name}"))
        .arg("-o")
        .args([&library, &unit]);
    if let Other::Before(_) = other {
        let emulator = all.parent().expect("it lies beside the programs");
        made.arg(emulator.join("libcuda_emulator.so"));
    }
    let made = made.status().expect("there is a C++ compiler");
    assert!(made.success());
    folder
}

/// What is said where one library is another.
fn seen_but(name: &str, other: &Other) -> String {
    let folder = folder_but(name, other);
    seen(folder.path(), &[])
}

/// What older drivers lack is not what is said of them: their version is.
#[test]
fn an_old_driver_is_too_old_whatever_it_lacks() {
    let version = |number: &'static str| {
        let seen = seen_but("libcuda.so", &Other::Alone(number));
        let mut lines = seen
            .lines()
            .filter_map(|line| line.strip_prefix("refused "));
        lines.next().unwrap_or(&seen).to_owned()
    };
    let old = version("extern \"C\" int cuDriverGetVersion(int* v) { *v = 12020; return 0; }");
    let expected = "no CUDA: the driver speaks CUDA 12.2, and 13.0 is needed (driver 580 or newer)";
    assert_eq!(old, expected);
    let new = version("extern \"C\" int cuDriverGetVersion(int* v) { *v = 13000; return 0; }");
    let expected = "no CUDA: libcuda.so cannot be used: it lacks cuCtxGetCurrent";
    assert_eq!(new, expected);
}

/// A library that is there but lacks functions, or is none at all.
#[test]
fn broken_libraries_are_named() {
    for (name, first) in [
        ("libcuda.so", "cuDriverGetVersion"),
        ("libnvrtc.so", "nvrtcCompileProgram"),
        ("libcublas.so", "cublasCreate_v2"),
    ] {
        let lacking = seen_but(name, &Other::Alone(""));
        let expected = format!("refused no CUDA: {name} cannot be used: it lacks {first}");
        assert!(lacking.contains(&expected), "{lacking}");
    }
    let here = Found::look();
    for (name, there) in [
        ("libcuda.so", here.driver.is_ok()),
        ("libnvrtc.so", here.compiler.is_ok()),
        ("libcublas.so", here.cublas.is_ok()),
    ] {
        if there {
            println!("skipped: no {name}; this machine has another");
            continue;
        }
        let none = seen_but(name, &Other::NoLibrary);
        let expected = format!("refused no CUDA: {name} cannot be used: ");
        assert!(none.contains(&expected), "{none}");
        assert!(
            none.contains("invalid ELF header") || none.contains("file too short"),
            "{none}"
        );
    }
}

/// A library that answers, and refuses: which call it was, and the answer.
#[test]
fn a_call_that_is_refused_is_named() {
    for (library, call, text, answer) in [
        (
            "libcuda.so",
            "cuDriverGetVersion",
            "extern \"C\" int cuDriverGetVersion(int*) { return 46; }",
            "DEVICE_UNAVAILABLE",
        ),
        (
            "libcuda.so",
            "cuInit",
            "extern \"C\" int cuInit(unsigned) { return 46; }",
            "DEVICE_UNAVAILABLE",
        ),
        (
            "libcuda.so",
            "cuDevicePrimaryCtxRetain",
            "extern \"C\" int cuDevicePrimaryCtxRetain(void**, int) { return 46; }",
            "DEVICE_UNAVAILABLE",
        ),
        (
            "libnvrtc.so",
            "nvrtcVersion",
            "extern \"C\" int nvrtcVersion(int*, int*) { return 11; }",
            "NVRTC_ERROR_INTERNAL_ERROR",
        ),
        (
            "libcublas.so",
            "cublasGetProperty",
            "extern \"C\" int cublasGetProperty(int, int*) { return 7; }",
            "CUBLAS_STATUS_INVALID_VALUE",
        ),
    ] {
        let seen = seen_but(library, &Other::Before(text));
        let mut lines = seen
            .lines()
            .filter_map(|line| line.strip_prefix("refused "));
        let line = lines.next().unwrap_or(&seen);
        let expected = format!("no CUDA: {call} answered ");
        assert!(
            line.starts_with(&expected) && line.contains(answer),
            "{seen}"
        );
    }
}
