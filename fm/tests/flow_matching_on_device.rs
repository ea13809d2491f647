//! Training, sampling and likelihood on a GPU, against the processor and
//! against bounds: [`Rounded`] reads the same programs and says how far single
//! precision may be from the exact numbers, in whatever order sums are taken.
//! On the emulated driver where there is no GPU.

use autograd::check::rounding::Rounded;
use autograd::{
    Algebra, Archive, Cpu, Cuda, Draw, Dual, LearningRate, Mlp, Primitive, Probe, Real, Tensor,
    Tree, Var, jvp, value_and_grad,
};
use cuda::{Device, Precision};
use fm::batches::Batches;
use fm::compute::{Compute, Home, guarded};
use fm::coupling::Name;
use fm::likelihood::{Trace, log_likelihood};
use fm::objective::{Particles, loss_sum};
use fm::sampler::{Plan, Sampled, TensorSpace, sample};
use fm::training::{Settings, Trainer, VelocityModel};
use solvers::methods::{BOGACKI_SHAMPINE, DOP853, DORMAND_PRINCE, EULER, RK4};
use solvers::{Adaptive, Batch, End, Mean, Method, Outcome, Solve};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The first GPU, or the emulated one; one test at a time, because some count.
fn device() -> (Device, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
    installed.expect("the emulator can be installed");
    let device = Device::open(0).expect("there is a device, emulated at least");
    (device, one)
}

/// Copies so far, to the host and to the device.
fn copies(device: &Device) -> [u64; 2] {
    if !device.is_emulated() {
        println!("skipped: a GPU does not count its copies");
        return [0, 0];
    }
    [
        cuda_emulator::copies_to_host(),
        cuda_emulator::copies_to_device(),
    ]
}

/// A table of 37 points of the plane.
fn table(folder: &Path) -> PathBuf {
    let rows = (0..37).map(|i| {
        let phase = 0.7 * f64::from(i);
        format!("{},{}\n", phase.sin() + 0.1 * phase, phase.cos())
    });
    let file = folder.join("table.csv");
    std::fs::write(&file, rows.collect::<String>()).expect("written");
    file
}

fn settings(data: &str) -> Settings {
    Settings {
        data: data.to_owned(),
        coupling: Name::Independent,
        sigma: 0.0,
        hidden: vec![16, 9],
        fourier: 2,
        batch: 33,
        steps: 2000,
        seed: 9,
        learning_rate: 1e-2,
        ema_decay: 0.9,
    }
}

/// Both ways a batch comes to the device: drawn there from a table, and drawn
/// on the host with all that only the host can do.
fn both(folder: &Path) -> [Settings; 2] {
    let file = table(folder);
    let thick = Settings {
        coupling: Name::Ot,
        sigma: 0.05,
        ..settings("moons")
    };
    [settings(&file.to_string_lossy()), thick]
}

fn on_device(settings: &Settings, device: &Device) -> Trainer {
    let trainer = Trainer::new(settings.clone()).expect("valid");
    let there = trainer.on(&Compute::Cuda(device.clone()));
    there.expect("there is room")
}

fn run(trainer: &mut Trainer, steps: u64) {
    for _ in 0..steps {
        trainer.step().expect("no fault");
    }
}

