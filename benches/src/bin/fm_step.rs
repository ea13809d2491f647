//! Prints the median time of a flow-matching training step, one line for each
//! size: `flowgrad BATCH HIDDEN LAYERS MEDIAN ms`.
//!
//! An argument sets the seconds spent on each size (4), `RAYON_NUM_THREADS` the
//! number of threads.

use flowgrad_benches::training_step::{SIZES, TrainingStep};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let seconds = std::env::args().nth(1).map_or(Ok(4.0), |text| text.parse());
    let budget = seconds
        .ok()
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    let Some(budget) = budget else {
        eprintln!("fm_step: the seconds for each size must be a number from 0");
        std::process::exit(2);
    };
    // Inside the pool, so that no step pays for entering it.
    rayon::scope(|_| {
        for size in SIZES {
            let mut training = TrainingStep::new(size);
            let warm: f32 = (0..5).map(|_| training.step()).sum();
            assert!(warm.is_finite(), "the loss is a number");
            let mut times = Vec::new();
            let start = Instant::now();
            while times.len() < 10 || start.elapsed() < budget {
                let begin = Instant::now();
                std::hint::black_box(training.step());
                times.push(begin.elapsed());
            }
            times.sort_unstable();
            let median = times[times.len() / 2].as_secs_f64() * 1e3;
            println!("flowgrad {size} {median:.3} ms");
        }
    });
}
