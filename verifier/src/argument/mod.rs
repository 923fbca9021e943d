//! The proof without halo2's part: the verifying side of every step, in the order of the transcript.
//!
//! ```text
//! points of free columns and multiplicities          (step 1)
//! [halo2's proof]                                    (step 2)
//! θ, φ, (values → β), { λ, ((c1, c2) → σ)…, values → β }…   lookup     (step 3)
//! ρ, μ, ((c1, c2) → σ)…                              relations, contractions  (step 4)
//! ω, ((c1, c2) → δ)…, l, r, η                        pairs      (steps 5, 6)
//! (X_L, X_R → τ) for every fold, z, S → ξ, (L, R → u) k times, c, f [→ r]   opening    (step 7)
//! ```
//!
//! The prover's side of each has the same name and the same steps. Nothing may follow.

pub mod contractions;
pub mod lookup;
pub mod opening;
pub mod pairs;
pub mod relations;

use crate::{
    checks::{drawn, fails, Check},
    transcript::Challenge,
};
use halo2_proofs::transcript::{Transcript, TranscriptRead};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::messages::Challenges;

/// Challenges up to η, with what was sent between them.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// The challenges.
    pub challenges: Challenges,
    /// Commitments of the pieces, in order.
    pub pieces: Vec<EqAffine>,
    /// The scalars `l`, `r`; zero where there are no pairs.
    pub clear: (Fp, Fp),
}

/// Why the proof could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A point or a scalar is malformed.
    #[error("element {0}, not counting halo2's, is no canonical point or scalar")]
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

    /// The next points.
    ///
    /// # Errors
    /// As [`Reader::point`].
    pub fn points(&mut self, count: usize) -> Result<Vec<EqAffine>, ReadError> {
        (0..count).map(|_| self.point()).collect()
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
