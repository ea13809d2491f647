//! AdamW and the moving average, against the same recursion on the host.

use crate::oracle::{SIZES, bits, numbers};
use crate::place::{device, device_with};
use cuda::{Adamw, AdamwConfig, AdamwVersion, Memory};

const CONFIG: AdamwConfig = AdamwConfig {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.03,
    average_decay: 0.99,
};

/// The recursion in `f32`, with constants made in `f64` and rounded once:
/// operation for operation what the kernel does.
struct Host {
    n: f64,
    theta: Vec<f32>,
    mean: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl Host {
    fn step(&mut self, g: &[f32], eta: f64) {
        let c = CONFIG;
        self.n += 1.0;
        let n = self.n;
        let root2 = (1.0 - c.beta2.powf(n)).sqrt();
        let rate = (eta * root2 / (1.0 - c.beta1.powf(n))) as f32;
        let (epsilon, keep) = (
            (c.epsilon * root2) as f32,
            (1.0 - eta * c.weight_decay) as f32,
        );
        let decay = c.average_decay.min((1.0 + n) / (10.0 + n));
        let (b1, b2) = (c.beta1 as f32, c.beta2 as f32);
        for (i, &g) in g.iter().enumerate() {
            self.m[i] = b1 * self.m[i] + (1.0 - b1) * g;
            self.v[i] = b2 * self.v[i] + (1.0 - b2) * g * g;
            self.theta[i] = keep * self.theta[i] - rate * self.m[i] / (self.v[i].sqrt() + epsilon);
            self.mean[i] = decay as f32 * self.mean[i] + (1.0 - decay) as f32 * self.theta[i];
        }
    }
}

#[test]
fn twenty_steps_have_the_bits_of_the_host() {
    let device = device();
    for n in SIZES {
        let theta = numbers(n, 1);
        let mut host = Host {
            n: 0.0,
            mean: theta.clone(),
            m: vec![0.0; n],
            v: vec![0.0; n],
            theta,
        };
        let open = |_| Adamw::new(&device, &host.theta, CONFIG, 0.01).expect("there is room");
        let mut versions = AdamwVersion::ALL.map(open);
        for step in 0..20 {
            let eta = if step < 10 { 0.01 } else { 0.002 };
            let g = numbers(n, 100 + step);
            let gradient = device.upload(&g).expect("there is room");
            for (adam, version) in versions.iter_mut().zip(AdamwVersion::ALL) {
                if step == 10 {
                    adam.set_learning_rate(eta).expect("no fault");
                }
                adam.step_by(version, &gradient).expect("no fault");
            }
            host.step(&g, eta);
        }
        for (adam, version) in versions.iter().zip(AdamwVersion::ALL) {
            let pairs = [
                (&adam.parameters, &host.theta),
                (&adam.average, &host.mean),
                (&adam.first, &host.m),
                (&adam.second, &host.v),
            ];
            for (found, expected) in pairs {
                let found = found.download().expect("no fault");
                assert_eq!(bits(&found), bits(expected), "{version:?} {n}");
            }
        }
    }
}

#[test]
fn a_recorded_step_counts_by_itself() {
    let device = device_with(Memory::Pooled);
    let theta = numbers(100, 1);
    let g = device.upload(&numbers(100, 2)).expect("there is room");
    let open = || Adamw::new(&device, &theta, CONFIG, 0.01).expect("there is room");
    let (mut eager, mut recorded) = (open(), open());
    for _ in 0..50 {
        eager.step(&g).expect("no fault");
    }
    let (graph, ()) = device
        .record(|| recorded.step(&g))
        .expect("it can be recorded");
    for _ in 0..49 {
        graph.replay().expect("no fault");
    }
    let end = |adam: &Adamw| bits(&adam.average.download().expect("no fault"));
    assert_eq!(end(&eager), end(&recorded));
}

/// Everything a step depends on lies in device memory, the learning rate
/// included; and a training that was cut goes on with the same bits.
#[test]
fn a_recorded_step_follows_its_rates_and_goes_on_from_a_point() {
    let device = device_with(Memory::Pooled);
    let theta = numbers(100, 1);
    let g = device.upload(&numbers(100, 2)).expect("there is room");
    let rates: Vec<f64> = (0..20).map(|n| 0.01 / f64::from(n + 1)).collect();
    let mut eager = Adamw::new(&device, &theta, CONFIG, 0.0).expect("there is room");
    for &rate in &rates {
        eager.set_learning_rate(rate).expect("no fault");
        eager.step(&g).expect("no fault");
    }
    let whole = eager.point().expect("no fault");
    assert_eq!(whole.steps, 20);
    let mut recorded = Adamw::new(&device, &theta, CONFIG, 0.0).expect("there is room");
    recorded
        .set_learning_rates(0, &rates[..12])
        .expect("no fault");
    let (graph, ()) = device
        .record(|| recorded.step(&g))
        .expect("it can be recorded");
    for _ in 1..12 {
        graph.replay().expect("no fault");
    }
    let point = recorded.point().expect("no fault");
    let mut resumed = Adamw::at(&device, &point, CONFIG).expect("there is room");
    resumed
        .set_learning_rates(12, &rates[12..])
        .expect("no fault");
    recorded
        .set_learning_rates(12, &rates[12..])
        .expect("no fault");
    for _ in 12..20 {
        resumed.step(&g).expect("no fault");
        graph.replay().expect("no fault");
    }
    assert_eq!(resumed.point(), Ok(whole.clone()));
    assert_eq!(recorded.point(), Ok(whole));
    let refused = recorded.set_learning_rates(20, &[]);
    assert!(
        refused
            .expect_err("no rates")
            .to_string()
            .contains("1 to 1024")
    );
}

#[test]
fn a_loss_that_is_no_number_ends_the_training_where_it_stood() {
    let device = device();
    let g = device.upload(&numbers(5, 2)).expect("there is room");
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut adam = Adamw::new(&device, &numbers(5, 1), CONFIG, 0.01).expect("there is room");
        let mut loss = device.upload(&[2.0]).expect("there is room");
        adam.step_parts(&[(0, &g)], Some(&loss)).expect("no fault");
        let before = adam.point().expect("no fault");
        loss.write(&[broken]).expect("no fault");
        adam.step_parts(&[(0, &g)], Some(&loss)).expect("no fault");
        loss.write(&[1.0]).expect("no fault");
        adam.step_parts(&[(0, &g)], Some(&loss)).expect("no fault");
        assert_eq!(adam.point(), Ok(before), "{broken}");
    }
}

