//! Every condition of every method, in exact numbers and in the doubles that
//! the stepper runs.

use crate::references::{METHODS, references};
use num_bigint::BigInt;
use solvers::order::{Coefficients, Ring};
use solvers::stability::{imaginary_interval, real_interval, stability_polynomial};
use solvers::trees::TREES;
use solvers::{Coefficient, Fraction, Printed, Tableau, methods};

/// A number with 120 digits behind the point: thirty more than any coefficient
/// that is printed has, so that what rounding adds to a condition, a few
/// hundred products of numbers below 400, stays below 1e-115.
#[derive(Clone, Debug, PartialEq)]
struct Exact(BigInt);

const DIGITS: u32 = 120;

fn unit() -> BigInt {
    BigInt::from(10).pow(DIGITS)
}

impl Ring for Exact {
    fn integer(n: i64) -> Self {
        Exact(BigInt::from(n) * unit())
    }
    fn plus(&self, other: &Self) -> Self {
        Exact(&self.0 + &other.0)
    }
    fn times(&self, other: &Self) -> Self {
        Exact(&self.0 * &other.0 / unit())
    }
}

impl Exact {
    /// A decimal, with or without exponent, or a fraction of whole numbers.
    fn read(text: &str) -> Self {
        if let Some((p, q)) = text.split_once('/') {
            let [p, q] = [p, q].map(|n| n.parse::<BigInt>().expect("a whole number"));
            return Exact(p * unit() / q);
        }
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().expect("an exponent");
        let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: BigInt = format!("{whole}{behind}").parse().expect("digits");
        let shift = DIGITS as i32 + exponent - behind.len() as i32;
        let shift = u32::try_from(shift).expect("no more digits than there is room for");
        Exact(digits * BigInt::from(10).pow(shift))
    }

    fn of(fraction: Fraction) -> Self {
        let (p, q) = fraction.parts();
        Exact(BigInt::from(p) * unit() / BigInt::from(q))
    }

    /// The size as a double; 1e-300 is far below what has digits here.
    fn size(&self) -> f64 {
        let text = self.0.magnitude().to_string();
        format!("{text}e-{DIGITS}").parse().expect("a number")
    }
}

fn exact_fractions<const S: usize>(tableau: Tableau<Fraction, S>) -> Coefficients<Exact> {
    tableau.coefficients(Exact::of)
}

fn exact_printed<const S: usize>(tableau: Tableau<Printed, S>) -> Coefficients<Exact> {
    tableau.coefficients(|printed: Printed| Exact::read(printed.0))
}

/// Every method in exact numbers, in the order of `methods::ALL`.
fn all() -> Vec<Coefficients<Exact>> {
    vec![
        exact_fractions(methods::EULER_TABLEAU),
        exact_fractions(methods::MIDPOINT_TABLEAU),
        exact_fractions(methods::HEUN_TABLEAU),
        exact_fractions(methods::RALSTON_TABLEAU),
        exact_fractions(methods::KUTTA3_TABLEAU),
        exact_fractions(methods::SSPRK33_TABLEAU),
        exact_fractions(methods::RK4_TABLEAU),
        exact_fractions(methods::THREE_EIGHTHS_TABLEAU),
        exact_fractions(methods::BOGACKI_SHAMPINE_TABLEAU),
        exact_fractions(methods::DORMAND_PRINCE_TABLEAU),
        exact_printed(methods::TSITOURAS_TABLEAU),
        exact_printed(methods::DOP853_TABLEAU),
    ]
}

/// The largest residual over the trees with at most `nodes` nodes.
fn largest(residuals: &[Exact], nodes: usize) -> f64 {
    let sized = residuals.iter().zip(&TREES);
    let sized = sized.filter(|(_, tree)| tree.order <= nodes);
    sized.fold(0.0, |most, (x, _)| most.max(x.size()))
}

fn flat(residuals: Vec<Vec<Exact>>) -> Vec<Exact> {
    let largest = |row: Vec<Exact>| {
        let by_size = |a: &Exact, b: &Exact| a.0.magnitude().cmp(b.0.magnitude());
        row.into_iter().max_by(by_size).expect("there are powers")
    };
    residuals.into_iter().map(largest).collect()
}

/// The digits to which a method's conditions hold: those it is printed with,
/// less the size of the density they are multiplied by, which is 120 for five
/// nodes and 40320 for eight. Tsitouras' dense output is known to 44.
fn precision(name: &str) -> (f64, f64) {
    match name {
        "Tsitouras" => (84e-84 * 120.0, 1e-44 * 88.0 * 24.0),
        "DOP853" => (3e-29 * 40_320.0, 3e-29 * 400.0 * 5040.0),
        _ => (1e-115, 1e-115),
    }
}

