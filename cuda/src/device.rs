//! **Device**: one GPU, one stream, its memory and its compiled kernels.

#![expect(unsafe_code, reason = "kernels are launched and memory is copied")]

use crate::compile::compile;
use crate::error::{CudaError, Doing};
use crate::found::{DeviceFacts, Found};
use crate::pool::{Block, Memory, Pool, PoolCounts};
use crate::precision::Precision;
use crate::product::Handle;
use crate::resident::Resident;
use crate::source::Source;
use crate::unavailable::CudaUnavailable;
use cudarc::driver::sys::CUdeviceptr;
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, LaunchConfig, PushKernelArg, result};
use cudarc::nvrtc::Ptx;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A number that device memory may hold.
pub trait Element: cudarc::driver::DeviceRepr + Copy + fmt::Debug + 'static {}
impl Element for f32 {}
impl Element for f64 {}
impl Element for u32 {}
impl Element for u64 {}

/// A GPU in use. Clones are the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    facts: DeviceFacts,
    architecture: String,
    /// By the hash of their text, and by name.
    functions: Mutex<HashMap<u64, HashMap<String, Arc<Function>>>>,
    precision: Mutex<Precision>,
    resident: Mutex<Resident>,
    /// What a recorded graph must keep alive; `None` when none is recorded.
    kept: Mutex<Option<Vec<Arc<Block>>>>,
    pool: Arc<Pool>,
    product: OnceLock<Handle>,
    stream: Arc<CudaStream>,
    context: Arc<CudaContext>,
}

/// A kernel, and the bytes of each of its arguments.
#[derive(Debug)]
struct Function {
    function: CudaFunction,
    sizes: Vec<usize>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.inner.facts)
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a> {
    /// The value, in the low bytes.
    bits: u64,
    bytes: usize,
    block: Option<&'a Arc<Block>>,
}

impl From<u32> for Argument<'_> {
    fn from(x: u32) -> Self {
        Argument {
            bits: x.into(),
            bytes: 4,
            block: None,
        }
    }
}

impl From<u64> for Argument<'_> {
    fn from(bits: u64) -> Self {
        Argument {
            bits,
            bytes: 8,
            block: None,
        }
    }
}

impl From<f32> for Argument<'_> {
    fn from(x: f32) -> Self {
        x.to_bits().into()
    }
}

impl From<f64> for Argument<'_> {
    fn from(x: f64) -> Self {
        x.to_bits().into()
    }
}

impl<'a, T: Element> From<&'a Buffer<T>> for Argument<'a> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        Argument {
            bits: buffer.address(),
            bytes: 8,
            block: buffer.block.as_ref(),
        }
    }
}

impl<'a, T: Element> From<&'a mut Buffer<T>> for Argument<'a> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        (&*buffer).into()
    }
}

/// Extents of a launch: blocks, and threads of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks along x, y, z.
    pub blocks: [u32; 3],
    /// Threads of a block along x, y, z.
    pub threads: [u32; 3],
}

impl Grid {
    /// Most blocks along x, y, z, on every GPU.
    pub const MOST: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];

    /// Enough blocks of 256 threads for one thread an element.
    #[must_use]
    pub fn over(n: usize) -> Self {
        Grid::line(n.div_ceil(256), 256)
    }

    /// So many blocks of so many threads, in a line.
    #[must_use]
    pub fn line(blocks: usize, threads: u32) -> Self {
        Grid {
            // More than any number of 32 bits is refused when it is launched.
            blocks: [u32::try_from(blocks).unwrap_or(u32::MAX), 1, 1],
            threads: [threads, 1, 1],
        }
    }

    fn is_empty(self) -> bool {
        self.blocks.contains(&0)
    }

    /// Refuses what no GPU takes.
    fn expect_allowed(self, of: &str) -> Result<(), CudaError> {
        let mut extents = self.blocks.iter().zip(Grid::MOST);
        match extents.all(|(&blocks, most)| blocks <= most) {
            true => Ok(()),
            false => {
                let given = format!("a grid of {:?} blocks", self.blocks);
                let expected = format!("at most {:?}", Grid::MOST);
                Err(CudaError::mismatch(of, given, expected))
            }
        }
    }
}

impl Device {
    /// Opens a GPU by its number, from 0.
    ///
    /// # Errors
    /// With what is missing.
    pub fn open(index: usize) -> Result<Self, CudaUnavailable> {
        Self::open_with(index, Memory::Pooled)
    }

