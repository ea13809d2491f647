//! **libcuda**: the driver's functions, as `cuda.h` declares them.
//!
//! Stricter than the hardware in four ways: allocation, synchronisation and
//! host copies are errors while a stream records; a launch runs to its end
//! before the call returns; what was recorded of a module that is unloaded is
//! refused; and no event tells a time, so nothing can be benchmarked here.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the names and the calling convention are those of the driver"
)]

use crate::module::{Module, library_of};
use crate::run::Extents;
use crate::world::answer::{
    INVALID_CONTEXT, INVALID_DEVICE, INVALID_HANDLE, INVALID_IMAGE, INVALID_VALUE, NO_DEVICE,
    NOT_FOUND, NOT_SUPPORTED, OUT_OF_MEMORY, SUCCESS,
};
use crate::world::{Stream, Work, World, answer, fault_text};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::rc::Rc;

/// What the device calls itself.
const NAME: &CStr = c"emulated GPU (checks results, tells no times)";

/// A number from the environment, for tests of what may be missing.
fn setting(name: &str, usual: c_int) -> c_int {
    let word = std::env::var(name).unwrap_or_default();
    word.parse().unwrap_or(usual)
}

fn devices() -> c_int {
    setting("CUDA_EMULATOR_DEVICES", 1)
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> u32 {
    match devices() {
        0 => NO_DEVICE,
        _ => SUCCESS,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuDriverGetVersion(version: &mut c_int) -> u32 {
    *version = setting("CUDA_EMULATOR_VERSION", 13_000);
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetCount(count: &mut c_int) -> u32 {
    *count = devices();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGet(device: &mut c_int, ordinal: c_int) -> u32 {
    if !(0..devices()).contains(&ordinal) {
        return INVALID_DEVICE;
    }
    *device = ordinal;
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, _device: c_int) -> u32 {
    let text = NAME.to_bytes_with_nul();
    if (length as usize) < text.len() {
        return INVALID_VALUE;
    }
    // SAFETY: the caller gives room for `length` bytes.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), name, text.len()) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceTotalMem_v2(bytes: &mut usize, _device: c_int) -> u32 {
    *bytes = crate::memory::Memory::total();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetAttribute(value: &mut c_int, attribute: c_int, _device: c_int) -> u32 {
    *value = match attribute {
        1 => 1024,   // threads of a block
        8 => 49_152, // bytes of shared memory of a block
        10 => 32,    // lanes of a warp
        16 => 4,     // multiprocessors
        75 => 9,     // capability, major
        76 => 0,     // capability, minor
        115 => 1,    // pools of memory
        _ => return INVALID_VALUE,
    };
    SUCCESS
}

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread has said which context its calls mean.
pub(crate) fn has_context() -> bool {
    CURRENT.get() != 0
}

/// Answers a call that means the current context, as those do whose
/// documentation has `CUDA_ERROR_INVALID_CONTEXT` in its list. What is told
/// its stream and nothing else, such as an allocation, takes the context of
/// that; so do graphs.
fn in_context(call: impl FnOnce(&mut World) -> Result<(), u32>) -> u32 {
    match has_context() {
        true => answer(call),
        false => INVALID_CONTEXT,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRetain(context: &mut usize, device: c_int) -> u32 {
    *context = device as usize + 1;
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(_device: c_int) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetCurrent(context: &mut usize) -> u32 {
    *context = CURRENT.get();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: usize) -> u32 {
    CURRENT.set(context);
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorName(error: u32, text: &mut *const c_char) -> u32 {
    let name = match error {
        SUCCESS => c"CUDA_SUCCESS",
        INVALID_VALUE => c"CUDA_ERROR_INVALID_VALUE",
        OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
        46 => c"CUDA_ERROR_DEVICE_UNAVAILABLE",
        NO_DEVICE => c"CUDA_ERROR_NO_DEVICE",
        INVALID_DEVICE => c"CUDA_ERROR_INVALID_DEVICE",
        INVALID_IMAGE => c"CUDA_ERROR_INVALID_IMAGE",
        INVALID_CONTEXT => c"CUDA_ERROR_INVALID_CONTEXT",
        INVALID_HANDLE => c"CUDA_ERROR_INVALID_HANDLE",
        NOT_FOUND => c"CUDA_ERROR_NOT_FOUND",
        NOT_SUPPORTED => c"CUDA_ERROR_NOT_SUPPORTED",
        700 => c"CUDA_ERROR_ILLEGAL_ADDRESS",
        716 => c"CUDA_ERROR_MISALIGNED_ADDRESS",
        719 => c"CUDA_ERROR_LAUNCH_FAILED",
        900 => c"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
        901 => c"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
        _ => return INVALID_VALUE,
    };
    *text = name.as_ptr();
    SUCCESS
}

/// After a fault, its own account; else the name.
#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(error: u32, text: &mut *const c_char) -> u32 {
    match fault_text(error) {
        Some(account) => {
            *text = account;
            SUCCESS
        }
        None => cuGetErrorName(error, text),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreate(stream: &mut usize, _flags: c_uint) -> u32 {
    in_context(|world| {
        *stream = world.handle();
        world.streams.insert(*stream, Stream::default());
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: usize) -> u32 {
    in_context(|world| {
        let known = world.streams.remove(&stream);
        known.map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(_stream: usize) -> u32 {
    in_context(World::forbid_in_capture)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamBeginCapture_v2(stream: usize, _mode: c_uint) -> u32 {
    answer(|world| world.begin_capture(stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamEndCapture(stream: usize, graph: &mut usize) -> u32 {
    answer(|world| {
        *graph = 0;
        let works = world.end_capture(stream)?;
        *graph = world.handle();
        world.graphs.insert(*graph, Rc::new(works));
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphInstantiateWithFlags(exec: &mut usize, graph: usize, _flags: u64) -> u32 {
    answer(|world| {
        let works = world.graphs.get(&graph).cloned().ok_or(INVALID_HANDLE)?;
        *exec = world.handle();
        world.graphs.insert(*exec, works);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphUpload(exec: usize, _stream: usize) -> u32 {
    answer(|world| world.graphs.get(&exec).map(|_| ()).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphLaunch(exec: usize, _stream: usize) -> u32 {
    answer(|world| {
        let works = world.graphs.get(&exec).cloned().ok_or(INVALID_HANDLE)?;
        works.iter().try_for_each(|work| world.perform(work))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphExecDestroy(exec: usize) -> u32 {
    cuGraphDestroy(exec)
}

#[unsafe(no_mangle)]
extern "C" fn cuGraphDestroy(graph: usize) -> u32 {
    answer(|world| {
        world
            .graphs
            .remove(&graph)
            .map(|_| ())
            .ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocAsync(at: &mut usize, bytes: usize, _stream: usize) -> u32 {
    answer(|world| {
        world.forbid_in_capture()?;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        *at = world.memory.allocate(bytes).ok_or(OUT_OF_MEMORY)?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(at: usize, _stream: usize) -> u32 {
    answer(|world| {
        world.forbid_in_capture()?;
        world.memory.free(at).then_some(()).ok_or(INVALID_VALUE)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetInfo_v2(free: &mut usize, total: &mut usize) -> u32 {
    in_context(|world| {
        *total = crate::memory::Memory::total();
        *free = total.saturating_sub(world.memory.live());
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoDAsync_v2(
    to: usize,
    from: *const u8,
    bytes: usize,
    _stream: usize,
) -> u32 {
    in_context(|world| {
        world.forbid_in_capture()?;
        if !world.memory.holds(to, bytes) {
            return Err(INVALID_VALUE);
        }
        world.copies_to_device += 1;
        // SAFETY: an allocation holds the target, the caller vouches for the source.
        unsafe { ptr::copy_nonoverlapping(from, to as *mut u8, bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut u8, from: usize, bytes: usize, _stream: usize) -> u32 {
    in_context(|world| {
        world.forbid_in_capture()?;
        if !world.memory.holds(from, bytes) {
            return Err(INVALID_VALUE);
        }
        world.copies_to_host += 1;
        // SAFETY: an allocation holds the source, the caller vouches for the target.
        unsafe { ptr::copy_nonoverlapping(from as *const u8, to, bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(at: usize, value: u8, bytes: usize, stream: usize) -> u32 {
    in_context(|world| world.submit(stream, Work::Fill { at, bytes, value }))
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleLoadData(module: &mut usize, image: *const c_char) -> u32 {
    // SAFETY: what `nvrtcGetCUBIN` gave ends with a zero byte; machine code of
    // a real compiler begins with "\x7fELF" and has one within a few bytes.
    let image = unsafe { CStr::from_ptr(image) };
    in_context(|world| {
        let library = library_of(image).ok_or(INVALID_IMAGE)?;
        let loaded = Module::load(&library).ok_or(INVALID_IMAGE)?;
        *module = world.handle();
        world.modules.insert(*module, loaded);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: usize) -> u32 {
    in_context(|world| world.unload(module))
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleGetFunction(function: &mut usize, module: usize, name: *const c_char) -> u32 {
    // SAFETY: the caller gives a string that ends with a zero byte.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    in_context(|world| {
        let module = world.modules.get_mut(&module).ok_or(INVALID_HANDLE)?;
        let kernel = module.kernel(&name).ok_or(NOT_FOUND)?;
        *function = world.handle();
        world.functions.insert(*function, kernel);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchKernel(
    function: usize,
    gx: c_uint,
    gy: c_uint,
    gz: c_uint,
    bx: c_uint,
    by: c_uint,
    bz: c_uint,
    dynamic_shared: c_uint,
    stream: usize,
    arguments: *const *const c_void,
    _extra: *const *const c_void,
) -> u32 {
    in_context(|world| {
        let kernel = world.functions.get(&function).cloned();
        let kernel = kernel.ok_or(INVALID_HANDLE)?;
        let extents = Extents {
            grid: [gx, gy, gz],
            block: [bx, by, bz],
        };
        // Kernels here state the shared memory they need in their own text.
        if !extents.allowed() || dynamic_shared != 0 {
            return Err(INVALID_VALUE);
        }
        let copies = kernel.sizes().iter().enumerate().map(|(i, &bytes)| {
            let mut copy = vec![0u128; bytes.div_ceil(16)];
            // SAFETY: the caller gives a pointer for each argument of the kernel.
            let from = unsafe { arguments.add(i).read() };
            // SAFETY: and each points to a value of the argument's type.
            unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), copy.as_mut_ptr().cast(), bytes) };
            copy
        });
        let arguments = copies.collect();
        let work = Work::Launch {
            kernel,
            extents,
            arguments,
        };
        world.submit(stream, work)
    })
}

/// Refused, and no other function of events exists: a program that times the
/// emulator ends here.
#[unsafe(no_mangle)]
extern "C" fn cuEventCreate(_event: &mut usize, _flags: c_uint) -> u32 {
    NOT_SUPPORTED
}

/// Where an argument of a kernel lies; beyond the last there is none.
#[unsafe(no_mangle)]
extern "C" fn cuFuncGetParamInfo(
    function: usize,
    number: usize,
    offset: &mut usize,
    size: &mut usize,
) -> u32 {
    answer(|world| {
        let kernel = world.functions.get(&function).ok_or(INVALID_HANDLE)?;
        *size = *kernel.sizes().get(number).ok_or(INVALID_VALUE)?;
        // Each argument is aligned to its own size.
        let before = kernel.sizes()[..=number].iter();
        *offset = before.fold(0, |at: usize, &size| at.next_multiple_of(size) + size) - *size;
        Ok(())
    })
}

/// How many launches ran kernels whose text has this hash; not in `cuda.h`.
#[unsafe(no_mangle)]
extern "C" fn cuda_emulator_launches(hash: u64) -> u64 {
    let mut count = 0;
    let _ = answer(|world| {
        count = world.ran.get(&hash).copied().unwrap_or(0);
        Ok(())
    });
    count
}

/// How many copies to the host there have been; not in `cuda.h`.
#[unsafe(no_mangle)]
extern "C" fn cuda_emulator_copies_to_host(_: u64) -> u64 {
    let mut count = 0;
    let _ = answer(|world| {
        count = world.copies_to_host;
        Ok(())
    });
    count
}

/// How many copies to the device there have been; not in `cuda.h`.
#[unsafe(no_mangle)]
extern "C" fn cuda_emulator_copies_to_device(_: u64) -> u64 {
    let mut count = 0;
    let _ = answer(|world| {
        count = world.copies_to_device;
        Ok(())
    });
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{compile, image_of};
    use std::thread;

    const ONE: &str = "extern \"C\" __global__ void one(float* x) { x[0] = 1.0f; }\n";

    /// A module of one kernel, and the kernel.
    fn loaded() -> (usize, usize) {
        let library = compile(ONE, &[]).expect("it compiles");
        let (mut module, mut kernel) = (0, 0);
        let image = image_of(&library);
        assert_eq!(cuModuleLoadData(&mut module, image.as_ptr()), SUCCESS);
        let found = cuModuleGetFunction(&mut kernel, module, c"one".as_ptr());
        assert_eq!(found, SUCCESS);
        (module, kernel)
    }

    fn launched(kernel: usize, stream: usize, x: usize) -> u32 {
        let arguments = [(&raw const x).cast::<c_void>()];
        let (arguments, extra) = (arguments.as_ptr(), ptr::null());
        cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, arguments, extra)
    }

    /// A stream and memory for one number.
    fn opened() -> (usize, usize) {
        let (mut stream, mut x) = (0, 0);
        assert_eq!(cuCtxSetCurrent(1), SUCCESS);
        assert_eq!(cuStreamCreate(&mut stream, 0), SUCCESS);
        assert_eq!(cuMemAllocAsync(&mut x, 4, stream), SUCCESS);
        (stream, x)
    }

    #[test]
    fn what_was_of_a_module_is_refused_when_it_is_gone() {
        let (stream, x) = opened();
        let ((module, kernel), (_, other)) = (loaded(), loaded());
        let (mut graph, mut exec) = (0, 0);
        assert_eq!(cuStreamBeginCapture_v2(stream, 1), SUCCESS);
        assert_eq!(launched(kernel, stream, x), SUCCESS);
        assert_eq!(cuStreamEndCapture(stream, &mut graph), SUCCESS);
        assert_eq!(cuGraphInstantiateWithFlags(&mut exec, graph, 0), SUCCESS);
        assert_eq!(cuGraphLaunch(exec, stream), SUCCESS);
        assert_eq!(launched(kernel, stream, x), SUCCESS);
        assert_eq!(cuModuleUnload(module), SUCCESS);
        assert_eq!(cuGraphLaunch(exec, stream), INVALID_HANDLE);
        assert_eq!(launched(kernel, stream, x), INVALID_HANDLE);
        assert_eq!(cuModuleUnload(module), INVALID_HANDLE);
        // Nor is it asked about, or recorded.
        let (mut offset, mut size) = (0, 0);
        let asked = cuFuncGetParamInfo(kernel, 0, &mut offset, &mut size);
        assert_eq!(asked, INVALID_HANDLE);
        assert_eq!(cuStreamBeginCapture_v2(stream, 1), SUCCESS);
        assert_eq!(launched(kernel, stream, x), INVALID_HANDLE);
        assert_eq!(cuStreamEndCapture(stream, &mut graph), SUCCESS);
        let same_text = launched(other, stream, x);
        assert_eq!(same_text, SUCCESS, "another module is untouched");
    }

    #[test]
    fn calls_that_mean_the_current_context_need_one() {
        let (stream, x) = opened();
        let (module, kernel) = loaded();
        let calls = move || {
            let (mut out, mut total, mut host) = (0, 0, [0u8; 4]);
            let image = image_of(&compile(ONE, &[]).expect("it compiles"));
            [
                cuStreamCreate(&mut out, 0),
                cuStreamSynchronize(stream),
                cuMemcpyHtoDAsync_v2(x, host.as_ptr(), 4, stream),
                cuMemcpyDtoHAsync_v2(host.as_mut_ptr(), x, 4, stream),
                cuMemsetD8Async(x, 0, 4, stream),
                cuMemGetInfo_v2(&mut out, &mut total),
                cuModuleLoadData(&mut out, image.as_ptr()),
                cuModuleGetFunction(&mut out, module, c"one".as_ptr()),
                launched(kernel, stream, x),
            ]
        };
        let without = thread::spawn(calls).join().expect("no panic");
        assert_eq!(without, [INVALID_CONTEXT; 9]);
        assert_eq!(calls(), [SUCCESS; 9], "here one is current");
        // What is told its stream, and graphs, take the context of that.
        let told = move || {
            let (mut x, mut graph) = (0, 0);
            let all = [
                cuMemAllocAsync(&mut x, 4, stream),
                cuMemFreeAsync(x, stream),
                cuStreamBeginCapture_v2(stream, 1),
                cuStreamEndCapture(stream, &mut graph),
                cuGraphDestroy(graph),
            ];
            let mut name = ptr::null();
            cuGetErrorName(INVALID_CONTEXT, &mut name);
            // SAFETY: the name is a constant that ends with a zero byte.
            let name = unsafe { CStr::from_ptr(name) };
            assert_eq!(name, c"CUDA_ERROR_INVALID_CONTEXT");
            all
        };
        let told = thread::spawn(told).join().expect("no panic");
        assert_eq!(told, [SUCCESS; 5]);
    }

    #[test]
    fn nothing_here_can_be_timed() {
        let mut event = 0;
        assert_eq!(cuEventCreate(&mut event, 0), NOT_SUPPORTED);
        assert!(NAME.to_str().is_ok_and(|name| name.contains("emulated")));
    }
}
