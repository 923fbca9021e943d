//! What the tests share: small graphs, and a prover with its verifier.

pub mod graphs;
pub mod setup;
