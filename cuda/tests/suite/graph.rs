//! Recorded work.

#![expect(unsafe_code, reason = "kernels are launched")]

use crate::place::device_with;
use cuda::{CudaError, Device, Factor, Grid, Memory, Precision, Source, matmul};

const STEP: &str = r#"
// x <- x + y, and the step counter in device memory.
extern "C" __global__ void add(float* x, const float* y, unsigned* steps, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] += y[i];
    if (i == 0) steps[0] += 1;
}
"#;

/// A step with a product, a temporary and a kernel.
struct Step {
    device: Device,
    source: Source,
    x: cuda::Buffer<f32>,
    w: cuda::Buffer<f32>,
    steps: cuda::Buffer<u32>,
}

impl Step {
    fn new(device: &Device) -> Self {
        let upload = |x: &[f32]| device.upload(x).expect("there is room");
        Step {
            device: device.clone(),
            source: Source::of("step", &[("step.cu", STEP)]),
            x: upload(&[1.0, 2.0, 3.0, 4.0]),
            w: upload(&[0.5, 0.0, 0.25, 0.5]),
            steps: device.zeros(1).expect("there is room"),
        }
    }

    fn run(&mut self) -> Result<(), CudaError> {
        let (x, w) = (Factor::plain(&self.x), Factor::plain(&self.w));
        let y = matmul(x, w, 1, [2, 2, 2], Precision::F32)?;
        let arguments = [
            (&mut self.x).into(),
            (&y).into(),
            (&mut self.steps).into(),
            4u32.into(),
        ];
        // SAFETY: the kernel touches four numbers and one counter.
        unsafe {
            self.device
                .launch(&self.source, "add", Grid::over(4), &arguments)
        }
    }

    fn state(&self) -> (Vec<u32>, Vec<u32>) {
        let x = self.x.download().expect("no fault");
        let bits = x.into_iter().map(f32::to_bits).collect();
        (bits, self.steps.download().expect("no fault"))
    }
}

#[test]
fn fifty_replays_have_the_bits_of_fifty_steps() {
    let device = device_with(Memory::Pooled);
    let mut eager = Step::new(&device);
    for _ in 0..50 {
        eager.run().expect("it runs");
    }
    let mut recorded = Step::new(&device);
    // The step before is the first of the fifty.
    let (graph, ()) = device
        .record(|| recorded.run())
        .expect("it can be recorded");
    let allocations = device.pool().driver_allocations;
    for _ in 0..49 {
        graph.replay().expect("it replays");
    }
    assert_eq!(recorded.state(), eager.state());
    assert_eq!(eager.state().1, [50]);
    assert_eq!(device.pool().driver_allocations, allocations);
}

/// A constant that the run before has mentioned is not copied again.
#[test]
fn a_recording_may_mention_constants() {
    let device = device_with(Memory::Pooled);
    let sum = cuda::Formula::new("sum", 2, |x| vec![x[0].clone() + x[1].clone()]);
    let x = device.upload(&[1.0f32, 2.0]).expect("there is room");
    let work = || {
        let c = device.constant(&[10.0, 20.0])?;
        Ok(sum.apply(&device, &[&x, &c], 2)?.remove(0))
    };
    let (graph, y) = device.record(work).expect("it can be recorded");
    graph.replay().expect("it replays");
    assert_eq!(y.download().expect("no fault"), [11.0, 22.0]);
    // Other numbers are another constant, and none is the same as data.
    let other = device.constant(&[10.0, -20.0]).and_then(|c| c.download());
    assert_eq!(other.expect("no fault"), [10.0, -20.0]);
    assert!(device.constant(&[]).expect("nothing is needed").is_empty());
}

#[test]
fn memory_of_a_graph_is_used_by_nobody_else() {
    let device = device_with(Memory::Pooled);
    let mut step = Step::new(&device);
    let (graph, ()) = device.record(|| step.run()).expect("it can be recorded");
    // As many blocks as there may be temporaries, all overwritten.
    let others: Vec<_> = (0..8).map(|_| device.upload(&[f32::NAN; 4])).collect();
    graph.replay().expect("it replays");
    for other in &others {
        let other = other.as_ref().expect("there is room");
        assert!(
            other
                .download()
                .expect("no fault")
                .iter()
                .all(|x| x.is_nan())
        );
    }
    let in_use = device.pool().in_use;
    drop(graph);
    assert!(device.pool().in_use < in_use, "and goes back with it");
}

#[test]
fn waiting_inside_a_recording_is_an_error_and_ends_it() {
    let device = device_with(Memory::Pooled);
    let x = device.upload(&[1.0f32]).expect("there is room");
    let outcome = device.record(|| device.synchronize());
    let error = outcome.expect_err("a graph cannot wait").to_string();
    assert!(error.contains("CAPTURE"), "{error}");
    let outcome = device.record(|| x.download().map(|_| ()));
    let error = outcome.expect_err("nor copy").to_string();
    assert!(error.contains("a copy from the device"), "{error}");
    assert_eq!(x.download().expect("the device still works"), [1.0]);
}

#[test]
fn allocation_inside_a_recording_is_an_error() {
    let device = device_with(Memory::Pooled);
    let mut n = 1000;
    let outcome = device.record(|| {
        // Larger each time, so the first run does not fill the pool for it.
        n *= 2;
        device.zeros::<f32>(n).map(|_| ())
    });
    let error = outcome.expect_err("there is no block of this class");
    assert!(
        matches!(error, CudaError::AllocationInGraph { .. }),
        "{error}"
    );
}
