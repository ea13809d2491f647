//! **Methods**: the tableaux as they are printed, each with its source.
//!
//! Dense output beyond what follows from a method (RK.10) is given where it
//! raises the order: the row of the fourth-order methods is the one that
//! solves the four conditions of order 3.

use crate::dense::Dense;
pub use crate::dop853::DOP853_TABLEAU;
use crate::fraction::{Fraction, frac};
use crate::method::Method;
use crate::tableau::{Estimate, Tableau};
pub use crate::tsitouras::TSITOURAS_TABLEAU;
use std::sync::LazyLock;

const O: Fraction = Fraction::ZERO;
const ONE: Fraction = Fraction::ONE;

/// Euler's method, order 1 (Euler 1768).
pub static EULER: LazyLock<Method> = LazyLock::new(|| EULER_TABLEAU.into());
/// The explicit midpoint rule, order 2 (Runge 1895).
pub static MIDPOINT: LazyLock<Method> = LazyLock::new(|| MIDPOINT_TABLEAU.into());
/// The trapezoidal predictor and corrector, order 2 (Heun 1900).
pub static HEUN: LazyLock<Method> = LazyLock::new(|| HEUN_TABLEAU.into());
/// The method of order 2 with the least error bound (Ralston 1962).
pub static RALSTON: LazyLock<Method> = LazyLock::new(|| RALSTON_TABLEAU.into());
/// Kutta's method of order 3 (Kutta 1901).
pub static KUTTA3: LazyLock<Method> = LazyLock::new(|| KUTTA3_TABLEAU.into());
/// Three convex combinations of Euler steps, order 3 (Shu and Osher 1988).
pub static SSPRK33: LazyLock<Method> = LazyLock::new(|| SSPRK33_TABLEAU.into());
/// The classical method of order 4 (Kutta 1901).
pub static RK4: LazyLock<Method> = LazyLock::new(|| RK4_TABLEAU.into());
/// The 3/8 rule, order 4 (Kutta 1901).
pub static THREE_EIGHTHS: LazyLock<Method> = LazyLock::new(|| THREE_EIGHTHS_TABLEAU.into());
/// Bogacki and Shampine's pair of orders 3 and 2 (Appl. Math. Lett. 2 (1989)
/// 321–325).
pub static BOGACKI_SHAMPINE: LazyLock<Method> = LazyLock::new(|| BOGACKI_SHAMPINE_TABLEAU.into());
/// Dormand and Prince's pair of orders 5 and 4 (J. Comput. Appl. Math. 6
/// (1980) 19–26).
pub static DORMAND_PRINCE: LazyLock<Method> = LazyLock::new(|| DORMAND_PRINCE_TABLEAU.into());
/// Tsitouras' pair of orders 5 and 4 (Comput. Math. Appl. 62 (2011) 770–775).
pub static TSITOURAS: LazyLock<Method> = LazyLock::new(|| TSITOURAS_TABLEAU.into());
/// Dormand and Prince's method of order 8 with Hairer's estimators of orders 5
/// and 3 and dense output of order 7.
pub static DOP853: LazyLock<Method> = LazyLock::new(|| DOP853_TABLEAU.into());

/// The tableau of [`EULER`].
pub const EULER_TABLEAU: Tableau<Fraction, 1> = Tableau {
    name: "Euler",
    source: "Euler, Institutiones calculi integralis (1768)",
    order: 1,
    c: [O],
    a: [[O]],
    b: [ONE],
    estimate: Estimate::None,
    dense: Dense::continuous(1, &[]),
}
.checked();

/// The tableau of [`MIDPOINT`].
pub const MIDPOINT_TABLEAU: Tableau<Fraction, 2> = Tableau {
    name: "midpoint",
    source: "Runge, Math. Ann. 46 (1895) 167-178",
    order: 2,
    c: [O, frac(1, 2)],
    a: [[O, O], [frac(1, 2), O]],
    b: [O, ONE],
    estimate: Estimate::None,
    dense: Dense::continuous(2, &[]),
}
.checked();

