//! What steps of their own cost a batch: the work of a batch of 4096 samples,
//! moved to eight Gaussians, against the ideal, each sample solved alone.

use autograd::{Cpu, Draw, Philox, Tensor};
use fm::mixture::{Mixture, MixturePath};
use fm::sampler::TensorSpace;
use fm::schedule::Schedule;
use solvers::{Adaptive, Batch, End, Mean, Outcome, Solve, methods};

type Points = Tensor<Cpu<f64>>;

fn solve(plan: &Adaptive, block: usize) -> End<Points> {
    let path = MixturePath::new(Mixture::eight_gaussians(), Schedule::CondOt, 0.0);
    let path = path.expect("a path");
    let mut noise = vec![0.0; 2 * 4096];
    Philox::normal_f64(Draw::seed(5), 0, &mut noise);
    let space = TensorSpace::new();
    let mut field = |t: &[f64], x: &Points, dx: &mut Points| {
        // The field's rates are infinite at pure data.
        let t: Vec<f64> = t.iter().map(|t| t.min(1.0 - 1e-9)).collect();
        *dx = path.velocity(&t, x);
    };
    let solve = Solve::new(&space, &mut field).in_blocks(block);
    let start = Points::new(&[4096, 2], noise);
    let end = solve.adaptive(&methods::DORMAND_PRINCE, start, plan);
    end.expect("a valid problem")
}

#[test]
fn compaction_comes_within_a_tenth_of_the_ideal() {
    let mut plan = Adaptive::new(0.0, 1.0, 1e-5).expect("a plan");
    let together = solve(&plan, 4096);
    let alone = solve(&plan, 1);
    assert_eq!(
        (together.outcome, alone.outcome),
        (Outcome::Done, Outcome::Done)
    );
    assert_eq!(together.accepted, alone.accepted);
    let ratio = together.sample_evaluations as f64 / alone.sample_evaluations as f64;
    println!(
        "per sample, compacted: {} evaluations, {ratio:.4} of the ideal",
        together.sample_evaluations
    );
    assert!((1.0..=1.1).contains(&ratio), "{ratio}");
    // With one step for all, as careful as the worst sample needs, it is more.
    plan.batch = Batch::Shared(Mean::Largest);
    let shared = solve(&plan, 4096);
    println!("shared, largest: {}", shared.sample_evaluations);
    assert!(shared.sample_evaluations > together.sample_evaluations);
}