    /// Opens a GPU with a policy for its memory.
    ///
    /// # Errors
    /// With what is missing.
    pub fn open_with(index: usize, memory: Memory) -> Result<Self, CudaUnavailable> {
        let found = Found::look();
        found.usable()?;
        let devices = found.devices?;
        let count = devices.len();
        let asked = index;
        let Some(facts) = devices.into_iter().nth(index) else {
            return Err(CudaUnavailable::NoSuchDevice { asked, count });
        };
        let refused = |call| {
            move |answer: cudarc::driver::DriverError| CudaUnavailable::Refused {
                call,
                answer: answer.to_string(),
            }
        };
        let context = CudaContext::new(index).map_err(refused("cuDevicePrimaryCtxRetain"))?;
        // SAFETY: everything goes through the one stream made below, so there
        // is nothing that events would have to order.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(refused("cuStreamCreate"))?;
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let opened = OPENED.fetch_add(1, Ordering::Relaxed) + 1;
        let owner = format!("GPU {index}, opened as number {opened} ({})", facts.name);
        let inner = Inner {
            architecture: format!("sm_{}{}", facts.capability.major, facts.capability.minor),
            facts,
            functions: Mutex::default(),
            precision: Mutex::default(),
            resident: Mutex::default(),
            kept: Mutex::default(),
            pool: Arc::new(Pool::new(stream.clone(), memory, owner)),
            product: OnceLock::new(),
            stream,
            context,
        };
        Ok(Device {
            inner: Arc::new(inner),
        })
    }

    /// What the device says of itself.
    #[must_use]
    pub fn facts(&self) -> &DeviceFacts {
        &self.inner.facts
    }

