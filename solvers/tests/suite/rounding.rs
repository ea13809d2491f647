//! What rounding may leave of a chain of steps, to first order and without
//! hope: `|e| ≤ Σ_k |J_n ⋯ J_{k+1}| δ_k`, where `δ_k` bounds what step `k` rounds
//! and `J` are the derivatives of the steps. Products of two roundings, of size
//! 1e-32, are left out; bounds are computed in doubles, of which a part in 1e-9
//! may be wrong, and counted with a hundredth more.

/// Half the spacing of numbers at 1: what one operation rounds, at most.
pub(crate) const UNIT: f64 = 0.5 * f64::EPSILON;

type Matrix = Vec<Vec<f64>>;

/// The derivative of a step by central differences: truncation is 1e-10 times
/// third derivatives, rounding 1e-16 over 1e-5.
pub(crate) fn jacobian(step: impl Fn(&[f64]) -> Vec<f64>, at: &[f64]) -> Matrix {
    let column = |j: usize| {
        let moved = |by: f64| {
            let mut y = at.to_vec();
            y[j] += by;
            step(&y)
        };
        let pairs = moved(1e-5).into_iter().zip(moved(-1e-5));
        pairs.map(|(a, b)| (a - b) / 2e-5).collect::<Vec<f64>>()
    };
    let columns: Vec<Vec<f64>> = (0..at.len()).map(column).collect();
    let row = |i: usize| columns.iter().map(|column| column[i]).collect();
    (0..columns[0].len()).map(row).collect()
}

/// `|M| v`.
pub(crate) fn spread(matrix: &Matrix, v: &[f64]) -> Vec<f64> {
    let dot = |row: &Vec<f64>| row.iter().zip(v).map(|(m, v)| m.abs() * v).sum();
    matrix.iter().map(dot).collect()
}

/// The bound for the end of a chain, from the derivative of each step and what
/// it rounds.
pub(crate) fn left(steps: &[(Matrix, Vec<f64>)]) -> Vec<f64> {
    let n = steps[0].1.len();
    let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect();
    let mut product: Matrix = (0..n).map(unit).collect();
    let mut sum = vec![0.0; n];
    for (jacobian, local) in steps.iter().rev() {
        for (sum, part) in sum.iter_mut().zip(spread(&product, local)) {
            *sum += 1.01 * part;
        }
        let entry = |row: &Vec<f64>, j: usize| (0..n).map(|k| row[k] * jacobian[k][j]).sum();
        let times = |row: &Vec<f64>| (0..n).map(|j| entry(row, j)).collect();
        product = product.iter().map(times).collect();
    }
    sum
}

#[test]
fn errors_of_a_chain_are_carried_to_its_end() {
    // Two steps, a doubling and a quarter turn, which exchanges coordinates.
    let double = vec![vec![2.0, 0.0], vec![0.0, 2.0]];
    let turn = vec![vec![0.0, -1.0], vec![1.0, 0.0]];
    let found = left(&[(double, vec![1.0, 0.0]), (turn, vec![0.0, 3.0])]);
    // The first error is turned, the second stays.
    assert_eq!(found, [0.0, 4.0 * 1.01]);
    let step = |y: &[f64]| vec![y[0] * y[1], y[0]];
    let found = jacobian(step, &[3.0, 2.0]);
    let exact = [[2.0, 3.0], [1.0, 0.0]];
    for (found, exact) in found.iter().flatten().zip(exact.iter().flatten()) {
        assert!((found - exact).abs() <= 1e-9, "{found}");
    }
}
