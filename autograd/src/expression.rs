//! **Expressions**: the formula sheet as kernels of the GPU.
//!
//! [`Num`] read with [`cuda::Expr`] writes the lines of a kernel. So the CPU's
//! loop, the derivative rules and the GPU's kernel of a function all come from
//! its one line on the sheet.

use crate::algebra::Compare;
use crate::num::Num;
use crate::pointwise::{Binary, Function, SlopeKind, Unary, UnaryVisitor};
use cuda::{Expr, Formula};

/// Writes the methods that the expression has under the same name.
macro_rules! same_name {
    ($($name:ident $(($parameter:ident: $type:ty))?)*) => { $(
        fn $name(self $(, $parameter: $type)?) -> Self { Expr::$name(&self $(, $parameter)?) }
    )* };
}

impl Num for Expr {
    fn constant(&self, c: f64) -> Self {
        Expr::constant(self, c)
    }
    fn if_less(a: Self, b: Self, then: Self, otherwise: Self) -> Self {
        Expr::if_less(&a, &b, &then, &otherwise)
    }
    fn if_equal(a: Self, b: Self, then: Self, otherwise: Self) -> Self {
        Expr::if_equal(&a, &b, &then, &otherwise)
    }
    fn maximum(self, other: Self) -> Self {
        Expr::maximum(&self, &other)
    }
    fn minimum(self, other: Self) -> Self {
        Expr::minimum(&self, &other)
    }
    fn pow(self, b: Self) -> Self {
        Expr::pow(&self, &b)
    }
    fn atan2(self, x: Self) -> Self {
        Expr::atan2(&self, &x)
    }
    fn hypot(self, b: Self) -> Self {
        Expr::hypot(&self, &b)
    }
    same_name! {
        plus(c: f64) times(c: f64)
        recip square sqrt powi(n: i32) powf(c: f64) exp exp_m1 ln ln_1p
        sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
        sigmoid softplus erf erfc ln_gamma polygamma(n: u8)
        abs sign step relu floor ceil round
    }
}

/// `f(x)` as an expression.
struct Value<'a>(&'a Expr);
impl UnaryVisitor for Value<'_> {
    type Out = Expr;
    fn visit<F: Function>(self, f: F) -> Expr {
        f.value(self.0.clone())
    }
}

/// `f'(x)` as an expression, given also `y = f(x)`.
struct Slope<'a>(&'a Expr, &'a Expr);
impl UnaryVisitor for Slope<'_> {
    type Out = Expr;
    fn visit<F: Function>(self, f: F) -> Expr {
        f.slope(self.0.clone(), self.1.clone())
    }
}

impl Unary {
    /// `f(x)` as an expression of a kernel: compose them for a fused one.
    #[must_use]
    pub fn expression(self, x: &Expr) -> Expr {
        self.visit(Value(x))
    }

    /// The kernel `y = f(x)`.
    #[must_use]
    pub fn kernel(self) -> Formula {
        Formula::new(self.name(), 1, |x| vec![self.expression(&x[0])])
    }

    /// The kernel `v ∘ f'(x)` of `v`, `x` and `y = f(x)`: one step of the
    /// chain rule. The slope of a function with a constant one is not on the
    /// sheet, and this kernel means nothing for it.
    #[must_use]
    pub fn chain_kernel(self) -> Formula {
        let name = format!("{} slope", self.name());
        Formula::new(&name, 3, |args| {
            let [v, x, y] = [0, 1, 2].map(|k| &args[k]);
            vec![v.clone() * self.visit(Slope(x, y))]
        })
    }
}

impl Binary {
    /// The kernel `y = f(a, b)`.
    #[must_use]
    pub fn kernel(self) -> Formula {
        Formula::new(self.name(), 2, |x| {
            vec![self.value(x[0].clone(), x[1].clone())]
        })
    }
}

impl Compare {
    /// Every comparison, once.
    pub const ALL: [Compare; 3] = [Compare::Less, Compare::LessEqual, Compare::Equal];

    /// The kernel that gives 1 where it holds, else 0.
    #[must_use]
    pub fn kernel(self) -> Formula {
        Formula::new(&format!("{self:?}"), 2, |x| {
            let (a, b) = (&x[0], &x[1]);
            let (one, zero) = (a.constant(1.0), a.constant(0.0));
            vec![match self {
                Compare::Less => Expr::if_less(a, b, &one, &zero),
                Compare::Equal => Expr::if_equal(a, b, &one, &zero),
                Compare::LessEqual => {
                    let equal = Expr::if_equal(a, b, &one, &zero);
                    Expr::if_less(a, b, &one, &equal)
                }
            }]
        })
    }
}

/// The kernel that takes, by a mask, the second number where it is not 0 and
/// the third where it is.
pub(crate) fn select_kernel() -> Formula {
    Formula::new("select", 3, |x| {
        vec![Expr::if_equal(&x[0], &x[0].constant(0.0), &x[2], &x[1])]
    })
}

