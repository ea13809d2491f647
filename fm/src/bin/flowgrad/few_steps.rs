//! How many evaluations sampling takes: the same noise moved to eight
//! Gaussians by every solver, along two paths with exact fields.

use autograd::{Cpu, Draw, Philox, Tensor};
use fm::Error;
use fm::metric::{noise_floor, w2};
use fm::mixture::{Mixture, MixturePath};
use fm::sampler::{Plan, sample};
use fm::schedule::Schedule;
use ndarray::Array2;
use solvers::methods::{DORMAND_PRINCE, EULER, MIDPOINT, RK4};

/// Streams of the random numbers.
const NOISE: u32 = 0;
const DATA: u32 = 1;
const FLOOR: u32 = 2;

/// Prints the table.
pub(crate) fn print(count: u32, seed: u64) -> Result<(), Error> {
    let (n, target) = (count as usize, Mixture::eight_gaussians());
    let draw = Draw::seed(seed);
    let data = |draw: Draw| {
        let mut rng = Philox::new(draw);
        let rows: Vec<f64> = (0..n).flat_map(|_| target.sample(&mut rng)).collect();
        Array2::from_shape_vec((n, 2), rows).expect("two coordinates a row")
    };
    let reference = data(draw.stream(DATA));
    let floor = noise_floor(4, |i| data(draw.stream(FLOOR).step(i)))?;
    println!("eight Gaussians, {n} samples, seed {seed}, exact fields");
    println!(
        "W2 is to {n} samples of the data; two such sets are {:.2} ± {:.2} apart (the floor).",
        floor.mean, floor.deviation
    );
    println!("miss is the rms distance to where the exact flow takes the same noise.\n");
    println!(
        "{:30} {:18} {:>5} {:>7} {:>9}",
        "path", "solver", "NFE", "W2", "miss"
    );
    let mut noise = vec![0.0; 2 * n];
    Philox::normal_f64(draw.stream(NOISE), 0, &mut noise);
    let x0 = Tensor::<Cpu<f64>>::new(&[n, 2], noise);
    for (name, schedule) in [
        ("straight (flow matching)", Schedule::CondOt),
        ("variance preserving", Schedule::VariancePreserving),
    ] {
        let path = MixturePath::new(target.clone(), schedule, 0.0)?;
        // At t = 1 the diffusion's ḃ is infinite: fields are asked a little
        // before, where what is left of the noise is 1e-5 of it.
        let field = |t: &[f64], x: &Tensor<Cpu<f64>>| {
            let t: Vec<f64> = t.iter().map(|t| t.min(1.0 - 1e-9)).collect();
            path.velocity(&t, x)
        };
        let exact = sample(&x0, &Plan::Adaptive(1e-9), field)?.x1;
        for (solver, plan) in plans() {
            let sampled = sample(&x0, &plan, field)?;
            let rows = Array2::from_shape_vec((n, 2), sampled.x1.to_vec());
            let distance = w2(
                rows.expect("two coordinates a row").view(),
                reference.view(),
            )?;
            let miss = (&sampled.x1 - &exact).square().sum().item() / n as f64;
            println!(
                "{name:30} {solver:18} {:>5} {distance:>7.3} {:>9.2e}",
                sampled.evaluations,
                miss.sqrt()
            );
        }
        println!(
            "{:30} exact straightness {:.3}\n",
            "",
            straightness(&path, &x0, &exact, field)?
        );
    }
    Ok(())
}

fn plans() -> Vec<(String, Plan)> {
    let mut all = Vec::new();
    for steps in [4, 10, 20, 50] {
        all.push((format!("Euler {steps}"), Plan::Fixed(&EULER, steps)));
    }
    for steps in [4, 10] {
        all.push((format!("midpoint {steps}"), Plan::Fixed(&MIDPOINT, steps)));
    }
    for steps in [2, 4, 10] {
        all.push((format!("RK4 {steps}"), Plan::Fixed(&RK4, steps)));
    }
    all.push(("Dormand-Prince 2".into(), Plan::Fixed(&DORMAND_PRINCE, 2)));
    all.push(("Dormand-Prince 1e-3".into(), Plan::Adaptive(1e-3)));
    all
}

/// `∫E‖(x₁ − x₀) − v_t(x_t)‖²dt`, 0 for straight trajectories, by the midpoint
/// rule over 50 RK4 steps.
fn straightness(
    path: &MixturePath,
    x0: &Tensor<Cpu<f64>>,
    x1: &Tensor<Cpu<f64>>,
    field: impl Fn(&[f64], &Tensor<Cpu<f64>>) -> Tensor<Cpu<f64>>,
) -> Result<f64, Error> {
    const STEPS: u32 = 50;
    let n = x0.size(0);
    let mut sum = 0.0;
    let mut x = x0.clone();
    let chord = x1 - x0;
    for i in 0..2 * STEPS {
        let at = |offset: f64| f64::from(2 * STEPS).recip() * (f64::from(i) + offset);
        if i % 2 == 1 {
            let v = path.velocity(&vec![at(0.0); n], &x);
            sum += (&chord - v).square().sum().item() / n as f64 / f64::from(STEPS);
        }
        // Half a step of RK4, so that every other node is a midpoint.
        let h = at(1.0) - at(0.0);
        let f = |t: f64, x: &Tensor<Cpu<f64>>| field(&vec![t; n], x);
        let k1 = f(at(0.0), &x);
        let k2 = f(at(0.5), &(&x + 0.5 * h * &k1));
        let k3 = f(at(0.5), &(&x + 0.5 * h * &k2));
        let k4 = f(at(1.0), &(&x + h * &k3));
        x = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
    }
    Ok(sum)
}
