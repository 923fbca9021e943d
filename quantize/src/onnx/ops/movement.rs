//! Operators that move elements and compute nothing.

use crate::onnx::{
    context::{axes, axis, Context, Outputs},
    error::NodeProblem,
    graph::FloatOp,
    tensor::{broadcast_shapes, for_each_address, strides, volume, Tensor},
};

pub(crate) const OPS: &[&str] =
    &["Concat", "Expand", "Flatten", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let attributes = c.attributes;
    match c.node.op_type.as_str() {
        "Flatten" => {
            let shape = c.shape(0)?;
            let given = attributes.int("axis").unwrap_or(1);
            let axis = if given == i64::try_from(shape.len()).unwrap_or(-1) {
                shape.len()
            } else {
                axis(given, shape.len(), "axis")?
            };
            c.op(FloatOp::Reshape(vec![shape[..axis].iter().product(), shape[axis..].iter().product()]), 1)
        }
        "Reshape" => {
            let target = c.ints("shape", 1)?.ok_or(NodeProblem::MissingInput(1))?;
            let shape = resolve_reshape(&c.shape(0)?, &target, attributes.flag("allowzero"))?;
            c.op(FloatOp::Reshape(shape), 1)
        }
        "Squeeze" => {
            let shape = c.shape(0)?;
            let drop = match c.ints("axes", 1)? {
                Some(list) => axes(&list, shape.len())?,
                None => (0..shape.len()).filter(|d| shape[*d] == 1).collect(),
            };
            if drop.iter().any(|d| shape[*d] != 1) {
                return Err(NodeProblem::Attribute("axes"));
            }
            c.op(FloatOp::Reshape((0..shape.len()).filter(|d| !drop.contains(d)).map(|d| shape[d]).collect()), 1)
        }
        "Unsqueeze" => {
            let shape = c.shape(0)?;
            let list = c.ints("axes", 1)?.ok_or(NodeProblem::Attribute("axes"))?;
            let added = axes(&list, shape.len() + list.len())?;
            if added.len() != list.len() {
                return Err(NodeProblem::Attribute("axes"));
            }
            let mut rest = shape.iter();
            let shape = (0..shape.len() + added.len())
                .filter_map(|d| if added.contains(&d) { Some(1) } else { rest.next().copied() })
                .collect();
            c.op(FloatOp::Reshape(shape), 1)
        }
        "Transpose" => {
            let rank = c.shape(0)?.len();
            let perm = match attributes.ints("perm") {
                Some(perm) => perm.iter().map(|p| axis(*p, rank, "perm")).collect::<Result<_, _>>()?,
                None => (0..rank).rev().collect(),
            };
            c.op(FloatOp::Transpose(perm), 1)
        }
        "Concat" => {
            let axis = axis(attributes.int("axis").unwrap_or(1), c.shape(0)?.len(), "axis")?;
            let parts = c.present();
            Ok(vec![c.concat(&parts, axis)?])
        }
        "Slice" => import_slice(c),
        _ => {
            let x = c.shape(0)?;
            let target = c.constant(1)?.to_ints();
            let target = target.iter().map(|v| usize::try_from(*v)).collect::<Result<Vec<_>, _>>();
            let target = target.map_err(|_| NodeProblem::Attribute("shape"))?;
            let shape = broadcast_shapes(&x, &target).ok_or(NodeProblem::Attribute("shape"))?;
            c.op(FloatOp::Expand(shape), 1)
        }
    }
}

