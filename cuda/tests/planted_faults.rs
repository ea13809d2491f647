//! Faults planted in kernels and programs, each of which must be found: the
//! emulator's own negative controls. Each runs in a process of its own,
//! because a fault of a kernel ends the use of its device.

#![expect(unsafe_code, reason = "kernels are launched, wrong ones")]

use cuda::{Buffer, Device, Factor, Formula, Grid, Memory, Precision, Source, matmul};
use std::env;
use std::process::Command;

/// Set in the processes that these tests start.
const CHILD: &str = "FLOWGRAD_PLANTED";
/// The emulator's schedule.
const SEED: &str = "CUDA_EMULATOR_SEED";

const FAULTS: &str = r#"
extern "C" __global__ void past_the_end(float* x, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) x[i] = 1.0f;
}
extern "C" __global__ void before_the_beginning(float* y, const float* x) {
    y[threadIdx.x] = x[(int)threadIdx.x - 1];
}
extern "C" __global__ void reversed(float* y, const float* x, unsigned barrier) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    if (barrier != 0) __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
}
extern "C" __global__ void divergent(float* x) {
    if (threadIdx.x < 40) __syncthreads();
    x[threadIdx.x] = 1.0f;
}
extern "C" __global__ void left_early(float* x, unsigned n) {
    if (threadIdx.x >= n) return;
    x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
}
extern "C" __global__ void one_sum(float* sum, const float* x) {
    sum[0] += x[blockIdx.x];
}
extern "C" __global__ void unwritten(float* y) {
    __shared__ float never[32];
    y[threadIdx.x] = never[threadIdx.x];
}
extern "C" __global__ void crooked(float* x) {
    float4* four = (float4*)(x + 1);
    four[0] = make_float4(x[0], x[0], x[0], x[0]);
}
"#;

const HALF_A_WARP: &str = r#"
extern "C" __global__ void half(float* c) {
    if (threadIdx.x >= 16) return;
    const unsigned a[4] = {0, 0, 0, 0}, b[2] = {0, 0};
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    mma_bf16(sum, a, b);
    c[threadIdx.x] = sum[0];
}
"#;

fn source() -> Source {
    Source::of("faults", &[("faults.cu", FAULTS)])
}

/// Runs `fault` in a process of its own on the emulator, under a seed, and
/// returns what it printed. The name is that of the calling test.
fn planted(test: &str, fault: fn(&Device) -> String) -> Option<String> {
    if env::var_os(CHILD).is_some() {
        cuda_emulator::install().expect("the emulator can be installed");
        let device = Device::open_with(0, Memory::Direct).expect("the emulator is there");
        println!("outcome: {}", fault(&device));
        return None;
    }
    let program = env::current_exe().expect("this test is a program");
    let seed = env::var(SEED).unwrap_or_default();
    let run = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "yes")
        .env(SEED, seed)
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success(),
        "the fault is an error, no crash: {run:?}"
    );
    Some(said)
}

