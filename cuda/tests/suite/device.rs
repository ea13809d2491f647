//! Memory, launches and errors.

#![expect(unsafe_code, reason = "kernels are launched")]

use crate::place::{device, device_with};
use cuda::{
    Activation, Buffer, CudaError, Device, Factor, Grid, ImageWindows, Linear, LinearVersion,
    MatmulVersion, Memory, Precision, Source, View, column_sums, linear_silu, linear_silu_pull,
    matmul, matmul_lesson, unfold, write_view,
};
use std::thread;

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

/// Two openings of one GPU have two streams, and nothing orders them.
#[test]
fn buffers_of_two_openings_do_not_mix() {
    let (one, other) = (device(), device());
    let source = Source::of("twice", &[("twice.cu", TWICE)]);
    let mut y = one.zeros::<f32>(4).expect("there is room");
    let x = other.upload(&[1.0f32; 4]).expect("there is room");
    let arguments = [(&mut y).into(), (&x).into(), 4u32.into()];
    // SAFETY: refused before anything runs.
    let launched = unsafe { one.launch(&source, "twice", Grid::over(4), &arguments) };
    let product = |precision| {
        let (y, x) = (Factor::plain(&y), Factor::plain(&x));
        matmul(y, x, 1, [2, 2, 2], precision).map(drop)
    };
    for (of, outcome) in [
        ("twice", launched),
        ("matmul", product(Precision::F32)),
        ("matmul", product(Precision::Bf16)),
    ] {
        let error = outcome.expect_err("two devices");
        let CudaError::OtherDevice {
            given, expected, ..
        } = &error
        else {
            panic!("{error}");
        };
        // Both are named, and apart, though it is the same GPU.
        assert_ne!(given, expected);
        for opened in [given, expected] {
            assert!(opened.starts_with("GPU 0, opened as number "), "{opened}");
        }
        let line = format!("{of}: a buffer of {given} was given to {expected}");
        assert_eq!(error.to_string(), line);
    }
    // A clone is the same device.
    let x = one.clone().upload(&[1.0f32; 4]).expect("there is room");
    assert!(twice(&one, &x).is_ok());
}

/// Sizes whose products wrap around, some of them to those of empty arrays.
#[test]
fn sizes_beyond_memory_are_refused() {
    let device = device();
    let empty = device.zeros::<f32>(0).expect("nothing is needed");
    let nothing = || Factor::plain(&empty);
    let wide = 1usize << 32;
    let windows = ImageWindows {
        batch: 8,
        channels: 8,
        image: [1 << 29, 1 << 29],
        window: [1, 1],
        step: 1 << 29,
        margin: 0,
    };
    let view = View {
        extents: vec![1 << 22, 1 << 21, 1 << 21],
        steps: vec![0; 3],
        begin: 0,
    };
    let mut none = device.zeros::<f32>(0).expect("nothing is needed");
    let lesson = matmul_lesson(MatmulVersion::Naive, &empty, &empty, [1, wide << 31, 0]);
    for (outcome, part) in [
        (device.zeros::<u64>(1 << 61).map(drop), "of 8 bytes"),
        (device.zeros::<f32>((1 << 62) + 1).map(drop), "of 4 bytes"),
        (
            matmul(nothing(), nothing(), wide, [wide, 1, 0], Precision::F32).map(drop),
            "[4294967296, 4294967296, 1]",
        ),
        (
            matmul(nothing(), nothing(), wide, [wide, 0, 1], Precision::F32).map(drop),
            "[4294967296, 4294967296, 1]",
        ),
        (unfold(&empty, windows).map(drop), "[8, 8, "),
        (write_view(&mut none, &empty, &view), "[4194304, "),
        (lesson.map(drop), "of 4 bytes"),
    ] {
        let error = outcome.expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
        assert!(
            error.ends_with("fewer numbers than memory has addresses")
                || error.ends_with("fewer than memory has addresses"),
            "{error}"
        );
    }
}