fn bytes(trainer: &mut Trainer) -> Vec<u8> {
    trainer.checkpoint().expect("finite").to_bytes()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_step_copies_nothing_to_the_host_and_needs_no_new_memory() {
    let (device, _one) = device();
    let folder = folder();
    for (settings, per_step) in both(folder.path()).iter().zip([0, 4]) {
        let mut trainer = on_device(settings, &device);
        run(&mut trainer, 3);
        let (before, held) = (copies(&device), device.pool());
        run(&mut trainer, 200);
        let after = copies(&device);
        assert_eq!(after[0] - before[0], 0, "the host saw nothing");
        if device.is_emulated() {
            // Times, both ends and the thickness, where they are not drawn.
            assert_eq!(after[1] - before[1], 200 * per_step);
        }
        assert_eq!(
            device.pool(),
            held,
            "the memory of one step serves the next"
        );
        let losses = trainer.losses().expect("finite");
        assert_eq!(losses.len(), 203);
        if device.is_emulated() {
            assert_eq!(copies(&device)[0] - before[0], 1, "and then one copy");
        }
        let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
        assert!(
            mean(&losses[150..]) < 0.9 * mean(&losses[..20]),
            "it learns"
        );
    }
}

/// The default runs steps as a recorded graph; and the rates follow the
/// schedule beyond the first list of them.
#[test]
fn eager_and_replayed_steps_have_the_same_bits() {
    let (device, _one) = device();
    let folder = folder();
    for settings in both(folder.path()) {
        let mut replayed = on_device(&settings, &device);
        let mut eager = on_device(&settings, &device).without_graph();
        for _ in 0..5 {
            run(&mut replayed, 10);
            run(&mut eager, 10);
            assert_eq!(
                replayed.losses().expect("finite"),
                eager.losses().expect("finite")
            );
        }
        assert!(bytes(&mut replayed) == bytes(&mut eager), "the bits differ");
    }
}

/// Killed anywhere, on the way through the processor or not; what is read and
/// written in between changes nothing.
#[test]
fn a_training_that_was_cut_goes_on_to_the_same_bits() {
    let (device, _one) = device();
    let folder = folder();
    let file = folder.path().join("checkpoint.safetensors");
    for settings in both(folder.path()) {
        let mut whole = on_device(&settings, &device);
        run(&mut whole, 60);
        let mut first = on_device(&settings, &device);
        run(&mut first, 23);
        let checkpoint = first.checkpoint().expect("finite");
        checkpoint.write(&file).expect("written");
        run(&mut first, 37);
        drop(first);
        let resumed = Trainer::resume(&file).expect("a checkpoint");
        let mut here = Trainer::resume(&file).expect("the processor reads it too");
        let mut resumed = resumed.on(&Compute::Cuda(device.clone())).expect("room");
        assert_eq!((resumed.steps(), here.steps()), (23, 23));
        run(&mut resumed, 37);
        assert!(bytes(&mut resumed) == bytes(&mut whole), "the bits differ");
        // The processor goes on from it as well, to other roundings.
        run(&mut here, 37);
        let here = here.checkpoint().expect("finite");
        let there = whole.checkpoint().expect("finite");
        assert_eq!(here.metadata, there.metadata);
    }
}

fn wide(x: &Tensor<Cpu<f32>>) -> Tensor<Cpu<f64>> {
    let numbers = x.as_slice().iter().map(|&x| x.into()).collect();
    Tensor::new(&x.shape(), numbers)
}

fn rounded(x: &Tensor<Cpu<f32>>) -> Tensor<Rounded> {
    Tensor::exact(&wide(x))
}

fn rounded_net(net: &Mlp<Cpu<f32>>) -> Mlp<Rounded> {
    net.map(&mut |leaf: &Tensor<Cpu<f32>>| rounded(leaf))
}

/// The loss of the next step and its slopes, each with its bound.
fn exact_slopes(trainer: &mut Trainer) -> (Tensor<Rounded>, Mlp<Rounded>) {
    let batch = trainer.next_batch().expect("particles");
    let held = |x: &Tensor<Cpu<f32>>| Var::held(&rounded(x));
    let particles = Particles {
        t: held(&batch.t),
        x0: held(&batch.x0),
        x1: held(&batch.x1),
        thickness: batch.thickness.as_ref().map(held),
    };
    let c = 1.0 / batch.t.size(0) as f64;
    let net = rounded_net(&trainer.model().expect("finite").net);
    value_and_grad(
        |net: &Mlp<Var<Rounded>>| c * loss_sum(|t, x| net.velocity(t, x), &particles),
        &net,
    )
}

/// Whether numbers lie within a multiple of their bounds, and how near they
/// come to it at most.
fn within(found: &[f64], bound: &Tensor<Rounded>, more: impl Fn(f64) -> f64) -> f64 {
    let pairs = bound
        .value()
        .to_vec()
        .into_iter()
        .zip(bound.error().to_vec());
    assert_eq!(found.len(), bound.value().shape().count());
    let mut nearest = 0.0f64;
    for (&found, (exact, error)) in found.iter().zip(pairs) {
        let ratio = (found - exact).abs() / (error + more(exact));
        assert!(ratio <= 1.0, "{found} for {exact}: {ratio} of the bound");
        nearest = nearest.max(ratio);
    }
    nearest
}

/// The first moment of AdamW after one step is `(1 − β₁)·g`: a rounding of β₁,
/// one of the difference, which is 2·10⁻⁷ of it, and one of the product.
fn slopes_of(checkpoint: &Archive<f32>, like: &Mlp<Rounded>) -> Vec<Vec<f64>> {
    let kept = f64::from(1.0 - 0.9f32);
    let mut slopes = Vec::new();
    like.each("adam.first", &mut |name, leaf| {
        let moment = checkpoint.get(name, &leaf.shape()).expect("saved");
        slopes.push(
            moment
                .as_slice()
                .iter()
                .map(|&m| f64::from(m) / kept)
                .collect(),
        );
    });
    slopes
}

#[test]
fn loss_and_slopes_are_within_the_bounds_of_their_roundings() {
    let (device, _one) = device();
    let folder = folder();
    for settings in both(folder.path()) {
        let mut here = Trainer::new(settings.clone()).expect("valid");
        let (loss, slopes) = exact_slopes(&mut here);
        let mut there = on_device(&settings, &device);
        for trainer in [&mut here, &mut there] {
            run(trainer, 1);
            let found = trainer.losses().expect("finite");
            within(&[found[0].into()], &loss, |_| 0.0);
            let found = slopes_of(&trainer.checkpoint().expect("finite"), &slopes);
            let unit = 0.5 * f64::from(f32::EPSILON);
            for (found, slope) in found.iter().zip(slopes.leaves()) {
                within(found, &slope, |g| 2.0 * unit * g.abs());
            }
        }
        // The bounds say something: a relative error of a thousandth in the
        // loss would be seen, and so the sum over a batch of one row less.
        assert!(loss.error().item() <= 1e-3 * loss.value().item());
    }
}

/// All leaves of a checkpoint under a name, one behind the other.
fn leaves(checkpoint: &Archive<f32>, name: &str, like: &Mlp<Cpu<f32>>) -> Vec<f32> {
    let mut all = Vec::new();
    like.each(name, &mut |name, leaf| {
        let found = checkpoint.get(name, &leaf.shape()).expect("saved");
        all.extend_from_slice(found.as_slice());
    });
    all
}

/// A step on the device is that of the processor in bits, given its slopes:
/// AdamW (AD.12) at the schedule's rate, and the moving average (AD.13). Early,
/// and where one list of rates ends and the next begins.
#[test]
fn the_optimiser_makes_the_steps_of_the_processor() {
    let (device, _one) = device();
    let folder = folder();
    let [settings, _] = both(folder.path());
    let rate = LearningRate::warm_up_cosine(settings.learning_rate, 40, settings.steps);
    let mut trainer = on_device(&settings, &device);
    let net = trainer.model().expect("finite").net;
    for n in [1, 2, 40, 1024, 1025] {
        let missing = n - 1 - trainer.steps();
        run(&mut trainer, missing);
        let before = trainer.checkpoint().expect("finite");
        run(&mut trainer, 1);
        let after = trainer.checkpoint().expect("finite");
        let [m, v] = ["adam.first", "adam.second"].map(|name| leaves(&after, name, &net));
        let theta = ["net", "ema"].map(|name| leaves(&before, name, &net));
        let found = ["net", "ema"].map(|name| leaves(&after, name, &net));
        // The corrections of the bias are folded into rate and ε (adam.rs).
        let root2 = (1.0 - 0.999f64.powf(n as f64)).sqrt();
        let eta = (rate.at(n) * root2 / (1.0 - 0.9f64.powf(n as f64))) as f32;
        let epsilon = (1e-8 * root2) as f32;
        let decay = settings.ema_decay.min((1 + n) as f64 / (10 + n) as f64);
        let (keep, take) = (decay as f32, (1.0 - decay) as f32);
        for i in 0..m.len() {
            let next = theta[0][i] - eta * m[i] / (v[i].sqrt() + epsilon);
            let mean = keep * theta[1][i] + take * next;
            let bits = [next, mean].map(f32::to_bits);
            assert_eq!(
                [found[0][i], found[1][i]].map(f32::to_bits),
                bits,
                "step {n}"
            );
        }
    }
}

/// The error of numbers relative to the exact ones, in the norm.
fn relative(found: &[f64], exact: &[f64]) -> f64 {
    assert_eq!(found.len(), exact.len());
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut found.iter().zip(exact).map(|(f, e)| f - e));
    off / norm(&mut exact.iter().copied())
}

