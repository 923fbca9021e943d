//! Why something was not accepted.

use zkonnx_circuits::lower::LowerError;
use zkonnx_quantize::{model::DecodeError, validate::ModelError};

/// The part of the verification that said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The statement is not one of this model: names, shapes, modes, intervals, digests.
    Statement,
    /// A point is not on the curve, a scalar not canonical, or a challenge was zero.
    Transcript,
    /// The halo2 proof of the non-linear part.
    Halo2,
    /// The argument of the linear part.
    Linear,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Statement => "statement",
            Self::Transcript => "transcript",
            Self::Halo2 => "halo2",
            Self::Linear => "linear",
        })
    }
}

/// Why a proof was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bytes are no proof file, or a proof of another length.
    #[error("malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The proof's length is not the model's.
    #[error("malformed: the proof has {actual} bytes, a proof of this model has {expected}")]
    Length {
        /// The exact length.
        expected: usize,
        /// The length given.
        actual: usize,
    },
    /// Well-formed, and false or for something else.
    #[error("rejected ({step}): {reason}")]
    Rejected {
        /// Where.
        step: Step,
        /// Why.
        reason: String,
    },
    /// The statement names another model.
    #[error("the statement is about model {actual}, the registered model is {expected}")]
    UnknownModel {
        /// The handle's model id.
        expected: String,
        /// The statement's model id.
        actual: String,
    },
    /// The statement's versions are not known.
    #[error("{what} version {actual} is unknown, this verifier knows {expected}")]
    WrongVersion {
        /// Which version.
        what: &'static str,
        /// The known one.
        expected: u16,
        /// The statement's.
        actual: u16,
    },
    /// The context's time is over.
    #[error("expired: the statement is valid until {not_after}, it is {now}")]
    Expired {
        /// Last valid second.
        not_after: u64,
        /// The caller's time.
        now: u64,
    },
}

impl VerifyError {
    /// A rejection.
    pub(crate) fn rejected(step: Step, reason: impl Into<String>) -> Self {
        Self::Rejected { step, reason: reason.into() }
    }
}

/// Why a model was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Not a `model.zkv`.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The graph is not valid.
    #[error("invalid model: {0}")]
    Model(#[from] ModelError),
    /// The graph has no circuit with the layout that the file names.
    #[error("the model has no circuit: {0}")]
    Lower(#[from] LowerError),
    /// The number of parameter commitments is not the layout's.
    #[error("the file has {actual} parameter commitments, its graph needs {expected}")]
    Commitments {
        /// What the layout needs.
        expected: usize,
        /// What the file has.
        actual: usize,
    },
    /// A parameter commitment is no point.
    #[error("parameter commitment {0} is not a point of the curve")]
    Point(usize),
    /// Private weights with bounds that do not follow from declared widths.
    #[error("the model has private weights, and bounds that do not follow from its declared widths")]
    Bounds,
    /// The registration proof of private weights is none, or there is one where none belongs.
    #[error("the registration proof of the private weights is rejected: {0}")]
    Registration(String),
    /// The weights given are not those of the commitments.
    #[error("parameter commitment {0} is not that of the given weights")]
    OtherWeights(usize),
    /// halo2 could not make a key.
    #[error("no verifying key: {0}")]
    Keygen(String),
    /// Verification would cost more than the limit.
    #[error("verifying would take {actual} field multiplications, the limit is {limit}")]
    TooExpensive {
        /// Estimated work.
        actual: usize,
        /// Largest allowed.
        limit: usize,
    },
}
