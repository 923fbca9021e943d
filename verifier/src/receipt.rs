//! The receipt: a proof with its statement, and what settlement wants beside them.
//!
//! Binary for machines (`zkonnxR\n`, canonical: decoding and encoding again gives the same bytes), JSON for people and
//! services, both of the same struct. A receipt says nothing by itself: [`Receipt::verify`] decides about it.

use crate::{
    batch::BatchItem,
    checks::{fails, Check},
    error::{RegisterError, VerifyError},
    json::JsonError,
    limits::Limits,
    metering::Metering,
    registry::ModelHandle,
    statement::{Integers, Statement, TensorEntry, TensorValue, FORMAT_VERSION, SUITE},
    verify::{verify, Verified},
};
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zkonnx_quantize::model::{decode_file, encode_file, DecodeError, SEMANTICS_VERSION};

/// First bytes of a receipt.
pub const RECEIPT_MAGIC: &[u8; 8] = b"zkonnxR\n";

/// Where data that belongs to the job is kept; nothing about it is proven.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageReference {
    /// Printable ASCII, at most [`Limits::URI`] bytes.
    pub uri: String,
    /// BLAKE2b-256 of the data.
    #[serde(with = "crate::json::hex32")]
    pub digest: [u8; 32],
    /// Bytes of the data.
    pub length: u64,
    /// Unix time in seconds until which it is kept; 0 when nothing is promised.
    pub expires: u64,
}

/// A proof with its statement, metering, and perhaps a storage reference.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What is proven.
    pub statement: Statement,
    /// The proof.
    #[serde(with = "crate::json::bytes")]
    pub proof: Vec<u8>,
    /// What it is charged for.
    pub metering: Metering,
    /// Where data is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageReference>,
}

/// Why bytes or a text are no receipt, or a receipt is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not the canonical bytes.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Not the JSON of a receipt.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The statement's versions are not known.
    #[error("{what} version {actual} is unknown, this program knows {expected}")]
    Version {
        /// Which version.
        what: &'static str,
        /// The known one.
        expected: u16,
        /// The statement's.
        actual: u16,
    },
    /// A tensor's integers are not in their narrowest encoding, or its digest is another's.
    #[error("the entry of '{name}' is not canonical: {reason}")]
    Entry {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The storage reference's URI is empty, too long, or not printable ASCII.
    #[error("the storage URI is not 1 to {} printable ASCII characters", Limits::URI)]
    Uri,
    /// The model has no circuit with the statement's modes.
    #[error(transparent)]
    Model(#[from] RegisterError),
    /// The metering is not the model's.
    #[error("the metering is not the model's: {actual:?}, expected {expected:?}")]
    Metering {
        /// The model's.
        expected: Box<Metering>,
        /// The receipt's.
        actual: Box<Metering>,
    },
    /// The proof was not accepted.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl Receipt {
    /// A receipt for a proof, with the model's metering. Nothing is verified.
    ///
    /// # Errors
    /// [`ReceiptError::Model`] when the model has no circuit with the statement's modes.
    pub fn new(handle: &ModelHandle, statement: Statement, proof: Vec<u8>) -> Result<Self, ReceiptError> {
        let metering = Metering::of(&handle.keys(&statement.modes())?.compiled);
        Ok(Self { statement, proof, metering, storage: None })
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_file(RECEIPT_MAGIC, &[FORMAT_VERSION, SUITE, SEMANTICS_VERSION], self)
    }

    /// Reads the canonical bytes. Nothing is verified.
    ///
    /// # Errors
    /// [`ReceiptError`] for anything but a receipt of the known versions.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let versions = [("format", FORMAT_VERSION), ("suite", SUITE), ("semantics", SEMANTICS_VERSION)];
        let receipt: Self = decode_file(RECEIPT_MAGIC, ("receipt", Limits::RECEIPT_BYTES), &versions, bytes)?;
        receipt.check()?;
        Ok(receipt)
    }

    /// The JSON, with line breaks.
    ///
    /// # Errors
    /// None in practice.
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        Ok(serde_json::to_string_pretty(self).map_err(|e| JsonError::Invalid(e.to_string()))?)
    }

    /// Reads the JSON. Nothing is verified.
    ///
    /// # Errors
    /// [`ReceiptError`] for anything but a receipt of the known versions.
    #[cfg(feature = "json")]
    pub fn from_json(text: &[u8]) -> Result<Self, ReceiptError> {
        let receipt: Self = crate::json::from_json(text, Limits::RECEIPT_JSON_BYTES)?;
        receipt.check()?;
        Ok(receipt)
    }

    /// Reads either: JSON starts with a brace.
    ///
    /// # Errors
    /// [`ReceiptError`].
    #[cfg(feature = "json")]
    pub fn from_either(bytes: &[u8]) -> Result<Self, ReceiptError> {
        match bytes.trim_ascii_start().starts_with(b"{") {
            true => Self::from_json(bytes),
            false => Self::from_bytes(bytes),
        }
    }

    /// What both encodings ask for beyond their syntax: then a receipt is the same in both.
    fn check(&self) -> Result<(), ReceiptError> {
        let statement = &self.statement;
        for (what, expected, actual) in [
            ("format", FORMAT_VERSION, statement.format),
            ("suite", SUITE, statement.suite),
            ("semantics", SEMANTICS_VERSION, statement.semantics),
        ] {
            if expected != actual {
                return Err(ReceiptError::Version { what, expected, actual });
            }
        }
        for entry in statement.inputs.iter().chain(&statement.outputs) {
            let wrong = |reason| Err(ReceiptError::Entry { name: entry.name.clone(), reason });
            if let TensorValue::Public(integers) = &entry.value {
                if Integers::new(&integers.to_vec()) != *integers {
                    return wrong("the integers are not in their narrowest encoding");
                }
            }
            if TensorEntry::digest_of(&entry.shape, &entry.value) != entry.digest {
                return wrong("the digest is not its own");
            }
        }
        let is_uri = |uri: &str| (1..=Limits::URI).contains(&uri.len()) && uri.bytes().all(|b| b.is_ascii_graphic());
        match &self.storage {
            Some(storage) if !is_uri(&storage.uri) => Err(ReceiptError::Uri),
            _ => Ok(()),
        }
    }

    /// Whether the metering is the model's: what [`Receipt::verify`] asks for beside the proof.
    ///
    /// # Errors
    /// [`ReceiptError::Metering`] when it is not, [`ReceiptError::Model`] when the model has no circuit with these modes.
    pub fn check_metering(&self, handle: &ModelHandle) -> Result<(), ReceiptError> {
        let expected = Metering::of(&handle.keys(&self.statement.modes())?.compiled);
        if fails(Check::Metering, self.metering != expected) {
            return Err(ReceiptError::Metering { expected: Box::new(expected), actual: Box::new(self.metering) });
        }
        Ok(())
    }

    /// Verifies the proof, and that the metering is the model's. The storage reference is no part of what is proven.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, handle: &ModelHandle, now: Option<u64>) -> Result<Verified, ReceiptError> {
        let verified = verify(handle, &self.statement, &self.proof, now)?;
        self.check_metering(handle)?;
        Ok(verified)
    }

    /// The proof as one of a batch. The metering is checked apart.
    #[must_use]
    pub fn item<'a>(&'a self, handle: &'a ModelHandle) -> BatchItem<'a> {
        BatchItem { handle, statement: &self.statement, proof: &self.proof }
    }
}
