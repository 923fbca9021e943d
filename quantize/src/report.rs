//! The accuracy report: the quantised model against the float model.

mod ranks;
mod tally;
mod text;

pub use ranks::argmax;

use crate::{
    data::{quantise_input, DataError, Samples},
    eval::{evaluate, EvalError},
    graph::TensorId,
    model::QuantizedModel,
    onnx::{graph::ValueId, tensor::Tensor, ImportError, OnnxModel},
    progress::Stage,
};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use tally::{Against, OutputTally, Tally};

/// With more float values of a node's name and size than this, none is taken for its own.
const MOST_CANDIDATES: usize = 8;

/// The quantised model against the float model, on samples.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccuracyReport {
    /// Number of samples.
    pub samples: usize,
    /// Input values outside of their declared interval, of all samples.
    pub clamped_inputs: u64,
    /// One line per node of the integer graph.
    pub tensors: Vec<TensorReport>,
    /// One line per output.
    pub outputs: Vec<OutputReport>,
}

/// One node of the integer graph.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TensorReport {
    /// The ONNX node that it computes, or a part of one.
    pub name: String,
    /// Elements of its form: what a proof pays for.
    pub form_elements: u64,
    /// Its shift.
    pub shift: u8,
    /// Static interval of the requantised form.
    pub static_lo: i64,
    /// Static interval of the requantised form.
    pub static_hi: i64,
    /// The smallest output seen.
    pub seen_lo: i64,
    /// The largest output seen.
    pub seen_hi: i64,
    /// Values cut by saturation rather than by the model.
    pub saturated: u64,
    /// The share of values that they are.
    pub saturated_share: f64,
    /// log2 of the largest possible over the largest seen absolute output.
    pub headroom_bits: f64,
    /// Signal to quantisation noise in dB, where the float model has this tensor.
    pub sqnr_db: Option<f64>,
    /// Root of the mean squared error, in real units, where the float model has this tensor.
    pub rms_error: Option<f64>,
}

