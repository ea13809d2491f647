//! **Pooling and resizing**: windows that become one number each, and the way
//! back to a finer grid.

use super::Convolution;
use crate::algebra::Algebra;
use crate::finite::{as_one, checked};
use crate::index::Index;
use crate::tensor::Tensor;

/// How windows lie on `D` axes.
///
/// ```
/// use autograd::{Cpu, Pooling, Tensor};
/// let x = Tensor::<Cpu<f64>>::new(&[1, 1, 2, 4], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0]);
/// assert_eq!(x.max_pool2d(Pooling::of([2, 2])).to_vec(), [6.0, 9.0]);
/// assert_eq!(x.avg_pool2d(Pooling::of([2, 2])).to_vec(), [3.5, 5.75]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling<const D: usize> {
    /// Extents of a window.
    pub kernel: [usize; D],
    /// From one window to the next.
    pub stride: [usize; D],
    /// Places added before and after each axis, less than the kernel, so that
    /// no window lies beside the array.
    pub padding: [usize; D],
}

impl<const D: usize> Pooling<D> {
    /// Windows side by side, without padding.
    #[must_use]
    pub fn of(kernel: [usize; D]) -> Self {
        Pooling {
            kernel,
            stride: kernel,
            padding: [0; D],
        }
    }

    /// The extents of the result, those of a
    /// [convolution](Convolution::output); `None` where no window fits.
    #[must_use]
    pub fn output(&self, input: [usize; D]) -> Option<[usize; D]> {
        let windows = Convolution {
            stride: self.stride,
            padding: self.padding,
            ..Convolution::default()
        };
        windows.output(input, self.kernel)
    }
}

impl Pooling<1> {
    /// The same along the second of two axes, the first having extent 1.
    fn in_the_plane(self) -> Pooling<2> {
        Pooling {
            kernel: [1, self.kernel[0]],
            stride: [1, self.stride[0]],
            padding: [0, self.padding[0]],
        }
    }
}

/// Pooling and resizing.
impl<A: Algebra> Tensor<A> {
    /// The mean of each window, `[N, C, L] → [N, C, L']`; see
    /// [`avg_pool2d`](Tensor::avg_pool2d).
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    #[must_use]
    pub fn avg_pool1d(&self, how: Pooling<1>) -> Self {
        check_pooling("avg_pool1d", self, &how);
        average("avg_pool1d", &self.unsqueeze(2), how.in_the_plane()).squeeze(2)
    }

    /// The mean of each window, `[N, C, H, W] → [N, C, H', W']`; what padding
    /// adds counts as 0. Extents by
    /// [`Pooling::output`].
    ///
    /// ```math
    /// y_{n,c,i,j} = \frac{1}{KL} \sum_{k<K,\ l<L} x_{n,\,c,\,i s_1 - p_1 + k,\,j s_2 - p_2 + l} \tag{AD.64}
    /// ```
    ///
    /// # Panics
    /// If the shape does not fit or no window does, with all of them.
    #[track_caller]
    #[must_use]
    pub fn avg_pool2d(&self, how: Pooling<2>) -> Self {
        check_pooling("avg_pool2d", self, &how);
        average("avg_pool2d", self, how)
    }

    /// The largest of each window, `[N, C, L] → [N, C, L']`; see
    /// [`max_pool2d`](Tensor::max_pool2d).
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    #[must_use]
    pub fn max_pool1d(&self, how: Pooling<1>) -> Self {
        check_pooling("max_pool1d", self, &how);
        largest("max_pool1d", &self.unsqueeze(2), how.in_the_plane()).squeeze(2)
    }

    /// The largest of each window, `[N, C, H, W] → [N, C, H', W']`; what
    /// padding adds counts as −∞. Those that reach the maximum share the slope
    /// equally, NaN wins. Extents by
    /// [`Pooling::output`].
    ///
    /// ```math
    /// y_{n,c,i,j} = \max_{k<K,\ l<L} x_{n,\,c,\,i s_1 - p_1 + k,\,j s_2 - p_2 + l} \tag{AD.65}
    /// ```
    ///
    /// # Panics
    /// If the shape does not fit or no window does, with all of them.
    #[track_caller]
    #[must_use]
    pub fn max_pool2d(&self, how: Pooling<2>) -> Self {
        check_pooling("max_pool2d", self, &how);
        largest("max_pool2d", self, how)
    }

