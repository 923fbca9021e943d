//! Files and inputs, as all commands use them.

use super::Failure;
use crate::{
    keys::PointsOrigin,
    params_cache::{self, ParamsOrigin},
};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use zkonnx_circuits::cost::Cost;
use zkonnx_quantize::{
    data::{quantise_inputs, read_samples, InputSpec, Samples},
    graph::Graph,
    model::{DecodeError, QuantizedModel},
};
use zkonnx_verifier::{error::RegisterError, zkv::VerifierModel};

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::at(path, e))
}

/// Reads a `model.zkq`.
pub(super) fn read_model(path: &Path) -> Result<QuantizedModel, Failure> {
    parse_model(path, &read(path)?)
}

/// A `model.zkq` that was read from this path.
pub(super) fn parse_model(path: &Path, bytes: &[u8]) -> Result<QuantizedModel, Failure> {
    QuantizedModel::from_bytes(bytes).map_err(|e| undecoded(path, &e, "a .zkq file is written by `zkonnx quantize`"))
}

/// A file of a model that cannot be read, with what to do about it.
pub(super) fn undecoded(path: &Path, error: &DecodeError, hint: &str) -> Failure {
    let hint = match error {
        DecodeError::Version { .. } => "another version of zkonnx wrote it: `zkonnx quantize` makes the model anew",
        _ => hint,
    };
    Failure::at(path, error).hint(hint)
}

/// What to do about a registration proof that does not verify.
pub(super) const RENEW: &str = "whoever has the .zkq file writes this one anew: `zkonnx register`";

/// A model that cannot be registered, with what to do about it.
pub(super) fn unregistered(path: &Path, error: &RegisterError) -> Failure {
    let failure = Failure::at(path, error);
    match error {
        RegisterError::Registration(_) => failure.hint(RENEW),
        _ => failure,
    }
}

/// Parameters for `k`, from the cache where possible; says what is unusual.
pub(super) fn params(k: u32) -> Result<Arc<Params<EqAffine>>, Failure> {
    let folder = params_cache::folder();
    let (params, origin) = params_cache::load(&folder, k).map_err(Failure::new)?;
    match origin {
        ParamsOrigin::Cached | ParamsOrigin::Derived => {}
        ParamsOrigin::Refused(error) => {
            eprintln!("warning: cached parameters in {} refused: {error}; derived anew", folder.display());
        }
        ParamsOrigin::NotWritten(error) => {
            eprintln!("warning: parameters could not be cached in {}: {error}", folder.display());
        }
    }
    Ok(Arc::new(params))
}

/// The `.zkv` beside a model, which may have the points of its weights: they need not be committed then.
#[derive(Debug)]
pub(super) struct Published {
    path: PathBuf,
    model: Option<VerifierModel>,
}

impl Published {
    /// Reads it; says why it is of no use. It is no error that there is none.
    pub(super) fn beside(model: &Path) -> Self {
        let path = model.with_extension("zkv");
        let bytes = if path == model { None } else { std::fs::read(&path).ok() };
        let model = bytes.and_then(|bytes| {
            VerifierModel::from_bytes(&bytes).map_err(|e| Self { path: path.clone(), model: None }.warn(&e)).ok()
        });
        Self { path, model }
    }

    /// The file's contents.
    pub(super) fn model(&self) -> Option<&VerifierModel> {
        self.model.as_ref()
    }

    /// Says why its points were not used, where they were not.
    pub(super) fn tell(&self, origin: &PointsOrigin) {
        if let PointsOrigin::Refused(error) = origin {
            self.warn(error);
        }
    }

    fn warn(&self, error: &dyn std::fmt::Display) {
        eprintln!(
            "warning: {}: {error}; the weights are committed anew (hint: `zkonnx register` writes the file anew)",
            self.path.display()
        );
    }
}

/// What the cost model says, in words.
pub(super) fn cost_text(cost: &Cost) -> String {
    format!(
        "{:.2} s to prove on two cores, {}; {:.1} ms to verify, proof of {}",
        cost.seconds,
        bytes(cost.memory),
        1e3 * cost.verify_seconds,
        bytes(cost.proof_bytes)
    )
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// The declared inputs of a graph.
pub(super) fn input_specs(graph: &Graph) -> Vec<InputSpec> {
    graph.inputs.iter().map(InputSpec::from).collect()
}

/// Samples of a data file, at least one.
pub(super) fn samples(path: &Path, specs: &[InputSpec]) -> Result<Samples, Failure> {
    let samples = read_samples(path, specs).map_err(|e| Failure::at(path, e).hint(takes(specs)))?;
    if samples.is_empty() {
        return Err(Failure::at(path, "no samples").hint(takes(specs)));
    }
    Ok(samples)
}

/// What a data file must hold, for people.
fn takes(specs: &[InputSpec]) -> String {
    let inputs: Vec<String> = specs.iter().map(|s| format!("'{}' {:?}", s.name, s.shape)).collect();
    format!("the model takes {} from a .npy, .npz, .json or .csv file", inputs.join(", "))
}

/// The integers of one sample of a file. Values outside of the declared range are clamped and said, or refused; indices and truth
/// values are always refused there.
pub(super) fn quantise(
    graph: &Graph,
    (path, samples): (&Path, &Samples),
    sample: usize,
    strict: bool,
) -> Result<Vec<Vec<i64>>, Failure> {
    let values = samples.sample(sample);
    let all = quantise_inputs(graph, &values).map_err(|e| match samples.len() {
        1 => Failure::at(path, e),
        _ => Failure::at(path, format!("sample {sample}: {e}")),
    })?;
    let mut inputs = Vec::new();
    for ((input, values), quantised) in graph.inputs.iter().zip(values).zip(all) {
        if quantised.clamped > 0 {
            let scale = input.scale.to_f64();
            #[allow(clippy::cast_precision_loss)] // for people
            let (lo, hi) = (input.bounds.lo as f64 * scale, input.bounds.hi as f64 * scale);
            let message = format!(
                "input '{}': {} of {} values lie outside of the declared range {lo} to {hi}",
                input.name,
                quantised.clamped,
                values.len()
            );
            if strict {
                return Err(Failure::at(path, message).hint("without --strict-range they are clamped"));
            }
            eprintln!("warning: {}: {message}; they are clamped", path.display());
        }
        inputs.push(quantised.values);
    }
    Ok(inputs)
}

/// A number of bytes for people.
#[allow(clippy::cast_precision_loss)]
pub(super) fn bytes(count: usize) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}
