//! **Graphs**: work that is recorded once and replayed in one call.
//!
//! A launch costs the host some microseconds; a small training step has tens
//! of them and little else. A graph is launched as a whole.
//!
//! What changes from one replay to the next must lie in device memory: the
//! arguments of the recorded launches never change. A graph keeps all the
//! memory its launches touch.

use crate::device::Device;
use crate::error::{CudaError, Doing};
use crate::pool::Block;
use cudarc::driver::CudaGraph;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use std::fmt;
use std::sync::Arc;

/// Recorded work.
pub struct Graph {
    graph: CudaGraph,
    kept: Vec<Arc<Block>>,
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
        self.begin_keeping();
        let rehearsed = work().map(drop);
        drop(self.end_keeping());
        rehearsed?;
        self.synchronize()?;
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.stream()
            .begin_capture(mode)
            .doing("recording a graph")?;
        self.set_recording(true);
        self.begin_keeping();
        let recorded = work();
        let kept = self.end_keeping();
        self.set_recording(false);
        let graph = self.stream().end_capture(CUgraphInstantiate_flags(0));
        let out = recorded?;
        match graph.doing("recording a graph")? {
            Some(graph) => Ok((Graph { graph, kept }, out)),
            None => {
                let expected = "work on the device";
                Err(CudaError::mismatch("record", "no work", expected))
            }
        }
    }
}

impl Graph {
    /// Does the recorded work again.
    ///
    /// # Errors
    /// If the driver refuses. A fault of a kernel is the answer to a later
    /// call.
    pub fn replay(&self) -> Result<(), CudaError> {
        self.graph.launch().doing("replaying a graph")
    }
}
