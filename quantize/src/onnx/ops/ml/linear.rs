//! Linear models, and what scales their features.

use super::{
    attributes::floats,
    scores::{above, binary_scores, post_transform, rows, Classes},
};
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    ops::{elementwise::Binary, normalisation::over_norm, reduce::Reduction},
    tensor::Tensor,
};

pub(super) const OPS: &[&str] = &["LinearClassifier", "LinearRegressor", "Normalizer", "Scaler"];

pub(super) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "LinearClassifier" => classifier(c),
        "LinearRegressor" => regressor(c),
        "Normalizer" => normalizer(c),
        _ => scaler(c),
    }
}

/// `x Wᵀ + b` for the attribute `coefficients`, row by row, and as many rows as there are targets.
fn product(c: &mut Context<'_>, targets: usize, intercepts: Vec<f64>) -> Result<ValueId, NodeProblem> {
    let x = rows(c)?;
    let features = c.shape_of(x)[1];
    let coefficients = floats(c, "coefficients")?;
    if targets == 0 || targets.checked_mul(features) != Some(coefficients.len()) {
        return Err(NodeProblem::Attribute("coefficients"));
    }
    if !intercepts.is_empty() && intercepts.len() != targets {
        return Err(NodeProblem::Attribute("intercepts"));
    }
    let weights = c.tensor(Tensor::new(vec![targets, features], coefficients));
    let mut inputs = vec![x, weights];
    if !intercepts.is_empty() {
        inputs.push(c.tensor(Tensor::new(vec![targets], intercepts)));
    }
    c.push(FloatOp::Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true }, &inputs)
}

fn regressor(c: &mut Context<'_>) -> Outputs {
    let targets = usize::try_from(c.attributes.int("targets").unwrap_or(1));
    let targets = targets.map_err(|_| NodeProblem::Attribute("targets"))?;
    let intercepts = floats(c, "intercepts")?;
    let y = product(c, targets, intercepts)?;
    let transform = c.attributes.string("post_transform").unwrap_or("NONE").to_owned();
    // With one target ONNX Runtime leaves the transform out.
    let transform = if targets == 1 && transform != "PROBIT" { "NONE" } else { &transform };
    Ok(vec![post_transform(c, y, transform)?])
}

/// One score for two classes: the second is chosen above zero; otherwise one score for each class.
fn classifier(c: &mut Context<'_>) -> Outputs {
    let classes = Classes::read(c, "classlabels_ints")?;
    let intercepts = floats(c, "intercepts")?;
    let targets = intercepts.len();
    let transform = c.attributes.string("post_transform").unwrap_or("NONE").to_owned();
    let scores = product(c, targets, intercepts)?;
    c.make_precise(scores);
    if targets == 1 && classes.len() == 2 {
        let second = above(c, scores, 0.0)?;
        return Ok(vec![classes.of_two(c, second)?, binary_scores(c, scores, &transform, 1.0)?]);
    }
    if targets != classes.len() || targets == 1 {
        return Err(NodeProblem::Variant("classes and intercepts that differ in number"));
    }
    let label = classes.largest(c, scores, &vec![true; targets])?;
    Ok(vec![label, post_transform(c, scores, &transform)?])
}

/// `(x − offset) · scale`, each one number or one per feature.
fn scaler(c: &mut Context<'_>) -> Outputs {
    let x = rows_or_same(c)?;
    let features = c.shape_of(x).last().copied().unwrap_or(1);
    let (offset, scale) = (floats(c, "offset")?, floats(c, "scale")?);
    let mut y = x;
    for (name, values, binary) in [("offset", offset, Binary::Sub), ("scale", scale, Binary::Mul)] {
        match values.len() {
            0 => continue,
            1 => {}
            n if n == features => {}
            _ => return Err(NodeProblem::Attribute(name)),
        }
        let values = c.tensor(Tensor::new(vec![values.len()], values));
        y = c.binary(binary, y, values)?;
    }
    Ok(vec![y])
}

/// Rows over their norm; rows of zeros stay.
fn normalizer(c: &mut Context<'_>) -> Outputs {
    let x = rows(c)?;
    match c.attributes.string("norm").unwrap_or("MAX") {
        "L1" => Ok(vec![over_norm(c, x, 1, 1)?]),
        "L2" => Ok(vec![over_norm(c, x, 1, 2)?]),
        // The largest element, not the largest absolute value.
        "MAX" => {
            let largest = c.reduce(x, Reduction::Max, &[1])?;
            let zero = c.scalar(0.0);
            let nothing = c.binary(Binary::Equal, largest, zero)?;
            let largest = c.add(largest, nothing)?;
            Ok(vec![c.div(x, largest)?])
        }
        _ => Err(NodeProblem::Attribute("norm")),
    }
}

/// The input, which may have any rank; a vector is one row.
fn rows_or_same(c: &mut Context<'_>) -> Result<ValueId, NodeProblem> {
    let x = c.input(0)?;
    match c.shape_of(x)[..] {
        [_] => rows(c),
        _ => Ok(x),
    }
}
