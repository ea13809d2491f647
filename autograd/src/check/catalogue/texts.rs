//! **Texts**: programs that use the operations of [`Tensor`] by name, a line
//! each.

use super::Class;
use crate::algebra::{Algebra, Transpose};
use crate::check::{Plain, Program, sample};
use crate::checkpoint::checkpoint;
use crate::cpu::Cpu;
use crate::index::Index;
use crate::nn::{
    ClassEmbedding, Conv2d, Dense, GroupNorm, LayerNorm, Mlp, ResidualBlock, ResidualMlp,
    TimeFeatures,
};
use crate::operations::{Convolution, Pooling, Triangle};
use crate::philox::Draw;
use crate::pointwise::Unary;
use crate::primitive::Primitive;
use crate::real::Real;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tree::Tree;

/// Writes the enum of texts, what is known of each, and the program.
macro_rules! texts {
    ($( $variant:ident, $name:literal, $class:ident, [$($point:expr),* $(,)?], |$x:ident| $program:expr; )*) => {
        /// A program that uses an operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the name and the program say it")]
        pub enum Text { $( $variant ),* }

        impl Text {
            /// All of them.
            pub const ALL: &'static [Text] = &[ $( Text::$variant ),* ];

            /// The name of the operation.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Text::$variant => $name ),* }
            }

            /// What its derivative is.
            #[must_use]
            pub fn class(self) -> Class {
                match self { $( Text::$variant => Class::$class ),* }
            }

            /// The source of the program.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $( Text::$variant => stringify!($program) ),* }
            }

            /// Where it is checked.
            #[must_use]
            pub fn points(self) -> Vec<Vec<Plain>> {
                match self { $( Text::$variant => vec![$($point),*] ),* }
            }
        }

        impl Program for Text {
            fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
                match self { $( Text::$variant => { let $x = x; $program } )* }
            }
        }
    };
}

/// Inputs of these shapes, of both signs.
fn reals(shapes: &[&[usize]]) -> Vec<Plain> {
    between(-1.0, 1.0, shapes)
}

/// Inputs of these shapes, away from 0.
fn positives(shapes: &[&[usize]]) -> Vec<Plain> {
    between(0.5, 2.0, shapes)
}

/// Inputs of these shapes in an interval, no two alike.
fn between(low: f64, high: f64, shapes: &[&[usize]]) -> Vec<Plain> {
    let shapes = shapes.iter().zip(1..);
    shapes
        .map(|(shape, salt)| sample(shape, (low, high), salt))
        .collect()
}

/// One input of at most thirty elements that lie far enough apart, so that no
/// step of the differences changes their order.
fn spread(shape: &[usize]) -> Vec<Plain> {
    let count: usize = shape.iter().product();
    // Five generates all residues of either prime.
    let prime = if count <= 7 { 7 } else { 31 };
    let numbers = (0..count).map(|k| 0.5 * ((5 * k + 2) % prime) as f64 - 1.0);
    vec![Tensor::new(shape, numbers.collect())]
}

/// Two inputs of one shape; the first has both signs and keeps away from 0 by
/// more than the steps of the differences.
fn beside_zero(shape: &[usize]) -> Vec<Plain> {
    let signed = |x: f64| f64::from((x + 0.5_f64.copysign(x)) as f32);
    let mut inputs = reals(&[shape, shape]);
    inputs[0]
        .as_mut_slice()
        .iter_mut()
        .for_each(|x| *x = signed(*x));
    inputs
}

/// Two inputs whose difference, of the first and an eighth of the second, is
/// on both sides of ±1 and keeps away from it.
fn on_both_sides() -> Vec<Plain> {
    let mut inputs = reals(&[&[2, 3], &[2, 3]]);
    let spread = inputs[0]
        .as_mut_slice()
        .iter_mut()
        .zip([0.0, 2.5, -2.5, -2.0, 0.0, 2.0]);
    spread.for_each(|(x, centre)| *x = f64::from((0.25 * *x + centre) as f32));
    inputs
}

/// A matrix `[3, 3]` near twice the identity, and a second input if its shape
/// has axes.
fn definite(second: &[usize]) -> Vec<Plain> {
    let mut inputs = reals(&[&[3, 3], second]);
    for (place, x) in inputs[0].as_mut_slice().iter_mut().enumerate() {
        let diagonal = if place % 4 == 0 { 2.0 } else { 0.0 };
        *x = f64::from((0.5 * *x + diagonal) as f32);
    }
    inputs.truncate(1 + second.len().min(1));
    inputs
}

