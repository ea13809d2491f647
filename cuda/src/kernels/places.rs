//! **Places** of an axis: gather, and scatter-add without atomics.

#![expect(unsafe_code, reason = "kernels are launched")]

use super::{expect_len, extent, numbers_of};
use crate::device::{Argument, Buffer, Device, Grid};
use crate::error::CudaError;
use crate::pool::Block;
use crate::source::Source;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

pub(super) static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::of("places", &[("places.cu", include_str!("places.cu"))]));

/// Places on an axis, and for each place of it who names it.
#[derive(Debug)]
pub struct Places {
    index: Buffer<u32>,
    inverse: Arc<Inverse>,
}

/// Who names each place of an axis: only a scatter asks for it, so it is made
/// and copied to the device when the first one does.
#[derive(Debug)]
pub(crate) struct Inverse {
    index: Vec<u32>,
    of: usize,
    lists: Mutex<Option<Lists>>,
}

/// Where the list of each place begins in the second; one more ends the last.
type Lists = [(Option<Arc<Block>>, usize); 2];

impl Inverse {
    pub(crate) fn new(index: Vec<u32>, of: usize) -> Self {
        let lists = Mutex::default();
        Inverse { index, of, lists }
    }

    /// Where each list begins, and the lists, on the device.
    fn on(&self, device: &Device) -> Result<[Buffer<u32>; 2], CudaError> {
        let lists = self.lists.lock();
        let mut lists = lists.unwrap_or_else(PoisonError::into_inner);
        if let Some(lists) = &*lists {
            let buffer =
                |(block, len): &(Option<Arc<Block>>, usize)| device.buffer_of(block.clone(), *len);
            return Ok(lists.each_ref().map(buffer));
        }
        let (first, order) = listed(&self.index, self.of);
        let made = [device.upload(&first)?, device.upload(&order)?];
        let parts = made.each_ref();
        *lists = Some(parts.map(|part| (part.block().cloned(), part.len())));
        Ok(made)
    }
}

impl Places {
    /// Places of an axis of extent `of`, on a device.
    ///
    /// # Errors
    /// If one lies beyond the axis, or the device refuses.
    pub fn new(device: &Device, index: &[u32], of: usize) -> Result<Self, CudaError> {
        extent("places", of)?;
        extent("places", index.len())?;
        if let Some(beyond) = index.iter().find(|&&place| place as usize >= of) {
            let given = format!("place {beyond}");
            return Err(CudaError::mismatch(
                "places",
                given,
                format!("less than {of}"),
            ));
        }
        Ok(Places {
            index: device.upload(index)?,
            inverse: Arc::new(Inverse::new(index.to_vec(), of)),
        })
    }

    /// The index, and what a scatter needs.
    pub(crate) fn parts(&self) -> (&Buffer<u32>, &Arc<Inverse>) {
        (&self.index, &self.inverse)
    }

    /// From those parts.
    pub(crate) fn from_parts(index: Buffer<u32>, inverse: Arc<Inverse>) -> Self {
        Places { index, inverse }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

/// The positions of each place in ascending order, one list behind the other,
/// and where each begins: a counting sort.
fn listed(index: &[u32], of: usize) -> (Vec<u32>, Vec<u32>) {
    let mut first = vec![0; of + 1];
    for &place in index {
        first[place as usize + 1] += 1;
    }
    for r in 0..of {
        first[r + 1] += first[r];
    }
    let mut next = first.clone();
    let mut order = vec![0; index.len()];
    for (position, &place) in (0..).zip(index) {
        let at = &mut next[place as usize];
        order[*at as usize] = position;
        *at += 1;
    }
    (first, order)
}

/// The versions of scatter-add, in rising complexity; see `places.cu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScatterVersion {
    /// Each result looks through the whole index.
    Scan,
    /// Each result has the list of its own terms.
    #[default]
    Listed,
}

impl ScatterVersion {
    /// Every version, once.
    pub const ALL: [ScatterVersion; 2] = [ScatterVersion::Scan, ScatterVersion::Listed];
}

/// `Y[o, p, i] = X[o, index[p], i]` with `X` of `[outer, of, inner]`.
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn gather(
    x: &Buffer<f32>,
    places: &Places,
    outer: usize,
    inner: usize,
) -> Result<Buffer<f32>, CudaError> {
    expect_len("gather", x, &[outer, places.inverse.of, inner])?;
    let device = x.device();
    let n = numbers_of("gather", &[outer, places.len(), inner])?;
    let mut y = device.uninitialised(n)?;
    let e = |n| extent("gather", n);
    e(n)?;
    let arguments = [
        (&mut y).into(),
        x.into(),
        (&places.index).into(),
        e(outer)?.into(),
        e(places.len())?.into(),
        e(places.inverse.of)?.into(),
        e(inner)?.into(),
    ];
    // SAFETY: the shapes are as checked, and each place is less than `of`.
    unsafe { device.launch(&SOURCE, "gather", Grid::over(n), &arguments)? };
    Ok(y)
}

/// `X[o, r, i] = Σ Y[o, p, i]` over the `p` with `index[p] = r`; the transpose
/// of [`gather`].
///
/// # Errors
/// If there are not as many numbers, or the device refuses.
pub fn scatter_add(
    y: &Buffer<f32>,
    places: &Places,
    outer: usize,
    inner: usize,
    version: ScatterVersion,
) -> Result<Buffer<f32>, CudaError> {
    expect_len("scatter_add", y, &[outer, places.len(), inner])?;
    let device = y.device();
    let n = numbers_of("scatter_add", &[outer, places.inverse.of, inner])?;
    let mut x = device.uninitialised(n)?;
    let e = |n| extent("scatter_add", n);
    e(n)?;
    let extents = [outer, places.len(), places.inverse.of, inner];
    let mut arguments = vec![(&mut x).into(), y.into()];
    let lists;
    let kernel = match version {
        ScatterVersion::Scan => {
            arguments.push((&places.index).into());
            "scatter_add_scan"
        }
        ScatterVersion::Listed => {
            lists = places.inverse.on(places.index.device())?;
            arguments.extend(lists.iter().map(Argument::from));
            "scatter_add_listed"
        }
    };
    for extent in extents {
        arguments.push(e(extent)?.into());
    }
    // SAFETY: the shapes are as checked, and the lists belong to the index.
    unsafe { device.launch(&SOURCE, kernel, Grid::over(n), &arguments)? };
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn each_place_has_its_positions_in_order() {
        let (first, order) = listed(&[2, 0, 2, 2, 0], 4);
        assert_eq!(first, [0, 2, 2, 5, 5]);
        assert_eq!(order, [1, 4, 0, 2, 3]);
        assert_eq!(listed(&[], 0), (vec![0], vec![]));
    }
}