/// Relative errors of velocities, of slopes and of samples, in the norm, that
/// the precisions allow a product (see `product.rs`): 10⁻⁵, 10⁻³ and 10⁻².
/// There are a few of them one behind the other here, but their errors have
/// signs and the bound has none. And no precision is a pretence.
#[test]
fn precision_reaches_whatever_multiplies() {
    let (device, _one) = device();
    let folder = folder();
    let [settings, _] = both(folder.path());
    let like = exact_slopes(&mut Trainer::new(settings.clone()).expect("valid")).1;
    let leaves = like.leaves();
    let slopes: Vec<f64> = leaves.iter().flat_map(|x| x.value().to_vec()).collect();
    let model = model(folder.path());
    let there = model.to::<Cuda<f32>>(&device).expect("room");
    let noise = Cpu::normal(&(), Draw::seed(4), 0, [19, 2]).expect("numbers");
    let x = Tensor::upload(&device, &noise).expect("room");
    let (exact, t) = (bounds(&model), [0.4; 19]);
    let velocity = exact.velocity(&t, &rounded(&noise)).value().to_vec();
    let plan = Plan::Fixed(&RK4, 7);
    let ends = sample(&rounded(&noise), &plan, |t, x| exact.velocity(t, x));
    let ends = ends.expect("it arrives").x1.value().to_vec();
    let mut before = [0.0; 3];
    for (precision, allowed) in [
        (Precision::F32, 1e-5),
        (Precision::Tf32, 1e-3),
        (Precision::Bf16, 1e-2),
    ] {
        device.set_precision(precision);
        let mut trainer = on_device(&settings, &device);
        run(&mut trainer, 1);
        let found = slopes_of(&trainer.checkpoint().expect("finite"), &like);
        let drawn = drawn::<Cuda<f32>>(&model, &device, &plan);
        let errors = [
            relative(&numbers(&there.velocity(&t, &x)), &velocity),
            relative(&found.concat(), &slopes),
            relative(&numbers(&drawn.x1), &ends),
        ];
        println!("{precision:?}: {errors:?}");
        for (error, before) in errors.into_iter().zip(before) {
            assert!(error <= allowed, "{precision:?}: {errors:?}");
            assert!(error > 5.0 * before, "{precision:?} rounds: {errors:?}");
        }
        before = errors;
        // And the whole training is one graph in any precision.
        run(&mut trainer, 20);
        assert!(trainer.losses().is_ok());
    }
    device.set_precision(Precision::F32);
}

