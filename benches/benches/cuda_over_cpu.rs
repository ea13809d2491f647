//! **What does the GPU gain over the CPU**, by batch and width?
//!
//! Compared: products of matrices by cuBLAS in three precisions and by every
//! version of the lesson, a chain of pointwise functions (printed as one kernel,
//! and one kernel a function), sums, softmax and scatter-add in all versions, a
//! convolution by unfolding, a step of sampling and a step of training; each on
//! this machine's CPU with all its cores, and on the GPU eagerly, as a recorded
//! graph, and from fused kernels.
//!
//! Before a time is taken the results are compared: what is pointwise or adds in
//! the CPU's order in bits, all else within a bound that is derived (see
//! `within_bounds`). A recorded step is compared in bits with its eager twin of
//! the same precision, and the gradients of coarser precisions with the exact
//! one in the norm.
//!
//! Floors: see `flowgrad_benches::floor`, which the table of `cuda/on_device.sh`
//! uses.
//!
//! Without a GPU it says why it skips. On the emulated one it compares results
//! at a small size of each question, and takes no times.

use autograd::check::rounding::Rounded;
use autograd::{
    Algebra, Convolution, Cpu, Cuda, Draw, Index, Mlp, Philox, Tensor, Tree, Unary,
    sum_over_shards, value_and_grad,
};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, measurement::WallTime};
use cuda::{
    CudaError, Device, Expr, Factor, Formula, ImageWindows, MatmulVersion, MlpShape, MlpVersion,
    NarrowMlp, Places, Precision, ScatterVersion, SoftmaxVersion, SumVersion, convolve, matmul,
    matmul_lesson, scatter_add, softmax,
};
use flowgrad_benches::device_clock::{device, tells_times, timed};
use flowgrad_benches::device_step::{DeviceStep, mean_loss, network};
use flowgrad_benches::training_step::{DIMENSION, Size, TrainingStep};
use flowgrad_benches::within_bounds::{
    assert_close, assert_in_norm, assert_near, assert_same_bits, assert_telling, assert_within,
    rounded, wide,
};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Host = Tensor<Cpu<f32>>;
type OnDevice = Tensor<Cuda<f32>>;
type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn normal(shape: &[usize], stream: u32) -> Host {
    let mut x = vec![0.0; shape.iter().product()];
    Philox::normal_f32(Draw::seed(2).stream(stream), 0, &mut x);
    Tensor::new(shape, x)
}

fn upload(device: &Device, x: &Host) -> OnDevice {
    Tensor::upload(device, x).expect("there is room")
}

fn download(x: &OnDevice) -> Vec<f32> {
    x.download().expect("no fault").to_vec()
}

/// The sizes of a question that are tried: the first, which is small, on an
/// emulator, and the others on a GPU.
fn sizes<T: Copy>(device: &Device, all: &[T]) -> Vec<T> {
    let (first, others) = all.split_at(1);
    match device.is_emulated() {
        true => first.to_vec(),
        false => others.to_vec(),
    }
}

/// Times work on the device, if its times mean something.
fn on_device(
    group: Option<&mut Group<'_>>,
    device: &Device,
    id: BenchmarkId,
    mut work: impl FnMut() -> Result<(), CudaError>,
) {
    work().and_then(|()| device.synchronize()).expect("it runs");
    if let Some(group) = group {
        group.bench_function(id, |b| {
            b.iter_custom(|n| timed(device, n, &mut work).expect("it runs"));
        });
    }
}

/// Times work on the CPU beside it.
fn on_cpu<T>(group: Option<&mut Group<'_>>, id: BenchmarkId, mut work: impl FnMut() -> T) {
    if let Some(group) = group {
        group.bench_function(id, |b| b.iter(|| black_box(work())));
    }
}

