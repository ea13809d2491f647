//! **Fibers**: one stack for each thread of a block, and the switch between
//! them.
//!
//! A thread of a CUDA block runs until it waits for others; then another one
//! runs. The switch saves the registers that the System V calling convention
//! says a function keeps, and continues on the other stack.

#![expect(unsafe_code, reason = "changing stacks")]

use std::arch::naked_asm;
use std::ptr;

/// Bytes of a thread's stack; below it lies a page that faults.
const STACK: usize = 64 << 10;
const PAGE: usize = 4096;

/// Stacks, kept for the next block.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    mapping: usize,
    count: usize,
}

impl Stacks {
    /// At least this many. The stacks of before may move.
    pub(crate) fn reserve(&mut self, count: usize) {
        if count <= self.count {
            return;
        }
        self.release();
        let bytes = count * (STACK + PAGE);
        // SAFETY: a fresh private mapping, shared with nothing.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        assert!(
            mapping != libc::MAP_FAILED,
            "emulated: no memory for stacks"
        );
        self.mapping = mapping as usize;
        self.count = count;
        for i in 0..count {
            let guard = (self.mapping + i * (STACK + PAGE)) as *mut libc::c_void;
            // SAFETY: a page of the mapping just made.
            let done = unsafe { libc::mprotect(guard, PAGE, libc::PROT_NONE) };
            assert_eq!(done, 0, "emulated: no guard page below a stack");
        }
    }

    fn release(&mut self) {
        if self.count > 0 {
            let bytes = self.count * (STACK + PAGE);
            // SAFETY: the mapping made by `reserve`; no fiber runs now.
            unsafe { libc::munmap(self.mapping as *mut libc::c_void, bytes) };
        }
    }

    /// Where a stack lies, lowest address first.
    pub(crate) fn range(&self, i: usize) -> (usize, usize) {
        let begin = self.mapping + i * (STACK + PAGE) + PAGE;
        (begin, begin + STACK)
    }

    /// A stack pointer that, switched to, calls `entry`.
    pub(crate) fn prepare(&mut self, i: usize, entry: extern "C" fn() -> !) -> usize {
        assert!(i < self.count, "a stack that was reserved");
        // At the entry of a function the stack pointer is 8 below a multiple
        // of 16; seven words lie above: six registers and the return address.
        let top = self.range(i).1 - 8;
        let pointer = top - 7 * size_of::<usize>();
        let frame = pointer as *mut usize;
        for word in 0..6 {
            // SAFETY: within the stack, which is writable and unused.
            unsafe { frame.add(word).write(0) };
        }
        // SAFETY: as above.
        unsafe { frame.add(6).write(entry as usize) };
        pointer
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        self.release();
    }
}

/// Leaves this stack, writing where it was left to `save`, and continues on
/// another.
///
/// # Safety
/// `to` was written by `switch` or made by [`Stacks::prepare`], and is used
/// once only.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn switch(save: *mut usize, to: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ended::ends_outside;
    use std::cell::Cell;

    thread_local! {
        static MAIN: Cell<usize> = const { Cell::new(0) };
        static SIDE: Cell<usize> = const { Cell::new(0) };
        static TRACE: Cell<u32> = const { Cell::new(0) };
    }

    extern "C" fn entry() -> ! {
        loop {
            TRACE.set(TRACE.get() * 10 + 2);
            let to = MAIN.get();
            // SAFETY: `to` is where the test left its stack.
            SIDE.with(|side| unsafe { switch(side.as_ptr(), to) });
        }
    }

    /// A stack in the middle: without its page another one lies below.
    #[test]
    fn a_byte_below_a_stack_ends_the_process() {
        let name = concat!(module_path!(), "::a_byte_below_a_stack_ends_the_process");
        ends_outside(name, |write| {
            let mut stacks = Stacks::default();
            stacks.reserve(3);
            let lowest = stacks.range(1).0 as *mut u8;
            write([lowest, lowest.wrapping_sub(1)]);
        });
    }

    #[test]
    fn control_goes_to_and_fro() {
        let mut stacks = Stacks::default();
        stacks.reserve(3);
        SIDE.set(stacks.prepare(2, entry));
        for _ in 0..3 {
            TRACE.set(TRACE.get() * 10 + 1);
            let to = SIDE.get();
            // SAFETY: `to` is prepared, or where the fiber left its stack.
            MAIN.with(|main| unsafe { switch(main.as_ptr(), to) });
        }
        assert_eq!(TRACE.get(), 121_212);
    }
}
