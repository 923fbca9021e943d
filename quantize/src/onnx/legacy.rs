//! What operator sets before 7 spell otherwise: broadcasting.

use super::{context::Context, error::NodeProblem, tensor::broadcast_shapes};

/// Operators that broadcast their second input only where an attribute says so, before operator set 7.
const OPS: &[&str] =
    &["Add", "And", "Div", "Equal", "Gemm", "Greater", "Less", "Mul", "Or", "PRelu", "Pow", "Sub", "Xor"];

/// Gives the second input the axes that the attributes `broadcast` and `axis` (ONNX 1 to 6) give it: its own are `axis` and
/// those behind it of the first input, or by default the last ones.
pub(super) fn broadcast(c: &mut Context<'_>) -> Result<(), NodeProblem> {
    let is_old = c.opset < 7 && super::import::domain(&c.node.domain).is_empty();
    if !is_old || !OPS.contains(&c.node.op_type.as_str()) || !c.attributes.flag("broadcast") {
        return Ok(());
    }
    // The product's is of its third input, to the shape of the result.
    if c.node.op_type == "Gemm" {
        return Ok(());
    }
    let (a, b, right) = (c.shape(0)?, c.shape(1)?, c.input(1)?);
    let misfit = || NodeProblem::Shapes {
        shapes: vec![a.clone(), b.clone()],
        why: "the second does not broadcast at this axis of the first",
    };
    let spare = a.len().checked_sub(b.len()).ok_or_else(misfit)?;
    let from = match c.attributes.int("axis") {
        None => spare,
        Some(axis) => super::context::axis(axis, a.len(), "axis")?,
    };
    let behind = spare.checked_sub(from).ok_or_else(misfit)?;
    let shape: Vec<usize> = b.iter().copied().chain((0..behind).map(|_| 1)).collect();
    if broadcast_shapes(&a, &shape).as_ref() != Some(&a) {
        return Err(misfit());
    }
    c.inputs[1] = Some(c.reshape(right, shape)?);
    Ok(())
}
