//! Nothing but a place for `benches/dormand_prince_peers.rs`.
