//! **Assignment**: the permutation of least total cost, with a proof that it is.
//!
//! Given a square cost matrix $`C`$, the problem and its linear-programming
//! dual are
//!
//! ```math
//! \min_{\sigma \in S_n} \sum_i C_{i\sigma(i)}
//! \;=\;
//! \max_{u, v} \Bigl\{ \sum_i u_i + \sum_j v_j \;:\; u_i + v_j \le C_{ij} \Bigr\} .
//! \tag{CP.2}
//! ```
//!
//! Any *potentials* $`(u, v)`$ that satisfy the inequalities bound the cost of
//! every permutation from below. A permutation whose cost reaches the bound is
//! therefore optimal, and whoever doubts it can check so in $`n^2`$
//! comparisons, without knowing how it was found: [`Assignment::certificate`].
//!
//! # Method
//! Jonker and Volgenant, "A shortest augmenting path algorithm for dense and
//! sparse linear assignment problems", Computing 38 (1987) 325–340. Two cheap
//! starts assign most rows; each remaining row is brought in by a shortest
//! path. Throughout, with the *reduced cost* $`C_{ij} - v_j`$, every assigned
//! row sits at the cheapest column of its own:
//!
//! ```math
//! C_{i\sigma(i)} - v_{\sigma(i)} = u_i = \min_j \, (C_{ij} - v_j) .
//! \tag{CP.3}
//! ```
//!
//! # Accuracy
//! The returned $`u`$ is computed from (CP.3), so the inequalities hold to one
//! rounding. A column's potential is touched by at most $`n`$ shortest paths
//! and $`2n`$ steps of the reduction, each adding a few roundings: the slack
//! of an assigned pair is at most $`24\,n\,\varepsilon\,M`$, where
//! $`\varepsilon = 2^{-52}`$ and $`M = \max|C| + \max|v|`$.

use crate::Error;
use ndarray::{ArrayView2, CowArray, Ix2};

/// The optimal assignment of rows to columns, and the potentials that prove it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// $`\sigma`$: the column assigned to each row.
    pub column_of_row: Vec<usize>,
    /// $`u`$, one for each row, in units of the cost.
    pub row_potential: Vec<f64>,
    /// $`v`$, one for each column, in units of the cost.
    pub column_potential: Vec<f64>,
    /// $`\sum_i C_{i\sigma(i)}`$.
    pub total: f64,
}

/// How far an assignment is from being proved optimal (CP.2): it costs at most
/// `gap + n × infeasibility` more than the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// Largest violation of $`u_i + v_j \le C_{ij}`$; 0 if there is none.
    pub infeasibility: f64,
    /// $`\sum_i (C_{i\sigma(i)} - u_i - v_{\sigma(i)})`$.
    pub gap: f64,
}

impl Assignment {
    /// Checks the potentials against every cost (CP.2).
    ///
    /// A NaN anywhere makes the certificate NaN, which fails every comparison.
    ///
    /// # Panics
    /// If `cost` is not `[n, n]` for this assignment's n, or if
    /// `column_of_row` is not a permutation.
    #[must_use]
    pub fn certificate(&self, cost: ArrayView2<'_, f64>) -> Certificate {
        let n = self.column_of_row.len();
        assert_eq!(cost.dim(), (n, n), "the assignment has {n} rows");
        let mut taken = vec![false; n];
        for &j in &self.column_of_row {
            assert!(!taken[j], "column {j} is assigned twice");
            taken[j] = true;
        }
        let slack =
            |i: usize, j: usize| cost[[i, j]] - (self.row_potential[i] + self.column_potential[j]);
        let mut infeasibility = 0.0_f64;
        for i in 0..n {
            for j in 0..n {
                let violation = -slack(i, j);
                // f64::max would drop a NaN.
                if violation.is_nan() || violation > infeasibility {
                    infeasibility = violation;
                }
            }
        }
        let pairs = self.column_of_row.iter().enumerate();
        let gap = pairs.map(|(i, &j)| slack(i, j)).sum(); // (CP.2)
        Certificate { infeasibility, gap }
    }
}

