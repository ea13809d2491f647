//! The program `flowgrad`.
fn main() {}
