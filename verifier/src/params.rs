//! Parameters of the commitment scheme: generators derived from a hash, no trusted setup.
//!
//! They are slow to derive (a second at k = 11), so callers cache them; cached bytes are accepted only
//! with the digest pinned here.

use crate::checks::{fails, Check};
use blake2b_simd::Params as Blake2b;
use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;

/// BLAKE2b-256 of `Params::write` for k = 4, 5, …, 18.
pub const PINNED: [&str; 15] = include!("pinned_params.in");

/// Why bytes are no parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// `k` has no pinned digest.
    #[error("k = {0} is outside of 4 to 18")]
    K(u32),
    /// Another length than parameters for `k` have.
    #[error("parameters for k = {k} have {expected} bytes, these are {actual}")]
    Length {
        /// The `k` asked for.
        k: u32,
        /// Expected length.
        expected: usize,
        /// Actual length.
        actual: usize,
    },
    /// Not the bytes that everyone derives.
    #[error("parameters for k = {k} have digest {actual}, expected {expected}: the file was changed")]
    Digest {
        /// The `k` asked for.
        k: u32,
        /// Pinned digest.
        expected: String,
        /// Actual digest.
        actual: String,
    },
}

fn pinned(k: u32) -> Result<&'static str, ParamsError> {
    k.checked_sub(4).and_then(|i| PINNED.get(i as usize)).copied().ok_or(ParamsError::K(k))
}

/// Digest of encoded parameters.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Blake2b::new().hash_length(32).hash(bytes).to_hex().to_string()
}

/// Reads cached parameters.
///
/// # Errors
/// [`ParamsError`] unless the bytes are exactly the pinned ones.
pub fn read(k: u32, bytes: &[u8]) -> Result<Params<EqAffine>, ParamsError> {
    let expected = pinned(k)?;
    let length = 4 + 32 * (2 * (1_usize << k) + 2);
    if fails(Check::ParamsLength, bytes.len() != length) {
        return Err(ParamsError::Length { k, expected: length, actual: bytes.len() });
    }
    let actual = digest(bytes);
    if fails(Check::ParamsDigest, actual != expected) {
        return Err(ParamsError::Digest { k, expected: expected.to_owned(), actual });
    }
    Params::read(&mut &bytes[..]).map_err(|_| ParamsError::K(k))
}

/// Derives parameters.
///
/// # Errors
/// [`ParamsError::K`] for a `k` that is not supported.
pub fn derive(k: u32) -> Result<Params<EqAffine>, ParamsError> {
    pinned(k)?;
    Ok(Params::new(k))
}

/// The bytes to cache.
#[must_use]
pub fn write(params: &Params<EqAffine>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = params.write(&mut bytes);
    bytes
}
