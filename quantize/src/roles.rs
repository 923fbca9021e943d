//! What inputs mean, as far as the graph tells: token ids, positions, masks.
//!
//! A model that reads rows of a table by an input is declared on all of the table, whichever rows the samples read; a
//! mask is declared on 0 and 1, even if all samples keep everything. Inputs that are made up for lack of samples are
//! drawn accordingly: ids within the table, positions in order, masks of ones.

use crate::onnx::{
    graph::{FloatGraph, FloatOp, ValueId},
    ops::elementwise::Binary,
};
use std::collections::{HashMap, HashSet};

/// What an input means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing that is known.
    Plain,
    /// Indices of the rows of a table, from zero.
    Ids {
        /// The number of rows.
        rows: u32,
    },
    /// Indices that count the elements.
    Positions {
        /// The number of rows of their table.
        rows: u32,
    },
    /// Zeros and ones.
    Mask,
}

/// The roles of all inputs, in order; `masked` values hold masks ([`crate::masks`]).
pub(crate) fn roles(float: &FloatGraph, masked: &HashSet<ValueId>) -> Vec<Role> {
    float.inputs.iter().map(|id| role(float, *id, masked)).collect()
}

fn role(float: &FloatGraph, input: ValueId, masked: &HashSet<ValueId>) -> Role {
    let value = &float.values[input.0];
    let name = value.name.to_lowercase();
    if !value.integer {
        let is_mask = name.contains("mask") && is_taken_from_one(float, input);
        return if is_mask { Role::Mask } else { Role::Plain };
    }
    match rows(float, input) {
        Some(rows) if name.contains("position") => Role::Positions { rows },
        Some(rows) => Role::Ids { rows },
        None if name.contains("mask") || reaches(float, input, masked) => Role::Mask,
        None => Role::Plain,
    }
}

/// How many rows the smallest table has that is read by an input, or by it and a constant.
fn rows(float: &FloatGraph, input: ValueId) -> Option<u32> {
    // What was added to the input.
    let mut offsets: HashMap<ValueId, f64> = HashMap::from([(input, 0.0)]);
    let mut least: Option<u32> = None;
    for node in &float.nodes {
        let Some((id, offset)) = node.inputs.iter().find_map(|id| Some((*id, *offsets.get(id)?))) else { continue };
        match &node.op {
            FloatOp::OneHot { depth, .. } => {
                #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // a size
                let rows = (*depth as f64 - offset).clamp(1.0, f64::from(i32::MAX)) as u32;
                least = Some(least.map_or(rows, |least| least.min(rows)));
            }
            FloatOp::Binary(Binary::Add) => {
                let other = if node.inputs[0] == id { node.inputs[1] } else { node.inputs[0] };
                // Sums with what is not constant make negative indices positive.
                let more = float.constant(other).map_or(Some(0.0), |c| c.scalar());
                if let Some(more) = more {
                    offsets.insert(node.output, offset + more);
                }
            }
            op if op.moves() => {
                offsets.insert(node.output, offset);
            }
            _ => {}
        }
    }
    least
}

/// Whether what follows from an input holds a mask.
fn reaches(float: &FloatGraph, input: ValueId, masked: &HashSet<ValueId>) -> bool {
    let mut follows = HashSet::from([input]);
    for node in &float.nodes {
        if node.inputs.iter().any(|id| follows.contains(id)) {
            if masked.contains(&node.output) {
                return true;
            }
            let keeps = matches!(node.op, FloatOp::Binary(_) | FloatOp::Where | FloatOp::Unary(_));
            if keeps || node.op.moves() {
                follows.insert(node.output);
            }
        }
    }
    false
}

/// Whether an input is subtracted from one, or multiplied.
fn is_taken_from_one(float: &FloatGraph, input: ValueId) -> bool {
    let mut moved = HashSet::from([input]);
    for node in &float.nodes {
        if !node.inputs.iter().any(|id| moved.contains(id)) {
            continue;
        }
        match &node.op {
            FloatOp::Binary(Binary::Mul) => return true,
            FloatOp::Binary(Binary::Sub) => {
                return float.constant(node.inputs[0]).is_some_and(|c| c.data.iter().all(|v| *v == 1.0));
            }
            op if op.moves() => {
                moved.insert(node.output);
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{masks::tamed, onnx::OnnxModel};
    use std::{collections::BTreeMap, path::Path};

    #[test]
    fn ids_masks_and_other_inputs_are_told_apart() {
        let of = |case: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/variants").join(format!("{case}.onnx"));
            let model = OnnxModel::from_path(&path, &BTreeMap::new()).unwrap();
            let (float, masked) = tamed(model.graph());
            roles(&float, &masked)
        };
        assert_eq!(of("transformers/sentence"), [Role::Ids { rows: 24 }, Role::Mask]);
        assert_eq!(of("masks/product_min"), [Role::Plain, Role::Plain, Role::Mask]);
        assert_eq!(of("masks/of_floats"), [Role::Mask, Role::Plain, Role::Plain]);
        assert_eq!(of("pooling/unit_length"), [Role::Plain]);
    }
}