/// As on the processor; and what was learned before is not touched.
#[test]
fn a_loss_that_is_no_number_is_named_with_its_step() {
    let (device, _one) = device();
    let folder = folder();
    let file = folder.path().join("checkpoint.safetensors");
    let [settings, _] = both(folder.path());
    let mut trainer = on_device(&settings, &device);
    run(&mut trainer, 4);
    // Weights whose products overflow.
    let mut checkpoint = trainer.checkpoint().expect("finite");
    let net = trainer.model().expect("finite").net;
    let huge = net.map(&mut |leaf: &Tensor<Cpu<f32>>| 0.0 * leaf + 1e30);
    checkpoint.insert("net", &huge);
    checkpoint.write(&file).expect("written");
    let mut here = Trainer::resume(&file).expect("a checkpoint");
    let expected = here.step().expect_err("not finite").to_string();
    let loss = expected.contains("inf at step 5") || expected.contains("NaN at step 5");
    assert!(loss, "{expected}");
    let there = Trainer::resume(&file).expect("a checkpoint");
    let mut there = there.on(&Compute::Cuda(device.clone())).expect("room");
    run(&mut there, 10);
    let found = there.losses().expect_err("not finite").to_string();
    assert!(found.contains(" at step 5; "), "{found}");
    let again = there.checkpoint().expect_err("there is nothing to save");
    assert_eq!(again.to_string(), found);
}

