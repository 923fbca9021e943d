//! Proving one job: a model that is loaded, an input, a context; a receipt that verifies.

use super::{
    blob::{BlobError, BlobStore},
    input::{InputError, JobInput},
    job::{JobResult, ModelRef, NewJob, Requirements},
    time::UnixMillis,
    BlobId,
};
use crate::{
    error::ProveError,
    keys::{PointsOrigin, ProverModel},
    params_cache,
    prove::prove,
};
use std::{
    panic::{catch_unwind, AssertUnwindSafe},
    path::Path,
    sync::Arc,
};
use zkonnx_circuits::{
    compiled::CompiledModel,
    cost::predict,
    lower::{LowerError, Mode, Modes},
};
use zkonnx_quantize::{
    graph::Graph,
    model::{DecodeError, QuantizedModel},
};
use zkonnx_verifier::{
    error::{RegisterError, VerifyError},
    metering::Metering,
    params::ParamsError,
    receipt::{Receipt, ReceiptError},
    registry::ModelHandle,
    statement::{FORMAT_VERSION, SUITE},
    verify::verify,
    zkv::VerifierModel,
};

/// Why a job was not proven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// An artefact cannot be read or written.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The model's bytes are no `model.zkq`.
    #[error("model: {0}")]
    Model(#[from] DecodeError),
    /// A hidden tensor that the model does not have.
    #[error("model: '{0}' is no input or output of it")]
    Hidden(String),
    /// The model has no circuit.
    #[error("model: {0}")]
    Circuit(#[from] LowerError),
    /// The model cannot be registered.
    #[error("model: {0}")]
    Register(#[from] RegisterError),
    /// No parameters for the model's `k`.
    #[error("model: {0}")]
    Params(#[from] ParamsError),
    /// It takes more memory than its job says, and than there is.
    #[error("model: it takes {actual} bytes of memory, there are {limit}")]
    Memory {
        /// What it takes.
        actual: u64,
        /// What there is.
        limit: u64,
    },
    /// The input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The context's time is over: no verifier would accept the proof.
    #[error("the context has expired: not after {not_after}, it is {now}")]
    Expired {
        /// Its last second.
        not_after: u64,
        /// The time.
        now: u64,
    },
    /// It could not be proven.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A fault of the prover.
    #[error("the prover panicked: this is a bug")]
    Panicked,
    /// A proof that is wrong is not published.
    #[error("own proof refused: {0}")]
    Refused(#[from] VerifyError),
    /// No receipt can be made.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The job's: it fails every time.
    Job,
    /// Nobody knows: another attempt may do.
    Attempt,
    /// This machine's: the job goes back to the queue, and this is no attempt.
    Machine,
}

impl JobError {
    /// Whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Blob(BlobError::Damaged { .. } | BlobError::TooLong { .. })
            | Self::Model(_)
            | Self::Hidden(_)
            | Self::Circuit(_)
            | Self::Register(_)
            | Self::Params(_)
            | Self::Memory { .. }
            | Self::Input(_)
            | Self::Expired { .. }
            | Self::Prove(ProveError::Inputs(_) | ProveError::Model(_) | ProveError::Params { .. }) => Blame::Job,
            Self::Blob(BlobError::Missing(_)) | Self::Panicked | Self::Refused(_) | Self::Receipt(_) => Blame::Attempt,
            Self::Blob(_) | Self::Prove(ProveError::Randomness(_)) => Blame::Machine,
            Self::Prove(_) => Blame::Attempt,
        }
    }
}

/// Everything public but the named tensors.
///
/// # Errors
/// [`JobError::Hidden`] for a name that is none.
pub fn modes(graph: &Graph, hidden: &[String]) -> Result<Modes, JobError> {
    let mut modes = Modes::public(graph);
    for name in hidden {
        let inputs = graph.inputs.iter().map(|i| &i.name).zip(&mut modes.inputs);
        let outputs = graph.outputs.iter().map(|o| &o.name).zip(&mut modes.outputs);
        let mut found = inputs.chain(outputs).filter(|(other, _)| *other == name).peekable();
        if found.peek().is_none() {
            return Err(JobError::Hidden(name.clone()));
        }
        found.for_each(|(_, mode)| *mode = Mode::Hidden);
    }
    Ok(modes)
}

/// What proving a model takes.
///
/// # Errors
/// [`JobError`] when it cannot be proven.
pub fn requirements(model: &QuantizedModel, hidden: &[String]) -> Result<Requirements, JobError> {
    let modes = modes(&model.graph, hidden)?;
    let compiled = CompiledModel::new(model.graph.clone().into(), modes, model.layout)?;
    Ok(Requirements { format: FORMAT_VERSION, suite: SUITE, k: model.layout.k, memory: memory(&compiled) })
}

fn memory(compiled: &CompiledModel) -> u64 {
    u64::try_from(predict(compiled).memory).unwrap_or(u64::MAX)
}

/// A model with everything that its jobs have in common.
#[derive(Debug)]
pub struct LoadedModel {
    /// What it was loaded from.
    pub reference: ModelRef,
    /// The prover's keys.
    pub prover: ProverModel,
    /// The verifier's.
    pub handle: ModelHandle,
    /// Predicted peak bytes of proving.
    pub memory: u64,
}

impl LoadedModel {
    /// Loads a model; parameters are cached in a folder, and the points of the model's weights too: they are committed once, and checked
    /// whenever they are read ([`ProverModel::with_points`]).
    ///
    /// # Errors
    /// [`JobError`] when there is no such model, or it cannot be proven.
    pub fn load(reference: &ModelRef, blobs: &dyn BlobStore, params: &Path) -> Result<Self, JobError> {
        let _span = tracing::info_span!("load model").entered();
        let model = QuantizedModel::from_bytes(&blobs.get(reference.blob)?)?;
        let modes = modes(&model.graph, &reference.hidden)?;
        let points = params.join(format!("{}.zkv", reference.blob));
        let params = Arc::new(params_cache::load(params, model.layout.k.into())?.0);
        let known = std::fs::read(&points).ok().and_then(|bytes| {
            let refused = |e| tracing::warn!(file = %points.display(), error = %e, "cached points cannot be read: committed anew");
            VerifierModel::from_bytes(&bytes).map_err(refused).ok()
        });
        let (prover, origin) = ProverModel::with_points(model, modes, params, known.as_ref())?;
        if let PointsOrigin::Refused(error) = &origin {
            tracing::warn!(file = %points.display(), %error, "cached points refused: committed anew");
        }
        if !matches!(origin, PointsOrigin::Known) {
            if let Err(error) = params_cache::write_atomically(&points, &prover.zkv) {
                tracing::warn!(file = %points.display(), %error, "points cannot be cached");
            }
        }
        let handle = prover.register()?;
        let memory = memory(&prover.keys.compiled);
        Ok(Self { reference: reference.clone(), prover, handle, memory })
    }
}

/// A receipt that verifies.
#[derive(Debug)]
pub struct ProvenJob {
    /// The receipt, in binary.
    pub receipt: Vec<u8>,
    /// What is recorded about it, once the receipt is kept.
    pub result: JobResult,
    /// Values that were clamped to the declared range.
    pub clamped: usize,
}

/// Proves a job on the threads of the caller's pool, and verifies the proof.
///
/// # Errors
/// [`JobError`], which knows whether another attempt makes sense.
pub fn prove_job(
    model: &LoadedModel,
    job: &NewJob,
    blobs: &dyn BlobStore,
    now: UnixMillis,
) -> Result<ProvenJob, JobError> {
    let (not_after, now) = (job.context.not_after, now.seconds());
    if not_after != 0 && not_after < now {
        return Err(JobError::Expired { not_after, now });
    }
    let input = JobInput::from_bytes(&blobs.get(job.input)?).map_err(InputError::from)?;
    let (inputs, clamped) = input.quantise(&model.prover.model.graph, job.strict_range)?;
    let started = std::time::Instant::now();
    // Whatever is wrong with one job must not end the others.
    let proven = catch_unwind(AssertUnwindSafe(|| prove(&model.prover, &inputs, job.context)));
    let (statement, proof) = proven.map_err(|_| JobError::Panicked)??;
    let verified = {
        let _span = tracing::info_span!("verify").entered();
        verify(&model.handle, &statement, &proof, None)?
    };
    let metering = Metering::of(&model.prover.keys.compiled);
    let receipt = Receipt { statement, proof, metering, storage: None }.to_bytes();
    let result = JobResult {
        model_id: verified.model_id(),
        statement: verified.statement_digest(),
        receipt: BlobId::of(&receipt),
        metering,
        milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    Ok(ProvenJob { receipt, result, clamped })
}
