//! `/v1/verify` and `/v1/verify-batch`: verdicts.

use super::{
    error::{step_of, ApiError},
    requests::{base64, json, receive, ExpectedFields},
    state::{App, Shared},
};
use axum::{
    body::Body,
    extract::State,
    http::{Request, StatusCode},
    Json,
};
use serde::{Deserialize, Serialize};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use zkonnx_quantize::scale::Scale;
use zkonnx_verifier::{
    batch::{verify_batch, BatchItem},
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

/// A proof as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofRequest {
    /// A proof file, in base64.
    proof: String,
    #[serde(default)]
    expected: ExpectedFields,
}

/// Many proofs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchRequest {
    proofs: Vec<ProofRequest>,
}

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
    /// Integers, row-major; null when hidden.
    values: Option<Vec<i64>>,
}

impl Tensor {
    fn new((entry, scale): (&TensorEntry, Scale)) -> Self {
        let values = match &entry.value {
            TensorValue::Public(integers) => Some(integers.to_vec()),
            _ => None,
        };
        Self { name: entry.name.clone(), shape: entry.shape.clone(), scale: scale.to_f64(), values }
    }
}

impl Accepted {
    fn new(handle: &ModelHandle, statement: &Statement, verified: &Verified) -> Self {
        let graph = handle.graph();
        let inputs = statement.inputs.iter().zip(graph.inputs.iter().map(|i| i.scale));
        let outputs = statement.outputs.iter().zip(graph.outputs.iter().map(|o| o.scale));
        Self {
            model_id: verified.model_id().to_string(),
            statement: verified.statement_digest().to_string(),
            context: ContextText::from(statement.context),
            inputs: inputs.map(Tensor::new).collect(),
            outputs: outputs.map(Tensor::new).collect(),
        }
    }
}

/// A proof that can be looked at.
struct Candidate {
    handle: ModelHandle,
    file: ProofFile,
    expected: Expected,
}

impl Candidate {
    /// Reads a proof file. Whatever is no proof of a registered model is an error, not a verdict.
    fn new(app: &Shared, bytes: &[u8], expected: Expected) -> Result<Self, ApiError> {
        let file = ProofFile::from_bytes(bytes).map_err(|e| ApiError::malformed(&e))?;
        let id = file.statement.model_id;
        let handle = app.model(&id).ok_or_else(|| ApiError::unknown_model(id))?;
        Ok(Self { handle, file, expected })
    }

    fn verify(&self, now: u64) -> Result<Verified, VerifyError> {
        verify(&self.handle, &self.file.statement, &self.file.proof, Some(now))
    }

    /// The verdict, given what the verifier says.
    fn verdict(&self, app: &Shared, result: Result<Verified, VerifyError>) -> Result<Verdict, ApiError> {
        let rejected = |code: &'static str, step: Option<String>, message: String| {
            app.metrics.verdicts.with_label_values(&[code]).inc();
            Verdict::Rejected { code, step, message }
        };
        let verified = match result {
            Err(
                error @ (VerifyError::Malformed(_) | VerifyError::Length { .. } | VerifyError::WrongVersion { .. }),
            ) => {
                return Err(ApiError::malformed(&error));
            }
            Err(error) => return Ok(rejected(error.code(), step_of(&error), error.to_string())),
            Ok(verified) => verified,
        };
        if let Err(error) = self.expected.check(&self.file.statement) {
            return Ok(rejected(error.code(), None, error.to_string()));
        }
        let verified = match &app.guard {
            None => verified,
            Some(guard) => match guard.admit(verified) {
                Ok(admitted) => *admitted.verified(),
                Err(error @ ReplayError::Replayed { .. }) => {
                    return Ok(rejected(error.code(), None, error.to_string()));
                }
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

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// `POST /v1/verify`.
pub(super) async fn one(State(app): State<App>, request: Request<Body>) -> Result<Json<Verdict>, ApiError> {
    let received = receive(&app, request).await?;
    let (bytes, expected) = if received.is_json {
        let request: ProofRequest = json(&received.body)?;
        (base64(&request.proof)?, request.expected)
    } else {
        (received.body, ExpectedFields::of_query(&received.query)?)
    };
    let expected = expected.parse()?;
    let own = app.clone();
    let work = move || {
        let candidate = Candidate::new(&own, &bytes, expected)?;
        let started = Instant::now();
        let result = candidate.verify(now());
        own.metrics.seconds.observe(started.elapsed().as_secs_f64());
        candidate.verdict(&own, result)
    };
    app.gate.run(received.deadline, work).await?.map(Json)
}

/// A verdict of a batch, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum BatchEntry {
    Verdict(Verdict),
    Error {
        /// Always `error`.
        verdict: &'static str,
        #[serde(flatten)]
        error: ApiError,
    },
}

/// Verdicts, in the order of the proofs.
#[derive(Debug, Serialize)]
pub(super) struct BatchVerdicts {
    verdicts: Vec<BatchEntry>,
}

/// `POST /v1/verify-batch`.
pub(super) async fn batch(State(app): State<App>, request: Request<Body>) -> Result<Json<BatchVerdicts>, ApiError> {
    let received = receive(&app, request).await?;
    if !received.is_json {
        let message = "a batch is application/json";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message));
    }
    let request: BatchRequest = json(&received.body)?;
    let limit = app.config.max_batch;
    if request.proofs.len() > limit {
        let message = format!("{} proofs, a batch may have {limit}", request.proofs.len());
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_proofs", message));
    }
    let own = app.clone();
    let work = move || {
        let candidate = |request: ProofRequest| {
            let expected = request.expected.parse()?;
            Candidate::new(&own, &base64(&request.proof)?, expected)
        };
        let candidates: Vec<Result<Candidate, ApiError>> = request.proofs.into_iter().map(candidate).collect();
        let started = Instant::now();
        let verdicts = verdicts(&own, &candidates, now());
        own.metrics.seconds.observe(started.elapsed().as_secs_f64());
        BatchVerdicts { verdicts }
    };
    app.gate.run(received.deadline, work).await.map(Json)
}

fn verdicts(app: &Shared, candidates: &[Result<Candidate, ApiError>], now: u64) -> Vec<BatchEntry> {
    let items: Vec<BatchItem<'_>> = candidates
        .iter()
        .flatten()
        .map(|c| BatchItem { handle: &c.handle, statement: &c.file.statement, proof: &c.file.proof })
        .collect();
    let mut results = verify_batch(&items, Some(now)).into_iter();
    let verdict = |candidate: &Result<Candidate, ApiError>| {
        let candidate = candidate.as_ref().map_err(Clone::clone)?;
        // As many results as candidates: never `None`.
        candidate.verdict(app, results.next().ok_or_else(ApiError::internal)?)
    };
    let entry = |result: Result<Verdict, ApiError>| {
        result.map_or_else(|error| BatchEntry::Error { verdict: "error", error }, BatchEntry::Verdict)
    };
    candidates.iter().map(verdict).map(entry).collect()
}
