//! A training step on the GPU stays on the GPU: nothing is copied to the host,
//! and the memory of one step serves the next. Alone in its process, because
//! it counts.

use autograd::{
    Algebra, Cpu, Cuda, Draw, Mlp, Philox, Tensor, TimeFeatures, Tree, Unary, value_and_grad,
};
use cuda::Device;

fn normal(shape: &[usize], stream: u32) -> Tensor<Cpu<f32>> {
    let mut x = vec![0.0; shape.iter().product()];
    Philox::normal_f32(Draw::seed(5).stream(stream), 0, &mut x);
    Tensor::new(shape, x)
}

fn loss<A: Algebra>(net: &Mlp<A>, t: &Tensor<A>, x0: &Tensor<A>, x1: &Tensor<A>) -> Tensor<A> {
    let xt = (1.0 - t) * x0 + t * x1;
    (net.velocity(t, &xt) - (x1 - x0))
        .square()
        .sum_axis(1)
        .mean()
}

/// One step of gradient descent; the loss before it, on the device.
fn step(net: &mut Mlp<Cuda<f32>>, batch: &[Tensor<Cuda<f32>>; 3]) -> Tensor<Cuda<f32>> {
    let run = |net: &_| {
        let [t, x0, x1] = batch.each_ref().map(Tensor::constant);
        loss(net, &t, &x0, &x1)
    };
    let (value, slope) = value_and_grad(run, net);
    let mut slopes = slope.leaves().into_iter();
    net.each_mut(&mut |leaf| {
        let slope = slopes.next().expect("one slope a parameter");
        *leaf = &*leaf - 0.05 * slope;
    });
    value
}

#[test]
fn a_step_copies_nothing_to_the_host_and_needs_no_new_memory() {
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    let device = Device::open(0).expect("there is a device, emulated at least");
    let upload = |x: &Tensor<Cpu<f32>>| Tensor::upload(&device, x).expect("there is room");
    let batch = [
        normal(&[40, 1], 1).sigmoid(),
        normal(&[40, 2], 2),
        normal(&[40, 2], 3),
    ];
    let batch = batch.each_ref().map(upload);
    let time = TimeFeatures::Fourier(1);
    let net = Mlp::new(2, &[16], 2, time, Unary::Silu, Draw::seed(1));
    let mut net = net.map(&mut |leaf: &Tensor<Cpu<f32>>| upload(leaf));
    // The first steps compile, and find out how many blocks a step needs.
    let first = step(&mut net, &batch);
    // Besides model, batch and loss: cuBLAS's own room and the constants.
    let at_rest = device.pool().in_use;
    let mut last = step(&mut net, &batch);
    for _ in 0..2 {
        last = step(&mut net, &batch);
    }
    let before = device.pool();
    let copies = device.is_emulated().then(cuda_emulator::copies_to_host);
    for _ in 0..300 {
        last = step(&mut net, &batch);
    }
    if let Some(copies) = copies {
        assert_eq!(
            cuda_emulator::copies_to_host(),
            copies,
            "the host saw nothing"
        );
    } else {
        println!("skipped: a GPU does not count its copies");
    }
    let after = device.pool();
    assert_eq!(
        after.driver_allocations, before.driver_allocations,
        "no new memory"
    );
    let item = |x: &Tensor<Cuda<f32>>| x.download().expect("no fault").item();
    assert!(
        item(&last) < 0.9 * item(&first),
        "it learns: {} from {}",
        item(&last),
        item(&first)
    );
    drop(last);
    assert_eq!(device.pool().in_use, at_rest, "nothing leaks");
}