/// Replays, and steps without a graph, which allocate and free: by the pool's
/// count, and by the device's own, which knows of memory that no pool counts.
#[test]
fn nothing_leaks_over_many_steps() {
    let (device, _one) = device();
    let folder = folder();
    let [settings, _] = both(folder.path());
    let small = Settings {
        batch: 5,
        hidden: vec![3],
        steps: 20_000,
        ..settings
    };
    let used = || device.used_memory().expect("no fault");
    let at_first = device.pool().in_use;
    let made = |records: bool| {
        let there = Compute::Cuda(device.clone());
        let trainer = Trainer::new(small.clone()).expect("valid");
        let trainer = trainer.on(&there).expect("room");
        let mut trainer = match records {
            true => trainer,
            false => trainer.without_graph(),
        };
        run(&mut trainer, 3);
        trainer
    };
    for (records, steps) in [(true, 10_000), (false, 2_000)] {
        let mut trainer = made(records);
        let (held, in_use) = (device.pool(), used());
        run(&mut trainer, steps);
        assert_eq!(device.pool(), held, "after {steps} steps");
        assert_eq!(used(), in_use, "of the device, after {steps} steps");
        assert_eq!(trainer.losses().expect("finite").len() as u64, steps + 3);
    }
    // Constants and cuBLAS's own room are the device's.
    let left = device.pool().in_use - at_first;
    assert!(left <= (33 << 20), "{left} bytes are left");
    let of_device = used();
    for records in [true, false] {
        drop(made(records));
        assert_eq!(device.pool().in_use - at_first, left, "and no more");
        assert_eq!(used(), of_device, "of the device");
    }
}

/// A trained network, so that its field is not small.
fn model(folder: &Path) -> VelocityModel {
    let mut trainer = Trainer::new(both(folder)[0].clone()).expect("valid");
    run(&mut trainer, 40);
    trainer.model().expect("finite")
}

fn drawn<A: Home>(model: &VelocityModel, place: &A::Place, plan: &Plan) -> Sampled<A> {
    let there = model.to::<A>(place).expect("there is room");
    let x0 = A::normal(place, Draw::seed(4), 0, [19, 2]).expect("there is room");
    sample(&x0, plan, |t, x| there.velocity(t, x)).expect("it arrives")
}

fn bounds(model: &VelocityModel) -> VelocityModel<Rounded> {
    VelocityModel {
        net: rounded_net(&model.net),
        settings: model.settings.clone(),
        dimension: model.dimension,
        scale: model.scale.clone(),
    }
}

fn numbers<A: Home>(x: &Tensor<A>) -> Vec<f64> {
    let x = A::download(x).expect("no fault");
    x.as_slice().iter().map(|&x| x.into()).collect()
}

