//! **Ends** of processes, for tests of what must end one.

#![expect(unsafe_code, reason = "memory that is not there is written")]

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// Set in the processes that these tests start.
const CHILD: &str = "CUDA_EMULATOR_CHILD";

/// Runs the test of this whole name again in a process of its own, where `work`
/// hands on the last byte that is its own and the first that is not, to be
/// written: it must end between the two, by a violation of its memory.
pub(crate) fn ends_outside(test: &str, work: impl FnOnce(fn([*mut u8; 2]))) {
    if env::var_os(CHILD).is_some() {
        return work(|[inside, outside]| {
            // SAFETY: a byte of its own.
            unsafe { inside.write_volatile(1) };
            println!("inside");
            // SAFETY: none, it is what must end this process.
            unsafe { outside.write_volatile(1) };
            println!("outside");
        });
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
    assert_eq!(run.status.signal(), Some(libc::SIGSEGV), "{said}");
    assert!(
        said.contains("inside") && !said.contains("outside"),
        "{said}"
    );
}
