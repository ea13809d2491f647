//! **Tensor**: the array type programs are written with.
//!
//! A `Tensor<A>` is an element of the algebra `A` with operators, methods,
//! broadcasting and shape checks. It is the only type a model names; what it
//! computes besides values is decided by `A`.
//!
//! Wrong shapes are programmer's errors: operators panic at the caller's line
//! with both shapes. Cloning is cheap: buffers are shared and immutable.

use crate::algebra::{Algebra, Compare, Transpose};
use crate::finite::checked;
use crate::index::Index;
use crate::linear::{End, Linear};
use crate::pointwise::{Binary, Unary};
use crate::primitive::Primitive;
use crate::shape::{MAX_RANK, Shape};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// An array of the algebra `A`.
///
/// ```
/// use autograd::{Cpu, Tensor};
/// let x = Tensor::<Cpu<f64>>::new(&[2, 1], vec![1.0, 2.0]);
/// let y = 1.0 - &x * &x.t(); // broadcasting as in numpy
/// assert_eq!(y.to_vec(), [0.0, -1.0, -1.0, -3.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Tensor<A: Algebra>(pub(crate) A);

/// Shape and constants.
impl<A: Algebra> Tensor<A> {
    /// The element of the algebra inside.
    #[must_use]
    pub fn inner(&self) -> &A {
        &self.0
    }

    /// The extents.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.0.shape()
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape().rank()
    }

    /// The extent of one axis.
    #[track_caller]
    #[must_use]
    pub fn size(&self, axis: usize) -> usize {
        self.check_axis("size", axis);
        self.shape()[axis]
    }

    /// The value without its derivatives (also called detach).
    #[must_use]
    pub fn stop(&self) -> Tensor<A::Base> {
        Tensor(self.0.stop())
    }

    /// A value whose derivatives are zero.
    #[must_use]
    pub fn constant(base: &Tensor<A::Base>) -> Self {
        Tensor(A::constant(base.0.clone()))
    }

    /// A constant made of these numbers, in the same algebra and place.
    ///
    /// # Panics
    /// If the numbers do not fill the shape.
    #[track_caller]
    #[must_use]
    pub fn lift(&self, shape: &[usize], numbers: &[f64]) -> Self {
        let shape = Shape::new(shape);
        assert!(
            shape.count() == numbers.len(),
            "lift: shape {shape} holds {} elements, {} given",
            shape.count(),
            numbers.len()
        );
        Tensor(A::constant(self.0.lift(&shape, numbers)))
    }

    /// A constant filled with `c`, in the same algebra and place.
    #[must_use]
    pub fn full_like(&self, shape: &[usize], c: f64) -> Self {
        Tensor(A::constant(self.0.full_like(&Shape::new(shape), c)))
    }

    /// Zeros of the same shape.
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        self.full_like(&self.shape(), 0.0)
    }

    /// Ones of the same shape.
    #[must_use]
    pub fn ones_like(&self) -> Self {
        self.full_like(&self.shape(), 1.0)
    }

    /// Whether no element is NaN or infinite, derivatives included.
    #[must_use]
    pub fn all_finite(&self) -> bool {
        self.0.all_finite()
    }

    #[track_caller]
    fn check_axis(&self, name: &str, axis: usize) {
        let shape = self.shape();
        assert!(
            axis < shape.rank(),
            "{name}: axis {axis} of an array of shape {shape} with {} axes",
            shape.rank()
        );
    }
}

