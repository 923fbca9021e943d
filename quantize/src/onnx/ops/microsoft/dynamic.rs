//! Products of activations that are quantised as the file runs with integer weights: as what they approximate, see
//! [`super::super::dynamic`].

use super::super::{
    quantised::{constant, side, without},
    recurrent,
};
use crate::onnx::{
    context::{Context, Outputs},
    error::NodeProblem,
    graph::ValueId,
    tensor::Tensor,
};

pub(crate) const OPS: &[&str] = &["DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "DynamicQuantizeLSTM" => lstm(c),
        "DynamicQuantizeMatMul" => {
            c.note_dynamic();
            let (x, w) = (c.input(0)?, c.input(1)?);
            let (scale, zero) = (side(c, 2, false)?, side(c, 3, false)?);
            product(c, (x, w), [None, scale], [None, zero], 4)
        }
        _ => {
            let (a, b) = (c.input(0)?, c.input(1)?);
            let scales = [side(c, 2, true)?, side(c, 3, false)?];
            let zeros = [side(c, 4, true)?, side(c, 5, false)?];
            product(c, (a, b), scales, zeros, 6)
        }
    }
}

/// `(a − zero) · (b − zero)`, times the scales, plus input `bias`.
fn product(
    c: &mut Context<'_>,
    (a, b): (ValueId, ValueId),
    scales: [Option<Tensor>; 2],
    [zero_a, zero_b]: [Option<Tensor>; 2],
    bias: usize,
) -> Outputs {
    let (a, b) = (without(c, a, zero_a)?, without(c, b, zero_b)?);
    let mut y = c.matmul(a, b)?;
    for scale in scales.into_iter().flatten() {
        let scale = c.tensor(scale);
        y = c.mul(y, scale)?;
    }
    if let Some(bias) = c.optional(bias) {
        y = c.add(y, bias)?;
    }
    Ok(vec![y])
}

/// An LSTM with weights `[directions, inputs, 4 · hidden]` in integers: that of ONNX with `(w − zero) · scale`.
fn lstm(c: &mut Context<'_>) -> Outputs {
    c.note_dynamic();
    let w = weights(c, 1, 8, 9)?;
    let r = weights(c, 2, 10, 11)?;
    let mut inputs = c.inputs.clone();
    inputs.truncate(8);
    (inputs[1], inputs[2]) = (Some(w), Some(r));
    let mut inner = Context {
        importer: &mut *c.importer,
        node: c.node,
        attributes: c.attributes,
        inputs,
        types: c.types.clone(),
        opset: c.opset,
        name: c.name.clone(),
    };
    recurrent::import(&mut inner)
}

/// Constant weights `i`, as `[directions, 4 · hidden, inputs]`, with the scale and the zero point of these inputs: one per
/// direction, or one per column of each.
fn weights(c: &mut Context<'_>, i: usize, scale: usize, zero: usize) -> Result<ValueId, NodeProblem> {
    let w = c.constant(i)?;
    let [directions, _, columns] = w.shape[..] else {
        return Err(NodeProblem::Shapes { shapes: vec![w.shape.clone()], why: "three axes are needed" });
    };
    let spread = |t: Tensor| {
        let shape = match t.shape[..] {
            [d] if d == directions => vec![d, 1, 1],
            [d, n] if d == directions && n == columns => vec![d, 1, n],
            _ if t.data.len() == 1 => vec![],
            _ => {
                let shapes = vec![w.shape.clone(), t.shape.clone()];
                return Err(NodeProblem::Shapes { shapes, why: "scales or zero points do not fit" });
            }
        };
        Ok(Tensor { shape, ..t })
    };
    let zero = constant(c, zero)?.map(spread).transpose()?;
    let scale = constant(c, scale)?.ok_or(NodeProblem::MissingInput(scale))?;
    let scale = spread(scale)?;
    let w = c.input(i)?;
    let w = without(c, w, zero)?;
    let scale = c.tensor(scale);
    let w = c.mul(w, scale)?;
    c.transpose(w, &[0, 2, 1])
}
