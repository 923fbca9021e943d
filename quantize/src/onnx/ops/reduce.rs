//! Reductions and softmax.

use super::elementwise::Unary;
use crate::{
    curve::Curve,
    onnx::{
        context::{axes, axis, Context, Outputs},
        element::Element,
        error::NodeProblem,
        graph::{FloatOp, ValueId},
        tensor::{for_each_address, strides, volume, Tensor},
    },
};

pub(crate) const OPS: &[&str] = &[
    "GlobalAveragePool",
    "GlobalMaxPool",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Softmax",
];

/// A product has at most so many factors: the errors of all of them add up.
const MAX_FACTORS: usize = 32;

pub(crate) fn import(c: &mut Context<'_>) -> Outputs {
    match c.node.op_type.as_str() {
        "GlobalAveragePool" => c.op(FloatOp::Reduce(Reduction::Mean, (2..c.shape(0)?.len()).collect()), 1),
        "GlobalMaxPool" => c.op(FloatOp::Reduce(Reduction::Max, (2..c.shape(0)?.len()).collect()), 1),
        "Softmax" => import_softmax(c),
        _ => import_reduction(c),
    }
}

fn import_reduction(c: &mut Context<'_>) -> Outputs {
    let shape = c.shape(0)?;
    let list = c.ints("axes", 1)?.unwrap_or_default();
    let axes = match list.as_slice() {
        [] if c.attributes.flag("noop_with_empty_axes") => vec![],
        [] => (0..shape.len()).collect(),
        list => axes(list, shape.len())?,
    };
    let x = c.input(0)?;
    let y = reduce(c, x, &axes)?;
    if c.attributes.int("keepdims").unwrap_or(1) != 0 {
        return Ok(vec![y]);
    }
    Ok(vec![c.reshape(y, (0..shape.len()).filter(|d| !axes.contains(d)).map(|d| shape[d]).collect())?])
}

/// The reduction that the node names; reduced axes stay with size 1. Without axes, what happens to each element.
fn reduce(c: &mut Context<'_>, x: ValueId, axes: &[usize]) -> Result<ValueId, NodeProblem> {
    let element = c.element(0);
    let whole = element.is_integer() || element == Element::BOOL;
    let op = c.node.op_type.as_str();
    if whole && matches!(op, "ReduceMean" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp") {
        return Err(NodeProblem::Variant("a mean, root or logarithm of integers"));
    }
    if whole && axes.iter().any(|d| c.shape_of(x)[*d] == 0) {
        return Err(NodeProblem::Variant("a reduction of no integers"));
    }
    if element.wraps() && !matches!(op, "ReduceMax" | "ReduceMin") {
        return Err(NodeProblem::Variant("arithmetic of integers of 8 or 16 bits, which wraps"));
    }
    match op {
        "ReduceMean" => over(c, x, Reduction::Mean, axes),
        "ReduceSum" => over(c, x, Reduction::Sum, axes),
        "ReduceMax" => over(c, x, Reduction::Max, axes),
        "ReduceMin" => {
            let negative = c.unary(Unary::Neg, x)?;
            let largest = over(c, negative, Reduction::Max, axes)?;
            c.unary(Unary::Neg, largest)
        }
        "ReduceL1" => {
            let size = c.unary(Unary::Abs, x)?;
            over(c, size, Reduction::Sum, axes)
        }
        "ReduceSumSquare" | "ReduceL2" => {
            let square = c.mul(x, x)?;
            let sum = over(c, square, Reduction::Sum, axes)?;
            if op == "ReduceL2" {
                c.unary(Unary::Curve(Curve::Sqrt), sum)
            } else {
                Ok(sum)
            }
        }
        "ReduceLogSum" => {
            let sum = over(c, x, Reduction::Sum, axes)?;
            c.unary(Unary::Curve(Curve::Log), sum)
        }
        "ReduceLogSumExp" => log_sum_exp(c, x, axes),
        _ => product(c, x, axes),
    }
}

fn over(c: &mut Context<'_>, x: ValueId, how: Reduction, axes: &[usize]) -> Result<ValueId, NodeProblem> {
    if axes.is_empty() {
        Ok(x)
    } else {
        c.reduce(x, how, axes)
    }
}

/// `m + ln Σ e^(x − m)` with the maximum m.
fn log_sum_exp(c: &mut Context<'_>, x: ValueId, axes: &[usize]) -> Result<ValueId, NodeProblem> {
    let shape = c.shape_of(x);
    if axes.iter().all(|d| shape[*d] == 1) {
        return Ok(x);
    }
    let largest = c.reduce(x, Reduction::Max, axes)?;
    let difference = c.sub(x, largest)?;
    let exponential = c.unary(Unary::Exp, difference)?;
    let sum = c.reduce(exponential, Reduction::Sum, axes)?;
    let logarithm = c.unary(Unary::Curve(Curve::Log), sum)?;
    c.add(logarithm, largest)
}

/// A product of pairs, of pairs of pairs, and so on; every factor has a range of its own.
fn product(c: &mut Context<'_>, x: ValueId, axes: &[usize]) -> Result<ValueId, NodeProblem> {
    let shape = c.shape_of(x);
    let kept: Vec<usize> = (0..shape.len()).filter(|d| !axes.contains(d)).collect();
    let count: usize = axes.iter().map(|d| shape[*d]).product();
    let reduced: Vec<usize> = (0..shape.len()).map(|d| if axes.contains(&d) { 1 } else { shape[d] }).collect();
    if count == 0 {
        return Ok(c.tensor(Tensor::new(reduced.clone(), vec![1.0; volume(&reduced)])));
    }
    if count > MAX_FACTORS {
        return Err(NodeProblem::Variant("a product of more than 32 elements"));
    }
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let x = c.transpose(x, &order)?;
    let last = kept.len();
    let x = c.reshape(x, kept.iter().map(|d| shape[*d]).chain([count]).collect())?;
    let mut factors = (0..count).map(|i| c.slice(x, last, (i, 1, 1))).collect::<Result<Vec<_>, _>>()?;
    while factors.len() > 1 {
        factors = factors
            .chunks(2)
            .map(|pair| match pair {
                [a, b] => c.mul(*a, *b),
                rest => Ok(rest[0]),
            })
            .collect::<Result<_, _>>()?;
    }
    c.reshape(factors[0], reduced)
}

fn import_softmax(c: &mut Context<'_>) -> Outputs {
    let x = c.input(0)?;
    let default = if c.opset >= 13 { -1 } else { 1 };
    let given = c.attributes.int("axis").unwrap_or(default);
    Ok(vec![softmax_over(c, x, given, c.opset)?])
}

/// A softmax along an axis, as the operator set of this number has it.
pub(super) fn softmax_over(c: &mut Context<'_>, x: ValueId, given: i64, opset: i64) -> Result<ValueId, NodeProblem> {
    let shape = c.shape_of(x);
    if opset >= 13 {
        return c.push(FloatOp::Softmax(axis(given, shape.len(), "axis")?), &[x]);
    }
    // Before operator set 13 the input counts as a matrix.
    let axis =
        if given == i64::try_from(shape.len()).unwrap_or(-1) { shape.len() } else { axis(given, shape.len(), "axis")? };
    let matrix = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
    let x = c.reshape(x, matrix)?;
    let y = c.push(FloatOp::Softmax(1), &[x])?;
    c.reshape(y, shape)
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