fn index(rows: &[usize]) -> Index {
    Index::new(rows.to_vec())
}

#[rustfmt::skip]
texts! {
    // Linear.
    Scale,       "scale",         Linear,    [reals(&[&[2, 3]]), reals(&[&[]]), reals(&[&[0, 2]])], |x| -1.75 * &x[0];
    Reshape,     "reshape",       Linear,    [reals(&[&[2, 3]]), reals(&[&[0, 2]])],         |x| { let s = x[0].shape(); x[0].reshape(&[s[1], 1, s[0]]) };
    Permute,     "permute",       Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[2, 0, 3]])],   |x| x[0].permute(&[2, 0, 1]);
    Transposed,  "t",             Linear,    [reals(&[&[2, 3]]), reals(&[&[0, 3]])],         |x| x[0].t();
    BroadcastTo, "broadcast_to",  Linear,    [reals(&[&[2, 1, 3]]), reals(&[&[3]]), reals(&[&[]])], |x| x[0].broadcast_to(&[2, 4, 3]);
    Sum,         "sum",           Linear,    [reals(&[&[2, 3]]), reals(&[&[]]), reals(&[&[0, 2]])], |x| x[0].sum();
    SumAxis,     "sum_axis",      Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[2, 0]])],      |x| x[0].sum_axis(1);
    SumAxisKeep, "sum_axis_keep", Linear,    [reals(&[&[2, 3]]), reals(&[&[0, 2]])],         |x| x[0].sum_axis_keep(0);
    Mean,        "mean",          Linear,    [reals(&[&[2, 3]]), reals(&[&[]])],             |x| x[0].mean();
    MeanAxis,    "mean_axis",     Linear,    [reals(&[&[2, 3]]), reals(&[&[2, 0]])],         |x| x[0].mean_axis(0);
    Slice,       "slice",         Linear,    [reals(&[&[2, 5, 3]]), reals(&[&[0, 5]])],      |x| x[0].slice(1, 1, 3);
    Pad,         "pad",           Linear,    [reals(&[&[2, 2, 3]]), reals(&[&[2, 0]])],      |x| x[0].pad(1, 1, 2);
    Gather,      "gather",        Linear,    [reals(&[&[3, 2]]), reals(&[&[3]]), reals(&[&[3, 0]])], |x| x[0].gather(&index(&[2, 0, 2, 1]));
    ScatterAdd,  "scatter_add",   Linear,    [reals(&[&[4, 2]]), reals(&[&[4]]), reals(&[&[4, 0]])], |x| x[0].scatter_add(&index(&[2, 0, 2, 1]), 5);
    Flip,        "flip",          Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[2, 0]])],      |x| x[0].flip(1);
    Cumsum,      "cumsum",        Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[2, 0]])],      |x| x[0].cumsum(1);
    IndexSelect, "index_select",  Linear,    [reals(&[&[2, 3, 5]]), reals(&[&[0, 3]])],      |x| x[0].index_select(1, &index(&[2, 0, 2, 1]));
    IndexAdd,    "index_add",     Linear,    [reals(&[&[2, 4, 5]]), reals(&[&[0, 4]])],      |x| x[0].index_add(1, &index(&[2, 0, 2, 1]), 3);
    TakeAlong,   "take_along_axis", Linear,  [reals(&[&[2, 3]])],                            |x| x[0].take_along_axis(1, &index(&[2, 0, 0, 1]), 2);
    OneHot,      "one_hot",       Linear,    [reals(&[&[4, 3]])],                            |x| x[0].one_hot(&index(&[2, 0, 2]), 4).matmul(&x[0]);
    // Places 0, 2, 4 and 3, 5, 7 of eight or nine.
    Unfold,      "unfold",        Linear,    [reals(&[&[2, 9, 3]]), reals(&[&[8]]), reals(&[&[0, 8]])], |x| x[0].unfold(x[0].rank().min(2) - 1, 3, 3, 2);
    Fold,        "fold",          Linear,    [reals(&[&[2, 2, 3, 5]]), reals(&[&[0, 2, 3]])], |x| x[0].fold(1, 3, 2, 9);
    FoldOverlap, "fold, overlapping", Linear, [reals(&[&[3, 4]])],                           |x| x[0].fold(0, 1, 2, 9);
    Diagonal,    "diagonal",      Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[4, 3]]), reals(&[&[0, 3]])], |x| x[0].diagonal();
    EmbedDiag,   "embed_diagonal", Linear,   [reals(&[&[2, 3]]), reals(&[&[2, 0]])],         |x| x[0].embed_diagonal();
    Roll,        "roll",          Linear,    [reals(&[&[2, 5, 3]]), reals(&[&[2, 0]])],      |x| x[0].roll(1, -3);
    Unsqueeze,   "unsqueeze",     Linear,    [reals(&[&[2, 3]]), reals(&[&[0, 2]])],         |x| x[0].unsqueeze(1);
    Squeeze,     "squeeze",       Linear,    [reals(&[&[2, 1, 3]])],                         |x| x[0].squeeze(1);
    SwapAxes,    "swap_axes",     Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[0, 3, 2]])],   |x| x[0].swap_axes(0, 2);
    Stack,       "stack",         Linear,    [reals(&[&[2, 3], &[2, 3]]), reals(&[&[], &[]])], |x| Tensor::stack(&[&x[0], &x[1], &x[0]], x[0].rank() / 2);
    Split,       "split",         Linear,    [reals(&[&[2, 3]]), reals(&[&[0, 3]])],         |x| { let parts = x[0].split(1, &[1, 2]); &parts[1] - &parts[0] };
    Concat,      "concat",        Linear,    [reals(&[&[2, 3], &[2, 5]]), reals(&[&[2, 0], &[2, 3]])], |x| Tensor::concat(&[&x[0], &x[1], &x[0]], 1);
    Select,      "select",        Linear,    [beside_zero(&[2, 3]), beside_zero(&[]), beside_zero(&[0, 2])], |x| { let low = x[0].lt(&x[0].zeros_like()); Tensor::select(&low, &x[1], &x[0]) };

    Tril,        "tril",          Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[0, 3]])],      |x| x[0].tril(1);
    Triu,        "triu",          Linear,    [reals(&[&[2, 3, 4]]), reals(&[&[0, 3]])],      |x| x[0].triu(-1);

    Resize,      "resize_nearest", Linear,   [reals(&[&[2, 3, 2]]), reals(&[&[0, 3]])],      |x| x[0].resize_nearest(1, 5);
    Upsample1d,  "upsample_nearest1d", Linear, [reals(&[&[2, 1, 3]])],                       |x| x[0].upsample_nearest1d(2);
    Upsample2d,  "upsample_nearest2d", Linear, [reals(&[&[1, 2, 2, 3]])],                    |x| x[0].upsample_nearest2d([3, 2]);
    AvgPool1d,   "avg_pool1d",    Linear,    [reals(&[&[2, 3, 5]]), reals(&[&[0, 3, 5]])],   |x| x[0].avg_pool1d(Pooling { kernel: [3], stride: [2], padding: [1] });
    AvgPool2d,   "avg_pool2d",    Linear,    [reals(&[&[1, 2, 3, 5]])],                      |x| x[0].avg_pool2d(Pooling { kernel: [2, 3], stride: [1, 2], padding: [1, 0] });

    // Bilinear.
    Matmul,      "matmul",        Bilinear,  [reals(&[&[2, 3], &[3, 4]]), reals(&[&[2, 0], &[0, 3]])], |x| x[0].matmul(&x[1]);
    MatmulStack, "matmul, stacks", Bilinear, [reals(&[&[2, 1, 3, 4], &[5, 4, 2]]), reals(&[&[2, 3, 4], &[4, 5]]), reals(&[&[0, 3, 4], &[0, 4, 2]])], |x| x[0].matmul(&x[1]);
    // Reverse over reverse of this one meets every combination of transposes.
    MatmulTwice, "matmul, transposed", Bilinear, [reals(&[&[2, 3], &[3, 4]])],               |x| x[0].matmul(&x[1]).matmul(&x[1].t());

    Einsum,      "einsum",        Bilinear,  [reals(&[&[2, 3, 4], &[4, 2]]), reals(&[&[0, 3, 4], &[4, 0]])], |x| Tensor::einsum("bij,jb->ib", &x[0], &x[1]);
    EinsumTrace, "einsum, diagonal", Bilinear, [reals(&[&[3, 3, 2], &[2, 4]])],              |x| Tensor::einsum("iij,jk->k", &x[0], &x[1]);

    Conv1d,      "conv1d",        Bilinear,  [reals(&[&[2, 2, 7], &[4, 1, 3], &[4]]), reals(&[&[0, 2, 7], &[4, 1, 3], &[4]])], |x| x[0].conv1d(&x[1], Some(&x[2]), ONE_WAY);
    Conv2d,      "conv2d",        Bilinear,  [reals(&[&[1, 2, 3, 5], &[3, 2, 2, 3], &[3]])], |x| x[0].conv2d(&x[1], Some(&x[2]), TWO_WAYS);
    ConvBack1d,  "conv_transpose1d", Bilinear, [reals(&[&[2, 4, 3], &[4, 1, 3], &[2]])],     |x| x[0].conv_transpose1d(&x[1], Some(&x[2]), ONE_WAY, [0]);
    ConvBack2d,  "conv_transpose2d", Bilinear, [reals(&[&[1, 3, 3, 2], &[3, 2, 2, 3], &[2]])], |x| x[0].conv_transpose2d(&x[1], Some(&x[2]), TWO_WAYS, [0, 1]);

    // Composite.
    Arithmetic,  "operators with numbers", Composite, [positives(&[&[2, 3]]), positives(&[&[]])], |x| 1.0 - &x[0] / 3.0 + 2.0 / &x[0] - 0.5;
    Powi,        "powi(-2)",      Composite, [positives(&[&[2, 3]])],                        |x| x[0].powi(-2);
    Digamma,     "digamma",       Pointwise, [between(1.5, 3.0, &[&[2, 3]])],                |x| x[0].digamma();
    Var,         "var",           Composite, [reals(&[&[2, 3]])],                            |x| x[0].var(1.0);
    VarAxis,     "var_axis",      Composite, [reals(&[&[2, 3]]), reals(&[&[0, 3]])],         |x| x[0].var_axis(1, 0.0);
    Max,         "max",           Composite, [spread(&[2, 3]), spread(&[])],                 |x| x[0].max();
    MaxAxis,     "max_axis",      Composite, [spread(&[2, 3]), spread(&[0, 3])],             |x| x[0].max_axis(1);
    Min,         "min",           Composite, [spread(&[2, 3]), spread(&[])],                 |x| x[0].min();
    MinAxis,     "min_axis",      Composite, [spread(&[2, 3]), spread(&[0, 3])],             |x| x[0].min_axis(0);
    Prod,        "prod",          Composite, [reals(&[&[2, 3]]), reals(&[&[0]]), reals(&[&[]])], |x| x[0].prod();
    ProdAxis,    "prod_axis",     Composite, [reals(&[&[2, 5]]), reals(&[&[2, 0]])],         |x| x[0].prod_axis(1);
    MaxPool1d,   "max_pool1d",    Composite, [spread(&[1, 1, 7]), spread(&[0, 1, 7])],       |x| x[0].max_pool1d(Pooling { kernel: [3], stride: [2], padding: [1] });
    MaxPool2d,   "max_pool2d",    Composite, [spread(&[1, 2, 3, 5])],                        |x| x[0].max_pool2d(Pooling { kernel: [2, 3], stride: [1, 2], padding: [1, 0] });
    Norm,        "norm",          Composite, [positives(&[&[2, 3]])],                        |x| x[0].norm();
    NormAxis,    "norm_axis",     Composite, [positives(&[&[2, 3]]), positives(&[&[2, 0]])], |x| x[0].norm_axis(0);
    LogSoftmax,  "log_softmax",   Composite, [reals(&[&[2, 3]]), reals(&[&[0, 3]])],         |x| x[0].log_softmax(1);
    Logsumexp,   "logsumexp",     Composite, [reals(&[&[2, 3]]), reals(&[&[0, 3]])],         |x| x[0].logsumexp(1);
    Softmax,     "softmax",       Composite, [reals(&[&[2, 3]]), reals(&[&[0, 3]])],         |x| x[0].softmax(1);
    SoftmaxWhere, "softmax_where", Composite, [reals(&[&[2, 3]])],                           |x| x[0].softmax_where(1, &x[0].causal_mask(2, 3));
    Attention,   "attention",     Composite, [reals(&[&[2, 3], &[4, 3], &[4, 5]]), reals(&[&[0, 3], &[4, 3], &[4, 5]])], |x| x[0].attention(&x[1], &x[2], None);
    Causal,      "attention, causal", Composite, [reals(&[&[3, 2], &[4, 2], &[4, 1]])],      |x| x[0].attention(&x[1], &x[2], Some(&x[0].causal_mask(3, 4)));
    LayerNorm,   "layer_norm",    Composite, [reals(&[&[2, 3], &[3], &[3]]), reals(&[&[0, 3], &[3], &[3]])], |x| x[0].layer_norm(0.25, Some(&x[1]), Some(&x[2]));
    RmsNorm,     "rms_norm",      Composite, [reals(&[&[2, 3], &[3]]), reals(&[&[0, 3], &[3]])], |x| x[0].rms_norm(0.25, Some(&x[1]));
    GroupNorm,   "group_norm",    Composite, [reals(&[&[2, 4, 3], &[4], &[4]])],             |x| x[0].group_norm(2, 0.25, Some(&x[1]), Some(&x[2]));
    Mse,         "mse",           Composite, [reals(&[&[2, 3], &[2, 3]])],                   |x| x[0].mse(&x[1]);
    Mae,         "mae",           Composite, [beside_zero(&[2, 3])],                         |x| x[0].mae(&(0.125 * &x[1]));
    Huber,       "huber",         Composite, [on_both_sides()],                              |x| x[0].huber(&(0.125 * &x[1]), 1.0);
    CrossRows,   "cross_entropy_rows", Composite, [reals(&[&[2, 3]])],                       |x| x[0].cross_entropy_rows(&index(&[2, 0]));
    CrossEntropy, "cross_entropy", Composite, [reals(&[&[2, 3]])],                           |x| x[0].cross_entropy(&index(&[2, 0]));
    BinaryCross, "binary_cross_entropy", Composite, [reals(&[&[2, 3], &[2, 3]])],            |x| x[0].binary_cross_entropy(&x[1]);
    Triangular,  "solve_triangular", Composite, [definite(&[3, 2])],                         |x| x[0].solve_triangular(&x[1], Triangle::Lower, Transpose::No);
    UpperSolve,  "solve_triangular, upper", Composite, [definite(&[3, 2])],                  |x| x[0].solve_triangular(&x[1], Triangle::Upper, Transpose::Yes);
    Cholesky,    "cholesky",      Composite, [definite(&[])],                                |x| x[0].cholesky();
    SolveSpd,    "solve_spd",     Composite, [definite(&[3, 2])],                            |x| x[0].solve_spd(&x[1]);
    Logdet,      "logdet",        Composite, [definite(&[])],                                |x| x[0].logdet();
    Checkpoint,  "checkpoint",    Composite, [reals(&[&[2, 3]])],                            |x| checkpoint(&Text::Softmax, x);
    DenseLinear, "dense",         Composite, [reals(&[&[2, 3], &[3, 4], &[4]]), reals(&[&[0, 3], &[3, 4], &[4]])], |x| x[0].dense(&x[1], &x[2], None);
    DenseTanh,   "dense, tanh",   Composite, [reals(&[&[2, 3], &[3, 4], &[4]])],             |x| x[0].dense(&x[1], &x[2], Some(Unary::Tanh));
    DenseSilu,   "dense, silu",   Composite, [reals(&[&[2, 3], &[3, 4], &[4]])],             |x| x[0].dense(&x[1], &x[2], Some(Unary::Silu));

    // Models.
    DenseModel,  "Dense",         Composite, [reals(&[&[2, 3], &[3, 4], &[4]])],             |x| Dense { weight: x[1].clone(), bias: x[2].clone() }.apply(&x[0], Some(Unary::Silu));
    Features,    "TimeFeatures",  Composite, [between(0.1, 0.9, &[&[3, 1]])],                |x| TimeFeatures::Fourier(1).of(&x[0]);
    Network,     "Mlp",           Composite, [network_and_inputs()],                         |x| with_leaves(&network(), &x[2..]).velocity(&x[0], &x[1]);

    ConvModel,   "Conv2d",        Composite, [reals(&[&[1, 2, 3, 5], &[3, 2, 2, 3], &[3]])], |x| Conv2d { weight: x[1].clone(), bias: x[2].clone(), how: TWO_WAYS }.apply(&x[0]);
    Embedding,   "ClassEmbedding", Composite, [reals(&[&[3, 2]])],                           |x| ClassEmbedding { table: x[0].clone() }.of(&index(&[2, 0, 2, 1]));
    LayerModel,  "LayerNorm",     Composite, [reals(&[&[2, 3], &[3], &[3]])],                |x| LayerNorm { scale: x[1].clone(), shift: x[2].clone() }.apply(&x[0]);
    GroupModel,  "GroupNorm",     Composite, [reals(&[&[1, 4, 2, 3], &[4], &[4]])],          |x| GroupNorm { scale: x[1].clone(), shift: x[2].clone(), groups: 2 }.apply(&x[0]);
    Block,       "ResidualBlock", Composite, [block_and_inputs()],                           |x| with_leaves(&block(), &x[2..]).apply(&x[0], &x[1]);
    Residual,    "ResidualMlp",   Composite, [residual_and_inputs()],                        |x| with_leaves(&residual(), &x[2..]).velocity(&x[0], &x[1]);

    // The user's own.
    Custom,      "primitive",     Custom,    [reals(&[&[2, 3], &[3]])],                      |x| Tensor::primitive(&Outer, &[x[0].clone(), x[1].clone()]);
}

