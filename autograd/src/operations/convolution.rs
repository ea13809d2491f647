//! **Convolution** and its transpose, along one axis or two.
//!
//! A convolution is a matrix product: the array is cut into the windows that
//! the kernel sees ([`unfold`](Tensor::unfold)), each window is a row, and the
//! kernel is the matrix that these rows are multiplied with.
//!
//! ```math
//! y_{n,o,i,j} = b_o + \sum_{c < C/G}\ \sum_{k,\,l} w_{o,c,k,l}\;
//!   x_{n,\ \gamma C/G + c,\ i s_1 - p_1 + k d_1,\ j s_2 - p_2 + l d_2},
//!   \qquad \gamma = \lfloor o\,G/O \rfloor \tag{AD.60}
//! ```
//!
//! Here `s`, `p`, `d` are stride, padding and dilation, `G` the number of
//! groups, and `x` is 0 outside. As in every framework of learning the kernel
//! is not flipped: in the language of signals this is a correlation.
//!
//! Everything is composed of operations that have their derivatives, so all
//! modes and orders follow. Inside, channels come last: what is copied, are
//! whole runs of channels, and no copy of the windows is made that is not the
//! argument of the product.

use crate::algebra::{Algebra, Transpose};
use crate::finite::{as_one, checked};
use crate::tensor::Tensor;

/// How a kernel passes over an array with `D` axes besides sample and channel.
///
/// ```
/// use autograd::{Convolution, Cpu, Tensor};
/// let x = Tensor::<Cpu<f64>>::full(&[1, 1, 5, 7], 1.0);
/// let w = Tensor::full(&[2, 1, 3, 3], 1.0);
/// let how = Convolution { stride: [2, 1], padding: [1, 0], ..Convolution::default() };
/// let y = x.conv2d(&w, None, how);
/// assert_eq!(y.shape()[..], [1, 2, 3, 5]);
/// assert_eq!(y.to_vec()[..6], [6.0, 6.0, 6.0, 6.0, 6.0, 9.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution<const D: usize> {
    /// From one window to the next.
    pub stride: [usize; D],
    /// Zeros before and after each axis.
    pub padding: [usize; D],
    /// From one place that the kernel sees to the next.
    pub dilation: [usize; D],
    /// Channels are cut into so many groups that do not see each other.
    pub groups: usize,
}

impl<const D: usize> Default for Convolution<D> {
    /// Stride 1, no padding, dilation 1, one group.
    fn default() -> Self {
        Convolution {
            stride: [1; D],
            padding: [0; D],
            dilation: [1; D],
            groups: 1,
        }
    }
}

impl<const D: usize> Convolution<D> {
    /// The extents of the result, of arrays and a kernel with these extents;
    /// `None` where no window fits.
    ///
    /// ```math
    /// H_{\text{out}} = \Bigl\lfloor \frac{H + 2p - d(K-1) - 1}{s} \Bigr\rfloor + 1 \tag{AD.61}
    /// ```
    #[must_use]
    pub fn output(&self, input: [usize; D], kernel: [usize; D]) -> Option<[usize; D]> {
        let mut out = [0; D];
        for axis in 0..D {
            let padded = self.padding[axis]
                .checked_mul(2)?
                .checked_add(input[axis])?;
            let free = padded.checked_sub(self.reach(axis, kernel)?)?;
            out[axis] = free.checked_div(self.stride[axis])? + 1; // (AD.61)
        }
        Some(out)
    }

    /// The extents of the result of the transposed convolution; `None` where
    /// the padding takes more away than there is.
    ///
    /// ```math
    /// H = (H_{\text{out}} - 1)\,s - 2p + d(K-1) + q + 1, \qquad 0 \le q < s \tag{AD.62}
    /// ```
    ///
    /// The `q` of `output_padding` chooses among the `s` extents that a
    /// convolution brings to the same `H_out`.
    #[must_use]
    pub fn transposed_output(
        &self,
        input: [usize; D],
        kernel: [usize; D],
        output_padding: [usize; D],
    ) -> Option<[usize; D]> {
        let padded = self.padded_before(input, kernel, output_padding)?;
        let mut out = [0; D];
        for axis in 0..D {
            out[axis] = padded[axis].checked_sub(self.padding[axis].checked_mul(2)?)?; // (AD.62)
        }
        Some(out)
    }

