//! **Residual perceptron** with time input: a velocity network that can be
//! deep.
//!
//! ```math
//! h_0 = [x, \varphi(t)]\,W + b, \qquad
//! h_{k+1} = h_k + B_k\,f\bigl(A_k \operatorname{norm}_k(h_k)\bigr), \qquad
//! v = C \operatorname{norm}(h_K) \tag{AD.33}
//! ```
//!
//! with `A_k`, `B_k` and `C` dense layers and `φ` the features of the time.
//! The normalisation stands before each block, so the sum `h` is never
//! rescaled and a cotangent comes down to the first layer as it went in (Xiong
//! and others 2020). `B_k` begins at 0: a fresh network of any depth is the
//! one without blocks, and blocks come in as they are learned.

use super::{Dense, LayerNorm, TimeFeatures};
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::philox::Draw;
use crate::pointwise::Unary;
use crate::real::Real;
use crate::tensor::Tensor;

/// One term of the sum: normalised, widened, narrowed.
#[derive(Clone, Debug)]
pub struct ResidualLayer<A: Algebra> {
    /// Before the layers.
    pub norm: LayerNorm<A>,
    /// `A_k`, to the hidden width of the block.
    pub widen: Dense<A>,
    /// `B_k`, back to the width of the sum.
    pub narrow: Dense<A>,
}

/// Dense layers around a sum of residual blocks.
///
/// ```
/// use autograd::{Cpu, Draw, ResidualMlp, Tensor, TimeFeatures, Unary};
/// let (time, draw) = (TimeFeatures::Plain, Draw::seed(7));
/// let net = ResidualMlp::<Cpu<f32>>::new(2, 32, 3, 64, 2, time, Unary::Silu, draw);
/// let (t, x) = (Tensor::full(&[5, 1], 0.5), Tensor::full(&[5, 2], 1.0));
/// assert_eq!(net.velocity(&t, &x).shape()[..], [5, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct ResidualMlp<A: Algebra> {
    /// `W` and `b`.
    pub first: Dense<A>,
    /// The blocks, in order.
    pub blocks: Vec<ResidualLayer<A>>,
    /// After the last block.
    pub norm: LayerNorm<A>,
    /// `C`.
    pub last: Dense<A>,
    /// `f`.
    pub activation: Unary,
    /// How the time enters.
    pub time: TimeFeatures,
}

crate::tree!(ResidualLayer {
    norm,
    widen,
    narrow
});
crate::tree!(ResidualMlp { first, blocks, norm, last; activation, time });

impl<F: Real> ResidualMlp<Cpu<F>> {
    /// A network from `[B, inputs]` and a time to `[B, outputs]`, with `blocks`
    /// blocks of `hidden` units around a sum of `width` numbers. Layers are
    /// drawn with `draw` at steps 0, 1, 2, ….
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is a size of its own")]
    pub fn new(
        inputs: usize,
        width: usize,
        blocks: usize,
        hidden: usize,
        outputs: usize,
        time: TimeFeatures,
        activation: Unary,
        draw: Draw,
    ) -> Self {
        let mut steps = 0..;
        let mut dense = |inputs, outputs| {
            let step = steps.next().unwrap_or(0);
            Dense::new(inputs, outputs, Draw { step, ..draw })
        };
        let first = dense(inputs + time.count(), width);
        let block = |_| ResidualLayer {
            norm: LayerNorm::new(width),
            widen: dense(width, hidden),
            narrow: Dense {
                weight: Tensor::full(&[hidden, width], F::zero()),
                bias: Tensor::full(&[width], F::zero()),
            },
        };
        let blocks = (0..blocks).map(block).collect();
        ResidualMlp {
            first,
            blocks,
            norm: LayerNorm::new(width),
            last: dense(width, outputs),
            activation,
            time,
        }
    }
}

impl<A: Algebra> ResidualMlp<A> {
    /// `v(t, x)` for times `t` of shape `[B, 1]` and points `x` of `[B, D]`.
    #[track_caller]
    #[must_use]
    pub fn velocity(&self, t: &Tensor<A>, x: &Tensor<A>) -> Tensor<A> {
        let input = Tensor::concat(&[x, &self.time.of(t)], 1);
        let mut h = self.first.apply(&input, None);
        for block in &self.blocks {
            let wide = block
                .widen
                .apply(&block.norm.apply(&h), Some(self.activation));
            h = h + block.narrow.apply(&wide, None); // (AD.33)
        }
        self.last.apply(&self.norm.apply(&h), None)
    }
}
