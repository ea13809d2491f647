//! **A launch**: blocks one after the other, each a set of fibers that run
//! until they wait.
//!
//! A block is over when all its threads have returned. A barrier opens when
//! all threads of the block wait at it; the barrier of a warp, or an exchange
//! of values, when all lanes named by the mask do. If nobody can go on, the
//! threads have diverged, and that is a fault.

#![expect(
    unsafe_code,
    reason = "threads are fibers, and kernels are foreign code"
)]

use crate::fault::{Fault, Kind, Place};
use crate::fiber::{Stacks, switch};
use crate::memory::{Actor, Memory, Watched};
use crate::module::Kernel;
use crate::shuffle::Schedule;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;

/// What the shim reads and calls; the layout is that of `struct Emulated`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Shim {
    thread: [u32; 3],
    block: [u32; 3],
    block_extent: [u32; 3],
    grid_extent: [u32; 3],
    barrier: extern "C" fn(i32),
    warp_barrier: extern "C" fn(i32, u32),
    exchange: extern "C" fn(i32, u32, u32) -> *const u32,
    access: extern "C" fn(*const c_void, usize, i32),
    misaligned: extern "C" fn(usize),
}

/// What a thread waits for; the line tells barriers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Block {
        line: i32,
    },
    Warp {
        line: i32,
        mask: u32,
        exchange: bool,
    },
    Done,
}

#[derive(Debug)]
struct Thread {
    state: Cell<State>,
    stack: Cell<usize>,
    coordinates: [u32; 3],
    /// What it gives in an exchange.
    gives: Cell<u32>,
}

/// What lanes of a warp gave in the last exchange, and its barriers so far.
#[derive(Debug)]
struct Warp {
    lanes: [Cell<u32>; 32],
    phase: Cell<u32>,
}

/// What all blocks of a launch share.
#[derive(Debug)]
struct Launch<'a> {
    kernel: &'a Kernel,
    arguments: *mut *mut c_void,
    memory: RefCell<&'a mut Memory>,
    stacks: RefCell<&'a mut Stacks>,
    shared: RefCell<Watched>,
    shim: *mut Shim,
    number: u32,
    extents: Extents,
}

/// A running block. Its threads reach it through [`RUNNING`] while the
/// scheduler holds it too, so it is changed through cells only.
#[derive(Debug)]
struct Block<'a> {
    launch: &'a Launch<'a>,
    number: u32,
    at: [u32; 3],
    phase: Cell<u32>,
    threads: Vec<Thread>,
    warps: Vec<Warp>,
    current: Cell<usize>,
    /// Where the scheduler left its own stack.
    scheduler: Cell<usize>,
    fault: RefCell<Option<Kind>>,
}

thread_local! {
    /// The block that runs now, for what kernels call.
    static RUNNING: Cell<*const Block<'static>> = const { Cell::new(ptr::null()) };
}

fn running<'a>() -> &'a Block<'a> {
    // SAFETY: kernels call only while `Block::run` runs them, which sets the
    // pointer to itself and clears it when it is over.
    unsafe { &*RUNNING.get().cast() }
}

/// Extents of grid and block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
}

impl Extents {
    /// Whether the hardware would take them.
    pub(crate) fn allowed(&self) -> bool {
        let threads: u64 = self.block.iter().map(|&n| u64::from(n)).product();
        let (grid, block) = (self.grid, self.block);
        grid.iter().chain(&block).all(|&n| n > 0)
            && threads <= 1024
            && block[2] <= 64
            && grid[0] <= i32::MAX as u32
            && grid[1] <= 65_535
            && grid[2] <= 65_535
    }
}

/// Runs a kernel on a grid.
pub(crate) fn launch(
    kernel: &Kernel,
    extents: Extents,
    arguments: &mut [*mut c_void],
    device: (&mut Memory, &mut Stacks),
    number: u32,
    seed: u64,
) -> Result<(), Fault> {
    let (memory, stacks) = device;
    stacks.reserve(extents.block.iter().product::<u32>() as usize);
    let launch = Launch {
        kernel,
        arguments: arguments.as_mut_ptr(),
        memory: RefCell::new(memory),
        stacks: RefCell::new(stacks),
        shared: RefCell::default(),
        shim: kernel.shim().cast(),
        number,
        extents,
    };
    let shim = Shim {
        thread: [0; 3],
        block: [0; 3],
        block_extent: extents.block,
        grid_extent: extents.grid,
        barrier,
        warp_barrier,
        exchange,
        access,
        misaligned,
    };
    // SAFETY: the library exports a `struct Emulated` of this layout.
    unsafe { launch.shim.write(shim) };
    let mut schedule = Schedule::new(seed, number);
    let [gx, gy, gz] = extents.grid;
    let mut blocks: Vec<u32> = (0..gx * gy * gz).collect();
    schedule.shuffle(&mut blocks);
    for number in blocks {
        let at = [number % gx, number / gx % gy, number / gx / gy];
        Block::new(&launch, number, at).run(&mut schedule)?;
    }
    Ok(())
}

