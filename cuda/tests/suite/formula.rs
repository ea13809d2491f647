//! Pointwise kernels printed from expressions. (That every function of the
//! formula sheet has the CPU's bits is a test of `autograd`, where the sheet
//! is.)

use crate::oracle::{SIZES, bits, numbers};
use crate::place::device;
use cuda::{Expr, Formula};

#[test]
fn a_fused_chain_has_the_bits_of_its_parts() {
    let device = device();
    // s = (1 − t)·a + t·b, then |s|·s + 0.1.
    let mix = |x: &[Expr]| {
        let (t, a, b) = (x[0].clone(), x[1].clone(), x[2].clone());
        (-t.clone()).plus(1.0) * a + t * b
    };
    let finish = |s: &Expr| (s.abs() * s.clone()).plus(0.1);
    let first = Formula::new("mix", 3, |x| vec![mix(x)]);
    let second = Formula::new("finish", 1, |x| vec![finish(&x[0])]);
    let fused = Formula::new("fused", 3, |x| vec![finish(&mix(x)), mix(x)]);
    for n in SIZES {
        let host = [1, 2, 3].map(|seed| numbers(n, seed));
        let on_device = host
            .each_ref()
            .map(|x| device.upload(x).expect("there is room"));
        let inputs = on_device.each_ref();
        let download = |x: &cuda::Buffer<f32>| bits(&x.download().expect("no fault"));
        let s = first.apply(&device, &inputs, n).expect("no fault");
        let y = second.apply(&device, &[&s[0]], n).expect("no fault");
        let both = fused.apply(&device, &inputs, n).expect("no fault");
        assert_eq!(download(&both[0]), download(&y[0]), "{n}");
        assert_eq!(download(&both[1]), download(&s[0]), "{n}");
        let expected: Vec<f32> = (0..n)
            .map(|i| {
                let (t, a, b) = (host[0][i], host[1][i], host[2][i]);
                let s = (-t + 1.0) * a + t * b;
                s.abs() * s + 0.1
            })
            .collect();
        assert_eq!(download(&y[0]), bits(&expected), "{n}");
    }
}

#[test]
fn arrays_of_different_lengths_are_refused() {
    let device = device();
    let sum = Formula::new("sum", 2, |x| vec![x[0].clone() + x[1].clone()]);
    let [a, b] = [3, 4].map(|n| device.zeros(n).expect("there is room"));
    let error = sum
        .apply(&device, &[&a, &b], 3)
        .expect_err("3 is not 4")
        .to_string();
    assert_eq!(error, "sum: arrays of [3, 4] numbers; expected 2 of 3");
}
