//! The second way of proving gates: a stock halo2 circuit.
//!
//! Everything that serves this way alone stands here, and behind modules of the same name in prover and verifier.

pub mod circuit;
pub mod planner;
