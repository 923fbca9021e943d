//! Artefacts by their content: models, inputs and receipts.

mod directory;
#[cfg(feature = "s3")]
mod objects;

pub use directory::Directory;
#[cfg(feature = "s3")]
pub use objects::Objects;

use blake2b_simd::Params as Blake2b;
use serde::{Deserialize, Serialize};
use std::{fmt, io, path::PathBuf};
use zkonnx_verifier::{
    json::{from_hex, to_hex},
    limits::Limits,
};

/// Bytes of the longest artefact.
pub const MAX_BLOB: usize = Limits::FILE_BYTES;

/// Why an artefact cannot be had, or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is none with this id.
    #[error("there is no artefact {0}")]
    Missing(BlobId),
    /// What is kept under an id has another digest.
    #[error("the artefact {expected} is damaged: its digest is {actual}")]
    Damaged {
        /// Its id.
        expected: BlobId,
        /// Its digest.
        actual: BlobId,
    },
    /// Too long to be one.
    #[error("{actual} bytes of an artefact: the limit is {MAX_BLOB}")]
    TooLong {
        /// Its bytes.
        actual: u64,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The object storage says no.
    #[error("object storage: {0}")]
    Storage(String),
    /// The address of a storage that is none.
    #[error("'{0}' is no place for artefacts: give a folder, or s3://BUCKET/PREFIX")]
    Address(String),
    /// A store without a folder beside it, and no place is named.
    #[error("no place for artefacts is given: name a folder that all workers see, or s3://BUCKET/PREFIX")]
    NoAddress,
}

/// Artefacts by their content. What is there is whole: nobody sees a part of it.
pub trait BlobStore: fmt::Debug + Send + Sync {
    /// Keeps bytes, over a power cut; changes nothing when they are there.
    ///
    /// # Errors
    /// [`BlobError`] when they cannot be kept: nothing can be seen of them then.
    fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError>;

    /// The bytes of an id, with this digest.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Damaged`], or when they cannot be read.
    fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError>;
}

/// Refuses what has another digest.
fn checked(id: BlobId, bytes: Vec<u8>) -> Result<Vec<u8>, BlobError> {
    match BlobId::of(&bytes) {
        actual if actual == id => Ok(bytes),
        actual => Err(BlobError::Damaged { expected: id, actual }),
    }
}

fn length(bytes: &[u8]) -> Result<(), BlobError> {
    match bytes.len() {
        0..=MAX_BLOB => Ok(()),
        actual => Err(BlobError::TooLong { actual: u64::try_from(actual).unwrap_or(u64::MAX) }),
    }
}

/// BLAKE2b-256 of the content: what `b2sum -l 256` prints.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobId(pub [u8; 32]);

impl BlobId {
    /// The id of a content.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(Blake2b::new().hash_length(32).hash(bytes).as_bytes());
        Self(id)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

impl From<BlobId> for String {
    fn from(id: BlobId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for BlobId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        from_hex(&text).and_then(|b| b.try_into().ok()).map(Self).ok_or("not 64 hexadecimal digits")
    }
}
