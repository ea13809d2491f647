//! **Expressions**: numbers in a kernel that is being written.
//!
//! An [`Expr`] stands for a number that a thread will compute. Operations on
//! it write a line of CUDA each and return the variable that the line defines;
//! a line that has been written before is not written again, so what value and
//! slope of a function share is computed once. Formulas that are generic over
//! their kind of number thus become kernels without being stated twice.
//!
//! Each operation has the CPU's bits, or, where it is computed in double
//! precision and rounded, differs from them in the last place at most.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::rc::Rc;

/// A number that a thread will compute.
#[derive(Clone, Debug)]
pub struct Expr {
    body: Body,
    /// A variable or a literal.
    name: String,
}

/// The lines written so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(Rc<RefCell<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    text: String,
    /// The variable that each right-hand side defines.
    known: HashMap<String, String>,
}

impl Body {
    /// A number whose text is given: a literal, or a variable of the kernel.
    pub(crate) fn name(&self, name: String) -> Expr {
        Expr {
            body: self.clone(),
            name,
        }
    }

    /// The variable that a right-hand side defines.
    fn define(&self, right: String) -> Expr {
        let mut lines = self.0.borrow_mut();
        let name = match lines.known.get(&right) {
            Some(name) => name.clone(),
            None => {
                let name = format!("v{}", lines.known.len());
                writeln!(lines.text, "    float {name} = {right};").expect("a string grows");
                lines.known.insert(right, name.clone());
                name
            }
        };
        drop(lines);
        self.name(name)
    }

    /// All lines.
    pub(crate) fn text(&self) -> String {
        self.0.borrow().text.clone()
    }
}

/// The shortest decimal that reads back to the same bits.
fn literal(c: f64) -> String {
    let c = c as f32;
    match c {
        c if c.is_nan() => "NOT_A_NUMBER".to_owned(),
        f32::INFINITY => "INFINITE".to_owned(),
        f32::NEG_INFINITY => "(-INFINITE)".to_owned(),
        c if c.is_sign_negative() => format!("({c:?}f)"),
        c => format!("{c:?}f"),
    }
}

/// Writes the functions of one number: what the line says, with `{}` for the
/// argument.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident: $text:literal;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> Expr {
            self.body.define($text.replace("{}", &self.name))
        }
    )* };
}

impl Expr {
    /// The variable or literal.
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// A constant in the same kernel.
    #[must_use]
    pub fn constant(&self, c: f64) -> Expr {
        self.body.name(literal(c))
    }

    /// `x + c`.
    #[must_use]
    pub fn plus(&self, c: f64) -> Expr {
        self.clone() + self.constant(c)
    }

    /// `c·x`.
    #[must_use]
    pub fn times(&self, c: f64) -> Expr {
        self.clone() * self.constant(c)
    }

    /// `then` where `a < b`, else `otherwise`.
    #[must_use]
    pub fn if_less(a: &Expr, b: &Expr, then: &Expr, otherwise: &Expr) -> Expr {
        let [a_, b, then, otherwise] = [a, b, then, otherwise].map(Expr::as_str);
        a.body.define(format!("{a_} < {b} ? {then} : {otherwise}"))
    }

    /// `then` where `a = b`, else `otherwise`.
    #[must_use]
    pub fn if_equal(a: &Expr, b: &Expr, then: &Expr, otherwise: &Expr) -> Expr {
        let [a_, b, then, otherwise] = [a, b, then, otherwise].map(Expr::as_str);
        a.body.define(format!("{a_} == {b} ? {then} : {otherwise}"))
    }

    /// The larger of the two; NaN wins.
    #[must_use]
    pub fn maximum(&self, other: &Expr) -> Expr {
        let (a, b) = (&self.name, &other.name);
        self.body
            .define(format!("{a} != {a} || {a} > {b} ? {a} : {b}"))
    }

    /// The smaller of the two; NaN wins.
    #[must_use]
    pub fn minimum(&self, other: &Expr) -> Expr {
        let (a, b) = (&self.name, &other.name);
        self.body
            .define(format!("{a} != {a} || {a} < {b} ? {a} : {b}"))
    }

    /// A function of two numbers in double precision, rounded once.
    fn rounded(&self, function: &str, other: &str) -> Expr {
        let a = &self.name;
        self.body
            .define(format!("(float){function}((double){a}, (double){other})"))
    }

    /// `aᵇ`.
    #[must_use]
    pub fn pow(&self, b: &Expr) -> Expr {
        self.rounded("pow", &b.name)
    }

    /// The angle of the point (`x`, `y`), where `self` is `y`.
    #[must_use]
    pub fn atan2(&self, x: &Expr) -> Expr {
        self.rounded("atan2", &x.name)
    }

    /// `√(a² + b²)`.
    #[must_use]
    pub fn hypot(&self, b: &Expr) -> Expr {
        self.rounded("hypot", &b.name)
    }

