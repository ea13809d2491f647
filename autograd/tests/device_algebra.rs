//! The same programs with arrays on the CPU and on the GPU: what rearranges or
//! is pointwise has the same bits, what sums or multiplies the same numbers to
//! within its roundings; and so have all derivatives, because the rules are
//! one text. On the emulated driver where there is no GPU.

use autograd::{
    Algebra, Cpu, Cuda, Draw, Index, Mlp, Philox, Tensor, TimeFeatures, Tree, Unary, hvp, jvp,
    value_and_grad,
};
use cuda::{CudaError, Device, Memory, Precision};

type Host = Tensor<Cpu<f32>>;
type OnDevice = Tensor<Cuda<f32>>;

/// The first GPU, or the emulated one; memory straight from the driver, so that
/// bounds are exact.
fn device() -> Device {
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    Device::open_with(0, Memory::Direct).expect("there is a device, emulated at least")
}

fn normal(shape: &[usize], stream: u32) -> Host {
    let mut x = vec![0.0; shape.iter().product()];
    Philox::normal_f32(Draw::seed(5).stream(stream), 0, &mut x);
    Tensor::new(shape, x)
}

fn upload(device: &Device, x: &Host) -> OnDevice {
    Tensor::upload(device, x).expect("there is room")
}

fn bits(x: &Host) -> Vec<u32> {
    x.as_slice().iter().map(|x| x.to_bits()).collect()
}

/// A program of three arrays `[4, 5, 3]`, `[4, 5, 3]` and `[3, 6]`.
trait Program {
    fn run<A: Algebra>(&self, x: &[Tensor<A>; 3]) -> Tensor<A>;
}

/// Declares programs, and the test that runs them all.
macro_rules! programs {
    ($test:ident, $judge:expr; $($name:ident: |$x:ident, $y:ident, $w:ident| $body:expr;)*) => {
        mod $test {
            use super::*;
            $(
                #[expect(non_camel_case_types, reason = "a program, named like a function")]
                pub(super) struct $name;
                impl Program for $name {
                    fn run<A: Algebra>(&self, [$x, $y, $w]: &[Tensor<A>; 3]) -> Tensor<A> {
                        let _ = ($x, $y, $w);
                        $body
                    }
                }
            )*
        }
        #[test]
        fn $test() {
            let device = device();
            let host = [normal(&[4, 5, 3], 1), normal(&[4, 5, 3], 2), normal(&[3, 6], 3)];
            let on_device = host.each_ref().map(|x| upload(&device, x));
            $(
                let program = $test::$name;
                let expected = program.run(&host);
                let found = program.run(&on_device).download().expect("no fault");
                assert_eq!(found.shape(), expected.shape(), stringify!($name));
                $judge(stringify!($name), &found, &expected);
            )*
        }
    };
}

fn same_bits(name: &str, found: &Host, expected: &Host) {
    assert_eq!(bits(found), bits(expected), "{name}");
}

/// Sums of at most 120 terms below 30 in magnitude, twice one after the other.
fn close(name: &str, found: &Host, expected: &Host) {
    for (&f, &e) in found.as_slice().iter().zip(expected.as_slice()) {
        let error = (f - e).abs();
        assert!(
            error <= 240.0 * f32::EPSILON * e.abs().max(30.0),
            "{name}: {f} for {e}"
        );
    }
}

