//! **Running error analysis**: a reading of a program that adds up what single
//! precision may do to it.
//!
//! [`Rounded`] is an interpretation like any other: a value in `f64`, and with
//! it a bound for how far the same program in `f32` may be from it. Each
//! operation passes the bounds of its inputs through the magnitude of its
//! derivative and adds its own rounding, with `u = 2⁻²⁴`:
//!
//! ```math
//! e_y = |J|\,e_x + c\,u\,|y| + O(u^2) \tag{AD.80}
//! ```
//!
//! (Wilkinson 1986, *Error analysis revisited*; Higham, *Accuracy and
//! Stability of Numerical Algorithms*, 3.3.) Since it is an algebra, the duals
//! and variables over it give bounds for derivatives too, and a test needs no
//! tolerance that somebody chose.
//!
//! The bounds hold away from kinks, where a rounding may change the branch.

use crate::algebra::{Algebra, Compare, Transpose};
use crate::cpu::Cpu;
use crate::linear::Linear;
use crate::map::{self, Map, Side};
use crate::pointwise::{Binary, Unary};
use crate::primitive::{self, Primitive};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Half the gap between 1 and the next number of `f32`: the largest relative
/// error of one rounding.
const UNIT: f64 = 0.5 * f32::EPSILON as f64;

/// What the functions of the formula sheet may be off, in units of the last
/// place of `f32`, where the checker looks; the reference values hold them to
/// it.
const FUNCTION_ULPS: f64 = 4.0;

/// The same for one of them.
fn ulps(op: Unary) -> f64 {
    match op {
        // Two exponentials and a product of polynomials.
        Unary::Erfc | Unary::Gelu => 2.0 * FUNCTION_ULPS,
        _ => FUNCTION_ULPS,
    }
}

/// A value in `f64`, and a bound for the distance of its computation in `f32`.
#[derive(Clone, Debug)]
pub struct Rounded {
    value: Tensor<Cpu<f64>>,
    error: Tensor<Cpu<f64>>,
}

impl Tensor<Rounded> {
    /// Numbers that are the same in both precisions.
    #[must_use]
    pub fn exact(value: &Tensor<Cpu<f64>>) -> Self {
        let error = value.zeros_like();
        let value = value.clone();
        Tensor(Rounded { value, error })
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &Tensor<Cpu<f64>> {
        &self.0.value
    }

    /// The bound.
    #[must_use]
    pub fn error(&self) -> &Tensor<Cpu<f64>> {
        &self.0.error
    }
}

impl Rounded {
    /// A value with what its inputs did to it, and `roundings` of its own.
    fn new(
        value: Tensor<Cpu<f64>>,
        inherited: Option<Tensor<Cpu<f64>>>,
        roundings: f64,
        size: &Tensor<Cpu<f64>>,
    ) -> Self {
        // Where the result is subnormal a rounding is absolute.
        let size = size.abs();
        // Infinity is not rounded, nor the largest number, which stands for it
        // where nothing infinite may appear; `∞·0` further on would be NaN.
        let infinite = size.ge(&size.full_like(&size.shape(), f64::MAX));
        let size = Tensor::select(&infinite, &size.zeros_like(), &size);
        let own = roundings * UNIT * size + f64::from(f32::MIN_POSITIVE) * UNIT;
        let error = match inherited {
            Some(inherited) => inherited + own,
            None => own,
        };
        Rounded { value, error }
    }

    /// Numbers that have to be rounded to `f32`, and nothing else.
    fn literal(value: Cpu<f64>) -> Self {
        let value = Tensor(value);
        Rounded::new(value.clone(), None, 1.0, &value)
    }
}

/// `|d|·e` for a map `v ↦ d ∘ v`.
fn through(map: Option<Map<Cpu<f64>>>, e: &Tensor<Cpu<f64>>) -> Tensor<Cpu<f64>> {
    match map {
        Some(map) => map.push(e.clone()).abs(),
        None => e.zeros_like(),
    }
}

/// `|M|·e` for any map, a column at a time.
fn through_columns(map: &Map<Cpu<f64>>, e: &Tensor<Cpu<f64>>) -> Option<Tensor<Cpu<f64>>> {
    let places = 0..e.shape().count();
    let columns = places.map(|place| {
        let mut column = e.zeros_like();
        column.as_mut_slice()[place] = e.as_slice()[place];
        map.push(column).abs()
    });
    columns.reduce(|a, b| a + b)
}

/// How many roundings each element of `Lx` sees, at most.
fn roundings(op: &Linear, x: &Shape) -> f64 {
    match op {
        Linear::Reshape { .. }
        | Linear::Permute { .. }
        | Linear::Broadcast { .. }
        | Linear::Slice { .. }
        | Linear::Pad { .. }
        | Linear::Gather { .. }
        | Linear::Unfold { .. }
        | Linear::Diagonal { .. }
        | Linear::EmbedDiagonal { .. }
        | Linear::Flip { .. }
        | Linear::Roll { .. } => 0.0,
        // The factor is rounded, then the product.
        Linear::Scale(_) => 2.0,
        // Sums: no more terms than there are elements.
        _ => x.count() as f64,
    }
}

impl Algebra for Rounded {
    type Scalar = f64;
    type Base = Self;

