//! Prints the median time of a flow-matching training step, one line for each
//! size: `flowgrad BATCH HIDDEN LAYERS MEDIAN ms`.
//!
//! The arguments are the seconds spent on each size (4) and the clock, `wall`
//! (the default) or `processor`; `RAYON_NUM_THREADS` sets the number of threads.

use flowgrad_benches::clock::Clock;
use flowgrad_benches::training_step::{SIZES, TrainingStep};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut given = std::env::args().skip(1);
    let budget = given.next().map_or(Ok(4.0), |text| text.parse::<f64>());
    let clock = given.next().map_or(Ok(Clock::Wall), |text| text.parse());
    let (Ok(budget), Ok(clock)) = (budget, clock) else {
        eprintln!("fm_step: expected [SECONDS] [wall|processor]");
        return ExitCode::from(2);
    };
    // Inside the pool, so that no step pays for entering it.
    rayon::scope(|_| {
        for size in SIZES {
            let mut training = TrainingStep::new(size);
            let warm: f32 = (0..5).map(|_| training.step()).sum();
            assert!(warm.is_finite(), "the loss is a number");
            let mut times = Vec::new();
            let start = Clock::Wall.seconds();
            while times.len() < 10 || Clock::Wall.seconds() - start < budget {
                let begin = clock.seconds();
                std::hint::black_box(training.step());
                times.push(clock.seconds() - begin);
            }
            times.sort_unstable_by(f64::total_cmp);
            let median = times[times.len() / 2] * 1e3;
            println!("flowgrad {size} {median:.3} ms");
        }
    });
    ExitCode::SUCCESS
}