    /// Whether it is the emulator of the tests, which must not be timed.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        self.inner.facts.name.contains("emulated")
    }

    /// The architecture kernels are compiled for, such as `sm_90`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.inner.architecture
    }

    /// How factors are rounded before they are multiplied, where an operation
    /// does not say: not at all, at first.
    #[must_use]
    pub fn precision(&self) -> Precision {
        let precision = self.inner.precision.lock();
        *precision.unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, for all that share the device; a recorded graph keeps what
    /// it was recorded with.
    pub fn set_precision(&self, precision: Precision) {
        let now = self.inner.precision.lock();
        *now.unwrap_or_else(PoisonError::into_inner) = precision;
    }

    /// What the pool holds.
    #[must_use]
    pub fn pool(&self) -> PoolCounts {
        self.inner.pool.counts()
    }

    /// Gives memory that is kept for later back to the driver.
    pub fn release_kept(&self) {
        self.inner.pool.release();
    }

    /// Bytes of the device in use by all its programs, by the driver's count.
    ///
    /// # Errors
    /// If the driver refuses, such as after a fault.
    pub fn used_memory(&self) -> Result<usize, CudaError> {
        let info = self.inner.context.mem_get_info();
        info.map(|(free, total)| total - free)
            .doing("counting device memory")
    }

    /// Waits until all work is done.
    ///
    /// # Errors
    /// If some of it has failed.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.inner.stream.synchronize().doing("running kernels")
    }

    pub(crate) fn stream(&self) -> &Arc<CudaStream> {
        &self.inner.stream
    }

    pub(crate) fn product_handle(&self) -> Result<&Handle, CudaError> {
        if let Some(handle) = self.inner.product.get() {
            return Ok(handle);
        }
        let handle = Handle::new(self)?;
        Ok(self.inner.product.get_or_init(|| handle))
    }

    /// Makes the device the one that this thread's calls mean.
    pub(crate) fn bind(&self) -> Result<(), CudaError> {
        self.inner
            .context
            .bind_to_thread()
            .doing("using the device")
    }

    fn kept(&self) -> MutexGuard<'_, Option<Vec<Arc<Block>>>> {
        self.inner
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to keep all memory that launches touch.
    pub(crate) fn begin_keeping(&self) {
        *self.kept() = Some(Vec::new());
    }

    /// What was kept since.
    pub(crate) fn end_keeping(&self) -> Vec<Arc<Block>> {
        self.kept().take().unwrap_or_default()
    }

    /// Notes that work on the stream touches a block.
    pub(crate) fn keep(&self, block: Option<&Arc<Block>>) {
        if let (Some(kept), Some(block)) = (&mut *self.kept(), block) {
            kept.push(block.clone());
        }
    }

    /// Refuses memory of another device, or of the same GPU opened once more:
    /// its work is in another stream, and nothing orders the two.
    pub(crate) fn expect_own(&self, of: &str, block: Option<&Arc<Block>>) -> Result<(), CudaError> {
        let own = &self.inner.pool;
        match block.map(|block| block.pool()) {
            Some(other) if !Arc::ptr_eq(own, other) => Err(CudaError::OtherDevice {
                of: of.to_owned(),
                given: other.owner().to_owned(),
                expected: own.owner().to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses a copy that a graph would have to record: the driver would
    /// refuse it too, and say less.
    fn allow_copy(&self, direction: &'static str) -> Result<(), CudaError> {
        match self.inner.pool.is_recording() {
            true => Err(CudaError::CopyInGraph { direction }),
            false => Ok(()),
        }
    }

    pub(crate) fn set_recording(&self, recording: bool) {
        self.inner.pool.set_recording(recording);
    }

    /// Memory without an owner among the buffers.
    pub(crate) fn block(&self, bytes: usize) -> Result<Block, CudaError> {
        self.inner.pool.allocate(bytes)
    }

    /// A buffer whose numbers are not yet written.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn uninitialised<T: Element>(&self, len: usize) -> Result<Buffer<T>, CudaError> {
        // As much as any allocation may have, on the host as well.
        let bytes = len.checked_mul(size_of::<T>());
        let Some(bytes) = bytes.filter(|&bytes| isize::try_from(bytes).is_ok()) else {
            let given = format!("{len} numbers of {} bytes", size_of::<T>());
            let expected = "fewer than memory has addresses";
            return Err(CudaError::mismatch("a buffer", given, expected));
        };
        let block = match bytes {
            0 => None,
            _ => Some(Arc::new(self.inner.pool.allocate(bytes)?)),
        };
        // A block that a recorded graph uses is used by nobody else.
        Ok(self.buffer_of(block, len))
    }

    /// A buffer of zeros.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn zeros<T: Element>(&self, len: usize) -> Result<Buffer<T>, CudaError> {
        let buffer = self.uninitialised(len)?;
        if len > 0 {
            self.bind()?;
            let (at, bytes) = (buffer.address(), len * size_of::<T>());
            // SAFETY: the buffer has as many bytes; zero bytes are the number 0.
            let done = unsafe { result::memset_d8_async(at, 0, bytes, self.stream().cu_stream()) };
            done.doing("filling device memory")?;
        }
        Ok(buffer)
    }

    /// A buffer with a copy of these numbers.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn upload<T: Element>(&self, numbers: &[T]) -> Result<Buffer<T>, CudaError> {
        let mut buffer = self.uninitialised(numbers.len())?;
        buffer.write(numbers)?;
        Ok(buffer)
    }

    /// A buffer of memory that others hold too.
    pub(crate) fn buffer_of<T: Element>(&self, block: Option<Arc<Block>>, len: usize) -> Buffer<T> {
        self.keep(block.as_ref());
        Buffer {
            device: self.clone(),
            block,
            before: 0,
            len,
            element: PhantomData,
        }
    }

    pub(crate) fn resident_lock(&self) -> &Mutex<Resident> {
        &self.inner.resident
    }

    /// A kernel of a text; compiled and loaded once.
    fn function(&self, source: &Source, kernel: &str) -> Result<Arc<Function>, CudaError> {
        let functions = self.inner.functions.lock();
        let mut functions = functions.unwrap_or_else(PoisonError::into_inner);
        let functions = functions.entry(source.hash()).or_default();
        if let Some(function) = functions.get(kernel) {
            return Ok(function.clone());
        }
        let compiled = compile(source, self.architecture())?;
        let image = Ptx::from_binary(compiled.cubin.clone());
        let module = self.inner.context.load_module(image);
        let module = module.doing("loading machine code")?;
        let function = module.load_function(kernel);
        let function = function.doing("looking a kernel up by its name")?;
        let sizes = argument_sizes(&function);
        let function = Arc::new(Function { function, sizes });
        functions.insert(kernel.to_owned(), function.clone());
        Ok(function)
    }

    /// Compiles and loads a kernel before it is needed.
    ///
    /// # Errors
    /// If it does not compile, or the driver does not take it.
    pub fn load(&self, source: &Source, kernel: &str) -> Result<(), CudaError> {
        self.bind()?;
        self.function(source, kernel).map(drop)
    }

    /// Launches a kernel; nothing happens if the grid is empty.
    ///
    /// # Errors
    /// If it does not compile, the arguments are not as many or not of the
    /// sizes it declares, a buffer is of another device, the grid is larger
    /// than [`Grid::MOST`], or the driver refuses. A fault of the kernel itself
    /// is the answer to a later call.
    ///
    /// # Safety
    /// Buffers are as long as the kernel with these arguments reads and
    /// writes, and of the types it declares; those that it writes are passed
    /// by a `&mut` reference, or are not read elsewhere at the same time.
    pub unsafe fn launch(
        &self,
        source: &Source,
        kernel: &str,
        grid: Grid,
        arguments: &[Argument<'_>],
    ) -> Result<(), CudaError> {
        if grid.is_empty() {
            return Ok(());
        }
        grid.expect_allowed(kernel)?;
        for argument in arguments {
            self.expect_own(kernel, argument.block)?;
        }
        let function = self.function(source, kernel)?;
        let given: Vec<usize> = arguments.iter().map(|a| a.bytes).collect();
        if given != function.sizes {
            let given = format!("arguments of {given:?} bytes");
            return Err(CudaError::mismatch(
                kernel,
                given,
                format!("{:?}", function.sizes),
            ));
        }
        let mut launch = self.inner.stream.launch_builder(&function.function);
        for argument in arguments {
            self.keep(argument.block);
            launch.arg(&argument.bits);
        }
        let [bx, by, bz] = grid.blocks;
        let [tx, ty, tz] = grid.threads;
        let extents = LaunchConfig {
            grid_dim: (bx, by, bz),
            block_dim: (tx, ty, tz),
            shared_mem_bytes: 0,
        };
        // SAFETY: number and sizes of the arguments were just compared; the
        // rest is this function's contract.
        let done = unsafe { launch.launch(extents) };
        done.map(|_| ()).doing("launching a kernel")
    }
}

/// The bytes of each argument of a kernel, as the driver knows them.
fn argument_sizes(function: &CudaFunction) -> Vec<usize> {
    let handle = function.cu_function();
    let mut sizes = Vec::new();
    loop {
        let (mut offset, mut size) = (0, 0);
        // SAFETY: the function is loaded; two sizes are written. Beyond the
        // last argument the answer is an error.
        let answer = unsafe {
            cudarc::driver::sys::cuFuncGetParamInfo(
                handle,
                sizes.len(),
                &raw mut offset,
                &raw mut size,
            )
        };
        if answer.result().is_err() {
            return sizes;
        }
        sizes.push(size);
    }
}

/// Numbers in device memory; the memory goes back when it is dropped.
pub struct Buffer<T: Element> {
    device: Device,
    block: Option<Arc<Block>>,
    /// Bytes of the block before the first number.
    before: u64,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} on {:?}", self.len, self.device)
    }
}

