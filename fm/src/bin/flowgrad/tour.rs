//! The guided tour: sample, train, verify, and a report with pictures.

use crate::few_steps::{self, STRAIGHT};
use crate::sample::{Judgement, judge};
use crate::table;
use crate::train::{floor_line, progress};
use autograd::{Cpu, Draw, Philox, Tensor};
use fm::Error;
use fm::coupling::Name;
use fm::dataset::{Dataset, digits, moons_mixture, point};
use fm::metric::{noise_floor, w2};
use fm::mixture::MixturePath;
use fm::report::{
    Cloud, DigitGrids, DigitPanel, DigitScores, ErrorAgainstNfe, ErrorQuantity, FieldOverDensity,
    LossCurve, LossScale, MeasuredDistance, NoiseFloor, PixelRange, Report, Scatter, ScatterPanel,
    SolverSeries, VerificationRow, Window,
};
use fm::sampler::{Plan, sample};
use fm::schedule::Schedule;
use fm::training::{Settings, Trainer, VelocityModel};
use fm::trajectory::Trajectories;
use fm::verify::{Row, Settings as Verification, Verdict};
use ndarray::{Array2, Axis, s};
use solvers::methods::RK4;
use std::path::Path;
use std::process::ExitCode;

/// Seed of everything in the tour.
const SEED: u64 = 1;
/// Points in the pictures of the moons.
const POINTS: usize = 1000;
/// Steps of the trainings: a few seconds for the moons, half a minute for the
/// digits on two cores.
const MOON_STEPS: u64 = 5000;
const DIGIT_STEPS: u64 = 3000;

/// Takes the tour; the exit code says whether every equation was verified.
pub(crate) fn take() -> Result<ExitCode, Error> {
    let path = Path::new("out/report.html");
    writable(path)?;
    println!("flowgrad: flow matching, verified. Time 0 is noise, time 1 is data.");
    println!("\n1. Do the equations hold?\n");
    let settings = Verification::default();
    let rows = table::rows(&settings, &fm::verify::EQUATIONS, table::Print::Rows);
    println!("\n2. How many steps does sampling take?\n");
    let measured = few_steps::measure(500, SEED)?;
    measured.print();
    let mut report = Report::new("A tour of flow matching", SEED);
    let verified: Vec<VerificationRow> = rows.iter().map(reported).collect();
    report
        .chapter(
            "Do the equations hold?",
            "Every equation of the text, measured on random cases.",
        )
        .verification(&verified);
    steps_chapter(&mut report, &measured);
    println!("\n3. Learning two moons\n");
    moons_chapter(&mut report)?;
    println!("\n4. Learning handwritten digits\n");
    digits_chapter(&mut report)?;
    report
        .write(path)
        .map_err(|e| Error::io(path, "write", e))?;
    println!("\nwrote {}: all of this with pictures\n", path.display());
    Ok(table::summary(&rows))
}

/// Refuses a folder that takes no files before the minute of work, not after.
fn writable(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", e))?;
    let probe = tempfile::tempfile_in(folder);
    probe.map_err(|e| Error::io(folder, "write to", e))?;
    Ok(())
}

fn reported(row: &Row) -> VerificationRow {
    VerificationRow {
        equation: row.equation.to_owned(),
        claim: row.claim.to_owned(),
        residual: row.residual,
        expected_order: row.expected_order,
        observed_order: row.observed_order,
        control_rejected: row.control_rejected,
        pass: row.verdict == Verdict::Pass,
    }
}

fn steps_chapter(report: &mut Report, measured: &few_steps::Measured) {
    let series = |value: fn(&fm::report::FewStepRow) -> f64| {
        ["Euler", "midpoint", "RK4", "Dormand-Prince"]
            .map(|solver| SolverSeries {
                label: solver,
                points: measured
                    .rows
                    .iter()
                    .filter(|row| row.path == STRAIGHT && row.solver == solver)
                    .map(|row| (row.nfe, value(row)))
                    .collect(),
            })
            .to_vec()
    };
    let floor = NoiseFloor {
        mean: measured.floor.mean,
        std: measured.floor.deviation,
    };
    report
        .chapter(
            "How many steps does sampling take?",
            "The same noise moved to eight Gaussians by every solver, with exact fields.",
        )
        .few_steps(&measured.rows)
        .figure(
            ErrorAgainstNfe {
                title: "What can be seen in the samples of the straight path",
                quantity: ErrorQuantity::W2 { floor },
                series: series(|row| row.w2),
            }
            .figure(),
        )
        .figure(
            ErrorAgainstNfe {
                title: "What the solver really does on the straight path",
                quantity: ErrorQuantity::MapError,
                series: series(|row| row.map_error),
            }
            .figure(),
        );
}

