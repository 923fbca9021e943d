//! The proof file: a statement with its proof.

use crate::{
    limits::Limits,
    statement::{Statement, FORMAT_VERSION, SUITE},
};
use bincode::{Decode, Encode};
use zkonnx_quantize::model::{decode_file, encode_file, DecodeError, SEMANTICS_VERSION};

/// First bytes of a proof file.
pub const PROOF_MAGIC: &[u8; 8] = b"zkonnxP\n";

/// A statement with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProofFile {
    /// What is proven.
    pub statement: Statement,
    /// The proof.
    pub proof: Vec<u8>,
}

impl ProofFile {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode_file(PROOF_MAGIC, &[FORMAT_VERSION, SUITE, SEMANTICS_VERSION], self)
    }

    /// Reads a proof file. Nothing is verified.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the canonical encoding of the known versions.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let versions = [("format", FORMAT_VERSION), ("suite", SUITE), ("semantics", SEMANTICS_VERSION)];
        decode_file(PROOF_MAGIC, ("proof", Limits::PROOF_FILE_BYTES), &versions, bytes)
    }
}