/// The tableau of [`HEUN`].
pub const HEUN_TABLEAU: Tableau<Fraction, 2> = Tableau {
    name: "Heun",
    source: "Heun, Z. Math. Phys. 45 (1900) 23-38",
    order: 2,
    c: [O, ONE],
    a: [[O, O], [ONE, O]],
    b: [frac(1, 2), frac(1, 2)],
    estimate: Estimate::None,
    dense: Dense::continuous(2, &[]),
}
.checked();

/// The tableau of [`RALSTON`].
pub const RALSTON_TABLEAU: Tableau<Fraction, 2> = Tableau {
    name: "Ralston",
    source: "Ralston, Math. Comp. 16 (1962) 431-437",
    order: 2,
    c: [O, frac(2, 3)],
    a: [[O, O], [frac(2, 3), O]],
    b: [frac(1, 4), frac(3, 4)],
    estimate: Estimate::None,
    dense: Dense::continuous(2, &[]),
}
.checked();

/// The tableau of [`KUTTA3`].
#[rustfmt::skip]
pub const KUTTA3_TABLEAU: Tableau<Fraction, 3> = Tableau {
    name: "Kutta3",
    source: "Kutta, Z. Math. Phys. 46 (1901) 435-453",
    order: 3,
    c: [O, frac(1, 2), ONE],
    a: [[O,           O,          O],
        [frac(1, 2),  O,          O],
        [frac(-1, 1), frac(2, 1), O]],
    b:  [frac(1, 6),  frac(2, 3), frac(1, 6)],
    estimate: Estimate::None,
    dense: Dense::continuous(2, &[]),
}
.checked();

/// The tableau of [`SSPRK33`].
#[rustfmt::skip]
pub const SSPRK33_TABLEAU: Tableau<Fraction, 3> = Tableau {
    name: "SSPRK33",
    source: "Shu and Osher, J. Comput. Phys. 77 (1988) 439-471",
    order: 3,
    c: [O, ONE, frac(1, 2)],
    a: [[O,          O,          O],
        [ONE,        O,          O],
        [frac(1, 4), frac(1, 4), O]],
    b:  [frac(1, 6), frac(1, 6), frac(2, 3)],
    estimate: Estimate::None,
    dense: Dense::continuous(2, &[]),
}
.checked();

/// The tableau of [`RK4`].
#[rustfmt::skip]
pub const RK4_TABLEAU: Tableau<Fraction, 4> = Tableau {
    name: "RK4",
    source: "Kutta, Z. Math. Phys. 46 (1901) 435-453",
    order: 4,
    c: [O, frac(1, 2), frac(1, 2), ONE],
    a: [[O,          O,          O,   O],
        [frac(1, 2), O,          O,   O],
        [O,          frac(1, 2), O,   O],
        [O,          O,          ONE, O]],
    b:  [frac(1, 6), frac(1, 3), frac(1, 3), frac(1, 6)],
    estimate: Estimate::None,
    dense: Dense::continuous(3, &[[frac(-2, 3), frac(2, 3), frac(2, 3), frac(-2, 3)]]),
}
.checked();

/// The tableau of [`THREE_EIGHTHS`].
#[rustfmt::skip]
pub const THREE_EIGHTHS_TABLEAU: Tableau<Fraction, 4> = Tableau {
    name: "3/8 rule",
    source: "Kutta, Z. Math. Phys. 46 (1901) 435-453",
    order: 4,
    c: [O, frac(1, 3), frac(2, 3), ONE],
    a: [[O,           O,           O,   O],
        [frac(1, 3),  O,           O,   O],
        [frac(-1, 3), ONE,         O,   O],
        [ONE,         frac(-1, 1), ONE, O]],
    b:  [frac(1, 8),  frac(3, 8),  frac(3, 8), frac(1, 8)],
    estimate: Estimate::None,
    dense: Dense::continuous(3, &[[frac(-1, 1), frac(3, 2), O, frac(-1, 2)]]),
}
.checked();

