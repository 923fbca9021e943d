//! Operators of the domain `ai.onnx.ml`: tree ensembles, linear models, support vectors, and what stands around them.

mod attributes;
mod ensemble;
mod scores;
mod trees;

pub use trees::{Ensemble, Node, Test};

use super::Import;

/// The families of the domain.
pub(super) const FAMILIES: &[(&[&str], Import)] = &[(ensemble::OPS, ensemble::import)];
