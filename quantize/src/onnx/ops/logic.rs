//! Truth values, comparisons, choices and casts.

use super::{elementwise::Binary, functions::truncate};
use crate::onnx::{
    context::{Context, Outputs},
    element::Element,
    error::NodeProblem,
    graph::{FloatOp, ValueId},
    tensor::{broadcast_shapes, Tensor},
};

pub(crate) const OPS: &[&str] = &[
    "And",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "CastLike",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Not",
    "Or",
    "Where",
    "Xor",
];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    let op = c.node.op_type.as_str();
    let compare = match op {
        "Equal" => Some((Binary::Equal, false)),
        "Greater" => Some((Binary::Greater, false)),
        "GreaterOrEqual" => Some((Binary::GreaterOrEqual, false)),
        "Less" => Some((Binary::Greater, true)),
        "LessOrEqual" => Some((Binary::GreaterOrEqual, true)),
        _ => None,
    };
    if let Some((binary, swapped)) = compare {
        let (a, b) = (c.input(0)?, c.input(1)?);
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        return Ok(vec![c.binary(binary, a, b)?]);
    }
    match op {
        "And" => c.op(FloatOp::Binary(Binary::Mul), 2),
        "Or" | "Xor" => {
            let (a, b) = (c.input(0)?, c.input(1)?);
            let (sum, both) = (c.add(a, b)?, c.mul(a, b)?);
            let factor = c.whole(if op == "Or" { 1 } else { 2 });
            let both = c.mul(both, factor)?;
            Ok(vec![c.sub(sum, both)?])
        }
        "Not" => {
            let x = c.input(0)?;
            Ok(vec![not(c, x)?])
        }
        "Where" => c.op(FloatOp::Where, 3),
        "Cast" => {
            let to = c.attributes.int("to").and_then(|v| i32::try_from(v).ok());
            cast(c, Element(to.ok_or(NodeProblem::Attribute("to"))?))
        }
        "CastLike" => {
            let to = c.element(1);
            cast(c, to)
        }
        _ => bits(c),
    }
}

/// `1 − x`.
fn not(c: &mut Context<'_>, x: ValueId) -> Result<ValueId, NodeProblem> {
    let one = c.whole(1);
    c.sub(one, x)
}

fn cast(c: &mut Context<'_>, to: Element) -> Outputs {
    let (x, from) = (c.input(0)?, c.element(0));
    if from == Element::DYNAMIC && (to.is_float() || to.is_integer()) {
        return Ok(vec![x]); // the real that it stands for, whatever holds it
    }
    if from != Element::UNKNOWN && !(from.is_float() || from.is_integer() || from == Element::BOOL) {
        return Err(NodeProblem::Variant("a cast from this type"));
    }
    if from == to && to != Element::UNKNOWN {
        return Ok(vec![x]);
    }
    if to.is_float() {
        return Ok(vec![real_constant(c, x)]);
    }
    if to == Element::BOOL {
        let zero = c.whole(0);
        let is_zero = c.binary(Binary::Equal, x, zero)?;
        return Ok(vec![not(c, is_zero)?]);
    }
    let Some((lo, hi)) = to.limits().filter(|_| !to.is_packed()) else {
        return Err(NodeProblem::Variant("a cast to this type"));
    };
    let y = truncate(c, x)?;
    // Whole numbers wrap; of floats beyond the type's range ONNX says nothing.
    if let Some(tensor) = c.importer.graph.constant(y) {
        if tensor.data.iter().any(|v| *v < lo || *v > hi) && !from.is_float() {
            return Err(NodeProblem::Variant("a cast of an integer that wraps"));
        }
    } else if !(from.is_float() || from.fits(to) || (to.is_wide() && !from.is_unsigned_wide())) {
        return Err(NodeProblem::Variant("a cast between integers that may wrap"));
    }
    Ok(vec![y])
}

/// A constant that no longer counts as whole; any other value as it is.
fn real_constant(c: &mut Context<'_>, x: ValueId) -> ValueId {
    match c.importer.graph.constant(x).cloned() {
        Some(tensor) => c.tensor(Tensor { integer: false, ..(*tensor).clone() }),
        None => x,
    }
}

/// Operators on bits, of constants.
fn bits(c: &mut Context<'_>) -> Outputs {
    let element = c.element(0);
    let (Some((lo, hi)), true) = (element.limits(), element != Element::UNKNOWN) else {
        return Err(NodeProblem::Variant("bits of this type"));
    };
    let unary = c.node.op_type == "BitwiseNot";
    let a = c.constant(0)?;
    let b = if unary { a.clone() } else { c.constant(1)? };
    let shapes = || vec![a.shape.clone(), b.shape.clone()];
    let shape = broadcast_shapes(&a.shape, &b.shape)
        .ok_or_else(|| NodeProblem::Shapes { shapes: shapes(), why: "they do not broadcast" })?;
    let left = c.attributes.string("direction") == Some("LEFT");
    let op = c.node.op_type.as_str();
    let apply = |a: i64, b: i64| match op {
        "BitwiseNot" if element.is_unsigned() => None,
        "BitwiseNot" => Some(!a),
        "BitwiseAnd" => Some(a & b),
        "BitwiseOr" => Some(a | b),
        "BitwiseXor" => Some(a ^ b),
        _ => {
            let by = u32::try_from(b).ok().filter(|b| *b < 63)?;
            if left {
                a.checked_mul(1_i64.checked_shl(by)?)
            } else {
                Some(a >> by)
            }
        }
    };
    let (a, b) = (a.broadcast_to(&shape), b.broadcast_to(&shape));
    let values = a.to_ints().into_iter().zip(b.to_ints());
    #[allow(clippy::cast_precision_loss)] // limited to 2^53
    let data: Option<Vec<f64>> = values
        .map(|(a, b)| apply(a, b).map(|v| v as f64).filter(|v| (lo..=hi).contains(v) && v.abs() < 9e15))
        .collect();
    let data = data.ok_or(NodeProblem::Variant("an operator on bits whose result leaves its type"))?;
    Ok(vec![c.tensor(Tensor { shape, data, integer: true })])
}
