//! Prints the median time of a flow-matching training step, one line for each
//! size: `flowgrad BATCH HIDDEN LAYERS MEDIAN ms`.
//!
//! `RAYON_NUM_THREADS` sets the number of threads.

use flowgrad_benches::training_step::{SIZES, TrainingStep};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time spent on each size.
const BUDGET: Duration = Duration::from_secs(4);

fn main() {
    // Inside the pool, so that no step pays for entering it.
    rayon::scope(|_| {
        for size in SIZES {
            let mut training = TrainingStep::new(size);
            let warm: f32 = (0..5).map(|_| training.step()).sum();
            assert!(warm.is_finite(), "the loss is a number");
            let mut times = Vec::new();
            let start = Instant::now();
            while times.len() < 10 || start.elapsed() < BUDGET {
                let begin = Instant::now();
                std::hint::black_box(training.step());
                times.push(begin.elapsed());
            }
            times.sort_unstable();
            let median = times[times.len() / 2].as_secs_f64() * 1e3;
            println!(
                "flowgrad {} {} {} {median:.3} ms",
                size.batch, size.hidden, size.layers
            );
        }
    });
}
