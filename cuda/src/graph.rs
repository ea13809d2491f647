//! **Graphs**: work that is recorded once and replayed in one call.
//!
//! A launch costs the host some microseconds; a small training step has tens
//! of them and little else. A graph is launched as a whole.
//!
//! What changes from one replay to the next must lie in device memory: the
//! arguments of the recorded launches never change. A graph keeps all the
//! memory its launches touch, and the device: its kernels are unloaded and
//! cuBLAS's room is freed with the last that holds it.

use crate::device::Device;
use crate::error::{CudaError, Doing};
use crate::pool::Block;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, DriverError};
use std::fmt;
use std::sync::Arc;

/// Recorded work.
pub struct Graph {
    graph: CudaGraph,
    kept: Vec<Arc<Block>>,
    /// Dropped last, for the others are parts of it. No device holds a graph,
    /// so this closes no circle.
    device: Device,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph that keeps {} blocks", self.kept.len())
    }
}

impl Device {
    /// Runs `work` once for real, and then records it. With the graph comes
    /// what the recorded run returned: buffers into which each replay writes.
    ///
    /// The first run compiles what is to be compiled and fills the pool, for
    /// while a graph is recorded nothing can be allocated, copied to or from
    /// the host, or waited for. What it returns is dropped. No other thread
    /// may use the device meanwhile.
    ///
    /// # Errors
    /// If the work fails, or does what no graph can.
    pub fn record<T>(
        &self,
        mut work: impl FnMut() -> Result<T, CudaError>,
    ) -> Result<(Graph, T), CudaError> {
        // The recording keeps every block it touches, so this run does too:
        // the pool then holds as many as the recording asks for.
        let rehearsal = Keeping::begin(self);
        let rehearsed = work().map(drop);
        drop(rehearsal.end());
        rehearsed?;
        self.synchronize()?;
        let recording = Recording::begin(self)?;
        let out = work();
        let (graph, kept) = recording.end();
        let out = out?;
        match graph.doing("recording a graph")? {
            Some(graph) => {
                let device = self.clone();
                let graph = Graph {
                    graph,
                    kept,
                    device,
                };
                Ok((graph, out))
            }
            None => {
                let expected = "work on the device";
                Err(CudaError::mismatch("record", "no work", expected))
            }
        }
    }
}

/// While it lives, all memory that launches touch is kept. Work may panic, so
/// the end of it is in `drop`.
struct Keeping<'a>(&'a Device);

impl<'a> Keeping<'a> {
    fn begin(device: &'a Device) -> Self {
        device.begin_keeping();
        Keeping(device)
    }

    /// What was kept.
    fn end(self) -> Vec<Arc<Block>> {
        self.0.end_keeping()
    }
}

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        drop(self.0.end_keeping());
    }
}

/// While it lives, work is recorded and not done.
struct Recording<'a> {
    keeping: Option<Keeping<'a>>,
    device: &'a Device,
}

impl<'a> Recording<'a> {
    fn begin(device: &'a Device) -> Result<Self, CudaError> {
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let begun = device.stream().begin_capture(mode);
        begun.doing("recording a graph")?;
        device.set_recording(true);
        Ok(Recording {
            keeping: Some(Keeping::begin(device)),
            device,
        })
    }

    /// The graph, and what was kept.
    fn end(mut self) -> (Result<Option<CudaGraph>, DriverError>, Vec<Arc<Block>>) {
        let kept = self.keeping.take().map(Keeping::end).unwrap_or_default();
        (self.stop(), kept)
    }

    fn stop(&self) -> Result<Option<CudaGraph>, DriverError> {
        self.device.set_recording(false);
        let stream = self.device.stream();
        stream.end_capture(CUgraphInstantiate_flags(0))
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        // Only a panic of the work leaves something to stop, and it says more
        // than what the driver answers.
        if self.keeping.take().is_some() {
            drop(self.stop());
        }
    }
}

impl Graph {
    /// Where it was recorded.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Does the recorded work again.
    ///
    /// # Errors
    /// If the driver refuses. A fault of a kernel is the answer to a later
    /// call.
    pub fn replay(&self) -> Result<(), CudaError> {
        self.graph.launch().doing("replaying a graph")
    }
}