fn products(mut group: Option<Group<'_>>, device: &Device) {
    for mnk @ [m, n, k] in sizes(
        device,
        &[[64, 32, 48], [4096, 256, 256], [16384, 1024, 1024]],
    ) {
        let name = format!("{m} {n} {k}");
        let (a, b) = (normal(&[m, k], 1), normal(&[k, n], 2));
        let (exact, scale) = (a.matmul(&b), a.abs().matmul(&b.abs()));
        let there = [&a, &b].map(|x| upload(device, x));
        let [fa, fb] = there.each_ref().map(|x| Factor::plain(x.buffer()));
        for precision in Precision::ALL {
            let c = matmul(fa, fb, 1, mnk, precision).and_then(|c| c.download());
            // What both may be off, of a scale that is rounded itself.
            let bound = 1.01 * (precision.bound(k) + Precision::F32.bound(k));
            let c = c.expect("no fault");
            assert_close("product", &c, exact.as_slice(), scale.as_slice(), bound);
            let id = BenchmarkId::new(format!("cuda {precision:?}"), &name);
            on_device(group.as_mut(), device, id, || {
                matmul(fa, fb, 1, mnk, precision).map(drop)
            });
        }
        let buffers = there.each_ref().map(OnDevice::buffer);
        for version in MatmulVersion::ALL {
            let product = || matmul_lesson(version, buffers[0], buffers[1], mnk);
            let c = product().and_then(|c| c.download()).expect("no fault");
            let bound = 1.01 * (version.precision().bound(k) + Precision::F32.bound(k));
            assert_close("lesson", &c, exact.as_slice(), scale.as_slice(), bound);
            let id = BenchmarkId::new(format!("cuda lesson {version:?}"), &name);
            on_device(group.as_mut(), device, id, || product().map(drop));
        }
        let id = BenchmarkId::new("cpu", &name);
        on_cpu(group.as_mut(), id, || a.matmul(&b));
    }
}

/// `tanh((1 − t)·a + t·b)²`.
fn chain<A: Algebra>(t: &Tensor<A>, a: &Tensor<A>, b: &Tensor<A>) -> Tensor<A> {
    ((1.0 - t) * a + t * b).tanh().square()
}

fn chains(mut group: Option<Group<'_>>, device: &Device) {
    // Composed of the lines of the formula sheet.
    let printed = Formula::new("chain", 3, |x| {
        let [t, a, b] = [0, 1, 2].map(|k| x[k].clone());
        let of = |op: Unary, x: Expr| op.expression(&x);
        let mixed = of(Unary::Shift(1.0), -t.clone()) * a + t * b;
        vec![of(Unary::Square, of(Unary::Tanh, mixed))]
    });
    for n in sizes(device, &[1025, 1 << 16, 1 << 24]) {
        let host = [1, 2, 3].map(|stream| normal(&[n], stream));
        let [t, a, b] = &host;
        let there = host.each_ref().map(|x| upload(device, x));
        let buffers = there.each_ref().map(OnDevice::buffer);
        let bits = |x: &[f32]| -> Vec<u32> { x.iter().map(|x| x.to_bits()).collect() };
        let expected = bits(chain(t, a, b).as_slice());
        let composed = || chain(&there[0], &there[1], &there[2]);
        assert_eq!(
            bits(&download(&composed())),
            expected,
            "one kernel a function"
        );
        let fused = || printed.apply(device, &buffers, n);
        let once = fused().and_then(|y| y[0].download()).expect("no fault");
        assert_eq!(bits(&once), expected, "printed as one kernel");
        let id = |name: &str| BenchmarkId::new(name, n);
        on_device(group.as_mut(), device, id("cuda composed"), || {
            drop(composed());
            Ok(())
        });
        on_device(group.as_mut(), device, id("cuda printed"), || {
            fused().map(drop)
        });
        on_cpu(group.as_mut(), id("cpu"), || chain(t, a, b));
    }
}

fn sums(mut group: Option<Group<'_>>, device: &Device) {
    for n in sizes(device, &[1025, 1 << 16, 1 << 24]) {
        let x = normal(&[n], 1);
        let there = upload(device, &x);
        let exact: f64 = x.as_slice().iter().map(|&x| f64::from(x)).sum();
        let size: f64 = x.as_slice().iter().map(|&x| f64::from(x.abs())).sum();
        let judge = |what: &str, found: &[f32], additions: f64| {
            let off = (f64::from(found[0]) - exact).abs();
            let bound = 1.01 * additions * 0.5 * f64::from(f32::EPSILON) * size;
            assert!(off <= bound, "{what}: off by {off:e}, bound {bound:e}");
        };
        // The most additions that a number goes through: pairs of pairs down to
        // 128 on the CPU; two stages on the GPU, of 2048 and of the blocks, by
        // one thread each or by 256.
        judge("CPU", x.sum().as_slice(), 128.0 + (n as f64).log2());
        let blocks = n.div_ceil(2048) as f64;
        for version in SumVersion::ALL {
            let s = cuda::sum(there.buffer(), version).and_then(|s| s.download());
            let additions = match version {
                SumVersion::Serial => 2048.0 + blocks,
                SumVersion::Tree | SumVersion::Shuffle => 8.0 + 8.0 + blocks / 256.0 + 9.0,
            };
            judge("GPU", &s.expect("no fault"), additions);
        }
        for version in SumVersion::ALL {
            let id = BenchmarkId::new(format!("cuda {version:?}"), n);
            on_device(group.as_mut(), device, id, || {
                cuda::sum(there.buffer(), version).map(drop)
            });
        }
        on_cpu(group.as_mut(), BenchmarkId::new("cpu", n), || x.sum());
    }
}

