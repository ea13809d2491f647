//! The tests of what the crate promises, a file for each kind of promise. They
//! are one program: to compile and link thirteen took longer than to run them.

mod adaptive_law;
mod batches;
mod convergence;
mod costs;
mod dense_output;
mod events;
mod exponential;
mod failures;
mod gradients;
mod multistep;
mod order_conditions;
mod promises;
mod references;
mod reversible;
mod rounding;
mod sde;
mod trajectory;
mod work_precision;
