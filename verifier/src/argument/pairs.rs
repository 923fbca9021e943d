//! All products of two hidden values at once (protocol, steps 5 and 6).
//!
//! *Relation.* For every layer and for the contractions together, `Σ_(t of e) A_t·B_t = claim_e`, all of them affine in columns and messages.
//! *Rounds.* `ω`, drawn after every message that they speak of, combines the equations: `Σ_t f_t·g_t = Σ_e ω^e·claim_e` with `f_t = ω^e·A_t`, `g_t = B_t`.
//! Two pairs more, `(a, 0)` and `(0, b)`, add nothing to the sum; `a` and `b` are sent with the first round. A sumcheck over `t` brings the sum to a product
//! of two values, `l·r`, which are sent in the clear: `a` and `b` mask them. `η` combines what is left, five equations linear in the columns.
//! Soundness error: `(ν + 2·b_P + 4)/|F|`. Cost: `b_P` points, two scalars.

use super::{Messages, ReadError, Reader};
use crate::{checks::Check, transcript::Challenge};
use halo2_proofs::transcript::TranscriptRead;
use pasta_curves::EqAffine;
use zkonnx_circuits::messages::Rounds;

/// 5., 6. Draws `ω`; reads the rounds; reads `l`, `r`; draws `η`.
///
/// # Errors
/// [`ReadError`].
pub fn verify<T: TranscriptRead<EqAffine, Challenge>>(
    rounds: &Rounds,
    reader: &mut Reader<'_, T>,
    messages: &mut Messages,
) -> Result<(), ReadError> {
    if rounds.pairs == 0 {
        return Ok(());
    }
    messages.challenges.omega = reader.challenge(Check::Omega);
    for _ in 0..rounds.pair_rounds {
        messages.pieces.push(reader.point()?);
        messages.challenges.delta.push(reader.challenge(Check::PairSigma));
    }
    messages.clear = (reader.scalar()?, reader.scalar()?);
    // 6. η combines the equations.
    messages.challenges.eta = reader.challenge(Check::Eta);
    Ok(())
}