/// Solves the assignment problem for a square matrix of costs of either sign.
///
/// $`O(n^3)`$ time at worst, much less on geometric costs; $`O(n)`$ memory
/// beside the matrix. Ties are settled by the order of rows and columns.
///
/// # Errors
/// [`Error::Shape`] if the matrix is not square, [`Error::NotFinite`] if a
/// cost is NaN or infinite, and [`Error::Argument`] if one exceeds
/// $`10^{300}`$ in size, where sums of costs would overflow.
pub fn assign(cost: ArrayView2<'_, f64>) -> Result<Assignment, Error> {
    let (rows, columns) = cost.dim();
    if rows != columns {
        return Err(Error::Shape {
            what: "the cost matrix",
            given: vec![rows, columns],
            expected: "as many rows as columns".into(),
        });
    }
    super::minibatch_ot::finite("the cost matrix", cost)?;
    if let Some(large) = cost.iter().find(|c| c.abs() > LARGEST) {
        return Err(Error::argument(
            "a cost",
            large,
            format!("at most {LARGEST:e} in size"),
        ));
    }
    let mut search = Search::new(cost);
    let mut free = search.reduce_columns();
    for _ in 0..2 {
        free = search.reduce_rows(&free);
    }
    for row in free {
        search.augment(row);
    }
    Ok(search.finish())
}

/// Costs up to this size can be added up without overflow.
const LARGEST: f64 = 1e300;
/// "No row" and "no column".
const NONE: usize = usize::MAX;

/// A partial assignment that satisfies (CP.3), and the room to extend it.
struct Search<'a> {
    /// Row by row.
    cost: CowArray<'a, f64, Ix2>,
    column_of_row: Vec<usize>,
    row_of_column: Vec<usize>,
    /// v.
    potential: Vec<f64>,
    path: Paths,
}

/// The shortest paths found from one row so far. A column is *open* until its
/// distance is known to be final.
struct Paths {
    /// Length of the path to each open column; infinite once it is closed.
    distance: Vec<f64>,
    /// v of each open column; −∞ once it is closed, so that no path to it is
    /// ever found shorter, without a test in the innermost loop.
    open_potential: Vec<f64>,
    /// The row from which the path enters each column.
    previous_row: Vec<usize>,
    /// Closed columns, with their final distances.
    closed: Vec<(usize, f64)>,
}

impl<'a> Search<'a> {
    fn new(cost: ArrayView2<'a, f64>) -> Self {
        let n = cost.nrows();
        let cost = if cost.is_standard_layout() {
            CowArray::from(cost)
        } else {
            CowArray::from(cost.as_standard_layout().into_owned())
        };
        Self {
            cost,
            column_of_row: vec![NONE; n],
            row_of_column: vec![NONE; n],
            potential: vec![0.0; n],
            path: Paths {
                distance: vec![0.0; n],
                open_potential: vec![0.0; n],
                previous_row: vec![NONE; n],
                closed: Vec::with_capacity(n),
            },
        }
    }

    /// First start: v is the least cost of each column, and each row that
    /// attains one takes it. Returns the rows left over.
    fn reduce_columns(&mut self) -> Vec<usize> {
        let n = self.potential.len();
        self.potential.fill(f64::INFINITY);
        let mut cheapest_row = vec![NONE; n];
        for (i, row) in self.cost.outer_iter().enumerate() {
            for ((&c, v), cheapest) in row.iter().zip(&mut self.potential).zip(&mut cheapest_row) {
                if c < *v {
                    (*v, *cheapest) = (c, i);
                }
            }
        }
        for (j, &i) in cheapest_row.iter().enumerate() {
            if self.column_of_row[i] == NONE {
                self.column_of_row[i] = j;
                self.row_of_column[j] = i;
            }
        }
        (0..n).filter(|&i| self.column_of_row[i] == NONE).collect()
    }

