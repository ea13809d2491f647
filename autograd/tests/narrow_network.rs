//! A whole network in one launch, and its pull in another, are the network and
//! its derivative by the tape: each number within the bound of the running
//! error analysis, which is the same text read once more. On the emulated
//! driver where there is no GPU.

use autograd::check::rounding::Rounded;
use autograd::{Algebra, Cpu, Draw, Mlp, Philox, Tensor, TimeFeatures, Tree, Unary, vjp};
use cuda::{Device, Memory, MlpShape, MlpVersion, NarrowMlp};

type Host = Tensor<Cpu<f32>>;

fn normal(shape: &[usize], stream: u32) -> Host {
    let mut x = vec![0.0; shape.iter().product()];
    Philox::normal_f32(Draw::seed(5).stream(stream), 0, &mut x);
    Tensor::new(shape, x)
}

fn exact(x: &Host) -> Tensor<Rounded> {
    let wide = x.as_slice().iter().map(|&x| f64::from(x)).collect();
    Tensor::exact(&Tensor::new(&x.shape(), wide))
}

/// The largest deviation over its bound; NaN stays.
fn over_bound(found: &[f32], bound: &Tensor<Rounded>) -> f64 {
    let (value, error) = (bound.value().as_slice(), bound.error().as_slice());
    assert_eq!(found.len(), value.len());
    let ratio = |i: usize| (f64::from(found[i]) - value[i]).abs() / error[i];
    (0..found.len()).map(ratio).fold(
        0.0,
        |worst, ratio| {
            if ratio <= worst { worst } else { ratio }
        },
    )
}

const POINTS: usize = 2;
const ROWS: usize = 77;

/// The network of a model and its points.
fn velocity<A: Algebra>((net, x): &(Mlp<A>, Tensor<A>), t: &Tensor<A>) -> Tensor<A> {
    net.velocity(t, x)
}

/// Verifies (CU.4) and (CU.5).
#[test]
fn one_launch_is_the_network_and_one_more_its_derivative() {
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    let device = Device::open_with(0, Memory::Direct).expect("there is a device");
    for (width, hidden) in [(32, 1), (64, 3)] {
        let layers = vec![width; hidden];
        let time = TimeFeatures::Fourier(2);
        let net = Mlp::new(POINTS, &layers, POINTS, time, Unary::Silu, Draw::seed(1));
        let (t, x) = (normal(&[ROWS, 1], 1).sigmoid(), normal(&[ROWS, POINTS], 2));
        let v_bar = normal(&[ROWS, POINTS], 3);
        let there = |x: &Host| device.upload(x.as_slice()).expect("there is room");
        let flat: Vec<f32> = net.leaves().iter().flat_map(Tensor::to_vec).collect();
        let theta = device.upload(&flat).expect("there is room");
        let features = time.of(&t);
        let shape = MlpShape {
            inputs: POINTS + time.count(),
            width,
            hidden,
            outputs: POINTS,
        };
        let narrow = NarrowMlp::new(shape, &theta).expect("there are kernels for it");
        let bound_at = {
            let net = net.map(&mut |leaf: &Host| exact(leaf));
            (net, exact(&x))
        };
        // Features are numbers that both get alike.
        let features = there(&features);
        let (v, slopes) = vjp(
            |at| velocity(at, &Tensor::constant(&exact(&t))),
            &bound_at,
            &exact(&v_bar),
        );
        let found = narrow.velocity(&there(&x), &features, ROWS, MlpVersion::Shared);
        let found = found.and_then(|v| v.download()).expect("no fault");
        let worst = over_bound(&found, &v);
        assert!(worst <= 1.0, "velocity: {worst} of its bound");
        let pull = narrow.pull(&there(&x), &features, ROWS, &there(&v_bar));
        let pull = pull.expect("no fault");
        let by_parameters = pull.parameters.download().expect("no fault");
        let by_inputs = pull.inputs.download().expect("no fault");
        let (net_bar, x_bar) = slopes;
        let mut rest = &by_parameters[..];
        for bound in net_bar.leaves() {
            let (leaf, behind) = rest.split_at(bound.value().shape().count());
            let worst = over_bound(leaf, &bound);
            assert!(worst <= 1.0, "parameters: {worst} of their bound");
            rest = behind;
        }
        assert!(rest.is_empty());
        let points = by_inputs
            .chunks(shape.inputs)
            .flat_map(|row| &row[..POINTS]);
        let by_points: Vec<f32> = points.copied().collect();
        let worst = over_bound(&by_points, &x_bar);
        assert!(worst <= 1.0, "points: {worst} of their bound");
        // A slope that lacks one row of the batch is seen.
        let mut lacking = v_bar.to_vec();
        lacking[..POINTS].fill(0.0);
        let lacking = there(&Tensor::new(&[ROWS, POINTS], lacking));
        let wrong = narrow.pull(&there(&x), &features, ROWS, &lacking);
        let wrong = wrong
            .and_then(|p| p.parameters.download())
            .expect("no fault");
        let first = &net_bar.leaves()[0];
        let count = first.value().shape().count();
        let worst = over_bound(&wrong[..count], first);
        assert!(worst > 10.0, "the bound is no pretence: {worst}");
    }
}
