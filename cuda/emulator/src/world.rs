//! **The device's world**: memory, streams, modules and graphs, behind one
//! lock.

#![expect(unsafe_code, reason = "device memory is written")]

use crate::fault::Fault;
use crate::fiber::Stacks;
use crate::gemm::Gemm;
use crate::memory::Memory;
use crate::module::{Kernel, Module};
use crate::run::{self, Extents};
use crate::shuffle::Schedule;
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::ptr;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// Answers of the driver, by their numbers in `cuda.h`.
pub(crate) mod answer {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const INVALID_VALUE: u32 = 1;
    pub(crate) const OUT_OF_MEMORY: u32 = 2;
    pub(crate) const NO_DEVICE: u32 = 100;
    pub(crate) const INVALID_DEVICE: u32 = 101;
    pub(crate) const INVALID_IMAGE: u32 = 200;
    pub(crate) const INVALID_CONTEXT: u32 = 201;
    pub(crate) const INVALID_HANDLE: u32 = 400;
    pub(crate) const NOT_FOUND: u32 = 500;
    pub(crate) const NOT_SUPPORTED: u32 = 801;
    pub(crate) const CAPTURE_UNSUPPORTED: u32 = 900;
    pub(crate) const CAPTURE_INVALIDATED: u32 = 901;
}

/// Something a stream is told to do.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Run a kernel with copies of its arguments, each aligned to 16 bytes.
    Launch {
        kernel: Rc<Kernel>,
        extents: Extents,
        arguments: Vec<Vec<u128>>,
    },
    /// Set bytes.
    Fill { at: usize, bytes: usize, value: u8 },
    /// Multiply matrices, with a library's own room: where it lies, and its
    /// bytes.
    Gemm { gemm: Gemm, room: (usize, usize) },
}

/// A stream, which may be recording.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    capture: Option<Capture>,
}

/// What has been recorded; invalid after a call that no capture allows.
#[derive(Debug)]
struct Capture {
    /// Who records.
    thread: ThreadId,
    works: Vec<Work>,
    invalid: bool,
}

/// Everything the driver keeps.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) memory: Memory,
    stacks: Stacks,
    pub(crate) modules: HashMap<usize, Module>,
    pub(crate) functions: HashMap<usize, Rc<Kernel>>,
    pub(crate) streams: HashMap<usize, Stream>,
    pub(crate) graphs: HashMap<usize, Rc<Vec<Work>>>,
    handles: usize,
    launches: u32,
    /// Launches by the hash of the text they came from.
    pub(crate) ran: HashMap<u64, u64>,
    /// Copies to the host so far, and to the device.
    pub(crate) copies_to_host: u64,
    pub(crate) copies_to_device: u64,
    /// The first fault; from then on every call answers with it.
    fault: Option<(u32, CString)>,
}

// SAFETY: the raw pointers inside are to memory that only this world uses, and
// it is reached only under the lock.
unsafe impl Send for World {}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

fn locked() -> MutexGuard<'static, Option<World>> {
    WORLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers a call, unless an earlier fault stands.
pub(crate) fn answer(call: impl FnOnce(&mut World) -> Result<(), u32>) -> u32 {
    let mut world = locked();
    let world = world.get_or_insert_default();
    if let Some((code, _)) = world.fault {
        return code;
    }
    match call(world) {
        Ok(()) => answer::SUCCESS,
        Err(code) => code,
    }
}

/// The text of the fault, if this is its number.
pub(crate) fn fault_text(code: u32) -> Option<*const std::ffi::c_char> {
    let world = locked();
    let (number, text) = world.as_ref()?.fault.as_ref()?;
    // The world is never taken down, so the text stays.
    (*number == code).then(|| text.as_ptr())
}

impl World {
    /// A number for a new object.
    pub(crate) fn handle(&mut self) -> usize {
        self.handles += 1;
        self.handles << 4
    }

    /// Refuses a call of a thread that is recording, and ends its recording:
    /// the mode of capture that is called thread-local. Others may go on.
    pub(crate) fn forbid_in_capture(&mut self) -> Result<(), u32> {
        let mut recording = false;
        for stream in self.streams.values_mut() {
            if let Some(capture) = &mut stream.capture
                && capture.thread == thread::current().id()
            {
                capture.invalid = true;
                recording = true;
            }
        }
        match recording {
            true => Err(answer::CAPTURE_UNSUPPORTED),
            false => Ok(()),
        }
    }

    /// Begins to record.
    pub(crate) fn begin_capture(&mut self, stream: usize) -> Result<(), u32> {
        let stream = self
            .streams
            .get_mut(&stream)
            .ok_or(answer::INVALID_HANDLE)?;
        if stream.capture.is_some() {
            return Err(answer::CAPTURE_UNSUPPORTED);
        }
        stream.capture = Some(Capture {
            thread: thread::current().id(),
            works: Vec::new(),
            invalid: false,
        });
        Ok(())
    }

    /// What was recorded.
    pub(crate) fn end_capture(&mut self, stream: usize) -> Result<Vec<Work>, u32> {
        let stream = self
            .streams
            .get_mut(&stream)
            .ok_or(answer::INVALID_HANDLE)?;
        let capture = stream.capture.take().ok_or(answer::INVALID_VALUE)?;
        match capture.invalid {
            true => Err(answer::CAPTURE_INVALIDATED),
            false => Ok(capture.works),
        }
    }

