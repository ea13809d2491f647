//! Steps that gather, fold and roll, recorded as graphs: row numbers are
//! copied to the device once. Alone in its process, because it counts.

use autograd::{
    Algebra, Cpu, Cuda, Draw, Index, Philox, Tensor, TimeFeatures, Tree, UNet, UNetConfig, Var,
    value_and_grad,
};
use cuda::{CudaError, Device};
use std::sync::{Mutex, MutexGuard, PoisonError};

type OnDevice = Tensor<Cuda<f32>>;

/// The first GPU, or the emulated one; one test at a time, because they count.
fn device() -> (Device, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    let device = Device::open(0).expect("there is a device, emulated at least");
    (device, one)
}

/// Copies to the device so far; none on a GPU, which does not count them.
fn uploads(device: &Device) -> u64 {
    if !device.is_emulated() {
        println!("skipped: a GPU does not count its copies");
        return 0;
    }
    cuda_emulator::copies_to_device()
}

fn normal(shape: &[usize], stream: u32) -> Tensor<Cpu<f32>> {
    let mut x = vec![0.0; shape.iter().product()];
    Philox::normal_f32(Draw::seed(5).stream(stream), 0, &mut x);
    Tensor::new(shape, x)
}

fn upload(device: &Device, x: &Tensor<Cpu<f32>>) -> OnDevice {
    Tensor::upload(device, x).expect("there is room")
}

fn bits(x: &OnDevice) -> Vec<u32> {
    let x = x.download().expect("no fault");
    x.as_slice().iter().map(|x| x.to_bits()).collect()
}

/// Rows of a table are gathered, cut into windows, multiplied and rolled; the
/// gradient adds up, folds and rolls back.
fn loss<A: Algebra>((table, w): &(Tensor<A>, Tensor<A>), classes: &Index) -> Tensor<A> {
    let rows = table.gather(classes);
    let seen = rows.unfold(1, 3, 1, 2).matmul(w);
    seen.roll(1, 2).square().sum() + rows.unfold(1, 2, 2, 1).fold(1, 2, 1, 8).roll(1, -3).sum()
}

fn model(device: &Device) -> (OnDevice, OnDevice) {
    let there = |shape: &[usize], stream| upload(device, &normal(shape, stream));
    (there(&[5, 8], 1), there(&[3, 2], 2))
}

#[test]
fn row_numbers_are_copied_once_and_a_graph_may_use_them() {
    let (device, _one) = device();
    let model = model(&device);
    let classes = Index::new(vec![4, 0, 4, 2, 1, 4, 0]);
    let step = |model: &(OnDevice, OnDevice)| {
        let (value, slope) = value_and_grad(|model| loss(model, &classes), model);
        [value, slope.0, slope.1]
    };
    let before = uploads(&device);
    let expected = step(&model).map(|x| bits(&x));
    let first = uploads(&device);
    // Index, beginnings and order of the gather, two folds and two rolls; rolls
    // back are two more.
    assert!(first - before <= 3 * 7, "{}", first - before);
    for _ in 0..3 {
        assert_eq!(step(&model).map(|x| bits(&x)), expected);
    }
    assert_eq!(uploads(&device), first, "nothing is copied again");
    let (graph, out) = device.record(|| Ok(step(&model))).expect("recorded");
    for _ in 0..3 {
        graph.replay().expect("no fault");
        assert_eq!(out.each_ref().map(bits), expected);
    }
    assert_eq!(uploads(&device), first, "nor for the graph");
    // The control: a list that is new at each run is copied at each run, and
    // cannot be recorded.
    let again = |_: u32| {
        let classes = Index::new(classes.as_slice().to_vec());
        model.0.gather(&classes)
    };
    let copies = uploads(&device);
    drop([1, 2].map(again));
    if device.is_emulated() {
        assert_eq!(uploads(&device), copies + 2, "the list, and no more");
    }
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        device.record(|| Ok(again(3)))
    }));
    let payload = refused.expect_err("it is not recorded");
    let error = payload.downcast_ref::<CudaError>().expect("a typed error");
    assert!(error.to_string().contains("row numbers"), "{error}");
    // A recording that ended in a panic is over.
    let (graph, out) = device.record(|| Ok(step(&model))).expect("recorded");
    graph.replay().expect("no fault");
    assert_eq!(out.each_ref().map(bits), expected);
}