/// The tableau of [`BOGACKI_SHAMPINE`]. Dense output is Hermite's cubic.
#[rustfmt::skip]
pub const BOGACKI_SHAMPINE_TABLEAU: Tableau<Fraction, 4> = Tableau {
    name: "Bogacki-Shampine",
    source: "Bogacki and Shampine, Appl. Math. Lett. 2 (1989) 321-325",
    order: 3,
    c: [O, frac(1, 2), frac(3, 4), ONE],
    a: [[O,          O,          O,          O],
        [frac(1, 2), O,          O,          O],
        [O,          frac(3, 4), O,          O],
        [frac(2, 9), frac(1, 3), frac(4, 9), O]],
    b:  [frac(2, 9), frac(1, 3), frac(4, 9), O],
    estimate: Estimate::None,
    dense: Dense::smooth(3, &[]),
}
.embedded([frac(7, 24), frac(1, 4), frac(1, 3), frac(1, 8)], frac(1, 1152))
.checked();

/// The tableau of [`DORMAND_PRINCE`]: RK5(4)7M. The row of dense output is
/// Hairer's (*Solving ODEs I*, II.6, and his code `dopri5`).
#[rustfmt::skip]
pub const DORMAND_PRINCE_TABLEAU: Tableau<Fraction, 7> = Tableau {
    name: "Dormand-Prince",
    source: "Dormand and Prince, J. Comput. Appl. Math. 6 (1980) 19-26",
    order: 5,
    c: [O, frac(1, 5), frac(3, 10), frac(4, 5), frac(8, 9), ONE, ONE],
    a: [[O,                 O,                   O,                 O,              O,                 O,            O],
        [frac(1, 5),        O,                   O,                 O,              O,                 O,            O],
        [frac(3, 40),       frac(9, 40),         O,                 O,              O,                 O,            O],
        [frac(44, 45),      frac(-56, 15),       frac(32, 9),       O,              O,                 O,            O],
        [frac(19372, 6561), frac(-25360, 2187),  frac(64448, 6561), frac(-212, 729), O,                O,            O],
        [frac(9017, 3168),  frac(-355, 33),      frac(46732, 5247), frac(49, 176),  frac(-5103, 18656), O,           O],
        [frac(35, 384),     O,                   frac(500, 1113),   frac(125, 192), frac(-2187, 6784), frac(11, 84), O]],
    b:  [frac(35, 384),     O,                   frac(500, 1113),   frac(125, 192), frac(-2187, 6784), frac(11, 84), O],
    estimate: Estimate::None,
    dense: Dense::smooth(4, &[[
        frac(-12_715_105_075, 11_282_082_432),
        O,
        frac(87_487_479_700, 32_700_410_799),
        frac(-10_690_763_975, 1_880_347_072),
        frac(701_980_252_875, 199_316_789_632),
        frac(-1_453_857_185, 822_651_844),
        frac(69_997_945, 29_380_423),
    ]]),
}
.embedded(
        [frac(5179, 57600), O,                   frac(7571, 16695), frac(393, 640), frac(-92097, 339_200), frac(187, 2100), frac(1, 40)],
    frac(29_380_423, 20_995_200_000_000),
)
.checked();

/// All methods, by ascending order.
pub static ALL: LazyLock<[&'static Method; 12]> = LazyLock::new(|| {
    [
        &EULER,
        &MIDPOINT,
        &HEUN,
        &RALSTON,
        &KUTTA3,
        &SSPRK33,
        &RK4,
        &THREE_EIGHTHS,
        &BOGACKI_SHAMPINE,
        &DORMAND_PRINCE,
        &TSITOURAS,
        &DOP853,
    ]
});

/// The methods by the names a command line uses, in the order of [`ALL`].
pub const NAMES: [&str; 12] = [
    "euler", "midpoint", "heun", "ralston", "kutta3", "ssprk33", "rk4", "rk38", "bs32", "dopri5",
    "tsit5", "dop853",
];

/// The method of a name in [`NAMES`].
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Method> {
    let place = NAMES.iter().position(|known| *known == name)?;
    Some(ALL[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_method_and_no_other_does() {
        let found = NAMES.map(|name| by_name(name).expect("a method").name);
        assert_eq!(found[..3], ["Euler", "midpoint", "Heun"]);
        assert_eq!(
            found[6..10],
            ["RK4", "3/8 rule", "Bogacki-Shampine", "Dormand-Prince"]
        );
        assert!(by_name("rk45").is_none());
        assert!(ALL.iter().all(|method| !method.source.is_empty()));
    }
}
