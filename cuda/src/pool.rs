//! **Pool**: device memory that is asked of the driver once and used again.
//!
//! Blocks come in size classes, four to a doubling, so at most a quarter of a
//! block is waste. A block returns to the pool when its last holder lets go;
//! all work is in one stream, so whoever gets it next comes after whoever had
//! it. [`Memory::Direct`] has no classes and keeps nothing: every allocation
//! is the driver's own, with its exact bounds, for finding errors.

#![expect(unsafe_code, reason = "device memory is allocated and freed")]

use crate::error::{CudaError, Doing};
use cudarc::driver::sys::{CUdeviceptr, CUresult};
use cudarc::driver::{CudaStream, DriverError, result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where buffers come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// From a pool of blocks in size classes.
    #[default]
    Pooled,
    /// Each from the driver, of exact size, and back to it.
    Direct,
}

/// How many bytes a pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Calls of the driver for memory so far.
    pub driver_allocations: u64,
    /// Bytes in use, rounded up to their classes.
    pub in_use: usize,
    /// Bytes kept for later.
    pub kept: usize,
}

/// The driver's answer when there is no room.
const FULL: CUresult = CUresult::CUDA_ERROR_OUT_OF_MEMORY;

/// The pool of a device.
#[derive(Debug)]
pub(crate) struct Pool {
    stream: Arc<CudaStream>,
    policy: Memory,
    /// Whose it is, for messages.
    owner: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: BTreeMap<usize, Vec<CUdeviceptr>>,
    counts: PoolCounts,
    recording: bool,
}

/// A range of device memory; goes back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Block {
    pool: Arc<Pool>,
    address: CUdeviceptr,
    bytes: usize,
}

impl Block {
    pub(crate) fn address(&self) -> CUdeviceptr {
        self.address
    }

    /// The pool that it goes back to.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.take_back(self.address, self.bytes);
    }
}

/// The smallest class that holds so many bytes: 256 bytes, or 1, 1¼, 1½ or
/// 1¾ times a power of two.
fn class(bytes: usize) -> usize {
    let step = (bytes.max(1).next_power_of_two() / 8).max(256);
    bytes.next_multiple_of(step)
}

impl Pool {
    pub(crate) fn new(stream: Arc<CudaStream>, policy: Memory, owner: String) -> Self {
        Pool {
            stream,
            policy,
            owner,
            state: Mutex::default(),
        }
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> PoolCounts {
        self.state().counts
    }

    /// From now on, or no longer, the driver is not asked for memory.
    pub(crate) fn set_recording(&self, recording: bool) {
        self.state().recording = recording;
    }

    /// Whether a graph is being recorded.
    pub(crate) fn is_recording(&self) -> bool {
        self.state().recording
    }

    /// A block of at least so many bytes, more than none.
    pub(crate) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Block, CudaError> {
        let bytes = match self.policy {
            Memory::Pooled => class(bytes),
            Memory::Direct => bytes,
        };
        let mut state = self.state();
        let free = state.free.get_mut(&bytes).and_then(Vec::pop);
        let address = match free {
            Some(address) => {
                state.counts.kept -= bytes;
                address
            }
            None if state.recording && self.policy == Memory::Pooled => {
                return Err(CudaError::AllocationInGraph { bytes });
            }
            None => {
                self.bind()?;
                let address = match self.ask(&mut state, bytes) {
                    Err(DriverError(FULL)) => {
                        self.give_back(&mut state);
                        self.ask(&mut state, bytes)
                    }
                    other => other,
                };
                match address {
                    Err(DriverError(FULL)) => {
                        let in_use = state.counts.in_use;
                        return Err(CudaError::OutOfMemory { bytes, in_use });
                    }
                    other => other.doing("allocating device memory")?,
                }
            }
        };
        state.counts.in_use += bytes;
        drop(state);
        Ok(Block {
            pool: self.clone(),
            address,
            bytes,
        })
    }

    /// Asks the driver for memory.
    fn ask(&self, state: &mut State, bytes: usize) -> Result<CUdeviceptr, DriverError> {
        state.counts.driver_allocations += 1;
        // SAFETY: the stream lives as long as the pool.
        unsafe { result::malloc_async(self.stream.cu_stream(), bytes) }
    }

    fn take_back(&self, address: CUdeviceptr, bytes: usize) {
        let mut state = self.state();
        state.counts.in_use -= bytes;
        match self.policy {
            Memory::Pooled => {
                state.counts.kept += bytes;
                state.free.entry(bytes).or_default().push(address);
            }
            Memory::Direct => self.free(address),
        }
    }

    /// Gives everything that is kept back to the driver.
    pub(crate) fn release(&self) {
        self.give_back(&mut self.state());
    }

    fn give_back(&self, state: &mut State) {
        for address in std::mem::take(&mut state.free).into_values().flatten() {
            self.free(address);
        }
        state.counts.kept = 0;
    }

    /// Frees a block. A refusal stands for an earlier fault, which the next
    /// call that can fail reports.
    fn free(&self, address: CUdeviceptr) {
        if self.bind().is_ok() {
            // SAFETY: allocated by this pool, and held by nobody now.
            let _ = unsafe { result::free_async(address, self.stream.cu_stream()) };
        }
    }

    fn bind(&self) -> Result<(), CudaError> {
        let context = self.stream.context();
        context.bind_to_thread().doing("using the device")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn classes_hold_what_is_asked_and_waste_a_quarter_at_most() {
        let mut seen = Vec::new();
        for bytes in 1..100_000 {
            let class = class(bytes);
            assert!(class >= bytes);
            assert!(class <= 256 || class - bytes <= class / 4 || class <= 1024);
            assert_eq!(super::class(class), class, "a class is its own");
            seen.push(class);
        }
        seen.dedup();
        assert!(seen.len() < 40, "{seen:?}");
        assert_eq!(class(1 << 20), 1 << 20);
        assert_eq!(class((1 << 20) + 1), (1 << 20) + (1 << 18));
    }
}