    /// The extents, padding included, that a convolution brings to `windows`.
    fn padded_before(
        &self,
        windows: [usize; D],
        kernel: [usize; D],
        rest: [usize; D],
    ) -> Option<[usize; D]> {
        let mut padded = [0; D];
        for axis in 0..D {
            let starts = windows[axis]
                .checked_sub(1)?
                .checked_mul(self.stride[axis])?;
            let end = starts.checked_add(self.reach(axis, kernel)?)?;
            padded[axis] = end.checked_add(rest[axis])?;
        }
        Some(padded)
    }

    /// `d(K − 1) + 1`: how many places from the first to the last that the
    /// kernel sees.
    fn reach(&self, axis: usize, kernel: [usize; D]) -> Option<usize> {
        let steps = kernel[axis].checked_sub(1)?;
        self.dilation[axis].checked_mul(steps)?.checked_add(1)
    }
}

impl Convolution<1> {
    /// The same along the second of two axes, the first having extent 1.
    fn in_the_plane(self) -> Convolution<2> {
        Convolution {
            stride: [1, self.stride[0]],
            padding: [0, self.padding[0]],
            dilation: [1, self.dilation[0]],
            groups: self.groups,
        }
    }
}

/// Convolutions.
impl<A: Algebra> Tensor<A> {
    /// Convolution along one axis, `[N, C, L] → [N, O, L']` with a weight of
    /// `[O, C/groups, K]` and a bias of `[O]`; formula (AD.60) with one axis,
    /// extent by [`Convolution::output`].
    ///
    /// # Panics
    /// If the shapes do not fit each other or no window fits, with all of them.
    #[track_caller]
    #[must_use]
    pub fn conv1d(&self, weight: &Self, bias: Option<&Self>, how: Convolution<1>) -> Self {
        check_convolution("conv1d", self, weight, bias, &how);
        let (x, w) = (self.unsqueeze(2), weight.unsqueeze(2));
        convolve("conv1d", &x, &w, bias, how.in_the_plane()).squeeze(2)
    }

    /// Convolution along two axes, `[N, C, H, W] → [N, O, H', W']` with a
    /// weight of `[O, C/groups, K, L]` and a bias of `[O]`; formula (AD.60),
    /// extents by [`Convolution::output`].
    ///
    /// # Panics
    /// If the shapes do not fit each other or no window fits, with all of them.
    #[track_caller]
    #[must_use]
    pub fn conv2d(&self, weight: &Self, bias: Option<&Self>, how: Convolution<2>) -> Self {
        check_convolution("conv2d", self, weight, bias, &how);
        convolve("conv2d", self, weight, bias, how)
    }

    /// The transpose of [`conv1d`](Tensor::conv1d) with the same weight:
    /// `[N, O, L'] → [N, C, L]`, the weight being `[O, C/groups, K]`, the bias
    /// `[C]`; see [`conv_transpose2d`](Tensor::conv_transpose2d).
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    #[must_use]
    pub fn conv_transpose1d(
        &self,
        weight: &Self,
        bias: Option<&Self>,
        how: Convolution<1>,
        output_padding: [usize; 1],
    ) -> Self {
        check_transposed("conv_transpose1d", self, weight, bias, &how, output_padding);
        let (x, w) = (self.unsqueeze(2), weight.unsqueeze(2));
        let rest = [0, output_padding[0]];
        convolve_transposed("conv_transpose1d", &x, &w, bias, how.in_the_plane(), rest).squeeze(2)
    }

