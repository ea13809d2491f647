//! **Clocks**: wall time, and the time a thread or a process spends on a
//! processor. On a shared machine the latter does not count what the scheduler
//! gives to others.

use rustix::time::{ClockId, clock_gettime};
use std::str::FromStr;

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time itself.
    Wall,
    /// Processor time of all threads of the process, added.
    Processor,
    /// Processor time of the calling thread.
    Thread,
}

impl Clock {
    /// Seconds since some fixed moment.
    #[must_use]
    pub fn seconds(self) -> f64 {
        let time = clock_gettime(match self {
            Clock::Wall => ClockId::Monotonic,
            Clock::Processor => ClockId::ProcessCPUTime,
            Clock::Thread => ClockId::ThreadCPUTime,
        });
        time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
    }
}

impl FromStr for Clock {
    type Err = String;
    fn from_str(given: &str) -> Result<Self, String> {
        match given {
            "wall" => Ok(Clock::Wall),
            "processor" => Ok(Clock::Processor),
            other => Err(format!("{other:?} is neither wall nor processor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_passes_on_the_wall_only() {
        let clocks = [Clock::Wall, Clock::Thread];
        let before = clocks.map(Clock::seconds);
        std::thread::sleep(std::time::Duration::from_millis(50));
        let after = clocks.map(Clock::seconds);
        assert!(after[0] - before[0] >= 0.05);
        let busy = after[1] - before[1];
        assert!((0.0..0.02).contains(&busy), "{busy}");
    }
}
