//! The accuracy report: the quantised model against the float model.

use crate::{
    data::{dequantise_output, quantise_input, DataError, Samples},
    eval::{evaluate, EvalError, Trace},
    graph::{Op, TensorId},
    model::QuantizedModel,
    onnx::{graph::ValueId, tensor::Tensor, ImportError, OnnxModel},
};
use rayon::prelude::*;
use serde::Serialize;
use std::{collections::HashMap, fmt};

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
    /// Outputs cut by saturation rather than by the model.
    pub saturated: u64,
    /// log2 of the largest possible over the largest seen absolute output.
    pub headroom_bits: f64,
    /// Signal to quantisation noise in dB, where the float model has this tensor.
    pub sqnr_db: Option<f64>,
}

/// One output.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// The largest absolute error.
    pub max_error: f64,
    /// The mean absolute error.
    pub mean_error: f64,
    /// Smallest float value seen.
    pub float_lo: f64,
    /// Largest float value seen.
    pub float_hi: f64,
    /// Samples whose largest element has the same index in both models; ties go to the lowest index.
    pub top1_agreement: f64,
    /// Share of elements with the same sign in both models; zero counts as positive.
    pub sign_agreement: f64,
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

/// Sums over samples; kept per sample and added in order, so the report does not depend on threads.
#[derive(Clone, Debug, Default)]
struct Tally {
    clamped: u64,
    tensors: Vec<TensorTally>,
    outputs: Vec<OutputTally>,
}

#[derive(Clone, Copy, Debug, Default)]
struct TensorTally {
    lo: i64,
    hi: i64,
    saturated: u64,
    signal: f64,
    noise: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct OutputTally {
    max: f64,
    sum: f64,
    count: u64,
    lo: f64,
    hi: f64,
    top1: u64,
    signs: u64,
    ties: u64,
}

/// Index of the largest value, the lowest on ties.
#[must_use]
pub fn argmax<T: PartialOrd + Copy>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
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
    let tallies = (0..samples.len())
        .into_par_iter()
        .map(|s| one_sample(float, model, samples, s, &matched))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(summarise(model, &tallies, &matched))
}

/// The tensor of every node, and the float value that it should equal.
fn match_nodes(float: &OnnxModel, model: &QuantizedModel) -> Vec<(TensorId, Option<ValueId>)> {
    let by_name: HashMap<&str, ValueId> = float.graph().nodes.iter().map(|n| (n.name.as_str(), n.output)).collect();
    let mut next = u32::try_from(model.graph.inputs.len()).unwrap_or(u32::MAX);
    let mut matched = Vec::new();
    for node in &model.graph.nodes {
        let elements: usize = node.output_shape().iter().map(|s| *s as usize).product();
        let value = by_name.get(node.name.as_str()).copied();
        let value = value.filter(|v| float.graph().shape(*v).iter().product::<usize>() == elements);
        matched.push((TensorId(next), value));
        next += node.num_outputs();
    }
    matched
}