impl<T: Element> Buffer<T> {
    /// How many numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it lives.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn address(&self) -> CUdeviceptr {
        let begin = self.block.as_ref().map_or(0, |block| block.address());
        begin + self.before
    }

    /// `len` of the numbers from number `first` on, in the same memory: what is
    /// written to one is read from the other. A multiple of 64 begins where
    /// memory is aligned as well as for a buffer of its own.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn part(&self, first: usize, len: usize) -> Result<Self, CudaError> {
        if first.checked_add(len).is_none_or(|end| end > self.len) {
            let given = format!("{len} numbers from {first}");
            return Err(CudaError::mismatch("part", given, self.len));
        }
        Ok(Buffer {
            device: self.device.clone(),
            block: self.block.clone(),
            before: self.before + (first * size_of::<T>()) as u64,
            len,
            element: PhantomData,
        })
    }

    pub(crate) fn block(&self) -> Option<&Arc<Block>> {
        self.block.as_ref()
    }

    /// Replaces the numbers.
    ///
    /// # Errors
    /// If there are not as many, or the driver refuses.
    pub fn write(&mut self, numbers: &[T]) -> Result<(), CudaError> {
        if numbers.len() != self.len {
            let given = format!("{} numbers", numbers.len());
            return Err(CudaError::mismatch("write", given, self.len));
        }
        if self.is_empty() {
            return Ok(());
        }
        self.device.allow_copy("to the device")?;
        self.device.bind()?;
        let stream = self.device.stream().cu_stream();
        // SAFETY: the block is at least as long; the host's memory is pageable,
        // so the driver has copied it when the call returns.
        let done = unsafe { result::memcpy_htod_async(self.address(), numbers, stream) };
        done.doing("copying to the device")
    }

    /// A copy on the host; waits for all work before it.
    ///
    /// # Errors
    /// If work before it has failed.
    pub fn download(&self) -> Result<Vec<T>, CudaError> {
        let mut numbers = Vec::with_capacity(self.len);
        if self.is_empty() {
            return Ok(numbers);
        }
        self.device.allow_copy("from the device")?;
        self.device.bind()?;
        let stream = self.device.stream().cu_stream();
        let room = &mut numbers.spare_capacity_mut()[..self.len];
        // SAFETY: a slice of as many numbers, written before it is read.
        let room =
            unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<T>(), self.len) };
        // SAFETY: the block holds as many numbers; the wait below comes before
        // any use of them.
        let copied = unsafe { result::memcpy_dtoh_async(room, self.address(), stream) };
        copied.doing("copying from the device")?;
        self.device.synchronize()?;
        // SAFETY: all of them are written now.
        unsafe { numbers.set_len(self.len) };
        Ok(numbers)
    }
}
