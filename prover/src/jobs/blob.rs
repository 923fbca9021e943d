//! Artefacts by their content: models, inputs and receipts.

use blake2b_simd::Params as Blake2b;
use serde::{Deserialize, Serialize};
use std::fmt;
use zkonnx_verifier::json::{from_hex, to_hex};

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
