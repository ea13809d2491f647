//! Where the loss goes: one identity couples training loss, path energy and
//! the cost of the coupling.
//!
//! The exact field is a conditional mean, `u = E[x₁ − x₀ | x_t]`, so the error
//! it leaves is orthogonal to every function of `x_t`, itself included:
//!
//! ```text
//! E‖x₁ − x₀‖²              = PE(u) + L*              (Pythagoras for u)
//! E‖(x₁ − x₀) − v(x_t)‖²   = L* + E‖v − u‖²          (and for any field v)
//! W₂²                      ≤ PE(u) ≤ E‖x₁ − x₀‖²     (Benamou and Brenier)
//! ```
//!
//! Expectations are means over random particles; a claim that something is 0
//! is held to five standard errors (a false alarm has probability 6·10⁻⁷, and
//! the seeds are fixed).

use autograd::{Cpu, Draw, Mlp, Philox, Tensor, TimeFeatures, Unary};
use fm::dataset::Dataset;
use fm::metric::w2;
use fm::mixture::{Mixture, MixturePath, normal};
use fm::path::{joint_velocity, thick_position};
use fm::schedule::Schedule;
use ndarray::Array2;
use rand::RngExt;

const PARTICLES: u32 = 10_000;

/// A particle on its way: time, place, and what the network is asked for.
struct Particle {
    t: f64,
    x: Vec<f64>,
    target: Vec<f64>,
}

fn particles(path: &MixturePath, stream: u32) -> impl Iterator<Item = Particle> + '_ {
    let mut rng = Philox::new(Draw::seed(31).stream(stream));
    (0..PARTICLES).map(move |_| {
        let t: f64 = rng.random();
        let x1 = path.target.sample(&mut rng);
        let x0: Vec<f64> = x1.iter().map(|_| normal(&mut rng)).collect();
        let ends = || x0.iter().zip(&x1);
        Particle {
            t,
            x: ends()
                .map(|(&a, &b)| thick_position(t, a, b, path.sigma, normal(&mut rng)))
                .collect(),
            target: ends().map(|(&a, &b)| joint_velocity(a, b)).collect(),
        }
    })
}

/// The mean of numbers in units of its standard error.
fn score(numbers: &[f64]) -> f64 {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean / (variance / n).sqrt()
}

fn square(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

fn minus(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x - y).collect()
}

fn paths() -> Vec<(String, MixturePath)> {
    let mut all = Vec::new();
    for set in [Dataset::EightGaussians, Dataset::Moons, Dataset::SCurve] {
        for sigma in [0.0, 0.1] {
            let target = set.mixture().expect("a mixture");
            let path = MixturePath::new(target, Schedule::CondOt, sigma).expect("valid");
            all.push((format!("{set}, sigma {sigma}"), path));
        }
    }
    // Points in five dimensions: a finite data set.
    let means = (0..4).map(|k| (0..5).map(|j| f64::from(k * j % 3) - 1.0).collect());
    let points = Mixture::new(vec![0.25; 4], means.collect(), vec![0.0; 4]).expect("valid");
    let path = MixturePath::new(points, Schedule::CondOt, 0.0).expect("valid");
    all.push(("four points".to_owned(), path));
    all
}

#[test]
fn the_cost_of_the_coupling_is_path_energy_plus_irreducible_loss() {
    for (stream, (name, path)) in (0..).zip(paths()) {
        // ‖x₁ − x₀‖² − ‖u‖² − ‖(x₁ − x₀) − u‖² has mean 0 for the exact field;
        // the wrong twin is a twentieth too fast.
        let defect = |factor: f64| -> Vec<f64> {
            particles(&path, stream)
                .map(|p| {
                    let u = path.at(p.t, &p.x).velocity;
                    let u: Vec<f64> = u.iter().map(|u| factor * u).collect();
                    square(&p.target) - square(&u) - square(&minus(&p.target, &u))
                })
                .collect()
        };
        let (right, wrong) = (score(&defect(1.0)), score(&defect(1.05)));
        println!("{name}: {right:.2} standard errors, wrong twin {wrong:.2}");
        assert!(right.abs() <= 5.0, "{name}: {right}");
        assert!(wrong.abs() > 5.0, "{name}: the wrong twin passes, {wrong}");
    }
}

/// The loss of an untrained network is the floor plus its distance to the
/// exact field: so the gap of a loss curve to its floor *is* the error of the
/// field, and minimising one minimises the other.
#[test]
fn the_loss_of_any_field_is_the_floor_plus_its_distance_to_the_exact_one() {
    let draw = Draw::seed(5);
    let net = Mlp::<Cpu<f64>>::new(2, &[16], 2, TimeFeatures::Plain, Unary::Silu, draw);
    let net = |t: f64, x: &[f64]| {
        let t = Tensor::new(&[1, 1], vec![t]);
        let v = net.velocity(&t, &Tensor::new(&[1, 2], x.to_vec()));
        // An untrained output is tiny; a field of the data's size is wanted.
        (5.0 * v + 1.0).to_vec()
    };
    for (stream, (name, path)) in (50..).zip(paths().into_iter().take(4)) {
        let defect = |centre: f64| -> Vec<f64> {
            particles(&path, stream)
                .map(|p| {
                    let (v, u) = (net(p.t, &p.x), path.at(p.t, &p.x).velocity);
                    let floor = square(&minus(&p.target, &u));
                    let u: Vec<f64> = u.iter().map(|u| centre * u).collect();
                    square(&minus(&p.target, &v)) - floor - square(&minus(&v, &u))
                })
                .collect()
        };
        let (right, wrong) = (score(&defect(1.0)), score(&defect(0.9)));
        println!("{name}: {right:.2} standard errors, wrong twin {wrong:.2}");
        assert!(right.abs() <= 5.0, "{name}: {right}");
        assert!(wrong.abs() > 5.0, "{name}: the wrong twin passes, {wrong}");
    }
}

/// `W₂² ≤ PE ≤ E‖x₁ − x₀‖²`, on samples. Equality on the left needs a flow
/// without crossings, which straight conditional paths do not give.
#[test]
fn the_energy_lies_between_transport_and_coupling() {
    const N: usize = 400;
    for (stream, (name, path)) in (90..).zip(paths().into_iter().take(6)) {
        let mut rng = Philox::new(Draw::seed(32).stream(stream));
        let mut cloud = |one: &mut dyn FnMut(&mut Philox) -> Vec<f64>| {
            let rows: Vec<f64> = (0..N).flat_map(|_| one(&mut rng)).collect();
            Array2::from_shape_vec((N, 2), rows).expect("two coordinates a row")
        };
        let noise = cloud(&mut |rng| vec![normal(rng), normal(rng)]);
        let data = cloud(&mut |rng| path.target.sample(rng));
        let least = w2(noise.view(), data.view()).expect("finite").powi(2);
        let (mut energy, mut cost) = (Vec::new(), Vec::new());
        for p in particles(&path, stream) {
            energy.push(square(&path.at(p.t, &p.x).velocity));
            cost.push(square(&p.target));
        }
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let (energy, cost) = (mean(&energy), mean(&cost));
        println!("{name}: W2^2 {least:.3} <= PE {energy:.3} <= cost {cost:.3}");
        // All three are a tenth or more apart here: far beyond their noise,
        // which is below 3 % at these sizes.
        assert!(1.05 * least <= energy && 1.05 * energy <= cost, "{name}");
    }
}