fn softmaxes(mut group: Option<Group<'_>>, device: &Device) {
    for [rows, columns] in sizes(device, &[[33, 31], [65536, 256]]) {
        let x = normal(&[rows, columns], 1);
        let there = upload(device, &x);
        let exact = wide(&x).softmax(1);
        let exact: Vec<f32> = exact.as_slice().iter().map(|&p| p as f32).collect();
        // Relative to each number: the exponent, a difference of numbers below 8,
        // is rounded once (16u) and exponentials to 1.1 units of the last place
        // (2.2u), in both parts of the quotient; sums are rounded once a column,
        // and rescaled by such an exponential at most once in each of a lane's
        // columns and of five exchanges; some more for the quotient itself.
        let unit = 0.5 * f64::from(f32::EPSILON);
        let rescaled = 19.0 * (columns.div_ceil(32) + 5) as f64;
        let bound = 1.01 * (2.0 * 19.0 + 6.0 + columns as f64 + rescaled) * unit;
        assert!(x.abs().max().item() < 8.0, "numbers below 8");
        let judge = |what: &str, p: &[f32]| assert_close(what, p, &exact, &exact, bound);
        judge("softmax on the CPU", x.softmax(1).as_slice());
        let name = format!("{rows} {columns}");
        for version in SoftmaxVersion::ALL {
            let once = || softmax(there.buffer(), rows, columns, version);
            let (p, _) = once().expect("no fault");
            judge("softmax on the GPU", &p.download().expect("no fault"));
            let id = BenchmarkId::new(format!("cuda {version:?}"), &name);
            on_device(group.as_mut(), device, id, || once().map(drop));
        }
        on_cpu(group.as_mut(), BenchmarkId::new("cpu", &name), || {
            x.softmax(1)
        });
    }
}

/// Some numbers of rows into fewer rows, at places without a pattern.
fn scatters(mut group: Option<Group<'_>>, device: &Device) {
    for [count, of, inner] in sizes(device, &[[257, 31, 3], [65536, 1024, 32]]) {
        let y = normal(&[count, inner], 1);
        let mut random = vec![0.0; count];
        Philox::uniform_f32(Draw::seed(2).stream(2), 0, &mut random);
        let place = |x: &f32| ((x * of as f32) as usize).min(of - 1);
        let index: Vec<usize> = random.iter().map(place).collect();
        let narrow: Vec<u32> = index.iter().map(|&place| place as u32).collect();
        let (index, there) = (Index::new(index), upload(device, &y));
        let places = Places::new(device, &narrow, of).expect("they lie on the axis");
        let exact = y.index_add(0, &index, of);
        let name = format!("{count} {of} {inner}");
        for version in ScatterVersion::ALL {
            let once = || scatter_add(there.buffer(), &places, 1, inner, version);
            let x = once().and_then(|x| x.download()).expect("no fault");
            assert_same_bits("scatter-add", &x, exact.as_slice());
            let id = BenchmarkId::new(format!("cuda {version:?}"), &name);
            on_device(group.as_mut(), device, id, || once().map(drop));
        }
        on_cpu(group.as_mut(), BenchmarkId::new("cpu", &name), || {
            y.index_add(0, &index, of)
        });
    }
}

