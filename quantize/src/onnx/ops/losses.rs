//! Losses, and the logarithms and choices of a softmax.

use super::{
    elementwise::{Binary, Unary},
    reduce::Reduction,
};
use crate::{
    curve::Curve,
    onnx::{
        context::{axis, Context, Outputs},
        error::NodeProblem,
        graph::{FloatOp, ValueId},
        tensor::Tensor,
    },
};

pub(crate) const OPS: &[&str] = &["Hardmax", "LogSoftmax", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "Hardmax" => of_axis(c, hardmax),
        "LogSoftmax" => of_axis(c, log_softmax),
        "NegativeLogLikelihoodLoss" => {
            let scores = c.input(0)?;
            Ok(vec![negative_log_likelihood(c, scores)?])
        }
        _ => {
            let scores = c.input(0)?;
            if c.shape_of(scores).len() < 2 {
                return Err(NodeProblem::Variant("scores without classes"));
            }
            let scores = log_softmax(c, scores, 1)?;
            Ok(vec![negative_log_likelihood(c, scores)?, scores])
        }
    }
}

/// A function along the node's axis. Before operator set 13 the input counts as a matrix whose columns begin there.
fn of_axis(
    c: &mut Context<'_>,
    function: fn(&mut Context<'_>, ValueId, usize) -> Result<ValueId, NodeProblem>,
) -> Outputs {
    let (x, shape) = (c.input(0)?, c.shape(0)?);
    let given = c.attributes.int("axis").unwrap_or(if c.opset >= 13 { -1 } else { 1 });
    if c.opset >= 13 {
        let axis = axis(given, shape.len(), "axis")?;
        return Ok(vec![function(c, x, axis)?]);
    }
    let whole = given == i64::try_from(shape.len()).unwrap_or(-1);
    let axis = if whole { shape.len() } else { axis(given, shape.len(), "axis")? };
    let x = c.reshape(x, vec![shape[..axis].iter().product(), shape[axis..].iter().product()])?;
    let y = function(c, x, 1)?;
    Ok(vec![c.reshape(y, shape)?])
}

/// `x − m − ln Σ e^(x − m)` with `m` the largest: the sum is at least one.
pub(crate) fn log_softmax(c: &mut Context<'_>, x: ValueId, axis: usize) -> Result<ValueId, NodeProblem> {
    let largest = c.reduce(x, Reduction::Max, &[axis])?;
    let below = c.sub(x, largest)?;
    let exponentials = c.unary(Unary::Exp, below)?;
    let sum = c.reduce(exponentials, Reduction::Sum, &[axis])?;
    let logarithm = c.unary(Unary::Curve(Curve::Log), sum)?;
    c.sub(below, logarithm)
}

/// One where the first largest element of a line is, else zero.
fn hardmax(c: &mut Context<'_>, x: ValueId, axis: usize) -> Result<ValueId, NodeProblem> {
    let mut shape = c.shape_of(x);
    let rank = shape.len();
    let depth = shape.remove(axis);
    let index = c.push(FloatOp::ArgMax { axis, last: false }, &[x])?;
    let index = c.reshape(index, shape)?;
    let hot = c.push(FloatOp::OneHot { depth, wrap: false }, &[index])?;
    let perm: Vec<usize> = (0..axis).chain([rank - 1]).chain(axis..rank - 1).collect();
    c.transpose(hot, &perm)
}

/// The loss of scores `[n, classes, …]` for targets `[n, …]`: minus the target's score times its weight.
///
/// Weights of classes are constants: a mean divides by the weights of targets, which have to be known to be positive.
fn negative_log_likelihood(c: &mut Context<'_>, scores: ValueId) -> Result<ValueId, NodeProblem> {
    let (shape, target, targets) = (c.shape_of(scores), c.input(1)?, c.shape(1)?);
    let [batch, classes, inner @ ..] = shape.as_slice() else {
        return Err(NodeProblem::Variant("scores without classes"));
    };
    if targets.first() != Some(batch) || targets[1..] != *inner {
        return Err(NodeProblem::Shapes { shapes: vec![shape, targets], why: "the targets have another shape" });
    }
    let given = if c.has(2) { Some(c.constant(2)?) } else { None };
    let mut weights = given.as_ref().map_or_else(|| vec![1.0; *classes], |w| w.data.clone());
    if weights.len() != *classes {
        return Err(NodeProblem::Attribute("weight"));
    }
    let ignored = c.attributes.int("ignore_index");
    if let Some(weight) = ignored.and_then(|i| usize::try_from(i).ok()).and_then(|i| weights.get_mut(i)) {
        *weight = 0.0;
    }
    let reduction = c.attributes.string("reduction").unwrap_or("mean");
    let rank = shape.len();
    // An index beyond the classes, which may be one to ignore, has no one.
    let hot = c.push(FloatOp::OneHot { depth: *classes, wrap: false }, &[target])?;
    let perm: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let hot = c.transpose(hot, &perm)?;
    let mut spread = vec![1; rank - 1];
    spread[0] = *classes;
    let weight = c.tensor(Tensor::new(spread, weights.clone()));
    let weighted = c.mul(hot, weight)?;
    let chosen = c.mul(scores, weighted)?;
    let chosen = c.unary(Unary::Neg, chosen)?;
    let all: Vec<usize> = (0..rank).collect();
    let loss = match reduction {
        "none" => {
            let loss = c.reduce(chosen, Reduction::Sum, &[1])?;
            return c.reshape(loss, targets);
        }
        "sum" | "mean" => c.reduce(chosen, Reduction::Sum, &all)?,
        _ => return Err(NodeProblem::Attribute("reduction")),
    };
    let loss = c.reshape(loss, vec![])?;
    if reduction == "sum" {
        return Ok(loss);
    }
    #[allow(clippy::cast_precision_loss)] // a count
    let count = targets.iter().product::<usize>() as f64;
    if given.is_none() && ignored.is_none() {
        return c.affine(loss, 1.0 / count, 0.0);
    }
    let total = c.reduce(weighted, Reduction::Sum, &all)?;
    let total = c.reshape(total, vec![])?;
    if let Some(total) = c.importer.graph.constant(total).and_then(|t| t.scalar()) {
        if total == 0.0 || !total.is_finite() {
            return Err(NodeProblem::Variant("a mean over targets that are all ignored"));
        }
        return c.affine(loss, 1.0 / total, 0.0);
    }
    // Of targets that name classes, and not all the ignored one, the total is at least this.
    let least = weights.iter().copied().filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min);
    if weights.iter().any(|w| *w < 0.0) || !least.is_finite() {
        return Err(NodeProblem::Variant("a mean by weights that are not positive"));
    }
    let least = c.scalar(if ignored.is_some() { least } else { least * count });
    let total = c.binary(Binary::Max, total, least)?;
    // Rounded before it is divided: a quotient of an exact sum would have too many bits.
    let loss = c.unary(Unary::Clip { lo: f64::NEG_INFINITY, hi: f64::INFINITY }, loss)?;
    c.div(loss, total)
}
