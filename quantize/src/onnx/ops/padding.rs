//! Padding and cropping.

use super::gather::resolve;
use crate::onnx::{
    context::{axis, Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    proto::MAX_ELEMENTS,
};

pub(crate) const OPS: &[&str] = &["CenterCropPad", "Pad"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "CenterCropPad" {
        return center_crop_pad(c);
    }
    let shape = c.shape(0)?;
    let mode = c.attributes.string("mode").unwrap_or("constant");
    let given = match c.attributes.ints("paddings") {
        Some(list) => Some(list.to_vec()), // the first operator set's name
        None => c.ints("pads", 1)?,
    };
    let given = given.ok_or(NodeProblem::Attribute("pads"))?;
    let on: Vec<usize> = match c.constant_ints(3)? {
        Some(list) => list.iter().map(|a| axis(*a, shape.len(), "axes")).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect(),
    };
    if given.len() != 2 * on.len() || given.iter().any(|p| p.unsigned_abs() >= MAX_ELEMENTS as u64) {
        return Err(NodeProblem::Attribute("pads"));
    }
    let pads: Vec<(usize, i64, i64)> =
        on.iter().enumerate().map(|(i, a)| (*a, given[i], given[on.len() + i])).collect();
    let x = c.input(0)?;
    match mode {
        "" | "constant" => {
            let value = match c.attributes.get("value") {
                Some(a) => f64::from(a.f),
                None => c.constant_scalar(2, "value")?.unwrap_or(0.0),
            };
            Ok(vec![pad(c, x, &pads, value)?])
        }
        "reflect" | "edge" | "wrap" => Ok(vec![extend(c, x, &pads, mode)?]),
        _ => Err(NodeProblem::Attribute("mode")),
    }
}

/// Adds elements in front and behind of axes; a negative number cuts.
fn pad(c: &mut Context<'_>, x: ValueId, given: &[(usize, i64, i64)], value: f64) -> Result<ValueId, NodeProblem> {
    let shape = c.shape_of(x);
    let mut pads = vec![(0, 0); shape.len()];
    let mut cuts: Vec<(usize, i64, usize)> = shape.iter().map(|s| (0, 1, *s)).collect();
    for (a, begin, end) in given {
        let split = |v: i64| {
            let size = usize::try_from(v.unsigned_abs()).ok().filter(|v| *v < MAX_ELEMENTS);
            size.map(|s| if v < 0 { (0, s) } else { (s, 0) }).ok_or(NodeProblem::Attribute("pads"))
        };
        let ((begin, cut_begin), (end, cut_end)) = (split(*begin)?, split(*end)?);
        pads[*a] = (begin, end);
        let rest = shape[*a].checked_sub(cut_begin + cut_end).filter(|r| *r > 0);
        cuts[*a] = (cut_begin, 1, rest.ok_or(NodeProblem::Attribute("pads"))?);
    }
    let cut = c.push(FloatOp::Slice(cuts), &[x])?;
    c.push(FloatOp::Pad(pads, value), &[cut])
}

/// Padding with elements of the tensor itself, axis by axis; what negative numbers cut is cut before.
fn extend(c: &mut Context<'_>, x: ValueId, pads: &[(usize, i64, i64)], mode: &str) -> Result<ValueId, NodeProblem> {
    let cuts: Vec<(usize, i64, i64)> = pads.iter().map(|(a, b, e)| (*a, (*b).min(0), (*e).min(0))).collect();
    let mut y = pad(c, x, &cuts, 0.0)?;
    let pads = pads.iter().map(|(a, b, e)| (a, (*b).max(0), (*e).max(0)));
    for (a, begin, end) in pads.filter(|(_, b, e)| (*b, *e) != (0, 0)) {
        let size = c.shape_of(y)[*a];
        let signed = i64::try_from(size).map_err(|_| NodeProblem::Attribute("pads"))?;
        let source = |at: i64| match mode {
            "edge" => at.clamp(0, signed - 1),
            "wrap" => at.rem_euclid(signed),
            _ => {
                let period = 2 * (signed - 1).max(1);
                let at = at.rem_euclid(period);
                if signed == 1 {
                    0
                } else {
                    at.min(period - at)
                }
            }
        };
        let indices: Vec<Option<usize>> =
            (-begin..signed + end).map(|at| resolve(source(at), size).map(Some)).collect::<Result<_, _>>()?;
        let shape = vec![indices.len()];
        y = c.push(FloatOp::Gather { axis: *a, indices, shape }, &[y])?;
    }
    Ok(y)
}

/// Cuts or pads axes to given sizes, around the middle.
fn center_crop_pad(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let target = c.constant_ints(1)?.ok_or(NodeProblem::MissingInput(1))?;
    let on: Vec<usize> = match c.attributes.ints("axes") {
        Some(list) => list.iter().map(|a| axis(*a, shape.len(), "axes")).collect::<Result<_, _>>()?,
        None => (0..shape.len()).collect(),
    };
    if on.len() != target.len() || target.iter().any(|t| *t < 1 || t.unsigned_abs() >= MAX_ELEMENTS as u64) {
        return Err(NodeProblem::Attribute("shape"));
    }
    let mut pads = Vec::with_capacity(on.len());
    for (a, target) in on.into_iter().zip(target) {
        // What is to be added; the smaller half of it, or of what is cut, in front.
        let added = target - i64::try_from(shape[a]).map_err(|_| NodeProblem::Attribute("shape"))?;
        let front = added.abs() / 2 * added.signum();
        pads.push((a, front, added - front));
    }
    let x = c.input(0)?;
    Ok(vec![pad(c, x, &pads, 0.0)?])
}
