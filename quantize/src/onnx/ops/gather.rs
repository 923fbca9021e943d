//! Picking elements by indices.

use super::selection::one_hot_of;
use crate::onnx::{
    context::{axis, Context, Outputs},
    error::NodeProblem,
    graph::FloatOp,
    tensor::{for_each_address, strides, volume, Tensor},
};

pub(crate) const OPS: &[&str] = &["Compress", "Gather", "GatherElements", "GatherND", "ReverseSequence"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "Gather" => import_gather(c),
        "GatherElements" => gather_elements(c),
        "GatherND" => gather_nd(c),
        "Compress" => compress(c),
        _ => reverse_sequence(c),
    }
}

/// An index into an axis; negative ones count from the end.
pub(crate) fn resolve(index: i64, size: usize) -> Result<usize, NodeProblem> {
    let signed = i64::try_from(size).map_err(|_| NodeProblem::Attribute("indices"))?;
    let index = if index < 0 { index.saturating_add(signed) } else { index };
    usize::try_from(index).ok().filter(|i| *i < size).ok_or(NodeProblem::Attribute("indices"))
}

fn import_gather(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let axis = axis(c.attributes.int("axis").unwrap_or(0), shape.len(), "axis")?;
    let indices = c.input(1)?;
    let Some(constant) = c.importer.graph.constant(indices).cloned() else {
        return gather_by_value(c, &shape, axis);
    };
    let resolved: Result<Vec<_>, _> =
        constant.to_ints().into_iter().map(|i| resolve(i, shape[axis]).map(Some)).collect();
    c.op(FloatOp::Gather { axis, indices: resolved?, shape: constant.shape.clone() }, 1)
}

/// Indices that depend on the inputs: one-hot vectors times the data.
fn gather_by_value(c: &mut Context<'_>, shape: &[usize], axis: usize) -> Outputs {
    let (data, indices) = (c.input(0)?, c.input(1)?);
    let index_shape = c.shape_of(indices);
    let rest: Vec<usize> = (0..shape.len()).filter(|d| *d != axis).map(|d| shape[d]).collect();
    let hot = one_hot_of(c, indices, shape[axis])?;
    let hot = c.reshape(hot, vec![volume(&index_shape), shape[axis]])?;
    let order: Vec<usize> = [axis].into_iter().chain((0..shape.len()).filter(|d| *d != axis)).collect();
    let front = c.transpose(data, &order)?;
    let table = c.reshape(front, vec![shape[axis], volume(&rest)])?;
    let rows = c.matmul(hot, table)?;
    let rows = c.reshape(rows, index_shape.iter().chain(&rest).copied().collect())?;
    // The axes of the indices go where the axis was.
    let count = index_shape.len();
    let perm: Vec<usize> = (count..count + axis).chain(0..count).chain(count + axis..count + rest.len()).collect();
    Ok(vec![c.transpose(rows, &perm)?])
}

fn gather_elements(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let axis = axis(c.attributes.int("axis").unwrap_or(0), shape.len(), "axis")?;
    let indices = c.constant(1)?;
    let addresses = element_addresses(&shape, axis, &indices)?;
    let x = c.input(0)?;
    Ok(vec![c.pick(x, addresses.into_iter().map(Some).collect(), indices.shape.clone())?])
}

/// The address in a tensor of this shape of every element of `indices`, which replaces its coordinate on the axis.
pub(crate) fn element_addresses(shape: &[usize], axis: usize, indices: &Tensor) -> Result<Vec<usize>, NodeProblem> {
    let fits = |d: usize| d == axis || indices.shape[d] <= shape[d];
    if indices.shape.len() != shape.len() || !(0..shape.len()).all(fits) {
        let shapes = vec![shape.to_vec(), indices.shape.clone()];
        return Err(NodeProblem::Shapes { shapes, why: "the indices do not fit the data" });
    }
    let own = strides(shape);
    let mut without = own.clone();
    without[axis] = 0;
    let mut bases = Vec::with_capacity(indices.data.len());
    for_each_address(&indices.shape, &without, |a| bases.push(a));
    let indices = indices.to_ints();
    bases.into_iter().zip(indices).map(|(base, i)| Ok(base + resolve(i, shape[axis])? * own[axis])).collect()
}

