//! **Time grid**: the nodes of a solve with fixed steps.
//!
//! `N` intervals have `N + 1` nodes. A node is computed from its index, never
//! by adding steps, and the last one is `t₁` in bits.

use crate::error::Error;

/// Strictly monotone times, forward or backward.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeGrid {
    nodes: Vec<f64>,
}

impl TimeGrid {
    /// `intervals` equal steps from `t0` to `t1`.
    ///
    /// # Errors
    /// If there is no interval, a time is not finite, or the steps vanish in
    /// rounding.
    pub fn uniform(t0: f64, t1: f64, intervals: usize) -> Result<Self, Error> {
        if intervals == 0 {
            return Err(Error::Argument {
                name: "the number of intervals",
                value: 0.0,
                expected: "at least 1",
            });
        }
        let node = |i: usize| {
            if i == intervals {
                t1
            } else {
                t0 + (t1 - t0) * (i as f64 / intervals as f64)
            }
        };
        Self::new((0..=intervals).map(node).collect())
    }

    /// Any strictly monotone nodes.
    ///
    /// # Errors
    /// If there are fewer than two, one is not finite, or the order breaks.
    pub fn new(nodes: Vec<f64>) -> Result<Self, Error> {
        if nodes.len() < 2 {
            return Err(Error::Argument {
                name: "the number of nodes",
                value: nodes.len() as f64,
                expected: "at least 2",
            });
        }
        if let Some(&value) = nodes.iter().find(|t| !t.is_finite()) {
            return Err(Error::Argument {
                name: "a time",
                value,
                expected: "a finite number",
            });
        }
        let forward = nodes[1] > nodes[0];
        let broken = nodes.windows(2).position(|w| {
            let rises = w[1] > w[0];
            w[1] == w[0] || rises != forward
        });
        match broken {
            Some(place) => Err(Error::Grid { place }),
            None => Ok(TimeGrid { nodes }),
        }
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[f64] {
        &self.nodes
    }

    /// The number of intervals.
    #[must_use]
    pub fn intervals(&self) -> usize {
        self.nodes.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_kept_in_bits_and_bad_grids_are_refused() {
        let grid = TimeGrid::uniform(0.1, 0.7, 7).expect("a grid");
        assert_eq!((grid.nodes()[0], grid.nodes()[7]), (0.1, 0.7));
        let back = TimeGrid::uniform(1.0, 0.0, 3).expect("backwards");
        assert_eq!(back.intervals(), 3);
        assert!(TimeGrid::uniform(0.0, 1.0, 0).is_err());
        assert!(TimeGrid::uniform(0.0, 0.0, 2).is_err());
        assert!(TimeGrid::uniform(0.0, f64::NAN, 2).is_err());
        let error = TimeGrid::new(vec![0.0, 0.5, 0.4]).unwrap_err();
        assert_eq!(error, Error::Grid { place: 1 });
    }
}
