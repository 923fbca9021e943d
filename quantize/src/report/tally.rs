//! What one sample adds to the report.

use super::ranks::{argmax, common_largest, spearman};
use crate::{
    data::dequantise_output,
    eval::Trace,
    graph::{round_shift, Op, Output, TensorId},
    model::QuantizedModel,
    onnx::tensor::Tensor,
};

/// Counts of one sample, or of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) clamped: u64,
    pub(super) tensors: Vec<TensorTally>,
    pub(super) outputs: Vec<OutputTally>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TensorTally {
    pub(super) lo: i64,
    pub(super) hi: i64,
    pub(super) count: u64,
    /// Against each float value that this node may compute.
    pub(super) against: Vec<Against>,
}

/// A node's output against a float value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Against {
    pub(super) saturated: u64,
    pub(super) signal: f64,
    pub(super) noise: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct OutputTally {
    pub(super) max: f64,
    pub(super) sum: f64,
    pub(super) count: u64,
    pub(super) lo: f64,
    pub(super) hi: f64,
    pub(super) top1: u64,
    /// How many of the five largest are common; of outputs with more elements.
    pub(super) top5: Option<usize>,
    pub(super) signs: u64,
    pub(super) ties: u64,
    pub(super) correlation: Option<f64>,
    /// Both values, of outputs with one element.
    pub(super) single: Option<(f64, f64)>,
}

/// The clamps of a node that saturation may come from: below and above, in its output's integers.
fn ends(op: &Op) -> (Option<i64>, Option<i64>) {
    match op {
        Op::Clamp { lo, hi, .. } | Op::Max { lo, hi, .. } => (*lo, *hi),
        _ => (None, None),
    }
}

/// The output of node `n` against the float values that it may be.
#[allow(clippy::cast_precision_loss)] // statistics
pub(super) fn tensor(
    model: &QuantizedModel,
    n: usize,
    tensor: TensorId,
    trace: &Trace,
    references: &[Option<&Tensor>],
) -> TensorTally {
    let node = &model.graph.nodes[n];
    let values = &trace.tensors[tensor.0 as usize];
    let scale = node.scale.to_f64();
    let (lo, hi) = values.iter().fold((i64::MAX, i64::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    let mut tally = TensorTally { lo, hi, count: values.len() as u64, against: Vec::new() };
    let (bottom, top) = ends(&node.op);
    // The arguments that a table cuts.
    let table = match &node.op {
        Op::Table { table } => model.graph.tables.get(*table as usize),
        _ => None,
    };
    let is_cut = |e: usize| {
        table.zip(trace.forms.get(n).and_then(|f| f.get(e))).is_some_and(|(table, form)| {
            let q = round_shift(*form, node.shift);
            q < table.lo || q > table.hi()
        })
    };
    if references.is_empty() {
        // Nothing to compare with: a wide clamp is taken for saturation, a narrow one for the model's own.
        let cut = |v: &i64| top.is_some_and(|t| t >= 15 && *v == t) || bottom.is_some_and(|b| b != 0 && *v == b);
        let saturated = values.iter().filter(|v| cut(v)).count() as u64;
        tally.against.push(Against { saturated, ..Against::default() });
    }
    for reference in references {
        let mut line = Against::default();
        for (e, (y, x)) in values.iter().zip(reference.iter().flat_map(|r| &r.data)).enumerate() {
            let error = *y as f64 * scale - x;
            line.signal += x * x;
            line.noise += error * error;
            // Cut, and the float model's value lies beyond.
            let over = Some(*y) == top && error < -scale;
            let under = Some(*y) == bottom && error > scale;
            line.saturated += u64::from(over || under || (error.abs() > scale && is_cut(e)));
        }
        tally.against.push(line);
    }
    tally
}

/// One output against the float model's.
#[allow(clippy::cast_precision_loss)] // statistics
pub(super) fn output(output: &Output, integers: &[i64], reference: &Tensor) -> OutputTally {
    let real = dequantise_output(output, integers).data;
    let mut line = OutputTally { count: real.len() as u64, ..OutputTally::default() };
    (line.lo, line.hi) = (f64::INFINITY, f64::NEG_INFINITY);
    for (y, x) in real.iter().zip(&reference.data) {
        line.max = line.max.max((y - x).abs());
        line.sum += (y - x).abs();
        (line.lo, line.hi) = (line.lo.min(*x), line.hi.max(*x));
        line.signs += u64::from((*y < 0.0) == (*x < 0.0));
    }
    if reference.integer {
        // Labels: equal, or not.
        line.top1 = u64::from(real == reference.data);
        return line;
    }
    let best = argmax(integers);
    line.top1 = u64::from(best == argmax(&reference.data));
    line.ties = u64::from(integers.iter().filter(|v| Some(*v) == integers.get(best)).count() > 1);
    match (real.as_slice(), reference.data.as_slice()) {
        ([y], [x]) => line.single = Some((*y, *x)),
        (y, x) => line.correlation = spearman(y, x),
    }
    line.top5 = (integers.len() > 5).then(|| common_largest(integers, &reference.data, 5));
    line
}