/// Writes a method for each plain function of one number.
macro_rules! unary_methods {
    ($( $(#[$doc:meta])* $method:ident => $op:expr; )*) => {
        /// Functions of one number, for each element.
        impl<A: Algebra> Tensor<A> {
            $( $(#[$doc])* #[track_caller] #[must_use] pub fn $method(&self) -> Self { self.unary($op) } )*
        }
    };
}

unary_methods! {
    /// `1/x`.
    recip => Unary::Recip;
    /// `x²`.
    square => Unary::Square;
    /// `√x`; NaN below 0, slope ∞ at 0.
    sqrt => Unary::Sqrt;
    /// `eˣ`.
    exp => Unary::Exp;
    /// `ln x`; −∞ at 0, NaN below.
    ln => Unary::Ln;
    /// `sin x`, in radians.
    sin => Unary::Sin;
    /// `cos x`, in radians.
    cos => Unary::Cos;
    /// `tanh x`.
    tanh => Unary::Tanh;
    /// `σ(x) = 1/(1 + e⁻ˣ)`.
    sigmoid => Unary::Sigmoid;
    /// `ln(1 + eˣ)` without overflow.
    softplus => Unary::Softplus;
    /// `x·σ(x)`.
    silu => Unary::Silu;
    /// `max(x, 0)`; slope 0 at 0.
    relu => Unary::Relu;
    /// `|x|`; slope 0 at 0.
    abs => Unary::Abs;
    /// −1, 0 or 1; slope 0.
    sign => Unary::Sign;
    /// 1 where `x > 0`, else 0; slope 0.
    step => Unary::Step;
}

/// Functions of one and two numbers.
impl<A: Algebra> Tensor<A> {
    /// Any function of the [formula sheet](Unary).
    #[track_caller]
    #[must_use]
    pub fn unary(&self, op: Unary) -> Self {
        checked(op.name(), Tensor(A::unary(op, self.0.clone())))
    }

    /// `xⁿ` for a whole number `n`.
    #[track_caller]
    #[must_use]
    pub fn powi(&self, n: i32) -> Self {
        match n {
            // n·xⁿ⁻¹ would be 0·∞ at 0 for n = 0.
            0 => self.ones_like(),
            1 => self.clone(),
            _ => self.unary(Unary::Powi(n)),
        }
    }

    /// The larger of two, broadcasting; a tie shares the slope equally.
    #[track_caller]
    #[must_use]
    pub fn maximum(&self, other: &Self) -> Self {
        binary(Binary::Maximum, self.clone(), other.clone())
    }

    /// The smaller of two, broadcasting; a tie shares the slope equally.
    #[track_caller]
    #[must_use]
    pub fn minimum(&self, other: &Self) -> Self {
        binary(Binary::Minimum, self.clone(), other.clone())
    }

    /// Any function of [two numbers](Binary), broadcasting.
    #[track_caller]
    #[must_use]
    pub fn binary(&self, op: Binary, other: &Self) -> Self {
        binary(op, self.clone(), other.clone())
    }

    /// 1 where `self < other`, else 0, broadcasting; no derivative.
    #[track_caller]
    #[must_use]
    pub fn lt(&self, other: &Self) -> Tensor<A::Base> {
        let (a, b) = broadcast("lt", self.clone(), other.clone());
        Tensor(A::compare(Compare::Less, &a.0, &b.0))
    }

    /// `a` where `mask` is not 0, else `b`. All three have one shape.
    #[track_caller]
    #[must_use]
    pub fn select(mask: &Tensor<A::Base>, a: &Self, b: &Self) -> Self {
        let (m, s, t) = (mask.shape(), a.shape(), b.shape());
        assert!(
            m == s && s == t,
            "select: mask {m}, {s} and {t} must have one shape"
        );
        let y = Tensor(A::select(&mask.0, a.0.clone(), b.0.clone()));
        checked("select", y)
    }

    /// An operation of the user's own.
    #[track_caller]
    #[must_use]
    pub fn primitive<P: Primitive>(op: &P, inputs: &[Self]) -> Self {
        checked(op.name(), Tensor(A::primitive(op, inputs)))
    }
}

/// Linear rearrangements.
impl<A: Algebra> Tensor<A> {
    #[track_caller]
    pub(crate) fn linear(self, op: &Linear) -> Self {
        checked(op.name(), Tensor(A::linear(op, self.0)))
    }

    /// The same elements, in order, under another shape.
    #[track_caller]
    #[must_use]
    pub fn reshape(&self, shape: &[usize]) -> Self {
        let (from, to) = (self.shape(), Shape::new(shape));
        assert!(
            from.count() == to.count(),
            "reshape: {from} has {} elements, {to} has {}",
            from.count(),
            to.count()
        );
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Reshape { from, to })
    }

    /// Axis `i` of the result is axis `axes[i]` of this array.
    #[track_caller]
    #[must_use]
    pub fn permute(&self, axes: &[usize]) -> Self {
        let shape = self.shape();
        let mut seen = axes.to_vec();
        seen.sort_unstable();
        assert!(
            seen.into_iter().eq(0..shape.rank()),
            "permute: {axes:?} is not a permutation of the {} axes of {shape}",
            shape.rank()
        );
        let mut padded = [0; MAX_RANK];
        for (place, slot) in padded.iter_mut().enumerate() {
            *slot = *axes.get(place).unwrap_or(&place) as u8;
        }
        self.clone().linear(&Linear::Permute { axes: padded })
    }

    /// The transposed matrix.
    #[track_caller]
    #[must_use]
    pub fn t(&self) -> Self {
        let shape = self.shape();
        assert!(
            shape.rank() == 2,
            "t: a matrix was expected, the shape is {shape}"
        );
        self.permute(&[1, 0])
    }

    /// Repeats along axes of extent 1 and new leading axes.
    #[track_caller]
    #[must_use]
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        let (from, to) = (self.shape(), Shape::new(shape));
        assert!(
            from.broadcast(&to) == Some(to),
            "broadcast_to: {from} does not broadcast to {to}"
        );
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Broadcast { from, to })
    }

    /// The `len` places of an axis that begin at `start`.
    #[track_caller]
    #[must_use]
    pub fn slice(&self, axis: usize, start: usize, len: usize) -> Self {
        self.check_axis("slice", axis);
        let of = self.shape()[axis];
        assert!(
            start.checked_add(len).is_some_and(|end| end <= of),
            "slice: places {start}..{start}+{len} of axis {axis}, which has {of}"
        );
        #[rustfmt::skip]
        let op = Linear::Slice { axis, start, len, of };
        self.clone().linear(&op)
    }

    /// Zeros added to an axis, before and after.
    #[track_caller]
    #[must_use]
    pub fn pad(&self, axis: usize, before: usize, after: usize) -> Self {
        self.check_axis("pad", axis);
        let len = self.shape()[axis];
        self.clone().linear(&Linear::Pad {
            axis,
            start: before,
            len,
            of: before + len + after,
        })
    }

    /// Row `i` of the result is row `index[i]` of this array (axis 0).
    #[track_caller]
    #[must_use]
    pub fn gather(&self, index: &Index) -> Self {
        self.check_axis("gather", 0);
        let of = self.shape()[0];
        check_index("gather", index, of);
        let index = index.clone();
        self.clone().linear(&Linear::Gather { index, of })
    }

    /// Adds row `i` of this array to row `index[i]` of `rows` zero rows.
    #[track_caller]
    #[must_use]
    pub fn scatter_add(&self, index: &Index, rows: usize) -> Self {
        self.check_axis("scatter_add", 0);
        let given = self.shape()[0];
        assert!(
            given == index.len(),
            "scatter_add: {given} rows but {} row numbers",
            index.len()
        );
        check_index("scatter_add", index, rows);
        let index = index.clone();
        self.clone().linear(&Linear::ScatterAdd { index, of: rows })
    }

    /// The order along an axis reversed.
    #[track_caller]
    #[must_use]
    pub fn flip(&self, axis: usize) -> Self {
        self.check_axis("flip", axis);
        self.clone().linear(&Linear::Flip { axis })
    }

    /// Running sums along an axis.
    #[track_caller]
    #[must_use]
    pub fn cumsum(&self, axis: usize) -> Self {
        self.check_axis("cumsum", axis);
        let from = End::First;
        self.clone().linear(&Linear::Cumsum { axis, from })
    }

    /// Arrays put one behind the other along an axis.
    #[track_caller]
    #[must_use]
    pub fn concat(parts: &[&Self], axis: usize) -> Self {
        let first = parts.first().expect("concat: at least one array").shape();
        for part in parts {
            let shape = part.shape();
            let fits = shape.rank() == first.rank()
                && axis < first.rank()
                && shape.with(axis, 0) == first.with(axis, 0);
            assert!(
                fits,
                "concat: {first} and {shape} differ beyond axis {axis}"
            );
        }
        let parts: Vec<A> = parts.iter().map(|p| p.0.clone()).collect();
        checked("concat", Tensor(A::concat(&parts, axis)))
    }

    /// The sum of all elements, rank 0.
    #[track_caller]
    #[must_use]
    pub fn sum(&self) -> Self {
        let (from, to) = (self.shape(), Shape::scalar());
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Sum { from, to })
    }

    /// The mean of all elements, rank 0; NaN for an empty array.
    #[track_caller]
    #[must_use]
    pub fn mean(&self) -> Self {
        self.sum() / self.shape().count() as f64
    }

    /// The sum along an axis, which is kept with extent 1.
    #[track_caller]
    #[must_use]
    pub fn sum_axis_keep(&self, axis: usize) -> Self {
        self.check_axis("sum_axis_keep", axis);
        let from = self.shape();
        let to = from.with(axis, 1);
        if from == to {
            return self.clone();
        }
        self.clone().linear(&Linear::Sum { from, to })
    }

    /// The sum along an axis, which is taken out of the shape.
    #[track_caller]
    #[must_use]
    pub fn sum_axis(&self, axis: usize) -> Self {
        self.check_axis("sum_axis", axis);
        let shape = self.shape().without(axis);
        self.sum_axis_keep(axis).reshape(&shape)
    }

    /// The mean along an axis, which is taken out of the shape.
    #[track_caller]
    #[must_use]
    pub fn mean_axis(&self, axis: usize) -> Self {
        self.check_axis("mean_axis", axis);
        self.sum_axis(axis) / self.shape()[axis] as f64
    }
}