fn settings(data: Dataset, hidden: Vec<usize>, fourier: usize, steps: u64) -> Settings {
    Settings {
        data: data.to_string(),
        coupling: Name::Independent,
        sigma: 0.0,
        hidden,
        fourier,
        batch: 256,
        steps,
        seed: SEED,
        learning_rate: 1e-3,
        ema_decay: 0.999,
    }
}

/// Trains to the end with a progress bar; returns what came of it.
fn train(settings: Settings) -> Result<Trained, Error> {
    let mut trainer = Trainer::new(settings)?;
    let floor = trainer.irreducible_loss();
    if let Some(floor) = floor {
        println!("{}", floor_line(&floor));
    }
    let floor = floor.map(|f| f.mean);
    let (total, batch) = (trainer.settings().steps, trainer.settings().batch as f64);
    let bar = progress(total, 0);
    let beside = floor.map_or(String::new(), |f| format!(" (floor {f:.2})"));
    let mut losses = Vec::new();
    while trainer.steps() < total {
        trainer.step()?;
        losses.extend(trainer.losses()?.into_iter().map(f64::from));
        bar.inc(1);
        if losses.len() % 100 == 0 {
            let recent = mean(&losses[losses.len() - 100..]);
            let rate = bar.per_sec() * batch;
            bar.set_message(format!("loss {recent:.3}{beside}, {rate:.0} samples/s"));
        }
    }
    bar.finish_and_clear();
    let last = mean(&losses[losses.len().saturating_sub(500)..]);
    println!("{total} steps of {batch}: loss of the last 500 steps {last:.3}{beside}");
    Ok(Trained {
        model: trainer.model()?,
        losses,
        floor,
    })
}