/// Every number differs from every other where it can.
const ONE_WAY: Convolution<1> = Convolution {
    stride: [2],
    padding: [1],
    dilation: [2],
    groups: 2,
};
const TWO_WAYS: Convolution<2> = Convolution {
    stride: [1, 2],
    padding: [1, 0],
    dilation: [2, 1],
    groups: 1,
};

fn block() -> ResidualBlock<Cpu<f64>> {
    ResidualBlock::new([2, 3], 2, 1, Draw::seed(4))
}

fn block_and_inputs() -> Vec<Plain> {
    // Far from the singularity of the normalisation, where nothing varies.
    let mut inputs = between(-4.0, 4.0, &[&[1, 2, 2, 3], &[1, 2]]);
    inputs.extend(block().leaves());
    inputs
}

fn network() -> Mlp<Cpu<f64>> {
    let time = TimeFeatures::Plain;
    Mlp::new(2, &[5, 4], 2, time, Unary::Silu, Draw::seed(3))
}

fn network_and_inputs() -> Vec<Plain> {
    let mut inputs = between(0.0, 1.0, &[&[3, 1]]);
    inputs.extend(reals(&[&[3, 2]]));
    inputs.extend(network().leaves());
    inputs
}

fn residual() -> ResidualMlp<Cpu<f64>> {
    let time = TimeFeatures::Plain;
    ResidualMlp::new(2, 5, 1, 4, 2, time, Unary::Silu, Draw::seed(5))
}