    /// `xⁿ`.
    #[must_use]
    pub fn powi(&self, n: i32) -> Expr {
        self.body.define(format!("fg_powi({}, {n})", self.name))
    }

    /// `xᶜ`.
    #[must_use]
    pub fn powf(&self, c: f64) -> Expr {
        self.rounded("pow", &format!("{c:?}"))
    }

    /// The derivative of order `n + 1` of `ln Γ(x)`.
    #[must_use]
    pub fn polygamma(&self, n: u8) -> Expr {
        self.body
            .define(format!("fg_polygamma({n}, {})", self.name))
    }

    functions! {
        /// `1/x`.
        recip: "1.0f / {}";
        /// `x²`.
        square: "{} * {}";
        /// `√x`.
        sqrt: "sqrtf({})";
        /// `eˣ`.
        exp: "fg_exp({})";
        /// `eˣ − 1`.
        exp_m1: "fg_exp_m1({})";
        /// `ln x`.
        ln: "fg_ln({})";
        /// `ln(1 + x)`.
        ln_1p: "fg_ln_1p({})";
        /// `sin x`.
        sin: "fg_sin({})";
        /// `cos x`.
        cos: "fg_cos({})";
        /// `tan x`.
        tan: "(float)tan((double){})";
        /// `arcsin x`.
        asin: "(float)asin((double){})";
        /// `arccos x`.
        acos: "(float)acos((double){})";
        /// `arctan x`.
        atan: "(float)atan((double){})";
        /// `sinh x`.
        sinh: "(float)sinh((double){})";
        /// `cosh x`.
        cosh: "(float)cosh((double){})";
        /// `tanh x`.
        tanh: "fg_tanh({})";
        /// `arsinh x`.
        asinh: "(float)asinh((double){})";
        /// `arcosh x`.
        acosh: "(float)acosh((double){})";
        /// `artanh x`.
        atanh: "(float)atanh((double){})";
        /// `1/(1 + e⁻ˣ)`.
        sigmoid: "fg_sigmoid({})";
        /// `ln(1 + eˣ)`.
        softplus: "fg_softplus({})";
        /// `erf x`.
        erf: "fg_erf({})";
        /// `1 − erf x`.
        erfc: "fg_erfc({})";
        /// `ln Γ(x)`.
        ln_gamma: "fg_ln_gamma({})";
        /// `|x|`.
        abs: "fabsf({})";
        /// −1, 0 or 1.
        sign: "{} > 0.0f ? 1.0f : {} < 0.0f ? -1.0f : {}";
        /// 1 where `x > 0`, else 0.
        step: "{} > 0.0f ? 1.0f : {} <= 0.0f ? 0.0f : {}";
        /// `x` where `x > 0`, else 0.
        relu: "{} <= 0.0f ? 0.0f : {}";
        /// The largest whole number not above `x`.
        floor: "floorf({})";
        /// The smallest whole number not below `x`.
        ceil: "ceilf({})";
        /// The nearest whole number, the even one if there are two.
        round: "rintf({})";
    }
}

/// Writes the operators.
macro_rules! operators {
    ($($trait:ident $method:ident $sign:literal;)*) => { $(
        impl $trait for Expr {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                self.body.define(format!("{} {} {}", self.name, $sign, other.name))
            }
        }
    )* };
}
operators! {
    Add add "+";
    Sub sub "-";
    Mul mul "*";
    Div div "/";
}

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self.body.define(format!("-{}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_becomes_lines_and_shared_parts_are_written_once() {
        let body = Body::default();
        let x = body.name("a0".to_owned());
        // The value and the slope of x·σ(x).
        let y = x.clone() * x.sigmoid();
        let s = x.sigmoid();
        let slope = s.clone() + y * (-s).plus(1.0);
        assert_eq!(slope.as_str(), "v5");
        let text = "    float v0 = fg_sigmoid(a0);\n    float v1 = a0 * v0;\n    float v2 = -v0;\n    \
                    float v3 = v2 + 1.0f;\n    float v4 = v1 * v3;\n    float v5 = v0 + v4;\n";
        assert_eq!(body.text(), text);
    }

    #[test]
    fn constants_read_back_to_the_same_bits() {
        for c in [0.0, 1.0, -0.5, 1e-40, 3.4e38, 0.1, 16_777_217.0] {
            let text = literal(c);
            let digits = text.trim_matches(['(', ')', 'f']);
            let back: f32 = digits.parse().expect("a number");
            assert_eq!(back.to_bits(), (c as f32).to_bits(), "{text}");
        }
        assert_eq!(literal(-0.0), "(-0.0f)");
        assert_eq!(literal(f64::NEG_INFINITY), "(-INFINITE)");
        assert_eq!(literal(f64::NAN), "NOT_A_NUMBER");
    }
}