/// A gather copies its list and nothing else; who names each place goes to the
/// device when the first derivative asks, once for all that use the list.
#[test]
fn what_a_scatter_needs_is_copied_when_one_asks() {
    let (device, _one) = device();
    if !device.is_emulated() {
        println!("skipped: a GPU does not count its copies");
        return;
    }
    let x = upload(&device, &normal(&[5, 2], 1));
    let list = Index::new(vec![3, 0, 3]);
    let before = uploads(&device);
    let copied = || uploads(&device) - before;
    let y = x.gather(&list);
    assert_eq!(bits(&x.gather(&list)), bits(&y));
    assert_eq!(copied(), 1, "the list");
    let slope = || {
        let (_, slope) = value_and_grad(|x| x.gather(&list).square().sum(), &x);
        bits(&slope)
    };
    let first = slope();
    assert_eq!(
        copied(),
        3,
        "where the list of each place begins, and the lists"
    );
    assert_eq!(slope(), first);
    assert_eq!(copied(), 3, "they stay there");
    let x = x.download().expect("no fault");
    let (_, expected) = value_and_grad(|x| x.gather(&list).square().sum(), &x);
    let expected: Vec<u32> = expected.as_slice().iter().map(|x| x.to_bits()).collect();
    assert_eq!(first, expected);
}

/// Lists that come and go, many of them at one address if addresses were all
/// that is looked at; each must be read for what it is.
#[test]
fn no_list_is_mistaken_for_one_that_was() {
    let (device, _one) = device();
    let x = upload(&device, &normal(&[31, 1], 1));
    let all = x.download().expect("no fault");
    for i in 0..200 {
        let rows: Vec<usize> = (0..4).map(|k| (7 * i + 3 * k) % 31).collect();
        let found = x.gather(&Index::new(rows.clone())).download();
        let expected: Vec<f32> = rows.iter().map(|&row| all.as_slice()[row]).collect();
        assert_eq!(found.expect("no fault").to_vec(), expected, "list {i}");
    }
    // The lists are gone, and so are their copies but for the last one's.
    let at_rest = device.pool().in_use;
    drop(x.gather(&Index::new(vec![1, 2])));
    drop(x.gather(&Index::new(vec![3, 4])));
    assert!(device.pool().in_use <= at_rest);
}

/// A U-Net with classes: convolutions unfold and fold on every grid, and
/// classes are gathered.
#[test]
fn a_step_of_a_u_net_is_one_graph() {
    let (device, _one) = device();
    let config = UNetConfig {
        image: [1, 4, 4],
        channels: vec![2, 4],
        width: 3,
        groups: 2,
        time: TimeFeatures::Fourier(1),
        classes: 3,
    };
    let net = UNet::<Cpu<f32>>::new(&config, Draw::seed(1));
    let there = net.map(&mut |leaf| upload(&device, leaf));
    let batch = [&normal(&[3, 1], 2).sigmoid(), &normal(&[3, 16], 3)].map(|x| upload(&device, x));
    let classes = Index::new(vec![2, 0, 3]);
    let step = |with: Option<&Index>| {
        let run = |net: &UNet<Var<Cuda<f32>>>| {
            let [t, x] = batch.each_ref().map(Tensor::constant);
            let v = match with {
                Some(classes) => net.velocity_of_class(&t, &x, classes),
                None => net.velocity(&t, &x),
            };
            v.square().mean()
        };
        let (value, slope) = value_and_grad(run, &there);
        (value, slope.leaves())
    };
    for with in [Some(&classes), None] {
        let (value, slopes) = step(with);
        let expected: Vec<_> = slopes.iter().map(bits).collect();
        let copies = uploads(&device);
        let (graph, out) = device.record(|| Ok(step(with))).expect("recorded");
        graph.replay().expect("no fault");
        assert_eq!(uploads(&device), copies, "nothing is copied");
        assert_eq!(bits(&out.0), bits(&value));
        assert_eq!(out.1.iter().map(bits).collect::<Vec<_>>(), expected);
    }
}