#[allow(clippy::cast_precision_loss)] // statistics
fn one_sample(
    float: &OnnxModel,
    model: &QuantizedModel,
    samples: &Samples,
    index: usize,
    matched: &[(TensorId, Option<ValueId>)],
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
    let needed: std::collections::HashSet<ValueId> = matched.iter().filter_map(|m| m.1).collect();
    let outputs = float.graph().run(&samples.tensors(index), |id, tensor| {
        if needed.contains(&id) {
            wanted.insert(id, tensor.clone());
        }
    })?;
    for (n, (tensor, value)) in matched.iter().enumerate() {
        let scale = graph.nodes[n].scale.to_f64();
        let mut line = node_tally(model, n, *tensor, &trace);
        if let Some(reference) = value.and_then(|v| wanted.get(&v)) {
            for (y, x) in trace.tensors[tensor.0 as usize].iter().zip(&reference.data) {
                let error = *y as f64 * scale - x;
                line.signal += x * x;
                line.noise += error * error;
            }
        }
        tally.tensors.push(line);
    }
    for ((output, integers), reference) in graph.outputs.iter().zip(&trace.outputs).zip(&outputs) {
        let real = dequantise_output(output, integers).data;
        let mut line = OutputTally { count: real.len() as u64, ..OutputTally::default() };
        (line.lo, line.hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for (y, x) in real.iter().zip(&reference.data) {
            line.max = line.max.max((y - x).abs());
            line.sum += (y - x).abs();
            (line.lo, line.hi) = (line.lo.min(*x), line.hi.max(*x));
            line.signs += u64::from((*y < 0.0) == (*x < 0.0));
        }
        let best = argmax(integers);
        line.top1 = u64::from(best == argmax(&reference.data));
        line.ties = u64::from(integers.iter().filter(|v| Some(*v) == integers.get(best)).count() > 1);
        tally.outputs.push(line);
    }
    Ok(tally)
}

/// Range and saturation of a node's output.
fn node_tally(model: &QuantizedModel, n: usize, tensor: TensorId, trace: &Trace) -> TensorTally {
    let node = &model.graph.nodes[n];
    let values = &trace.tensors[tensor.0 as usize];
    let mut line = TensorTally { lo: i64::MAX, hi: i64::MIN, ..TensorTally::default() };
    // Saturation is where a bound that is not the model's own cuts; a ReLU's zero is the model's.
    let top = match &node.op {
        Op::Clamp { hi, .. } | Op::Max { hi, .. } => *hi,
        _ => None,
    };
    let bottom = match &node.op {
        Op::Clamp { lo, .. } | Op::Max { lo, .. } => lo.filter(|l| *l != 0),
        _ => None,
    };
    for value in values {
        line.lo = line.lo.min(*value);
        line.hi = line.hi.max(*value);
        line.saturated += u64::from(Some(*value) == top || Some(*value) == bottom);
    }
    line
}

#[allow(clippy::cast_precision_loss)] // statistics
fn summarise(model: &QuantizedModel, tallies: &[Tally], matched: &[(TensorId, Option<ValueId>)]) -> AccuracyReport {
    let infos = model.graph.tensors();
    let mut report = AccuracyReport { samples: tallies.len(), ..AccuracyReport::default() };
    report.clamped_inputs = tallies.iter().map(|t| t.clamped).sum();
    for (n, node) in model.graph.nodes.iter().enumerate() {
        let lines = || tallies.iter().map(|t| t.tensors[n]);
        let q = node.quantised_bounds();
        let (seen_lo, seen_hi) = (lines().map(|l| l.lo).min().unwrap_or(0), lines().map(|l| l.hi).max().unwrap_or(0));
        let (signal, noise): (f64, f64) = (lines().map(|l| l.signal).sum(), lines().map(|l| l.noise).sum());
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
            saturated: lines().map(|l| l.saturated).sum(),
            headroom_bits: libm::log2(magnitude(bounds.lo, bounds.hi) / magnitude(seen_lo, seen_hi)),
            sqnr_db: (signal > 0.0 && noise > 0.0).then(|| 10.0 * libm::log10(signal / noise)),
        });
    }
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    for (o, output) in model.graph.outputs.iter().enumerate() {
        let lines = || tallies.iter().map(|t| t.outputs[o]);
        let count: u64 = lines().map(|l| l.count).sum();
        report.outputs.push(OutputReport {
            name: output.name.clone(),
            max_error: lines().map(|l| l.max).fold(0.0, f64::max),
            mean_error: lines().map(|l| l.sum).sum::<f64>() / count.max(1) as f64,
            float_lo: lines().map(|l| l.lo).fold(f64::INFINITY, f64::min),
            float_hi: lines().map(|l| l.hi).fold(f64::NEG_INFINITY, f64::max),
            top1_agreement: share(lines().map(|l| l.top1).sum(), tallies.len() as u64),
            sign_agreement: share(lines().map(|l| l.signs).sum(), count),
            ties: lines().map(|l| l.ties).sum(),
        });
    }
    report
}

impl fmt::Display for AccuracyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} samples, {} input values clamped", self.samples, self.clamped_inputs)?;
        writeln!(
            f,
            "{:32} {:>9} {:>5} {:>19} {:>15} {:>9} {:>8} {:>8}",
            "node", "elements", "shift", "static", "seen", "saturated", "headroom", "SQNR"
        )?;
        for t in &self.tensors {
            let sqnr = t.sqnr_db.map_or("-".into(), |v| format!("{v:.1} dB"));
            let (range, seen) = (format!("{}..{}", t.static_lo, t.static_hi), format!("{}..{}", t.seen_lo, t.seen_hi));
            writeln!(
                f,
                "{:32} {:>9} {:>5} {:>19} {:>15} {:>9} {:>8.1} {:>8}",
                t.name, t.form_elements, t.shift, range, seen, t.saturated, t.headroom_bits, sqnr
            )?;
        }
        for o in &self.outputs {
            writeln!(
                f,
                "output {}: range {:.4}..{:.4}, max error {:.5}, mean error {:.5}, top-1 agreement {:.2} %, sign agreement {:.2} %, {} ties",
                o.name,
                o.float_lo,
                o.float_hi,
                o.max_error,
                o.mean_error,
                100.0 * o.top1_agreement,
                100.0 * o.sign_agreement,
                o.ties
            )?;
        }
        Ok(())
    }
}
