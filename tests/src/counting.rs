//! **Counting allocator**: what a thread allocates, holds, and held at most.
//!
//! A test program that wants the numbers makes it its allocator:
//!
//! ```
//! use flowgrad_tests::counting::{Counting, counts};
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//! let before = counts();
//! let block = vec![0u8; 1000];
//! assert_eq!(counts().live - before.live, 1000);
//! drop(block);
//! assert_eq!(counts().live, before.live);
//! ```
//!
//! Every thread has counts of its own, so tests do not disturb each other.

#![expect(
    unsafe_code,
    reason = "an allocator can only be replaced by an unsafe implementation"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What one thread has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks asked for.
    pub allocations: usize,
    /// Bytes asked for and not given back. Negative where the thread frees
    /// what others allocated.
    pub live: isize,
    /// The largest `live` since the last [`restart_peak`].
    pub peak: isize,
}

thread_local! {
    static COUNTS: Cell<Counts> = const {
        Cell::new(Counts { allocations: 0, live: 0, peak: 0 })
    };
}

/// The counts of this thread.
#[must_use]
pub fn counts() -> Counts {
    COUNTS.get()
}

/// Lets the peak begin again at what is held now.
pub fn restart_peak() {
    let now = COUNTS.get();
    #[rustfmt::skip]
    COUNTS.set(Counts { peak: now.live, ..now });
}

/// Counts one call. While a thread is being torn down it has no counts.
fn note(blocks: usize, bytes: isize) {
    let _ = COUNTS.try_with(|counts| {
        let Counts {
            allocations,
            live,
            peak,
        } = counts.get();
        counts.set(Counts {
            allocations: allocations + blocks,
            live: live + bytes,
            peak: peak.max(live + bytes),
        });
    });
}

/// The system's allocator, which counts.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which
// keeps the contract; counting touches no memory of the caller's, and does not
// allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, -layout.size().cast_signed());
        // SAFETY: the block came from `System` through `alloc` above.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the block came from `System`, and the caller keeps the rest.
        unsafe { System.realloc(block, layout, size) }
    }
}
