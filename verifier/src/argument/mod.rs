//! The linear part of the proof: the verifying side of every argument, in the order of the transcript.
//!
//! ```text
//! ρ, μ                          relations
//! (M_i → σ_i) for every round   sumcheck
//! mask pieces → γ → p', q' → η → ζ   product
//! (X_L, X_R → τ) for every fold, z, S → ξ, (L, R → u) k times, c, f → r   opening
//! ```
//!
//! The prover's side of each has the same name and the same steps. Nothing may follow `r`'s state.

pub mod opening;
pub mod product;
pub mod relations;
pub mod sumcheck;

use crate::{
    checks::{drawn, fails, Check},
    transcript::Challenge,
};
use halo2_proofs::transcript::{Transcript, TranscriptRead};
use pasta_curves::{EqAffine, Fp};

/// Challenges of the linear part up to ζ, with what was sent between them.
#[derive(Clone, Debug, Default)]
pub struct LinearMessages {
    /// The challenges.
    pub challenges: zkonnx_circuits::functional::LinearChallenges,
    /// Commitments of the pieces of messages: one per round, then the masks'.
    pub pieces: Vec<EqAffine>,
    /// `(p', q')` of every contraction with two hidden sides.
    pub masked: Vec<(Fp, Fp)>,
}

/// Why the linear part could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A point or a scalar is malformed.
    #[error("element {0} of the linear part is no canonical point or scalar")]
    Element(usize),
    /// A challenge that is divided by was zero.
    #[error("a challenge was zero")]
    ZeroChallenge,
}

/// A transcript that counts what it reads, for errors with a place.
#[derive(Debug)]
pub struct Reader<'a, T> {
    /// The transcript.
    pub transcript: &'a mut T,
    /// Elements read so far.
    pub count: usize,
}

impl<T: TranscriptRead<EqAffine, Challenge>> Reader<'_, T> {
    /// The next point.
    ///
    /// # Errors
    /// [`ReadError::Element`] when the bytes are no point of the curve, or the identity.
    pub fn point(&mut self) -> Result<EqAffine, ReadError> {
        self.count += 1;
        self.transcript.read_point().map_err(|_| ReadError::Element(self.count - 1))
    }

    /// The next scalar.
    ///
    /// # Errors
    /// [`ReadError::Element`] when the bytes are no canonical scalar.
    pub fn scalar(&mut self) -> Result<Fp, ReadError> {
        self.count += 1;
        self.transcript.read_scalar().map_err(|_| ReadError::Element(self.count - 1))
    }
}

impl<T: Transcript<EqAffine, Challenge>> Reader<'_, T> {
    /// The next challenge, by its name.
    pub fn challenge(&mut self, name: Check) -> Fp {
        let challenge = crate::transcript::squeeze(self.transcript);
        drawn(name, challenge, || Fp::from(7))
    }

    /// The next challenge, which must have an inverse.
    ///
    /// # Errors
    /// [`ReadError::ZeroChallenge`].
    pub fn nonzero_challenge(&mut self, name: Check) -> Result<(Fp, Fp), ReadError> {
        let challenge = self.challenge(name);
        let inverse = Option::<Fp>::from(ff::Field::invert(&challenge));
        if fails(Check::NonZero, inverse.is_none()) {
            return Err(ReadError::ZeroChallenge);
        }
        let inverse = inverse.unwrap_or_default();
        Ok((challenge, inverse))
    }
}