fn resolve_reshape(shape: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, NodeProblem> {
    let bad = || NodeProblem::Attribute("shape");
    let total: usize = shape.iter().product();
    let mut known = 1_usize;
    let mut sizes = Vec::with_capacity(target.len());
    for (d, size) in target.iter().enumerate() {
        let size = match size {
            0 if !allow_zero => Some(*shape.get(d).ok_or_else(bad)?),
            -1 => None,
            size => Some(usize::try_from(*size).map_err(|_| bad())?),
        };
        known = known.checked_mul(size.unwrap_or(1)).ok_or_else(bad)?;
        sizes.push(size);
    }
    let open = sizes.iter().filter(|s| s.is_none()).count();
    if open > 1 || (open == 1 && known == 0) {
        return Err(bad());
    }
    Ok(sizes.into_iter().map(|s| s.unwrap_or_else(|| total / known)).collect())
}

fn import_slice(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let starts = c.ints("starts", 1)?.ok_or(NodeProblem::Attribute("starts"))?;
    let ends = c.ints("ends", 2)?.ok_or(NodeProblem::Attribute("ends"))?;
    let list = match c.ints("axes", 3)? {
        Some(list) => list,
        None => (0..starts.len()).filter_map(|a| i64::try_from(a).ok()).collect(),
    };
    let steps = c.constant_ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if starts.len() != ends.len() || starts.len() != list.len() || starts.len() != steps.len() {
        return Err(NodeProblem::Attribute("starts"));
    }
    let mut parts: Vec<(usize, i64, usize)> = shape.iter().map(|s| (0, 1, *s)).collect();
    for (((start, end), a), step) in starts.iter().zip(&ends).zip(&list).zip(&steps) {
        let a = axis(*a, shape.len(), "axes")?;
        let size = i64::try_from(shape[a]).map_err(|_| NodeProblem::Attribute("axes"))?;
        let absolute = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        let (start, end, step) = (absolute(*start), absolute(*end), *step);
        let (start, count) = match step {
            0 => return Err(NodeProblem::Attribute("steps")),
            _ if size == 0 => (0, 0),
            1.. => {
                let (start, end) = (start.clamp(0, size), end.clamp(0, size));
                (start, (end - start).max(0).div_euclid(step) + i64::from((end - start).max(0) % step != 0))
            }
            i64::MIN..=-1 => {
                let (start, end) = (start.clamp(0, size - 1), end.clamp(-1, size - 1));
                let step = step.saturating_neg();
                (start, (start - end).max(0).div_euclid(step) + i64::from((start - end).max(0) % step != 0))
            }
        };
        let convert = |v: i64| usize::try_from(v).map_err(|_| NodeProblem::Attribute("starts"));
        parts[a] = (convert(start)?, step, convert(count)?);
    }
    c.op(FloatOp::Slice(parts), 1)
}

pub(crate) fn concat_shape(inputs: &[&[usize]], axis: usize) -> Option<Vec<usize>> {
    let mut shape = inputs.first()?.to_vec();
    shape.get(axis)?;
    for other in &inputs[1..] {
        if other.len() != shape.len() || (0..shape.len()).any(|d| d != axis && other[d] != shape[d]) {
            return None;
        }
        shape[axis] += other[axis];
    }
    Some(shape)
}

pub(crate) fn transpose(x: &Tensor, perm: &[usize], shape: &[usize]) -> Tensor {
    let own = strides(&x.shape);
    let permuted: Vec<usize> = perm.iter().map(|p| own[*p]).collect();
    let mut data = Vec::with_capacity(x.data.len());
    for_each_address(shape, &permuted, |a| data.push(x.data[a]));
    Tensor { shape: shape.to_vec(), data, integer: x.integer }
}

pub(crate) fn concat(inputs: &[&Tensor], axis: usize, shape: &[usize]) -> Tensor {
    let outer = volume(&shape[..axis]);
    let mut data = Vec::with_capacity(volume(shape));
    for o in 0..outer {
        for x in inputs {
            let width = volume(&x.shape[axis..]);
            data.extend_from_slice(&x.data[o * width..(o + 1) * width]);
        }
    }
    Tensor { shape: shape.to_vec(), data, integer: inputs.iter().all(|x| x.integer) }
}

/// Reads `x` at the coordinates that `coordinate(axis, index)` gives; `value` where there is none.
fn read(x: &Tensor, shape: &[usize], value: f64, coordinate: impl Fn(usize, usize) -> Option<usize>) -> Tensor {
    let own = strides(&x.shape);
    // Addresses of a prefix of axes, grown axis by axis.
    let mut addresses = vec![Some(0)];
    for (axis, size) in shape.iter().enumerate() {
        let steps: Vec<Option<usize>> =
            (0..*size).map(|i| coordinate(axis, i).filter(|c| *c < x.shape[axis]).map(|c| c * own[axis])).collect();
        addresses =
            addresses.iter().flat_map(|a: &Option<usize>| steps.iter().map(move |s| Some((*a)? + (*s)?))).collect();
    }
    let data = addresses.into_iter().map(|a| a.map_or(value, |a| x.data[a])).collect();
    Tensor { shape: shape.to_vec(), data, integer: x.integer }
}

pub(crate) fn slice(x: &Tensor, parts: &[(usize, i64, usize)], shape: &[usize]) -> Tensor {
    read(x, shape, 0.0, |axis, i| slice_coordinate(parts[axis], i))
}

/// The input coordinate of element `i` of a slice.
pub(crate) fn slice_coordinate((start, step, _): (usize, i64, usize), i: usize) -> Option<usize> {
    let at = i64::try_from(start).ok()?.checked_add(step.checked_mul(i64::try_from(i).ok()?)?)?;
    usize::try_from(at).ok()
}

pub(crate) fn pad(x: &Tensor, pads: &[(usize, usize)], value: f64, shape: &[usize]) -> Tensor {
    read(x, shape, value, |axis, i| i.checked_sub(pads[axis].0))
}

pub(crate) fn gather(x: &Tensor, axis: usize, indices: &[Option<usize>], shape: &[usize]) -> Tensor {
    let (outer, inner) = (volume(&x.shape[..axis]), volume(&x.shape[axis + 1..]));
    let length = x.shape[axis];
    let mut data = Vec::with_capacity(volume(shape));
    for o in 0..outer {
        for i in indices {
            match i {
                Some(i) => data.extend_from_slice(&x.data[(o * length + i) * inner..][..inner]),
                None => data.resize(data.len() + inner, 0.0),
            }
        }
    }
    Tensor { shape: shape.to_vec(), data, integer: x.integer }
}