/// Noise has the same bits; samples are within the bounds of all their
/// roundings, carried through the whole solve.
#[test]
fn samples_are_within_the_bounds_of_their_roundings() {
    let (device, _one) = device();
    let folder = folder();
    let model = model(folder.path());
    let noise = Cpu::normal(&(), Draw::seed(4), 0, [19, 2]).expect("numbers");
    let exact = bounds(&model);
    for plan in [
        Plan::Fixed(&EULER, 20),
        Plan::Fixed(&RK4, 7),
        Plan::Adaptive(1e-3),
    ] {
        let bound = sample(&rounded(&noise), &plan, |t, x| exact.velocity(t, x));
        let bound = bound.expect("it arrives");
        let here = drawn::<Cpu<f32>>(&model, &(), &plan);
        let there = drawn::<Cuda<f32>>(&model, &device, &plan);
        assert_eq!(there.evaluations, here.evaluations, "the same decisions");
        assert_eq!(there.evaluations, bound.evaluations);
        // Steps chosen by an error have roundings of their own, which move the
        // end by a part of the method's error: some 10⁻⁶ of a tolerance of
        // 10⁻³, and the method's error is below ten tolerances.
        let steps = match plan {
            Plan::Adaptive(tolerance) => 10.0 * tolerance * 1e-5,
            Plan::Fixed(..) => 0.0,
        };
        within(&numbers(&here.x1), &bound.x1, |_| steps);
        let nearest = within(&numbers(&there.x1), &bound.x1, |_| steps);
        assert!(nearest > 0.0, "another order of sums");
        let largest = bound.x1.error().to_vec().into_iter().fold(0.0, f64::max);
        assert!(largest <= 1e-4, "the bound says something: {largest:e}");
    }
}

/// A field of pointwise functions, whose bits are the processor's; rows differ
/// in how fast it changes along them.
fn swirl<A: Batches>(t: &[f64], x: &Tensor<A>) -> Tensor<A> {
    let t = A::column(x, t);
    (9.0 * x.square() + 20.0 * &t).sin() * 3.0 + (x * t).cos()
}

fn solved<A: Home>(
    place: &A::Place,
    method: &Method,
    plan: &Adaptive,
    save_at: &[f64],
) -> End<Tensor<A>> {
    let y0 = A::normal(place, Draw::seed(6), 0, [23, 3]).expect("room");
    let space = TensorSpace::<A>::new();
    let mut field = |t: &[f64], x: &Tensor<A>, dx: &mut Tensor<A>| *dx = swirl(t, x);
    let solve = Solve::new(&space, &mut field).save_at(save_at);
    solve.adaptive(method, y0, plan).expect("a valid problem")
}

/// Everything a solver does with a batch of its own: stages combined, errors
/// measured, rows accepted and rejected, put aside and back, values between
/// steps. Where the field has the processor's bits, so have all decisions and
/// all results.
#[test]
fn a_solve_of_a_pointwise_field_has_the_bits_of_the_processor() {
    let (device, _one) = device();
    let bits = |x: Vec<f64>| x.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let mut some_rejected = 0;
    for method in [&*DORMAND_PRINCE, &BOGACKI_SHAMPINE, &DOP853] {
        for batch in [
            Batch::PerSample,
            Batch::Shared(Mean::RootMeanSquare),
            Batch::Shared(Mean::Largest),
        ] {
            let mut plan = Adaptive::new(0.0, 1.0, 1e-4).expect("a plan");
            plan.batch = batch;
            plan.norm.leading = Some(2);
            let save_at = [0.0, 0.3, 0.77, 1.0];
            let here = solved::<Cpu<f32>>(&(), method, &plan, &save_at);
            let there = solved::<Cuda<f32>>(&device, method, &plan, &save_at);
            let counts = |accepted, rejected, evaluations| [accepted, rejected, evaluations];
            assert_eq!(
                counts(there.accepted, there.rejected, there.sample_evaluations),
                counts(here.accepted, here.rejected, here.sample_evaluations),
            );
            assert_eq!(there.outcome, Outcome::Done);
            assert_eq!(bits(numbers(&there.state)), bits(numbers(&here.state)));
            for (there, here) in there.saved.iter().zip(&here.saved) {
                assert_eq!(bits(numbers(there)), bits(numbers(here)));
            }
            assert_eq!(there.saved.len(), 4);
            if batch == Batch::PerSample {
                some_rejected += here.rejected;
            }
        }
    }
    assert!(some_rejected > 50, "rows are rejected beside accepted ones");
}