/// One output.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Whether it holds integers (labels): agreement is then equality of all its elements.
    pub integer: bool,
    /// Its number of elements.
    pub elements: u64,
    /// The largest absolute error.
    pub max_error: f64,
    /// The mean absolute error.
    pub mean_error: f64,
    /// The largest error as a share of the range of the float values seen.
    pub error_share: f64,
    /// Smallest float value seen.
    pub float_lo: f64,
    /// Largest float value seen.
    pub float_hi: f64,
    /// Samples whose largest element has the same index in both models; ties go to the lowest index.
    pub top1_agreement: f64,
    /// Samples where it has another index.
    pub argmax_disagreements: u64,
    /// How many of the five largest elements are the same, for outputs with more.
    pub top5_agreement: Option<f64>,
    /// Share of elements with the same sign in both models; zero counts as positive.
    pub sign_agreement: f64,
    /// Elements with another sign.
    pub sign_disagreements: u64,
    /// Spearman's rank correlation with the float model: of the elements, as a mean over samples; of an output with one
    /// element, over the samples.
    pub rank_correlation: Option<f64>,
    /// Samples whose largest integer stands more than once.
    pub ties: u64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The float model does not run.
    #[error(transparent)]
    Float(#[from] ImportError),
    /// The samples do not fit.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The integer model does not run.
    #[error(transparent)]
    Integer(#[from] EvalError),
    /// The two models are not of one another.
    #[error("the quantised model has other inputs or outputs than the float model")]
    OtherModel,
}

/// Compares the quantised model with the float model on samples.
///
/// # Errors
/// [`ReportError`] when samples and models do not belong together.
pub fn accuracy(float: &OnnxModel, model: &QuantizedModel, samples: &Samples) -> Result<AccuracyReport, ReportError> {
    let graph = &model.graph;
    let same = float.outputs().len() == graph.outputs.len() && samples.specs().len() == graph.inputs.len();
    if !same || float.outputs().iter().zip(&graph.outputs).any(|(a, b)| a.name != b.name) {
        return Err(ReportError::OtherModel);
    }
    let matched = match_nodes(float, model);
    let stage = Stage::new("measuring accuracy", samples.len());
    let tallies = (0..samples.len())
        .into_par_iter()
        .map(|s| one_sample(float, model, samples, s, &matched).inspect(|_| stage.step()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(summarise(float, model, &tallies, &matched))
}

/// A node's tensor, and the float values that it may be: those of its name and size.
type Matched = (TensorId, Vec<ValueId>);

fn match_nodes(float: &OnnxModel, model: &QuantizedModel) -> Vec<Matched> {
    let mut by_name: HashMap<&str, Vec<ValueId>> = HashMap::new();
    for node in &float.graph().nodes {
        by_name.entry(node.name.as_str()).or_default().push(node.output);
    }
    let mut next = u32::try_from(model.graph.inputs.len()).unwrap_or(u32::MAX);
    let mut matched = Vec::new();
    for node in &model.graph.nodes {
        let elements: usize = node.output_shape().iter().map(|s| *s as usize).product();
        let mut values = by_name.get(node.name.as_str()).cloned().unwrap_or_default();
        values.retain(|v| float.graph().shape(*v).iter().product::<usize>() == elements);
        if values.len() > MOST_CANDIDATES {
            values.clear();
        }
        matched.push((TensorId(next), values));
        next += node.num_outputs();
    }
    matched
}

fn one_sample(
    float: &OnnxModel,
    model: &QuantizedModel,
    samples: &Samples,
    index: usize,
    matched: &[Matched],
) -> Result<Tally, ReportError> {
    let graph = &model.graph;
    let mut tally = Tally::default();
    let mut integers = Vec::new();
    for (input, values) in graph.inputs.iter().zip(samples.sample(index)) {
        let quantised = quantise_input(input, values)?;
        tally.clamped += quantised.clamped as u64;
        integers.push(quantised.values);
    }
    let trace = evaluate(model, &integers)?;
    let mut wanted: HashMap<ValueId, Tensor> = HashMap::new();
    let needed: HashSet<ValueId> = matched.iter().flat_map(|m| &m.1).copied().collect();
    let outputs = float.graph().run(&samples.tensors(index), |id, tensor| {
        if needed.contains(&id) {
            wanted.insert(id, tensor.clone());
        }
    })?;
    for (n, (tensor, values)) in matched.iter().enumerate() {
        let references: Vec<Option<&Tensor>> = values.iter().map(|v| wanted.get(v)).collect();
        tally.tensors.push(tally::tensor(model, n, *tensor, &trace, &references));
    }
    for ((output, integers), reference) in graph.outputs.iter().zip(&trace.outputs).zip(&outputs) {
        tally.outputs.push(tally::output(output, integers, reference));
    }
    Ok(tally)
}

fn share(part: u64, all: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // statistics
    let share = part as f64 / all.max(1) as f64;
    share
}

#[allow(clippy::cast_precision_loss)] // statistics
fn summarise(float: &OnnxModel, model: &QuantizedModel, tallies: &[Tally], matched: &[Matched]) -> AccuracyReport {
    let infos = model.graph.tensors();
    let mut report = AccuracyReport { samples: tallies.len(), ..AccuracyReport::default() };
    report.clamped_inputs = tallies.iter().map(|t| t.clamped).sum();
    for (n, node) in model.graph.nodes.iter().enumerate() {
        let lines = || tallies.iter().map(|t| &t.tensors[n]);
        let q = node.quantised_bounds();
        let (seen_lo, seen_hi) = (lines().map(|l| l.lo).min().unwrap_or(0), lines().map(|l| l.hi).max().unwrap_or(0));
        // Of several float values of this name, the one that the node is closest to.
        let sum = |c: usize| {
            lines().filter_map(|l| l.against.get(c)).fold(Against::default(), |a, b| Against {
                saturated: a.saturated + b.saturated,
                signal: a.signal + b.signal,
                noise: a.noise + b.noise,
            })
        };
        let against = (0..matched[n].1.len().max(1)).map(sum).min_by(|a, b| a.noise.total_cmp(&b.noise));
        let Against { saturated, signal, noise } = against.unwrap_or_default();
        let bounds = infos[matched[n].0 .0 as usize].bounds;
        let magnitude = |lo: i64, hi: i64| lo.unsigned_abs().max(hi.unsigned_abs()).max(1) as f64;
        report.tensors.push(TensorReport {
            name: node.name.clone(),
            form_elements: node.form.len() as u64,
            shift: node.shift,
            static_lo: q.lo,
            static_hi: q.hi,
            seen_lo,
            seen_hi,
            saturated,
            saturated_share: share(saturated, lines().map(|l| l.count).sum()),
            headroom_bits: libm::log2(magnitude(bounds.lo, bounds.hi) / magnitude(seen_lo, seen_hi)),
            rms_error: (!matched[n].1.is_empty())
                .then(|| libm::sqrt(noise / lines().map(|l| l.count).sum::<u64>().max(1) as f64)),
            sqnr_db: (signal > 0.0 && noise > 0.0).then(|| 10.0 * libm::log10(signal / noise)),
        });
    }
    for (o, output) in model.graph.outputs.iter().enumerate() {
        let integer = float.graph().outputs.get(o).is_some_and(|(_, id)| float.graph().values[id.0].integer);
        let lines: Vec<&OutputTally> = tallies.iter().map(|t| &t.outputs[o]).collect();
        report.outputs.push(summarise_output(&output.name, integer, &lines));
    }
    report
}

#[allow(clippy::cast_precision_loss)] // statistics
fn summarise_output(name: &str, integer: bool, lines: &[&OutputTally]) -> OutputReport {
    let samples = lines.len() as u64;
    let count: u64 = lines.iter().map(|l| l.count).sum();
    let (top1, signs): (u64, u64) = (lines.iter().map(|l| l.top1).sum(), lines.iter().map(|l| l.signs).sum());
    let max_error = lines.iter().map(|l| l.max).fold(0.0, f64::max);
    let float_lo = lines.iter().map(|l| l.lo).fold(f64::INFINITY, f64::min);
    let float_hi = lines.iter().map(|l| l.hi).fold(f64::NEG_INFINITY, f64::max);
    let common: Vec<u64> = lines.iter().filter_map(|l| l.top5).map(|c| c as u64).collect();
    let (integers, reals): (Vec<f64>, Vec<f64>) = lines.iter().filter_map(|l| l.single).unzip();
    let within: Vec<f64> = lines.iter().filter_map(|l| l.correlation).collect();
    OutputReport {
        name: name.to_owned(),
        integer,
        elements: count / samples.max(1),
        max_error,
        mean_error: lines.iter().map(|l| l.sum).sum::<f64>() / count.max(1) as f64,
        error_share: if max_error > 0.0 { max_error / (float_hi - float_lo) } else { 0.0 },
        float_lo,
        float_hi,
        top1_agreement: share(top1, samples),
        argmax_disagreements: samples - top1,
        top5_agreement: (!common.is_empty()).then(|| share(common.iter().sum(), 5 * common.len() as u64)),
        sign_agreement: share(signs, count),
        sign_disagreements: count - signs,
        rank_correlation: match within.as_slice() {
            [] => ranks::spearman(&integers, &reals),
            within => Some(within.iter().sum::<f64>() / within.len() as f64),
        },
        ties: lines.iter().map(|l| l.ties).sum(),
    }
}