/// Verifies (RK.3), (RK.7), (RK.8).
#[test]
fn every_condition_holds_to_the_printed_digits_and_no_further() {
    for (method, exact) in methods::ALL.iter().zip(all()) {
        let name = method.name;
        let (tight, loose) = precision(name);
        let order = method.order;
        let main = exact.residuals(order + 1);
        assert!(
            largest(&main, order) <= tight,
            "{name}: {:e}",
            largest(&main, order)
        );
        assert!(
            largest(&main, order + 1) > 1e-6,
            "{name}: the order is higher"
        );
        let dense = flat(exact.dense_residuals(order));
        let q = method.dense_order;
        assert!(
            largest(&dense, q) <= loose,
            "{name}: {:e}",
            largest(&dense, q)
        );
        assert!(q + 1 >= order, "{name}: output loses accuracy");
        if q < order {
            assert!(
                largest(&dense, q + 1) > 1e-6,
                "{name}: the dense order is higher"
            );
        }
        let orders: &[usize] = match name {
            "Bogacki-Shampine" => &[2],
            "Dormand-Prince" | "Tsitouras" => &[4],
            "DOP853" => &[5, 3],
            _ => &[],
        };
        assert_eq!(exact.error.len(), orders.len(), "{name}");
        for (row, &p) in exact.error.iter().zip(orders) {
            let residuals = exact.error_residuals(row, p + 1);
            assert!(
                largest(&residuals, p) <= tight,
                "{name}: {:e}",
                largest(&residuals, p)
            );
            assert!(
                largest(&residuals, p + 1) > 1e-6,
                "{name}: nothing is estimated"
            );
        }
        for (row, c) in exact.a.iter().zip(&exact.c) {
            let minus = Exact::integer(-1).times(c);
            let defect = row.iter().fold(minus, |sum, a| sum.plus(a));
            assert!(
                defect.size() <= tight,
                "{name}: a row does not sum to its node"
            );
        }
    }
}

/// A change that every condition of a method must notice.
enum Rows {
    /// Rows of `a` no longer sum to their nodes, which is noticed too.
    Broken,
    /// They still do: only the conditions can notice.
    Kept,
}

/// Whether a method has all it says, condition by condition in the order of the
/// trees' sizes, so that what is wrong with few nodes is soon found.
fn judge(exact: &Coefficients<Exact>, (p, q): (usize, usize)) -> bool {
    let holds = |residuals: &[Exact]| residuals.iter().all(|x| x.size() <= 1e-23);
    let rows = exact.a.iter().zip(&exact.c).all(|(row, c)| {
        let minus = Exact::integer(-1).times(c);
        row.iter().fold(minus, |sum, a| sum.plus(a)).size() <= 1e-23
    });
    let mut estimates = exact.error.iter().zip([5, 3]);
    let single = exact.error.len() == 1;
    rows && estimates.all(|(row, order)| {
        let order = if single { p - 1 } else { order };
        holds(&exact.error_residuals(row, order))
    }) && (1..=p).all(|nodes| {
        let dense = nodes > q || holds(&flat(exact.dense_residuals(nodes)));
        dense && holds(&exact.residuals(nodes))
    })
}

/// A digit changed anywhere is seen, also where published libraries have had
/// wrong ones: in nodes, in rows of dense output, in the estimate. An entry of
/// `a` changed alone would be noticed by the sum of its row and no condition
/// would be needed; so entries are changed in pairs that keep the sum, or
/// together with their node.
#[test]
fn a_wrong_digit_anywhere_is_seen() {
    // The last digits of DOP853 and dense Tsitouras are not determined by the
    // conditions; the 20th digit is.
    let little = Exact::read("1e-20");
    let less = Exact::integer(-1).times(&little);
    let mut kept = 0;
    for (method, exact) in methods::ALL.iter().zip(all()) {
        let orders = (method.order, method.dense_order);
        assert!(judge(&exact, orders), "{} as it is", method.name);
        let mut spoil = |rows: Rows, place: String, change: &dyn Fn(&mut Coefficients<Exact>)| {
            let mut wrong = exact.clone();
            change(&mut wrong);
            assert!(!judge(&wrong, orders), "{}: {place}", method.name);
            if matches!(rows, Rows::Kept) {
                kept += 1;
                // Nothing but conditions has seen it.
                for (row, c) in wrong.a.iter().zip(&wrong.c) {
                    let minus = Exact::integer(-1).times(c);
                    let defect = row.iter().fold(minus, |sum, a| sum.plus(a));
                    assert!(defect.size() <= 1e-23, "{}: {place}", method.name);
                }
            }
        };
        for i in 0..exact.b.len() {
            spoil(Rows::Broken, format!("c[{i}]"), &|x| {
                x.c[i] = x.c[i].plus(&little);
            });
            spoil(Rows::Kept, format!("b[{i}]"), &|x| {
                x.b[i] = x.b[i].plus(&little);
            });
            for m in 0..exact.error.len() {
                spoil(Rows::Kept, format!("error[{m}][{i}]"), &|x| {
                    x.error[m][i] = x.error[m][i].plus(&little);
                });
            }
            for m in 0..exact.dense.len() {
                spoil(Rows::Kept, format!("dense[{m}][{i}]"), &|x| {
                    x.dense[m][i] = x.dense[m][i].plus(&little);
                });
            }
            for j in 0..i {
                spoil(Rows::Broken, format!("a[{i}][{j}]"), &|x| {
                    x.a[i][j] = x.a[i][j].plus(&little);
                });
                // The last entry takes back what the others get, and what it
                // gets itself is the node's.
                spoil(Rows::Kept, format!("a[{i}][{j}], row kept"), &|x| {
                    x.a[i][j] = x.a[i][j].plus(&little);
                    match j + 1 < i {
                        true => x.a[i][i - 1] = x.a[i][i - 1].plus(&less),
                        false => x.c[i] = x.c[i].plus(&little),
                    }
                });
            }
        }
    }
    assert!(kept > 500, "{kept}");
}

