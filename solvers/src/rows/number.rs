//! **Numbers**: `f32` and `f64`, each with its loops.
//!
//! The loops are compiled for many lengths of rows, counts of terms and widths
//! of vectors. Stated as functions of a type, they are compiled once, in this
//! crate; were they generic, then in every program that has rows, which took
//! minutes of all tests.

use super::Terms;
use super::combination::combined;
use super::deviation::{root_mean_square, row_norms};
use crate::norm::Norm;
use ndarray::NdFloat;

/// The numbers rows are made of: `f32` or `f64`.
pub trait Number: NdFloat + sealed::Loops {}

impl<F: NdFloat + sealed::Loops> Number for F {}

pub(super) mod sealed {
    use super::{NdFloat, Norm, Terms};

    /// What is compiled once for each type of numbers.
    pub trait Loops: NdFloat {
        /// `out ← y + hᵣ·Σ c·k` for rows of `d` numbers, with one step for all or
        /// one for each row.
        fn combined(d: usize, numbers: (&mut [Self], &[Self]), h: &[f64], terms: Terms<'_, Self>);

        /// The norms of rows of `d` numbers.
        fn row_norms(
            to: (&mut [f64], usize),
            between: (&[Self], &[Self]),
            h: &[f64],
            terms: Terms<'_, Self>,
            norm: &Norm,
        );

        /// The root mean square of all numbers of a batch, rows not told apart.
        fn root_mean_square(
            between: (&[Self], &[Self]),
            h: f64,
            terms: Terms<'_, Self>,
            norm: &Norm,
        ) -> f64;
    }
}

macro_rules! loops {
    ($($number:ty)*) => {$(
        impl sealed::Loops for $number {
            fn combined(d: usize, numbers: (&mut [Self], &[Self]), h: &[f64], terms: Terms<'_, Self>) {
                combined(d, numbers, h, terms);
            }

            fn row_norms(
                to: (&mut [f64], usize),
                between: (&[Self], &[Self]),
                h: &[f64],
                terms: Terms<'_, Self>,
                norm: &Norm,
            ) {
                match h {
                    [all] => row_norms(to, between, |_| *all, terms, norm),
                    each => row_norms(to, between, |row| each[row], terms, norm),
                }
            }

            fn root_mean_square(
                between: (&[Self], &[Self]),
                h: f64,
                terms: Terms<'_, Self>,
                norm: &Norm,
            ) -> f64 {
                root_mean_square(between, h, terms, norm)
            }
        }
    )*};
}

loops!(f32 f64);