programs! { what_rearranges_or_is_pointwise_has_the_same_bits, same_bits;
    reshape: |x, y, w| x.reshape(&[2, 30]);
    permute: |x, y, w| x.permute(&[2, 0, 1]);
    transpose: |x, y, w| w.t();
    broadcast: |x, y, w| x.slice(0, 1, 1).broadcast_to(&[2, 4, 5, 3]);
    slice: |x, y, w| x.slice(1, 2, 3);
    pad: |x, y, w| x.pad(1, 2, 1);
    gather: |x, y, w| x.index_select(1, &Index::new(vec![4, 0, 4, 2]));
    scatter: |x, y, w| x.index_add(1, &Index::new(vec![3, 1, 3, 0, 3]), 7);
    windows: |x, y, w| x.unfold(1, 2, 1, 2);
    windows_added_up: |x, y, w| x.unfold(1, 2, 1, 2).fold(1, 1, 2, 5);
    diagonal: |x, y, w| x.diagonal();
    on_the_diagonal: |x, y, w| x.embed_diagonal();
    roll: |x, y, w| x.roll(1, -2);
    flip: |x, y, w| x.flip(2);
    running_sums: |x, y, w| x.cumsum(1);
    joined: |x, y, w| Tensor::concat(&[x, &x.slice(1, 0, 2), y], 1);
    scaled: |x, y, w| 0.3 * x;
    shifted: |x, y, w| x + 0.3;
    arithmetic: |x, y, w| (x + y) * (x - y) / (y.square() + 1.0);
    chosen: |x, y, w| Tensor::select(&x.lt(y), &x.silu(), &y.tanh());
    not_more: |x, y, w| Tensor::select(&x.le(&x.flip(0).flip(0)), y, x);
    equal: |x, y, w| Tensor::select(&x.eq(&x.maximum(y)), y, x);
    masks: |x, y, w| Tensor::constant(&(x.lt(y) + 2.0 * x.le(x) + 4.0 * x.eq(&x.maximum(y))));
    largest: |x, y, w| x.max_axis(1);
    smallest_of_all: |x, y, w| x.min();
    constants: |x, y, w| x.full_like(&[2, 3], 0.7) + x.lift(&[3], &[1.0, 2.0, 3.0]);
    empty: |x, y, w| x.slice(1, 2, 0).exp();
}

programs! { what_sums_or_multiplies_is_close, close;
    sum: |x, y, w| x.sum();
    sum_of_none: |x, y, w| x.slice(1, 0, 0).sum();
    sum_first: |x, y, w| x.sum_axis(0);
    sum_middle: |x, y, w| x.sum_axis(1);
    sum_last: |x, y, w| x.sum_axis(2);
    mean_and_variance: |x, y, w| x.mean_axis(1) + x.var_axis(1, 1.0);
    norm: |x, y, w| x.norm_axis(2);
    product: |x, y, w| x.reshape(&[20, 3]).matmul(w);
    stack: |x, y, w| x.matmul(&y.swap_axes(1, 2));
    softmax: |x, y, w| x.softmax(2) + x.log_softmax(1);
    layer: |x, y, w| x.reshape(&[20, 3]).dense(w, &w.slice(0, 0, 1).reshape(&[6]), Some(Unary::Silu));
    layer_of_another_function: |x, y, w| x.reshape(&[20, 3]).dense(w, &w.slice(0, 1, 1).reshape(&[6]), Some(Unary::Tanh));
}

fn loss<A: Algebra>(net: &Mlp<A>, t: &Tensor<A>, x0: &Tensor<A>, x1: &Tensor<A>) -> Tensor<A> {
    let xt = (1.0 - t) * x0 + t * x1;
    (net.velocity(t, &xt) - (x1 - x0))
        .square()
        .sum_axis(1)
        .mean()
}

fn network() -> Mlp<Cpu<f32>> {
    let time = TimeFeatures::Fourier(2);
    Mlp::new(2, &[17, 9], 2, time, Unary::Silu, Draw::seed(1))
}

/// The loss of flow matching and its slope by every parameter.
#[test]
fn a_network_and_its_gradient() {
    let device = device();
    let n = 33;
    let batch = [
        normal(&[n, 1], 1).sigmoid(),
        normal(&[n, 2], 2),
        normal(&[n, 2], 3),
    ];
    let there = batch.each_ref().map(|x| upload(&device, x));
    let net = network();
    let on_device = net.map(&mut |leaf| upload(&device, leaf));
    let run = |net: &_| {
        let [t, x0, x1] = batch.each_ref().map(Tensor::constant);
        loss(net, &t, &x0, &x1)
    };
    let (value, slope) = value_and_grad(run, &net);
    let run = |net: &_| {
        let [t, x0, x1] = there.each_ref().map(Tensor::constant);
        loss(net, &t, &x0, &x1)
    };
    let (value_there, slope_there) = value_and_grad(run, &on_device);
    close("loss", &value_there.download().expect("no fault"), &value);
    for (found, expected) in slope_there.leaves().into_iter().zip(slope.leaves()) {
        close("slope", &found.download().expect("no fault"), &expected);
    }
}

