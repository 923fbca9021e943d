//! What the values of a model are on samples: a histogram for every layer, what is clamped, and how far the float model is.

use super::layers::Kind;
use rayon::prelude::*;
use serde::Serialize;
use zkonnx_quantize::{
    data::{quantise_inputs, DataError, Samples},
    eval::{evaluate, EvalError, Trace},
    graph::{round_shift, Graph, Op},
    model::QuantizedModel,
    onnx::OnnxModel,
    report::{accuracy, AccuracyReport, ReportError},
};

/// Bars of a histogram.
pub const BINS: usize = 48;

/// Why there is no accuracy report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccuracyError {
    /// The samples do not fit.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model refuses them.
    #[error(transparent)]
    Evaluate(#[from] EvalError),
    /// The float model does not go with the quantised one, or does not run.
    #[error(transparent)]
    Float(#[from] ReportError),
}

/// Values of a model on samples.
#[derive(Clone, Debug, Serialize)]
pub struct Accuracy {
    /// How many samples.
    pub samples: usize,
    /// Input values outside of their declared interval: they are clamped to it.
    pub clamped_inputs: usize,
    /// One for every layer.
    pub layers: Vec<Values>,
    /// Against the float model, where there is one.
    pub against: Option<AccuracyReport>,
}

/// Values of one layer's output, in real units.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Values {
    /// How many.
    pub count: u64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// Values at the operator's lower bound, as a share; of a table, arguments below its first. Zeros of a ReLU are among them.
    pub at_low: f64,
    /// Values at the operator's upper bound, as a share; of a table, arguments above its last.
    pub at_high: f64,
    /// Counts of [`BINS`] parts from the smallest value to the largest; one where all are equal.
    pub histogram: Vec<u64>,
}

/// Sums over integers of one layer.
#[derive(Clone, Copy, Debug)]
struct Tally {
    count: u64,
    low: i64,
    high: i64,
    sum: f64,
    squares: f64,
    at_low: u64,
    at_high: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { count: 0, low: i64::MAX, high: i64::MIN, sum: 0.0, squares: 0.0, at_low: 0, at_high: 0 }
    }
}

impl Tally {
    #[allow(clippy::cast_precision_loss)] // statistics
    fn add(&mut self, values: &[i64], bounds: (u64, u64)) {
        for value in values {
            self.low = self.low.min(*value);
            self.high = self.high.max(*value);
            self.sum += *value as f64;
            self.squares += *value as f64 * *value as f64;
        }
        self.count += values.len() as u64;
        self.at_low += bounds.0;
        self.at_high += bounds.1;
    }

    fn merge(mut self, other: &Self) -> Self {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.at_low += other.at_low;
        self.at_high += other.at_high;
        self
    }
}

/// The values of every layer of a trace, with its number of the graph's nodes where it is one.
fn values<'a>(graph: &'a Graph, trace: &'a Trace) -> impl Iterator<Item = (Kind, usize, &'a [i64])> {
    let inputs = graph.inputs.len();
    let mut next = inputs;
    let nodes = graph.nodes.iter().enumerate().map(move |(n, node)| {
        let tensor = next;
        next += node.num_outputs() as usize;
        (Kind::Node, n, trace.tensors.get(tensor).map_or(&[][..], Vec::as_slice))
    });
    let own = trace.tensors.iter().take(inputs).enumerate().map(|(i, v)| (Kind::Input, i, v.as_slice()));
    own.chain(nodes).chain(trace.outputs.iter().enumerate().map(|(o, v)| (Kind::Output, o, v.as_slice())))
}

/// How many values of a node are at the bounds of its operator.
fn at_bounds(graph: &Graph, trace: &Trace, node: usize, values: &[i64]) -> (u64, u64) {
    let count = |values: &mut dyn Iterator<Item = i64>, lo: Option<i64>, hi: Option<i64>| {
        values.fold((0, 0), |(low, high), v| {
            (low + u64::from(lo.is_some_and(|lo| v <= lo)), high + u64::from(hi.is_some_and(|hi| v >= hi)))
        })
    };
    let node_of = &graph.nodes[node];
    match &node_of.op {
        Op::Clamp { lo, hi, .. } | Op::Max { lo, hi, .. } => count(&mut values.iter().copied(), *lo, *hi),
        Op::Table { table } => {
            let Some(table) = graph.tables.get(*table as usize) else { return (0, 0) };
            let forms = trace.forms.get(node).into_iter().flatten();
            let mut arguments = forms.map(|a| round_shift(*a, node_of.shift));
            count(&mut arguments, Some(table.lo - 1), Some(table.hi() + 1))
        }
        Op::Div { .. } | Op::OneHot { .. } => (0, 0),
    }
}

/// The integers of a sample, and how many values were clamped.
fn integers(graph: &Graph, samples: &Samples, index: usize) -> Result<(Vec<Vec<i64>>, usize), AccuracyError> {
    let mut all = Vec::new();
    let mut clamped = 0;
    for quantised in quantise_inputs(graph, &samples.sample(index))? {
        clamped += quantised.clamped;
        all.push(quantised.values);
    }
    Ok((all, clamped))
}

