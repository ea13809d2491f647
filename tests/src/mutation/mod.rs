//! **Mutation**: does any test notice a wrong program?
//!
//! A *mutant* is the program with one small change: `+` for `-`, a function
//! that returns nothing, a number off by a millionth. A test suite *kills* it by
//! failing. What survives is either a hole in the tests or a change that changes
//! nothing, which wants a proof.
//!
//! Building a program for each of thousands of mutants takes hours. Here one
//! build holds them all: in a copy of the sources each change stands beside what
//! is right, and a number in the environment chooses while the tests run
//! (*mutant schemata*, Untch, Offutt and Harrold, 1993). Then a mutant costs a
//! run of the tests that reach it, the quickest first, up to one that fails.
//!
//! ## Reading order
//! 1. [`mutant`]: a change, and the places where changes stand.
//! 2. [`literal`], [`operator`]: where the changes come from.
//! 3. [`schema`]: the text with all changes in it.
//! 4. [`workshop`]: the copy of the sources, and its builds.
//! 5. [`trial`]: a test, run with one change.
//! 6. [`survivor`]: what is known to survive, and why.

pub mod literal;
pub mod mutant;
pub mod operator;
pub mod schema;
pub mod survivor;
pub mod trial;
pub mod workshop;