    /// The transpose of [`conv2d`](Tensor::conv2d) with the same weight:
    /// `[N, O, H', W'] → [N, C, H, W]`, the weight being `[O, C/groups, K, L]`,
    /// the bias `[C]`; extents by [`Convolution::transposed_output`].
    ///
    /// ```math
    /// \langle \operatorname{conv}(x, w),\ y\rangle =
    /// \langle x,\ \operatorname{conv}^{\mathsf T}(y, w)\rangle \tag{AD.63}
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit each other, if `output_padding` is not less
    /// than the stride, or if the padding leaves nothing, with all of them.
    #[track_caller]
    #[must_use]
    pub fn conv_transpose2d(
        &self,
        weight: &Self,
        bias: Option<&Self>,
        how: Convolution<2>,
        output_padding: [usize; 2],
    ) -> Self {
        check_transposed("conv_transpose2d", self, weight, bias, &how, output_padding);
        convolve_transposed("conv_transpose2d", self, weight, bias, how, output_padding)
    }
}

/// `[N, C, H, W] → [N, O, H', W']`.
#[track_caller]
fn convolve<A: Algebra>(
    name: &'static str,
    x: &Tensor<A>,
    w: &Tensor<A>,
    bias: Option<&Tensor<A>>,
    how: Convolution<2>,
) -> Tensor<A> {
    let whole = as_one();
    let ([n, _, height, width], [o, _, k, l]) = (extents(x), extents(w));
    let out = how.output([height, width], [k, l]);
    let [i, j] = out.expect("the shapes have been checked");
    let (rows, kernels) = (
        windows_as_rows(x, [k, l], how),
        kernel_matrices(w, how.groups),
    );
    let y = match bias {
        // One product and the bias in one pass.
        Some(b) if how.groups == 1 => rows.squeeze(0).dense(&kernels.squeeze(0), b, None),
        Some(b) => rows.matmul(&kernels) + b.reshape(&[how.groups, 1, o / how.groups]),
        None => rows.matmul(&kernels), // (AD.60)
    };
    let y = y.reshape(&[how.groups, n, i * j, o / how.groups]);
    let y = y.permute(&[1, 0, 3, 2]).reshape(&[n, o, i, j]);
    drop(whole);
    checked(name, y)
}

/// `[N, O, H', W'] → [N, C, H, W]`: the steps of [`convolve`], each transposed,
/// in the opposite order.
#[track_caller]
fn convolve_transposed<A: Algebra>(
    name: &'static str,
    y: &Tensor<A>,
    w: &Tensor<A>,
    bias: Option<&Tensor<A>>,
    how: Convolution<2>,
    output_padding: [usize; 2],
) -> Tensor<A> {
    let whole = as_one();
    let ([n, o, i, j], [_, c, k, l]) = (extents(y), extents(w));
    let g = how.groups;
    let padded = how.padded_before([i, j], [k, l], output_padding);
    let padded = padded.expect("the shapes have been checked");
    let y = y.reshape(&[n, g, o / g, i * j]).permute(&[1, 0, 3, 2]);
    let y = y.reshape(&[g, n * i * j, o / g]);
    let rows = y.matmul_with(Transpose::No, &kernel_matrices(w, g), Transpose::Yes);
    let x = add_rows_up(&rows.reshape(&[g * n, i, j, l, k, c]), padded, how); // (AD.63)
    let x = unpad(&unpad(&x, 1, how.padding[0]), 2, how.padding[1]);
    let [_, height, width, _] = extents(&x);
    let mut x = x.reshape(&[g, n, height, width, c]);
    if let Some(b) = bias {
        x = x + b.reshape(&[g, 1, 1, 1, c]);
    }
    let x = x
        .permute(&[1, 0, 4, 2, 3])
        .reshape(&[n, g * c, height, width]);
    drop(whole);
    checked(name, x)
}

