//! Writing elements to constant places.

use super::{
    elementwise::Binary,
    gather::{element_addresses, rows},
};
use crate::onnx::{
    context::{axis, Context, Outputs},
    error::NodeProblem,
    graph::ValueId,
    tensor::{volume, Tensor},
};

pub(crate) const OPS: &[&str] = &["Scatter", "ScatterElements", "ScatterND", "TensorScatter"];

/// At most so many updates of one element.
const MAX_UPDATES: usize = 64;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "TensorScatter" {
        return tensor_scatter(c);
    }
    let shape = c.shape(0)?;
    let indices = c.constant(1)?;
    let updates = c.shape(2)?;
    let misfit = || NodeProblem::Shapes {
        shapes: vec![shape.clone(), indices.shape.clone(), updates.clone()],
        why: "the updates do not fit",
    };
    let targets = if c.node.op_type == "ScatterND" {
        let (end, rows) = rows(&shape, &indices, 0)?;
        let leading = &indices.shape[..indices.shape.len() - 1];
        if updates != [leading, &shape[end..]].concat() {
            return Err(misfit());
        }
        let inner = volume(&shape[end..]);
        rows.into_iter().flat_map(|row| (0..inner).map(move |i| row * inner + i)).collect()
    } else {
        if updates != indices.shape {
            return Err(misfit());
        }
        let axis = axis(c.attributes.int("axis").unwrap_or(0), shape.len(), "axis")?;
        element_addresses(&shape, axis, &indices)?
    };
    scatter(c, &targets)
}

/// Writes element `i` of input 2 to `targets[i]` of input 0.
fn scatter(c: &mut Context<'_>, targets: &[usize]) -> Outputs {
    let (data, updates) = (c.input(0)?, c.input(2)?);
    let reduction = c.attributes.string("reduction").unwrap_or("none");
    let shape = c.shape_of(data);
    let size = volume(&shape);
    // Updates of the same element happen one after another.
    let mut rounds: Vec<Vec<Option<usize>>> = Vec::new();
    let mut seen = vec![0; size];
    for (update, target) in targets.iter().enumerate() {
        let round = if reduction == "none" { 0 } else { seen[*target] };
        seen[*target] += 1;
        if round == MAX_UPDATES {
            return Err(NodeProblem::Variant("more than 64 updates of one element"));
        }
        if round == rounds.len() {
            rounds.push(vec![None; size]);
        }
        rounds[round][*target] = Some(update);
    }
    let flat = c.reshape(data, vec![size])?;
    let updates = c.reshape(updates, vec![targets.len()])?;
    let mut y = flat;
    for round in rounds {
        y = match reduction {
            "none" => or_else(c, updates, y, round)?,
            "add" => {
                let part = c.pick(updates, round, vec![size])?;
                c.add(y, part)?
            }
            "mul" => {
                let one = c.tensor(Tensor::new(vec![size], vec![1.0; size]));
                let part = or_else(c, updates, one, round)?;
                c.mul(y, part)?
            }
            "max" | "min" => {
                let part = or_else(c, updates, y, round)?;
                c.binary(if reduction == "max" { Binary::Max } else { Binary::Min }, y, part)?
            }
            _ => return Err(NodeProblem::Attribute("reduction")),
        };
    }
    Ok(vec![c.reshape(y, shape)?])
}

/// The picked elements of one vector, and where there is none, those of the other.
fn or_else(
    c: &mut Context<'_>,
    updates: ValueId,
    other: ValueId,
    picked: Vec<Option<usize>>,
) -> Result<ValueId, NodeProblem> {
    let count = volume(&c.shape_of(updates));
    let size = picked.len();
    let both = c.concat(&[updates, other], 0)?;
    let order = picked.into_iter().enumerate().map(|(at, update)| Some(update.unwrap_or(count + at))).collect();
    c.pick(both, order, vec![size])
}

/// Writes a part of a sequence, at a place per batch entry.
fn tensor_scatter(c: &mut Context<'_>) -> Outputs {
    let (data, updates) = (c.input(0)?, c.input(1)?);
    let (shape, part) = (c.shape_of(data), c.shape_of(updates));
    let axis = axis(c.attributes.int("axis").unwrap_or(-2), shape.len(), "axis")?;
    let fits = |d: usize| if d == axis { part[d] <= shape[d] } else { part[d] == shape[d] };
    if axis == 0 || part.len() != shape.len() || !(0..shape.len()).all(fits) {
        return Err(NodeProblem::Shapes { shapes: vec![shape, part], why: "the updates do not fit" });
    }
    let starts = c.constant_ints(2)?.unwrap_or_else(|| vec![0; shape[0]]);
    if starts.len() != shape[0] {
        return Err(NodeProblem::Attribute("write_indices"));
    }
    let circular = match c.attributes.string("mode").unwrap_or("linear") {
        "linear" => false,
        "circular" => true,
        _ => return Err(NodeProblem::Attribute("mode")),
    };
    let (outer, inner, length) = (volume(&shape[..axis]), volume(&shape[axis + 1..]), shape[axis]);
    let mut order = vec![None; volume(&shape)];
    for o in 0..outer {
        let start =
            usize::try_from(starts[o / (outer / shape[0])]).map_err(|_| NodeProblem::Attribute("write_indices"))?;
        for step in 0..part[axis] {
            let at = start.saturating_add(step);
            let at = if circular { at % length } else { at };
            if at >= length {
                return Err(NodeProblem::Attribute("write_indices"));
            }
            for i in 0..inner {
                order[(o * length + at) * inner + i] = Some((o * part[axis] + step) * inner + i);
            }
        }
    }
    let flat = c.reshape(data, vec![volume(&shape)])?;
    let updates = c.reshape(updates, vec![volume(&part)])?;
    let y = or_else(c, updates, flat, order)?;
    Ok(vec![c.reshape(y, shape)?])
}
