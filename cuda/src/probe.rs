//! **Probe**: asks driver and libraries what they are, without ever panicking.
//!
//! `cudarc` panics when a library is absent or lacks a function. So here each
//! library is looked for first, and each function that will be called is
//! looked up, before anything is called.

#![expect(unsafe_code, reason = "the driver is a library in C")]

use crate::found::{DeviceFacts, Found, Version};
use crate::libraries;
use crate::unavailable::{CudaUnavailable, NEEDED};
use cudarc::cublas::sys as cublas;
use cudarc::driver::sys::{CUdevice_attribute, CUresult};
use cudarc::driver::{CudaContext, DriverError, result, sys as driver};
use cudarc::nvrtc::sys as nvrtc;
use std::error::Error as _;
use std::ffi::c_int;

/// The functions of the driver that this crate calls, directly or through
/// `cudarc`.
pub(crate) const DRIVER_CALLS: &[&str] = &[
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuFuncGetParamInfo",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphUpload",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAllocAsync",
    "cuMemFreeAsync",
    "cuMemGetInfo_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamSynchronize",
];

/// The functions of NVRTC that this crate calls.
pub(crate) const NVRTC_CALLS: &[&str] = &[
    "nvrtcCompileProgram",
    "nvrtcCreateProgram",
    "nvrtcDestroyProgram",
    "nvrtcGetCUBIN",
    "nvrtcGetCUBINSize",
    "nvrtcGetProgramLog",
    "nvrtcGetProgramLogSize",
    "nvrtcVersion",
];

/// The functions of cuBLAS that this crate calls.
pub(crate) const CUBLAS_CALLS: &[&str] = &[
    "cublasCreate_v2",
    "cublasDestroy_v2",
    "cublasGemmStridedBatchedEx",
    "cublasGetProperty",
    "cublasSetStream_v2",
    "cublasSetWorkspace_v2",
];

/// Looks for driver, devices and libraries.
pub(crate) fn look() -> Found {
    libraries::preload();
    let driver = driver_version();
    Found {
        devices: driver.clone().and_then(|_| devices()),
        driver,
        compiler: compiler_version(),
        cublas: cublas_version(),
    }
}

/// The version of CUDA that the driver speaks. Touches no other library, so
/// whoever finds no driver may still choose where those come from.
///
/// # Errors
/// If there is none, or it is too old.
pub fn driver_version() -> Result<Version, CudaUnavailable> {
    // SAFETY: loads and unloads the library, nothing more.
    if !unsafe { driver::is_culib_present() } {
        let names = ["libcuda.so", "libcuda.so.1"];
        return Err(unloadable(names).unwrap_or(CudaUnavailable::NoDriver));
    }
    // SAFETY: the library is there, so this does not panic.
    let library = unsafe { driver::culib() };
    // What an older driver lacks is no news once its version is known.
    all_there(library, "libcuda.so", &["cuDriverGetVersion"])?;
    let mut number = 0;
    // SAFETY: writes one int; may be called before `cuInit`.
    let answer = unsafe { driver::cuDriverGetVersion(&raw mut number) };
    answer
        .result()
        .map_err(|e| refused("cuDriverGetVersion", e))?;
    let have = decimal(number);
    if have < NEEDED {
        return Err(CudaUnavailable::DriverTooOld { have });
    }
    all_there(library, "libcuda.so", DRIVER_CALLS)?;
    Ok(have)
}

/// The GPUs; none is not an error here.
fn devices() -> Result<Vec<DeviceFacts>, CudaUnavailable> {
    let count = match CudaContext::device_count() {
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => 0,
        Err(error) => return Err(refused("cuInit", error)),
        Ok(count) => count,
    };
    (0..count).map(device).collect()
}

/// What one GPU says of itself; needs no context on it.
fn device(ordinal: c_int) -> Result<DeviceFacts, CudaUnavailable> {
    use CUdevice_attribute as Attribute;
    let ask = "cuDeviceGetAttribute";
    let device = result::device::get(ordinal).map_err(|e| refused("cuDeviceGet", e))?;
    let attribute = |which| {
        // SAFETY: the device was just handed out by the driver.
        let number = unsafe { result::device::get_attribute(device, which) };
        number.map(|n| n as u32).map_err(|e| refused(ask, e))
    };
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) };
    Ok(DeviceFacts {
        name: result::device::get_name(device).map_err(|e| refused("cuDeviceGetName", e))?,
        capability: Version {
            major: attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            minor: attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        },
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        memory: memory.map_err(|e| refused("cuDeviceTotalMem", e))? as u64,
    })
}

/// The version of NVRTC.
///
/// # Errors
/// If it is not there.
pub(crate) fn compiler_version() -> Result<Version, CudaUnavailable> {
    libraries::preload();
    // SAFETY: loads and unloads the library, nothing more.
    if !unsafe { nvrtc::is_culib_present() } {
        let names = ["libnvrtc.so", "libnvrtc.so.13"];
        return Err(unloadable(names).unwrap_or(CudaUnavailable::NoCompiler));
    }
    // SAFETY: the library is there, so this does not panic.
    let library = unsafe { nvrtc::culib() };
    all_there(library, "libnvrtc.so", NVRTC_CALLS)?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: writes two ints.
    let answer = unsafe { nvrtc::nvrtcVersion(&raw mut major, &raw mut minor) };
    answer.result().map_err(|e| refused("nvrtcVersion", e))?;
    Ok(Version {
        major: major as u32,
        minor: minor as u32,
    })
}