/// The windows that the kernel sees, each a row:
/// `[N, C, H, W] → [G, N·H'·W', L·K·C/G]`.
#[track_caller]
fn windows_as_rows<A: Algebra>(
    x: &Tensor<A>,
    kernel: [usize; 2],
    how: Convolution<2>,
) -> Tensor<A> {
    let ([n, c, height, width], g) = (extents(x), how.groups);
    let x = x
        .reshape(&[n, g, c / g, height, width])
        .permute(&[1, 0, 3, 4, 2]);
    let x = x.reshape(&[g * n, height, width, c / g]);
    let x = pad(&pad(&x, 1, how.padding[0]), 2, how.padding[1]);
    let lines = cut(&x, 1, kernel[0], how.stride[0], how.dilation[0]); // [GN, H', K, W, C]
    let lines = lines.permute(&[0, 1, 3, 2, 4]); // [GN, H', W, K, C]
    let windows = cut(&lines, 2, kernel[1], how.stride[1], how.dilation[1]); // [GN, H', W', L, K, C]
    let shape = windows.shape();
    let (rows, row) = (
        shape[..3].iter().product::<usize>(),
        shape[3..].iter().product(),
    );
    // Not `rows / g`: there may be no samples and so no rows.
    windows.reshape(&[g, rows / g, row])
}

/// The transpose of the cutting in [`windows_as_rows`]:
/// `[GN, H', W', L, K, C] → [GN, H, W, C]`.
#[track_caller]
fn add_rows_up<A: Algebra>(
    rows: &Tensor<A>,
    [height, width]: [usize; 2],
    how: Convolution<2>,
) -> Tensor<A> {
    let lines = join(rows, 2, how.stride[1], how.dilation[1], width);
    let lines = lines.permute(&[0, 1, 3, 2, 4]);
    join(&lines, 1, how.stride[0], how.dilation[0], height)
}

/// The kernel of each group as a matrix: `[O, C/G, K, L] → [G, L·K·C/G, O/G]`.
#[track_caller]
fn kernel_matrices<A: Algebra>(w: &Tensor<A>, g: usize) -> Tensor<A> {
    let [o, c, k, l] = extents(w);
    let w = w.reshape(&[g, o / g, c, k, l]).permute(&[0, 4, 3, 2, 1]);
    w.reshape(&[g, l * k * c, o / g])
}

/// [`unfold`](Tensor::unfold), without a copy where windows are single places.
#[track_caller]
fn cut<A: Algebra>(
    x: &Tensor<A>,
    axis: usize,
    size: usize,
    step: usize,
    dilation: usize,
) -> Tensor<A> {
    if size == 1 && step == 1 {
        return x.unsqueeze(axis + 1);
    }
    x.unfold(axis, size, step, dilation)
}

/// [`fold`](Tensor::fold), without a copy where windows are single places.
#[track_caller]
fn join<A: Algebra>(
    x: &Tensor<A>,
    axis: usize,
    step: usize,
    dilation: usize,
    extent: usize,
) -> Tensor<A> {
    if x.shape()[axis + 1] == 1 && step == 1 {
        return x.squeeze(axis + 1);
    }
    x.fold(axis, step, dilation, extent)
}

/// Zeros before and after an axis, if any.
#[track_caller]
fn pad<A: Algebra>(x: &Tensor<A>, axis: usize, by: usize) -> Tensor<A> {
    if by == 0 {
        x.clone()
    } else {
        x.pad(axis, by, by)
    }
}

/// The transpose of [`pad`].
#[track_caller]
fn unpad<A: Algebra>(x: &Tensor<A>, axis: usize, by: usize) -> Tensor<A> {
    if by == 0 {
        return x.clone();
    }
    x.slice(axis, by, x.shape()[axis] - 2 * by)
}

fn extents<A: Algebra>(x: &Tensor<A>) -> [usize; 4] {
    let shape = x.shape();
    <[usize; 4]>::try_from(&shape[..]).expect("an array with four axes")
}

/// The axes of arrays with one or two axes besides sample and channel.
const AXES: [&str; 3] = ["", "L", "H, W"];
/// The same of kernels.
const KERNEL_AXES: [&str; 3] = ["", "K", "K, L"];

