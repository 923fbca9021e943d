//! Quantisation of activations as the file runs (`DynamicQuantizeLinear`, ONNX 11), imported as what it approximates.
//!
//! The range of a tensor is found from its values at run time, and its integers are `y ≈ x / s + z`: another rounding for
//! every input, which no fixed integer graph has. What is imported is what `s · (y − z)` approximates, `x` itself: `y` *is*
//! `x`, with scale 1 and zero point 0. Then a product with integer weights, `MatMulInteger(y, W, z, z_W)`, is the real
//! `x · (W − z_W)` and the products with `s` and the weights' scale that follow it are right, in any order. Weights and
//! their zero points and scales are kept as they are in the file.
//!
//! This holds only where the integers are used as such multiples of their scale: in products, dequantised, or moved.
//! [`misuse`] finds every other use, and it is refused.

use crate::onnx::{
    context::{Context, Outputs},
    element::Element,
    import::domain,
    tensor::Tensor,
};
use tract_onnx::pb::NodeProto;

pub(crate) const OPS: &[&str] = &["DynamicQuantizeLinear"];

/// What may read integers whose range is found at run time, or their zero point.
const READS_INTEGERS: &[&str] = &[
    "Cast",
    "ConvInteger",
    "DequantizeLinear",
    "Flatten",
    "Gather",
    "Identity",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "MaxPool",
    "Reshape",
    "Shape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// What may read their scale.
const READS_SCALE: &[&str] = &["DequantizeLinear", "Identity", "MatMulIntegerToFloat", "Mul", "Reshape", "Unsqueeze"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    c.note_dynamic();
    let zero = c.structure(Tensor { shape: vec![], data: vec![0.0], integer: true });
    let scale = c.structure(Tensor::new(vec![], vec![1.0]));
    Ok(vec![x, scale, zero])
}

/// Why a node cannot read what it reads, if it reads such integers or their scale.
pub(crate) fn misuse(node: &NodeProto, types: &[Element]) -> Option<&'static str> {
    let is_known = matches!(domain(&node.domain), "" | "com.microsoft");
    let allows = |ops: &[&str]| is_known && ops.contains(&node.op_type.as_str());
    if types.contains(&Element::DYNAMIC) && !allows(READS_INTEGERS) {
        return Some("integers that the file finds the range of as it runs, other than in products");
    }
    if types.contains(&Element::DYNAMIC_SCALE) && !allows(READS_SCALE) {
        return Some("a scale that the file finds as it runs, other than in products");
    }
    None
}

/// What a file with so many such nodes should be known for.
pub(crate) fn note(count: usize) -> Option<String> {
    let (nodes, verb) = match count {
        0 => return None,
        1 => ("1 node".to_owned(), "quantises"),
        _ => (format!("{count} nodes"), "quantise"),
    };
    Some(format!(
        "{nodes} of the file {verb} activations as the file runs: imported as the activations themselves times the \
         file's integer weights, which are kept; the file's own run-time rounding is not reproduced"
    ))
}
