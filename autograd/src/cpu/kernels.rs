//! **Kernels**: the loops of the CPU, compiled once for `f32` and `f64`.
//!
//! The formula sheet is generic; this is where it is instantiated, inside
//! functions compiled for the vector units the machine turns out to have
//! ([`dispatch`]).

use super::dense::{Layer, column_sums, dense_f32, dense_f64};
use super::dispatch::{Job, dispatch};
use super::gemm::{gemm_f32, gemm_f64};
use crate::algebra::Transpose;
use crate::num::Num;
use crate::optimiser::AdamStep;
use crate::pointwise::{Binary, Function, Unary, UnaryVisitor, for_each_binary};
use crate::real::Real;

/// The loops one number type needs. The trait is public in name only: its
/// module is private, which seals [`Real`].
pub trait Kernels: Copy + Sized + Send + Sync + 'static {
    /// `f(x)`.
    fn unary(op: Unary, x: &[Self]) -> Vec<Self>;
    /// `x ← f(x)`.
    fn unary_in_place(op: Unary, x: &mut [Self]);
    /// `v ∘ f'(x)`, with `y = f(x)`.
    fn chain(op: Unary, v: &[Self], x: &[Self], y: &[Self]) -> Vec<Self>;
    /// `v ← v ∘ f'(x)`.
    fn chain_in_place(op: Unary, v: &mut [Self], x: &[Self], y: &[Self]);
    /// `op(a, b)`.
    fn binary(op: Binary, a: &[Self], b: &[Self]) -> Vec<Self>;
    /// `a ← op(a, b)`.
    fn binary_left(op: Binary, a: &mut [Self], b: &[Self]);
    /// `b ← op(a, b)`.
    fn binary_right(op: Binary, a: &[Self], b: &mut [Self]);
    /// `C ← op(A)·op(B)`, with `[m, n, k]` the extents of the product.
    fn gemm(t: [Transpose; 2], mnk: [usize; 3], a: &[Self], b: &[Self], c: &mut [Self]);
    /// `z ← x·w + b`, `h ← f(z)`, by blocks of rows.
    fn dense(layer: Layer<'_, Self>, f: Option<Unary>, z: Option<&mut [Self]>, h: &mut [Self]);
    /// One step of Adam for each parameter.
    fn adam(step: AdamStep<Self>, theta: &mut [Self], g: &[Self], m: &mut [Self], v: &mut [Self]);
    /// The sum of each column of a matrix with `out.len()` columns.
    fn column_sums(g: &[Self], out: &mut [Self]);
}

/// A pointwise loop, ready to be compiled for each instruction set.
struct Loop<F, B> {
    f: F,
    buffers: B,
}

struct Fresh<'a, N>(&'a [N]);
struct InPlace<'a, N>(&'a mut [N]);
struct ChainFresh<'a, N>(&'a [N], &'a [N], &'a [N]);
struct ChainInPlace<'a, N>(&'a mut [N], &'a [N], &'a [N]);

impl<N: Num + Copy, F: Function> Job for Loop<F, Fresh<'_, N>> {
    type Out = Vec<N>;
    #[inline(always)]
    fn run(self) -> Vec<N> {
        self.buffers.0.iter().map(|&x| self.f.value(x)).collect()
    }
}
impl<N: Num + Copy, F: Function> Job for Loop<F, InPlace<'_, N>> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for x in self.buffers.0 {
            *x = self.f.value(*x);
        }
    }
}
impl<N: Num + Copy, F: Function> Job for Loop<F, ChainFresh<'_, N>> {
    type Out = Vec<N>;
    #[inline(always)]
    fn run(self) -> Vec<N> {
        let ChainFresh(v, x, y) = self.buffers;
        let points = v.iter().zip(x).zip(y);
        points
            .map(|((&v, &x), &y)| v * self.f.slope(x, y))
            .collect()
    }
}
impl<N: Num + Copy, F: Function> Job for Loop<F, ChainInPlace<'_, N>> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let ChainInPlace(v, x, y) = self.buffers;
        for ((v, &x), &y) in v.iter_mut().zip(x).zip(y) {
            *v = *v * self.f.slope(x, y); // (AD.1)
        }
    }
}

/// Meets a function of the sheet and runs a loop with it.
struct Run<B>(B);
impl<B> UnaryVisitor for Run<B>
where
    B: LoopBuffers,
{
    type Out = B::Out;
    #[inline(always)]
    fn visit<F: Function>(self, f: F) -> B::Out {
        B::run(self.0, f)
    }
}

/// The buffers of a loop know which loop they belong to.
trait LoopBuffers: Sized {
    type Out;
    fn run<F: Function>(self, f: F) -> Self::Out;
}

