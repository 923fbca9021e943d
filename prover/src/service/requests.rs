//! Reading requests: bodies with limits, proofs in base64, what a client expects.

use super::{error::ApiError, state::App};
use axum::{
    body::Body,
    http::{header, Request, StatusCode},
};
use base64::{prelude::BASE64_STANDARD, Engine};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{de::DeserializeOwned, Deserialize};
use tokio::time::{timeout, Instant};
use zkonnx_verifier::{expected::Expected, json::from_hex};

/// A whole request, and when its answer is due.
pub(super) struct Received {
    /// Whether the body is JSON.
    pub(super) is_json: bool,
    /// What stands behind the question mark.
    pub(super) query: String,
    /// The body.
    pub(super) body: Vec<u8>,
    /// When to give up.
    pub(super) deadline: Instant,
}

/// Reads a request's body, within limits of size and time.
pub(super) async fn receive(app: &App, request: Request<Body>) -> Result<Received, ApiError> {
    let limit = app.config.max_body;
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let declared = text(header::CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|d| usize::try_from(d).map_or(true, |d| d > limit)) {
        return Err(ApiError::too_large(limit));
    }
    let kind = text(header::CONTENT_TYPE).unwrap_or("application/octet-stream").split(';').next().unwrap_or("").trim();
    let is_json = match kind {
        "application/json" => true,
        "application/octet-stream" => false,
        other => {
            let message = format!("'{other}' is neither application/json nor application/octet-stream");
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message));
        }
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = Limited::new(body, limit).collect();
    let body = match timeout(app.config.read_timeout, body).await {
        Err(_) => return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not come in time")),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(ApiError::too_large(limit)),
        Ok(Err(_)) => return Err(ApiError::bad_request("the body ends too early")),
        Ok(Ok(collected)) => collected.to_bytes().to_vec(),
    };
    Ok(Received { is_json, query, body, deadline: Instant::now() + app.config.timeout })
}

/// JSON of a body.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // serde would take a list for the fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::bad_request("the body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|e| ApiError::bad_request(e.to_string()))
}

/// Bytes of base64.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, ApiError> {
    BASE64_STANDARD.decode(text).map_err(|e| ApiError::bad_request(format!("a proof is not base64: {e}")))
}

/// What a client expects, with identifiers as 64 hexadecimal digits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectedFields {
    domain: Option<String>,
    job_id: Option<String>,
    nonce: Option<u64>,
    requester: Option<String>,
    payee: Option<String>,
    allow_hidden_outputs: bool,
    refuse_hidden_inputs: bool,
}

impl ExpectedFields {
    /// Those of a query.
    pub(super) fn of_query(query: &str) -> Result<Self, ApiError> {
        let uri = axum::http::Uri::builder().path_and_query(format!("/?{query}")).build();
        let uri = uri.map_err(|e| ApiError::bad_request(e.to_string()))?;
        let parsed = axum::extract::Query::<Self>::try_from_uri(&uri);
        Ok(parsed.map_err(|e| ApiError::bad_request(e.body_text()))?.0)
    }

    /// What the verifier compares.
    pub(super) fn parse(&self) -> Result<Expected, ApiError> {
        let field = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                let message = || ApiError::bad_request(format!("'{name}' is not 64 hexadecimal digits"));
                hex(text).map(Some).ok_or_else(message)
            }
        };
        Ok(Expected {
            domain: field("domain", &self.domain)?,
            job_id: field("job_id", &self.job_id)?,
            nonce: self.nonce,
            requester: field("requester", &self.requester)?,
            payee: field("payee", &self.payee)?,
            allow_hidden_outputs: self.allow_hidden_outputs,
            refuse_hidden_inputs: self.refuse_hidden_inputs,
        })
    }
}

/// 32 bytes of 64 hexadecimal digits.
pub(super) fn hex(text: &str) -> Option<[u8; 32]> {
    from_hex(text.strip_prefix("0x").unwrap_or(text))?.try_into().ok()
}
