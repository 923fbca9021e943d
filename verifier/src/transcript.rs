//! The transcript: one Blake2b transcript of halo2 that runs through the whole proof.
//!
//! Order: separator, format, suite and semantics versions, statement digest (two scalars of 128
//! bits); then halo2's proof; then the linear part, see [`crate::argument`]. The challenges `φ`, `θ` of LogUp
//! are *not* from this transcript: halo2 has no challenge phases, so they are a hash of the
//! phase-1 commitments, which are the first points of halo2's proof.

use crate::statement::{StatementDigest, FORMAT_VERSION, SUITE};
use blake2b_simd::Params as Blake2b;
use ff::{FromUniformBytes, PrimeField};
use group::GroupEncoding;
use halo2_proofs::transcript::{Challenge255, EncodedChallenge, Transcript, TranscriptRead};
use pasta_curves::{EqAffine, Fp};
use std::io;
use zkonnx_quantize::model::SEMANTICS_VERSION;

/// The encoding of challenges.
pub type Challenge = Challenge255<EqAffine>;

/// First scalar of every transcript.
const SEPARATOR: &[u8; 16] = b"zkonnx.argument1";

/// Absorbs everything that comes before halo2's proof.
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

/// What was read and drawn, in order.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Points.
    pub points: Vec<EqAffine>,
    /// Challenges.
    pub challenges: Vec<Fp>,
}

/// A transcript whose first points were read ahead: they are absorbed, but not decompressed again. It keeps a record.
#[derive(Debug)]
pub struct ReadAhead<'a, T> {
    /// The transcript; what it reads starts after those points.
    inner: T,
    ahead: std::slice::Iter<'a, EqAffine>,
    /// So far.
    pub record: Record,
}

impl<'a, T> ReadAhead<'a, T> {
    /// `inner` reads what follows `points`.
    pub fn new(inner: T, points: &'a [EqAffine]) -> Self {
        Self { inner, ahead: points.iter(), record: Record::default() }
    }
}

impl<T: Transcript<EqAffine, Challenge>> Transcript<EqAffine, Challenge> for ReadAhead<'_, T> {
    fn squeeze_challenge(&mut self) -> Challenge {
        let challenge = self.inner.squeeze_challenge();
        self.record.challenges.push(challenge.get_scalar());
        challenge
    }
    fn common_point(&mut self, point: EqAffine) -> io::Result<()> {
        self.inner.common_point(point)
    }
    fn common_scalar(&mut self, scalar: Fp) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl<T: TranscriptRead<EqAffine, Challenge>> TranscriptRead<EqAffine, Challenge> for ReadAhead<'_, T> {
    fn read_point(&mut self) -> io::Result<EqAffine> {
        let point = match self.ahead.next() {
            Some(point) => {
                self.inner.common_point(*point)?;
                *point
            }
            None => self.inner.read_point()?,
        };
        self.record.points.push(point);
        Ok(point)
    }
    fn read_scalar(&mut self) -> io::Result<Fp> {
        self.inner.read_scalar()
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

/// The challenges `(θ, φ)` of LogUp: a wide reduction of BLAKE2b over everything that is fixed by then.
#[must_use]
pub fn lookup_challenges(digest: &StatementDigest, vk_digest: Fp, shard: u32, points: &[[u8; 32]]) -> (Fp, Fp) {
    let mut state = Blake2b::new().hash_length(64).personal(b"zkonnx.logup.v1_").to_state();
    state.update(&digest.0);
    state.update(&vk_digest.to_repr());
    state.update(&shard.to_le_bytes());
    state.update(&u64::try_from(points.len()).unwrap_or(u64::MAX).to_le_bytes());
    for point in points {
        state.update(point);
    }
    let [theta, phi] = [0_u8, 1].map(|which| {
        let mut state = state.clone();
        state.update(&[which]);
        Fp::from_uniform_bytes(state.finalize().as_array())
    });
    (theta, phi)
}

/// Compressed points.
#[must_use]
pub fn compress(points: &[EqAffine]) -> Vec<[u8; 32]> {
    points.iter().map(GroupEncoding::to_bytes).collect()
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
