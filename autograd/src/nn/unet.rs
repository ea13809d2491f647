//! **U-Net**: a velocity network for images, on several grids at once.
//!
//! Going down, each level hands a coarser image to the next; coming up, each
//! sees what it had on the way down beside what comes from below. So the
//! coarse grids decide what is where and the fine ones where exactly
//! (Ronneberger, Fischer and Brox 2015; with residual blocks, group
//! normalisation and time as in Ho, Jain and Abbeel 2020, without attention).

use super::{ClassEmbedding, Conv2d, Dense, GroupNorm, ResidualBlock, TimeFeatures};
use crate::algebra::Algebra;
use crate::cpu::Cpu;
use crate::index::Index;
use crate::operations::Convolution;
use crate::philox::Draw;
use crate::pointwise::Unary;
use crate::real::Real;
use crate::tensor::Tensor;

/// The sizes of a [`UNet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UNetConfig {
    /// Channels and extents of an image, `[C, H, W]`.
    pub image: [usize; 3],
    /// Channels of each level, finest first; every level but the first has
    /// half the extents of the one before.
    pub channels: Vec<usize>,
    /// Width of the vector that carries time and class.
    pub width: usize,
    /// Groups of the normalisations; divides all `channels`.
    pub groups: usize,
    /// How the time enters.
    pub time: TimeFeatures,
    /// Number of classes; 0 for none.
    pub classes: usize,
}

impl Default for UNetConfig {
    /// For the handwritten digits of 8 × 8 without classes: 97 897 numbers.
    fn default() -> Self {
        UNetConfig {
            image: [1, 8, 8],
            channels: vec![24, 48],
            width: 64,
            groups: 4,
            time: TimeFeatures::Fourier(8),
            classes: 0,
        }
    }
}

/// What a level does on the way down and on the way up.
#[derive(Clone, Debug)]
pub struct Level<A: Algebra> {
    /// From `a` to `a` channels; its result is also kept for the way up.
    pub down: ResidualBlock<A>,
    /// To the `b` channels of the next level, with stride 2.
    pub shrink: Conv2d<A>,
    /// Back to `a` channels, after every place was doubled.
    pub grow: Conv2d<A>,
    /// From `2a` to `a` channels: what came from below, then what was kept.
    pub up: ResidualBlock<A>,
}

/// A velocity network for images that are given flat, `[B, C·H·W]`.
///
/// ```
/// use autograd::{Cpu, Draw, Tensor, Tree, UNet, UNetConfig};
/// let net = UNet::<Cpu<f32>>::new(&UNetConfig::default(), Draw::seed(7));
/// let (t, x) = (Tensor::full(&[3, 1], 0.5), Tensor::full(&[3, 64], 1.0));
/// assert_eq!(net.velocity(&t, &x).shape()[..], [3, 64]);
/// let count: usize = net.leaves().iter().map(|leaf| leaf.shape().count()).sum();
/// assert_eq!(count, 97_897);
/// ```
///
/// The numbers: those of the [blocks](ResidualBlock), `9ab + b` for each
/// shrinking and `9ab + a` for each growing between levels of `a` and `b`
/// channels, and with `a` channels on the finest level `9Ca + a` for the stem,
/// `2a + 9aC + C` for the head, `FE + E` for `F` features of the time, and
/// `(K + 1)E` for `K > 0` classes.
#[derive(Clone, Debug)]
pub struct UNet<A: Algebra> {
    /// From the features of the time to the vector that all blocks see.
    pub embedding: Dense<A>,
    /// Added to that vector, if there are classes.
    pub class: Option<ClassEmbedding<A>>,
    /// From the image to the channels of the first level.
    pub stem: Conv2d<A>,
    /// All levels but the coarsest, finest first.
    pub levels: Vec<Level<A>>,
    /// The coarsest level.
    pub middle: ResidualBlock<A>,
    /// Before the head.
    pub norm: GroupNorm<A>,
    /// From the channels of the first level to the velocity of each pixel.
    pub head: Conv2d<A>,
    /// Channels and extents of an image.
    pub image: [usize; 3],
    /// How the time enters.
    pub time: TimeFeatures,
}