#[track_caller]
fn check_index(name: &str, index: &Index, rows: usize) {
    if let Some(&bad) = index.as_slice().iter().find(|&&i| i >= rows) {
        panic!("{name}: row number {bad}, but there are {rows} rows");
    }
}

/// Products, and what is composed of the above.
impl<A: Algebra> Tensor<A> {
    /// The product of two matrices, `[m, k] · [k, n] → [m, n]`.
    #[track_caller]
    #[must_use]
    pub fn matmul(&self, other: &Self) -> Self {
        self.matmul_with(Transpose::No, other, Transpose::No)
    }

    #[track_caller]
    pub(crate) fn matmul_with(&self, ta: Transpose, other: &Self, tb: Transpose) -> Self {
        let (a, b) = (self.shape(), other.shape());
        assert!(
            a.rank() == 2 && b.rank() == 2,
            "matmul: {a} times {b}: two matrices were expected"
        );
        let inner_a = if ta == Transpose::No { a[1] } else { a[0] };
        let inner_b = if tb == Transpose::No { b[0] } else { b[1] };
        assert!(
            inner_a == inner_b,
            "matmul: {a} times {b}: inner sizes {inner_a} and {inner_b} differ"
        );
        checked("matmul", Tensor(A::matmul(&self.0, ta, &other.0, tb)))
    }

