//! Memory, launches and errors.

#![expect(unsafe_code, reason = "kernels are launched")]

use crate::place::{device, device_with};
use cuda::{Buffer, CudaError, Device, Grid, Memory, Source};

const TWICE: &str = r#"
extern "C" __global__ void twice(float* y, const float* x, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2.0f * x[i];
}
"#;

fn twice(device: &Device, x: &Buffer<f32>) -> Result<Buffer<f32>, CudaError> {
    let source = Source::of("twice", &[("twice.cu", TWICE)]);
    let mut y = device.uninitialised(x.len())?;
    let n = x.len() as u32;
    let arguments = [(&mut y).into(), x.into(), n.into()];
    // SAFETY: the kernel reads and writes the first `n` of each.
    unsafe { device.launch(&source, "twice", Grid::over(x.len()), &arguments)? };
    Ok(y)
}

#[test]
fn numbers_go_to_the_device_through_a_kernel_and_back() {
    let device = device();
    for n in [0, 1, 31, 33, 257, 1025] {
        let x: Vec<f32> = (0..n).map(|i| i as f32 - 7.5).collect();
        let on_device = device.upload(&x).expect("there is room");
        assert_eq!(on_device.download().expect("no fault"), x);
        let y = twice(&device, &on_device).and_then(|y| y.download());
        let expected: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
        assert_eq!(y.expect("no fault"), expected, "{n} numbers");
        let zeros = device.zeros::<u32>(n).and_then(|z| z.download());
        assert_eq!(zeros.expect("no fault"), vec![0; n]);
    }
}

/// A part is the same memory, read, written and copied.
#[test]
fn a_part_is_the_same_memory() {
    let device = device();
    let x: Vec<f32> = (0..300).map(|i| i as f32).collect();
    let whole = device.upload(&x).expect("there is room");
    let mut part = whole.part(64, 33).expect("it lies inside");
    assert_eq!(part.download().expect("no fault"), x[64..97]);
    let y = twice(&device, &part).and_then(|y| y.download());
    let expected: Vec<f32> = x[64..97].iter().map(|x| 2.0 * x).collect();
    assert_eq!(y.expect("no fault"), expected);
    part.write(&[0.5; 33]).expect("no fault");
    let inner = part.part(32, 1).and_then(|x| x.download());
    assert_eq!(inner.expect("no fault"), [0.5]);
    let all = whole.download().expect("no fault");
    assert_eq!((all[63], all[64], all[96], all[97]), (63.0, 0.5, 0.5, 97.0));
    assert!(whole.part(300, 0).is_ok() && whole.part(299, 2).is_err());
    assert!(whole.part(usize::MAX, 2).is_err());
    // It keeps the memory of the whole.
    drop(whole);
    assert_eq!(part.download().expect("no fault"), [0.5; 33]);
}

/// The text given to the compiler is the text that ran, by its hash.
#[test]
fn the_emulator_runs_the_very_text_that_the_compiler_gets() {
    let device = device();
    if !device.is_emulated() {
        println!("skipped: a GPU runs what NVRTC made, there is no text in it");
        return;
    }
    let unique = format!("{TWICE}// {:?}\n", std::time::Instant::now());
    let source = Source::of("unique", &[("unique.cu", &unique)]);
    assert_eq!(source.hash(), cuda_emulator::hash(source.text().as_bytes()));
    assert_eq!(cuda_emulator::launches(source.hash()), 0);
    let x = device.upload(&[1.0f32]).expect("there is room");
    let mut y = device.uninitialised::<f32>(1).expect("there is room");
    let arguments = [(&mut y).into(), (&x).into(), 1u32.into()];
    // SAFETY: the kernel touches one number of each.
    unsafe { device.launch(&source, "twice", Grid::over(1), &arguments) }.expect("it runs");
    assert_eq!(cuda_emulator::launches(source.hash()), 1);
    assert_eq!(y.download().expect("no fault"), [2.0]);
}

#[test]
fn a_kernel_that_does_not_compile_is_an_error_with_its_line() {
    let device = device();
    let text = "extern \"C\" __global__ void wrong(float* x) {\n    x[0] = unknown;\n}\n";
    let source = Source::of("wrong", &[("wrong.cu", text)]);
    let mut x = device.zeros::<f32>(1).expect("there is room");
    // SAFETY: it does not compile, so it does not run.
    let outcome = unsafe { device.launch(&source, "wrong", Grid::over(1), &[(&mut x).into()]) };
    let error = outcome.expect_err("unknown is unknown").to_string();
    assert!(
        error.contains("wrong.cu") && error.contains("unknown"),
        "{error}"
    );
    assert!(
        error.contains(":2:") || error.contains("(2)"),
        "the line: {error}"
    );
}

#[test]
fn arguments_are_compared_with_what_the_kernel_declares() {
    let device = device();
    let source = Source::of("twice", &[("twice.cu", TWICE)]);
    let x = device.zeros::<f32>(1).expect("there is room");
    for wrong in [
        vec![(&x).into(), (&x).into()],
        vec![(&x).into(), (&x).into(), 1u64.into()],
        vec![(&x).into(), (&x).into(), 1u32.into(), 1u32.into()],
    ] {
        // SAFETY: refused before anything runs.
        let outcome = unsafe { device.launch(&source, "twice", Grid::over(1), &wrong) };
        let error = outcome.expect_err("the arguments do not fit").to_string();
        assert!(error.contains("expected [8, 8, 4]"), "{error}");
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let device = device();
    let mut x = device.zeros::<f32>(3).expect("there is room");
    let error = x.write(&[1.0; 4]).expect_err("four do not fit three");
    assert_eq!(error.to_string(), "write: 4 numbers; expected 3");
}

#[test]
fn the_pool_asks_the_driver_once_and_gives_all_back() {
    let device = device_with(Memory::Pooled);
    let run = || {
        let x = device.upload(&[1.0f32; 1000]).expect("there is room");
        let y = twice(&device, &x).expect("it runs");
        let z = twice(&device, &y).expect("it runs");
        assert_eq!(z.download().expect("no fault"), [4.0; 1000]);
    };
    run();
    let first = device.pool();
    assert_eq!(first.in_use, 0);
    for _ in 0..100 {
        run();
    }
    assert_eq!(device.pool(), first, "a hundred runs allocate nothing new");
    device.release_kept();
    assert_eq!(device.pool().kept, 0);
}
