//! Proving some times, for the times of stages and layers.

use super::stages::{stages, Stage};
use crate::{
    bench::{measure_with_spans, BenchError, Environment, Setup, Spread},
    error::ProveError,
    spans::SpanTime,
};
use serde::Serialize;
use std::time::Instant;
use zkonnx_quantize::eval::evaluate_with;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// The machine and the program.
    pub environment: Environment,
    /// Threads.
    pub threads: usize,
    /// Whether inputs were made up.
    pub made_up: bool,
    /// The model's identity.
    pub model_id: String,
    /// Seconds of proving, over all runs.
    pub prove: Spread,
    /// Seconds of verifying, over all runs.
    pub verify: Spread,
    /// Keys, and the stages of the run that took the median time, its verification among them.
    pub stages: Vec<Stage>,
    /// Seconds of evaluating each node: medians.
    pub evaluate: Vec<f64>,
    /// Bytes of the statement.
    pub statement: usize,
    /// Bytes of the proof.
    pub proof: usize,
    /// Peak of the whole process while keys were made.
    pub prepare_peak: Option<u64>,
    /// The same while proving.
    pub prove_peak: Option<u64>,
}

impl Measured {
    /// Seconds of the run that is shown.
    #[must_use]
    pub fn shown(&self) -> f64 {
        self.stages.iter().find(|stage| stage.name == "prove").map_or(self.prove.median, |stage| stage.seconds)
    }
}

/// Proves and verifies `setup.runs` times.
///
/// # Errors
/// [`BenchError`] when something fails: then nothing was measured.
pub fn measure(setup: &Setup) -> Result<Measured, BenchError> {
    let (measurement, spans) = measure_with_spans(setup)?;
    let spread = |name: &str| measurement.stages.get(name).copied().unwrap_or_else(|| Spread::of(&[]));
    let (prove, verify) = (spread("prove"), spread("verify"));
    let time = |run: &[SpanTime]| run.iter().find(|s| s.path == ["prove"]).map_or(0.0, |s| s.time.as_secs_f64());
    let distance = |run: &&Vec<SpanTime>| (time(run) - prove.median).abs();
    let median = spans.runs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let mut shown = spans.keys.last().map_or_else(Vec::new, |keys| stages(keys));
    shown.extend(median.map_or_else(Vec::new, |run| stages(run)));
    Ok(Measured {
        environment: Environment::current(),
        threads: measurement.settings.threads,
        made_up: setup.inputs.is_empty(),
        model_id: measurement.model_id,
        prove,
        verify,
        stages: shown,
        evaluate: evaluate_nodes(setup)?,
        statement: measurement.sizes.statement,
        proof: measurement.sizes.proof,
        prepare_peak: measurement.sizes.prepare_peak,
        prove_peak: measurement.sizes.prove_peak,
    })
}

/// Seconds of evaluating each node, medians over the runs.
fn evaluate_nodes(setup: &Setup) -> Result<Vec<f64>, BenchError> {
    let graph = &setup.model.graph;
    let middle = |input: &zkonnx_quantize::graph::Input| {
        vec![input.bounds.lo.midpoint(input.bounds.hi); input.shape.iter().map(|s| *s as usize).product()]
    };
    let made_up = [graph.inputs.iter().map(middle).collect()];
    let inputs = if setup.inputs.is_empty() { &made_up[..] } else { &setup.inputs[..] };
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); graph.nodes.len()];
    for run in 0..setup.runs.max(1) {
        let mut last = Instant::now();
        let mut note = |node: usize| {
            times[node].push(last.elapsed().as_secs_f64());
            last = Instant::now();
        };
        evaluate_with(&setup.model, &inputs[run % inputs.len()], &mut note).map_err(ProveError::from)?;
    }
    Ok(times.iter().map(|times| Spread::of(times).median).collect())
}