    /// A dense layer `f(x·w + b)` in one pass: `x` is `[B, K]`, `w` is
    /// `[K, H]`, `b` is `[H]`; no function means the identity.
    #[track_caller]
    #[must_use]
    pub fn dense(&self, w: &Self, b: &Self, f: Option<Unary>) -> Self {
        let (s, t, u) = (self.shape(), w.shape(), b.shape());
        assert!(
            s.rank() == 2 && t.rank() == 2 && u.rank() == 1 && s[1] == t[0] && t[1] == u[0],
            "dense: {s} times {t} plus {u}: [B, K] times [K, H] plus [H] was expected"
        );
        checked("dense", Tensor(A::dense(&self.0, &w.0, &b.0, f)))
    }

    /// `ln Σ exp xᵢ` along an axis, which is taken out of the shape; exact
    /// shift by the maximum, so it neither overflows nor underflows.
    #[track_caller]
    #[must_use]
    pub fn logsumexp(&self, axis: usize) -> Self {
        self.check_axis("logsumexp", axis);
        let shift = self.finite_max(axis);
        let sum = (self - &shift).exp().sum_axis_keep(axis).ln() + shift;
        sum.reshape(&self.shape().without(axis))
    }

    /// `exp xᵢ / Σ exp xⱼ` along an axis, which is kept.
    #[track_caller]
    #[must_use]
    pub fn softmax(&self, axis: usize) -> Self {
        self.check_axis("softmax", axis);
        let e = (self - &self.finite_max(axis)).exp();
        &e / &e.sum_axis_keep(axis)
    }

