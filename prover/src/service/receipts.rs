//! `/v1/receipts`: a proof that is true, with its metering, as one document; and verdicts about such documents.

use super::{
    candidate::{Candidate, Verdict},
    error::ApiError,
    requests::{base64, json, receive, ExpectedFields},
    state::App,
};
use axum::{
    body::Body,
    extract::State,
    http::{header, Request, StatusCode},
    response::{IntoResponse, Response},
    Json,
};
use serde::Deserialize;
use zkonnx_verifier::{
    proof_file::ProofFile,
    receipt::{Receipt, ReceiptError, StorageReference},
};

/// A proof as JSON, with what a receipt may hold beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptRequest {
    /// A proof file, in base64.
    proof: String,
    #[serde(default)]
    expected: ExpectedFields,
    storage: Option<StorageReference>,
}

/// `POST /v1/receipts`: 201 with a receipt, as binary for those who accept nothing else; 422 with the verdict when the statement
/// is false. It settles no job.
pub(super) async fn issue(State(app): State<App>, request: Request<Body>) -> Result<Response, ApiError> {
    let accepts = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let is_binary = accepts.is_some_and(|kind| kind.trim() == "application/octet-stream");
    let received = receive(&app, request).await?;
    let (bytes, expected, storage) = if received.is_json {
        let request: ReceiptRequest = json(&received.body)?;
        (base64(&request.proof)?, request.expected, request.storage)
    } else {
        (received.body, ExpectedFields::of_query(&received.query)?, None)
    };
    let expected = expected.parse()?;
    let own = app.clone();
    let work = move || {
        let candidate = Candidate::new(&own, &bytes, expected)?;
        if let Err(rejected) = candidate.check(&own, candidate.verify(&own))? {
            return Ok(Err(rejected));
        }
        let ProofFile { statement, proof } = candidate.file;
        let receipt = Receipt::new(&candidate.handle, statement, proof);
        let receipt = Receipt { storage, ..receipt.map_err(|e| ApiError::malformed(&e))? };
        // A storage reference of strangers has rules, too.
        Receipt::from_bytes(&receipt.to_bytes()).map(Ok).map_err(|e| ApiError::malformed(&e))
    };
    Ok(match app.gate.run(received.deadline, work).await?? {
        Err(rejected) => (StatusCode::UNPROCESSABLE_ENTITY, Json(rejected)).into_response(),
        Ok(receipt) if is_binary => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            (StatusCode::CREATED, kind, receipt.to_bytes()).into_response()
        }
        Ok(receipt) => (StatusCode::CREATED, Json(receipt)).into_response(),
    })
}

/// `POST /v1/receipts/verify`: a verdict about a receipt, binary or JSON: its proof, and its metering.
pub(super) async fn verify(State(app): State<App>, request: Request<Body>) -> Result<Json<Verdict>, ApiError> {
    let received = receive(&app, request).await?;
    let expected = ExpectedFields::of_query(&received.query)?.parse()?;
    let own = app.clone();
    let work = move || {
        let parsed =
            if received.is_json { Receipt::from_json(&received.body) } else { Receipt::from_bytes(&received.body) };
        let receipt = parsed.map_err(|e| ApiError::malformed(&e))?;
        let file = ProofFile { statement: receipt.statement.clone(), proof: receipt.proof.clone() };
        let candidate = Candidate::of(&own, file, expected)?;
        let result = candidate.verify(&own);
        if let (Ok(_), Err(error @ ReceiptError::Metering { .. })) =
            (&result, receipt.check_metering(&candidate.handle))
        {
            return Ok(Verdict::rejected(&own, &error, None));
        }
        candidate.verdict(&own, result)
    };
    app.gate.run(received.deadline, work).await?.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkonnx_verifier::codes::ErrorCode;

    #[test]
    fn unknown_fields_are_refused() {
        let text = |more: &str| format!("{{\"proof\": \"\"{more}}}");
        assert!(json::<ReceiptRequest>(text("").as_bytes()).is_ok());
        assert!(json::<ReceiptRequest>(text(", \"more\": 1").as_bytes()).is_err());
        assert_eq!(ReceiptError::Uri.code(), "storage_uri");
    }
}
