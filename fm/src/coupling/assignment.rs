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
//! An auction finds potentials that are nearly right, then the assignment is
//! built from nothing with those: most rows by one cheap step each, the rest by
//! a shortest path each. (Bertsekas, "The auction algorithm", Annals of
//! Operations Research 14 (1988) 105–123; Jonker and Volgenant, "A shortest
//! augmenting path algorithm for dense and sparse linear assignment problems",
//! Computing 38 (1987) 325–340.) Any potentials are a valid start, so the
//! auction decides the speed and nothing else: without it the paths for noise
//! in the midst of a ring of data visit a quarter of all columns, and 2000
//! points take ten times as long.
//!
//! While the assignment is built, with the *reduced cost* $`C_{ij} - v_j`$,
//! every assigned row sits at the cheapest column of its own:
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
    search.price();
    let mut free: Vec<usize> = (0..rows).collect();
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
/// Columns looked at together.
const BLOCK: usize = 16;

/// The least of $`c_k - v_k`$, kept in four lanes so that it vectorises.
fn least_difference(c: &[f64], v: &[f64]) -> f64 {
    let less = |a: f64, b: f64| if a < b { a } else { b };
    let mut lanes = [f64::INFINITY; 4];
    let (fours, rest) = c.as_chunks::<4>();
    let (v_fours, v_rest) = v.as_chunks::<4>();
    for (c, v) in fours.iter().zip(v_fours) {
        for (lane, (c, v)) in lanes.iter_mut().zip(c.iter().zip(v)) {
            *lane = less(c - v, *lane);
        }
    }
    let rest = rest.iter().zip(v_rest).map(|(c, v)| c - v);
    rest.chain(lanes).fold(f64::INFINITY, less)
}

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

    /// Sets potentials by an auction, the rows bidding for columns: a bid
    /// lowers the column's potential until it is worse than the second cheapest
    /// by `raise`, and drives out whoever held it. Small raises find nearly the
    /// final potentials, large ones find the neighbourhood soon; so the raise
    /// falls by steps, from a tenth of the mean cost (above each column's least)
    /// to an n-th of it.
    fn price(&mut self) {
        let n = self.potential.len();
        self.potential.fill(f64::INFINITY);
        for row in self.cost.outer_iter() {
            for (v, &c) in self.potential.iter_mut().zip(row) {
                *v = v.min(c);
            }
        }
        let least: f64 = self.potential.iter().sum();
        let excess = self.cost.sum() - n as f64 * least;
        // Rounding may leave less than nothing, and overflow no number: then
        // there is nothing to bid for.
        let mean = (excess / (n * n) as f64).max(0.0);
        let mut raise = mean / 10.0;
        while raise > mean / n as f64 {
            let mut holder = vec![NONE; n];
            let mut waiting: Vec<usize> = (0..n).rev().collect();
            // Nothing rests on a phase being finished: it may be cut short.
            for _ in 0..20 * n {
                let Some(row) = waiting.pop() else { break };
                let [(best, column), (second, _)] = self.two_cheapest(row);
                self.potential[column] -= second - best + raise;
                let driven_out = std::mem::replace(&mut holder[column], row);
                if driven_out != NONE {
                    waiting.push(driven_out);
                }
            }
            raise /= 5.0;
        }
    }

    /// Each free row takes its cheapest column, whose potential
    /// falls until the second cheapest is equally good; the row it displaces
    /// goes next. Returns the rows whose move would gain nothing.
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
        let costs = self.cost.row(row);
        let costs = costs.to_slice().expect("a matrix held row by row");
        let blocks = costs.chunks(BLOCK).zip(self.potential.chunks(BLOCK));
        for (block, (costs, potentials)) in blocks.enumerate() {
            // Most blocks hold neither, which vectorised code finds out fast.
            if least_difference(costs, potentials) >= second.0 {
                continue;
            }
            for (k, (&c, &v)) in costs.iter().zip(potentials).enumerate() {
                let here = (c - v, block * BLOCK + k);
                if here.0 < best.0 {
                    (second, best) = (best, here);
                } else if here.0 < second.0 {
                    second = here;
                }
            }
        }
        // Of a single column, the second cheapest is that column.
        [best, if second.1 == NONE { best } else { second }]
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
            let column = path.extend(row, costs.to_slice().expect("held row by row"), offset);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coupling::squared_distances;
    use ndarray::{Array2, Axis, array};
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// Least total over all n! permutations.
    fn brute_force(cost: &Array2<f64>) -> f64 {
        fn best(cost: &Array2<f64>, row: usize, taken: &mut [bool]) -> f64 {
            if row == cost.nrows() {
                return 0.0;
            }
            let mut least = f64::INFINITY;
            for j in 0..taken.len() {
                if !taken[j] {
                    taken[j] = true;
                    least = least.min(cost[[row, j]] + best(cost, row + 1, taken));
                    taken[j] = false;
                }
            }
            least
        }
        best(cost, 0, &mut vec![false; cost.nrows()])
    }

    /// The wrong twin: each row in turn takes the cheapest column left.
    fn greedy(cost: &Array2<f64>) -> Vec<usize> {
        let mut taken = vec![false; cost.ncols()];
        cost.outer_iter()
            .map(|row| {
                let open = (0..row.len()).filter(|&j| !taken[j]);
                let j = open.min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
                taken[j] = true;
                j
            })
            .collect()
    }

    /// The bound of the module's header on the slack of one pair.
    fn slack_bound(cost: &Array2<f64>, assignment: &Assignment) -> f64 {
        let largest = |m: f64, x: &f64| m.max(x.abs());
        let size =
            cost.iter().fold(0.0, largest) + assignment.column_potential.iter().fold(0.0, largest);
        24.0 * cost.nrows() as f64 * f64::EPSILON * size
    }

    /// Solves, and accepts only with the proof of optimality.
    fn certified(cost: &Array2<f64>, case: &str) -> Assignment {
        let assignment = assign(cost.view()).unwrap();
        let bound = slack_bound(cost, &assignment);
        let Certificate { infeasibility, gap } = assignment.certificate(cost.view());
        // u is rounded once, and u + v once: far below one pair's bound.
        assert!(
            infeasibility <= bound,
            "{case}: infeasible by {infeasibility:e}"
        );
        let n = cost.nrows() as f64;
        assert!(
            gap.abs() <= n * bound,
            "{case}: gap {gap:e} > {:e}",
            n * bound
        );
        assignment
    }

    /// Cost matrices of every temper: geometric, uniform, negative, tied,
    /// constant, and of numbers too close for their differences to be exact.
    fn random_cost(rng: &mut StdRng, n: usize) -> Array2<f64> {
        match rng.random_range(0..6) {
            0 => {
                let d = rng.random_range(1..4);
                let mut cloud =
                    || Array2::from_shape_simple_fn((n, d), || rng.random_range(-1.0..1.0_f64));
                squared_distances(cloud().view(), cloud().view())
            }
            1 => Array2::from_shape_simple_fn((n, n), || rng.random::<f64>()),
            2 => Array2::from_shape_simple_fn((n, n), || rng.random_range(-1e9..1e3)),
            3 => Array2::from_shape_simple_fn((n, n), || f64::from(rng.random_range(0..3_u8))),
            4 => Array2::from_elem((n, n), -2.5),
            _ => Array2::from_shape_simple_fn((n, n), || {
                1.0 + f64::EPSILON * f64::from(rng.random_range(0..9_u8))
            }),
        }
    }

    /// Verifies (CP.2).
    #[test]
    fn the_total_is_the_least_of_all_permutations() {
        for seed in 0..512 {
            let mut rng = StdRng::seed_from_u64(seed);
            let n = rng.random_range(1..=7);
            let cost = random_cost(&mut rng, n);
            let assignment = certified(&cost, &format!("seed {seed}"));
            let least = brute_force(&cost);
            let excess = assignment.total - least;
            // Optimal up to n slacks; the two sums round n times each.
            let bound = 2.0 * n as f64 * slack_bound(&cost, &assignment);
            assert!(
                excess.abs() <= bound,
                "seed {seed}: {excess:e} above the least"
            );
        }
        let mut rng = StdRng::seed_from_u64(8);
        let cost = Array2::from_shape_simple_fn((8, 8), || rng.random::<f64>());
        let total = certified(&cost, "n = 8").total;
        assert!((total - brute_force(&cost)).abs() <= 1e-14);
    }

    /// Verifies (CP.2).
    ///
    /// Large matrices prove themselves; the greedy assignment, shown with the
    /// very same potentials, is rejected by its gap, and falsified potentials
    /// by their infeasibility.
    #[test]
    fn the_certificate_accepts_the_optimum_and_rejects_wrong_twins() {
        for seed in 0..256 {
            let mut rng = StdRng::seed_from_u64(seed);
            let n = rng.random_range(1..90);
            let cost = random_cost(&mut rng, n);
            certified(&cost, &format!("seed {seed}, n = {n}"));
        }
        for seed in 0..32 {
            let mut rng = StdRng::seed_from_u64(seed);
            let n = 60;
            let mut cloud = || Array2::from_shape_simple_fn((n, 2), || rng.random::<f64>());
            let cost = squared_distances(cloud().view(), cloud().view());
            let right = certified(&cost, "geometric");
            let bound = n as f64 * slack_bound(&cost, &right);

            let mut twin = right.clone();
            twin.column_of_row = greedy(&cost);
            let gap = twin.certificate(cost.view()).gap;
            assert!(
                gap > 1e6 * bound,
                "seed {seed}: greedy passed with gap {gap:e}"
            );

            let mut twin = right.clone();
            let j = twin.column_of_row[7];
            twin.column_potential[j] += 1e-6;
            let infeasibility = twin.certificate(cost.view()).infeasibility;
            assert!(
                infeasibility > bound,
                "seed {seed}: a raised potential passed"
            );

            let mut twin = right.clone();
            twin.row_potential[3] = f64::NAN;
            let Certificate { infeasibility, gap } = twin.certificate(cost.view());
            assert!(infeasibility.is_nan() && gap.is_nan());
        }
    }

    /// Verifies (CP.3).
    #[test]
    fn every_row_sits_at_its_cheapest_column() {
        for seed in 0..256 {
            let mut rng = StdRng::seed_from_u64(seed);
            let n = rng.random_range(2..50);
            let cost = random_cost(&mut rng, n);
            let a = assign(cost.view()).unwrap();
            let bound = slack_bound(&cost, &a);
            for (i, &sits) in a.column_of_row.iter().enumerate() {
                let reduced = |j: usize| cost[[i, j]] - a.column_potential[j];
                let least = (0..n).map(reduced).fold(f64::INFINITY, f64::min);
                assert_eq!(a.row_potential[i], least, "seed {seed}");
                assert!(
                    (reduced(sits) - least).abs() <= bound,
                    "seed {seed}, row {i}"
                );
            }
        }
    }

    #[test]
    fn a_permuted_or_transposed_matrix_gives_the_permuted_answer() {
        for seed in 0..128 {
            let mut rng = StdRng::seed_from_u64(seed);
            let n = rng.random_range(2..40);
            // Uniform costs: the optimum is unique almost surely.
            let cost = Array2::from_shape_simple_fn((n, n), || rng.random::<f64>());
            let rows: Vec<usize> = (0..n).map(|i| (i + 3) % n).collect();
            let columns: Vec<usize> = (0..n).rev().collect();
            let plain = assign(cost.view()).unwrap().column_of_row;
            let moved = cost.select(Axis(0), &rows).select(Axis(1), &columns);
            let moved = assign(moved.view()).unwrap().column_of_row;
            let turned = assign(cost.t()).unwrap().column_of_row;
            for i in 0..n {
                assert_eq!(columns[moved[i]], plain[rows[i]], "seed {seed}");
                assert_eq!(turned[plain[i]], i, "seed {seed}, transposed");
            }
        }
    }

    #[test]
    fn hostile_matrices_are_errors_and_end() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for place in [[0, 0], [2, 1]] {
                let mut cost = Array2::zeros((3, 3));
                cost[place] = bad;
                let error = assign(cost.view()).unwrap_err().to_string();
                assert!(error.contains(&format!("row {}", place[0])), "{error}");
            }
            assert!(assign(array![[bad]].view()).is_err());
        }
        assert!(assign(Array2::zeros((2, 3)).view()).is_err());
        assert!(assign(array![[f64::MAX, 0.0], [0.0, 0.0]].view()).is_err());
        assert_eq!(assign(Array2::zeros((0, 0)).view()).unwrap().total, 0.0);
        // The largest spread allowed, and one of 600 orders of magnitude.
        certified(&array![[1e300, -1e300], [-1e300, 1e300]], "huge");
        certified(
            &Array2::from_shape_fn((40, 40), |(i, j)| {
                10_f64.powi(((i * 31 + j * 17) % 600) as i32 - 300)
            }),
            "wide",
        );
    }

    /// The case that needs the auction: noise inside a ring of data.
    #[test]
    fn noise_inside_a_ring_of_data_is_certified() {
        for n in [11, 64, 300] {
            let mut rng = StdRng::seed_from_u64(n as u64);
            let noise = Array2::from_shape_simple_fn((n, 2), || rng.random_range(-1.0..1.0_f64));
            let ring = Array2::from_shape_fn((n, 2), |(i, k)| {
                let angle = i as f64 + if k == 0 { 1.6 } else { 0.0 };
                5.0 * angle.sin() + rng.random_range(-1.0..1.0)
            });
            let cost = squared_distances(noise.view(), ring.view());
            certified(&cost, &format!("n = {n}"));
        }
    }

    #[test]
    fn a_chain_of_reductions_by_one_rounding_ends() {
        // Costs whose differences are a few roundings of the potentials: the
        // gains of the reduction are too many and too small to wait for.
        for n in [2, 3, 50, 200] {
            let cost = Array2::from_shape_fn((n, n), |(i, j)| {
                1.0 + f64::EPSILON * ((i * j) % 5) as f64 + if j == 0 { -1.0 } else { 0.0 }
            });
            certified(&cost, &format!("n = {n}"));
        }
    }
}
