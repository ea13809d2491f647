//! **References**: the values of every operation of the catalogue to far more
//! digits than a double has, and how far a computed value is from them.
//!
//! `values.txt` is written by `generate.py` beside it, with code that shares
//! nothing with this crate: functions of numbers by the library mpmath, arrays
//! by naive sums over indices. Errors are measured in units of the last place
//! (ulp), the gap between neighbouring numbers at the true value:
//!
//! ```math
//! \frac{|\hat y - y|}{\operatorname{ulp}(y)}, \qquad
//! \operatorname{ulp}(y) = 2^{\lfloor \log_2 |y| \rfloor}\,\epsilon
//! ```

use super::points::nan_max;
use super::{Plain, Program};
use crate::cpu::Cpu;
use crate::real::Real;
use crate::tensor::Tensor;

/// Inputs and the true result of one operation.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The name of the entry in the catalogue.
    pub name: &'static str,
    inputs: Vec<Plain>,
    /// The true result, correctly rounded.
    value: Plain,
    /// The true result less that, in units of the last place.
    rest: Vec<f64>,
}

/// All of them, in the order of the file.
///
/// # Panics
/// If the file is not what `generate.py` writes.
#[must_use]
pub fn all() -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    for line in include_str!("values.txt").lines() {
        let parsed = line.split_once(' ').and_then(|(letter, rest)| {
            let (shape, numbers) = rest.split_once(' ')?;
            matches!(letter, "x" | "y" | "e").then_some((letter, shape, numbers))
        });
        match (parsed, found.last_mut()) {
            (Some(("x", shape, numbers)), Some(last)) => last.inputs.push(doubles(shape, numbers)),
            (Some(("y", shape, numbers)), Some(last)) => last.value = doubles(shape, numbers),
            (Some((_, _, numbers)), Some(last)) => last.rest = rests(numbers),
            _ => found.push(Reference {
                name: line,
                inputs: Vec::new(),
                value: Tensor::scalar(f64::NAN),
                rest: Vec::new(),
            }),
        }
    }
    found
}

/// The reference of one operation.
#[must_use]
pub fn of(name: &str) -> Option<Reference> {
    all().into_iter().find(|r| r.name == name)
}

fn doubles(shape: &str, numbers: &str) -> Plain {
    let extents = shape.split(',').filter(|&n| n != "-");
    let extents: Vec<usize> = extents.map(|n| n.parse().expect("an extent")).collect();
    let numbers = numbers.split(' ');
    let bits = numbers.map(|n| u64::from_str_radix(n, 16).expect("bits of a double"));
    Tensor::new(&extents, bits.map(f64::from_bits).collect())
}

fn rests(numbers: &str) -> Vec<f64> {
    let numbers = numbers.split(' ');
    let units = numbers.map(|n| u16::from_str_radix(n, 16).expect("a signed multiple"));
    units
        .map(|u| f64::from(u.cast_signed()) / 65536.0)
        .collect()
}

impl Reference {
    /// The error of a program in `F`, in units of the last place of `F`: the
    /// largest over all elements. With `each` the unit is that of the element
    /// itself, else that of the largest number that enters or leaves, since a
    /// sum of terms that cancel has no small relative error.
    ///
    /// Elements of functions of numbers that `F` does not have, or whose value
    /// it does not have, are left out.
    #[must_use]
    pub fn ulps<F: Real, P: Program>(&self, program: &P, each: bool) -> f64 {
        let kept = if each {
            self.representable::<F>()
        } else {
            (0..self.rest.len()).collect()
        };
        let inputs: Vec<Tensor<Cpu<F>>> = self.inputs.iter().map(|x| self.cast(x, &kept)).collect();
        let found = program.run(&inputs);
        assert_eq!(
            found.shape().count(),
            kept.len(),
            "{}: the shape of the result",
            self.name
        );
        let exact = self.value.as_slice();
        let entering = self.inputs.iter().flat_map(Tensor::as_slice);
        let all = entering.chain(exact);
        let largest = all.fold(0.0, |m, y| nan_max(m, y.abs()));
        let pairs = found.as_slice().iter().zip(&kept);
        pairs.fold(0.0, |worst, (&found, &place)| {
            let y = exact[place];
            let unit = spacing::<F>(if each { y } else { largest });
            let found = found.wide();
            let error = if found == y && !y.is_finite() {
                0.0
            } else {
                // Both differences are exact or far below the unit.
                ((found - y) / unit - self.rest[place] * (spacing::<f64>(y) / unit)).abs()
            };
            nan_max(worst, error)
        })
    }

    /// The elements whose inputs are numbers of `F` and whose value is.
    fn representable<F: Real>(&self) -> Vec<usize> {
        let largest = F::max_value().wide();
        let fits = |place: &usize| {
            let mut inputs = self.inputs.iter();
            let same = |x: &Plain| F::from_f64(x.as_slice()[*place]).wide() == x.as_slice()[*place];
            let value = self.value.as_slice()[*place];
            inputs.all(same) && (value.abs() <= largest || !value.is_finite())
        };
        (0..self.rest.len()).filter(fits).collect()
    }

    /// An input in the precision of `F`, restricted to some elements if it has
    /// as many as the result.
    fn cast<F: Real>(&self, x: &Plain, kept: &[usize]) -> Tensor<Cpu<F>> {
        if kept.len() == self.rest.len() {
            return Tensor::new(
                &x.shape(),
                x.as_slice().iter().map(|&x| F::from_f64(x)).collect(),
            );
        }
        let numbers = kept.iter().map(|&place| F::from_f64(x.as_slice()[place]));
        Tensor::new(&[kept.len()], numbers.collect())
    }
}

/// The gap between the numbers of `F` at `y`; below the normal numbers it is
/// that between the smallest.
fn spacing<F: Real>(y: f64) -> f64 {
    let smallest = F::min_positive_value().wide();
    let magnitude = y.abs().clamp(smallest, f64::MAX);
    // The power of two below: the mantissa is cleared.
    let power = f64::from_bits(magnitude.to_bits() & 0x7ff0_0000_0000_0000);
    power * F::EPSILON
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algebra::Algebra;

    #[test]
    fn units_of_the_last_place() {
        assert_eq!(spacing::<f64>(1.5), f64::EPSILON);
        assert_eq!(spacing::<f64>(-0.75), f64::EPSILON / 2.0);
        assert_eq!(spacing::<f64>(0.0), f64::from_bits(1));
        assert_eq!(spacing::<f32>(3.0), 2.0 * f64::from(f32::EPSILON));
        assert_eq!(spacing::<f32>(1e-44), f64::from(f32::from_bits(1)));
    }

    /// The rounded value is off by half a unit at most; its neighbour by a
    /// half to three halves; and NaN by NaN.
    #[test]
    fn errors_are_measured_against_more_digits_than_a_double_has() {
        struct Exponential(u64);
        impl Program for Exponential {
            fn run<A: Algebra>(&self, x: &[Tensor<A>]) -> Tensor<A> {
                let value = of("exp").expect("a reference").value;
                let moved = value.as_slice().iter().map(|y| match self.0 {
                    2 => f64::NAN,
                    step => f64::from_bits(y.to_bits() + step),
                });
                x[0].lift(&value.shape(), &moved.collect::<Vec<_>>())
            }
        }
        let exp = of("exp").expect("a reference");
        let off = |step| exp.ulps::<f64, _>(&Exponential(step), true);
        assert!(off(0) > 0.3 && off(0) <= 0.5, "{}", off(0));
        assert!(off(1) > 1.3 && off(1) <= 1.5, "{}", off(1));
        assert!(off(2).is_nan());
    }
}
