//! The residual perceptron: its formula by hand, its beginning, its
//! derivatives.

use crate::filled;
use autograd::check::{Program, check, sample};
use autograd::{Algebra, Cpu, Draw, ResidualMlp, Tensor, TimeFeatures, Tree, Unary};

type Plain = Tensor<Cpu<f64>>;

fn network() -> ResidualMlp<Cpu<f64>> {
    let (time, draw) = (TimeFeatures::Fourier(1), Draw::seed(5));
    ResidualMlp::new(2, 4, 2, 3, 2, time, Unary::Silu, draw)
}

/// The same with blocks that do something, scales and shifts included.
fn awake() -> ResidualMlp<Cpu<f64>> {
    let mut net = network();
    let mut salt = 0;
    net.each_mut(&mut |leaf| {
        salt += 1;
        *leaf = &*leaf + 0.5 * sample(&leaf.shape(), (-1.0, 1.0), salt);
    });
    net
}

/// A vector through a dense layer, by loops.
fn dense(x: &[f64], layer: &autograd::Dense<Cpu<f64>>) -> Vec<f64> {
    let (w, b) = (layer.weight.as_slice(), layer.bias.as_slice());
    let term = |j: usize| {
        x.iter()
            .enumerate()
            .map(move |(i, x)| x * w[i * b.len() + j])
    };
    (0..b.len()).map(|j| b[j] + term(j).sum::<f64>()).collect()
}

fn norm(x: &[f64], layer: &autograd::LayerNorm<Cpu<f64>>) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let (scale, shift) = (layer.scale.as_slice(), layer.shift.as_slice());
    let standard = x.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt());
    let pairs = standard.zip(scale).zip(shift);
    pairs.map(|((x, scale), shift)| x * scale + shift).collect()
}

/// Verifies (AD.33).
#[test]
fn the_network_is_its_formula() {
    let net = awake();
    let (t, x) = (0.3f64, [0.8, -0.4]);
    let turn = std::f64::consts::TAU * t;
    let mut h = dense(&[x[0], x[1], t, turn.sin(), turn.cos()], &net.first);
    for block in &net.blocks {
        let wide = dense(&norm(&h, &block.norm), &block.widen);
        let wide: Vec<f64> = wide.iter().map(|z| z / (1.0 + (-z).exp())).collect();
        let step = dense(&wide, &block.narrow);
        h = h.iter().zip(&step).map(|(h, step)| h + step).collect();
    }
    let expected = dense(&norm(&h, &net.norm), &net.last);
    let (t, x) = (
        Plain::new(&[1, 1], vec![t]),
        Plain::new(&[1, 2], x.to_vec()),
    );
    for (found, expected) in net.velocity(&t, &x).as_slice().iter().zip(&expected) {
        // Some hundred operations on numbers below 10; the normalisation
        // divides by a deviation above 0.3.
        let error = (found - expected).abs();
        assert!(error <= 100.0 * 10.0 / 0.3 * f64::EPSILON, "{error:e}");
    }
    // The wrong twin, a block left out, is seen.
    let mut shorter = net.clone();
    shorter.blocks.pop();
    let other = shorter.velocity(&t, &x);
    assert!((other.as_slice()[0] - expected[0]).abs() > 1e-3);
}

/// A fresh network is the one without its blocks, in bits.
#[test]
fn blocks_begin_as_nothing() {
    let (net, mut none) = (network(), network());
    none.blocks.clear();
    let (t, x) = (
        sample(&[5, 1], (0.0, 1.0), 1),
        sample(&[5, 2], (-1.0, 1.0), 2),
    );
    assert_eq!(
        net.velocity(&t, &x).to_vec(),
        none.velocity(&t, &x).to_vec()
    );
    // No two layers are drawn alike.
    let [a, b] = [0, 1].map(|k| net.blocks[k].widen.weight.to_vec());
    assert_ne!(a, b);
}

/// The network as a program of its inputs and all its parameters.
struct Network;
impl Program for Network {
    fn run<A: Algebra>(&self, inputs: &[Tensor<A>]) -> Tensor<A> {
        filled(&network(), &inputs[2..]).velocity(&inputs[0], &inputs[1])
    }
}

#[test]
fn the_network_passes_the_checker_in_all_inputs_and_parameters() {
    let mut at = vec![
        sample(&[3, 1], (0.0, 1.0), 1),
        sample(&[3, 2], (-1.0, 1.0), 2),
    ];
    at.extend(awake().leaves());
    let report = check(&Network, &at);
    assert!(report.is_ok(), "{}", report.unwrap_err());
}

#[test]
fn leaves_have_the_names_of_their_fields() {
    let names = network().names();
    assert_eq!(
        names[..4],
        [
            "first.weight",
            "first.bias",
            "blocks.0.norm.scale",
            "blocks.0.norm.shift"
        ]
    );
    assert_eq!(
        names[4..8],
        [
            "blocks.0.widen.weight",
            "blocks.0.widen.bias",
            "blocks.0.narrow.weight",
            "blocks.0.narrow.bias",
        ]
    );
    assert_eq!(
        names[14..],
        ["norm.scale", "norm.shift", "last.weight", "last.bias"]
    );
}
