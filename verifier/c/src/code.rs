//! Codes: stable numbers, one for every way in which something can end.

use std::ffi::{c_char, CStr};
use zkonnx_verifier::codes::ErrorCode;

/// Version of this interface: it grows with every change that a caller could notice. Compare it with
/// `zkonnx_abi_version()` when the library is loaded at run time.
pub const ZKONNX_ABI_VERSION: u32 = 1;

/// The version of the interface that the library was built with.
#[no_mangle]
pub extern "C" fn zkonnx_abi_version() -> u32 {
    ZKONNX_ABI_VERSION
}

/// How a call has ended. Numbers are never used again for something else; new ones may come: treat every number
/// but zero as "not accepted".
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ZkonnxCode {
    /// Done; of a proof: accepted.
    Ok = 0,

    /// A pointer that must not be null is.
    NullPointer = 1,
    /// A length that no buffer can have.
    BadLength = 2,
    /// The buffer is too small; nothing, or the beginning, was written.
    BufferTooSmall = 3,
    /// No tensor has this number.
    BadIndex = 4,
    /// A mistake of this library. It stays usable.
    Internal = 5,

    /// The bytes are not a file of this kind.
    NotThisFile = 10,
    /// The file has a version that this library does not know.
    UnknownFileVersion = 11,
    /// Truncated, too long, or not the canonical encoding.
    Malformed = 12,
    /// The proof has another length than proofs of this model.
    ProofLength = 13,
    /// Well-formed, but no valid model.
    InvalidModel = 14,
    /// Longer than any file of this kind may be.
    TooLong = 15,

    /// False: the statement is not one of this model.
    RejectedStatement = 20,
    /// False: a point off the curve, or a scalar that is not canonical.
    RejectedTranscript = 21,
    /// False: the halo2 proof of the gates, where a model has one.
    RejectedHalo2 = 22,
    /// False: the argument of everything else.
    RejectedLinear = 23,
    /// The statement is about another model.
    OtherModel = 30,
    /// The statement has a version that this library does not know.
    WrongVersion = 31,
    /// The statement's time is over.
    Expired = 32,
    /// Of a batch: not all proofs are accepted.
    NotAllAccepted = 38,
    /// For a reason that has no number here.
    NotAccepted = 39,

    /// Expected another domain.
    OtherDomain = 40,
    /// Expected another job.
    OtherJob = 41,
    /// Expected another nonce.
    OtherNonce = 42,
    /// Expected another requester.
    OtherRequester = 43,
    /// Expected another payee.
    OtherPayee = 44,
    /// An input is hidden that was expected not to be.
    HiddenInput = 45,
    /// An output is hidden that was expected not to be.
    HiddenOutput = 46,

    /// The model has no circuit with the layout that its file names.
    NoCircuit = 60,
    /// The number of parameter commitments is wrong.
    CommitmentCount = 61,
    /// A parameter commitment is no point of the curve.
    CommitmentPoint = 62,
    /// Private weights with bounds that do not follow from declared widths.
    Bounds = 63,
    /// The weights are not those of the commitments.
    OtherWeights = 64,
    /// There is no verifying key.
    NoKey = 65,
    /// Verification would cost more than the limit.
    TooExpensive = 66,
    /// The model is not registered.
    UnknownModel = 67,
    /// The registration proof of private weights is rejected.
    Registration = 68,

    /// No parameters exist for this `k`.
    ParamsK = 80,
    /// Parameters of another length.
    ParamsLength = 81,
    /// Parameters that are not the ones that everyone derives.
    ParamsDigest = 82,
}

impl ZkonnxCode {
    /// All codes.
    pub const ALL: &'static [Self] = &[
        Self::Ok,
        Self::NullPointer,
        Self::BadLength,
        Self::BufferTooSmall,
        Self::BadIndex,
        Self::Internal,
        Self::NotThisFile,
        Self::UnknownFileVersion,
        Self::Malformed,
        Self::ProofLength,
        Self::InvalidModel,
        Self::TooLong,
        Self::RejectedStatement,
        Self::RejectedTranscript,
        Self::RejectedHalo2,
        Self::RejectedLinear,
        Self::OtherModel,
        Self::WrongVersion,
        Self::Expired,
        Self::NotAllAccepted,
        Self::NotAccepted,
        Self::OtherDomain,
        Self::OtherJob,
        Self::OtherNonce,
        Self::OtherRequester,
        Self::OtherPayee,
        Self::HiddenInput,
        Self::HiddenOutput,
        Self::NoCircuit,
        Self::CommitmentCount,
        Self::CommitmentPoint,
        Self::Bounds,
        Self::OtherWeights,
        Self::NoKey,
        Self::TooExpensive,
        Self::UnknownModel,
        Self::Registration,
        Self::ParamsK,
        Self::ParamsLength,
        Self::ParamsDigest,
    ];

    /// Lower-case letters and underscores.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Ok => c"ok",
            Self::NullPointer => c"null_pointer",
            Self::BadLength => c"bad_length",
            Self::BufferTooSmall => c"buffer_too_small",
            Self::BadIndex => c"bad_index",
            Self::Internal => c"internal",
            Self::NotThisFile => c"not_this_file",
            Self::UnknownFileVersion => c"unknown_file_version",
            Self::Malformed => c"malformed",
            Self::ProofLength => c"proof_length",
            Self::InvalidModel => c"invalid_model",
            Self::TooLong => c"too_long",
            Self::RejectedStatement => c"rejected_statement",
            Self::RejectedTranscript => c"rejected_transcript",
            Self::RejectedHalo2 => c"rejected_halo2",
            Self::RejectedLinear => c"rejected_linear",
            Self::OtherModel => c"other_model",
            Self::WrongVersion => c"wrong_version",
            Self::Expired => c"expired",
            Self::NotAllAccepted => c"not_all_accepted",
            Self::NotAccepted => c"not_accepted",
            Self::OtherDomain => c"other_domain",
            Self::OtherJob => c"other_job",
            Self::OtherNonce => c"other_nonce",
            Self::OtherRequester => c"other_requester",
            Self::OtherPayee => c"other_payee",
            Self::HiddenInput => c"hidden_input",
            Self::HiddenOutput => c"hidden_output",
            Self::NoCircuit => c"no_circuit",
            Self::CommitmentCount => c"commitment_count",
            Self::CommitmentPoint => c"commitment_point",
            Self::Bounds => c"bounds",
            Self::OtherWeights => c"other_weights",
            Self::NoKey => c"no_key",
            Self::TooExpensive => c"too_expensive",
            Self::UnknownModel => c"unknown_model",
            Self::Registration => c"registration",
            Self::ParamsK => c"params_k",
            Self::ParamsLength => c"params_length",
            Self::ParamsDigest => c"params_digest",
        }
    }
}

