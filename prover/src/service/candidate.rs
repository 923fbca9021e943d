//! Proofs that can be looked at, and verdicts about them.

use super::{
    error::{step_of, ApiError},
    models::weights,
    state::Shared,
};
use axum::http::StatusCode;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};
use zkonnx_quantize::scale::Scale;
use zkonnx_verifier::{
    batch::BatchItem,
    codes::ErrorCode,
    error::VerifyError,
    expected::Expected,
    json::ContextText,
    proof_file::ProofFile,
    registry::ModelHandle,
    replay::{ReplayError, ReplayGuard},
    statement::{Statement, TensorEntry, TensorValue},
    verify::{verify, Verified},
};

/// A verdict about one proof.
#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(super) enum Verdict {
    /// True, and as expected.
    Accepted(Box<Accepted>),
    /// False, or not as expected.
    Rejected {
        code: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        message: String,
    },
}

/// What is true.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    model_id: String,
    /// What is known of the model's weights: nobody is to pay for what an unchecked model of a stranger says.
    weights: &'static str,
    statement: String,
    context: ContextText,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// An input or output of a statement.
#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    shape: Vec<u32>,
    /// An integer times this is the value in real units.
    scale: f64,
    /// `public`, `hidden` or `committed`.
    mode: &'static str,
    /// Integers, row-major; null unless public.
    values: Option<Vec<i64>>,
}

impl Tensor {
    fn new((entry, scale): (&TensorEntry, Scale)) -> Self {
        let values = match &entry.value {
            TensorValue::Public(integers) => Some(integers.to_vec()),
            _ => None,
        };
        let mode = match &entry.value {
            TensorValue::Public(_) => "public",
            value if *value == TensorValue::Hidden => "hidden",
            _ => "committed",
        };
        Self { name: entry.name.clone(), shape: entry.shape.clone(), scale: scale.to_f64(), mode, values }
    }
}

impl Accepted {
    fn new(handle: &ModelHandle, statement: &Statement, verified: &Verified) -> Self {
        let graph = handle.graph();
        let inputs = statement.inputs.iter().zip(graph.inputs.iter().map(|i| i.scale));
        let outputs = statement.outputs.iter().zip(graph.outputs.iter().map(|o| o.scale));
        Self {
            model_id: verified.model_id().to_string(),
            weights: weights(handle),
            statement: verified.statement_digest().to_string(),
            context: ContextText::from(statement.context),
            inputs: inputs.map(Tensor::new).collect(),
            outputs: outputs.map(Tensor::new).collect(),
        }
    }
}

/// A proof that can be looked at.
pub(super) struct Candidate {
    pub(super) handle: ModelHandle,
    pub(super) file: ProofFile,
    expected: Expected,
}

impl Candidate {
    /// Reads a proof file. Whatever is no proof of a registered model is an error, not a verdict.
    pub(super) fn new(app: &Shared, bytes: &[u8], expected: Expected) -> Result<Self, ApiError> {
        Self::of(app, ProofFile::from_bytes(bytes).map_err(|e| ApiError::malformed(&e))?, expected)
    }

    /// A proof about a registered model.
    pub(super) fn of(app: &Shared, file: ProofFile, expected: Expected) -> Result<Self, ApiError> {
        let id = file.statement.model_id;
        let handle = app.model(&id).ok_or_else(|| ApiError::unknown_model(id))?;
        Ok(Self { handle, file, expected })
    }

    /// The proof as one of a batch.
    pub(super) fn item(&self) -> BatchItem<'_> {
        BatchItem { handle: &self.handle, statement: &self.file.statement, proof: &self.file.proof }
    }

    /// Verifies the proof alone; the time it takes is counted.
    pub(super) fn verify(&self, app: &Shared) -> Result<Verified, VerifyError> {
        app.metrics.time(|| verify(&self.handle, &self.file.statement, &self.file.proof, Some(now())))
    }

    /// Whether the statement is true and as expected, given what the verifier says; a verdict of rejection otherwise.
    pub(super) fn check(
        &self,
        app: &Shared,
        result: Result<Verified, VerifyError>,
    ) -> Result<Result<Verified, Verdict>, ApiError> {
        match result {
            Err(
                error @ (VerifyError::Malformed(_) | VerifyError::Length { .. } | VerifyError::WrongVersion { .. }),
            ) => Err(ApiError::malformed(&error)),
            Err(error) => Ok(Err(Verdict::rejected(app, &error, step_of(&error)))),
            Ok(verified) => match self.expected.check(&self.file.statement) {
                Ok(()) => Ok(Ok(verified)),
                Err(error) => Ok(Err(Verdict::rejected(app, &error, None))),
            },
        }
    }

    /// The verdict, given what the verifier says. A job that is accepted is settled, where that is remembered.
    pub(super) fn verdict(&self, app: &Shared, result: Result<Verified, VerifyError>) -> Result<Verdict, ApiError> {
        let verified = match self.check(app, result)? {
            Ok(verified) => verified,
            Err(rejected) => return Ok(rejected),
        };
        let verified = match &app.guard {
            None => verified,
            Some(guard) => match guard.admit(verified) {
                Ok(admitted) => *admitted.verified(),
                Err(error @ ReplayError::Replayed { .. }) => return Ok(Verdict::rejected(app, &error, None)),
                Err(error) => {
                    let status = StatusCode::INSUFFICIENT_STORAGE;
                    return Err(ApiError::new(status, error.code(), error.to_string()));
                }
            },
        };
        app.metrics.verdicts.with_label_values(&["accepted"]).inc();
        let accepted = Accepted::new(&self.handle, &self.file.statement, &verified);
        Ok(Verdict::Accepted(Box::new(accepted)))
    }
}

impl Verdict {
    /// A rejection, counted.
    pub(super) fn rejected(app: &Shared, error: &(impl ErrorCode + std::fmt::Display), step: Option<String>) -> Self {
        app.metrics.verdicts.with_label_values(&[error.code()]).inc();
        Self::Rejected { code: error.code(), step, message: error.to_string() }
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