/// What the host sees of a solve, and what goes to the device.
#[test]
fn the_host_sees_of_a_solve_what_it_must() {
    let (device, _one) = device();
    if !device.is_emulated() {
        println!("skipped: a GPU does not count its copies");
        return;
    }
    let folder = folder();
    let model = model(folder.path()).to::<Cuda<f32>>(&device).expect("room");
    let x0 = Cuda::normal(&device, Draw::seed(4), 0, [19, 2]).expect("room");
    let cost = |plan: &Plan| {
        let before = copies(&device);
        let end = sample(&x0, plan, |t, x| model.velocity(t, x)).expect("it arrives");
        let after = copies(&device);
        (
            end.evaluations as u64,
            [after[0] - before[0], after[1] - before[1]],
        )
    };
    cost(&Plan::Fixed(&RK4, 3));
    // Whether the start and each step's end are finite: one number each.
    assert_eq!(cost(&Plan::Fixed(&RK4, 10)), (40, [11, 0]));
    assert_eq!(cost(&Plan::Fixed(&EULER, 10)), (10, [11, 0]));
    // The start, three norms for the first step, and a norm an attempt.
    let (evaluations, [to_host, to_device]) = cost(&Plan::Adaptive(1e-3));
    let attempts = (evaluations - 2).div_ceil(6);
    assert_eq!(to_host, 1 + 3 + attempts);
    // A likelihood with its exact divergence: no more than a sample.
    let cost_of_likelihood = || {
        let before = copies(&device);
        let found = model.log_likelihood(&x0, &Plan::Fixed(&RK4, 5), Trace::Exact);
        assert_eq!(found.expect("it arrives").evaluations, 20);
        let after = copies(&device);
        [after[0] - before[0], after[1] - before[1]]
    };
    cost_of_likelihood();
    assert_eq!(cost_of_likelihood(), [6, 0]);
    // Steps and times, marks of accepted rows, and rows put aside.
    assert!(to_device <= evaluations + 10 * attempts, "{to_device}");
}

/// A solve whose rows have steps of their own.
fn end<A: Batches>(y0: &Tensor<A>) -> Tensor<A> {
    let plan = Adaptive::new(0.0, 1.0, 1e-3).expect("a plan");
    let space = TensorSpace::<A>::new();
    let mut field = |t: &[f64], x: &Tensor<A>, dx: &mut Tensor<A>| *dx = swirl(t, x);
    let solve = Solve::new(&space, &mut field);
    let end = solve.adaptive(&BOGACKI_SHAMPINE, y0.clone(), &plan);
    let end = end.expect("a valid problem");
    assert_eq!(end.outcome, Outcome::Done);
    end.state
}