impl<F: Real> UNet<Cpu<F>> {
    /// A network of these sizes. Each layer is drawn at its own step.
    ///
    /// # Panics
    /// If there is no level, if an extent cannot be halved for each level, or
    /// if the groups do not divide all channels.
    #[track_caller]
    #[must_use]
    pub fn new(config: &UNetConfig, draw: Draw) -> Self {
        let [c, height, width] = config.image;
        let channels = &config.channels;
        let halvings = channels.len().saturating_sub(1) as u32;
        let divides = |n: usize| {
            1usize
                .checked_shl(halvings)
                .is_some_and(|m| n.is_multiple_of(m))
        };
        assert!(
            !channels.is_empty() && divides(height) && divides(width),
            "UNet: images of {height} by {width} cannot be halved between {} levels",
            channels.len()
        );
        let mut next = draw.step;
        let mut steps = |count: u32| {
            let own = draw.step(next);
            next += count;
            own
        };
        let same = Convolution {
            padding: [1, 1],
            ..Convolution::default()
        };
        let halving = Convolution {
            stride: [2, 2],
            ..same
        };
        let (e, groups) = (config.width, config.groups);
        let per_block = ResidualBlock::<Cpu<F>>::STEPS;
        let embedding = Dense::new(config.time.count(), e, steps(1));
        let class = steps(1);
        let class = (config.classes > 0).then(|| ClassEmbedding::new(config.classes, e, class));
        let stem = Conv2d::new(c, channels[0], [3, 3], same, steps(1));
        let mut levels = Vec::new();
        for pair in channels.windows(2) {
            let [a, b] = [pair[0], pair[1]];
            levels.push(Level {
                down: ResidualBlock::new([a, a], e, groups, steps(per_block)),
                shrink: Conv2d::new(a, b, [3, 3], halving, steps(1)),
                grow: Conv2d::new(b, a, [3, 3], same, steps(1)),
                up: ResidualBlock::new([2 * a, a], e, groups, steps(per_block)),
            });
        }
        let coarsest = channels[channels.len() - 1];
        UNet {
            embedding,
            class,
            stem,
            levels,
            middle: ResidualBlock::new([coarsest, coarsest], e, groups, steps(per_block)),
            norm: GroupNorm::new(channels[0], groups),
            head: Conv2d::new(channels[0], c, [3, 3], same, steps(1)),
            image: config.image,
            time: config.time,
        }
    }
}

impl<A: Algebra> Level<A> {
    /// On the way down: what is kept for the way up.
    #[track_caller]
    #[must_use]
    pub fn descend(&self, x: &Tensor<A>, e: &Tensor<A>) -> Tensor<A> {
        self.down.apply(x, e)
    }

    /// What is kept, as the next level is given it: half the extents.
    #[track_caller]
    #[must_use]
    pub fn coarser(&self, kept: &Tensor<A>) -> Tensor<A> {
        self.shrink.apply(kept)
    }

    /// On the way up, from what the next level gave and what was kept.
    #[track_caller]
    #[must_use]
    pub fn ascend(&self, below: &Tensor<A>, kept: &Tensor<A>, e: &Tensor<A>) -> Tensor<A> {
        let finer = self.grow.apply(&below.upsample_nearest2d([2, 2]));
        self.up.apply(&Tensor::concat(&[&finer, kept], 1), e)
    }
}

impl<A: Algebra> UNet<A> {
    /// `v(t, x)` for times `t` of shape `[B, 1]` and images `x` of
    /// `[B, C·H·W]`; of no class, if the network has classes.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    #[must_use]
    pub fn velocity(&self, t: &Tensor<A>, x: &Tensor<A>) -> Tensor<A> {
        // One row for all images, and not gathered: row numbers made at each
        // call are new to a GPU each time.
        let class = self.class.as_ref();
        let none = class.map(|class| class.table.slice(0, class.none(), 1));
        self.velocity_with(t, x, none)
    }

    /// `v(t, x | class)`: as [`velocity`](Self::velocity), for a class in each
    /// row. The number of classes itself means no class.
    ///
    /// # Panics
    /// If the shapes do not fit, or the network has no such class.
    #[track_caller]
    #[must_use]
    pub fn velocity_of_class(&self, t: &Tensor<A>, x: &Tensor<A>, classes: &Index) -> Tensor<A> {
        let Some(class) = &self.class else {
            panic!("UNet: a class was given to a network without classes");
        };
        self.velocity_with(t, x, Some(class.of(classes)))
    }

    #[track_caller]
    fn velocity_with(&self, t: &Tensor<A>, x: &Tensor<A>, class: Option<Tensor<A>>) -> Tensor<A> {
        let [c, height, width] = self.image;
        let (shape, times) = (x.shape(), t.shape());
        assert!(
            shape.rank() == 2 && shape[1] == c * height * width && times[..] == [shape[0], 1],
            "UNet: times {times} and points {shape}: [B, 1] and [B, {c}·{height}·{width}] were expected"
        );
        let mut e = self.embedding.apply(&self.time.of(t), None);
        if let Some(class) = class {
            e = e + class;
        }
        let e = e.unary(Unary::Silu);
        let mut h = self.stem.apply(&x.reshape(&[shape[0], c, height, width]));
        let mut kept = Vec::new();
        for level in &self.levels {
            let own = level.descend(&h, &e);
            h = level.coarser(&own);
            kept.push(own);
        }
        h = self.middle.apply(&h, &e);
        for (level, kept) in self.levels.iter().zip(&kept).rev() {
            h = level.ascend(&h, kept, &e);
        }
        self.head.apply(&self.norm.apply(&h).silu()).reshape(&shape)
    }
}

crate::tree!(Level {
    down,
    shrink,
    grow,
    up
});

crate::tree!(UNet { embedding, class, stem, levels, middle, norm, head; image, time });
