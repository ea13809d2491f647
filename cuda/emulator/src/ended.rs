//! **Ends** of processes, for tests of what must end one.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// Set in the processes that these tests start.
const CHILD: &str = "CUDA_EMULATOR_CHILD";

/// Runs the test of this whole name again in a process of its own, which does
/// `work`: the signal that ended it, if one did, and what it printed. There it
/// is `None`.
pub(crate) fn ended(test: &str, work: impl FnOnce()) -> Option<(Option<i32>, String)> {
    if env::var_os(CHILD).is_some() {
        work();
        return None;
    }
    // The crate's own name is no part of a test's.
    let test = test.split_once("::").map_or(test, |(_, rest)| rest);
    let program = env::current_exe().expect("this test is a program");
    let run = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "yes")
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    Some((run.status.signal(), said))
}