/// The rows that tuples of indices pick: how many leading axes they replace, and the row of every tuple.
pub(crate) fn rows(shape: &[usize], indices: &Tensor, batch: usize) -> Result<(usize, Vec<usize>), NodeProblem> {
    let misfit = || NodeProblem::Shapes {
        shapes: vec![shape.to_vec(), indices.shape.clone()],
        why: "the indices do not fit the data",
    };
    let (depth, leading) = indices.shape.split_last().ok_or_else(misfit)?;
    let end = batch.checked_add(*depth).filter(|end| *end <= shape.len()).ok_or_else(misfit)?;
    if batch > leading.len() || leading[..batch] != shape[..batch] {
        return Err(misfit());
    }
    let per_batch = volume(&leading[batch..]).max(1);
    let tuples = indices.to_ints();
    let mut rows = Vec::with_capacity(volume(leading));
    for tuple in 0..volume(leading) {
        let mut row = tuple / per_batch;
        for (d, size) in shape[batch..end].iter().enumerate() {
            row = row * size + resolve(tuples[tuple * depth + d], *size)?;
        }
        rows.push(row);
    }
    Ok((end, rows))
}

fn gather_nd(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let indices = c.constant(1)?;
    let batch = usize::try_from(c.attributes.int("batch_dims").unwrap_or(0))
        .ok()
        .filter(|b| *b < shape.len())
        .ok_or(NodeProblem::Attribute("batch_dims"))?;
    let (end, rows) = rows(&shape, &indices, batch)?;
    let (leading, rest) = (&indices.shape[..indices.shape.len() - 1], &shape[end..]);
    let x = c.input(0)?;
    let x = c.reshape(x, [&[volume(&shape[..end])], rest].concat())?;
    let op = FloatOp::Gather { axis: 0, indices: rows.into_iter().map(Some).collect(), shape: leading.to_vec() };
    Ok(vec![c.push(op, &[x])?])
}

fn compress(c: &mut Context<'_>) -> Outputs {
    let mut x = c.input(0)?;
    let condition = c.constant(1)?;
    let chosen: Vec<Option<usize>> =
        condition.data.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, _)| Some(i)).collect();
    let mut shape = c.shape(0)?;
    let axis = match c.attributes.int("axis") {
        Some(given) => axis(given, shape.len(), "axis")?,
        None => {
            shape = vec![volume(&shape)];
            x = c.reshape(x, shape.clone())?;
            0
        }
    };
    if chosen.iter().flatten().any(|i| *i >= shape[axis]) {
        return Err(NodeProblem::Attribute("condition"));
    }
    let count = chosen.len();
    Ok(vec![c.push(FloatOp::Gather { axis, indices: chosen, shape: vec![count] }, &[x])?])
}

/// Reverses the start of every sequence of a batch.
fn reverse_sequence(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let time = axis(c.attributes.int("time_axis").unwrap_or(0), shape.len(), "time_axis")?;
    let batch = axis(c.attributes.int("batch_axis").unwrap_or(1), shape.len(), "batch_axis")?;
    let lengths = c.constant(1)?.to_ints();
    if time == batch || lengths.len() != shape[batch] {
        return Err(NodeProblem::Attribute("sequence_lens"));
    }
    // With time and batch in front, rows of the others are picked.
    let mut order = vec![time, batch];
    order.extend((0..shape.len()).filter(|d| *d != time && *d != batch));
    let front: Vec<usize> = order.iter().map(|d| shape[*d]).collect();
    let (steps, count) = (front[0], front[1]);
    let mut rows = Vec::with_capacity(steps * count);
    for step in 0..steps {
        for (entry, length) in lengths.iter().enumerate() {
            let length = usize::try_from(*length).ok().filter(|l| *l <= steps);
            let length = length.ok_or(NodeProblem::Attribute("sequence_lens"))?;
            let from = if step < length { length - 1 - step } else { step };
            rows.push(Some(from * count + entry));
        }
    }
    let x = c.input(0)?;
    let x = c.transpose(x, &order)?;
    let x = c.reshape(x, [&[steps * count], &front[2..]].concat())?;
    let y = c.push(FloatOp::Gather { axis: 0, indices: rows, shape: vec![steps, count] }, &[x])?;
    let back: Vec<usize> = (0..shape.len()).map(|d| order.iter().position(|o| *o == d).unwrap_or(d)).collect();
    Ok(vec![c.transpose(y, &back)?])
}