impl<'a> Block<'a> {
    fn new(launch: &'a Launch<'a>, number: u32, at: [u32; 3]) -> Self {
        let [x, y, z] = launch.extents.block;
        let threads: Vec<Thread> = (0..x * y * z)
            .map(|i| Thread {
                state: Cell::new(State::Ready),
                stack: Cell::new(launch.stacks.borrow_mut().prepare(i as usize, entry)),
                coordinates: [i % x, i / x % y, i / x / y],
                gives: Cell::new(0),
            })
            .collect();
        let warp = |_| Warp {
            lanes: [const { Cell::new(u32::MAX) }; 32],
            phase: Cell::new(0),
        };
        Block {
            launch,
            number,
            at,
            phase: Cell::new(0),
            warps: (0..threads.len().div_ceil(32)).map(warp).collect(),
            threads,
            current: Cell::new(0),
            scheduler: Cell::new(0),
            fault: RefCell::new(None),
        }
    }

    /// Runs the block to its end.
    fn run(&self, schedule: &mut Schedule) -> Result<(), Fault> {
        let (begin, end) = self.launch.kernel.shared();
        // SAFETY: the library's section for shared memory; all bits set are NaN.
        unsafe { (begin as *mut u8).write_bytes(0xFF, end - begin) };
        // And it is the block's own: what other blocks did in it is nothing.
        *self.launch.shared.borrow_mut() = Watched::new(begin, end - begin);
        // SAFETY: the shim's variables, which no other code uses now.
        unsafe { (*self.launch.shim).block = self.at };
        RUNNING.set(ptr::from_ref(self).cast());
        let outcome = self.run_threads(schedule);
        RUNNING.set(ptr::null());
        outcome
    }

    fn run_threads(&self, schedule: &mut Schedule) -> Result<(), Fault> {
        let mut order: Vec<usize> = (0..self.threads.len()).collect();
        loop {
            schedule.shuffle(&mut order);
            for &thread in &order {
                if self.threads[thread].state.get() == State::Ready {
                    self.resume(thread);
                    if let Some(kind) = self.fault.take() {
                        return Err(self.fault_at(thread, kind));
                    }
                }
            }
            if !self.open_warps() && !self.open_block() {
                if self.threads.iter().all(|t| t.state.get() == State::Done) {
                    return Ok(());
                }
                let (thread, kind) = self.divergence();
                return Err(self.fault_at(thread, kind));
            }
        }
    }

    fn fault_at(&self, thread: usize, kind: Kind) -> Fault {
        Fault {
            kernel: self.launch.kernel.name().to_owned(),
            place: Place {
                block: self.at,
                thread: self.threads[thread].coordinates,
            },
            kind,
        }
    }

    /// Continues a thread until it waits, returns or faults.
    fn resume(&self, thread: usize) {
        self.current.set(thread);
        let thread = &self.threads[thread];
        // SAFETY: the shim's variables, which no other code uses now.
        unsafe { (*self.launch.shim).thread = thread.coordinates };
        // SAFETY: the stack is prepared, or where this fiber left it.
        unsafe { switch(self.scheduler.as_ptr(), thread.stack.get()) };
    }

    /// Leaves the current thread, in a state, for the scheduler.
    fn wait(&self, state: State) {
        let thread = &self.threads[self.current.get()];
        thread.state.set(state);
        // SAFETY: the scheduler left its stack there when it resumed us.
        unsafe { switch(thread.stack.as_ptr(), self.scheduler.get()) };
    }

    /// Ends the current thread, and with it the launch, for good.
    fn fail(&self, kind: Kind) {
        self.fault.replace(Some(kind));
        self.wait(State::Done);
    }