    fn shape(&self) -> Shape {
        self.value.shape()
    }
    fn stop(&self) -> Self {
        self.clone()
    }
    fn constant(base: Self) -> Self {
        base
    }
    fn lift(&self, shape: &Shape, numbers: &[f64]) -> Self {
        Rounded::literal(self.value.0.lift(shape, numbers))
    }
    fn full_like(&self, shape: &Shape, c: f64) -> Self {
        Rounded::literal(self.value.0.full_like(shape, c))
    }
    fn all_finite(&self) -> bool {
        self.value.all_finite()
    }

    fn unary(op: Unary, x: Self) -> Self {
        let y = x.value.unary(op);
        let slope = map::of_unary(op, &x.value, &y);
        // The square stands for the curvature that a slope does not see.
        let inherited = through(slope, &x.error) + x.error.square();
        // A shift by a constant rounds the constant too.
        let size = match op {
            Unary::Shift(c) => y.abs() + c.abs(),
            _ => y.clone(),
        };
        Rounded::new(y, Some(inherited), 2.0 * ulps(op), &size) // (AD.80)
    }

    fn binary(op: Binary, a: Self, b: Self) -> Self {
        let y = a.value.binary(op, &b.value);
        let inherited = match op {
            // At a tie the rules share the slope, which is no bound.
            Binary::Maximum | Binary::Minimum => a.error + b.error,
            _ => {
                let by = |side| map::of_binary(op, side, &a.value, &b.value, &y);
                through(Some(by(Side::Left)), &a.error)
                    + through(Some(by(Side::Right)), &b.error)
                    + &a.error * &b.error
            }
        };
        let roundings = match op {
            Binary::Maximum | Binary::Minimum => 0.0,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div => 1.0,
            _ => 2.0 * FUNCTION_ULPS,
        };
        Rounded::new(y.clone(), Some(inherited), roundings, &y)
    }

    fn linear(op: &Linear, x: Self) -> Self {
        // All entries of a rearrangement are 0 or 1.
        let magnitude = match op {
            Linear::Scale(c) => Linear::Scale(c.abs()),
            other => other.clone(),
        };
        let size = x.value.abs().linear(&magnitude);
        let roundings = roundings(op, &x.value.shape());
        let inherited = x.error.linear(&magnitude);
        Rounded::new(x.value.linear(op), Some(inherited), roundings, &size)
    }

    fn matmul(a: &Self, ta: Transpose, b: &Self, tb: Transpose) -> Self {
        let product =
            |a: &Tensor<Cpu<f64>>, b: &Tensor<Cpu<f64>>| a.abs().matmul_with(ta, &b.abs(), tb);
        let inherited = product(&a.value, &b.error) + product(&a.error, &b.value);
        let shape = a.value.shape();
        let terms = shape.rank() - if ta == Transpose::No { 1 } else { 2 };
        let roundings = (shape[terms] + 1) as f64;
        let size = product(&a.value, &b.value);
        let value = a.value.matmul_with(ta, &b.value, tb);
        Rounded::new(value, Some(inherited), roundings, &size)
    }

    fn concat(parts: &[Self], axis: usize) -> Self {
        let values: Vec<_> = parts.iter().map(|p| &p.value).collect();
        let errors: Vec<_> = parts.iter().map(|p| &p.error).collect();
        Rounded {
            value: Tensor::concat(&values, axis),
            error: Tensor::concat(&errors, axis),
        }
    }

    fn compare(op: Compare, a: &Self, b: &Self) -> Self {
        let mask = Tensor(Cpu::compare(op, &a.value.0, &b.value.0));
        let error = mask.zeros_like();
        Rounded { value: mask, error }
    }

