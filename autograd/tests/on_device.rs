//! What the GPU and the CPU must give alike to the bit: random numbers, the
//! optimiser, rearrangements. On the emulated driver where there is no GPU.

use autograd::{Adam, AdamConfig, Cpu, Draw, Ema, Index, Optimiser, Philox, Tensor};
use cuda::{
    Adamw, AdamwConfig, Buffer, Device, FlowSource, FlowStreams, FlowVersion, Law, Memory, Places,
    ScatterVersion, Sequence, gather, random, scatter_add,
};

/// The first GPU, or the emulated one; memory straight from the driver, so that
/// bounds are exact.
fn device() -> Device {
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    Device::open_with(0, Memory::Direct).expect("there is a device, emulated at least")
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn download(x: &Buffer<f32>) -> Vec<u32> {
    bits(&x.download().expect("no fault"))
}

fn normal(n: usize, stream: u32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Philox::normal_f32(Draw::seed(11).stream(stream), 0, &mut x);
    x
}

/// Verifies (AD.14), (AD.15).
#[test]
fn random_numbers_wherever_a_draw_begins() {
    let device = device();
    let far = u64::from(u32::MAX) * 4 - 7; // Blocks from here on need 33 bits.
    for (n, first) in [(0, 0), (1, 3), (33, 0), (1025, 2), (50_000, 0), (31, far)] {
        let draw = Draw::seed(0x1234_5678_9abc_def0).stream(5).step(6);
        let sequence = Sequence {
            seed: draw.seed,
            stream: draw.stream,
            step: draw.step,
        };
        let mut expected = vec![0.0; n];
        let drawn = |law| random(&device, law, sequence, first, n).expect("no fault");
        Philox::normal_f32(draw, first, &mut expected);
        assert_eq!(
            download(&drawn(Law::Normal)),
            bits(&expected),
            "{n} from {first}"
        );
        Philox::uniform_f32(draw, first, &mut expected);
        assert_eq!(
            download(&drawn(Law::Uniform)),
            bits(&expected),
            "{n} from {first}"
        );
    }
}

/// Verifies (AD.14).
#[test]
fn a_batch_for_flow_matching_is_made_of_the_same_draws() {
    let device = device();
    let [batch, d, rows] = [257, 3, 31];
    let data = normal(rows * d, 1);
    let on_device = device.upload(&data).expect("there is room");
    let streams = FlowStreams {
        noise: 2,
        time: 3,
        data: 4,
    };
    let mut source = FlowSource::new(on_device, [rows, d], 9, streams).expect("no fault");
    for step in 0..3 {
        let found = source.next(batch, FlowVersion::Four).expect("no fault");
        let draw = |stream| Draw::seed(9).stream(stream).step(step);
        let (mut x0, mut t) = (vec![0.0; batch * d], vec![0.0; batch]);
        let mut row = vec![0; batch];
        Philox::normal_f32(draw(2), 0, &mut x0);
        Philox::uniform_f32(draw(3), 0, &mut t);
        Philox::below(draw(4), 0, rows as u32, &mut row);
        assert_eq!(found.row.download().expect("no fault"), row);
        assert_eq!(
            (download(&found.x0), download(&found.t)),
            (bits(&x0), bits(&t))
        );
        let new = |shape: &[usize], x: Vec<f32>| Tensor::<Cpu<f32>>::new(shape, x);
        let x1: Vec<f32> = row
            .iter()
            .flat_map(|&r| data[r as usize * d..][..d].to_vec())
            .collect();
        let (x0, x1) = (new(&[batch, d], x0), new(&[batch, d], x1));
        let t = new(&[batch, 1], t);
        let xt = (1.0 - &t) * &x0 + &t * &x1;
        assert_eq!(download(&found.xt), bits(xt.as_slice()));
        assert_eq!(download(&found.target), bits((&x1 - &x0).as_slice()));
    }
}

/// Verifies (AD.12), (AD.13).
#[test]
fn the_flat_optimiser_is_the_optimiser_of_models() {
    let device = device();
    let (n, eta) = (1025, 0.003);
    let config = AdamConfig {
        weight_decay: 0.02,
        ..AdamConfig::default()
    };
    let mut theta = Tensor::<Cpu<f32>>::new(&[n], normal(n, 1));
    let flat = AdamwConfig {
        beta1: config.beta1,
        beta2: config.beta2,
        epsilon: config.epsilon,
        weight_decay: config.weight_decay,
        average_decay: 0.999,
    };
    let mut on_device = Adamw::new(&device, theta.as_slice(), flat, eta).expect("there is room");
    let (mut adam, mut ema) = (Adam::new(&theta, config), Ema::new(&theta, 0.999));
    for step in 0..10 {
        let g = normal(n, 100 + step);
        let gradient = device.upload(&g).expect("there is room");
        on_device.step(&gradient).expect("no fault");
        adam.step(&mut theta, &Tensor::new(&[n], g), eta);
        ema.update(&theta);
        assert_eq!(
            download(&on_device.parameters),
            bits(theta.as_slice()),
            "step {step}"
        );
        assert_eq!(
            download(&on_device.average),
            bits(ema.average.as_slice()),
            "step {step}"
        );
    }
}

/// Verifies (AD.2).
#[test]
fn gathering_and_adding_up_in_the_order_of_the_cpu() {
    let device = device();
    let [of, inner] = [31, 5];
    let places: Vec<u32> = normal(257, 1)
        .iter()
        .map(|z| (z.abs() * 9.0) as u32 % 31)
        .collect();
    let count = places.len();
    let on_device = Places::new(&device, &places, of).expect("they lie on the axis");
    let index = Index::new(places.iter().map(|&p| p as usize).collect());
    let x = Tensor::<Cpu<f32>>::new(&[of, inner], normal(of * inner, 2));
    let y = Tensor::<Cpu<f32>>::new(&[count, inner], normal(count * inner, 3));
    let upload = |x: &Tensor<Cpu<f32>>| device.upload(x.as_slice()).expect("there is room");
    let found = gather(&upload(&x), &on_device, 1, inner).expect("no fault");
    assert_eq!(download(&found), bits(x.gather(&index).as_slice()));
    for version in ScatterVersion::ALL {
        let found = scatter_add(&upload(&y), &on_device, 1, inner, version);
        let expected = y.scatter_add(&index, of);
        assert_eq!(
            download(&found.expect("no fault")),
            bits(expected.as_slice())
        );
    }
}