/// Forward mode, and second order as forward over reverse.
#[test]
fn duals_and_second_derivatives() {
    fn energy<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
        (x.sin() * x.silu()).sum() + x.square().sum().sqrt()
    }
    let device = device();
    let (x, v) = (normal(&[7, 3], 1), normal(&[7, 3], 2));
    let there = [&x, &v].map(|x| upload(&device, x));
    let (value, along) = jvp(energy, &x, &v);
    let found = jvp(energy, &there[0], &there[1]);
    close("value", &found.0.download().expect("no fault"), &value);
    close("along", &found.1.download().expect("no fault"), &along);
    let expected = hvp(energy, &x, &v);
    let found = hvp(energy, &there[0], &there[1]);
    close("second", &found.download().expect("no fault"), &expected);
}

/// The relative errors that a precision allows, in the norm: 10⁻⁵ in single
/// precision, 10⁻³ with factors of 11 bits, 10⁻² with 8; and none is a finer
/// one in disguise.
#[test]
fn precision_is_a_setting_of_the_device() {
    let device = device();
    let (x, w, b) = (normal(&[33, 40], 1), normal(&[40, 17], 2), normal(&[17], 3));
    let wide = |x: &Host| -> Vec<f64> { x.as_slice().iter().map(|&x| f64::from(x)).collect() };
    let new = |shape: &[usize], x: &Host| Tensor::<Cpu<f64>>::new(shape, wide(x));
    let exact = new(&[33, 40], &x).dense(&new(&[40, 17], &w), &new(&[17], &b), Some(Unary::Silu));
    let there = [&x, &w, &b].map(|x| upload(&device, x));
    let error = |precision| {
        device.set_precision(precision);
        let h = there[0].dense(&there[1], &there[2], Some(Unary::Silu));
        let h = h.download().expect("no fault");
        let pairs = wide(&h).into_iter().zip(exact.to_vec());
        let (off, all) = pairs.fold((0.0, 0.0), |(off, all), (h, e)| {
            (off + (h - e) * (h - e), all + e * e)
        });
        f64::sqrt(off / all)
    };
    let [single, coarse, coarsest] = Precision::ALL.map(error);
    assert!(single <= 1e-5, "{single:e}");
    assert!(coarse <= 1e-3 && coarse > 1e-5, "{coarse:e}");
    assert!(coarsest <= 1e-2 && coarsest > 1e-3, "{coarsest:e}");
}

#[test]
fn what_is_not_finite_is_seen() {
    let device = device();
    let judge = |x: &[f32]| upload(&device, &Tensor::new(&[x.len()], x.to_vec())).all_finite();
    assert!(judge(&[1.0, -2.0, f32::MAX]) && judge(&[]));
    assert!(!judge(&[1.0, f32::NAN]) && !judge(&[f32::NEG_INFINITY]));
}

/// An error of the device is a panic that says which, and not a copy to the
/// host behind the user's back.
#[test]
fn an_operation_without_a_kernel_panics_with_a_typed_payload() {
    #[derive(Clone, Debug)]
    struct Own;
    impl autograd::Primitive for Own {
        fn name(&self) -> &'static str {
            "own"
        }
        fn value<F: autograd::Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
            x[0].clone()
        }
        fn push<A: Algebra>(
            &self,
            _: &[Tensor<A>],
            _: &Tensor<A>,
            _: usize,
            v: Tensor<A>,
        ) -> Tensor<A> {
            v
        }
        fn pull<A: Algebra>(
            &self,
            _: &[Tensor<A>],
            _: &Tensor<A>,
            _: usize,
            w: Tensor<A>,
        ) -> Tensor<A> {
            w
        }
    }
    let x = upload(&device(), &normal(&[2], 1));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Tensor::primitive(&Own, &[x])
    }));
    let payload = outcome.expect_err("there is no kernel");
    let error = payload
        .downcast_ref::<CudaError>()
        .expect("the payload is the error");
    assert_eq!(error.to_string(), "own has no kernel on the GPU");
}
