//! **Kernels** to study: each a `.cu` file with the mathematics, the shapes
//! and the cost at its head, and versions in rising complexity; beside it the
//! typed function that launches it.
//!
//! An argument's shape is checked here, because a kernel checks nothing.
//! Empty arrays launch nothing.

pub(crate) mod adamw;
pub(crate) mod bf16;
pub(crate) mod constant;
pub(crate) mod dense;
pub(crate) mod diary;
pub(crate) mod flow_batch;
pub(crate) mod matmul;
pub(crate) mod mlp;
pub(crate) mod places;
pub(crate) mod reduce;
pub(crate) mod softmax;
pub(crate) mod stages;
pub(crate) mod unfold;
pub(crate) mod view;

use crate::device::{Buffer, Element};
use crate::error::CudaError;
use crate::source::Source;

/// Elementary functions with the CPU's bits.
pub(crate) const POLYNOMIAL: &str = include_str!("polynomial.cuh");

/// Every module of kernels, for checks of all of them.
#[must_use]
pub fn sources() -> Vec<Source> {
    let sources = [
        &adamw::SOURCE,
        &bf16::SOURCE,
        &constant::SOURCE,
        &dense::SOURCE,
        &diary::SOURCE,
        &flow_batch::SOURCE,
        &matmul::SOURCE,
        &matmul::TENSOR,
        &mlp::WIDTH_32,
        &mlp::WIDTH_64,
        &mlp::WIDTH_128,
        &places::SOURCE,
        &reduce::SOURCE,
        &softmax::SOURCE,
        &stages::SOURCE,
        &unfold::SOURCE,
        &view::SOURCE,
    ];
    let fixed = sources.iter().map(|source| (***source).clone());
    // The pull of a network is one text for each depth.
    let depths = mlp::extreme_pulls().into_iter();
    let pulls = depths.filter_map(|(width, hidden)| mlp::pull_source(width, hidden));
    fixed.chain(pulls).collect()
}

/// A number of elements as the kernels count them.
fn extent(of: &str, n: usize) -> Result<u32, CudaError> {
    u32::try_from(n).map_err(|_| CudaError::mismatch(of, n, "a number below 2^32"))
}

/// Whether a buffer holds an array of this shape.
fn expect_len<T: Element>(of: &str, x: &Buffer<T>, shape: &[usize]) -> Result<(), CudaError> {
    match x.len() == shape.iter().product::<usize>() {
        true => Ok(()),
        false => {
            let given = format!("{} numbers", x.len());
            Err(CudaError::mismatch(
                of,
                given,
                format!("an array of {shape:?}"),
            ))
        }
    }
}
