//! Operators that compare and choose: truth values, where, arguments of maxima, largest elements, one-hot vectors.

use super::elementwise::Unary;
use crate::onnx::{
    context::{axis, Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    tensor::{volume, Tensor},
};

pub(crate) const OPS: &[&str] = &["ArgMax", "ArgMin", "OneHot", "TopK"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "OneHot" => import_one_hot(c),
        "TopK" => import_top_k(c),
        op => {
            let shape = c.shape(0)?;
            let axis = axis(c.attributes.int("axis").unwrap_or(0), shape.len(), "axis")?;
            let mut x = c.input(0)?;
            if op == "ArgMin" {
                x = c.unary(Unary::Neg, x)?;
            }
            let y = c.push(FloatOp::ArgMax { axis, last: c.attributes.flag("select_last_index") }, &[x])?;
            if c.attributes.int("keepdims").unwrap_or(1) != 0 {
                return Ok(vec![y]);
            }
            Ok(vec![c.reshape(y, (0..shape.len()).filter(|d| *d != axis).map(|d| shape[d]).collect())?])
        }
    }
}

fn import_top_k(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let axis = axis(c.attributes.int("axis").unwrap_or(-1), shape.len(), "axis")?;
    let k = match c.attributes.int("k") {
        Some(k) => k,
        None => c.constant_ints(1)?.and_then(|k| k.first().copied()).ok_or(NodeProblem::Attribute("k"))?,
    };
    let k = usize::try_from(k).map_err(|_| NodeProblem::Attribute("k"))?;
    let smallest = c.attributes.int("largest") == Some(0);
    let mut x = c.input(0)?;
    if smallest {
        x = c.unary(Unary::Neg, x)?;
    }
    let mut values = c.push(FloatOp::TopK { axis, k, indices: false }, &[x])?;
    if smallest {
        values = c.unary(Unary::Neg, values)?;
    }
    Ok(vec![values, c.push(FloatOp::TopK { axis, k, indices: true }, &[x])?])
}

/// One-hot vectors of indices, on a new last axis; negative ones count from the end.
pub(crate) fn one_hot_of(c: &mut Context<'_>, indices: ValueId, depth: usize) -> Result<ValueId, NodeProblem> {
    if !i32::try_from(depth).is_ok_and(|d| d > 0) {
        return Err(NodeProblem::Attribute("depth"));
    }
    c.push(FloatOp::OneHot { depth, wrap: true }, &[indices])
}

fn import_one_hot(c: &mut Context<'_>) -> Outputs {
    let rank = c.shape(0)?.len();
    let depth = c.constant_ints(1)?.and_then(|d| d.first().copied()).ok_or(NodeProblem::MissingInput(1))?;
    let depth = usize::try_from(depth).map_err(|_| NodeProblem::Attribute("depth"))?;
    let axis = axis(c.attributes.int("axis").unwrap_or(-1), rank + 1, "axis")?;
    let (indices, values) = (c.input(0)?, c.input(2)?);
    if c.shape_of(values) != [2] {
        return Err(NodeProblem::Attribute("values"));
    }
    let indices = super::functions::truncate(c, indices)?;
    let hot = one_hot_of(c, indices, depth)?;
    let perm: Vec<usize> = (0..axis).chain([rank]).chain(axis..rank).collect();
    let hot = c.transpose(hot, &perm)?;
    let (off, on) = (c.slice(values, 0, (0, 1, 1))?, c.slice(values, 0, (1, 1, 1))?);
    let step = c.sub(on, off)?;
    let y = c.mul(hot, step)?;
    Ok(vec![c.add(y, off)?])
}

pub(crate) fn choose(condition: &Tensor, a: &Tensor, b: &Tensor, shape: &[usize]) -> Tensor {
    let (condition, a, b) = (condition.broadcast_to(shape), a.broadcast_to(shape), b.broadcast_to(shape));
    let values = a.data.iter().zip(&b.data);
    let data = condition.data.iter().zip(values).map(|(c, (a, b))| if *c == 0.0 { *b } else { *a }).collect();
    Tensor { shape: shape.to_vec(), data, integer: a.integer && b.integer }
}

/// Calls `visit` with the values of every line along an axis; puts what it returns in place of the line.
fn along(x: &Tensor, axis: usize, shape: &[usize], visit: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let (outer, inner) = (volume(&x.shape[..axis]), volume(&x.shape[axis + 1..]));
    let (length, kept) = (x.shape[axis], shape[axis]);
    let mut data = vec![0.0; volume(shape)];
    for o in 0..outer {
        for i in 0..inner {
            let line: Vec<f64> = (0..length).map(|k| x.data[(o * length + k) * inner + i]).collect();
            for (k, value) in visit(&line).into_iter().enumerate() {
                data[(o * kept + k) * inner + i] = value;
            }
        }
    }
    data
}

/// Indices of a line's elements in falling order; of equal ones the first comes first.
fn order(line: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..line.len()).collect();
    order.sort_by(|a, b| line[*b].total_cmp(&line[*a]));
    order
}

#[allow(clippy::cast_precision_loss)] // indices
pub(crate) fn arg_max(x: &Tensor, axis: usize, last: bool, shape: &[usize]) -> Tensor {
    let data = along(x, axis, shape, |line| {
        let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_largest = |v: &f64| *v >= largest;
        let at = if last { line.iter().rposition(is_largest) } else { line.iter().position(is_largest) };
        vec![at.unwrap_or(0) as f64]
    });
    Tensor { shape: shape.to_vec(), data, integer: true }
}

#[allow(clippy::cast_precision_loss)] // indices
pub(crate) fn top_k(x: &Tensor, axis: usize, indices: bool, shape: &[usize]) -> Tensor {
    let data = along(x, axis, shape, |line| {
        let first = order(line).into_iter().take(shape[axis]);
        first.map(|i| if indices { i as f64 } else { line[i] }).collect()
    });
    Tensor { shape: shape.to_vec(), data, integer: indices || x.integer }
}

#[allow(clippy::cast_precision_loss, clippy::float_cmp)] // indices are exact
pub(crate) fn one_hot(x: &Tensor, (depth, wrap): (usize, bool), shape: &[usize]) -> Tensor {
    let row = |v: &f64| {
        let v = if wrap && *v < 0.0 { v + depth as f64 } else { *v };
        (0..depth).map(move |i| f64::from(u8::from(v == i as f64)))
    };
    Tensor { shape: shape.to_vec(), data: x.data.iter().flat_map(row).collect(), integer: true }
}