    /// Opens the warp barriers that are complete; whether there was one.
    fn open_warps(&self) -> bool {
        let mut opened = false;
        for (warp, threads) in self.warps.iter().zip(self.threads.chunks(32)) {
            let mut states = threads.iter().map(|t| t.state.get());
            let waiting = states.find(|s| matches!(s, State::Warp { .. }));
            let Some(state @ State::Warp { mask, exchange, .. }) = waiting else {
                continue;
            };
            // Lanes that do not exist are nobody's business.
            let named = |lane: usize| mask >> lane & 1 == 1;
            let mut lanes = threads.iter().enumerate().filter(|(lane, _)| named(*lane));
            if !lanes.all(|(_, thread)| thread.state.get() == state) {
                continue;
            }
            if !exchange {
                warp.phase.set(warp.phase.get() + 1);
            }
            for (lane, thread) in threads.iter().enumerate() {
                warp.lanes[lane].set(u32::MAX);
                if named(lane) {
                    warp.lanes[lane].set(thread.gives.get());
                    thread.state.set(State::Ready);
                }
            }
            opened = true;
        }
        opened
    }

    /// Opens the block's barrier if all wait at the same one.
    fn open_block(&self) -> bool {
        let first = self.threads[0].state.get();
        let together = self.threads.iter().all(|t| t.state.get() == first);
        if !matches!(first, State::Block { .. }) || !together {
            return false;
        }
        self.phase.set(self.phase.get() + 1);
        self.warps.iter().for_each(|warp| warp.phase.set(0));
        let threads = self.threads.iter();
        threads.for_each(|thread| thread.state.set(State::Ready));
        true
    }

    /// Who waits in vain, and for whom.
    fn divergence(&self) -> (usize, Kind) {
        let waits = |t: &Thread| t.state.get() != State::Done;
        let thread = self.threads.iter().position(waits).unwrap_or(0);
        let state = self.threads[thread].state.get();
        let other = self.threads.iter().find(|t| t.state.get() != state);
        let say = |state: State| match state {
            State::Ready => "runs".to_owned(),
            State::Done => "has returned".to_owned(),
            State::Block { line } => format!("waits at the barrier of line {line}"),
            State::Warp { line, mask, .. } => {
                format!("waits for the lanes {mask:#010x} at line {line}")
            }
        };
        let rest = match other {
            Some(other) => {
                let state = say(other.state.get());
                format!("thread {:?} {state}", other.coordinates)
            }
            None => "its own mask does not name it".to_owned(),
        };
        let detail = format!("it {}, but {rest}", say(state));
        (thread, Kind::Divergence { detail })
    }

    fn actor(&self) -> Actor {
        let thread = self.current.get();
        Actor {
            launch: self.launch.number,
            block: self.number,
            phase: self.phase.get(),
            warp_phase: self.warps[thread / 32].phase.get(),
            thread: thread as u32,
        }
    }

    /// What is wrong with an access of the current thread.
    fn judge(&self, address: usize, bytes: usize, write: bool) -> Option<Kind> {
        let stack = self.launch.stacks.borrow().range(self.current.get());
        if (stack.0..stack.1).contains(&address) {
            return None;
        }
        let outside = |detail: &str| Kind::OutOfBounds {
            write,
            bytes,
            detail: detail.to_owned(),
        };
        let mut shared = self.launch.shared.borrow_mut();
        if shared.contains(address) {
            return match address + bytes <= shared.end() {
                true => shared.note(address, bytes, write, self.actor()),
                false => Some(outside("past the end of shared memory")),
            };
        }
        let image = self.launch.kernel.image();
        if (image.0..image.1).contains(&address) {
            return write.then(|| outside("to a constant"));
        }
        let mut memory = self.launch.memory.borrow_mut();
        memory.access(address, bytes, write, self.actor())
    }
}

/// Where a fiber begins: the kernel's own code, once.
extern "C" fn entry() -> ! {
    let launch = running().launch;
    let call = launch.kernel.call();
    // SAFETY: the library's own function, with as many arguments as it takes.
    unsafe { call(launch.arguments) };
    // A thread that has returned is never resumed.
    loop {
        running().wait(State::Done);
    }
}

extern "C" fn barrier(line: i32) {
    running().wait(State::Block { line });
}

extern "C" fn warp_barrier(line: i32, mask: u32) {
    running().wait(State::Warp {
        line,
        mask,
        exchange: false,
    });
}

extern "C" fn exchange(line: i32, mask: u32, value: u32) -> *const u32 {
    let block = running();
    let thread = block.current.get();
    block.threads[thread].gives.set(value);
    block.wait(State::Warp {
        line,
        mask,
        exchange: true,
    });
    // The lanes stay as they are until all have come to the next exchange.
    block.warps[thread / 32].lanes.as_ptr().cast()
}

/// Judges an access.
extern "C" fn access(address: *const c_void, bytes: usize, write: i32) {
    let block = running();
    if let Some(kind) = block.judge(address as usize, bytes, write != 0) {
        block.fail(kind);
    }
}

extern "C" fn misaligned(bytes: usize) {
    running().fail(Kind::Misaligned { bytes });
}
