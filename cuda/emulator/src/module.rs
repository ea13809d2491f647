//! **Modules**: kernels compiled by the machine's own C++ compiler.
//!
//! The text that the program gave to NVRTC stands unchanged between the shim
//! and one line for each kernel. The library also holds a copy of that text,
//! put there by the assembler, so that what runs can be compared with what was
//! given.

#![expect(unsafe_code, reason = "compiled kernels are loaded")]

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{fs, io};

const SHIM: &str = include_str!("shim.h");

/// The 64-bit hash of Fowler, Noll and Vo (FNV-1a).
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The names of the kernels of a text: what follows `__global__ void`, past a
/// launch bound.
pub(crate) fn kernels(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for declaration in without_comments(text).split("__global__").skip(1) {
        let head = declaration.trim_start();
        let head = head.strip_prefix("void").unwrap_or(head).trim_start();
        let head = match head.strip_prefix("__launch_bounds__") {
            Some(bounds) => bounds.split_once(')').map_or("", |(_, rest)| rest),
            None => head,
        };
        let name = head.split('(').next().unwrap_or_default().trim();
        names.push(name.to_owned());
    }
    names
}

/// The text without `//` comments.
fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// How g++ compiles.
const COMPILE: [&str; 11] = [
    "-std=c++17",
    "-O1",
    "-shared",
    "-fPIC",
    "-Wall",
    "-Wno-unknown-pragmas",
    // Products and sums stay apart, and bits may be read as numbers.
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    // Calls at each access; the detector of races itself is not linked.
    "-fsanitize=thread",
    "-fsanitize=alignment",
    "-c",
];

/// How g++ links.
const LINK: [&str; 1] = ["-shared"];

/// What g++ says of its version, asked for once.
fn version() -> Result<&'static str, String> {
    static VERSION: OnceLock<Result<String, String>> = OnceLock::new();
    let ask = || match Command::new("g++").arg("--version").output() {
        Ok(run) => Ok(String::from_utf8_lossy(&run.stdout).into_owned()),
        Err(e) => Err(format!("emulated: g++ cannot be run: {e}")),
    };
    VERSION.get_or_init(ask).as_deref().map_err(Clone::clone)
}

/// Everything that what is compiled depends on: it is known by the hash.
fn key(text: &str, shim: &str, defines: &[String], flags: &[&str], version: &str) -> String {
    let (defines, flags) = (defines.join(" "), flags.join(" "));
    [text, shim, &defines, &flags, version].join("\0")
}

/// Compiles a text; the path of the library, or what the compiler said.
pub(crate) fn compile(text: &str, defines: &[String]) -> Result<PathBuf, String> {
    // Two threads may ask for the same text.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let flags = [COMPILE.as_slice(), &LINK].concat();
    let key = key(text, SHIM, defines, &flags, version()?);
    // SAFETY: asks for a number, and cannot fail.
    let user = unsafe { libc::geteuid() };
    let folder = std::env::temp_dir().join(format!("flowgrad-cuda-emulator-{user}"));
    own(&folder, user).map_err(|e| format!("emulated: {}: {e}", folder.display()))?;
    let name = format!("{:016x}", hash(key.as_bytes()));
    let library = folder.join(format!("{name}.so"));
    if library.exists() {
        return Ok(library);
    }
    let written = write_and_compile(&folder, &name, text, defines);
    let (status, log) = written.map_err(|e| format!("emulated: g++ cannot be run: {e}"))?;
    match status {
        true => Ok(library),
        false => Err(log),
    }
}

/// Makes a folder that nobody else may write to, or is content with one:
/// what lies in it is loaded and run.
fn own(folder: &Path, user: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    // Of the folder itself, not of what a link there points to.
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    let whose = "it must be a folder of this user's that nobody else may enter (mode 700)";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, whose))
}

