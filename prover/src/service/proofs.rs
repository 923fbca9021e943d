//! `/v1/verify` and `/v1/verify-batch`: verdicts.

use super::{
    candidate::{now, Candidate, Verdict},
    error::ApiError,
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
use zkonnx_verifier::batch::{verify_batch, BatchItem};

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
        candidate.verdict(&own, candidate.verify(&own))
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
        BatchVerdicts { verdicts: verdicts(&own, &candidates) }
    };
    app.gate.run(received.deadline, work).await.map(Json)
}

fn verdicts(app: &Shared, candidates: &[Result<Candidate, ApiError>]) -> Vec<BatchEntry> {
    let items: Vec<BatchItem<'_>> = candidates.iter().flatten().map(Candidate::item).collect();
    let mut results = app.metrics.time(|| verify_batch(&items, Some(now()))).into_iter();
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