/// Every kernel that pointwise work on arrays of a GPU launches, for checks of
/// all of them.
#[must_use]
pub fn pointwise_kernels() -> Vec<Formula> {
    let unary = Unary::ALL.iter().map(|op| op.kernel());
    let sloped = Unary::ALL
        .iter()
        .filter(|op| op.slope_kind() == SlopeKind::Formula);
    let slopes = sloped.map(|op| op.chain_kernel());
    let binary = Binary::ALL.iter().map(|op| op.kernel());
    let compared = Compare::ALL.iter().map(|op| op.kernel());
    let pairs = unary.chain(slopes).chain(binary).chain(compared);
    pairs.chain([select_kernel()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::kernels::Kernels;
    use cuda::{Device, Memory};

    /// The first GPU, or the emulated one; memory straight from the driver, so that
    /// bounds are exact.
    fn device() -> Device {
        let installed = cuda_emulator::install_where_needed(|| cuda::driver_version().is_ok());
        installed.expect("the emulator can be installed");
        Device::open_with(0, Memory::Direct).expect("there is a device, emulated at least")
    }

    /// Every 49999th bit pattern, some ends, and what the checker looks at.
    fn arguments(op: Unary) -> Vec<f32> {
        let (low, high) = op.domain();
        let inside = (0..1000).map(|i| (low + (high - low) * f64::from(i) / 999.0) as f32);
        let ends = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 88.7, -87.4, -103.9, 0.625];
        let all = (0..=u32::MAX).step_by(49_999).map(f32::from_bits);
        inside.chain(ends).chain(all).collect()
    }

    /// The largest distance in units of the last place, where both are
    /// numbers; NaN must meet NaN.
    fn distance(found: &[f32], expected: &[f32], at: &[f32], what: &str) -> u32 {
        assert_eq!(found.len(), expected.len());
        let ordered = |x: f32| {
            let bits = x.to_bits() as i32;
            i64::from(if bits < 0 { i32::MIN - bits } else { bits })
        };
        let mut largest = 0;
        for ((&f, &e), &x) in found.iter().zip(expected).zip(at) {
            assert_eq!(f.is_nan(), e.is_nan(), "{what}({x:e}): {f:e} for {e:e}");
            if !e.is_nan() {
                largest = largest.max((ordered(f) - ordered(e)).unsigned_abs() as u32);
            }
        }
        largest
    }

    /// What the CPU rounds from a double of its own library may differ from
    /// what the GPU rounds from its: the doubles by some of their units, the
    /// results by one of theirs.
    fn allowed(op: Unary) -> u32 {
        use Unary::{
            Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, LnGamma, Polygamma, Powf, Sinh, Tan,
        };
        match op {
            Tan | Asin | Acos | Atan | Sinh | Cosh | Asinh | Acosh | Atanh => 1,
            LnGamma | Polygamma(_) | Powf(_) => 1,
            _ => 0,
        }
    }

    #[test]
    fn every_function_of_the_sheet_has_the_bits_of_the_cpu() {
        let device = device();
        for &op in Unary::ALL {
            let x = arguments(op);
            let on_device = device.upload(&x).expect("there is room");
            let kernel = op.kernel();
            let y = kernel
                .apply(&device, &[&on_device], x.len())
                .expect("no fault");
            let found = y[0].download().expect("no fault");
            let expected = f32::unary(op, &x);
            let far = distance(&found, &expected, &x, op.name());
            assert!(far <= allowed(op), "{}: {far} units", op.name());
            if op.slope_kind() != SlopeKind::Formula {
                continue;
            }
            // The slope from the CPU's value, so that only it is compared.
            let v: Vec<f32> = (0..x.len()).map(|i| 1.0 + (i % 7) as f32).collect();
            let upload = |x: &[f32]| device.upload(x).expect("there is room");
            let (on_v, on_y) = (upload(&v), upload(&expected));
            let inputs = [&on_v, &on_device, &on_y];
            let slope = op.chain_kernel().apply(&device, &inputs, x.len());
            let found = slope.expect("no fault")[0].download().expect("no fault");
            let expected = f32::chain(op, &v, &x, &expected);
            let far = distance(&found, &expected, &x, op.name());
            // A unit in a factor of the slope becomes up to three in the result.
            assert!(
                far <= 3 * slope_allowed(op),
                "slope of {}: {far} units",
                op.name()
            );
        }
    }

    /// Slopes that contain a function rounded from a double.
    fn slope_allowed(op: Unary) -> u32 {
        use Unary::{Asinh, Cosh, LnGamma, Polygamma, Powf, Sinh};
        match op {
            Asinh | Cosh | Sinh | LnGamma | Polygamma(_) | Powf(_) => 1,
            _ => 0,
        }
    }

    #[test]
    fn every_function_of_two_numbers() {
        let device = device();
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            2.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
        ];
        let smooth = (0..20).map(|i| 0.3 + 0.13 * i as f32);
        let values: Vec<f32> = special.into_iter().chain(smooth).collect();
        let pairs = values
            .iter()
            .flat_map(|&a| values.iter().map(move |&b| (a, b)));
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.unzip();
        let on_device = [&a, &b].map(|x| device.upload(x).expect("there is room"));
        for &op in Binary::ALL {
            let y = op.kernel().apply(&device, &on_device.each_ref(), a.len());
            let found = y.expect("no fault")[0].download().expect("no fault");
            let expected = f32::binary(op, &a, &b);
            let far = distance(&found, &expected, &a, op.name());
            let rounded = matches!(op, Binary::Pow | Binary::Atan2 | Binary::Hypot);
            assert!(far <= u32::from(rounded), "{}: {far} units", op.name());
        }
    }

    #[test]
    fn a_composition_is_one_kernel() {
        let fused = Formula::new("fused", 1, |x| {
            vec![Unary::Silu.expression(&Unary::Shift(0.5).expression(&x[0]))]
        });
        let text = fused.source().text();
        assert_eq!(text.matches("__global__").count(), 1);
        assert!(text.contains("float v0 = a0 + 0.5f;"), "{text}");
        assert!(text.contains("fg_sigmoid(v0)"), "{text}");
    }
}
