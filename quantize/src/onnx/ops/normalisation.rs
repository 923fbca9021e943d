//! Normalisations: means, squares and the inverse of a root.

use super::{
    elementwise::{Binary, Unary},
    functions::power,
    reduce::Reduction,
};
use crate::{
    curve::{Curve, Real},
    onnx::{
        context::{axes, axis, Context, Outputs},
        error::NodeProblem,
        graph::{FloatOp, ValueId},
    },
};

pub(crate) const OPS: &[&str] = &[
    "BatchNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LpNormalization",
    "MeanVarianceNormalization",
    "RMSNormalization",
];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "BatchNormalization" => batch(c),
        "GroupNormalization" => group(c),
        "InstanceNormalization" => {
            let shape = c.shape(0)?;
            let x = c.input(0)?;
            let parts = normalised(c, x, &(2..shape.len()).collect::<Vec<_>>(), c.attributes.float("epsilon", 1e-5))?;
            Ok(vec![scaled_by_channel(c, parts.y, shape.len())?])
        }
        "LayerNormalization" => layer(c),
        "LRN" => local_response(c),
        "LpNormalization" => lp(c),
        "MeanVarianceNormalization" => {
            let rank = c.shape(0)?.len();
            let over = match c.attributes.ints("axes") {
                Some(list) => axes(list, rank)?,
                None => axes(&[0, 2, 3], rank)?,
            };
            let x = c.input(0)?;
            Ok(vec![normalised(c, x, &over, 0.0)?.y])
        }
        _ => root_mean_square(c),
    }
}

/// A normalised value, and what it was normalised by.
struct Normalised {
    y: ValueId,
    mean: ValueId,
    inverse: ValueId,
}

/// `(x − mean) / √(variance + epsilon)` over axes.
fn normalised(c: &mut Context<'_>, x: ValueId, over: &[usize], epsilon: f64) -> Result<Normalised, NodeProblem> {
    let mean = c.reduce(x, Reduction::Mean, over)?;
    let centred = c.sub(x, mean)?;
    let square = c.mul(centred, centred)?;
    let mut variance = c.reduce(square, Reduction::Mean, over)?;
    if epsilon == 0.0 {
        let nothing = is_nothing(c, variance)?;
        variance = c.add(variance, nothing)?;
    } else {
        variance = c.affine(variance, 1.0, epsilon)?;
    }
    let inverse = c.unary(Unary::Curve(Curve::Rsqrt), variance)?;
    Ok(Normalised { y: c.mul(centred, inverse)?, mean, inverse })
}

/// One where something that is not negative is zero: an inverse that is multiplied by zero stays finite.
fn is_nothing(c: &mut Context<'_>, x: ValueId) -> Result<ValueId, NodeProblem> {
    let (zero, one) = (c.whole(0), c.whole(1));
    let above = c.binary(Binary::Greater, x, zero)?;
    c.sub(one, above)
}

/// `y · scale + bias` with the scale of input 1 and the bias of input 2, one per channel.
fn scaled_by_channel(c: &mut Context<'_>, y: ValueId, rank: usize) -> Result<ValueId, NodeProblem> {
    let channels = c.shape_of(y)[1];
    let mut parts = Vec::with_capacity(2);
    for i in 1..3 {
        let value = c.input(i)?;
        if c.shape_of(value) != [channels] {
            let shapes = vec![c.shape_of(y), c.shape_of(value)];
            return Err(NodeProblem::Shapes { shapes, why: "one value per channel is needed" });
        }
        let shape = [channels].into_iter().chain((2..rank).map(|_| 1)).collect();
        parts.push(c.reshape(value, shape)?);
    }
    let y = c.mul(y, parts[0])?;
    c.add(y, parts[1])
}

fn batch(c: &mut Context<'_>) -> Outputs {
    // The first operator sets say by `is_test` and by the number of outputs that they are not training.
    if c.attributes.flag("training_mode") || (1..5).any(|i| c.wants(i)) {
        return Err(NodeProblem::Variant("batch normalisation in training mode"));
    }
    if c.attributes.int("spatial") == Some(0) {
        return Err(NodeProblem::Variant("batch normalisation of single elements"));
    }
    (1..5).try_for_each(|i| c.constant(i).map(|_| ()))?;
    let epsilon = c.attributes.float("epsilon", 1e-5);
    c.op(FloatOp::BatchNorm { epsilon }, 5)
}

fn layer(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let first = axis(c.attributes.int("axis").unwrap_or(-1), shape.len(), "axis")?;
    let over: Vec<usize> = (first..shape.len()).collect();
    let x = c.input(0)?;
    let parts = normalised(c, x, &over, c.attributes.float("epsilon", 1e-5))?;
    let scale = c.input(1)?;
    let mut y = c.mul(parts.y, scale)?;
    if let Some(bias) = c.optional(2) {
        y = c.add(y, bias)?;
    }
    if c.shape_of(y) != shape {
        return Err(NodeProblem::Attribute("axis"));
    }
    Ok(vec![y, parts.mean, parts.inverse])
}

