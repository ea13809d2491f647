//! Measures what a GPU can do at all: a copy, large products, a launch, and a
//! graph. Prints lines `ceiling NAME VALUE`, in bytes, operations or seconds.
//!
//! `ceilings probe` says what there is, and `ceilings heavy` runs the three
//! heaviest kernels a few times, for a profiler to look at.
//!
//! Fails where there is no GPU, with the reason. Of an emulated one it refuses
//! to tell times.

use autograd::{Draw, Philox};
use cuda::{
    CudaError, Device, Factor, Found, MatmulVersion, MlpShape, MlpVersion, NarrowMlp, Precision,
    filled, linear_silu, matmul, matmul_lesson, rounded, scaled,
};
use flowgrad_benches::device_clock::{device, tells_times, timed};
use flowgrad_benches::floor::Ceilings;
use std::process::ExitCode;

/// The median of some measurements of so many repetitions each, in seconds a
/// repetition.
fn median(
    device: &Device,
    repetitions: u64,
    mut work: impl FnMut() -> Result<(), CudaError>,
) -> Result<f64, CudaError> {
    work()?;
    let mut seconds = Vec::new();
    for _ in 0..7 {
        let time = timed(device, repetitions, &mut work)?;
        seconds.push(time.as_secs_f64() / repetitions as f64);
    }
    seconds.sort_unstable_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

/// Bytes a second, read and written, of an array much larger than any cache.
fn copy(device: &Device) -> Result<f64, CudaError> {
    let n = 1 << 28;
    let x = filled(device, 1.0, n)?;
    let seconds = median(device, 10, || scaled(&x, 1.5).map(drop))?;
    Ok(8.0 * n as f64 / seconds)
}

/// Operations a second of a product of large square matrices. Rounding to
/// bfloat16 is measured alone and taken off: it is bytes.
fn product(device: &Device, precision: Precision) -> Result<f64, CudaError> {
    let n = 8192;
    let mut numbers = vec![0.0; n * n];
    Philox::normal_f32(Draw::seed(1), 0, &mut numbers);
    let a = device.upload(&numbers)?;
    let factor = Factor::plain(&a);
    let repetitions = if precision == Precision::F32 { 2 } else { 10 };
    let whole = median(device, repetitions, || {
        matmul(factor, factor, 1, [n; 3], precision).map(drop)
    })?;
    let rounding = match precision {
        Precision::Bf16 => 2.0 * median(device, 10, || rounded(&a).map(drop))?,
        Precision::F32 | Precision::Tf32 => 0.0,
    };
    Ok(2.0 * (n as f64).powi(3) / (whole - rounding))
}

fn measure(device: &Device) -> Result<Ceilings, CudaError> {
    let one = || filled(device, 1.0, 1).map(drop);
    let launch = median(device, 2000, one)?;
    let record = |count: usize| device.record(|| (0..count).try_for_each(|_| one()));
    let (single, ()) = record(1)?;
    let (many, ()) = record(1001)?;
    let graph = median(device, 200, || single.replay())?;
    let thousand = median(device, 5, || many.replay())? - graph;
    Ok(Ceilings {
        copy: copy(device)?,
        f32: product(device, Precision::F32)?,
        tf32: product(device, Precision::Tf32)?,
        bf16: product(device, Precision::Bf16)?,
        launch,
        node: thousand / 1000.0,
        graph,
    })
}

/// The kernels of this crate with the most work, at the sizes of training.
fn heavy(device: &Device) -> Result<(), CudaError> {
    // A real GPU is given real work, an emulated one as much as it can do.
    let n = if device.is_emulated() { 64 } else { 4096 };
    let x = filled(device, 0.01, n * n)?;
    let b = filled(device, 0.01, n)?;
    let shape = MlpShape {
        inputs: 3,
        width: 64,
        hidden: 3,
        outputs: 2,
    };
    let theta = filled(device, 0.01, shape.parameters())?;
    let net = NarrowMlp::new(shape, &theta)?;
    let (points, time) = (filled(device, 0.5, 64 * n)?, filled(device, 0.5, 1)?);
    for _ in 0..3 {
        matmul_lesson(MatmulVersion::TensorBf16, &x, &x, [n; 3])?;
        net.velocity(&points, &time, 32 * n, MlpVersion::Tensor)?;
        let layer = cuda::Linear {
            x: &x,
            w: &x,
            b: &b,
            rows: n,
            inputs: n,
        };
        linear_silu(layer, cuda::LinearVersion::Fused)?;
    }
    device.synchronize()
}

fn main() -> ExitCode {
    let device = match device() {
        Ok(device) => device,
        Err(reason) => {
            eprintln!("ceilings: {reason}\n{}", Found::look());
            return ExitCode::FAILURE;
        }
    };
    let mut words = std::env::args().skip(1);
    let outcome = match words.next().as_deref() {
        Some("probe") => {
            print!("{}", Found::look());
            device.synchronize()
        }
        Some("heavy") => heavy(&device).map(|()| println!("{device:?}: ran")),
        Some(other) => {
            eprintln!("ceilings: {other:?}; expected nothing, probe or heavy");
            return ExitCode::from(2);
        }
        None if !tells_times(&device) => Ok(()),
        None => measure(&device).map(|ceilings| print!("{}", ceilings.to_lines())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ceilings: {error}");
            ExitCode::FAILURE
        }
    }
}