/// Windows 3 × 3 of square images, unfolded and multiplied with the filters.
fn convolutions(mut group: Option<Group<'_>>, device: &Device) {
    for [batch, channels, side, filters] in sizes(device, &[[2, 3, 9, 5], [64, 32, 32, 64]]) {
        let x = normal(&[batch, channels, side, side], 1);
        let w = normal(&[filters, channels, 3, 3], 2);
        let how = Convolution {
            padding: [1, 1],
            ..Convolution::default()
        };
        let windows = ImageWindows {
            batch,
            channels,
            image: [side, side],
            window: [3, 3],
            step: 1,
            margin: 1,
        };
        let k = windows.window_len();
        // Channels come last there, and filters are columns.
        let last = |y: Host| y.permute(&[0, 2, 3, 1]).to_vec();
        let exact = last(x.conv2d(&w, None, how));
        let scale = last(x.abs().conv2d(&w.abs(), None, how));
        let columns = upload(device, &w.reshape(&[filters, k]).t());
        let there = upload(device, &x);
        let name = format!("{batch} {channels} {side} {filters}");
        for precision in Precision::ALL {
            let (x, w) = (there.buffer(), columns.buffer());
            let once = || convolve(x, w, filters, windows, precision);
            let y = once().and_then(|y| y.download()).expect("no fault");
            let bound = 1.01 * (precision.bound(k) + Precision::F32.bound(k));
            assert_close("convolution", &y, &exact, &scale, bound);
            let id = BenchmarkId::new(format!("cuda {precision:?}"), &name);
            on_device(group.as_mut(), device, id, || once().map(drop));
        }
        on_cpu(group.as_mut(), BenchmarkId::new("cpu", &name), || {
            x.conv2d(&w, None, how)
        });
    }
}

const STEP: f64 = 0.05;

/// A step of Euler's method along the network.
fn euler<A: Algebra>(net: &Mlp<A>, t: &Tensor<A>, x: &Tensor<A>) -> Tensor<A> {
    x + STEP * net.velocity(t, x)
}

/// What the network adds, as bounds.
fn rounded_velocity(net: &Mlp<Cpu<f32>>, t: &Host, x: &Host) -> Tensor<Rounded> {
    let net = net.map(&mut |leaf: &Host| rounded(leaf));
    net.velocity(&rounded(t), &rounded(x))
}

fn size(batch: usize, hidden: usize, layers: usize) -> Size {
    Size {
        batch,
        hidden,
        layers,
    }
}

fn sampling(mut group: Option<Group<'_>>, device: &Device) {
    for size in sizes(
        device,
        &[
            size(33, 64, 3),
            size(4096, 64, 3),
            size(65536, 64, 3),
            size(16384, 256, 3),
        ],
    ) {
        let net = network(size);
        let (t, x) = (
            Tensor::full(&[size.batch, 1], 0.25),
            normal(&[size.batch, DIMENSION], 1),
        );
        let bound = {
            let net = net.map(&mut |leaf: &Host| rounded(leaf));
            euler(&net, &rounded(&t), &rounded(&x))
        };
        // A small part of what the network adds.
        let added = STEP * rounded_velocity(&net, &t, &x);
        assert_telling("sampling step", &added, 0.05);
        assert_within("step on the CPU", euler(&net, &t, &x).as_slice(), &bound);
        let there = net.map(&mut |leaf: &Host| upload(device, leaf));
        let (t_there, x_there) = (upload(device, &t), upload(device, &x));
        let eager = || euler(&there, &t_there, &x_there);
        let id = |name: String| BenchmarkId::new(name, size);
        for precision in [Precision::F32, Precision::Tf32] {
            device.set_precision(precision);
            let once = download(&eager());
            match precision {
                Precision::F32 => assert_within("step on the GPU", &once, &bound),
                coarse => {
                    let (added, exact) = added_to(&x, &once, &bound);
                    assert_near("step on the GPU", &added, &exact, tolerance(coarse));
                }
            }
            let name = format!("cuda eager {precision:?}");
            on_device(group.as_mut(), device, id(name), || {
                drop(eager());
                Ok(())
            });
            let (graph, y) = device.record(|| Ok(eager())).expect("it can be recorded");
            graph.replay().expect("it replays");
            assert_same_bits("step as a graph", &download(&y), &once);
            let name = format!("cuda graph {precision:?}");
            on_device(group.as_mut(), device, id(name), || graph.replay());
        }
        device.set_precision(Precision::F32);
        if is_narrow(size) {
            let fused = FusedSampling {
                net: &net,
                size,
                t: &t,
                x: &x,
                bound: &bound,
            };
            fused.run(device, group.as_mut());
        }
        on_cpu(group.as_mut(), id("cpu".to_owned()), || euler(&net, &t, &x));
    }
}

