//! Cumulative sums, and triangles of matrices.

use crate::onnx::{
    context::{axis, Context, Outputs},
    error::NodeProblem,
    tensor::Tensor,
};

pub(crate) const OPS: &[&str] = &["CumSum", "Trilu"];

/// Cumulative sums of more elements than this are not imported: they are products with a matrix.
const MAX_LENGTH: usize = 2048;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "CumSum" {
        return cumulative_sum(c);
    }
    let (x, shape) = (c.input(0)?, c.shape(0)?);
    let [.., rows, cols] = shape.as_slice() else { return Err(NodeProblem::Variant("an input that is no matrix")) };
    let offset = c.constant_ints(1)?.map_or(Ok(0), |k| k.first().copied().ok_or(NodeProblem::Attribute("k")))?;
    let upper = c.attributes.int("upper").unwrap_or(1) != 0;
    let signed = |v: usize| i64::try_from(v).unwrap_or(i64::MAX);
    let kept = |address: usize| {
        let (row, col) = (address / cols % rows, address % cols);
        let beyond = signed(col) - signed(row);
        (if upper { beyond >= offset } else { beyond <= offset }).then_some(address)
    };
    let addresses = (0..shape.iter().product()).map(kept).collect();
    Ok(vec![c.pick(x, addresses, shape)?])
}

/// A product with a triangle of ones.
fn cumulative_sum(c: &mut Context<'_>) -> Outputs {
    let (x, shape) = (c.input(0)?, c.shape(0)?);
    if c.element(0).wraps() {
        return Err(NodeProblem::Variant("arithmetic of integers of 8 or 16 bits, which wraps"));
    }
    let given = c.constant_ints(1)?.and_then(|a| a.first().copied()).ok_or(NodeProblem::MissingInput(1))?;
    let axis = axis(given, shape.len(), "axis")?;
    let (length, last) = (shape[axis], shape.len() - 1);
    if length > MAX_LENGTH {
        return Err(NodeProblem::Variant("a cumulative sum of more than 2048 elements"));
    }
    let (exclusive, reverse) = (c.attributes.flag("exclusive"), c.attributes.flag("reverse"));
    // Element `to` of the result sums all `from` before it (behind it, if reversed), and its own unless exclusive.
    let counts = |from: usize, to: usize| (if reverse { from > to } else { from < to }) || (from == to && !exclusive);
    let ones = (0..length * length).map(|i| f64::from(u8::from(counts(i / length, i % length)))).collect();
    let integer = c.is_integer(x);
    let ones = c.structure(Tensor { shape: vec![length, length], data: ones, integer });
    let mut perm: Vec<usize> = (0..shape.len()).collect();
    perm.swap(axis, last);
    let x = c.transpose(x, &perm)?;
    let sums = c.matmul(x, ones)?;
    Ok(vec![c.transpose(sums, &perm)?])
}