/// Evaluates the model on all samples, and compares it with the float model where there is one.
///
/// # Errors
/// [`AccuracyError`] when samples and models do not belong together.
pub fn measure(
    model: &QuantizedModel,
    samples: &Samples,
    float: Option<&OnnxModel>,
) -> Result<Accuracy, AccuracyError> {
    let graph = &model.graph;
    let num_layers = graph.inputs.len() + graph.nodes.len() + graph.outputs.len();
    let tally = |index: usize| -> Result<(usize, Vec<Tally>), AccuracyError> {
        let (inputs, clamped) = integers(graph, samples, index)?;
        let trace = evaluate(model, &inputs)?;
        let tallies = values(graph, &trace).map(|(kind, number, values)| {
            let bounds = if kind == Kind::Node { at_bounds(graph, &trace, number, values) } else { (0, 0) };
            let mut tally = Tally::default();
            tally.add(values, bounds);
            tally
        });
        Ok((clamped, tallies.collect()))
    };
    // In order, so that sums of floats are the same every time.
    let parts = (0..samples.len()).into_par_iter().map(tally).collect::<Result<Vec<_>, _>>()?;
    let tallies = parts.iter().fold(vec![Tally::default(); num_layers], |sums, (_, part)| {
        sums.into_iter().zip(part).map(|(sum, part)| sum.merge(part)).collect()
    });
    let bins = |index: usize| -> Result<Vec<Vec<u64>>, AccuracyError> {
        let trace = evaluate(model, &integers(graph, samples, index)?.0)?;
        Ok(values(graph, &trace).zip(&tallies).map(|((_, _, values), tally)| histogram(values, tally)).collect())
    };
    let empty = || vec![Vec::new(); num_layers];
    let histograms = (0..samples.len())
        .into_par_iter()
        .map(bins)
        .try_reduce(empty, |a, b| Ok(a.into_iter().zip(b).map(|(a, b)| add(a, b)).collect()))?;
    let layers = tallies.iter().zip(histograms).zip(scales(graph)).map(|((t, h), scale)| summarise(t, h, scale));
    Ok(Accuracy {
        samples: samples.len(),
        clamped_inputs: parts.iter().map(|(clamped, _)| clamped).sum(),
        layers: layers.collect(),
        against: float.map(|float| accuracy(float, model, samples)).transpose()?,
    })
}

/// The unit of every layer.
fn scales(graph: &Graph) -> impl Iterator<Item = f64> + '_ {
    let inputs = graph.inputs.iter().map(|i| i.scale);
    let nodes = graph.nodes.iter().map(|n| n.scale);
    inputs.chain(nodes).chain(graph.outputs.iter().map(|o| o.scale)).map(zkonnx_quantize::scale::Scale::to_f64)
}

fn add(a: Vec<u64>, b: Vec<u64>) -> Vec<u64> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.into_iter().zip(b).map(|(a, b)| a + b).collect(),
    }
}

/// Counts in equal parts of the interval that was seen; never more parts than integers.
fn histogram(values: &[i64], tally: &Tally) -> Vec<u64> {
    let span = i128::from(tally.high) - i128::from(tally.low) + 1;
    if span <= 0 {
        return Vec::new();
    }
    let parts = span.min(BINS as i128);
    let mut bins = vec![0; usize::try_from(parts).unwrap_or(BINS)];
    for value in values {
        let at = (i128::from(*value) - i128::from(tally.low)) * parts / span;
        if let Some(bin) = usize::try_from(at).ok().and_then(|at| bins.get_mut(at)) {
            *bin += 1;
        }
    }
    bins
}

#[allow(clippy::cast_precision_loss)] // statistics
fn summarise(tally: &Tally, histogram: Vec<u64>, scale: f64) -> Values {
    if tally.count == 0 {
        return Values::default();
    }
    let count = tally.count as f64;
    let mean = tally.sum / count;
    Values {
        count: tally.count,
        low: tally.low as f64 * scale,
        high: tally.high as f64 * scale,
        mean: mean * scale,
        deviation: (tally.squares / count - mean * mean).max(0.0).sqrt() * scale,
        at_low: tally.at_low as f64 / count,
        at_high: tally.at_high as f64 / count,
        histogram,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let values = [-5, -5, 0, 3, 200, 1000];
        let mut tally = Tally::default();
        tally.add(&values, (2, 0));
        let bins = histogram(&values, &tally);
        assert_eq!((bins.len(), bins.iter().sum::<u64>()), (BINS, 6));
        assert_eq!((bins[0], bins[BINS - 1]), (4, 1));
        let values = summarise(&tally, bins, 0.5);
        assert_eq!((values.low, values.high, values.at_low), (-2.5, 500.0, 2.0 / 6.0));
    }

    #[test]
    fn values_that_are_all_equal_have_one_bar() {
        let mut tally = Tally::default();
        tally.add(&[7; 4], (0, 0));
        assert_eq!(histogram(&[7; 4], &tally), [4]);
        assert!(summarise(&tally, vec![4], 1.0).deviation.abs() < 1e-9);
    }
}