/// Launches a kernel of the text above and waits.
fn run(device: &Device, kernel: &str, threads: u32, arguments: &[cuda::Argument<'_>]) -> String {
    // SAFETY: these kernels break the contract; the emulator sees them do it.
    let launched = unsafe { device.launch(&source(), kernel, Grid::line(1, threads), arguments) };
    match launched.and_then(|()| device.synchronize()) {
        Ok(()) => "no fault".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn floats(device: &Device, n: usize) -> Buffer<f32> {
    device.zeros(n).expect("there is room")
}

/// Declares a test: the fault, and words its account must have.
macro_rules! planted {
    ($($(#[$doc:meta])* $name:ident: $words:expr, $fault:expr;)*) => { $(
        $(#[$doc])*
        #[test]
        fn $name() {
            if let Some(said) = planted(stringify!($name), $fault) {
                for word in $words {
                    assert!(said.contains(word), "{word:?} in {said}");
                }
            }
        }
    )* };
}

planted! {
    /// One element past the end, of a size that is no multiple of anything.
    out_of_bounds: ["ILLEGAL_ADDRESS", "past_the_end", "thread [33, 0, 0]",
        "write of 4 bytes 0 bytes past the end of an allocation of 132 bytes"],
    |device| {
        let mut x = floats(device, 33);
        run(device, "past_the_end", 64, &[(&mut x).into(), 33u32.into()])
    };
    /// And before the beginning, where another allocation may lie.
    out_of_bounds_below: ["ILLEGAL_ADDRESS", "read of 4 bytes", "thread [0, 0, 0]"],
    |device| {
        let (mut y, x) = (floats(device, 32), floats(device, 32));
        run(device, "before_the_beginning", 32, &[(&mut y).into(), (&x).into()])
    };
    missing_barrier: ["LAUNCH_FAILED", "race", "no barrier between"],
    |device| {
        let (mut y, x) = (floats(device, 64), floats(device, 64));
        run(device, "reversed", 64, &[(&mut y).into(), (&x).into(), 0u32.into()])
    };
    /// The same kernel with its barrier: the control.
    barrier_in_place: ["outcome: no fault"],
    |device| {
        let (mut y, x) = (floats(device, 64), floats(device, 64));
        run(device, "reversed", 64, &[(&mut y).into(), (&x).into(), 1u32.into()])
    };
    divergent_barrier: ["LAUNCH_FAILED", "divergent barrier", "has returned"],
    |device| {
        let mut x = floats(device, 64);
        run(device, "divergent", 64, &[(&mut x).into()])
    };
    divergent_warp: ["LAUNCH_FAILED", "divergent barrier", "lanes 0xffffffff", "has returned"],
    |device| {
        let mut x = floats(device, 32);
        run(device, "left_early", 32, &[(&mut x).into(), 20u32.into()])
    };
    /// The tensor cores' instruction without all lanes of the warp.
    half_a_warp_multiplies: ["LAUNCH_FAILED", "divergent barrier", "lanes 0xffffffff"],
    |device| {
        let lesson = cuda::sources().into_iter().find(|s| s.name() == "matmul_tensor");
        let text = lesson.expect("it is in the list").text().to_owned();
        let source = Source::of("half", &[("lesson", &text), ("half.cu", HALF_A_WARP)]);
        let mut c = floats(device, 32);
        // SAFETY: each of 32 lanes writes one number, or none.
        let done = unsafe { device.launch(&source, "half", Grid::line(1, 32), &[(&mut c).into()]) };
        format!("{:?}", done.and_then(|()| device.synchronize()))
    };
    /// Blocks that add to one number.
    race_between_blocks: ["LAUNCH_FAILED", "race", "block number"],
    |device| {
        let (mut sum, x) = (floats(device, 1), floats(device, 8));
        let arguments = [(&mut sum).into(), (&x).into()];
        // SAFETY: the race is what is to be found.
        let launched = unsafe { device.launch(&source(), "one_sum", Grid::line(8, 1), &arguments) };
        format!("{:?}", launched.and_then(|()| device.synchronize()))
    };
    /// Shared memory that nobody has written is NaN.
    unwritten_shared_memory: ["outcome: 32 of 32 are NaN"],
    |device| {
        let mut y = floats(device, 32);
        run(device, "unwritten", 32, &[(&mut y).into()]);
        let y = y.download().expect("no fault");
        format!("{} of 32 are NaN", y.iter().filter(|y| y.is_nan()).count())
    };
    /// Device memory that nobody has written is NaN.
    unwritten_device_memory: ["outcome: 100 of 100 are NaN"],
    |device| {
        let y = device.uninitialised::<f32>(100).expect("there is room");
        let y = y.download().expect("no fault");
        format!("{} of 100 are NaN", y.iter().filter(|y| y.is_nan()).count())
    };
    misaligned: ["MISALIGNED_ADDRESS"],
    |device| {
        let mut x = floats(device, 16);
        run(device, "crooked", 1, &[(&mut x).into()])
    };
    /// A buffer that is never given back.
    leak: ["outcome: 4000 bytes are still in use"],
    |device| {
        let before = device.used_memory().expect("no fault");
        std::mem::forget(floats(device, 1000));
        drop(floats(device, 500));
        let after = device.used_memory().expect("no fault");
        format!("{} bytes are still in use", after - before)
    };
    allocation_in_capture: ["outcome: Err", "STREAM_CAPTURE_UNSUPPORTED"],
    |device| {
        let graph = device.record(|| device.zeros::<f32>(10).map(|_| ()));
        format!("{:?}", graph.map(|_| ()))
    };
    /// After a fault no result comes out any more.
    a_fault_stays: ["outcome: true true"],
    |device| {
        let mut x = floats(device, 33);
        run(device, "past_the_end", 64, &[(&mut x).into(), 33u32.into()]);
        format!("{} {}", x.download().is_err(), device.zeros::<f32>(1).is_err())
    };
}

/// A result that depends on the order of threads, where the detector of races
/// sees nothing because each access is a byte: some seed gives another one.
#[test]
fn a_result_that_depends_on_the_schedule_differs_under_seeds() {
    const LAST: &str = "extern \"C\" __global__ void last(unsigned char* y) {\n    \
                        y[0] = (unsigned char)threadIdx.x;\n}\n";
    let name = "a_result_that_depends_on_the_schedule_differs_under_seeds";
    if env::var_os(CHILD).is_some() {
        cuda_emulator::install().expect("the emulator can be installed");
        let device = Device::open_with(0, Memory::Direct).expect("the emulator is there");
        let source = Source::of("last", &[("last.cu", LAST)]);
        let mut y = device.zeros::<u32>(1).expect("there is room");
        // SAFETY: the kernel writes one byte; the race is what is to be seen.
        let done =
            unsafe { device.launch(&source, "last", Grid::line(1, 200), &[(&mut y).into()]) };
        done.expect("it runs");
        println!("outcome: {:?}", y.download().expect("no fault"));
        return;
    }
    let outcome = |seed: &str| {
        let run = Command::new(env::current_exe().expect("this test is a program"))
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, "yes")
            .env(SEED, seed)
            .output()
            .expect("it can be started");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let line = said.lines().find(|line| line.starts_with("outcome: "));
        line.expect("an outcome").to_owned()
    };
    assert_eq!(outcome("0"), "outcome: [199]", "in natural order");
    let seeds = ["0", "1", "2"].map(outcome);
    assert_ne!(seeds[1], seeds[0]);
    assert_ne!(seeds[2], seeds[1]);
}

/// Runs the calling test again in a process of its own, with settings of the
/// emulator, and returns what it printed behind "outcome: "; or, there, `None`.
fn with_settings(test: &str, settings: &[(&str, &str)]) -> Option<String> {
    if env::var_os(CHILD).is_some() {
        cuda_emulator::install().expect("the emulator can be installed");
        return None;
    }
    let run = Command::new(env::current_exe().expect("this test is a program"))
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "yes")
        .envs(settings.iter().copied())
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let mut lines = said
        .lines()
        .filter_map(|line| line.strip_prefix("outcome: "));
    Some(lines.next().unwrap_or(&said).to_owned())
}

/// What the pool keeps for later is given back before memory is refused, and
/// the refusal says what was asked for and what there is.
#[test]
fn a_device_without_room() {
    let test = "a_device_without_room";
    if let Some(outcome) = with_settings(test, &[("CUDA_EMULATOR_MEMORY", "100000")]) {
        let expected = "kept true, then the GPU has no room for 81920 more bytes, 65536 are in use";
        assert_eq!(outcome, expected);
        return;
    }
    let device = Device::open(0).expect("the emulator is there");
    drop(device.zeros::<f32>(5 << 12).expect("there is room"));
    let kept = device.pool().kept > 0;
    let held = device
        .zeros::<f32>(4 << 12)
        .expect("what was kept makes room");
    let refused = device.zeros::<f32>(5 << 12).expect_err("there is no room");
    println!("outcome: kept {kept}, then {refused}");
    drop(held);
}

/// A graph outlives every other holder of its device: its kernels stay loaded
/// and cuBLAS keeps its room. With it all of that goes, to the last byte.
#[test]
fn a_graph_keeps_its_device_and_gives_it_back() {
    let test = "a_graph_keeps_its_device_and_gives_it_back";
    if let Some(outcome) = with_settings(test, &[]) {
        assert_eq!(outcome, "3 replays, Ok(()), 0 bytes left");
        return;
    }
    let other = Device::open(0).expect("the emulator is there");
    let used = || other.used_memory().expect("no fault");
    let before = used();
    let twice = Formula::new("twice", 1, |x| vec![x[0].times(2.0)]);
    let record = || {
        let device = Device::open(0).expect("the emulator is there");
        let x = device.upload(&[1.0f32; 4]).expect("there is room");
        let work = || {
            let y = twice.apply(&device, &[&x], 4)?.remove(0);
            let (y, x) = (Factor::plain(&y), Factor::plain(&x));
            matmul(y, x, 1, [2, 2, 2], Precision::F32).map(drop)
        };
        device.record(work).expect("it can be recorded").0
    };
    let graph = record();
    assert!(used() > before, "it holds its memory");
    let ran = || cuda_emulator::launches(twice.source().hash());
    let recorded = ran();
    let replayed = (0..3).try_for_each(|_| graph.replay());
    let replayed = replayed.and_then(|()| graph.device().synchronize());
    let replays = ran() - recorded;
    drop(graph);
    println!(
        "outcome: {replays} replays, {replayed:?}, {} bytes left",
        used() - before
    );
}

/// A device that goes away is an error of its own, at the next call that can
/// tell.
#[test]
fn a_device_that_is_lost() {
    let test = "a_device_that_is_lost";
    if let Some(outcome) = with_settings(test, &[("CUDA_EMULATOR_LAUNCHES", "2")]) {
        for word in [
            "Ok(()) Ok(()) the GPU was lost, noticed while running kernels",
            "the device was lost",
        ] {
            assert!(outcome.contains(word), "{outcome}");
        }
        return;
    }
    let device = Device::open(0).expect("the emulator is there");
    let fill = || {
        let filled = cuda::filled(&device, 1.0, 3)?;
        device.synchronize().map(|()| drop(filled))
    };
    let [first, second, third] = [fill(), fill(), fill()];
    let lost = third.expect_err("the third launch finds no device");
    assert!(matches!(lost, cuda::CudaError::Lost { .. }));
    println!("outcome: {first:?} {second:?} {lost}");
}