macro_rules! loop_buffers {
    ($($buffers:ident => $out:ty;)*) => { $(
        impl<N: Num + Copy> LoopBuffers for $buffers<'_, N> {
            type Out = $out;
            fn run<F: Function>(self, f: F) -> $out {
                dispatch(Loop { f, buffers: self })
            }
        }
    )* };
}
loop_buffers! {
    Fresh => Vec<N>;
    InPlace => ();
    ChainFresh => Vec<N>;
    ChainInPlace => ();
}

/// A loop over pairs.
struct Pairs<'a, N, const OP: u8>(&'a [N], &'a [N]);
struct PairsLeft<'a, N, const OP: u8>(&'a mut [N], &'a [N]);
struct PairsRight<'a, N, const OP: u8>(&'a [N], &'a mut [N]);

impl<N: Num + Copy, const OP: u8> Job for Pairs<'_, N, OP> {
    type Out = Vec<N>;
    #[inline(always)]
    fn run(self) -> Vec<N> {
        let op = Binary::ALL[OP as usize];
        let pairs = self.0.iter().zip(self.1);
        pairs.map(|(&a, &b)| op.value(a, b)).collect()
    }
}
impl<N: Num + Copy, const OP: u8> Job for PairsLeft<'_, N, OP> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let op = Binary::ALL[OP as usize];
        for (a, &b) in self.0.iter_mut().zip(self.1) {
            *a = op.value(*a, b);
        }
    }
}
impl<N: Num + Copy, const OP: u8> Job for PairsRight<'_, N, OP> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let op = Binary::ALL[OP as usize];
        for (&a, b) in self.0.iter().zip(self.1) {
            *b = op.value(a, *b);
        }
    }
}

struct AdamLoop<'a, N> {
    step: AdamStep<N>,
    theta: &'a mut [N],
    g: &'a [N],
    m: &'a mut [N],
    v: &'a mut [N],
}
impl<N: Real> Job for AdamLoop<'_, N> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let moments = self.m.iter_mut().zip(self.v);
        let parameters = self.theta.iter_mut().zip(self.g);
        for ((theta, &g), (m, v)) in parameters.zip(moments) {
            self.step.apply(theta, g, m, v);
        }
    }
}

macro_rules! kernels {
    ($float:ty, $gemm:path, $dense:path) => {
        impl Kernels for $float {
            fn unary(op: Unary, x: &[Self]) -> Vec<Self> {
                op.visit(Run(Fresh(x)))
            }
            fn unary_in_place(op: Unary, x: &mut [Self]) {
                op.visit(Run(InPlace(x)));
            }
            fn chain(op: Unary, v: &[Self], x: &[Self], y: &[Self]) -> Vec<Self> {
                op.visit(Run(ChainFresh(v, x, y)))
            }
            fn chain_in_place(op: Unary, v: &mut [Self], x: &[Self], y: &[Self]) {
                op.visit(Run(ChainInPlace(v, x, y)));
            }
            fn binary(op: Binary, a: &[Self], b: &[Self]) -> Vec<Self> {
                for_each_binary!(op, Pairs, a, b)
            }
            fn binary_left(op: Binary, a: &mut [Self], b: &[Self]) {
                for_each_binary!(op, PairsLeft, a, b);
            }
            fn binary_right(op: Binary, a: &[Self], b: &mut [Self]) {
                for_each_binary!(op, PairsRight, a, b);
            }
            fn gemm(t: [Transpose; 2], mnk: [usize; 3], a: &[Self], b: &[Self], c: &mut [Self]) {
                $gemm(t, mnk, a, b, c);
            }
            fn dense(
                layer: Layer<'_, Self>,
                f: Option<Unary>,
                z: Option<&mut [Self]>,
                h: &mut [Self],
            ) {
                struct Apply<'a> {
                    layer: Layer<'a, $float>,
                    z: Option<&'a mut [$float]>,
                    h: &'a mut [$float],
                }
                impl UnaryVisitor for Apply<'_> {
                    type Out = ();
                    #[inline(always)]
                    fn visit<F: Function>(self, f: F) {
                        $dense(self.layer, move |z| f.value(z), self.z, self.h);
                    }
                }
                match f {
                    Some(op) => op.visit(Apply { layer, z, h }),
                    None => $dense(layer, |z| z, z, h),
                }
            }
            fn adam(
                step: AdamStep<Self>,
                theta: &mut [Self],
                g: &[Self],
                m: &mut [Self],
                v: &mut [Self],
            ) {
                dispatch(AdamLoop {
                    step,
                    theta,
                    g,
                    m,
                    v,
                });
            }
            fn column_sums(g: &[Self], out: &mut [Self]) {
                column_sums(g, out);
            }
        }
    };
}

kernels!(f32, gemm_f32, dense_f32);
kernels!(f64, gemm_f64, dense_f64);
