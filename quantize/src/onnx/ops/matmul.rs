//! Matrix products.

use crate::{
    kernels::{
        dots::dots,
        float::{self, Sizes},
        parallel,
    },
    onnx::{
        context::{Context, Outputs},
        graph::FloatOp,
        tensor::{broadcast_shapes, broadcast_strides, for_each_address, Tensor},
    },
};

pub(crate) const OPS: &[&str] = &["Gemm", "MatMul"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    if c.node.op_type == "MatMul" {
        return c.op(FloatOp::MatMul, 2);
    }
    let op = FloatOp::Gemm {
        alpha: c.attributes.float("alpha", 1.0),
        beta: c.attributes.float("beta", 1.0),
        trans_a: c.attributes.flag("transA"),
        trans_b: c.attributes.flag("transB"),
    };
    let count = if c.has(2) { 3 } else { 2 };
    c.op(op, count)
}

pub(crate) fn gemm_shape(
    a: &[usize],
    b: &[usize],
    c: Option<&[usize]>,
    trans_a: bool,
    trans_b: bool,
) -> Result<Vec<usize>, &'static str> {
    let ([a0, a1], [b0, b1]) = (a, b) else { return Err("both sides must be matrices") };
    let (m, k) = if trans_a { (a1, a0) } else { (a0, a1) };
    let (k2, n) = if trans_b { (b1, b0) } else { (b0, b1) };
    if k != k2 {
        return Err("inner sizes differ");
    }
    let shape = vec![*m, *n];
    match c {
        Some(c) if broadcast_shapes(c, &shape).as_ref() != Some(&shape) => Err("C does not broadcast"),
        _ => Ok(shape),
    }
}

pub(crate) fn matmul_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, &'static str> {
    if a.is_empty() || b.is_empty() {
        return Err("a scalar is no matrix");
    }
    let (a2, b2) = (as_matrix(a, true), as_matrix(b, false));
    let (ra, rb) = (a2.len(), b2.len());
    if a2[ra - 1] != b2[rb - 2] {
        return Err("inner sizes differ");
    }
    let mut shape = broadcast_shapes(&a2[..ra - 2], &b2[..rb - 2]).ok_or("leading axes do not broadcast")?;
    if a.len() > 1 {
        shape.push(a2[ra - 2]);
    }
    if b.len() > 1 {
        shape.push(b2[rb - 1]);
    }
    Ok(shape)
}

/// A vector as a row (left side) or column (right side).
pub(crate) fn as_matrix(shape: &[usize], left: bool) -> Vec<usize> {
    match shape {
        [n] if left => vec![1, *n],
        [n] => vec![*n, 1],
        _ => shape.to_vec(),
    }
}

pub(crate) fn matmul(a: &Tensor, b: &Tensor, shape: &[usize]) -> Tensor {
    let (a2, b2) = (as_matrix(&a.shape, true), as_matrix(&b.shape, false));
    let (la, lb) = (&a2[..a2.len() - 2], &b2[..b2.len() - 2]);
    let (m, k, n) = (a2[a2.len() - 2], a2[a2.len() - 1], b2[b2.len() - 1]);
    let lead = broadcast_shapes(la, lb).unwrap_or_default();
    let offsets = |shape: &[usize]| {
        let mut offsets = Vec::new();
        for_each_address(&lead, &broadcast_strides(shape, &lead), |o| offsets.push(o));
        offsets
    };
    let mut y = Tensor::zeros(shape);
    let (at_a, at_b) = (offsets(la), offsets(lb));
    let sizes = Sizes { rows: m, inner: k, cols: n };
    parallel::for_each_chunk(&mut y.data, m * n, k, |member, y| {
        let (a, b) = (&a.data[at_a[member] * m * k..][..m * k], &b.data[at_b[member] * k * n..][..k * n]);
        float::multiply(a, b, y, sizes);
    });
    y
}

/// The transpose of a matrix.
pub(crate) fn transposed(a: &Tensor) -> Tensor {
    let (rows, cols) = (a.shape[0], a.shape[1]);
    let data = (0..cols).flat_map(|c| (0..rows).map(move |r| a.data[r * cols + c])).collect();
    Tensor::new(vec![cols, rows], data)
}

pub(crate) fn gemm(
    a: &Tensor,
    b: &Tensor,
    c: Option<&Tensor>,
    (alpha, beta): (f64, f64),
    (trans_a, trans_b): (bool, bool),
    shape: &[usize],
) -> Tensor {
    let flipped_a = trans_a.then(|| transposed(a));
    let a = flipped_a.as_ref().unwrap_or(a);
    let mut y = if trans_b {
        // Rows of both: dot products, without a transposed copy of the weights.
        Tensor::new(shape.to_vec(), dots(&a.data, &b.data, a.shape[1]))
    } else {
        matmul(a, b, shape)
    };
    let c = c.map(|c| c.broadcast_to(shape));
    for (i, y) in y.data.iter_mut().enumerate() {
        *y = alpha * *y + c.as_ref().map_or(0.0, |c| beta * c.data[i]);
    }
    y
}
