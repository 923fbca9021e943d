//! Names of errors, for interfaces that cannot pass an enum: lower-case letters and underscores. They never change their
//! meaning; the C interface gives each a number, the HTTP service sends them as they are.

use crate::{
    error::{RegisterError, Step, VerifyError},
    expected::Unexpected,
    json::JsonError,
    params::ParamsError,
    receipt::ReceiptError,
    replay::ReplayError,
};
use zkonnx_quantize::model::DecodeError;

/// An error with a stable name.
pub trait ErrorCode {
    /// The name.
    fn code(&self) -> &'static str;
}

impl ErrorCode for DecodeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Magic { .. } => "not_this_file",
            Self::Version { .. } => "unknown_file_version",
            Self::Invalid(_) => "invalid_model",
            Self::TooLong { .. } => "too_long",
            // An enum of another crate that may grow.
            _ => "malformed",
        }
    }
}

impl ErrorCode for VerifyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.code(),
            Self::Length { .. } => "proof_length",
            Self::Rejected { step, .. } => match step {
                Step::Statement => "rejected_statement",
                Step::Transcript => "rejected_transcript",
                Step::Halo2 => "rejected_halo2",
                Step::Linear => "rejected_linear",
            },
            Self::UnknownModel { .. } => "other_model",
            Self::WrongVersion { .. } => "wrong_version",
            Self::Expired { .. } => "expired",
        }
    }
}

impl ErrorCode for RegisterError {
    fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Model(_) => "invalid_model",
            Self::Lower(_) => "no_circuit",
            Self::Commitments { .. } => "commitment_count",
            Self::Point(_) => "commitment_point",
            Self::Bounds => "bounds",
            Self::OtherWeights(_) => "other_weights",
            Self::Registration(_) => "registration",
            Self::Keygen(_) => "no_key",
            Self::TooExpensive { .. } => "too_expensive",
        }
    }
}

impl ErrorCode for ParamsError {
    fn code(&self) -> &'static str {
        match self {
            Self::K(_) => "params_k",
            Self::Length { .. } => "params_length",
            Self::Digest { .. } => "params_digest",
        }
    }
}

impl ErrorCode for Unexpected {
    fn code(&self) -> &'static str {
        match self {
            Self::Domain => "other_domain",
            Self::JobId => "other_job",
            Self::Nonce => "other_nonce",
            Self::Requester => "other_requester",
            Self::Payee => "other_payee",
            Self::HiddenInput(_) => "hidden_input",
            Self::HiddenOutput(_) => "hidden_output",
        }
    }
}

impl ErrorCode for ReplayError {
    fn code(&self) -> &'static str {
        match self {
            Self::Replayed { .. } => "replayed",
            Self::Full { .. } => "guard_full",
            Self::Store => "guard_failed",
        }
    }
}

impl ErrorCode for JsonError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Object | Self::Invalid(_) => "malformed_json",
        }
    }
}

impl ErrorCode for ReceiptError {
    fn code(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.code(),
            Self::Json(error) => error.code(),
            Self::Version { .. } => "wrong_version",
            Self::Entry { .. } => "entry",
            Self::Uri => "storage_uri",
            Self::Model(error) => error.code(),
            Self::Metering { .. } => "metering",
            Self::Verify(error) => error.code(),
        }
    }
}