/// A parameter in a part has the bits it has in the whole, and one in none
/// stays.
#[test]
fn slopes_may_come_in_parts() {
    let device = device();
    let (theta, g) = (numbers(200, 1), numbers(200, 2));
    let open = || Adamw::new(&device, &theta, CONFIG, 0.01).expect("there is room");
    let (mut whole, mut parts) = (open(), open());
    let upload = |g: &[f32]| device.upload(g).expect("there is room");
    let (all, first, last) = (upload(&g), upload(&g[..7]), upload(&g[64..200]));
    for _ in 0..3 {
        whole.step(&all).expect("no fault");
        let parts = parts.step_parts(&[(64, &last), (0, &first)], None);
        parts.expect("no fault");
    }
    let (whole, parts) = (whole.point(), parts.point());
    let (whole, parts) = (whole.expect("no fault"), parts.expect("no fault"));
    for (whole, parts, began) in [
        (&whole.parameters, &parts.parameters, theta.clone()),
        (&whole.average, &parts.average, theta.clone()),
        (&whole.second, &parts.second, vec![0.0; 200]),
    ] {
        assert_eq!(bits(&parts[..7]), bits(&whole[..7]));
        assert_eq!(bits(&parts[64..]), bits(&whole[64..]));
        assert_eq!(bits(&parts[7..64]), bits(&began[7..64]));
    }
    let beyond = open().step_parts(&[(65, &last)], None);
    assert!(beyond.is_err(), "it lies beyond");
}
