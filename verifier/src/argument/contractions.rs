//! One sumcheck for all contractions, its messages hidden (protocol, section 5 and step 4).
//!
//! Claims are averages over the variables. A round's message is `(c1, c2)` of `h(X) = c0 + c1·X + c2·X²`; the claim
//! `(h(0) + h(1))/2` makes up `c0`, so that `h(σ) = claim + (σ − ½)·c1 + (σ² − ½)·c2` stays a linear functional of messages and columns.
//! A contraction with fewer variables keeps its average and enters late; it uses the last challenges. Row gates that are products
//! are one contraction. Soundness error: `2R/|F|`. Cost: one point a round.

use super::{Messages, ReadError, Reader};
use crate::{checks::Check, transcript::Challenge};
use halo2_proofs::transcript::TranscriptRead;
use pasta_curves::EqAffine;
use zkonnx_circuits::messages::Rounds;

/// 4. Reads `(c1, c2)`, draws `σ`, round by round.
///
/// # Errors
/// [`ReadError`].
pub fn verify<T: TranscriptRead<EqAffine, Challenge>>(
    rounds: &Rounds,
    reader: &mut Reader<'_, T>,
    messages: &mut Messages,
) -> Result<(), ReadError> {
    for _ in 0..rounds.contractions {
        messages.pieces.push(reader.point()?);
        messages.challenges.sigma.push(reader.challenge(Check::Sigma));
    }
    Ok(())
}
