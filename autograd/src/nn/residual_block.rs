//! **Residual block** of a network for images, with a vector that says what
//! is asked for.

use super::{Conv2d, Dense, GroupNorm};
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::operations::Convolution;
use crate::philox::Draw;
use crate::real::Real;
use crate::tensor::Tensor;

/// Two convolutions beside a shortcut; the vector `e` enters as a shift of
/// the channels between them.
///
/// ```math
/// h = w_1 * \operatorname{silu}(\operatorname{norm}_1 x) + V e, \qquad
/// y = s * x + w_2 * \operatorname{silu}(\operatorname{norm}_2 h) \tag{AD.67}
/// ```
///
/// From `a` to `b` channels with `e` of width `E`:
/// `2a + (9ab + b) + (Eb + b) + 2b + (9b² + b)` numbers, and `ab + b` for the
/// shortcut where `a ≠ b`.
#[derive(Clone, Debug)]
pub struct ResidualBlock<A: Algebra> {
    /// Before the first convolution.
    pub norm1: GroupNorm<A>,
    /// From `a` to `b` channels.
    pub conv1: Conv2d<A>,
    /// From `e` to a shift of each channel.
    pub shift: Dense<A>,
    /// Before the second convolution.
    pub norm2: GroupNorm<A>,
    /// From `b` to `b` channels.
    pub conv2: Conv2d<A>,
    /// `s`, where the number of channels changes; else the identity.
    pub shortcut: Option<Conv2d<A>>,
}

impl<F: Real> ResidualBlock<Cpu<F>> {
    /// A block with kernels of 3 × 3. Its layers are drawn at consecutive
    /// steps, beginning at that of `draw`; it takes [`STEPS`](Self::STEPS).
    ///
    /// # Panics
    /// If the groups do not divide both numbers of channels.
    #[track_caller]
    #[must_use]
    pub fn new([a, b]: [usize; 2], width: usize, groups: usize, draw: Draw) -> Self {
        let at = |k: u32| draw.step(draw.step + k);
        let same = Convolution {
            padding: [1, 1],
            ..Convolution::default()
        };
        let pointwise = Convolution::default();
        ResidualBlock {
            norm1: GroupNorm::new(a, groups),
            conv1: Conv2d::new(a, b, [3, 3], same, at(0)),
            shift: Dense::new(width, b, at(1)),
            norm2: GroupNorm::new(b, groups),
            conv2: Conv2d::new(b, b, [3, 3], same, at(2)),
            shortcut: (a != b).then(|| Conv2d::new(a, b, [1, 1], pointwise, at(3))),
        }
    }

    /// How many steps of its draw a block takes.
    pub const STEPS: u32 = 4;
}

impl<A: Algebra> ResidualBlock<A> {
    /// `[N, a, H, W]` and `[N, E]` to `[N, b, H, W]`.
    #[track_caller]
    #[must_use]
    pub fn apply(&self, x: &Tensor<A>, e: &Tensor<A>) -> Tensor<A> {
        let shift = self.shift.apply(e, None);
        let [n, channels] = [shift.shape()[0], shift.shape()[1]];
        let h = self.conv1.apply(&self.norm1.apply(x).silu());
        let h = h + shift.reshape(&[n, channels, 1, 1]);
        let h = self.conv2.apply(&self.norm2.apply(&h).silu());
        match &self.shortcut {
            Some(shortcut) => shortcut.apply(x) + h,
            None => x + h, // (AD.67)
        }
    }
}

crate::tree!(ResidualBlock {
    norm1,
    conv1,
    shift,
    norm2,
    conv2,
    shortcut
});
