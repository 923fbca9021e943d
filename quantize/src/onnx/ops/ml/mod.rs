//! Operators of the domain `ai.onnx.ml`: tree ensembles, linear models, support vectors, and what stands around them.

mod attributes;
mod encode;
mod ensemble;
mod linear;
mod scores;
mod svm;
mod trees;

pub use trees::{Ensemble, Node, Test};

use super::Import;

/// The families of the domain.
pub(super) const FAMILIES: &[(&[&str], Import)] = &[
    (encode::OPS, encode::import),
    (ensemble::OPS, ensemble::import),
    (linear::OPS, linear::import),
    (svm::OPS, svm::import),
];

/// Operators that take strings; values stand for them by their places in a list.
pub(crate) const TAKES_STRINGS: &[&str] = &[
    "ArrayFeatureExtractor",
    "Flatten",
    "Gather",
    "Identity",
    "LabelEncoder",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];
/// Those whose results are such strings again.
pub(crate) const MOVES_STRINGS: &[&str] = &[
    "ArrayFeatureExtractor",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];