    /// Forgets a module: its functions are no handles any more, and what was
    /// recorded of them cannot be done.
    pub(crate) fn unload(&mut self, module: usize) -> Result<(), u32> {
        let module = self.modules.remove(&module);
        module.ok_or(answer::INVALID_HANDLE)?.unload();
        self.functions.retain(|_, kernel| kernel.is_loaded());
        Ok(())
    }

    /// Does a work now, or records it.
    pub(crate) fn submit(&mut self, stream: usize, work: Work) -> Result<(), u32> {
        let stream = self
            .streams
            .get_mut(&stream)
            .ok_or(answer::INVALID_HANDLE)?;
        match &mut stream.capture {
            Some(capture) => capture.works.push(work),
            None => self.perform(&work)?,
        }
        Ok(())
    }

    /// Does a work. A kernel's fault is not this call's answer: as on the
    /// hardware, the next call learns of it.
    pub(crate) fn perform(&mut self, work: &Work) -> Result<(), u32> {
        match work {
            Work::Launch {
                kernel,
                extents,
                arguments,
            } => {
                // The hardware would run whatever lies there now.
                if !kernel.is_loaded() {
                    return Err(answer::INVALID_HANDLE);
                }
                if self.fault.is_none() {
                    self.launch(kernel, *extents, arguments);
                }
                Ok(())
            }
            Work::Fill { at, bytes, value } => {
                if !self.memory.holds(*at, *bytes) {
                    return Err(answer::INVALID_VALUE);
                }
                // SAFETY: an allocation holds the range.
                unsafe { ptr::write_bytes(*at as *mut u8, *value, *bytes) };
                Ok(())
            }
            Work::Gemm { gemm, room } => {
                let (at, bytes) = *room;
                if bytes > 0 && !self.memory.holds(at, bytes) {
                    return Err(answer::INVALID_VALUE);
                }
                gemm.perform(&mut self.memory)
            }
        }
    }

    fn launch(&mut self, kernel: &Rc<Kernel>, extents: Extents, arguments: &[Vec<u128>]) {
        self.launches += 1;
        *self.ran.entry(kernel.hash).or_default() += 1;
        let mut pointers: Vec<*mut c_void> = arguments
            .iter()
            .map(|argument| argument.as_ptr().cast_mut().cast())
            .collect();
        let device = (&mut self.memory, &mut self.stacks);
        let seed = Schedule::seed();
        let outcome = match last_launch().is_some_and(|last| self.launches > last) {
            true => Err(Fault::lost(kernel.name())),
            false => run::launch(kernel, extents, &mut pointers, device, self.launches, seed),
        };
        if let Err(fault) = outcome {
            self.remember(&fault);
        }
    }

    fn remember(&mut self, fault: &Fault) {
        eprintln!("{fault}");
        let text = CString::new(fault.to_string()).unwrap_or_default();
        self.fault = Some((fault.code(), text));
    }
}

/// The number of the last launch before the device is lost, for tests of what
/// a program then says: `CUDA_EMULATOR_LAUNCHES`.
fn last_launch() -> Option<u32> {
    std::env::var("CUDA_EMULATOR_LAUNCHES").ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::{Format, Matrix};

    #[test]
    fn a_product_needs_the_room_that_it_was_given() {
        let mut world = World::default();
        let [a, room] = [4, 256].map(|bytes| world.memory.allocate(bytes).expect("room"));
        let matrix = || Matrix {
            at: a,
            leading: 1,
            stride: 1,
            transposed: false,
        };
        let gemm = Gemm {
            m: 1,
            n: 1,
            k: 1,
            count: 1,
            alpha: 1.0,
            beta: 0.0,
            a: matrix(),
            b: matrix(),
            c: matrix(),
            format: Format::Single,
        };
        let work = |bytes| Work::Gemm {
            gemm,
            room: (room, bytes),
        };
        assert_eq!(world.perform(&work(256)), Ok(()));
        assert_eq!(world.perform(&work(257)), Err(answer::INVALID_VALUE));
        assert!(world.memory.free(room));
        assert_eq!(world.perform(&work(256)), Err(answer::INVALID_VALUE));
        assert_eq!(world.perform(&work(0)), Ok(()), "it was given none");
    }

    #[test]
    fn only_the_thread_that_records_is_held_to_it() {
        let mut world = World::default();
        world.streams.insert(1, Stream::default());
        assert_eq!(world.forbid_in_capture(), Ok(()));
        assert_eq!(world.begin_capture(1), Ok(()));
        assert_eq!(world.begin_capture(1), Err(answer::CAPTURE_UNSUPPORTED));
        let other = thread::spawn(move || {
            let free = world.forbid_in_capture();
            (world, free)
        });
        let (mut world, free) = other.join().expect("no panic");
        assert_eq!(free, Ok(()), "another thread may allocate");
        assert_eq!(world.forbid_in_capture(), Err(answer::CAPTURE_UNSUPPORTED));
        let ended = world.end_capture(1).map(|works| works.len());
        assert_eq!(ended, Err(answer::CAPTURE_INVALIDATED));
    }
}
