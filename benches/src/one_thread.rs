//! **One thread**: a criterion file that compares two ways of computing runs
//! its programs on a pool of one thread. With more, the scheduler and whoever
//! else uses the cores would be measured with them; and outside of a pool a
//! large matrix product would spread over the cores by itself.

/// Runs a program in a pool of one thread.
///
/// # Panics
/// If the thread cannot be started.
pub fn on_one_thread(program: fn()) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.expect("a thread starts").install(program);
}