/// What a step has added to its points, and what it should have.
fn added_to(x: &Host, found: &[f32], bound: &Tensor<Rounded>) -> (Vec<f32>, Vec<f64>) {
    let from = x.as_slice();
    let added = found.iter().zip(from).map(|(y, x)| y - x).collect();
    let exact = bound.value().as_slice().iter().zip(from);
    (added, exact.map(|(y, &x)| y - f64::from(x)).collect())
}

/// What a precision may be off in the norm, as its products are tested
/// (`cuda/tests/suite/product.rs`): layers and sums over rows do not add their
/// independent roundings up, they average them.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-5,
        Precision::Tf32 => 1e-3,
        Precision::Bf16 => 1e-2,
    }
}

/// Whether there are kernels for the whole network at once.
fn is_narrow(size: Size) -> bool {
    [32, 64, 128].contains(&size.hidden)
}

/// The step with the whole network in one launch: the network, its points and
/// time, and what the step may be.
struct FusedSampling<'a> {
    net: &'a Mlp<Cpu<f32>>,
    size: Size,
    t: &'a Host,
    x: &'a Host,
    bound: &'a Tensor<Rounded>,
}

impl FusedSampling<'_> {
    fn run(&self, device: &Device, mut group: Option<&mut Group<'_>>) {
        let flat: Vec<f32> = self.net.leaves().iter().flat_map(Tensor::to_vec).collect();
        let theta = device.upload(&flat).expect("there is room");
        let shape = MlpShape {
            inputs: DIMENSION + 1,
            width: self.size.hidden,
            hidden: self.size.layers,
            outputs: DIMENSION,
        };
        let narrow = NarrowMlp::new(shape, &theta).expect("no fault");
        let time = device.upload(&self.t.as_slice()[..1]);
        let (time, at) = (time.expect("there is room"), upload(device, self.x));
        let at = at.buffer();
        let advance = Formula::new("euler", 2, |x| {
            let step = x[0].constant(STEP);
            vec![x[0].clone() + step * x[1].clone()]
        });
        for version in MlpVersion::ALL {
            let step = || {
                let v = narrow.velocity(at, &time, self.size.batch, version)?;
                let mut y = advance.apply(device, &[at, &v], at.len())?;
                Ok(y.remove(0))
            };
            let once = step().and_then(|y| y.download()).expect("no fault");
            self.judge(version, &once);
            let (graph, y) = device.record(step).expect("it can be recorded");
            graph.replay().expect("it replays");
            let replayed = y.download().expect("no fault");
            assert_same_bits("fused step as a graph", &replayed, &once);
            let id = BenchmarkId::new(format!("cuda fused {version:?}"), self.size);
            on_device(group.as_deref_mut(), device, id, || graph.replay());
        }
    }

    fn judge(&self, version: MlpVersion, found: &[f32]) {
        if version == MlpVersion::Shared {
            return assert_within("fused step", found, self.bound);
        }
        // Bfloat16 in the norm of what the network adds, as its tests have it.
        let (added, exact) = added_to(self.x, found, self.bound);
        assert_near("fused step", &added, &exact, tolerance(Precision::Bf16));
    }
}

