//! A whole training step of flow matching on the GPU as one recorded graph:
//! the batch, the network, the loss (FM.21), its slopes, AdamW and the moving
//! average. On the emulated driver where there is no GPU.

use autograd::{
    Algebra, Cpu, Cuda, Draw, Mlp, Philox, Tensor, TimeFeatures, Tree, Unary, value_and_grad,
};
use cuda::{
    Adamw, AdamwConfig, Buffer, CudaError, Device, FlowSource, FlowStreams, FlowVersion, View,
    read_view,
};

const BATCH: usize = 33;
const DIMENSION: usize = 2;
const ROWS: usize = 50;

fn normal(n: usize, stream: u32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Philox::normal_f32(Draw::seed(5).stream(stream), 0, &mut x);
    x
}

/// The mean over the batch of `‖v(t, x_t) − target‖²`.
fn loss<A: Algebra>(net: &Mlp<A>, [t, xt, target]: &[Tensor<A>; 3]) -> Tensor<A> {
    (net.velocity(t, xt) - target).square().sum_axis(1).mean()
}

/// All that a step changes lies on the device.
struct Training {
    /// Gives the structure of the model; its numbers are where it began.
    template: Mlp<Cpu<f32>>,
    source: FlowSource,
    adam: Adamw,
}

impl Training {
    fn new(device: &Device) -> Self {
        let time = TimeFeatures::Fourier(1);
        let draw = Draw::seed(1);
        let template = Mlp::new(DIMENSION, &[17, 9], DIMENSION, time, Unary::Silu, draw);
        let flat: Vec<f32> = template.leaves().iter().flat_map(Tensor::to_vec).collect();
        let config = AdamwConfig {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            average_decay: 0.99,
        };
        let streams = FlowStreams {
            noise: 1,
            time: 2,
            data: 3,
        };
        let data = device
            .upload(&normal(ROWS * DIMENSION, 9))
            .expect("there is room");
        let source = FlowSource::new(data, [ROWS, DIMENSION], 4, streams);
        Training {
            template,
            source: source.expect("no fault"),
            adam: Adamw::new(device, &flat, config, 0.01).expect("there is room"),
        }
    }

    /// The model with the parameters of now.
    fn model(&self) -> Result<Mlp<Cuda<f32>>, CudaError> {
        let n = self.adam.parameters.len();
        let now = read_view(&self.adam.parameters, &View::dense(&[n]))?;
        let flat = Tensor::from_buffer(&[n], now);
        let mut at = 0;
        Ok(self.template.map(&mut |leaf: &Tensor<Cpu<f32>>| {
            let shape = leaf.shape();
            let part = flat.slice(0, at, shape.count()).reshape(&shape);
            at += shape.count();
            part
        }))
    }

    /// One step; the loss before it.
    fn step(&mut self) -> Result<Tensor<Cuda<f32>>, CudaError> {
        let batch = self.source.next(BATCH, FlowVersion::Four)?;
        let points = |x| Tensor::from_buffer(&[BATCH, DIMENSION], x);
        let batch = [
            Tensor::from_buffer(&[BATCH, 1], batch.t),
            points(batch.xt),
            points(batch.target),
        ];
        let (value, slope) = value_and_grad(
            |net| loss(net, &batch.each_ref().map(Tensor::constant)),
            &self.model()?,
        );
        let flat = |leaf: Tensor<Cuda<f32>>| leaf.reshape(&[leaf.shape().count()]);
        let slopes: Vec<_> = slope.leaves().into_iter().map(flat).collect();
        let gradient = Tensor::concat(&slopes.iter().collect::<Vec<_>>(), 0);
        self.adam.step(gradient.buffer())?;
        Ok(value)
    }
}

fn bits(x: &Buffer<f32>) -> Vec<u32> {
    let x = x.download().expect("no fault");
    x.into_iter().map(f32::to_bits).collect()
}

#[test]
fn fifty_replays_have_the_bits_of_fifty_steps_and_it_learns() {
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    let device = Device::open(0).expect("there is a device, emulated at least");
    let mut eager = Training::new(&device);
    let losses: Vec<Vec<u32>> = (0..50)
        .map(|_| bits(eager.step().expect("no fault").buffer()))
        .collect();
    let mut recorded = Training::new(&device);
    // The step before the recording is the first of the fifty.
    let (graph, loss) = device
        .record(|| recorded.step())
        .expect("it can be recorded");
    let allocations = device.pool().driver_allocations;
    for (step, expected) in losses.iter().enumerate().skip(1) {
        graph.replay().expect("no fault");
        assert_eq!(bits(loss.buffer()), *expected, "step {step}");
    }
    for (found, expected) in [
        (&recorded.adam.parameters, &eager.adam.parameters),
        (&recorded.adam.average, &eager.adam.average),
        (&recorded.adam.second, &eager.adam.second),
    ] {
        assert_eq!(bits(found), bits(expected));
    }
    assert_eq!(
        device.pool().driver_allocations,
        allocations,
        "replays need no memory"
    );
    let mean = |losses: &[Vec<u32>]| {
        let sum: f32 = losses.iter().map(|bits| f32::from_bits(bits[0])).sum();
        sum / losses.len() as f32
    };
    let (early, late) = (mean(&losses[..10]), mean(&losses[40..]));
    assert!(late < early, "it learns: {late} from {early}");
}
