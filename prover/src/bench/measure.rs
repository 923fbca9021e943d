//! Measuring one choice of settings.

use super::{
    batch::{self, BatchTimes},
    memory::{peak, reset_peak},
    report::{Measurement, Predicted, Settings, Shape, Sizes},
    stages::{by_name, StageTimes},
    statistics::Spread,
};
use crate::{error::ProveError, keys::ProverModel, prove::prove, spans::SpanTime};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use zkonnx_circuits::{cost::predict, lower::Modes};
use zkonnx_quantize::{graph::Graph, model::QuantizedModel};
use zkonnx_verifier::{
    error::{RegisterError, VerifyError},
    statement::Context,
    verify::verify,
};

/// How often keys are made at most: it is the same every time.
const KEY_RUNS: usize = 3;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// Not provable with these settings.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The model is refused.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A proof that is timed must verify.
    #[error("own proof refused: {0}")]
    Verify(#[from] VerifyError),
    /// No threads.
    #[error("threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Setup {
    /// For the report.
    pub name: String,
    /// The model, in the layout that is meant.
    pub model: QuantizedModel,
    /// Parameters for its `k`.
    pub params: Arc<Params<EqAffine>>,
    /// Integers of single inferences, which are used in turn; without any, pseudo-random ones from the whole declared range.
    pub inputs: Vec<Vec<Vec<i64>>>,
    /// Bits of activations, where the model was quantised for this.
    pub bits: Option<u8>,
    /// Inferences in one proof.
    pub group: u32,
    /// Threads.
    pub threads: usize,
    /// How often to prove and verify.
    pub runs: usize,
    /// Proofs that are verified in a batch.
    pub batch: Option<usize>,
    /// Seconds of what came before.
    pub before: Vec<(&'static str, Duration)>,
}

/// Makes keys, proves, verifies, on threads of its own.
///
/// # Errors
/// [`BenchError`] when something fails: then nothing was measured.
pub fn measure(setup: &Setup) -> Result<Measurement, BenchError> {
    measure_with_spans(setup).map(|(measurement, _)| measurement)
}

/// The same, with every span: first those of the keys as often as they are made, then those of every run, each with `register` or `prove` and
/// `verify` as its outermost.
///
/// # Errors
/// [`BenchError`] when something fails: then nothing was measured.
pub fn measure_with_spans(setup: &Setup) -> Result<(Measurement, Spans), BenchError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(setup.threads).build()?;
    let times = StageTimes::default();
    // The prover's spans are entered on the thread that calls it.
    pool.install(|| tracing::subscriber::with_default(times.subscriber(), || measure_here(setup, &times)))
}

/// The spans of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// Of each time that keys were made.
    pub keys: Vec<Vec<SpanTime>>,
    /// Of each proof.
    pub runs: Vec<Vec<SpanTime>>,
}

fn measure_here(setup: &Setup, times: &StageTimes) -> Result<(Measurement, Spans), BenchError> {
    let mut spans = Spans::default();
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut note = |name: &str, time: Duration| samples.entry(name.to_owned()).or_default().push(time.as_secs_f64());
    for (name, time) in &setup.before {
        note(name, *time);
    }
    let Setup { model, params, group, .. } = setup;
    let grouped = model.grouped(*group).map_err(ProveError::from)?;
    let modes = Modes::public(&grouped.graph);
    reset_peak();
    let mut made = None;
    for _ in 0..setup.runs.clamp(1, KEY_RUNS) {
        // One set of keys at a time.
        made = None;
        let prover = ProverModel::of_group(model.clone(), *group, modes.clone(), Arc::clone(params))?;
        let handle = tracing::info_span!("register").in_scope(|| prover.register())?;
        let taken = times.take_spans();
        by_name(&taken).into_iter().for_each(|(name, time)| note(name, time));
        spans.keys.push(taken);
        made.get_or_insert((prover, handle));
    }
    let Some((prover, handle)) = made else { return Err(ProveError::Generators.into()) };
    let prepare_peak = peak();

    let single = if setup.inputs.is_empty() {
        (0..4).map(|seed| pseudo_random(&model.graph, seed)).collect()
    } else {
        setup.inputs.clone()
    };
    let inputs = stacked(&single, *group);
    let mut prove_peak = None;
    let (mut proof_bytes, mut statement_bytes) = (0, 0);
    for run in 0..setup.runs.max(1) {
        reset_peak();
        let input = &inputs[run % inputs.len()];
        let (statement, proof) = tracing::info_span!("prove").in_scope(|| prove(&prover, input, Context::default()))?;
        prove_peak = prove_peak.max(peak());
        tracing::info_span!("verify").in_scope(|| verify(&handle, &statement, &proof, None))?;
        let taken = times.take_spans();
        by_name(&taken).into_iter().for_each(|(name, time)| note(name, time));
        spans.runs.push(taken);
        (proof_bytes, statement_bytes) = (proof.len(), statement.to_bytes().len());
    }
    let batches: Vec<BatchTimes> = match setup.batch {
        Some(count) => batch::measure(&prover, &handle, (&inputs, count), setup.runs.max(1))?,
        None => Vec::new(),
    };
    let compiled = &prover.keys.compiled;
    let cost = predict(compiled);
    let measurement = Measurement {
        model: setup.name.clone(),
        model_id: prover.id.to_string(),
        settings: Settings {
            k: model.layout.k,
            limb_bits: model.layout.limb_bits,
            gates: model.layout.gates,
            bits: setup.bits,
            threads: setup.threads,
            group: *group,
        },
        shape: Shape::of(compiled),
        stages: samples.into_iter().map(|(name, values)| (name, Spread::of(&values))).collect(),
        batches,
        sizes: Sizes {
            proof: proof_bytes,
            statement: statement_bytes,
            zkv: prover.zkv.len(),
            prepare_peak,
            prove_peak,
        },
        predicted: Predicted { seconds: cost.seconds, verify_seconds: cost.verify_seconds, memory: cost.memory },
    };
    Ok((measurement, spans))
}

/// The inputs of groups of `size` samples, over and over, one group for each sample.
fn stacked(samples: &[Vec<Vec<i64>>], size: u32) -> Vec<Vec<Vec<i64>>> {
    let group = |first: usize| {
        let members = samples.iter().cycle().skip(first).take(size as usize);
        members.fold(Vec::new(), |mut group: Vec<Vec<i64>>, sample| {
            group.resize(sample.len(), Vec::new());
            group.iter_mut().zip(sample).for_each(|(all, one)| all.extend(one));
            group
        })
    };
    (0..samples.len()).map(group).collect()
}

/// Integers over the whole declared intervals, the same everywhere (an xorshift generator).
fn pseudo_random(graph: &Graph, seed: u64) -> Vec<Vec<i64>> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    graph
        .inputs
        .iter()
        .map(|input| {
            let width = u128::from(input.bounds.hi.abs_diff(input.bounds.lo)) + 1;
            let count: usize = input.shape.iter().map(|s| *s as usize).product();
            (0..count)
                .map(|_| {
                    let offset = i64::try_from(u128::from(next()) % width).unwrap_or(0);
                    input.bounds.lo + offset
                })
                .collect()
        })
        .collect()
}
