//! **Device memory**: allocations that end at a guard page, begin as NaN, and
//! remember who touched each word.
//!
//! An allocation's last byte lies at the end of a page (but for rounding to
//! 16 bytes), and the next page faults. That is the second net, for code that
//! is not instrumented; the first is [`Memory::access`], which sees every
//! access of a kernel and knows the bounds to the byte.
//!
//! Two accesses to a word race when one of them writes and nothing orders
//! them: different blocks of a launch are never ordered, threads of a block
//! are ordered by the barriers between them, threads of a warp by the barriers
//! of the warp too.

#![expect(unsafe_code, reason = "device memory is mapped memory")]

use crate::fault::Kind;
use std::collections::BTreeMap;
use std::ptr;

const PAGE: usize = 4096;
/// Bytes that one word of history covers.
const WORD: usize = 4;

/// Who touches memory, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actor {
    /// Number of the launch, from 1.
    pub(crate) launch: u32,
    /// Number of the block in its grid.
    pub(crate) block: u32,
    /// Barriers of the block so far.
    pub(crate) phase: u32,
    /// Barriers of the thread's warp in this phase.
    pub(crate) warp_phase: u32,
    /// Number of the thread in its block.
    pub(crate) thread: u32,
}

impl Actor {
    /// Whether an earlier access is ordered before one now.
    fn before(&self, now: &Actor) -> bool {
        if self.launch != now.launch {
            return true;
        }
        if self.block != now.block {
            return false;
        }
        self.phase != now.phase
            || self.thread == now.thread
            || (self.thread / 32 == now.thread / 32 && self.warp_phase != now.warp_phase)
    }
}

/// The last write to a word, and the last two reads by different threads.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    write: Actor,
    reads: [Actor; 2],
}

/// A range of memory with its history.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    begin: usize,
    bytes: usize,
    history: Vec<History>,
}

impl Watched {
    /// The history is made when a kernel first touches the range.
    pub(crate) fn new(begin: usize, bytes: usize) -> Self {
        Watched {
            begin,
            bytes,
            history: Vec::new(),
        }
    }

    pub(crate) fn contains(&self, address: usize) -> bool {
        (self.begin..self.begin + self.bytes).contains(&address)
    }

    pub(crate) fn end(&self) -> usize {
        self.begin + self.bytes
    }

    /// Notes an access that lies inside. Accesses of less than a word are not
    /// compared: neighbours share the word.
    pub(crate) fn note(
        &mut self,
        at: usize,
        bytes: usize,
        write: bool,
        now: Actor,
    ) -> Option<Kind> {
        if bytes < WORD {
            return None;
        }
        if self.history.is_empty() {
            self.history = vec![History::default(); self.bytes.div_ceil(WORD)];
        }
        let first = (at - self.begin) / WORD;
        let words = first..(at + bytes - self.begin).div_ceil(WORD);
        for history in &mut self.history[words] {
            let clash = |earlier: Actor, did: &str| {
                let how = if write { "writes" } else { "reads" };
                let (b, t) = (earlier.block, earlier.thread);
                Kind::Race {
                    detail: format!(
                        "it {how} what block number {b} thread number {t} {did}, with no barrier between"
                    ),
                }
            };
            if !history.write.before(&now) {
                return Some(clash(history.write, "wrote"));
            }
            if write {
                if let Some(read) = history.reads.iter().find(|r| !r.before(&now)) {
                    return Some(clash(*read, "read"));
                }
                history.write = now;
            } else if history.reads[0].thread != now.thread || history.reads[0].block != now.block {
                history.reads = [now, history.reads[0]];
            } else {
                history.reads[0] = now;
            }
        }
        None
    }
}

/// One allocation.
#[derive(Debug)]
struct Allocation {
    mapping: usize,
    mapped: usize,
    watched: Watched,
}

/// All allocations, by address.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    allocations: BTreeMap<usize, Allocation>,
    live: usize,
}

impl Memory {
    /// Memory of the device, in bytes: as many as `CUDA_EMULATOR_MEMORY` says.
    pub(crate) fn total() -> usize {
        let word = std::env::var("CUDA_EMULATOR_MEMORY").unwrap_or_default();
        word.parse().unwrap_or(8 << 30)
    }