    /// An axis of extent `n` brought to extent `m` by taking the nearest place
    /// from below: larger or smaller, `m = 2n` doubles every place.
    ///
    /// ```math
    /// y_i = x_{\lfloor i\,n/m \rfloor}, \qquad i < m \tag{AD.66}
    /// ```
    ///
    /// # Panics
    /// If the axis is empty and the result is not.
    #[track_caller]
    #[must_use]
    pub fn resize_nearest(&self, axis: usize, extent: usize) -> Self {
        self.check_axis("resize_nearest", axis);
        let shape = self.shape();
        assert!(
            shape[axis] > 0 || extent == 0,
            "resize_nearest: axis {axis} of {shape} is empty, extent {extent} was asked for"
        );
        let (n, m) = (shape[axis] as u128, extent as u128);
        let places = || (0..m).map(|i| (i * n / m) as usize).collect(); // (AD.66)
        let index = Index::of_rule(("resize", [shape[axis], extent, 0, 0]), places);
        self.index_select(axis, &index)
    }

    /// Every place of `[N, C, L]` repeated `factor` times.
    ///
    /// # Panics
    /// If there are not three axes.
    #[track_caller]
    #[must_use]
    pub fn upsample_nearest1d(&self, factor: usize) -> Self {
        let shape = self.shape();
        assert!(
            shape.rank() == 3,
            "upsample_nearest1d: input {shape}: [N, C, L] was expected"
        );
        self.resize_nearest(2, factor * shape[2])
    }

    /// Every place of `[N, C, H, W]` repeated `factors` times along H and W.
    ///
    /// # Panics
    /// If there are not four axes.
    #[track_caller]
    #[must_use]
    pub fn upsample_nearest2d(&self, factors: [usize; 2]) -> Self {
        let shape = self.shape();
        assert!(
            shape.rank() == 4,
            "upsample_nearest2d: input {shape}: [N, C, H, W] was expected"
        );
        // The last axis first, while the array is small.
        let wide = self.resize_nearest(3, factors[1] * shape[3]);
        wide.resize_nearest(2, factors[0] * shape[2])
    }
}

/// The mean of a window is the mean of means, so one axis after the other.
#[track_caller]
fn average<A: Algebra>(name: &'static str, x: &Tensor<A>, how: Pooling<2>) -> Tensor<A> {
    let whole = as_one();
    let mut y = x.clone();
    for (axis, i) in [(3, 1), (2, 0)] {
        let (size, step, by) = (how.kernel[i], how.stride[i], how.padding[i]);
        if (size, step) != (1, 1) {
            let padded = if by == 0 { y } else { y.pad(axis, by, by) };
            y = padded.unfold(axis, size, step, 1).sum_axis(axis + 1);
        }
    }
    let y = y / (how.kernel[0] * how.kernel[1]) as f64; // (AD.64)
    drop(whole);
    checked(name, y)
}

/// Not one axis after the other: of the equals in a window each would not get
/// the same share.
#[track_caller]
fn largest<A: Algebra>(name: &'static str, x: &Tensor<A>, how: Pooling<2>) -> Tensor<A> {
    let whole = as_one();
    let mut padded = x.clone();
    for (axis, by) in [(2, how.padding[0]), (3, how.padding[1])] {
        if by > 0 {
            let edge = padded.full_like(&padded.shape().with(axis, by), f64::NEG_INFINITY);
            padded = Tensor::concat(&[&edge, &padded, &edge], axis);
        }
    }
    let lines = padded.unfold(3, how.kernel[1], how.stride[1], 1);
    let windows = lines.unfold(2, how.kernel[0], how.stride[0], 1); // [N, C, H', K, W', L]
    let [n, c, i, k, j, l] = windows.shape()[..] else {
        unreachable!("two of four axes were cut");
    };
    let windows = windows.permute(&[0, 1, 2, 4, 3, 5]);
    let y = windows.reshape(&[n, c, i, j, k * l]).max_axis(4); // (AD.65)
    drop(whole);
    checked(name, y)
}

#[track_caller]
fn check_pooling<A: Algebra, const D: usize>(name: &str, x: &Tensor<A>, how: &Pooling<D>) {
    let shape = x.shape();
    let axes = ["", "L", "H, W"][D];
    assert!(
        shape.rank() == D + 2,
        "{name}: input {shape}: [N, C, {axes}] was expected"
    );
    let Pooling {
        kernel,
        stride,
        padding,
    } = how;
    assert!(
        kernel.iter().chain(stride).all(|&n| n > 0),
        "{name}: kernel {kernel:?}, stride {stride:?}: all must be positive"
    );
    assert!(
        padding.iter().zip(kernel).all(|(p, k)| p < k),
        "{name}: padding {padding:?} is not less than kernel {kernel:?}"
    );
    let input = <[usize; D]>::try_from(&shape[2..]).expect("the rank has been checked");
    assert!(
        how.output(input).is_some(),
        "{name}: no window of {kernel:?} fits on input {shape} with padding {padding:?}"
    );
}