fn training(mut group: Option<Group<'_>>, device: &Device) {
    for size in sizes(
        device,
        &[
            size(33, 32, 2),
            size(4096, 64, 3),
            size(4096, 256, 3),
            size(16384, 256, 3),
            size(16384, 512, 3),
        ],
    ) {
        compare_gradients(device, size);
        let id = |name: String| BenchmarkId::new(name, size);
        for precision in Precision::ALL {
            device.set_precision(precision);
            let mut eager = DeviceStep::new(device, size).expect("there is room");
            // The eager peer has factors of 11 bits, so there is a point beside it.
            if precision != Precision::Bf16 {
                let name = format!("cuda eager {precision:?}");
                on_device(group.as_mut(), device, id(name), || eager.step().map(drop));
            }
            let narrow = precision == Precision::F32 && is_narrow(size);
            for kind in ["graph", "fused", "narrow, fused"] {
                if kind.starts_with("narrow") && !narrow {
                    continue;
                }
                let once = |step: &mut DeviceStep| match kind {
                    "graph" => step.step(),
                    "fused" => step.fused_step(),
                    _ => step.narrow_step(),
                };
                let open = || DeviceStep::new(device, size).expect("there is room");
                let (mut step, mut twin) = (open(), open());
                let recording = device.record(|| once(&mut step));
                let (graph, loss) = recording.expect("it can be recorded");
                graph.replay().expect("it replays");
                // It ran once before it was recorded.
                once(&mut twin).expect("no fault");
                let expected = once(&mut twin).expect("no fault");
                for (what, found, expected) in [
                    ("the loss", &loss, &expected),
                    ("the parameters", step.parameters(), twin.parameters()),
                ] {
                    let what = format!("{what} of {kind} {precision:?}");
                    let [found, expected] =
                        [found, expected].map(|x| x.download().expect("no fault"));
                    assert_same_bits(&what, &found, &expected);
                }
                let name = format!("cuda {kind} {precision:?}");
                on_device(group.as_mut(), device, id(name), || graph.replay());
            }
        }
        device.set_precision(Precision::F32);
        compare_cpu_step(size);
        let mut cpu = TrainingStep::new(size);
        on_cpu(group.as_mut(), id("cpu".to_owned()), || cpu.step());
    }
}

/// The CPU's step against its twin by hand: the gradient in the norm, and what
/// comes of it in bits.
fn compare_cpu_step(size: Size) {
    let (mut step, mut twin) = (TrainingStep::new(size), TrainingStep::new(size));
    let particles = twin.particles(0..size.batch);
    let (t, x0, x1) = (&particles.t, &particles.x0, &particles.x1);
    let rows = [t.clone(), (1.0 - t) * x0 + t * x1, x1 - x0];
    let (loss, gradient) = sum_over_shards(size.batch, twin.shard_rows(), |rows| {
        twin.loss_and_gradient(&twin.particles(rows))
    });
    let flat = |net: &Mlp<Cpu<f32>>| -> Vec<f32> {
        net.leaves().iter().flat_map(Tensor::to_vec).collect()
    };
    ExactGradient::of(twin.net(), &rows).judge("the CPU's step", &flat(&gradient), size);
    twin.descend(&gradient);
    assert_same_bits("the CPU's loss", &[step.step()], &[loss.item()]);
    assert_same_bits("the CPU's step", &flat(step.net()), &flat(twin.net()));
}

/// A batch on the host: times, points and targets.
type Rows<A> = [Tensor<A>; 3];

