//! **Methods**: the tableaux as they are printed, each with its source.

use crate::fraction::{Fraction, frac};
use crate::tableau::{Method, Tableau};
use std::sync::LazyLock;

const O: Fraction = Fraction::ZERO;
const ONE: Fraction = Fraction::ONE;

/// Euler's method, order 1 (Euler 1768).
pub static EULER: LazyLock<Method> = LazyLock::new(|| EULER_TABLEAU.into());
/// The explicit midpoint rule, order 2 (Runge 1895).
pub static MIDPOINT: LazyLock<Method> = LazyLock::new(|| MIDPOINT_TABLEAU.into());
/// The classical method of order 4 (Kutta 1901).
pub static RK4: LazyLock<Method> = LazyLock::new(|| RK4_TABLEAU.into());
/// Dormand and Prince's pair of orders 5 and 4 (J. Comput. Appl. Math. 6
/// (1980) 19–26).
pub static DORMAND_PRINCE: LazyLock<Method> = LazyLock::new(|| DORMAND_PRINCE_TABLEAU.into());

/// The tableau of [`EULER`].
pub const EULER_TABLEAU: Tableau<1> = Tableau {
    name: "Euler",
    order: 1,
    c: [O],
    a: [[O]],
    b: [ONE],
    embedded: None,
}
.checked();

/// The tableau of [`MIDPOINT`].
pub const MIDPOINT_TABLEAU: Tableau<2> = Tableau {
    name: "midpoint",
    order: 2,
    c: [O, frac(1, 2)],
    a: [[O, O], [frac(1, 2), O]],
    b: [O, ONE],
    embedded: None,
}
.checked();

/// The tableau of [`RK4`].
#[rustfmt::skip]
pub const RK4_TABLEAU: Tableau<4> = Tableau {
    name: "RK4",
    order: 4,
    c: [O, frac(1, 2), frac(1, 2), ONE],
    a: [[O,          O,          O,   O],
        [frac(1, 2), O,          O,   O],
        [O,          frac(1, 2), O,   O],
        [O,          O,          ONE, O]],
    b:  [frac(1, 6), frac(1, 3), frac(1, 3), frac(1, 6)],
    embedded: None,
}
.checked();

/// The tableau of [`DORMAND_PRINCE`].
#[rustfmt::skip]
pub const DORMAND_PRINCE_TABLEAU: Tableau<7> = Tableau {
    name: "Dormand-Prince",
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
    embedded: Some(
        [frac(5179, 57600), O,                   frac(7571, 16695), frac(393, 640), frac(-92097, 339_200), frac(187, 2100), frac(1, 40)]),
}
.checked();

/// The four methods by the names a command line uses.
pub const NAMES: [&str; 4] = ["euler", "midpoint", "rk4", "dopri5"];

/// The method of a name in [`NAMES`].
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Method> {
    match name {
        "euler" => Some(&EULER),
        "midpoint" => Some(&MIDPOINT),
        "rk4" => Some(&RK4),
        "dopri5" => Some(&DORMAND_PRINCE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_method_and_no_other_does() {
        let found = NAMES.map(|name| by_name(name).expect("a method").name);
        assert_eq!(found, ["Euler", "midpoint", "RK4", "Dormand-Prince"]);
        assert!(by_name("rk45").is_none());
    }
}
