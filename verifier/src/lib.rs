//! A small, total, embeddable verifier of zkonnx proofs.
//!
//! [`registry::Registry::register`] turns a `model.zkv` into a handle and checks everything about it once;
//! [`verify::verify`] decides about a statement and a proof. The argument is described in `docs/protocol.md`.

pub mod argument;
pub mod batch;
pub mod checks;
pub mod codes;
pub mod commitment;
pub mod error;
pub mod expected;
pub mod generators;
pub mod halo2;
pub mod json;
pub mod limits;
pub mod metering;
pub mod multiexp;
mod parallel;
pub mod params;
pub mod proof_file;
pub mod receipt;
pub mod registration;
pub mod registry;
pub mod replay;
pub mod statement;
pub mod transcript;
pub mod verify;
pub mod zkv;

pub use zkonnx_circuits::length;
