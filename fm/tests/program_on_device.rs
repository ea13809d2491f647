//! The program on a GPU as its users meet it: on the emulated driver, which
//! says so, and where something is missing or fails.

use autograd::check::rounding::Rounded;
use autograd::{Cpu, Draw, Tensor, Tree};
use fm::compute::Home;
use fm::sampler::{Plan, sample};
use fm::training::VelocityModel;
use solvers::methods::RK4;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program, with the emulated driver and its settings.
fn program(settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgrad"));
    let libraries = cuda_emulator::folder().expect("the emulator was built");
    command
        .env("LD_LIBRARY_PATH", libraries)
        .envs(settings.iter().copied())
        .args(arguments);
    command
}

fn flowgrad(settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let output = program(settings, arguments).output();
    output.expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one line that an error is, besides what the emulator says of itself.
fn line(output: &Output) -> String {
    let all = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{all}");
    assert!(!all.contains("panicked"), "{all}");
    let lines = all.lines().filter(|line| !line.starts_with("emulated"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{all}");
    lines[0].to_owned()
}

/// A folder with a table of points, and the arguments of a small training.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let row = |i: u32| {
            let phase = 0.7 * f64::from(i);
            format!("{},{}\n", 5.0 + phase.sin(), 0.1 * phase.cos())
        };
        let table: String = (0..41).map(row).collect();
        fs::write(root.path().join("table.csv"), table).expect("written");
        Place { root }
    }

    fn at(&self, name: &str) -> String {
        let path = self.root.path().join(name);
        path.to_str().expect("Unicode").to_owned()
    }

    fn train(&self, out: &str, more: &[&str]) -> Vec<String> {
        let (data, out) = (self.at("table.csv"), self.at(out));
        let mut all = vec!["train", "--data", &data, "--out", &out, "--device", "cuda"];
        all.extend(["--hidden", "9,7", "--batch", "33"]);
        all.extend(more);
        all.into_iter().map(str::to_owned).collect()
    }

    fn sample(&self, model: &str, out: &str, more: &[&str]) -> Vec<String> {
        let (model, out) = (self.at(model), self.at(out));
        let mut all = vec!["sample", "--model", &model, "--out", &out];
        all.extend(["--count", "57", "--seed", "3"]);
        all.extend(more);
        all.into_iter().map(str::to_owned).collect()
    }
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn done(output: &Output) -> String {
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    said
}

fn points(path: String) -> ndarray::Array2<f32> {
    ndarray_npy::read_npy(path).expect("an array")
}

#[test]
fn a_model_is_trained_and_the_output_says_emulated() {
    let place = Place::new();
    let more = ["--steps", "700", "--learning-rate", "0.01"];
    let said = done(&flowgrad(&[], &words(&place.train("there", &more))));
    let first = "running on emulated GPU (checks results, tells no times), products in f32";
    assert!(said.contains(first), "{said}");
    // The emulator's times mean nothing, so there are none.
    let metrics = fs::read_to_string(place.at("there/metrics.jsonl")).expect("written");
    assert_eq!(metrics.lines().count(), 7);
    assert!(metrics.contains("\"samples_per_second\":null"), "{metrics}");
    let losses: Vec<f64> = metrics
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            value["loss"].as_f64().expect("a number")
        })
        .collect();
    // Means of a hundred batches of 33: the first of a network that knows
    // nothing, the last of one that knows the table.
    assert!(losses[6] < 0.8 * losses[0], "{losses:?}");
}

/// What `info` finds: the driver's device by its name, which says that it is
/// emulated, its memory, and the versions.
#[test]
fn info_tells_the_gpu_its_memory_and_the_versions() {
    let settings = [("CUDA_EMULATOR_MEMORY", "3221225472")];
    let said = done(&flowgrad(&settings, &["info", "--device", "auto"]));
    let lines: Vec<&str> = said.lines().collect();
    for line in [
        "driver   13.0",
        "NVRTC    13.0",
        "cuBLAS   13.0",
        "GPU 0    emulated GPU (checks results, tells no times), capability 9.0, \
         4 multiprocessors, 3.0 GiB",
        "device   `auto` means cuda here",
    ] {
        assert!(lines.contains(&line), "{line:?} in {said}");
    }
    // As many as the driver says, and another version is shown as such.
    let settings = [
        ("CUDA_EMULATOR_DEVICES", "2"),
        ("CUDA_EMULATOR_VERSION", "13010"),
    ];
    let said = done(&flowgrad(&settings, &["info", "--device", "cuda"]));
    assert!(said.contains("driver   13.1\n"), "{said}");
    let second = "GPU 1    emulated GPU (checks results, tells no times), ";
    assert!(said.contains(second) && said.contains("8.0 GiB"), "{said}");
    let none = flowgrad(
        &[("CUDA_EMULATOR_DEVICES", "0")],
        &["info", "--device", "auto"],
    );
    let said = done(&none);
    assert!(
        said.contains("GPU      no CUDA: the driver finds no GPU"),
        "{said}"
    );
    assert!(said.contains("`auto` means cpu here"), "{said}");
}