    /// The maximum as a constant (the shift cancels, so it has no derivative),
    /// with ±∞ replaced by 0: `∞ − ∞` would be NaN.
    fn finite_max(&self, axis: usize) -> Self {
        let max = Tensor::<A::Base>(self.0.max_axis(axis));
        let zero = max.zeros_like();
        let distance = 0.0 * &max; // 0 where finite, NaN where not
        let finite = Tensor(<A::Base as Algebra>::compare(
            Compare::Equal,
            &distance.0,
            &zero.0,
        ));
        Tensor::constant(&Tensor::select(&finite, &max, &zero))
    }
}

/// Both arrays stretched to their common shape.
#[track_caller]
fn broadcast<A: Algebra>(name: &str, a: Tensor<A>, b: Tensor<A>) -> (Tensor<A>, Tensor<A>) {
    let (s, t) = (a.shape(), b.shape());
    if s == t {
        return (a, b);
    }
    match s.broadcast(&t) {
        Some(to) => (a.broadcast_to(&to), b.broadcast_to(&to)),
        None => panic!("{name}: shapes {s} and {t} do not broadcast together"),
    }
}

#[track_caller]
fn binary<A: Algebra>(op: Binary, a: Tensor<A>, b: Tensor<A>) -> Tensor<A> {
    let (a, b) = broadcast(op.name(), a, b);
    checked(op.name(), Tensor(A::binary(op, a.0, b.0)))
}

/// `c·x`.
#[track_caller]
fn scale<A: Algebra>(x: Tensor<A>, c: f64) -> Tensor<A> {
    x.linear(&Linear::Scale(c))
}

/// `x + c`.
#[track_caller]
fn shift<A: Algebra>(x: Tensor<A>, c: f64) -> Tensor<A> {
    checked("shift", Tensor(A::unary(Unary::Shift(c), x.0)))
}

/// Writes an operator for values and references on both sides.
macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr, |$x:ident, $c:ident| $with_number:expr, |$d:ident, $y:ident| $number_with:expr) => {
        impl<A: Algebra> $trait<Tensor<A>> for Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: Tensor<A>) -> Tensor<A> {
                binary($op, self, other)
            }
        }
        impl<A: Algebra> $trait<&Tensor<A>> for Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: &Tensor<A>) -> Tensor<A> {
                binary($op, self, other.clone())
            }
        }
        impl<A: Algebra> $trait<Tensor<A>> for &Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: Tensor<A>) -> Tensor<A> {
                binary($op, self.clone(), other)
            }
        }
        impl<A: Algebra> $trait<&Tensor<A>> for &Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, other: &Tensor<A>) -> Tensor<A> {
                binary($op, self.clone(), other.clone())
            }
        }
        impl<A: Algebra> $trait<f64> for Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, $c: f64) -> Tensor<A> {
                let $x = self;
                $with_number
            }
        }
        impl<A: Algebra> $trait<f64> for &Tensor<A> {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, $c: f64) -> Tensor<A> {
                let $x = self.clone();
                $with_number
            }
        }
        impl<A: Algebra> $trait<Tensor<A>> for f64 {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, $y: Tensor<A>) -> Tensor<A> {
                let $d = self;
                $number_with
            }
        }
        impl<A: Algebra> $trait<&Tensor<A>> for f64 {
            type Output = Tensor<A>;
            #[track_caller]
            fn $method(self, y: &Tensor<A>) -> Tensor<A> {
                let ($d, $y) = (self, y.clone());
                $number_with
            }
        }
    };
}

operator!(Add, add, Binary::Add, |x, c| shift(x, c), |c, y| shift(
    y, c
));
operator!(Sub, sub, Binary::Sub, |x, c| shift(x, -c), |c, y| shift(
    scale(y, -1.0),
    c
));
operator!(Mul, mul, Binary::Mul, |x, c| scale(x, c), |c, y| scale(
    y, c
));
operator!(Div, div, Binary::Div, |x, c| scale(x, c.recip()), |c, y| {
    scale(y.recip(), c)
});

impl<A: Algebra> Neg for Tensor<A> {
    type Output = Tensor<A>;
    #[track_caller]
    fn neg(self) -> Tensor<A> {
        scale(self, -1.0)
    }
}

impl<A: Algebra> Neg for &Tensor<A> {
    type Output = Tensor<A>;
    #[track_caller]
    fn neg(self) -> Tensor<A> {
        scale(self.clone(), -1.0)
    }
}