    /// Bytes allocated now.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// A new allocation filled with NaN, or `None` if there is no room.
    pub(crate) fn allocate(&mut self, bytes: usize) -> Option<usize> {
        if bytes == 0 || bytes > Self::total().saturating_sub(self.live) {
            return None;
        }
        let rounded = bytes.next_multiple_of(16);
        let usable = rounded.next_multiple_of(PAGE);
        let mapped = usable + PAGE;
        // SAFETY: a fresh private mapping, shared with nothing.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return None;
        }
        let mapping = mapping as usize;
        let guard = (mapping + usable) as *mut libc::c_void;
        // SAFETY: the last page of the mapping just made.
        let done = unsafe { libc::mprotect(guard, PAGE, libc::PROT_NONE) };
        assert_eq!(done, 0, "emulated: no guard page");
        let begin = mapping + usable - rounded;
        // SAFETY: inside the mapping; all bits set are NaN in every format.
        unsafe { ptr::write_bytes(begin as *mut u8, 0xFF, rounded) };
        let watched = Watched::new(begin, bytes);
        let allocation = Allocation {
            mapping,
            mapped,
            watched,
        };
        self.allocations.insert(begin, allocation);
        self.live += bytes;
        Some(begin)
    }

    /// Frees an allocation; `false` if there is none at this address.
    pub(crate) fn free(&mut self, address: usize) -> bool {
        let Some(allocation) = self.allocations.remove(&address) else {
            return false;
        };
        self.live -= allocation.watched.bytes;
        // SAFETY: the mapping made by `allocate`, and no longer listed.
        unsafe { libc::munmap(allocation.mapping as *mut libc::c_void, allocation.mapped) };
        true
    }

    /// The allocation that begins at or before an address.
    fn below(&mut self, address: usize) -> Option<&mut Allocation> {
        let mut below = self.allocations.range_mut(..=address);
        below.next_back().map(|(_, allocation)| allocation)
    }

    /// Whether a range lies in one allocation.
    pub(crate) fn holds(&mut self, address: usize, bytes: usize) -> bool {
        match self.below(address) {
            Some(allocation) => {
                allocation.watched.contains(address) && allocation.watched.end() - address >= bytes
            }
            None => false,
        }
    }

    /// An access of a kernel.
    pub(crate) fn access(
        &mut self,
        address: usize,
        bytes: usize,
        write: bool,
        now: Actor,
    ) -> Option<Kind> {
        let outside = |detail| {
            Some(Kind::OutOfBounds {
                write,
                bytes,
                detail,
            })
        };
        let Some(allocation) = self.below(address) else {
            return outside("before every allocation".to_owned());
        };
        let watched = &mut allocation.watched;
        let end = watched.end();
        if address + bytes > end {
            let (beyond, of) = (address.saturating_sub(end), watched.bytes);
            return outside(format!(
                "{beyond} bytes past the end of an allocation of {of} bytes"
            ));
        }
        watched.note(address, bytes, write, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ended::ends_outside;

    fn by(block: u32, phase: u32, thread: u32) -> Actor {
        Actor {
            launch: 1,
            block,
            phase,
            warp_phase: 0,
            thread,
        }
    }

    #[test]
    fn fresh_memory_is_nan_and_bounds_are_exact() {
        let mut memory = Memory::default();
        let at = memory.allocate(4000).expect("there is room");
        // SAFETY: the first float of an allocation of a thousand.
        assert!(unsafe { (at as *const f32).read() }.is_nan());
        assert!(memory.access(at + 3996, 4, true, by(0, 0, 0)).is_none());
        let past = memory.access(at + 4000, 4, true, by(0, 0, 0));
        let Some(Kind::OutOfBounds { detail, .. }) = past else {
            panic!("{past:?}");
        };
        assert_eq!(
            detail,
            "0 bytes past the end of an allocation of 4000 bytes"
        );
        assert!(memory.holds(at, 4000) && !memory.holds(at, 4001));
        assert!(memory.free(at) && !memory.free(at), "a second free is seen");
        assert_eq!(memory.live(), 0);
        assert!(
            memory.access(at, 4, false, by(0, 0, 0)).is_some(),
            "used after free"
        );
    }

    /// What no kernel does, whose accesses are seen: the second net.
    #[test]
    fn a_byte_past_the_end_ends_the_process() {
        let name = concat!(module_path!(), "::a_byte_past_the_end_ends_the_process");
        ends_outside(name, |write| {
            let mut memory = Memory::default();
            let at = memory.allocate(4096 + 48).expect("there is room") as *mut u8;
            write([at.wrapping_add(4096 + 47), at.wrapping_add(4096 + 48)]);
        });
    }

    #[test]
    fn only_unordered_accesses_race() {
        let clash = |first: (bool, Actor), then: (bool, Actor)| {
            let mut watched = Watched::new(4096, 8);
            assert!(watched.note(4096, 4, first.0, first.1).is_none());
            watched.note(4096, 4, then.0, then.1).is_some()
        };
        let (read, write) = (false, true);
        assert!(clash((write, by(0, 0, 1)), (read, by(0, 0, 2))));
        assert!(clash((read, by(0, 0, 1)), (write, by(0, 0, 2))));
        assert!(clash((write, by(0, 0, 1)), (write, by(0, 0, 2))));
        assert!(
            clash((write, by(0, 5, 1)), (read, by(1, 9, 1))),
            "between blocks"
        );
        assert!(!clash((read, by(0, 0, 1)), (read, by(0, 0, 2))));
        assert!(
            !clash((write, by(0, 0, 1)), (read, by(0, 1, 2))),
            "a barrier between"
        );
        assert!(
            !clash((write, by(0, 0, 1)), (read, by(0, 0, 1))),
            "one thread"
        );
        let later = Actor {
            launch: 2,
            ..by(1, 0, 2)
        };
        assert!(
            !clash((write, by(0, 0, 1)), (read, later)),
            "another launch"
        );
        let synced = Actor {
            warp_phase: 1,
            ..by(0, 0, 2)
        };
        assert!(
            !clash((write, by(0, 0, 1)), (read, synced)),
            "a warp barrier"
        );
        let other_warp = Actor {
            warp_phase: 1,
            ..by(0, 0, 40)
        };
        assert!(clash((write, by(0, 0, 1)), (read, other_warp)));
    }

    #[test]
    fn a_write_after_two_readers_is_seen_whoever_read_last() {
        let mut watched = Watched::new(4096, 4);
        assert!(watched.note(4096, 4, false, by(0, 0, 1)).is_none());
        assert!(watched.note(4096, 4, false, by(0, 0, 2)).is_none());
        assert!(watched.note(4096, 4, true, by(0, 0, 2)).is_some());
    }
}