/// Who computed it, the loss, and the gradient, flat.
type Reading = (&'static str, [Vec<f32>; 2]);

/// Loss and gradient of a batch.
fn slopes_on_host<A: Algebra<Base = A>>(
    net: &Mlp<A>,
    rows: &Rows<A>,
) -> (Tensor<A>, Vec<Tensor<A>>) {
    let [t, xt, target] = rows.each_ref().map(Tensor::constant);
    let loss = |net: &Mlp<_>| mean_loss(net, &t, &xt, &target);
    let (value, slope) = value_and_grad(loss, net);
    (value, slope.leaves().into_iter().collect())
}

/// Loss and gradient of the device's first batch, in all its readings, and the
/// batch.
fn slopes_on_device(device: &Device, size: Size) -> (Rows<Cpu<f32>>, Vec<Reading>) {
    let mut step = DeviceStep::new(device, size).expect("there is room");
    let batch = step.batch().expect("no fault");
    let host = |columns: usize, x: &cuda::Buffer<f32>| -> Host {
        Tensor::new(&[size.batch, columns], x.download().expect("no fault"))
    };
    let rows = [
        host(1, &batch.t),
        host(DIMENSION, &batch.xt),
        host(DIMENSION, &batch.target),
    ];
    let download = |(loss, gradient): (cuda::Buffer<f32>, cuda::Buffer<f32>)| {
        [loss, gradient].map(|x| x.download().expect("no fault"))
    };
    let mut readings = vec![(
        "fused kernels",
        download(step.fused_slopes(&batch).expect("no fault")),
    )];
    if is_narrow(size) {
        let narrow = step.narrow_slopes(&batch).expect("no fault");
        readings.push(("the network in one launch", download(narrow)));
    }
    readings.push((
        "the algebra",
        download(step.slopes(batch).expect("no fault")),
    ));
    (rows, readings)
}

/// Every number within its worst case, for few rows of a narrow network, where
/// the worst case still tells something.
fn compare_numbers(device: &Device, size: Size) {
    let few = Size {
        batch: size.batch.min(16),
        hidden: size.hidden.min(64),
        ..size
    };
    let (rows, mut readings) = slopes_on_device(device, few);
    let net = network(few);
    let (value, slopes) = slopes_on_host(&net, &rows);
    let flat = slopes.iter().flat_map(Tensor::to_vec).collect();
    readings.push(("CPU", [value.to_vec(), flat]));
    let net = net.map(&mut |leaf: &Host| rounded(leaf));
    let (value, bounds) = slopes_on_host(&net, &rows.each_ref().map(rounded));
    for bound in &bounds {
        assert_telling("gradient", bound, 0.05);
    }
    for (what, [loss, gradient]) in &readings {
        assert_within(what, loss, &value);
        let mut rest = &gradient[..];
        for bound in &bounds {
            let (leaf, behind) = rest.split_at(bound.value().shape().count());
            assert_within(what, leaf, bound);
            rest = behind;
        }
        assert!(rest.is_empty(), "{what}: as many slopes as parameters");
    }
}

/// A gradient in double precision, and the mean of the magnitudes of those of
/// single rows.
struct ExactGradient {
    value: Vec<f64>,
    scale: Vec<f64>,
}

impl ExactGradient {
    fn of(net: &Mlp<Cpu<f32>>, rows: &Rows<Cpu<f32>>) -> Self {
        let net = net.map(&mut |leaf: &Host| wide(leaf));
        let rows = rows.each_ref().map(wide);
        let flat = |rows: &Rows<Cpu<f64>>| -> Vec<f64> {
            let (_, slopes) = slopes_on_host(&net, rows);
            slopes.iter().flat_map(Tensor::to_vec).collect()
        };
        let value = flat(&rows);
        // From as many rows as make it known to a tenth.
        let count = rows[0].shape()[0].min(256);
        let mut scale = vec![0.0; value.len()];
        for row in 0..count {
            let slopes = flat(&rows.each_ref().map(|x| x.slice(0, row, 1)));
            for (scale, slope) in scale.iter_mut().zip(slopes) {
                *scale += slope.abs() / count as f64;
            }
        }
        ExactGradient { value, scale }
    }

    /// One in single precision: a sum over the batch, and two products a layer
    /// over its width.
    fn judge(&self, what: &str, found: &[f32], size: Size) {
        let n = size.batch + 2 * (size.layers + 1) * size.hidden;
        assert_in_norm(what, found, &self.value, &self.scale, n as f64);
    }
}

/// The gradients that are timed, in the norm. (Parameters would say less: a
/// first step of Adam is the sign of the slope, which may turn where it is
/// small.)
fn compare_gradients(device: &Device, size: Size) {
    device.set_precision(Precision::F32);
    compare_numbers(device, size);
    let (rows, readings) = slopes_on_device(device, size);
    let exact = ExactGradient::of(&network(size), &rows);
    for (what, [_, gradient]) in &readings {
        exact.judge(what, gradient, size);
    }
    for precision in [Precision::Tf32, Precision::Bf16] {
        device.set_precision(precision);
        let (again, readings) = slopes_on_device(device, size);
        for (again, rows) in again.iter().zip(&rows) {
            assert_same_bits("the batch", again.as_slice(), rows.as_slice());
        }
        for (what, [_, gradient]) in &readings {
            let what = format!("{what} in {precision:?}");
            assert_near(&what, gradient, &exact.value, tolerance(precision));
        }
    }
}

fn main() {
    let device = match device() {
        Ok(device) => device,
        Err(reason) => return println!("{reason}"),
    };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    type Question = fn(Option<Group<'_>>, &Device);
    let questions: [(&str, Question); 8] = [
        ("product", products),
        ("pointwise chain", chains),
        ("sum", sums),
        ("softmax", softmaxes),
        ("scatter-add", scatters),
        ("convolution", convolutions),
        ("sampling step", sampling),
        ("training step", training),
    ];
    for (name, question) in questions {
        if device.is_emulated() {
            question(None, &device);
            println!("{name}: emulated, results agree");
        } else {
            let mut group = criterion.benchmark_group(name);
            group.sampling_mode(SamplingMode::Flat);
            question(Some(group), &device);
        }
    }
    if tells_times(&device) {
        criterion.final_summary();
    }
}
