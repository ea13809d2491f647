//! Loss and gradient of the training step that is raced, held to another
//! framework's numbers on shared weights.

use autograd::{Cpu, Draw, Mlp, Real, Tensor, TimeFeatures, Tree, Unary, Var, value_and_grad};
use fm::objective::{Particles, loss_sum};
use serde_json::Value;

const BATCH: usize = 8;

/// The shared formula of `benches/peers/reference_gradient.py`.
struct Numbers(u64);

impl Numbers {
    fn fill<F: Real>(&mut self, shape: &[usize], scale: f64, shift: f64) -> Tensor<Cpu<F>> {
        let count: usize = shape.iter().product();
        let next = |_| {
            self.0 += 1;
            let wrapped = (self.0 * 2_654_435_761) % (1 << 32);
            F::from_f64(scale * (wrapped as f64 / 4_294_967_296.0 - 0.5) + shift)
        };
        Tensor::new(shape, (0..count).map(next).collect())
    }
}

/// The largest deviation from the peer, relative to the largest entry of the
/// leaf it is in (for the loss, to the loss).
fn worst<F: Real>() -> f64 {
    let mut numbers = Numbers(0);
    let time = TimeFeatures::Plain;
    let mut net = Mlp::<Cpu<F>>::new(2, &[16; 3], 2, time, Unary::Silu, Draw::seed(0));
    net.each_mut(&mut |leaf| {
        let scale = match leaf.rank() {
            2 => 1.0 / (leaf.size(0) as f64).sqrt(),
            _ => 1.0,
        };
        *leaf = numbers.fill(&leaf.shape(), scale, 0.0);
    });
    let x0 = numbers.fill(&[BATCH, 2], 4.0, 0.0);
    let x1 = numbers.fill(&[BATCH, 2], 4.0, 0.0);
    let t = numbers.fill(&[BATCH, 1], 1.0, 0.5);
    let particles = Particles {
        t: Tensor::<Var<Cpu<F>>>::constant(&t),
        x0: Tensor::constant(&x0),
        x1: Tensor::constant(&x1),
        thickness: None,
    };
    let mean = 1.0 / (2.0 * BATCH as f64);
    let (loss, gradient) = value_and_grad(
        |net: &Mlp<Var<Cpu<F>>>| mean * loss_sum(|t, x| net.velocity(t, x), &particles),
        &net,
    );
    let text = include_str!("../data/peer_gradient.json");
    let peer: Value = serde_json::from_str(text).expect("valid JSON");
    let number = |v: &Value| v.as_f64().expect("a number");
    let mut worst = (loss.item().wide() / number(&peer["loss"]) - 1.0).abs();
    let leaves = peer["gradient"].as_array().expect("a list");
    assert_eq!(leaves.len(), gradient.leaves().len());
    for (ours, peer) in gradient.leaves().iter().zip(leaves) {
        let peer: Vec<f64> = peer
            .as_array()
            .expect("a list")
            .iter()
            .map(number)
            .collect();
        assert_eq!(peer.len(), ours.as_slice().len());
        let size = peer.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        for (x, y) in ours.as_slice().iter().zip(&peer) {
            let error = (x.wide() - y).abs() / size;
            if error > worst || error.is_nan() {
                worst = error;
            }
        }
    }
    worst
}

#[test]
fn loss_and_gradient_are_those_of_a_peer() {
    let (single, double) = (worst::<f32>(), worst::<f64>());
    println!("f32: {single:.2e}, f64: {double:.2e}");
    assert!(single <= 1e-5, "f32: {single:e}");
    // A few hundred roundings of terms no larger than the largest entry.
    assert!(double <= 1e-13, "f64: {double:e}");
}
