//! Every kernel compiled by NVRTC itself, for three generations of GPUs; no
//! GPU is needed. The assembler's report is read: spills of registers to
//! memory, and warnings, are failures.
//!
//! Skips with a printed reason where NVRTC is not installed; with
//! `FLOWGRAD_NVRTC=required` in the environment that is a failure.

mod compiler;

use compiler::{ARCHITECTURES, nvrtc};
use cuda::{CudaError, Expr, Formula, Source, compile, sources};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Kernels printed from expressions, which between them use every function.
/// (Those that arrays are computed with are compiled by a test of `autograd`,
/// where the formula sheet is.)
fn printed() -> Vec<Source> {
    type Function = fn(&Expr) -> Expr;
    let of_one: [(&str, Function); 33] = [
        ("recip", Expr::recip),
        ("square", Expr::square),
        ("sqrt", Expr::sqrt),
        ("exp", Expr::exp),
        ("exp_m1", Expr::exp_m1),
        ("ln", Expr::ln),
        ("ln_1p", Expr::ln_1p),
        ("sin", Expr::sin),
        ("cos", Expr::cos),
        ("tan", Expr::tan),
        ("asin", Expr::asin),
        ("acos", Expr::acos),
        ("atan", Expr::atan),
        ("sinh", Expr::sinh),
        ("cosh", Expr::cosh),
        ("tanh", Expr::tanh),
        ("asinh", Expr::asinh),
        ("acosh", Expr::acosh),
        ("atanh", Expr::atanh),
        ("sigmoid", Expr::sigmoid),
        ("softplus", Expr::softplus),
        ("erf", Expr::erf),
        ("erfc", Expr::erfc),
        ("ln_gamma", Expr::ln_gamma),
        ("polygamma", |x| x.polygamma(2)),
        ("powi", |x| x.powi(-3)),
        ("powf", |x| x.powf(2.5)),
        ("abs", Expr::abs),
        ("sign", Expr::sign),
        ("step", Expr::step),
        ("relu", Expr::relu),
        ("floor", |x| x.floor() + x.ceil() + x.round()),
        ("constants", |x| {
            x.constant(f64::INFINITY) - x.constant(f64::NAN)
        }),
    ];
    let mut sources: Vec<Source> = of_one
        .iter()
        .map(|(name, f)| Formula::new(name, 1, |x| vec![f(&x[0])]).source().clone())
        .collect();
    let of_two = Formula::new("of_two", 2, |x| {
        let (a, b) = (&x[0], &x[1]);
        vec![
            a.maximum(b).minimum(&a.pow(b)),
            a.atan2(b) / -a.hypot(b),
            Expr::if_less(a, b, &Expr::if_equal(a, b, a, b), &a.plus(1.0)),
        ]
    });
    sources.push(of_two.source().clone());
    sources
}

/// How many kernels a text declares.
fn declared(source: &Source) -> usize {
    source.text().matches("extern \"C\" __global__").count()
}

#[test]
fn every_kernel_compiles_for_every_generation_without_spills() {
    if !nvrtc() {
        return;
    }
    println!(
        "{:<12} {:<20} {:>8} {:>10} {:>6} {:>8}",
        "module", "kernel", "", "registers", "stack", "spilled"
    );
    for source in sources().into_iter().chain(printed()) {
        for architecture in ARCHITECTURES {
            let compiled = compile(&source, architecture).unwrap_or_else(|e| panic!("{e}"));
            assert!(compiled.cubin.starts_with(b"\x7fELF"), "machine code");
            let report = &compiled.report;
            assert!(!report.contains("warning"), "{report}");
            let usages = compiled.usages();
            assert_eq!(usages.len(), declared(&source), "{report}");
            for usage in usages {
                println!(
                    "{:<12} {:<20} {architecture:>8} {:>10} {:>6} {:>8}",
                    source.name(),
                    usage.kernel,
                    usage.registers,
                    usage.stack,
                    usage.spilled
                );
                assert!(usage.registers > 0, "the report was read: {report}");
                assert_eq!(usage.spilled, 0, "{report}");
            }
        }
    }
}