/// Whether what answers as NVRTC is the emulator of the tests. To be asked
/// after [`compiler_version`] has found it.
pub(crate) fn compiler_is_emulated() -> bool {
    // SAFETY: the library is there, so this does not panic.
    let library = unsafe { nvrtc::culib() };
    all_there(library, "libnvrtc.so", &["cuda_emulator_launches"]).is_ok()
}

fn cublas_version() -> Result<Version, CudaUnavailable> {
    // SAFETY: loads and unloads the library, nothing more.
    if !unsafe { cublas::is_culib_present() } {
        let names = ["libcublas.so", "libcublas.so.13"];
        return Err(unloadable(names).unwrap_or(CudaUnavailable::NoCublas));
    }
    // SAFETY: the library is there, so this does not panic.
    let library = unsafe { cublas::culib() };
    all_there(library, "libcublas.so", CUBLAS_CALLS)?;
    let property = |which| {
        let mut value = 0;
        // SAFETY: writes one int; needs no handle.
        let answer = unsafe { cublas::cublasGetProperty(which, &raw mut value) };
        let value = answer.result().map(|()| value as u32);
        value.map_err(|e| refused("cublasGetProperty", e))
    };
    Ok(Version {
        major: property(cublas::libraryPropertyType::MAJOR_VERSION)?,
        minor: property(cublas::libraryPropertyType::MINOR_VERSION)?,
    })
}

/// Of a library that cannot be loaded by these names: whether one is there
/// after all, and what the loader says against it.
fn unloadable(names: [&'static str; 2]) -> Option<CudaUnavailable> {
    let against = |name: &&str| {
        // SAFETY: it was tried before, and did not load.
        let refused = unsafe { libloading::Library::new(*name) }.err()?;
        // The loader's own words, if it had any.
        let words = refused.source().map(ToString::to_string);
        let detail = words.unwrap_or_else(|| refused.to_string());
        let absent = format!("{name}: cannot open shared object file: No such file");
        (!detail.contains(&absent)).then_some(detail)
    };
    names.iter().find_map(against).map(|detail| {
        let library = names[0];
        CudaUnavailable::Broken { library, detail }
    })
}

/// Whether a library has every function that will be called.
fn all_there(
    library: &libloading::Library,
    name: &'static str,
    calls: &[&str],
) -> Result<(), CudaUnavailable> {
    let lacks = |call: &&&str| {
        // SAFETY: the address is only compared with null, never called.
        let found = unsafe { library.get::<*const ()>(call.as_bytes()) };
        found.is_err()
    };
    match calls.iter().find(lacks) {
        None => Ok(()),
        Some(missing) => Err(CudaUnavailable::Broken {
            library: name,
            detail: format!("it lacks {missing}"),
        }),
    }
}

/// `13010` is 13.1.
fn decimal(number: c_int) -> Version {
    Version {
        major: number as u32 / 1000,
        minor: number as u32 % 1000 / 10,
    }
}

fn refused(call: &'static str, answer: impl std::fmt::Display) -> CudaUnavailable {
    let answer = answer.to_string();
    CudaUnavailable::Refused { call, answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_decimal() {
        let text = |n| decimal(n).to_string();
        assert_eq!(text(13000), "13.0");
        assert_eq!(text(12080), "12.8");
        assert_eq!(text(13020), "13.2");
    }

    /// The emulator has these functions and no others (but for the one that
    /// refuses to tell times), so the suite, which passes on it, calls no other.
    #[test]
    fn the_lists_are_what_the_emulator_answers_to() {
        let answered = |text: &'static str, prefix: &str| {
            let functions = text.split("\nextern \"C\" fn ").skip(1);
            let names = functions.filter_map(|rest| rest.split('(').next());
            let mut names: Vec<&str> = names.filter(|name| name.starts_with(prefix)).collect();
            names.sort_unstable();
            names.retain(|name| *name != "cuEventCreate" && !name.starts_with("cuda_emulator_"));
            names
        };
        let driver = include_str!("../emulator/src/driver.rs");
        let nvrtc = include_str!("../emulator/src/nvrtc.rs");
        let cublas = include_str!("../emulator/src/cublas.rs");
        assert_eq!(answered(driver, "cu"), DRIVER_CALLS);
        assert_eq!(answered(nvrtc, "nvrtc"), NVRTC_CALLS);
        assert_eq!(answered(cublas, "cublas"), CUBLAS_CALLS);
    }

    #[test]
    fn a_library_that_lacks_a_function_is_named() {
        // SAFETY: the C library is loaded already.
        let libc = unsafe { libloading::Library::new("libc.so.6") };
        let Ok(libc) = libc else {
            println!("skipped: no libc.so.6 on this system");
            return;
        };
        assert_eq!(all_there(&libc, "libc", &["malloc", "free"]), Ok(()));
        let lacking = all_there(&libc, "libc", &["malloc", "cuInit"]);
        let text = lacking.expect_err("libc has no cuInit").to_string();
        assert!(
            text.contains("libc cannot be used: it lacks cuInit"),
            "{text}"
        );
    }
}
