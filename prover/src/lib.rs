//! The prover of zkonnx: parameter commitments, witness, the proving side of every argument.

pub mod argument;
#[cfg(feature = "cli")]
pub mod batch;
#[cfg(feature = "cli")]
pub mod bench;
mod buckets;
#[cfg(feature = "cli")]
pub mod cli;
pub mod columns;
pub mod commit;
pub mod deviation;
pub mod error;
pub mod fixed_base;
pub mod generators;
pub mod halo2;
pub mod inner_product;
#[cfg(feature = "jobs")]
pub mod jobs;
pub mod keys;
pub mod layers;
pub mod multiexp;
mod multiples;
pub mod params_cache;
pub mod points;
pub mod prove;
#[cfg(feature = "cli")]
mod proven_by;
pub mod randomness;
#[cfg(feature = "report")]
pub mod report;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "cli")]
pub mod spans;
mod sumcheck;
pub mod vartime;
