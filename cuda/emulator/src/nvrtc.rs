//! **libnvrtc**: the compiler's functions, as `nvrtc.h` declares them.

#![allow(
    unsafe_code,
    non_snake_case,
    reason = "the names and the calling convention are those of NVRTC"
)]

use crate::module::{compile, image_of};
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

const SUCCESS: u32 = 0;
const INVALID_INPUT: u32 = 3;
const INVALID_PROGRAM: u32 = 4;
const INVALID_OPTION: u32 = 5;
const COMPILATION: u32 = 6;

/// A text, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Program {
    text: String,
    image: Option<CString>,
    log: CString,
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcVersion(major: &mut c_int, minor: &mut c_int) -> u32 {
    (*major, *minor) = (13, 0);
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcCreateProgram(
    program: &mut *mut Program,
    text: *const c_char,
    _name: *const c_char,
    headers: c_int,
    _texts: *const *const c_char,
    _names: *const *const c_char,
) -> u32 {
    // One text holds all: headers would be a second way for code to come in.
    if headers != 0 {
        return INVALID_INPUT;
    }
    // SAFETY: the caller gives a string that ends with a zero byte.
    let text = unsafe { CStr::from_ptr(text) };
    let text = text.to_string_lossy().into_owned();
    *program = Box::into_raw(Box::new(Program {
        text,
        ..Program::default()
    }));
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcDestroyProgram(program: &mut *mut Program) -> u32 {
    if program.is_null() {
        return INVALID_PROGRAM;
    }
    // SAFETY: made by `nvrtcCreateProgram`, and taken from the caller here.
    drop(unsafe { Box::from_raw(*program) });
    *program = ptr::null_mut();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcCompileProgram(
    program: Option<&mut Program>,
    count: c_int,
    options: *const *const c_char,
) -> u32 {
    let Some(program) = program else {
        return INVALID_PROGRAM;
    };
    let mut defines = Vec::new();
    for i in 0..count as usize {
        // SAFETY: the caller gives `count` strings that end with a zero byte.
        let option = unsafe { CStr::from_ptr(options.add(i).read()) };
        let option = option.to_string_lossy().into_owned();
        match option.split('=').next().unwrap_or_default() {
            "--gpu-architecture" | "--fmad" | "--std" | "--ptxas-options" => {}
            word if word.starts_with("-D") => defines.push(option),
            _ => return INVALID_OPTION,
        }
    }
    let (image, log, answer) = match compile(&program.text, &defines) {
        Ok(library) => (Some(image_of(&library)), String::new(), SUCCESS),
        Err(log) => (None, log, COMPILATION),
    };
    program.image = image;
    program.log = CString::new(log).unwrap_or_default();
    answer
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcGetProgramLogSize(program: Option<&Program>, size: &mut usize) -> u32 {
    let Some(program) = program else {
        return INVALID_PROGRAM;
    };
    *size = program.log.as_bytes_with_nul().len();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcGetProgramLog(program: Option<&Program>, log: *mut u8) -> u32 {
    let Some(program) = program else {
        return INVALID_PROGRAM;
    };
    copy(&program.log, log);
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcGetCUBINSize(program: Option<&Program>, size: &mut usize) -> u32 {
    let Some(image) = program.and_then(|program| program.image.as_ref()) else {
        return INVALID_PROGRAM;
    };
    *size = image.as_bytes_with_nul().len();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn nvrtcGetCUBIN(program: Option<&Program>, cubin: *mut u8) -> u32 {
    let Some(image) = program.and_then(|program| program.image.as_ref()) else {
        return INVALID_PROGRAM;
    };
    copy(image, cubin);
    SUCCESS
}

/// Copies a string with its zero byte to where the caller has made room for
/// as much as the size function said.
fn copy(text: &CStr, to: *mut u8) {
    let bytes = text.to_bytes_with_nul();
    // SAFETY: the caller has asked for the size first.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
}