fn root_mean_square(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let first = axis(c.attributes.int("axis").unwrap_or(-1), shape.len(), "axis")?;
    let over: Vec<usize> = (first..shape.len()).collect();
    let (x, scale) = (c.input(0)?, c.input(1)?);
    let square = c.mul(x, x)?;
    let mean = c.reduce(square, Reduction::Mean, &over)?;
    let mean = c.affine(mean, 1.0, c.attributes.float("epsilon", 1e-5))?;
    let inverse = c.unary(Unary::Curve(Curve::Rsqrt), mean)?;
    let y = c.mul(x, inverse)?;
    let y = c.mul(y, scale)?;
    if c.shape_of(y) != shape {
        return Err(NodeProblem::Attribute("axis"));
    }
    Ok(vec![y])
}

/// Channels in groups; the scale and bias of the first operator set are per group, later ones per channel.
fn group(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let x = c.input(0)?;
    let groups = c.attributes.int("num_groups").and_then(|g| usize::try_from(g).ok()).unwrap_or(0);
    if shape.len() < 2 || groups == 0 || !shape[1].is_multiple_of(groups) {
        return Err(NodeProblem::Attribute("num_groups"));
    }
    let split = [&[shape[0], groups, shape[1] / groups], &shape[2..]].concat();
    let per_group = c.shape(1)? == [groups] && (c.opset < 21 || groups == shape[1]);
    let x = c.reshape(x, split.clone())?;
    let parts = normalised(c, x, &(2..split.len()).collect::<Vec<_>>(), c.attributes.float("epsilon", 1e-5))?;
    if per_group {
        let y = scaled_by_channel(c, parts.y, split.len())?;
        return Ok(vec![c.reshape(y, shape)?]);
    }
    let y = c.reshape(parts.y, shape.clone())?;
    Ok(vec![scaled_by_channel(c, y, shape.len())?])
}

fn lp(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let axis = axis(c.attributes.int("axis").unwrap_or(-1), shape.len(), "axis")?;
    let x = c.input(0)?;
    Ok(vec![over_norm(c, x, axis, c.attributes.int("p").unwrap_or(2))?])
}

/// `x / ‖x‖` along an axis, zero where all of `x` is. First `x` is divided by its largest absolute value: squares of
/// small rows would be lost beside those of large ones.
pub(crate) fn over_norm(c: &mut Context<'_>, x: ValueId, axis: usize, p: i64) -> Result<ValueId, NodeProblem> {
    let size = c.unary(Unary::Abs, x)?;
    let largest = c.reduce(size, Reduction::Max, &[axis])?;
    let nothing = is_nothing(c, largest)?;
    let largest = c.add(largest, nothing)?;
    let x = c.div(x, largest)?;
    let (curve, size) = match p {
        1 => (Curve::Reciprocal, c.unary(Unary::Abs, x)?),
        2 => (Curve::Rsqrt, c.mul(x, x)?),
        _ => return Err(NodeProblem::Attribute("p")),
    };
    let sum = c.reduce(size, Reduction::Sum, &[axis])?;
    let sum = c.add(sum, nothing)?;
    let inverse = c.unary(Unary::Curve(curve), sum)?;
    c.mul(x, inverse)
}

/// `x / (bias + alpha / size · Σ x²)^beta`, the sum over neighbouring channels.
fn local_response(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let size = c.attributes.int("size").and_then(|s| usize::try_from(s).ok()).unwrap_or(0);
    if shape.len() < 3 || size == 0 || size > 1 << 16 {
        return Err(NodeProblem::Attribute("size"));
    }
    let (alpha, beta) = (c.attributes.float("alpha", 1e-4), c.attributes.float("beta", 0.75));
    let bias = c.attributes.float("bias", 1.0);
    let x = c.input(0)?;
    let square = c.mul(x, x)?;
    // Channels as a spatial axis: the mean over a window, padding included.
    let inner = shape[2..].iter().product();
    let plane = c.reshape(square, vec![shape[0], 1, shape[1], inner])?;
    let mean = super::pool::mean_over_neighbours(c, plane, size)?;
    let base = c.affine(mean, alpha, bias)?;
    let factor = if beta == 0.5 || beta == 1.0 {
        power(c, base, -beta, false)?
    } else {
        c.unary(Unary::Curve(Curve::Pow(Real::new(-beta))), base)?
    };
    let factor = c.reshape(factor, shape)?;
    Ok(vec![c.mul(x, factor)?])
}