/// How far samples in single precision may be from those of exact arithmetic,
/// in the units of the data: the whole solve, read with its roundings.
fn bound(model: &Path, plan: &Plan) -> Vec<f64> {
    let model = VelocityModel::read(model).expect("a model");
    let exact = |x: &Tensor<Cpu<f32>>| {
        let wide = x.as_slice().iter().map(|&x| x.into()).collect();
        Tensor::<Rounded>::exact(&Tensor::new(&x.shape(), wide))
    };
    let net = VelocityModel {
        net: model.net.map(&mut |leaf| exact(leaf)),
        settings: model.settings.clone(),
        dimension: model.dimension,
        scale: model.scale.clone(),
    };
    let noise = Cpu::normal(&(), Draw::seed(3), 0, [57, 2]).expect("numbers");
    let end = sample(&exact(&noise), plan, |t, x| net.velocity(t, x));
    let errors = end.expect("it arrives").x1.error().to_vec();
    // A column's deviation stretches the error, below 0.8 here; going back to
    // the units of the data rounds twice, numbers below 7.
    let back = 2.0 * 7.0 * f64::from(f32::EPSILON);
    errors.into_iter().map(|e| 0.8 * e + back).collect()
}

#[test]
fn a_model_of_the_gpu_is_sampled_on_either() {
    let place = Place::new();
    done(&flowgrad(
        &[],
        &words(&place.train("out", &["--steps", "60"])),
    ));
    let model = "out/model.safetensors";
    // Steps that are chosen have roundings of their own: see on_device.rs.
    for (solver, plan, more) in [
        ("rk4", Plan::Fixed(&RK4, 10), 0.0),
        ("adaptive", Plan::Adaptive(1e-4), 1e-8),
    ] {
        let on = |device: &str, out: &str| {
            let more = ["--solver", solver, "--device", device];
            done(&flowgrad(&[], &words(&place.sample(model, out, &more))))
        };
        let said = on("cuda", "there.npy");
        assert!(said.contains("running on emulated GPU"), "{said}");
        assert!(on("auto", "auto.npy").contains("running on emulated GPU"));
        let silent = on("cpu", "here.npy");
        assert!(!silent.contains("running on"), "{silent}");
        let cost = |said: &str| said.split('(').next_back().map(str::to_owned);
        assert_eq!(cost(&said), cost(&silent), "the same evaluations");
        let (there, here) = (points(place.at("there.npy")), points(place.at("here.npy")));
        assert_eq!(there, points(place.at("auto.npy")));
        let bound = bound(Path::new(&place.at(model)), &plan);
        for ((there, here), bound) in there.iter().zip(&here).zip(&bound) {
            // Either may be as far from the exact point.
            let far = f64::from(there - here).abs();
            assert!(far <= 2.0 * bound + more, "{far:e} of {bound:e}");
            assert!(*bound <= 1e-3, "the bound says something: {bound:e}");
        }
        assert!(there != here, "sums have another order");
    }
}

/// Logarithms of densities, exact and estimated, agree on either; what they are
/// of the bounds is tested in on_device.rs.
#[test]
fn likelihoods_are_found_on_either() {
    let place = Place::new();
    done(&flowgrad(
        &[],
        &words(&place.train("out", &["--steps", "60"])),
    ));
    for trace in ["exact", "estimate"] {
        let on = |device: &str| {
            let (model, data) = (place.at("out/model.safetensors"), place.at("table.csv"));
            let out = place.at(&format!("{device}.npy"));
            let mut all = vec!["likelihood", "--model", &model, "--data", &data];
            all.extend(["--trace", trace, "--out", &out, "--device", device]);
            let said = done(&flowgrad(&[], &all));
            assert!(said.contains("(41 points, 40 evaluations"), "{said}");
            assert_eq!(said.contains("emulated"), device == "cuda", "{said}");
            points(out)
        };
        let (there, here) = (on("cuda"), on("cpu"));
        assert_eq!(there.dim(), (41, 1));
        for (there, here) in there.iter().zip(&here) {
            // Forty evaluations of a hundred roundings each, of sums below 10.
            let bound = 40.0 * 100.0 * 10.0 * 0.5 * f32::EPSILON;
            assert!((there - here).abs() <= bound, "{there} {here}");
        }
    }
}