/// The doubles of the stepper, examined by the same conditions; and what no
/// condition sees: how large an error and its estimate are, against norms
/// computed apart from this project.
///
/// Verifies (RK.9), (RK.11).
#[test]
fn what_the_stepper_runs_is_what_was_checked() {
    let references = references();
    for ((method, exact), name) in methods::ALL.iter().zip(all()).zip(METHODS) {
        let doubles = method.coefficients();
        let near = |doubles: &[f64], exact: &[Exact]| {
            doubles.iter().zip(exact).all(|(x, exact)| {
                let text = format!("{x:e}");
                let difference = Exact::read(&text).plus(&Exact::integer(-1).times(exact));
                // Rounded once, or, where a weight of dense output is a
                // difference of others, twice: half a unit of the last place
                // each, of numbers that the difference may cancel to a tenth.
                difference.size() <= 1e-15 * exact.size().max(1e-1)
            })
        };
        assert!(
            near(&doubles.b, &exact.b) && near(&doubles.c, &exact.c),
            "{name}"
        );
        let rows = [(&doubles.a, &exact.a), (&doubles.error, &exact.error)];
        for (doubles, exact) in rows.into_iter().chain([(&doubles.dense, &exact.dense)]) {
            assert_eq!(doubles.len(), exact.len());
            assert!(doubles.iter().zip(exact).all(|(x, e)| near(x, e)), "{name}");
        }
        assert_eq!(doubles.order(), method.order, "{name}");
        assert_eq!(doubles.dense_order(), method.dense_order, "{name}");
        assert!(doubles.row_sum_defect() <= 1e-14, "{name}");
        let fact = &references["facts"][name];
        let known = |key: &str| fact[key].as_f64();
        assert_eq!(known("order"), Some(method.order as f64));
        // Ten digits are given; the intervals were looked for in steps of 1e-4.
        let close = |found: f64, key: &str, tolerance: f64| {
            if let Some(known) = known(key) {
                assert!((found - known).abs() <= tolerance, "{name} {key}: {found}");
            }
        };
        close(doubles.error_norm(), "T_next", 2e-10);
        if let [row] = &doubles.error[..] {
            let norm = doubles.estimator_norm(row);
            close(norm, "estimator_norm", 2e-12);
            // The wrong twin: an estimate scaled by 1.65, which SUNDIALS had.
            let scaled: Vec<f64> = row.iter().map(|x| 1.65 * x).collect();
            assert_eq!(doubles.error_order(&scaled), method.order - 1);
            assert!((doubles.estimator_norm(&scaled) - norm).abs() > 1e-4);
        }
        let polynomial = stability_polynomial(&doubles);
        close(real_interval(&polynomial), "real_interval", 1e-4);
        close(imaginary_interval(&polynomial), "imag_interval", 1e-4);
    }
    let dop853 = methods::DOP853.coefficients();
    let orders = dop853.error.iter().map(|row| dop853.error_order(row));
    assert_eq!(orders.collect::<Vec<_>>(), [5, 3]);
}

#[test]
fn texts_are_read_exactly() {
    assert_eq!(Exact::read("-0.25e-1"), Exact::read("-1/40"));
    assert_eq!(Exact::read("12"), Exact::integer(12));
    assert_eq!(
        Exact::read("1/3").times(&Exact::integer(3)).size(),
        1.0 - 1e-120
    );
    assert_eq!(Printed("5e-3").to_f64(), 0.005);
}
