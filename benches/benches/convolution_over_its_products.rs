//! **What does a convolution cost over its matrix products alone?**
//!
//! A convolution cuts the images into windows, multiplies, and puts the
//! channels back in their place; its derivative does the same backwards.
//! Compared: value alone and value with both derivatives, over the products
//! that each of them is made of, with factors of the same shapes. The shapes
//! are those of a U-Net on the digits, a shard of 32 images. One thread.
//!
//! Floor: the products, `2·N·P·K·C·O` operations each, one forward and two
//! backward; `P` places, kernels of `K` places, `C` to `O` channels. The
//! windows are `K` times as many numbers as the images, and are written once
//! forward and once backward.

use autograd::{Convolution, Cpu, Draw, Philox, Tensor, Var, value_and_grad};
use flowgrad_benches::in_turn;
use flowgrad_benches::one_thread::on_one_thread;
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Plain = Tensor<Cpu<f32>>;

/// Images, channels in and out, extent, kernel, stride.
const CASES: [[usize; 6]; 6] = [
    [32, 24, 24, 8, 3, 1],
    [32, 48, 24, 8, 3, 1],
    [32, 48, 48, 4, 3, 1],
    [32, 24, 48, 8, 3, 2],
    [32, 48, 24, 8, 1, 1],
    [32, 1, 24, 8, 3, 1],
];

fn numbers(shape: &[usize]) -> Plain {
    let mut numbers = vec![0.0; shape.iter().product()];
    Philox::normal_f32(Draw::seed(1), 0, &mut numbers);
    Tensor::new(shape, numbers)
}

fn compare([n, c, o, extent, kernel, stride]: [usize; 6]) {
    let how = Convolution {
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        ..Convolution::default()
    };
    let out = how.output([extent; 2], [kernel; 2]);
    let rows = n * out.expect("a window fits").iter().product::<usize>();
    let (x, w) = (
        numbers(&[n, c, extent, extent]),
        numbers(&[o, c, kernel, kernel]),
    );
    let (windows, matrix) = (
        numbers(&[rows, c * kernel * kernel]),
        numbers(&[c * kernel * kernel, o]),
    );
    let (y_bar, turned, columns) = (numbers(&[rows, o]), matrix.t(), windows.t());
    let at = (x.clone(), w.clone());
    type Pair = (Tensor<Var<Cpu<f32>>>, Tensor<Var<Cpu<f32>>>);
    let title = format!(
        "{n} images, {c} to {o} channels, {extent} by {extent}, kernel {kernel}, stride {stride}"
    );
    in_turn::report(
        &format!("value, {title}"),
        Duration::from_secs(1),
        &mut [
            ("product", &mut || drop(black_box(windows.matmul(&matrix)))),
            ("conv2d", &mut || drop(black_box(x.conv2d(&w, None, how)))),
        ],
    );
    in_turn::report(
        &format!("value and gradient, {title}"),
        Duration::from_secs(1),
        &mut [
            ("products", &mut || {
                black_box(windows.matmul(&matrix));
                black_box(y_bar.matmul(&turned));
                black_box(columns.matmul(&y_bar));
            }),
            ("conv2d", &mut || {
                let sum = |m: &Pair| m.0.conv2d(&m.1, None, how).sum();
                black_box(value_and_grad(sum, &at));
            }),
        ],
    );
}

fn main() {
    on_one_thread(|| CASES.into_iter().for_each(compare));
}
