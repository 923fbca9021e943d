//! Operators of ONNX Runtime's own domain, `com.microsoft`, that its quantisation tools write.
//!
//! Their definitions are those of ONNX Runtime's `docs/ContribOperators.md`.

mod dynamic;
mod linear;

use super::{quantised, Import};

/// The families of the domain.
pub(crate) const FAMILIES: &[(&[&str], Import)] = &[
    (dynamic::OPS, dynamic::import),
    (linear::OPS, linear::import),
    // The same as ONNX's, for types that older operator sets of ONNX do not have there.
    (&["DequantizeLinear", "QuantizeLinear"], quantised::import),
];