/// The control: a kernel that keeps more numbers than there are registers.
#[test]
fn a_planted_spill_is_seen() {
    if !nvrtc() {
        return;
    }
    let text = r#"
extern "C" __global__ void __launch_bounds__(1024) crowded(float* x) {
    float a[200];
#pragma unroll
    for (int i = 0; i < 200; i++) a[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 200; i++) x[(199 - i) * 1024 + threadIdx.x] = a[i] * a[(i * 7) % 200];
}
"#;
    let source = Source::of("crowded", &[("crowded.cu", text)]);
    let compiled = compile(&source, "sm_90").unwrap_or_else(|e| panic!("{e}"));
    let usages = compiled.usages();
    assert_eq!(usages[0].kernel, "crowded");
    assert!(usages[0].spilled > 0, "{}", compiled.report);
}

#[test]
fn an_error_names_file_and_line() {
    if !nvrtc() {
        return;
    }
    let text = "extern \"C\" __global__ void wrong(float* x) {\n    x[0] = unknown;\n}\n";
    let source = Source::of("wrong", &[("wrong.cu", text)]);
    let error = compile(&source, "sm_90").expect_err("unknown is unknown");
    assert!(matches!(error, CudaError::Compile { .. }));
    assert!(error.to_string().contains("wrong.cu(2): error"), "{error}");
}

/// Set in the processes that the next test starts.
const CHILD: &str = "FLOWGRAD_CUBIN_CHILD";
/// What chooses the folder of machine code that is kept.
const CACHE: &str = "FLOWGRAD_CUBIN_CACHE";

/// Compiles one kernel, and says which bytes came of it.
#[test]
fn cubin_child() {
    if env::var_os(CHILD).is_none() {
        println!("skipped: this is what another test starts");
        return;
    }
    let text = "extern \"C\" __global__ void kept(float* x) { x[threadIdx.x] = 1.0f; }\n";
    let source = Source::of("kept", &[("kept.cu", text)]);
    let compiled = compile(&source, "sm_90").unwrap_or_else(|e| panic!("{e}"));
    assert!(compiled.report.contains("Used "), "{}", compiled.report);
    println!("cubin {:?}", compiled.cubin);
}

/// A second process takes the code that the first has kept, a damaged entry is
/// compiled anew and mended, and a folder that cannot be written is no harm.
#[test]
fn machine_code_is_kept_for_the_next_process() {
    if !nvrtc() {
        return;
    }
    let run = |folder: &Path| {
        let program = env::current_exe().expect("this test is a program");
        let run = Command::new(program)
            .args(["cubin_child", "--exact", "--nocapture"])
            .env(CHILD, "yes")
            .env(CACHE, folder)
            .output()
            .expect("it can be started");
        assert!(run.status.success(), "{run:?}");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let line = said.lines().find(|line| line.contains("cubin ["));
        line.expect("it compiles").to_owned()
    };
    let folder = tempfile::tempdir().expect("there is room");
    let entry = || -> PathBuf {
        let entries = fs::read_dir(folder.path()).expect("a folder");
        let paths: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
        let [path] = &paths[..] else {
            panic!("one entry, and nothing beside it: {paths:?}");
        };
        path.clone()
    };
    // A file that is written anew is another file, with another number.
    let number = |path: &Path| fs::metadata(path).expect("it is there").ino();
    let first = run(folder.path());
    let path = entry();
    // Held open, so that its number is not given to another.
    let held = fs::File::open(&path).expect("readable");
    let before = number(&path);
    assert_eq!(run(folder.path()), first);
    assert_eq!(number(&entry()), before, "taken as it lay there");
    let whole = fs::read(&path).expect("readable");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&path, damaged).expect("written");
    assert_eq!(run(folder.path()), first);
    let after = number(&entry());
    assert_ne!(after, before, "damaged, and written anew");
    assert_eq!(run(folder.path()), first);
    assert_eq!(number(&entry()), after, "and whole again");
    drop(held);
    assert_eq!(run(Path::new("/dev/null/no/folder")), first);
    assert_eq!(run(Path::new("off")), first);
}
