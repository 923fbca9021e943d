//! Reductions and softmax.

use crate::onnx::{
    context::{axes, axis, Context, Outputs},
    graph::FloatOp,
    tensor::{for_each_address, strides, volume, Tensor},
};

pub(crate) const OPS: &[&str] =
    &["GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean", "ReduceSum", "Softmax"];

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "GlobalAveragePool" => c.op(FloatOp::Reduce(Reduction::Mean, (2..c.shape(0)?.len()).collect()), 1),
        "GlobalMaxPool" => c.op(FloatOp::Reduce(Reduction::Max, (2..c.shape(0)?.len()).collect()), 1),
        "ReduceMean" => reduce(c, Reduction::Mean),
        "ReduceSum" => reduce(c, Reduction::Sum),
        "ReduceMax" => reduce(c, Reduction::Max),
        _ => import_softmax(c),
    }
}

fn reduce(c: &mut Context<'_>, reduction: Reduction) -> Outputs {
    let shape = c.shape(0)?;
    let list = c.ints("axes", 1)?.unwrap_or_default();
    let x = c.input(0)?;
    if list.is_empty() && c.attributes.flag("noop_with_empty_axes") {
        return Ok(vec![x]);
    }
    let axes = if list.is_empty() { (0..shape.len()).collect() } else { axes(&list, shape.len())? };
    let keep = c.attributes.int("keepdims").unwrap_or(1) != 0;
    let reduced = c.reduce(x, reduction, &axes)?;
    if keep {
        return Ok(vec![reduced]);
    }
    Ok(vec![c.reshape(reduced, (0..shape.len()).filter(|d| !axes.contains(d)).map(|d| shape[d]).collect())?])
}

fn import_softmax(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let default = if c.opset >= 13 { -1 } else { 1 };
    let given = c.attributes.int("axis").unwrap_or(default);
    if c.opset >= 13 {
        return c.op(FloatOp::Softmax(axis(given, shape.len(), "axis")?), 1);
    }
    // Before operator set 13 the input counts as a matrix.
    let axis =
        if given == i64::try_from(shape.len()).unwrap_or(-1) { shape.len() } else { axis(given, shape.len(), "axis")? };
    let matrix = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
    let x = c.input(0)?;
    let x = c.reshape(x, matrix)?;
    let y = c.push(FloatOp::Softmax(1), &[x])?;
    Ok(vec![c.reshape(y, shape)?])
}

/// How elements are reduced to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest.
    Max,
}

impl Reduction {
    pub(crate) fn evaluate(self, x: &Tensor, axes: &[usize], shape: &[usize]) -> Tensor {
        let own = strides(&x.shape);
        let kept: Vec<usize> = (0..x.shape.len()).map(|d| if axes.contains(&d) { 0 } else { own[d] }).collect();
        let reduced: Vec<usize> = axes.iter().map(|d| x.shape[*d]).collect();
        let steps: Vec<usize> = axes.iter().map(|d| own[*d]).collect();
        let mut inner = Vec::with_capacity(volume(&reduced));
        for_each_address(&reduced, &steps, |a| inner.push(a));
        let mut data = Vec::with_capacity(volume(shape));
        for_each_address(shape, &kept, |base| {
            let values = inner.iter().map(|i| x.data[base + i]);
            #[allow(clippy::cast_precision_loss)] // far below 2^53
            data.push(match self {
                Self::Sum => values.sum(),
                Self::Mean => values.sum::<f64>() / inner.len() as f64,
                Self::Max => values.fold(f64::NEG_INFINITY, f64::max),
            });
        });
        Tensor::new(shape.to_vec(), data)
    }
}

pub(crate) fn softmax(x: &Tensor, axis: usize) -> Tensor {
    let (outer, inner) = (volume(&x.shape[..axis]), volume(&x.shape[axis + 1..]));
    let length = x.shape[axis];
    let mut y = Tensor::zeros(&x.shape);
    for o in 0..outer {
        for i in 0..inner {
            let at = |k: usize| (o * length + k) * inner + i;
            let max = (0..length).map(|k| x.data[at(k)]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..length).map(|k| libm::exp(x.data[at(k)] - max)).sum();
            for k in 0..length {
                y.data[at(k)] = libm::exp(x.data[at(k)] - max) / sum;
            }
        }
    }
    y
}