/// All parameters away from where they begin, which is 0 for some.
fn residual_and_inputs() -> Vec<Plain> {
    let leaves = residual().leaves();
    let mut shapes = vec![Shape::new(&[3, 1]), Shape::new(&[3, 2])];
    shapes.extend(leaves.iter().map(Tensor::shape));
    let shapes: Vec<&[usize]> = shapes.iter().map(|s| &s[..]).collect();
    let mut inputs = between(-4.0, 4.0, &shapes[..2]);
    inputs.extend(reals(&shapes[2..]));
    inputs
}

/// The model with these tensors for its parameters.
fn with_leaves<M: Tree<Cpu<f64>>, A: Algebra>(model: &M, leaves: &[Tensor<A>]) -> M::With<A> {
    let mut leaves = leaves.iter();
    model.map(&mut |_| leaves.next().expect("a tensor for each leaf").clone())
}

/// A user's operation: `y_ij = x_ij²·c_j`.
#[derive(Clone, Debug)]
struct Outer;

impl Primitive for Outer {
    fn name(&self) -> &'static str {
        "outer"
    }
    fn value<F: Real>(&self, x: &[Tensor<Cpu<F>>]) -> Tensor<Cpu<F>> {
        x[0].square() * &x[1]
    }
    fn push<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        input: usize,
        v: Tensor<A>,
    ) -> Tensor<A> {
        match input {
            0 => 2.0 * &x[0] * &x[1] * v,
            _ => x[0].square() * v,
        }
    }
    fn pull<A: Algebra>(
        &self,
        x: &[Tensor<A>],
        _: &Tensor<A>,
        input: usize,
        w: Tensor<A>,
    ) -> Tensor<A> {
        match input {
            0 => 2.0 * &x[0] * &x[1] * w,
            _ => (x[0].square() * w).sum_axis(0),
        }
    }
}
