//! The transcript: one Blake2b transcript of halo2 that runs through the whole proof.
//!
//! Order: separator, format, suite and semantics versions, statement digest (two scalars of 128
//! bits); then everything that is sent, see [`crate::argument`], with halo2's proof where there is one.

use crate::{
    length::ELEMENT,
    parallel,
    statement::{StatementDigest, FORMAT_VERSION, SUITE},
};
use blake2b_simd::Params as Blake2b;
use ff::{FromUniformBytes, PrimeField};
use group::GroupEncoding;
use halo2_proofs::transcript::{Blake2bRead, Challenge255, EncodedChallenge, Transcript, TranscriptRead};
use pasta_curves::{EqAffine, Fp};
use std::io;
use zkonnx_quantize::model::SEMANTICS_VERSION;

/// The encoding of challenges.
pub type Challenge = Challenge255<EqAffine>;

/// First scalar of every transcript.
const SEPARATOR: &[u8; 16] = b"zkonnx.argument2";

/// Absorbs everything that comes before the first message.
///
/// # Errors
/// None in practice; the transcript's writer may fail.
pub fn absorb_header<T: Transcript<EqAffine, Challenge>>(
    transcript: &mut T,
    digest: &StatementDigest,
) -> io::Result<()> {
    transcript.common_scalar(Fp::from_u128(u128::from_le_bytes(*SEPARATOR)))?;
    for version in [FORMAT_VERSION, SUITE, SEMANTICS_VERSION] {
        transcript.common_scalar(Fp::from(u64::from(version)))?;
    }
    let (low, high) = digest.0.split_at(16);
    for half in [low, high] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(half);
        transcript.common_scalar(Fp::from_u128(u128::from_le_bytes(bytes)))?;
    }
    Ok(())
}

/// The next challenge.
pub fn squeeze<T: Transcript<EqAffine, Challenge>>(transcript: &mut T) -> Fp {
    transcript.squeeze_challenge().get_scalar()
}

/// The transcript of a proof's bytes. Points are decompressed ahead, all at once, and absorbed when they are read; the points that
/// were read are kept.
#[derive(Debug)]
pub struct ProofTranscript<'a> {
    inner: Blake2bRead<&'a [u8], EqAffine, Challenge>,
    elements: &'a [[u8; ELEMENT]],
    /// The elements that are points.
    points: Vec<Option<EqAffine>>,
    at: usize,
    /// Points that were read since the last [`ProofTranscript::take_points`].
    read: Vec<EqAffine>,
}

impl<'a> ProofTranscript<'a> {
    /// Reads from the first element on. Bytes after the last whole element are no element.
    #[must_use]
    pub fn new(proof: &'a [u8]) -> Self {
        let elements = proof.as_chunks().0;
        let points =
            parallel::map(elements.iter().collect(), |bytes: &[u8; ELEMENT]| EqAffine::from_bytes(bytes).into());
        Self { inner: Blake2bRead::init(&[]), elements, points, at: 0, read: Vec::new() }
    }

    /// Elements that were not read.
    #[must_use]
    pub fn num_left(&self) -> usize {
        self.elements.len() - self.at
    }

    /// The points that were read since the last call.
    pub fn take_points(&mut self) -> Vec<EqAffine> {
        std::mem::take(&mut self.read)
    }

    fn next(&mut self) -> Option<usize> {
        let at = self.at;
        (at < self.elements.len()).then(|| {
            self.at += 1;
            at
        })
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Transcript<EqAffine, Challenge> for ProofTranscript<'_> {
    fn squeeze_challenge(&mut self) -> Challenge {
        self.inner.squeeze_challenge()
    }
    fn common_point(&mut self, point: EqAffine) -> io::Result<()> {
        self.inner.common_point(point)
    }
    fn common_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl TranscriptRead<EqAffine, Challenge> for ProofTranscript<'_> {
    fn read_point(&mut self) -> io::Result<EqAffine> {
        let point = self.next().and_then(|at| self.points.get(at).copied().flatten());
        let point = point.ok_or_else(|| malformed("not a point of the curve"))?;
        // Refuses the identity.
        self.inner.common_point(point)?;
        self.read.push(point);
        Ok(point)
    }
    fn read_scalar(&mut self) -> io::Result<Fp> {
        let scalar = self.next().and_then(|at| self.elements.get(at)).and_then(|bytes| Fp::from_repr(*bytes).into());
        let scalar = scalar.ok_or_else(|| malformed("not a canonical scalar"))?;
        self.inner.common_scalar(scalar)?;
        Ok(scalar)
    }
}

/// What a transcript ends with: two challenges more, 64 bytes, that depend on everything absorbed.
pub fn final_state<T: Transcript<EqAffine, Challenge>>(transcript: &mut T) -> [u8; 64] {
    let mut state = [0; 64];
    for half in state.chunks_exact_mut(32) {
        half.copy_from_slice(&*transcript.squeeze_challenge());
    }
    state
}

/// The weights of proofs in a batch: for each, a wide reduction of BLAKE2b over `"batch"`, their number, the final states of
/// *all* of them, and its place.
///
/// A weight that depends on its own proof alone, or on none, would let two proofs be wrong by amounts that cancel.
#[must_use]
pub fn batch_weights(final_states: &[[u8; 64]]) -> Vec<Fp> {
    let mut state = Blake2b::new().hash_length(64).personal(b"zkonnx.batch.v1_").to_state();
    state.update(b"batch");
    state.update(&u64::try_from(final_states.len()).unwrap_or(u64::MAX).to_le_bytes());
    for proof in final_states {
        state.update(proof);
    }
    (0_u64..)
        .take(final_states.len())
        .map(|i| Fp::from_uniform_bytes(state.clone().update(&i.to_le_bytes()).finalize().as_array()))
        .collect()
}

/// Records the one scalar that `VerifyingKey::hash_into` absorbs: the digest of the key.
#[derive(Debug, Default)]
pub struct KeyDigest(pub Option<Fp>);

impl Transcript<EqAffine, Challenge> for KeyDigest {
    fn squeeze_challenge(&mut self) -> Challenge {
        Challenge255::new(&[0; 64])
    }
    fn common_point(&mut self, _: EqAffine) -> io::Result<()> {
        Err(io::Error::other("a verifying key absorbs no point"))
    }
    fn common_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        match self.0.replace(scalar) {
            None => Ok(()),
            Some(_) => Err(io::Error::other("a verifying key absorbs one scalar")),
        }
    }
}