    /// Second start: each free row takes its cheapest column, whose potential
    /// falls until the second cheapest is equally good; the row it displaces
    /// goes next. Returns the rows displaced without such a gain.
    fn reduce_rows(&mut self, free: &[usize]) -> Vec<usize> {
        let mut left_over = Vec::new();
        // Every gain lowers a potential, but gains may be as small as one
        // rounding, so their number is limited.
        let mut gains_left = self.potential.len();
        for &start in free {
            let mut row = start;
            loop {
                let [(best, j_best), (second, j_second)] = self.two_cheapest(row);
                let lowered = self.potential[j_best] - (second - best);
                // False on a tie, or if rounding swallowed the difference.
                let gain = lowered < self.potential[j_best] && gains_left > 0;
                let column = if gain {
                    gains_left -= 1;
                    self.potential[j_best] = lowered;
                    j_best
                } else if second == best && self.row_of_column[j_best] != NONE {
                    j_second
                } else {
                    j_best
                };
                let displaced = self.row_of_column[column];
                if displaced != NONE && !gain {
                    // Nothing gained: leave the sitting row, bring this one in
                    // by a shortest path.
                    left_over.push(row);
                    break;
                }
                self.row_of_column[column] = row;
                self.column_of_row[row] = column;
                if displaced == NONE {
                    break;
                }
                self.column_of_row[displaced] = NONE;
                row = displaced;
            }
        }
        left_over
    }

    /// The two least reduced costs of a row, with their columns.
    fn two_cheapest(&self, row: usize) -> [(f64, usize); 2] {
        let mut best = (f64::INFINITY, NONE);
        let mut second = best;
        let row = self.cost.row(row);
        for (j, (&c, &v)) in row.iter().zip(&self.potential).enumerate() {
            let reduced = c - v;
            if reduced < second.0 {
                if reduced < best.0 {
                    second = best;
                    best = (reduced, j);
                } else {
                    second = (reduced, j);
                }
            }
        }
        [best, second]
    }

    /// Assigns a free row, by Dijkstra's shortest path over reduced costs from
    /// it to a free column, along which every assigned row moves up by one.
    fn augment(&mut self, start: usize) {
        let n = self.potential.len();
        let path = &mut self.path;
        path.closed.clear();
        path.distance.fill(f64::INFINITY);
        path.open_potential.copy_from_slice(&self.potential);
        let mut row = start;
        // Minus the cost at which `row` was reached and left its column.
        let mut offset = 0.0;
        let (end, length) = loop {
            let costs = self.cost.row(row);
            let column = path.extend(row, costs.as_slice().unwrap_or(&[]), offset);
            let length = path.distance[column];
            if self.row_of_column[column] == NONE {
                break (column, length);
            }
            path.closed.push((column, length));
            path.distance[column] = f64::INFINITY;
            path.open_potential[column] = f64::NEG_INFINITY;
            row = self.row_of_column[column];
            offset = length - (self.cost[[row, column]] - self.potential[column]);
        };
        debug_assert!(length.is_finite(), "no column is open after {n} steps");
        // Lower the potentials of the columns passed, so that every row on the
        // path is as well off one column further on (CP.3).
        for &(column, distance) in &path.closed {
            self.potential[column] += distance - length;
        }
        let mut column = end;
        loop {
            let row = path.previous_row[column];
            self.row_of_column[column] = row;
            column = std::mem::replace(&mut self.column_of_row[row], column);
            if row == start {
                break;
            }
        }
    }

    fn finish(self) -> Assignment {
        let (cost, potential) = (&self.cost, &self.potential);
        let reduced = |(c, v): (&f64, &f64)| c - v;
        let row_potential = cost
            .outer_iter()
            .map(|row| {
                row.iter()
                    .zip(potential)
                    .map(reduced)
                    .fold(f64::INFINITY, f64::min)
            }) // (CP.3)
            .collect();
        let pairs = self.column_of_row.iter().enumerate();
        Assignment {
            total: pairs.map(|(i, &j)| cost[[i, j]]).sum(),
            row_potential,
            column_of_row: self.column_of_row,
            column_potential: self.potential,
        }
    }
}

impl Paths {
    /// Extends the paths by the edges that leave `row`; returns the open
    /// column now nearest.
    fn extend(&mut self, row: usize, costs: &[f64], offset: f64) -> usize {
        let mut nearest = (f64::INFINITY, 0);
        let columns = self.distance.iter_mut().zip(&mut self.previous_row);
        let edges = costs.iter().zip(&self.open_potential);
        for (j, ((distance, previous), (&c, &v))) in columns.zip(edges).enumerate() {
            let through = c - v + offset;
            if through < *distance {
                (*distance, *previous) = (through, row);
            }
            if *distance < nearest.0 {
                nearest = (*distance, j);
            }
        }
        nearest.1
    }
}