/// The name of a code: lower-case letters and underscores, for logs. Never null; it lives as long as the library.
#[no_mangle]
pub extern "C" fn zkonnx_code_name(code: i32) -> *const c_char {
    let known = ZkonnxCode::ALL.iter().find(|known| **known as i32 == code);
    known.map_or(c"unknown", |known| known.name()).as_ptr()
}

/// A code with its message.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: ZkonnxCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: ZkonnxCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl<E: ErrorCode + std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        let known = ZkonnxCode::ALL.iter().find(|known| known.name().to_bytes() == error.code().as_bytes());
        Self { code: known.copied().unwrap_or(ZkonnxCode::NotAccepted), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use zkonnx_quantize::model::DecodeError;
    use zkonnx_verifier::{
        error::{RegisterError, Step, VerifyError},
        expected::Unexpected,
        params::ParamsError,
    };

    #[test]
    fn every_code_has_its_own_number_and_name() {
        let names: BTreeSet<_> = ZkonnxCode::ALL.iter().map(|c| c.name()).collect();
        let numbers: BTreeSet<_> = ZkonnxCode::ALL.iter().map(|c| *c as i32).collect();
        assert_eq!([names.len(), numbers.len()], [ZkonnxCode::ALL.len(); 2]);
        assert!(!names.contains(c"unknown"));
        assert_eq!(ZkonnxCode::RejectedLinear as i32, 23);
    }

    #[test]
    fn every_error_has_its_own_code() {
        let text = String::new;
        let malformed = || DecodeError::Malformed(text());
        let steps = [Step::Statement, Step::Transcript, Step::Halo2, Step::Linear];
        let mut failures: Vec<Failure> =
            steps.map(|step| VerifyError::Rejected { step, reason: text() }.into()).into_iter().collect();
        failures.extend([
            VerifyError::Malformed(malformed()).into(),
            VerifyError::Malformed(DecodeError::Magic { expected: "" }).into(),
            VerifyError::Malformed(DecodeError::TooLong { kind: "", actual: 2, limit: 1 }).into(),
            VerifyError::Malformed(DecodeError::Version { what: "", expected: 1, actual: 2 }).into(),
            VerifyError::Length { expected: 1, actual: 2 }.into(),
            VerifyError::UnknownModel { expected: text(), actual: text() }.into(),
            VerifyError::WrongVersion { what: "", expected: 1, actual: 2 }.into(),
            VerifyError::Expired { not_after: 1, now: 2 }.into(),
            RegisterError::Commitments { expected: 1, actual: 2 }.into(),
            RegisterError::Point(0).into(),
            RegisterError::Bounds.into(),
            RegisterError::OtherWeights(0).into(),
            RegisterError::Keygen(text()).into(),
            RegisterError::TooExpensive { actual: 2, limit: 1 }.into(),
            ParamsError::K(3).into(),
            ParamsError::Length { k: 4, expected: 1, actual: 2 }.into(),
            ParamsError::Digest { k: 4, expected: text(), actual: text() }.into(),
            Unexpected::Domain.into(),
            Unexpected::JobId.into(),
            Unexpected::Nonce.into(),
            Unexpected::Requester.into(),
            Unexpected::Payee.into(),
            Unexpected::HiddenInput(text()).into(),
            Unexpected::HiddenOutput(text()).into(),
        ]);
        let codes: BTreeSet<i32> = failures.iter().map(|f| f.code as i32).collect();
        assert_eq!(codes.len(), failures.len());
        assert!(!codes.contains(&(ZkonnxCode::NotAccepted as i32)) && !codes.contains(&0));
    }
}
