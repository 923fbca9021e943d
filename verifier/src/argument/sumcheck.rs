//! One sumcheck for all contractions, its messages hidden (protocol, section 5, step 4).
//!
//! Round `i` claims `g_i(0) + g_i(1) = claim_i` for `g_i(X) = c0 + c1·X + c2·X²`; the prover sends the commitment `M_i` of
//! `(c0, c2)` on the piece's own rows of the message column, and `claim_(i+1) = g_i(σ_i)` stays a linear
//! functional of messages and columns. Contractions with fewer variables enter late: they count half
//! for every missing round and use the last challenges. Soundness error: `2R/|F|`.
//! Cost: one point a round.

use super::{LinearMessages, ReadError, Reader};
use crate::{checks::Check, transcript::Challenge};
use halo2_proofs::transcript::TranscriptRead;
use pasta_curves::EqAffine;
use zkonnx_circuits::compiled::CompiledModel;

/// 2. Reads `M_i`, draws `σ_i`, round by round.
///
/// # Errors
/// [`ReadError`].
pub fn verify<T: TranscriptRead<EqAffine, Challenge>>(
    model: &CompiledModel,
    reader: &mut Reader<'_, T>,
    messages: &mut LinearMessages,
) -> Result<(), ReadError> {
    for _ in 0..model.sumcheck.num_rounds {
        messages.pieces.push(reader.point()?);
        messages.challenges.sigma.push(reader.challenge(Check::Sigma));
    }
    Ok(())
}