/// Waits until a training has a checkpoint beyond its first.
fn underway(out: &Path) {
    let waiting = Instant::now();
    let has = |n: u64| {
        let log = fs::read_to_string(out.join("metrics.jsonl"));
        log.is_ok_and(|log| log.contains(&format!("\"step\":{n}}}")))
    };
    while !has(1000) {
        assert!(waiting.elapsed() < Duration::from_secs(120), "it is slow");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(mut child: Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

#[test]
fn a_training_killed_on_the_gpu_resumes_to_the_same_bits() {
    let place = Place::new();
    let steps = ["--steps", "2400"];
    done(&flowgrad(&[], &words(&place.train("whole", &steps))));
    let arguments = place.train("cut", &steps);
    let mut child = program(&[], &words(&arguments));
    let child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    underway(&PathBuf::from(place.at("cut")));
    kill(child.expect("it starts"));
    let resumed = place.train("cut", &["--steps", "2400", "--resume"]);
    done(&flowgrad(&[], &words(&resumed)));
    for file in ["checkpoint.safetensors", "model.safetensors"] {
        let bytes = |folder: &str| fs::read(place.at(&format!("{folder}/{file}"))).expect("there");
        assert!(bytes("whole") == bytes("cut"), "the bits of {file} differ");
    }
}

#[test]
fn what_fails_on_the_gpu_is_one_line() {
    let place = Place::new();
    let train = place.train("out", &["--steps", "50"]);
    // Too small for cuBLAS's own room.
    let small = [("CUDA_EMULATOR_MEMORY", "1000000")];
    let said = line(&flowgrad(&small, &words(&train)));
    assert!(
        said.starts_with("flowgrad: the GPU has no room for "),
        "{said}"
    );
    assert!(said.ends_with("or --device cpu"), "{said}");
    // The first training is known to take more launches than that.
    for launches in ["10", "500"] {
        let lost = [("CUDA_EMULATOR_LAUNCHES", launches)];
        let said = line(&flowgrad(&lost, &words(&train)));
        let begin = "flowgrad: the GPU was lost, noticed while ";
        assert!(
            said.starts_with(begin) && said.contains("--resume"),
            "{said}"
        );
    }
    // The checkpoint of the beginning stands, and a GPU that works goes on.
    let resumed = place.train("out", &["--steps", "50", "--resume"]);
    done(&flowgrad(&[], &words(&resumed)));
    let sample = place.sample("out/model.safetensors", "x.npy", &["--device", "cuda"]);
    for (setting, piece) in [
        (("CUDA_EMULATOR_MEMORY", "100"), "has no room"),
        (("CUDA_EMULATOR_LAUNCHES", "30"), "was lost"),
        (
            ("CUDA_EMULATOR_DEVICES", "0"),
            "no CUDA: the driver finds no GPU",
        ),
        (("CUDA_EMULATOR_VERSION", "12080"), "speaks CUDA 12.8"),
    ] {
        let said = line(&flowgrad(&[setting], &words(&sample)));
        assert!(said.contains(piece), "{said}");
        assert!(
            !Path::new(&place.at("x.npy")).exists(),
            "nothing was written"
        );
    }
}

#[test]
fn auto_means_the_processor_where_there_is_no_gpu_and_says_so() {
    let place = Place::new();
    let mut train = place.train("out", &["--steps", "3"]);
    let at = train
        .iter()
        .position(|word| word == "cuda")
        .expect("a device");
    train[at] = "auto".to_owned();
    let none = [("CUDA_EMULATOR_DEVICES", "0")];
    let said = done(&flowgrad(&none, &words(&train)));
    let first = "running on the processor: no CUDA: the driver finds no GPU\n";
    assert!(said.starts_with(first), "{said}");
    train.extend(["--precision".to_owned(), "tf32".to_owned()]);
    let said = done(&flowgrad(&none, &words(&train)));
    let first = "running on the processor, products in f32: no CUDA: ";
    assert!(said.starts_with(first), "{said}");
}

#[test]
fn precision_is_one_setting() {
    let place = Place::new();
    let losses: Vec<String> = ["f32", "tf32", "bf16"]
        .into_iter()
        .map(|precision| {
            let more = ["--steps", "100", "--precision", precision];
            let said = done(&flowgrad(&[], &words(&place.train(precision, &more))));
            assert!(
                said.contains(&format!("products in {precision}\n")),
                "{said}"
            );
            let file = place.at(&format!("{precision}/metrics.jsonl"));
            fs::read_to_string(file).expect("written")
        })
        .collect();
    assert!(
        losses[0] != losses[1] && losses[1] != losses[2],
        "each rounds"
    );
    let sample = ["--device", "cuda", "--precision", "bf16"];
    let sample = place.sample("f32/model.safetensors", "x.npy", &sample);
    done(&flowgrad(&[], &words(&sample)));
    let refused = |device: &str, precision: &str| {
        let more = ["--device", device, "--precision", precision];
        line(&flowgrad(
            &[],
            &words(&place.sample("f32/model.safetensors", "y.npy", &more)),
        ))
    };
    assert!(refused("cpu", "tf32").contains("--precision is tf32; expected f32"));
    assert!(refused("cuda", "half").contains("expected f32, tf32, bf16"));
    assert!(refused("gpu", "f32").contains("expected one of cpu, cuda, auto"));
}
