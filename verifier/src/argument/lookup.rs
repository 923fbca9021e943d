//! Lookups: a sum of fractions, proven in layers (protocol, step 3).
//!
//! *Relation.* Every looked-up tuple is a row of its table: `Σ_lookups 1/(φ + f) − Σ_rows m/(φ + t) = 0` for fingerprints
//! `f, t = θ²·tag + x + θ·y` (Papini, Haböck, *Improving logarithmic derivative lookups using GKR*, 2023). *Notation.* Leaves are fractions `p/q`, all slots and rows of them;
//! a node of layer `ℓ` is the sum of two of layer `ℓ + 1`: `p = p0·q1 + p1·q0`, `q = q0·q1`. Layer 0 is the sum.
//!
//! *Rounds.* Layer `ℓ` is claimed at a point: `P = p(z)`, `Q = q(z)`. `λ` combines both claims; a sumcheck of `ℓ` rounds, messages
//! `(c1, c2)`, brings them to a point `σ`, where the four values below are sent; `β` makes them claims about layer `ℓ + 1`. That
//! `p0·q1 + q0·(p1 + λ·q1)` is what the sumcheck leaves is checked with all other products ([`super::pairs`]).
//! Soundness error: `(2(N + M − 1) + ν² + ν)/|F|`, for `N` lookups and `M` table rows. Cost: `ν(ν + 1)/2` points.

use super::{Messages, ReadError, Reader};
use crate::{checks::Check, transcript::Challenge};
use halo2_proofs::transcript::TranscriptRead;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::messages::{LayerChallenges, Rounds};

/// 3. Draws `θ`, `φ`; layer by layer draws `λ`, reads the rounds, reads the values, draws `β`.
///
/// # Errors
/// [`ReadError`].
pub fn verify<T: TranscriptRead<EqAffine, Challenge>>(
    rounds: &Rounds,
    reader: &mut Reader<'_, T>,
    messages: &mut Messages,
) -> Result<(), ReadError> {
    if rounds.layers == 0 {
        return Ok(());
    }
    messages.challenges.theta = reader.challenge(Check::Theta);
    messages.challenges.phi = reader.challenge(Check::Phi);
    for layer in 0..rounds.layers {
        // 3a. Layer 0 is the claim p = 0, and has no rounds.
        let lambda = if layer == 0 { Fp::zero() } else { reader.challenge(Check::Lambda) };
        let mut own = LayerChallenges { lambda, ..LayerChallenges::default() };
        for _ in 0..layer {
            messages.pieces.push(reader.point()?);
            own.sigma.push(reader.challenge(Check::LayerSigma));
        }
        // 3b. The four values.
        messages.pieces.push(reader.point()?);
        // 3c. β, only now.
        own.beta = reader.challenge(Check::Line);
        messages.challenges.layers.push(own);
    }
    Ok(())
}