    /// The largest moves no further than to the largest of the upper ends, or
    /// of the lower.
    fn max_axis(x: &Self, axis: usize) -> Self {
        let largest = |x: &Tensor<Cpu<f64>>| Tensor(Cpu::max_axis(&x.0, axis));
        let value = largest(&x.value);
        let up = largest(&(&x.value + &x.error)) - &value;
        let down = &value - largest(&(&x.value - &x.error));
        let error = up.maximum(&down);
        // An infinite one stays where it is.
        let still = error.ne(&error);
        let error = Tensor::select(&still, &error.zeros_like(), &error);
        Rounded { value, error }
    }

    fn select(mask: &Self, a: Self, b: Self) -> Self {
        Rounded {
            value: Tensor::select(&mask.value, &a.value, &b.value),
            error: Tensor::select(&mask.value, &a.error, &b.error),
        }
    }

    /// Nothing is known about how the user computes; a method that is stable
    /// in the mixed sense gives nearly the right answer to nearly the right
    /// question, a rounding for each number that enters.
    fn primitive<P: Primitive>(op: &P, inputs: &[Tensor<Self>]) -> Self {
        let values: Vec<_> = inputs.iter().map(|x| x.0.value.clone()).collect();
        let y = Tensor(Cpu::primitive(op, &values));
        let count: usize = values.iter().map(|x| x.shape().count()).sum();
        let roundings = 2.0 * FUNCTION_ULPS + count as f64;
        let mut inherited: Option<Tensor<Cpu<f64>>> = None;
        for (place, x) in inputs.iter().enumerate() {
            let moved = &x.0.error + roundings * UNIT * values[place].abs();
            let map = primitive::map_of(op, &values, &y, place);
            inherited = match (inherited, through_columns(&map, &moved)) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
        }
        Rounded::new(y.clone(), inherited, roundings, &y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derivative::{jvp, vjp_partial};

    /// The bound for `x²·x²` at 3: four times a relative error of `2·4u` in
    /// `x²`, one rounding of the product, by hand.
    #[test]
    fn bounds_are_those_of_a_calculation_by_hand() {
        let x = Tensor::exact(&Tensor::scalar(3.0));
        let square = x.square();
        let own = 8.0 * UNIT * 9.0;
        assert!((square.error().item() - own).abs() <= 1e-12 * own);
        let fourth = &square * &square;
        let expected = 2.0 * 9.0 * own + UNIT * 81.0;
        assert!((fourth.error().item() - expected).abs() <= 1e-6 * expected);
        // The literal 0.1 is not a number of f32: one rounding for it, one for
        // the product.
        let tenth = 0.1 * &x;
        let expected = 2.0 * UNIT * 0.3;
        assert!((tenth.error().item() - expected).abs() <= 1e-12 * expected);
        // Sums count their terms, products of matrices theirs.
        let row = Tensor::exact(&Tensor::full(&[1, 5], 1.0));
        assert!((row.sum().error().item() - 25.0 * UNIT).abs() <= 1e-12);
        let product = row.matmul(&row.t());
        assert!((product.error().item() - 30.0 * UNIT).abs() <= 1e-12);
    }

    /// Verifies (AD.80).
    ///
    /// In a program with cancellation the bound is passed by `f64` in the
    /// place of `f32` with a wide margin, and by `f32` within its limit; an
    /// error of a few units more than the bound is seen.
    #[test]
    fn single_precision_stays_below_the_bound_and_comes_near_it() {
        fn program<A: Algebra>(x: &Tensor<A>) -> Tensor<A> {
            (x.exp() - x.exp().recip()).square() - 4.0 * x.square()
        }
        let at: Vec<f64> = (1..400).map(|i| f64::from(i as f32 * 0.01)).collect();
        let wide = Tensor::<Cpu<f64>>::new(&[399], at.clone());
        let narrow = Tensor::<Cpu<f32>>::new(&[399], at.iter().map(|&x| x as f32).collect());
        let exact = Tensor::exact(&wide);
        let ones = (exact.ones_like(), narrow.ones_like());
        let forward = (
            jvp(program, &exact, &ones.0).1,
            jvp(program, &narrow, &ones.1).1,
        );
        let reverse = (
            vjp_partial(program, &exact, &ones.0).1,
            vjp_partial(program, &narrow, &ones.1).1,
        );
        for (bound, found) in [(program(&exact), program(&narrow)), forward, reverse] {
            let mut largest = 0.0f64;
            for (place, &found) in found.as_slice().iter().enumerate() {
                let off = (f64::from(found) - bound.value().as_slice()[place]).abs();
                let ratio = off / bound.error().as_slice()[place];
                assert!(ratio <= 1.0, "{ratio} at {}", at[place]);
                largest = largest.max(ratio);
            }
            // Not so wide that it says nothing: within a factor of 20.
            assert!(largest >= 0.05, "{largest}");
        }
    }
}
