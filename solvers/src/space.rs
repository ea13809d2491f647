//! **Space**: what a solver must be able to do with a state.
//!
//! A state is a batch of rows, one for each sample. The solver combines
//! states linearly, measures an error for each row, and takes rows out of a
//! batch and puts them back. Steps differ from row to row when each sample has
//! its own step size, so coefficients come with a step for each row.

use crate::norm::{Mean, Norm};

/// The operations on the states of one problem.
pub trait Space {
    /// A batch of states.
    type State: Clone;

    /// The number of samples.
    fn rows(&self, y: &Self::State) -> usize;

    /// `out ← y + hᵣ·Σ c·k`, with `h[r]` the step of row `r`, or with one step
    /// for all rows if `h` has length 1. `out` has the shape of `y` and may hold
    /// anything.
    fn combine(
        &self,
        out: &mut Self::State,
        y: &Self::State,
        h: &[f64],
        terms: &[(f64, &Self::State)],
    );

    /// For each row the norm of `hᵣ·Σ c·k` between the states `y₀` and `y₁`, with
    /// steps as for `combine`; not below 1, or NaN, if a coordinate that counts
    /// is not finite.
    fn error_norm(
        &self,
        out: &mut [f64],
        between: (&Self::State, &Self::State),
        h: &[f64],
        terms: &[(f64, &Self::State)],
        norm: &Norm,
    );

    /// One norm for the batch: the mean of the rows' norms, for which there is
    /// room in `out`.
    fn batch_norm(
        &self,
        out: &mut [f64],
        between: (&Self::State, &Self::State),
        h: &[f64],
        terms: &[(f64, &Self::State)],
        (norm, mean): (&Norm, Mean),
    ) -> f64 {
        self.error_norm(out, between, h, terms, norm);
        mean.over(out)
    }

    /// The first row with a NaN or infinite coordinate, if there is one.
    fn non_finite_row(&self, y: &Self::State) -> Option<usize>;

    /// The batch of these rows.
    fn take(&self, y: &Self::State, rows: &[usize]) -> Self::State;

    /// Row `i` of `part` put in the place of row `rows[i]` of `y`.
    fn put(&self, y: &mut Self::State, rows: &[usize], part: &Self::State);

    /// Row `i` of `b` where `choose_b[i]`, else row `i` of `a`, into `a`.
    fn choose(&self, a: &mut Self::State, b: &Self::State, choose_b: &[bool]) {
        let rows: Vec<usize> = (0..choose_b.len()).filter(|&i| choose_b[i]).collect();
        if rows.len() == choose_b.len() {
            a.clone_from(b);
        } else if !rows.is_empty() {
            let part = self.take(b, &rows);
            self.put(a, &rows, &part);
        }
    }
}

/// The right-hand side `f(t, y)`, with a time for each row.
pub trait Field<S> {
    /// Writes `f(t, y)` over `dy`.
    fn eval(&mut self, t: &[f64], y: &S, dy: &mut S);
}

impl<S, F: FnMut(&[f64], &S, &mut S)> Field<S> for F {
    fn eval(&mut self, t: &[f64], y: &S, dy: &mut S) {
        self(t, y, dy);
    }
}
