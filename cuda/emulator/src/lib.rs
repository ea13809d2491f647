//! # cuda_emulator: CUDA where there is no GPU, for tests
//!
//! One library answers as `libcuda`, `libnvrtc` and `libcublas`. It compiles
//! the kernels' own text with `g++`, behind a short header that stands for
//! what CUDA adds to C++, and runs each thread of a block as a fiber. So the
//! whole path of a program is tested: looking for the libraries, compiling,
//! copying, launching, recording graphs, freeing.
//!
//! | it catches | how |
//! |---|---|
//! | accesses outside an allocation | every access of a kernel is seen, and compared with bounds exact to the byte; a page that faults lies behind each allocation |
//! | numbers never written | device and shared memory begin as NaN |
//! | races inside a block and between blocks | each word remembers who read and wrote it, and what barriers have passed |
//! | barriers that not all threads reach | the block cannot go on |
//! | wrong fragments for the tensor cores | the instruction is carried out by the layouts of its specification, read from the side of the matrices |
//! | results that depend on the order of blocks and threads | `CUDA_EMULATOR_SEED` shuffles both |
//! | allocation, synchronisation or host copies in a recorded graph | they are refused |
//! | kernels of a module that is gone, and cuBLAS's room when it is freed | a recorded graph that would use them is refused, and so is a launch |
//! | a thread that has not said which device it means | calls without a current context are refused |
//! | leaks and double frees | free memory is counted, unknown addresses are refused |
//!
//! It cannot tell times, and refuses to: no event knows how long anything
//! took. It knows nothing of registers, of the rounding of the GPU's own
//! transcendental functions, of fused multiply-add where a kernel does not ask
//! for it, or of how tensor cores and cuBLAS round their sums.
//!
//! ## Reading order
//! 1. `shim.h`: what CUDA adds to C++.
//! 2. `fiber.rs`, `run.rs`: threads, and the barriers between them.
//! 3. `memory.rs`: bounds and races.
//! 4. `module.rs`, `gemm.rs`, `world.rs`: kernels, products, streams, graphs.
//! 5. `driver.rs`, `nvrtc.rs`, `cublas.rs`: the functions programs call.
//! 6. `install.rs`: how a test comes to use it.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod cublas;
mod driver;
#[cfg(test)]
mod ended;
mod fault;
mod fiber;
mod gemm;
mod install;
mod memory;
mod module;
mod nvrtc;
mod run;
mod shuffle;
mod world;

pub use install::{
    copies_to_device, copies_to_host, folder, install, install_where_needed, launches,
};
pub use module::hash;
