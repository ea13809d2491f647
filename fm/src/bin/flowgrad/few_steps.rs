//! How many evaluations sampling takes: the same noise moved to eight
//! Gaussians by every solver, along two paths with exact fields.

use autograd::{Cpu, Draw, Philox, Tensor};
use fm::Error;
use fm::metric::{Floor, noise_floor, w2};
use fm::mixture::{Mixture, MixturePath};
use fm::report::{FewStepRow, NoiseFloor};
use fm::sampler::{Plan, sample};
use fm::schedule::Schedule;
use fm::trajectory::Trajectories;
use ndarray::Array2;
use solvers::methods::{DORMAND_PRINCE, EULER, MIDPOINT, RK4};

/// Streams of the random numbers.
const NOISE: u32 = 0;
const DATA: u32 = 1;
const FLOOR: u32 = 2;

/// The name of the path of flow matching in the table.
pub(crate) const STRAIGHT: &str = "straight (flow matching)";

/// Every solver on every path.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) rows: Vec<FewStepRow>,
    pub(crate) floor: Floor,
    count: usize,
    seed: u64,
}

/// Measures the table.
pub(crate) fn measure(count: u32, seed: u64) -> Result<Measured, Error> {
    let (n, target) = (count as usize, Mixture::eight_gaussians());
    let draw = Draw::seed(seed);
    let data = |draw: Draw| {
        let mut rng = Philox::new(draw);
        let rows: Vec<f64> = (0..n).flat_map(|_| target.sample(&mut rng)).collect();
        Array2::from_shape_vec((n, 2), rows).expect("two coordinates a row")
    };
    let reference = data(draw.stream(DATA));
    let floor = noise_floor(4, |i| data(draw.stream(FLOOR).step(i)))?;
    let mut noise = vec![0.0; 2 * n];
    Philox::normal_f64(draw.stream(NOISE), 0, &mut noise);
    let x0 = Tensor::<Cpu<f64>>::new(&[n, 2], noise);
    let mut rows = Vec::new();
    for (name, schedule) in [
        (STRAIGHT, Schedule::CondOt),
        ("variance preserving", Schedule::VariancePreserving),
    ] {
        let path = MixturePath::new(target.clone(), schedule, 0.0)?;
        // At t = 1 the diffusion's ḃ is infinite: the field is asked a billionth
        // before, where its limit is met to seven digits.
        let field = |t: &[f64], x: &Tensor<Cpu<f64>>| {
            let t: Vec<f64> = t.iter().map(|t| t.min(1.0 - 1e-9)).collect();
            path.velocity(&t, x)
        };
        let exact = sample(&x0, &Plan::Adaptive(1e-9), field)?.x1;
        let course = Trajectories::follow(&x0, 100, field)?.course(reference.view())?;
        for (solver, plan) in plans() {
            let sampled = sample(&x0, &plan, field)?;
            let ends = Array2::from_shape_vec((n, 2), sampled.x1.to_vec());
            let ends = ends.expect("two coordinates a row");
            let miss = (&sampled.x1 - &exact).square().sum().item() / n as f64;
            rows.push(FewStepRow {
                path: name.to_owned(),
                solver: solver.to_owned(),
                steps: match plan {
                    Plan::Fixed(_, steps) => steps,
                    Plan::Adaptive(_) => sampled.evaluations / 6,
                },
                nfe: sampled.evaluations as f64,
                w2: w2(ends.view(), reference.view())?,
                floor: NoiseFloor {
                    mean: floor.mean,
                    std: floor.deviation,
                },
                straightness: course.straightness,
                energy_excess: course.excess,
                map_error: miss.sqrt(),
            });
        }
    }
    Ok(Measured {
        rows,
        floor,
        count: n,
        seed,
    })
}

impl Measured {
    /// Prints the table.
    pub(crate) fn print(&self) {
        let (n, floor) = (self.count, self.floor);
        println!(
            "eight Gaussians, {n} samples, seed {}, exact fields",
            self.seed
        );
        println!(
            "W2 is to {n} samples of the data; two such sets are {:.2} ± {:.2} apart (the floor).",
            floor.mean, floor.deviation
        );
        println!("miss is the rms distance to where the exact flow takes the same noise.");
        println!("straightness is 0 for straight ways; excess is the path energy beyond the least");
        println!("possible, W2^2 from noise to data, relative to it.\n");
        println!(
            "{:26} {:16} {:>5} {:>5} {:>7} {:>9} {:>12} {:>7}",
            "path", "solver", "steps", "NFE", "W2", "miss", "straightness", "excess"
        );
        for row in &self.rows {
            println!(
                "{:26} {:16} {:>5} {:>5} {:>7.3} {:>9.2e} {:>12.2} {:>7.3}",
                row.path,
                row.solver,
                row.steps,
                row.nfe,
                row.w2,
                row.map_error,
                row.straightness,
                row.energy_excess
            );
        }
    }
}

fn plans() -> Vec<(&'static str, Plan)> {
    let mut all = Vec::new();
    for steps in [4, 10, 20, 50] {
        all.push(("Euler", Plan::Fixed(&EULER, steps)));
    }
    for steps in [4, 10] {
        all.push(("midpoint", Plan::Fixed(&MIDPOINT, steps)));
    }
    for steps in [2, 4, 10] {
        all.push(("RK4", Plan::Fixed(&RK4, steps)));
    }
    for steps in [2, 4] {
        all.push(("Dormand-Prince", Plan::Fixed(&DORMAND_PRINCE, steps)));
    }
    all.push(("adaptive 1e-3", Plan::Adaptive(1e-3)));
    all
}