/// Writes the parts and runs the compiler; whether it succeeded, and its log.
fn write_and_compile(
    folder: &Path,
    name: &str,
    text: &str,
    defines: &[String],
) -> io::Result<(bool, String)> {
    // A folder of this process: other processes may compile the same text.
    let own = own_folder(folder, name)?;
    fs::write(own.join("shim.h"), SHIM)?;
    fs::write(own.join("kernels.cu"), text)?;
    let mut unit = String::from("#include \"shim.h\"\n#include \"kernels.cu\"\n");
    for kernel in kernels(text) {
        unit.push_str(&format!("EMULATED_KERNEL({kernel})\n"));
    }
    unit.push_str(
        "__asm__(\".section .rodata\\n.global emulated_text\\n.global emulated_text_end\\n\
         emulated_text:\\n.incbin \\\"kernels.cu\\\"\\nemulated_text_end:\\n.byte 0\\n.text\\n\");\n",
    );
    fs::write(own.join("unit.cpp"), unit)?;
    let run = Command::new("g++")
        .current_dir(&own)
        .args(COMPILE)
        .args(defines)
        .args(["unit.cpp", "-o", "unit.o"])
        .output()?;
    if !run.status.success() {
        return Ok((false, String::from_utf8_lossy(&run.stderr).into_owned()));
    }
    let link = Command::new("g++")
        .current_dir(&own)
        .args(LINK)
        .args(["unit.o", "-o", "unit.so"])
        .output()?;
    if !link.status.success() {
        return Ok((false, String::from_utf8_lossy(&link.stderr).into_owned()));
    }
    fs::rename(own.join("unit.so"), folder.join(format!("{name}.so")))?;
    fs::remove_dir_all(&own)?;
    Ok((true, String::new()))
}

/// A fresh folder of this process.
fn own_folder(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let own = folder.join(format!("{name}.{}", std::process::id()));
    match fs::remove_dir_all(&own) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => fs::create_dir(&own)?,
    }
    Ok(own)
}

/// A loaded library.
#[derive(Debug)]
pub(crate) struct Module {
    handle: *mut c_void,
    /// Hash of the text inside.
    pub(crate) hash: u64,
    kernels: HashMap<String, Rc<Kernel>>,
}

impl Module {
    /// Loads a library made by [`compile`].
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let name = CString::new(path.to_str()?).ok()?;
        // SAFETY: a library that `compile` has made; it has no initialisers
        // but the empty one of the instrumentation.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return None;
        }
        let (begin, end) = (
            symbol(handle, "emulated_text")?,
            symbol(handle, "emulated_text_end")?,
        );
        let length = end as usize - begin as usize;
        // SAFETY: the assembler put the text between the two symbols.
        let text = unsafe { std::slice::from_raw_parts(begin as *const u8, length) };
        Some(Module {
            handle,
            hash: hash(text),
            kernels: HashMap::new(),
        })
    }

    /// A kernel by its name.
    pub(crate) fn kernel(&mut self, name: &str) -> Option<Rc<Kernel>> {
        if let Some(kernel) = self.kernels.get(name) {
            return Some(kernel.clone());
        }
        let kernel = Rc::new(Kernel::find(self.handle, self.hash, name)?);
        self.kernels.insert(name.to_owned(), kernel.clone());
        Some(kernel)
    }

    /// Says of its kernels that they are gone.
    pub(crate) fn unload(self) {
        for kernel in self.kernels.into_values() {
            kernel.loaded.set(false);
        }
    }
}

