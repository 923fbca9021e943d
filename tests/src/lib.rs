//! What the tests share: small graphs, a prover with its verifier, lies, and verifiers that see more or check less.

pub mod debug_verifier;
pub mod graphs;
pub mod lies;
pub mod setup;
pub mod weak_verifier;