/// More rows than a grid has room for are named before anything is launched,
/// with the most that there may be.
#[test]
fn rows_beyond_a_grid_are_refused() {
    let device = device_with(Memory::Pooled);
    let expected = |of: &str, rows: usize, each: usize| {
        let most = 65_535 * each;
        format!("{of}: {rows} rows; expected at most {most}, 65535 blocks of {each}")
    };
    let rows = 65_535 * 256 + 1;
    let x = device.uninitialised::<f32>(rows).expect("there is room");
    let sums = column_sums(&x, rows, 1).expect_err("too many rows");
    assert_eq!(sums.to_string(), expected("column_sums", rows, 256));
    let empty = device.zeros::<f32>(0).expect("nothing is needed");
    let b = device.zeros::<f32>(1).expect("there is room");
    // Layers without inputs, so that only what comes out is long.
    let layer = |rows| Linear {
        x: &empty,
        w: &empty,
        b: &b,
        rows,
        inputs: 0,
    };
    let whole = || x.part(0, rows).expect("all of it");
    let out = Activation {
        z: whole(),
        h: whole(),
    };
    let pull = linear_silu_pull(layer(rows), &out, &x, Precision::F32);
    let pull = pull.expect_err("too many rows").to_string();
    assert_eq!(pull, expected("linear_silu_pull", rows, 256));
    let rows = 65_535 * 64 + 1;
    let fused = linear_silu(layer(rows), LinearVersion::Fused);
    let fused = fused.expect_err("too many rows").to_string();
    assert_eq!(fused, expected("linear_silu", rows, 64));
    for (version, each) in [
        (MatmulVersion::Naive, 16),
        (MatmulVersion::TensorDirect, 16),
        (MatmulVersion::Blocked, 64),
    ] {
        let rows = 65_535 * each + 1;
        let product = matmul_lesson(version, &empty, &empty, [rows, 1, 0]);
        let product = product.expect_err("too many rows").to_string();
        assert_eq!(product, expected("matmul_lesson", rows, each));
    }
    // And whatever is launched is held to the limits of all GPUs.
    let source = Source::of("twice", &[("twice.cu", TWICE)]);
    let line = Grid::line((1 << 32) + 1, 1);
    let tall = Grid {
        blocks: [1, 65_536, 1],
        threads: [1, 1, 1],
    };
    for (grid, given) in [(line, "[4294967295, 1, 1]"), (tall, "[1, 65536, 1]")] {
        // SAFETY: refused before anything runs.
        let outcome = unsafe { device.launch(&source, "twice", grid, &[]) };
        let expected =
            format!("twice: a grid of {given} blocks; expected at most [2147483647, 65535, 65535]");
        assert_eq!(outcome.expect_err("too large").to_string(), expected);
    }
}

/// A thread says by itself which device its calls mean, whatever it does first.
#[test]
fn any_call_may_be_the_first_of_a_thread() {
    let device = device_with(Memory::Pooled);
    let first_of_a_thread = |name: &str, call: &(dyn Fn() -> Result<(), CudaError> + Sync)| {
        let outcome = thread::scope(|scope| scope.spawn(call).join());
        let outcome = outcome.unwrap_or_else(|_| panic!("{name} panicked"));
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    let x = device.upload(&[1.0f32; 4]).expect("there is room");
    // Blocks that are kept, so that no thread asks the driver for memory first.
    drop([0; 4].map(|_| device.zeros::<f32>(4).expect("there is room")));
    let product = || {
        let x = Factor::plain(&x);
        matmul(x, x, 1, [2, 2, 2], Precision::F32).map(drop)
    };
    first_of_a_thread("opening cuBLAS", &product);
    first_of_a_thread("a product", &product);
    let unused = Source::of("unused", &[("unused.cu", TWICE)]);
    first_of_a_thread("loading", &|| device.load(&unused, "twice"));
    first_of_a_thread("a launch", &|| twice(&device, &x).map(drop));
    first_of_a_thread("zeros", &|| device.zeros::<f32>(4).map(drop));
    first_of_a_thread("writing", &|| device.upload(&[1.0f32; 4]).map(drop));
    first_of_a_thread("reading", &|| x.download().map(drop));
    first_of_a_thread("waiting", &|| device.synchronize());
    first_of_a_thread("counting", &|| device.used_memory().map(drop));
    first_of_a_thread("allocating", &|| device.zeros::<f32>(9999).map(drop));
    first_of_a_thread("recording", &|| {
        device.record(|| twice(&device, &x)).map(drop)
    });
    let before = device.pool().kept;
    assert!(before > 0);
    first_of_a_thread("giving back", &|| {
        device.release_kept();
        Ok(())
    });
}
