//! Errors, as clients get them.

use axum::{
    http::{header, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    Json,
};
use serde::Serialize;
use zkonnx_verifier::{
    codes::ErrorCode,
    error::{Step, VerifyError},
};

/// Why a request was not answered: `{"code", "step", "message"}` with a fitting status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiError {
    /// The status.
    #[serde(skip)]
    pub status: StatusCode,
    /// A stable name.
    pub code: &'static str,
    /// The step that said no, of a proof.
    pub step: Option<String>,
    /// For people.
    pub message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, step: None, message: message.into() }
    }

    /// The client sent something that cannot be read.
    pub(super) fn malformed(error: &(impl ErrorCode + std::fmt::Display)) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.code(), error.to_string())
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn unknown_model(id: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_model", format!("model {id} is not registered"))
    }

    pub(super) fn timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "no verdict in time")
    }

    pub(super) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many requests are waiting: try again later")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("a body may have {limit} bytes"))
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a mistake of this service")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, is_busy) = (self.status, self.code == "busy");
        let mut response = (status, Json(self)).into_response();
        if is_busy {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The step of a rejection.
pub(super) fn step_of(error: &VerifyError) -> Option<String> {
    match error {
        VerifyError::Rejected { step, .. } => Some(step.to_string()),
        VerifyError::Expired { .. } => Some(Step::Statement.to_string()),
        _ => None,
    }
}