/// What came of a training.
struct Trained {
    model: VelocityModel,
    losses: Vec<f64>,
    floor: Option<f64>,
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn noise(rows: usize, dimension: usize) -> Tensor<Cpu<f32>> {
    let mut numbers = vec![0.0; rows * dimension];
    Philox::normal_f32(Draw::seed(SEED).stream(100), 0, &mut numbers);
    Tensor::new(&[rows, dimension], numbers)
}

fn moons_chapter(report: &mut Report) -> Result<(), Error> {
    let path = MixturePath::new(moons_mixture(), Schedule::CondOt, 0.0)?;
    let Trained {
        model,
        losses,
        floor,
    } = train(Settings {
        // Three times the default: a small network on few steps can take it,
        // and the gap between the moons is seen.
        learning_rate: 3e-3,
        ..settings(Dataset::Moons, vec![64; 3], 0, MOON_STEPS)
    })?;
    let data = |stream: u32| {
        let mut rng = Philox::new(Draw::seed(SEED).stream(stream));
        let rows = (0..POINTS).flat_map(|_| point(Dataset::Moons, &mut rng));
        Array2::from_shape_vec((POINTS, 2), rows.collect()).expect("two coordinates a row")
    };
    let ways = Trajectories::follow(&noise(POINTS, 2), 20, |t, x| model.velocity(t, x))?;
    let (real, drawn) = (data(102), ways.end());
    let distance = w2(drawn, real.view())?;
    let course = ways.course(real.view())?;
    let apart = noise_floor(3, |i| data(110 + i))?;
    println!(
        "{POINTS} samples by 20 steps of RK4: W2 {distance:.3}, floor {:.3} ± {:.3}",
        apart.mean, apart.deviation
    );
    println!(
        "path energy {:.3}, least possible {:.3}: excess {:.3}; straightness {:.3}",
        course.energy, course.least, course.excess, course.straightness
    );
    let steps: Vec<f64> = (1..=losses.len()).map(|n| n as f64).collect();
    let chapter = report.chapter(
        "Learning two moons",
        "A network with three hidden layers of 64 learns the velocity field of the moons.",
    );
    chapter
        .figure(
            LossCurve {
                title: "Learning the moons",
                steps: &steps,
                loss: &losses,
                floor,
                scale: LossScale::Linear,
            }
            .figure(),
        )
        .figure(
            Scatter {
                title: "Two moons, real and drawn",
                panels: &[
                    ScatterPanel {
                        label: "noise at t = 0",
                        cloud: Cloud::Noise,
                        points: ways.start(),
                    },
                    ScatterPanel {
                        label: "data",
                        cloud: Cloud::Data,
                        points: real.view(),
                    },
                    ScatterPanel {
                        label: "drawn at t = 1",
                        cloud: Cloud::Drawn,
                        points: drawn,
                    },
                ],
                distance: Some(MeasuredDistance {
                    w2: distance,
                    floor: NoiseFloor {
                        mean: apart.mean,
                        std: apart.deviation,
                    },
                }),
            }
            .figure(),
        );
    if let Some(window) = Window::around(&[real.view(), ways.start()]) {
        let field = FieldOverDensity::evaluate_pointwise(
            "How the learned field moves the density",
            window,
            &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            |t, x, y| path.at(t.min(1.0 - 1e-6), &[x, y]).log_p.exp(),
            |t, x, y| {
                let place = Tensor::new(&[1, 2], vec![x as f32, y as f32]);
                let v = model.velocity(&[t], &place).to_vec();
                [f64::from(v[0]), f64::from(v[1])]
            },
        );
        chapter.figure(field.figure());
    }
    chapter.figure(
        fm::report::Trajectories {
            title: "From noise to moons",
            times: &ways.times,
            positions: ways.positions.slice(s![.., ..300, ..]),
            straightness: Some(course.straightness),
        }
        .figure(),
    );
    Ok(())
}

fn digits_chapter(report: &mut Report) -> Result<(), Error> {
    let settings = settings(Dataset::Digits, vec![512; 3], 8, DIGIT_STEPS);
    let Trained {
        model,
        losses,
        floor,
    } = train(settings)?;
    let plan = Plan::Fixed(&RK4, 10);
    let sampled = sample(&noise(500, 64), &plan, |t, x| model.velocity(t, x))?;
    let drawn = Array2::from_shape_vec((500, 64), sampled.x1.to_vec()).expect("500 images");
    let scores = judge(&drawn)?;
    scores.print();
    let real = digits();
    let shown = drawn.slice(s![..30, ..]);
    let nearest: Vec<usize> = shown
        .rows()
        .into_iter()
        .map(|image| {
            let distance = |r: usize| (&real.training.row(r) - &image).mapv(|d| d * d).sum();
            let all = 0..real.training.nrows();
            all.min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
                .unwrap_or(0)
        })
        .collect();
    let nearest = real.training.select(Axis(0), &nearest);
    let steps: Vec<f64> = (1..=losses.len()).map(|n| n as f64).collect();
    let Judgement {
        accuracy,
        accuracy_of_real,
        nearest_of_drawn,
        nearest_of_held_out,
    } = scores;
    report
        .chapter(
            "Learning handwritten digits",
            "1297 digits of 8 by 8 pixels for training, 500 held out. The floor of the loss is that of \
             the field which leads to those 1297 images and nowhere else: a network that reaches it \
             has memorised them, one that stays well above has not.",
        )
        .figure(
            LossCurve {
                title: "Learning the digits",
                steps: &steps,
                loss: &losses,
                floor,
                scale: LossScale::Linear,
            }
            .figure(),
        )
        .figure(
            DigitGrids {
                title: "Real digits and drawn ones",
                panels: &[
                    DigitPanel {
                        label: "held-out real digits",
                        images: real.held_out.slice(s![..30, ..]),
                    },
                    DigitPanel {
                        label: "drawn by the model",
                        images: shown,
                    },
                    DigitPanel {
                        label: "training digit nearest to each",
                        images: nearest.view(),
                    },
                ],
                range: PixelRange::MinusOneToOne,
                columns: 6,
                scores: Some(DigitScores {
                    accuracy,
                    accuracy_of_real,
                    nearest_of_drawn,
                    nearest_of_held_out,
                }),
            }
            .figure(),
        );
    Ok(())
}
