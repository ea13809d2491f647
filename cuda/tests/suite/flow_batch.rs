//! The batch for flow matching: its laws, its equations and its versions. (That
//! the bits are the CPU's is a test of `autograd`, where the CPU's are.)

use crate::oracle::{bits, numbers};
use crate::place::{device, device_with};
use cuda::{FlowBatch, FlowSource, FlowStreams, FlowVersion, Law, Memory, Sequence, random};

const STREAMS: FlowStreams = FlowStreams {
    noise: 1,
    time: 2,
    data: 3,
};

/// A batch on the host, as bits: x0, x_t, target, t, row.
fn host(batch: &FlowBatch) -> [Vec<u32>; 5] {
    let read = |x: &cuda::Buffer<f32>| bits(&x.download().expect("no fault"));
    let row = batch.row.download().expect("no fault");
    [
        read(&batch.x0),
        read(&batch.xt),
        read(&batch.target),
        read(&batch.t),
        row,
    ]
}

#[test]
fn both_versions_have_the_same_bits_and_the_equations_hold() {
    let device = device();
    for [batch, d, rows] in [
        [1, 1, 1],
        [31, 2, 5],
        [33, 3, 100],
        [257, 5, 7],
        [0, 2, 3],
        [2, 1025, 2],
        [1025, 2, 31],
    ] {
        let data = numbers(rows * d, 1);
        let source = || {
            let data = device.upload(&data).expect("there is room");
            FlowSource::new(data, [rows, d], 7, STREAMS).expect("no fault")
        };
        let [mut one, mut four] = [source(), source()];
        for step in 0..3 {
            let [a, b] = [
                host(&one.next(batch, FlowVersion::Element).expect("no fault")),
                host(&four.next(batch, FlowVersion::Four).expect("no fault")),
            ];
            assert_eq!(a, b, "{batch} {d}");
            let sequence = |stream| Sequence {
                seed: 7,
                stream,
                step,
            };
            let draw = |law, stream, n| {
                let x = random(&device, law, sequence(stream), 0, n);
                x.and_then(|x| x.download()).expect("no fault")
            };
            let (x0, t) = (
                draw(Law::Normal, 1, batch * d),
                draw(Law::Uniform, 2, batch),
            );
            assert_eq!((bits(&x0), bits(&t)), (a[0].clone(), a[3].clone()));
            for e in 0..batch * d {
                let (t, x1) = (t[e / d], data[a[4][e / d] as usize * d + e % d]);
                let xt = (1.0 - t) * x0[e] + t * x1;
                assert_eq!((a[1][e], a[2][e]), (xt.to_bits(), (x1 - x0[e]).to_bits()));
            }
        }
    }
}

#[test]
fn a_source_goes_on_at_any_step() {
    let device = device();
    let source = || {
        let data = device.upload(&numbers(21, 1)).expect("there is room");
        FlowSource::new(data, [7, 3], 7, STREAMS).expect("no fault")
    };
    let next =
        |source: &mut FlowSource| host(&source.next(5, FlowVersion::Four).expect("no fault"));
    let (mut whole, mut cut) = (source(), source());
    let batches: Vec<_> = (0..4).map(|_| next(&mut whole)).collect();
    cut.go_on_at(2).expect("no fault");
    assert_eq!([next(&mut cut), next(&mut cut)], batches[2..]);
    cut.go_on_at(0).expect("no fault");
    assert_eq!(next(&mut cut), batches[0]);
}

/// Means within five standard errors, for a fixed seed.
#[test]
fn numbers_follow_their_laws() {
    let device = device();
    let n = 20_000;
    let sequence = Sequence {
        seed: 3,
        stream: 0,
        step: 0,
    };
    let mean = |law, power: i32| {
        let x = random(&device, law, sequence, 5, n).and_then(|x| x.download());
        let x = x.expect("no fault");
        x.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / n as f64
    };
    // Expectation and variance of x and x².
    for (law, power, expected, variance) in [
        (Law::Normal, 1, 0.0, 1.0),
        (Law::Normal, 2, 1.0, 2.0),
        (Law::Uniform, 1, 0.5, 1.0 / 12.0),
        (Law::Uniform, 2, 1.0 / 3.0, 4.0 / 45.0),
    ] {
        let error = (mean(law, power) - expected).abs();
        let bound = 5.0 * f64::sqrt(variance / n as f64);
        assert!(error <= bound, "{law:?} {power}: {error} of {bound}");
    }
}

#[test]
fn a_recorded_source_draws_a_new_batch_at_each_replay() {
    let device = device_with(Memory::Pooled);
    let data = numbers(20, 1);
    let open = || {
        let data = device.upload(&data).expect("there is room");
        FlowSource::new(data, [10, 2], 1, STREAMS).expect("no fault")
    };
    let (mut eager, mut recorded) = (open(), open());
    let recording = device.record(|| recorded.next(33, FlowVersion::Four));
    let (graph, last) = recording.expect("it can be recorded");
    eager.next(33, FlowVersion::Four).expect("no fault");
    let mut before = None;
    for _ in 0..5 {
        graph.replay().expect("no fault");
        let expected = host(&eager.next(33, FlowVersion::Four).expect("no fault"));
        assert_eq!(host(&last), expected);
        assert_ne!(before, Some(expected.clone()));
        before = Some(expected);
    }
}

#[test]
fn data_without_rows_is_refused() {
    let empty = device().zeros(0).expect("nothing is needed");
    let outcome = FlowSource::new(empty, [0, 2], 1, STREAMS);
    let error = outcome.expect_err("there is nothing to draw").to_string();
    assert_eq!(error, "flow_batch: no rows; expected one row at least");
}
