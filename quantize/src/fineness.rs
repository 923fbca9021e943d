//! How finely an input has to be declared for what the file itself rounds.
//!
//! A file that was quantised before rounds `x / s` to integers of 8 or 16 bits. That result is right only if one step of
//! the input is well below one of it, so the width of the input follows from the file: a model with activations of 16 bits
//! gets inputs of 22, whatever the recipe says.

use crate::onnx::{
    graph::{FloatGraph, FloatNode, FloatOp, ValueId},
    ops::elementwise::{Binary, Unary},
    tensor::Tensor,
};
use std::collections::HashMap;

/// Steps of an input in one step of what is rounded.
const STEPS: f64 = 64.0;
/// A step of an input may be so large a part of a step of what is rounded.
const COARSE: f64 = 0.5;

/// The unit that an input needs, if `unit` is too coarse for a rounding to integers of a bounded type that reads it
/// through nothing but movements and linear operators with constants; with `private` weights, constants of one element,
/// or public ones.
pub(crate) fn needed_unit(float: &FloatGraph, input: ValueId, unit: f64, private: bool) -> Option<f64> {
    // By how much, at most, an element of a value moves with one of the input.
    let mut factors = HashMap::from([(input, 1.0_f64)]);
    let mut finest: Option<f64> = None;
    for node in &float.nodes {
        if let FloatOp::Unary(Unary::Round { lo, hi }) = node.op {
            let factor = factors.get(&node.inputs[0]).copied().unwrap_or(0.0);
            if lo.is_finite() && hi.is_finite() && factor * unit > COARSE {
                let needed = 1.0 / (STEPS * factor);
                finest = Some(finest.map_or(needed, |f| f.min(needed)));
            }
            continue;
        }
        if let Some(factor) = factor(float, node, &factors, private).filter(|f| f.is_finite() && *f > 0.0) {
            factors.insert(node.output, factor);
        }
    }
    finest
}

/// The factor through one node.
fn factor(float: &FloatGraph, node: &FloatNode, factors: &HashMap<ValueId, f64>, private: bool) -> Option<f64> {
    let own = node.inputs.iter().filter_map(|id| factors.get(id)).copied().fold(0.0, f64::max);
    if own == 0.0 {
        return None;
    }
    let constant = |i: usize| {
        let id = *node.inputs.get(i)?;
        float.constant(id).filter(|t| !private || t.data.len() == 1 || float.values[id.0].public)
    };
    let largest = |t: &Tensor| t.data.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let either = || constant(0).or_else(|| constant(1)).map(|t| largest(t));
    match &node.op {
        op if op.moves() => Some(own),
        FloatOp::Concat(_)
        | FloatOp::Unary(Unary::Neg | Unary::Relu | Unary::Clip { .. })
        | FloatOp::Binary(Binary::Add | Binary::Sub) => Some(own),
        FloatOp::Binary(Binary::Mul) | FloatOp::MatMul => Some(own * either()?),
        FloatOp::Gemm { alpha, .. } => Some(own * alpha.abs() * either()?),
        FloatOp::Conv(_) => Some(own * largest(constant(1)?)),
        FloatOp::Binary(Binary::Div) => {
            let smallest = constant(1)?.data.iter().fold(f64::INFINITY, |m, v| m.min(v.abs()));
            Some(own / smallest)
        }
        _ => None,
    }
}