/// What the two directions have in common: ranks, positive parameters, groups.
#[track_caller]
fn check_parameters<A: Algebra, const D: usize>(
    name: &str,
    x: &Tensor<A>,
    weight: &Tensor<A>,
    how: &Convolution<D>,
) {
    let (s, t) = (x.shape(), weight.shape());
    let (axes, kernel) = (AXES[D], KERNEL_AXES[D]);
    assert!(
        s.rank() == D + 2 && t.rank() == D + 2,
        "{name}: input {s} and weight {t}: [N, C, {axes}] and [O, C/groups, {kernel}] were expected"
    );
    let Convolution {
        stride,
        dilation,
        groups,
        ..
    } = how;
    let positive = stride.iter().chain(dilation).chain(&t[2..]).all(|&n| n > 0);
    assert!(
        positive && *groups > 0,
        "{name}: weight {t}, stride {stride:?}, dilation {dilation:?}, {groups} groups: \
         kernel extents and all of these must be positive"
    );
    assert!(
        t[0].is_multiple_of(*groups),
        "{name}: weight {t} has {} kernels, which {groups} groups do not share evenly",
        t[0]
    );
}

#[track_caller]
fn check_bias<A: Algebra>(name: &str, bias: Option<&Tensor<A>>, channels: usize) {
    if let Some(b) = bias.map(Tensor::shape) {
        assert!(
            b[..] == [channels],
            "{name}: bias {b}, but the result has {channels} channels"
        );
    }
}

#[track_caller]
fn check_convolution<A: Algebra, const D: usize>(
    name: &str,
    x: &Tensor<A>,
    weight: &Tensor<A>,
    bias: Option<&Tensor<A>>,
    how: &Convolution<D>,
) {
    check_parameters(name, x, weight, how);
    let (s, t, groups) = (x.shape(), weight.shape(), how.groups);
    assert!(
        t[1].checked_mul(groups) == Some(s[1]),
        "{name}: input {s} has {} channels, weight {t} in {groups} groups sees {groups}·{}",
        s[1],
        t[1]
    );
    check_bias(name, bias, t[0]);
    let out = how.output(axes_of(&s), axes_of(&t));
    let Convolution {
        stride,
        padding,
        dilation,
        ..
    } = how;
    assert!(
        out.is_some(),
        "{name}: no window of weight {t} fits on input {s} with stride {stride:?}, \
         padding {padding:?}, dilation {dilation:?}"
    );
}

#[track_caller]
fn check_transposed<A: Algebra, const D: usize>(
    name: &str,
    y: &Tensor<A>,
    weight: &Tensor<A>,
    bias: Option<&Tensor<A>>,
    how: &Convolution<D>,
    output_padding: [usize; D],
) {
    check_parameters(name, y, weight, how);
    let (s, t, groups) = (y.shape(), weight.shape(), how.groups);
    assert!(
        s[1] == t[0],
        "{name}: input {s} has {} channels, weight {t} has {} kernels",
        s[1],
        t[0]
    );
    check_bias(name, bias, t[1] * groups);
    let Convolution {
        stride,
        padding,
        dilation,
        ..
    } = how;
    let less = output_padding.iter().zip(stride).all(|(q, s)| q < s);
    assert!(
        less,
        "{name}: output padding {output_padding:?} is not less than stride {stride:?}"
    );
    let out = how.transposed_output(axes_of(&s), axes_of(&t), output_padding);
    assert!(
        out.is_some(),
        "{name}: nothing is left of input {s} and weight {t} with stride {stride:?}, \
         padding {padding:?}, dilation {dilation:?}, output padding {output_padding:?}"
    );
}

/// The extents after sample and channel.
fn axes_of<const D: usize>(shape: &[usize]) -> [usize; D] {
    <[usize; D]>::try_from(&shape[2..]).expect("the rank has been checked")
}
