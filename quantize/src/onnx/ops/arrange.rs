//! Operators that cut, repeat and rearrange blocks.

use crate::onnx::{
    context::{axis, Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    proto::{checked_volume, MAX_ELEMENTS},
    tensor::volume,
};

pub(crate) const OPS: &[&str] = &["Col2Im", "DepthToSpace", "SpaceToDepth", "Split", "Tile"];

/// Blocks of `Col2Im` have at most so many elements.
const MAX_BLOCK: usize = 256;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "Tile" => tile(c),
        "Split" => split(c),
        "Col2Im" => col2im(c),
        _ => blocks(c),
    }
}

fn tile(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let repeats = c.constant_ints(1)?.ok_or(NodeProblem::MissingInput(1))?;
    let repeats = crate::onnx::context::sizes(&repeats, "repeats")?;
    if repeats.len() != shape.len() || repeats.iter().any(|r| *r > MAX_ELEMENTS) {
        return Err(NodeProblem::Attribute("repeats"));
    }
    let x = c.input(0)?;
    // [1, d] → [r, d] → [r d] on every axis.
    let pairs = |first: &dyn Fn(usize) -> usize| (0..shape.len()).flat_map(|d| [first(d), shape[d]]).collect();
    let x = c.reshape(x, pairs(&|_| 1))?;
    let x = c.push(FloatOp::Expand(pairs(&|d| repeats[d])), &[x])?;
    Ok(vec![c.reshape(x, shape.iter().zip(&repeats).map(|(s, r)| s * r).collect())?])
}

fn split(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let axis = axis(c.attributes.int("axis").unwrap_or(0), shape.len(), "axis")?;
    let length = shape[axis];
    let parts = match c.ints("split", 1)? {
        Some(list) => crate::onnx::context::sizes(&list, "split")?,
        None => {
            let count = c.attributes.int("num_outputs").map_or(Ok(c.node.output.len()), usize::try_from);
            let count = count.ok().filter(|n| *n > 0).ok_or(NodeProblem::Attribute("num_outputs"))?;
            let size = length.div_ceil(count);
            (0..count).map(|i| size.min(length.saturating_sub(i.saturating_mul(size)))).collect()
        }
    };
    if parts.iter().fold(0_usize, |sum, p| sum.saturating_add(*p)) != length || parts.len() < c.node.output.len() {
        return Err(NodeProblem::Attribute("split"));
    }
    let x = c.input(0)?;
    let mut start = 0;
    let mut outputs = Vec::with_capacity(parts.len());
    for part in parts.into_iter().take(c.node.output.len()) {
        outputs.push(c.slice(x, axis, (start, 1, part))?);
        start += part;
    }
    Ok(outputs)
}

/// `DepthToSpace` and `SpaceToDepth`.
fn blocks(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let [n, channels, h, w] = shape[..] else {
        return Err(NodeProblem::Shapes { shapes: vec![shape], why: "four axes are needed" });
    };
    let size = c.attributes.int("blocksize").and_then(|b| usize::try_from(b).ok());
    let b = size.filter(|b| (1..1 << 16).contains(b)).ok_or(NodeProblem::Attribute("blocksize"))?;
    let depth_first = match c.attributes.string("mode").unwrap_or("DCR") {
        "DCR" => true,
        "CRD" => false,
        _ => return Err(NodeProblem::Attribute("mode")),
    };
    let x = c.input(0)?;
    let misfit = || NodeProblem::Shapes { shapes: vec![shape.clone()], why: "blocks do not fit" };
    if c.node.op_type == "DepthToSpace" {
        if !channels.is_multiple_of(b * b) {
            return Err(misfit());
        }
        let rest = channels / (b * b);
        let (split, perm) = if depth_first {
            (vec![n, b, b, rest, h, w], [0, 3, 4, 1, 5, 2])
        } else {
            (vec![n, rest, b, b, h, w], [0, 1, 4, 2, 5, 3])
        };
        let x = c.reshape(x, split)?;
        let x = c.transpose(x, &perm)?;
        return Ok(vec![c.reshape(x, vec![n, rest, h * b, w * b])?]);
    }
    if !h.is_multiple_of(b) || !w.is_multiple_of(b) {
        return Err(misfit());
    }
    let x = c.reshape(x, vec![n, channels, h / b, b, w / b, b])?;
    let x = c.transpose(x, &if depth_first { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] })?;
    Ok(vec![c.reshape(x, vec![n, channels * b * b, h / b, w / b])?])
}

/// Blocks added up where they overlap: for every place in a block, its elements put where they belong.
fn col2im(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let list = |i: usize, name| crate::onnx::context::sizes(&c.constant(i)?.to_ints(), name);
    let (image, block) = (list(1, "image_shape")?, list(2, "block_shape")?);
    let rank = image.len();
    let per_axis = |name: &'static str, count: usize, default: i64| {
        let given = c.attributes.ints(name).map_or_else(|| vec![default; count], <[i64]>::to_vec);
        let limit = |v: &usize| *v < 1 << 20;
        let values = crate::onnx::context::sizes(&given, name)?;
        let valid = values.len() == count && values.iter().all(limit);
        if valid {
            Ok(values)
        } else {
            Err(NodeProblem::Attribute(name))
        }
    };
    let (dilations, strides) = (per_axis("dilations", rank, 1)?, per_axis("strides", rank, 1)?);
    let pads = per_axis("pads", 2 * rank, 0)?;
    let size = checked_volume(&block).filter(|v| *v <= MAX_BLOCK).ok_or(NodeProblem::Attribute("block_shape"))?;
    let misfit =
        || NodeProblem::Shapes { shapes: vec![shape.clone(), image.clone(), block.clone()], why: "blocks do not fit" };
    if checked_volume(&image).is_none() || strides.contains(&0) || block.len() != rank || shape.len() != 3 {
        return Err(misfit());
    }
    let counts: Option<Vec<usize>> = (0..rank)
        .map(|d| {
            let span = dilations[d].checked_mul(block[d] - 1)?.checked_add(1)?;
            Some((image[d] + pads[d] + pads[rank + d]).checked_sub(span)? / strides[d] + 1)
        })
        .collect();
    let counts = counts.ok_or_else(misfit)?;
    if volume(&counts) != shape[2] || !shape[1].is_multiple_of(size) {
        return Err(misfit());
    }
    let x = c.input(0)?;
    let channels = shape[1] / size;
    let x = c.reshape(x, [&[shape[0], channels, size], counts.as_slice()].concat())?;
    let mut sum: Option<ValueId> = None;
    for place in 0..size {
        let mut part = c.slice(x, 2, (place, 1, 1))?;
        part = c.reshape(part, [&[shape[0], channels], counts.as_slice()].concat())?;
        let mut rest = place;
        for d in (0..rank).rev() {
            let offset = rest % block[d] * dilations[d];
            rest /= block[d];
            let from = |at: usize| {
                let shifted = (at + pads[d]).checked_sub(offset)?;
                (shifted % strides[d] == 0).then_some(shifted / strides[d]).filter(|i| *i < counts[d])
            };
            let indices = (0..image[d]).map(from).collect();
            part = c.push(FloatOp::Gather { axis: 2 + d, indices, shape: vec![image[d]] }, &[part])?;
        }
        sum = Some(match sum {
            Some(sum) => c.add(sum, part)?,
            None => part,
        });
    }
    Ok(vec![sum.ok_or_else(misfit)?])
}
