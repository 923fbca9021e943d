//! What the tests share: small graphs, a prover with its verifier, lies, and verifiers that see more or check less.

pub mod debug_verifier;
pub mod equation;
#[cfg(feature = "onnx")]
#[doc = include_str!("../../docs/extending.md")]
pub mod extending {}
pub mod forgeries;
pub mod graphs;
pub mod hostile;
pub mod lies;
#[cfg(feature = "onnx")]
pub mod onnx_cases;
#[cfg(feature = "onnx")]
pub mod onnx_fixtures;
pub mod setup;
pub mod vector;
pub mod weak_verifier;
