//! **Compiling**: from text to machine code of one architecture, by NVRTC.
//!
//! Machine code (a cubin) is loaded and not PTX, because a driver refuses PTX
//! of a newer compiler, but runs any cubin of its own major version.
//!
//! Products and sums are fused only where a kernel says `fmaf`: without that,
//! `a*b + c` rounds twice, as on the CPU, and pointwise kernels have the
//! CPU's bits.
//!
//! What was compiled is kept: in this process, and in a folder for later ones
//! (`cubin_cache.rs`).

#![expect(unsafe_code, reason = "NVRTC is a library in C")]

use crate::cubin_cache::CubinCache;
use crate::error::{CudaError, Doing};
use crate::probe;
use crate::source::Source;
use cudarc::nvrtc::{result, sys};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Machine code, and what the assembler said about each kernel.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The machine code.
    pub cubin: Vec<u8>,
    /// Registers, stack and spills, a few lines a kernel.
    pub report: String,
}

/// The options, but for the architecture.
const OPTIONS: [&str; 3] = ["--std=c++17", "--fmad=false", "--ptxas-options=-v"];

/// Compiles for an architecture such as `sm_90`; each text once a process, and
/// once a machine where its cache can be written.
///
/// # Errors
/// If there is no compiler, or the text does not compile.
pub fn compile(source: &Source, architecture: &str) -> Result<Arc<Compiled>, CudaError> {
    type Cache = Mutex<Option<HashMap<(u64, String), Arc<Compiled>>>>;
    static CACHE: Cache = Mutex::new(None);
    let key = (source.hash(), architecture.to_owned());
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_default();
    if let Some(compiled) = cache.get(&key) {
        return Ok(compiled.clone());
    }
    let compiled = Arc::new(kept_or_compiled(source, architecture)?);
    cache.insert(key, compiled.clone());
    Ok(compiled)
}

/// From the folder, or compiled and put there.
fn kept_or_compiled(source: &Source, architecture: &str) -> Result<Compiled, CudaError> {
    static KEPT: LazyLock<CubinCache> = LazyLock::new(CubinCache::of_environment);
    let compiler = probe::compiler_version()?;
    // What an emulated compiler makes is no machine code.
    let kept = (!probe::compiler_is_emulated()).then_some(&*KEPT);
    let (options, text) = (OPTIONS.join(" "), source.text());
    let key = format!("{architecture}\nNVRTC {compiler}\n{options}\n{text}");
    if let Some(compiled) = kept.and_then(|kept| kept.get(&key)) {
        return Ok(compiled);
    }
    let compiled = Program::new(source)?.compile(source, architecture)?;
    if let Some(kept) = kept {
        kept.put(&key, &compiled);
    }
    Ok(compiled)
}

/// A program of NVRTC, destroyed when dropped.
struct Program(sys::nvrtcProgram);

impl Program {
    fn new(source: &Source) -> Result<Self, CudaError> {
        let text = CString::new(source.text()).doing("reading a kernel's text")?;
        let name = CString::new(source.name()).doing("reading a kernel's name")?;
        let program = result::create_program(&text, Some(&name));
        program.map(Program).doing("creating a program")
    }

    fn compile(&self, source: &Source, architecture: &str) -> Result<Compiled, CudaError> {
        let mut options = vec![format!("--gpu-architecture={architecture}")];
        options.extend(OPTIONS.map(str::to_owned));
        // SAFETY: the program lives as long as `self`.
        let outcome = unsafe { result::compile_program(self.0, &options) };
        let report = self.log()?;
        match outcome {
            Ok(()) => Ok(Compiled {
                cubin: self.cubin()?,
                report,
            }),
            Err(answer) => Err(CudaError::Compile {
                source: source.name().to_owned(),
                log: format!("{answer}\n{report}"),
            }),
        }
    }

    fn log(&self) -> Result<String, CudaError> {
        let mut size = 0;
        // SAFETY: the program lives; writes one size.
        let answer = unsafe { sys::nvrtcGetProgramLogSize(self.0, &raw mut size) };
        answer.result().doing("asking for the compiler's log")?;
        let mut log = vec![0u8; size];
        // SAFETY: the buffer has the size just asked for.
        let answer = unsafe { sys::nvrtcGetProgramLog(self.0, log.as_mut_ptr().cast()) };
        answer.result().doing("reading the compiler's log")?;
        let text = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy);
        Ok(text.unwrap_or_default().into_owned())
    }

    fn cubin(&self) -> Result<Vec<u8>, CudaError> {
        let mut size = 0;
        // SAFETY: the program lives; writes one size.
        let answer = unsafe { sys::nvrtcGetCUBINSize(self.0, &raw mut size) };
        answer.result().doing("asking for machine code")?;
        let mut cubin = vec![0u8; size];
        // SAFETY: the buffer has the size just asked for.
        let answer = unsafe { sys::nvrtcGetCUBIN(self.0, cubin.as_mut_ptr().cast()) };
        answer.result().doing("reading machine code")?;
        Ok(cubin)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by `create_program`, destroyed once. A refusal leaks
        // the program and harms nothing.
        let _ = unsafe { result::destroy_program(self.0) };
    }
}