/// The address of a symbol.
fn symbol(handle: *mut c_void, name: &str) -> Option<*mut c_void> {
    let name = CString::new(name).ok()?;
    // SAFETY: the handle is of a loaded library.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// A kernel: how to call it, and what of the library it may touch.
#[derive(Debug)]
pub(crate) struct Kernel {
    name: String,
    /// Hash of the text it stands in.
    pub(crate) hash: u64,
    /// Until its module is unloaded.
    loaded: Cell<bool>,
    call: unsafe extern "C" fn(*mut *mut c_void),
    sizes: Vec<usize>,
    shared: (usize, usize),
    image: (usize, usize),
    shim: *mut c_void,
}

impl Kernel {
    fn find(handle: *mut c_void, hash: u64, name: &str) -> Option<Self> {
        let call = symbol(handle, &format!("emulated_call_{name}"))?;
        let list = symbol(handle, &format!("emulated_sizes_{name}"))?;
        // SAFETY: the shim declares the function with this type.
        let call = unsafe {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut *mut c_void)>(call)
        };
        let mut sizes = Vec::new();
        let mut at: *const usize = address(list).cast();
        loop {
            // SAFETY: the list ends with 0.
            let size = unsafe { at.read() };
            if size == 0 {
                break;
            }
            sizes.push(size);
            // SAFETY: not yet at the end.
            at = unsafe { at.add(1) };
        }
        let range = |begin, end| {
            let range = (symbol(handle, begin)?, symbol(handle, end)?);
            Some((address(range.0) as usize, address(range.1) as usize))
        };
        Some(Kernel {
            name: name.to_owned(),
            hash,
            loaded: Cell::new(true),
            call,
            sizes,
            shared: range("emulated_shared_begin", "emulated_shared_end")?,
            image: range("emulated_image_begin", "emulated_image_end")?,
            shim: symbol(handle, "emulated")?,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
    /// Whether its module is still there.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.get()
    }
    /// The function that takes pointers to the arguments.
    pub(crate) fn call(&self) -> unsafe extern "C" fn(*mut *mut c_void) {
        self.call
    }
    /// Bytes of each argument.
    pub(crate) fn sizes(&self) -> &[usize] {
        &self.sizes
    }
    /// The section of shared memory.
    pub(crate) fn shared(&self) -> (usize, usize) {
        self.shared
    }
    /// The whole library.
    pub(crate) fn image(&self) -> (usize, usize) {
        self.image
    }
    /// The variables of the shim.
    pub(crate) fn shim(&self) -> *mut c_void {
        self.shim
    }
}

/// What a function without arguments of the shim returns.
fn address(function: *mut c_void) -> *const c_char {
    // SAFETY: the shim declares these functions with this type.
    let function =
        unsafe { std::mem::transmute::<*mut c_void, extern "C" fn() -> *const c_char>(function) };
    function()
}

/// What stands in for machine code: a line that names the library.
pub(crate) fn image_of(library: &Path) -> CString {
    let line = format!("emulated {}", library.display());
    CString::new(line).unwrap_or_default()
}

/// The library that such a line names.
pub(crate) fn library_of(image: &CStr) -> Option<PathBuf> {
    let line = image.to_str().ok()?;
    line.strip_prefix("emulated ").map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn kernels_are_found_past_bounds_and_comments() {
        let text = "// __global__ void ghost(\nextern \"C\" __global__ void one(int n) {}\n\
                    extern \"C\" __global__ void __launch_bounds__(256) two(float* x) {}";
        assert_eq!(kernels(text), ["one", "two"]);
    }

    /// A text that was compiled otherwise is another library.
    #[test]
    fn the_key_names_everything_that_the_library_depends_on() {
        let defines = ["-DN=1".to_owned()];
        let known = key("text", "shim", &defines, &["-O1", "-fPIC"], "15.2");
        let others = [
            key("texts", "shim", &defines, &["-O1", "-fPIC"], "15.2"),
            key("text", "shims", &defines, &["-O1", "-fPIC"], "15.2"),
            key("text", "shim", &[], &["-O1", "-fPIC"], "15.2"),
            key("text", "shim", &defines, &["-O1"], "15.2"),
            key("text", "shim", &defines, &["-O1", "-fPIC"], "15.3"),
        ];
        for other in others {
            assert_ne!(hash(other.as_bytes()), hash(known.as_bytes()), "{other}");
        }
        assert!(version().is_ok_and(|version| version.contains("g++")));
    }

    /// Whoever may write there may run what he likes as this user.
    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        // SAFETY: asks for a number, and cannot fail.
        let user = unsafe { libc::geteuid() };
        let root = std::env::temp_dir().join(format!("emulator-folders-{}", std::process::id()));
        fs::create_dir(&root).expect("a folder can be made");
        let mine = root.join("mine");
        assert!(own(&mine, user).is_ok() && own(&mine, user).is_ok());
        assert!(own(&mine, user + 1).is_err(), "of another user");
        let link = root.join("link");
        std::os::unix::fs::symlink(&mine, &link).expect("a link can be made");
        assert!(own(&link, user).is_err(), "a link may change what it names");
        let file = root.join("file");
        fs::write(&file, "").expect("it is ours");
        let closed = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&file, closed).expect("it is ours");
        assert!(own(&file, user).is_err(), "no folder");
        for mode in [0o701, 0o710, 0o777] {
            let open = fs::Permissions::from_mode(mode);
            fs::set_permissions(&mine, open).expect("it is ours");
            let refused = own(&mine, user).expect_err("others may enter it");
            assert!(refused.to_string().contains("mode 700"), "{refused}");
        }
        fs::remove_dir_all(&root).expect("it is ours");
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // From the table of test vectors of the authors.
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_line_names_its_library() {
        let image = image_of(Path::new("/somewhere/a.so"));
        assert_eq!(library_of(&image), Some(PathBuf::from("/somewhere/a.so")));
        assert_eq!(library_of(c"\u{7f}ELF"), None);
    }
}
