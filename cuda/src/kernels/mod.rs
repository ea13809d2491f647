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

use crate::device::{Buffer, Element, Grid};
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

/// How many numbers an array of this shape has: a product that wraps around
/// would let a kernel go past the end of what is allocated.
pub(crate) fn numbers_of(of: &str, shape: &[usize]) -> Result<usize, CudaError> {
    let empty = shape.contains(&0);
    let product = shape.iter().try_fold(1usize, |n, &m| n.checked_mul(m));
    product.or(empty.then_some(0)).ok_or_else(|| {
        let given = format!("an array of {shape:?}");
        CudaError::mismatch(of, given, "fewer numbers than memory has addresses")
    })
}

/// Blocks along y, each of which takes so many rows.
fn blocks_of_rows(of: &str, rows: usize, each: usize) -> Result<u32, CudaError> {
    let most = Grid::MOST[1];
    match u32::try_from(rows.div_ceil(each)) {
        Ok(blocks) if blocks <= most => Ok(blocks),
        _ => {
            let given = format!("{rows} rows");
            let limit = most as usize * each;
            let expected = format!("at most {limit}, {most} blocks of {each}");
            Err(CudaError::mismatch(of, given, expected))
        }
    }
}

/// Whether a buffer holds an array of this shape.
fn expect_len<T: Element>(of: &str, x: &Buffer<T>, shape: &[usize]) -> Result<(), CudaError> {
    match x.len() == numbers_of(of, shape)? {
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
