//! Inputs that are indices: token ids, classes.

use crate::onnx::graph::{FloatGraph, FloatOp, ValueId};
use std::collections::BTreeMap;

/// The sizes of what inputs are indices of, the smallest of several, by input: those that one-hot vectors are made of as they are.
pub(crate) fn index_sizes(float: &FloatGraph) -> BTreeMap<ValueId, usize> {
    let mut sizes = BTreeMap::new();
    for node in &float.nodes {
        let (FloatOp::OneHot { depth, .. }, Some(index)) = (&node.op, node.inputs.first()) else { continue };
        if let Some(input) = viewed_input(float, *index) {
            sizes.entry(input).and_modify(|size: &mut usize| *size = (*size).min(*depth)).or_insert(*depth);
        }
    }
    sizes
}

/// The input whose elements a value has, in some order.
fn viewed_input(float: &FloatGraph, mut id: ValueId) -> Option<ValueId> {
    loop {
        if float.inputs.contains(&id) {
            return Some(id);
        }
        let node = float.nodes.iter().find(|node| node.output == id)?;
        let is_view = match &node.op {
            FloatOp::Reshape(_) | FloatOp::Transpose(_) | FloatOp::Slice(_) | FloatOp::Expand(_) => true,
            FloatOp::Gather { indices, .. } => indices.iter().all(Option::is_some),
            _ => false,
        };
        id = *node.inputs.first().filter(|_| is_view)?;
    }
}