/// With derivatives the host sees as much of a solve as without: norms and
/// whether all is finite. Slopes are those of the processor.
#[test]
fn a_solve_with_derivatives_copies_no_state_to_the_host() {
    let (device, _one) = device();
    let here = Cpu::normal(&(), Draw::seed(6), 0, [23, 3]).expect("numbers");
    let direction = Cpu::normal(&(), Draw::seed(7), 0, [23, 3]).expect("numbers");
    let there = Tensor::<Cuda<f32>>::upload(&device, &here).expect("room");
    let along = Tensor::<Cuda<f32>>::upload(&device, &direction).expect("room");
    let to_host = |work: &dyn Fn() -> [Tensor<Cuda<f32>>; 2]| {
        let before = copies(&device);
        let done = work();
        let after = copies(&device);
        (after[0] - before[0], done.map(|x| numbers(&x)))
    };
    let plain = to_host(&|| [end(&there), there.clone()]);
    let reverse = to_host(&|| {
        let (sum, slope) = value_and_grad(|y0| end(y0).sum(), &there);
        [sum, slope]
    });
    let forward = to_host(&|| {
        let (state, moved) = jvp(end, &there, &along);
        [state, moved]
    });
    // The start, three norms for the first step, and a norm an attempt: more
    // than ten, since rows are accepted one by one.
    if device.is_emulated() {
        assert!(plain.0 > 10, "{}", plain.0);
    }
    assert_eq!(reverse.0, plain.0, "in reverse mode");
    assert_eq!(forward.0, plain.0, "in forward mode");
    assert_eq!(
        forward.1[0], plain.1[0],
        "the same decisions, to the last bit"
    );
    let (_, slope) = value_and_grad(|y0| end(y0).sum(), &here);
    let (_, moved) = jvp(end, &here, &direction);
    // All of it is pointwise or gathers rows, so the slopes have the bits too.
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (found, expected) in [(&reverse.1[1], &slope), (&forward.1[1], &moved)] {
        let expected = numbers(expected);
        assert!(expected.iter().any(|x| x.abs() > 0.1), "{expected:?}");
        assert_eq!(bits(found), bits(&expected));
    }
}

/// The exact trace and the estimate, with their bounds.
#[test]
fn likelihoods_are_within_the_bounds_of_their_roundings() {
    let (device, _one) = device();
    let folder = folder();
    let model = model(folder.path());
    let there = model.to::<Cuda<f32>>(&device).expect("room");
    let points = drawn::<Cpu<f32>>(&model, &(), &Plan::Fixed(&RK4, 10)).x1;
    let on_device = Tensor::upload(&device, &points).expect("room");
    let net: Mlp<Dual<Rounded>> = bounds(&model).net.lift();
    for trace in [
        Trace::Exact,
        Trace::Estimated(Probe::Rademacher, Draw::seed(8)),
    ] {
        let plan = Plan::Fixed(&RK4, 5);
        let field =
            |t: &[f64], x: &Tensor<Dual<Rounded>>| net.velocity(&Dual::<Rounded>::column(x, t), x);
        let bound = log_likelihood(&rounded(&points), &plan, trace, field).expect("it arrives");
        let here = model
            .log_likelihood(&points, &plan, trace)
            .expect("it arrives");
        let far = there
            .log_likelihood(&on_device, &plan, trace)
            .expect("it arrives");
        for (here, far, bound) in [
            (&here.log_density, &far.log_density, &bound.log_density),
            (&here.x0, &far.x0, &bound.x0),
        ] {
            within(&numbers(here), bound, |_| 0.0);
            within(&numbers(far), bound, |_| 0.0);
        }
        let largest = bound
            .log_density
            .error()
            .to_vec()
            .into_iter()
            .fold(0.0, f64::max);
        assert!(largest <= 0.2, "the bound says something: {largest:e}");
    }
}

/// An operation of the user's own has no kernel: an error, and no copy to the
/// host behind the user's back.
#[test]
fn a_field_without_a_kernel_is_an_error() {
    #[derive(Clone, Debug)]
    struct Own;
    impl Primitive for Own {
        fn name(&self) -> &'static str {
            "own"
        }
        fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
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
    fn field<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
        Tensor::primitive(&Own, std::slice::from_ref(x))
    }
    let (device, _one) = device();
    let plan = Plan::Fixed(&EULER, 2);
    let x0 = Cpu::normal(&(), Draw::seed(4), 0, [3, 2]).expect("numbers");
    let here = guarded(|| sample(&x0, &plan, |_, x| field(x)));
    assert!(here.is_ok(), "the processor has it");
    let there = Tensor::<Cuda<f32>>::upload(&device, &x0).expect("room");
    let refused = guarded(|| sample(&there, &plan, |_, x| field(x)));
    let text = refused.expect_err("no kernel").to_string();
    let expected = "own has no kernel on the GPU; expected other operations, or --device cpu";
    assert_eq!(text, expected);
}
