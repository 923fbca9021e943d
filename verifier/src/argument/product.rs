//! The masked products at the end of the sumcheck (protocol, section 5, steps 5–7).
//!
//! The prover commits masks `a_s, b_s` and the cross terms `t1 = Σ κ_s(p_s·b_s + a_s·q_s)`, `t0 = Σ κ_s·a_s·b_s`, then sends
//! `p'_s = γ·p_s + a_s` and `q'_s = γ·q_s + b_s`. With them `Σ κ_s·p'_s·q'_s = γ²·claim + γ·t1 + t0` is linear in messages
//! and columns. `η` combines all equations; `ζ`, drawn last, gives every piece of messages a power of its
//! own, so that what a piece puts on another's rows cannot cancel. Soundness error:
//! `(2 + 2S + 1 + 2m)/|F|` for `S` contractions and `m + 1` pieces. Cost: `2S` scalars and the masks' points.

use super::{LinearMessages, ReadError, Reader};
use crate::{checks::Check, transcript::Challenge};
use halo2_proofs::transcript::TranscriptRead;
use pasta_curves::EqAffine;
use zkonnx_circuits::compiled::CompiledModel;

/// 3.–7. Reads mask pieces, draws `γ`; reads `p'`, `q'`, draws `η`, then `ζ`.
///
/// # Errors
/// [`ReadError`].
pub fn verify<T: TranscriptRead<EqAffine, Challenge>>(
    model: &CompiledModel,
    reader: &mut Reader<'_, T>,
    messages: &mut LinearMessages,
) -> Result<(), ReadError> {
    // 3. The masks.
    for _ in model.sumcheck.num_rounds..model.sumcheck.pieces.len() {
        messages.pieces.push(reader.point()?);
    }
    // 4. γ.
    messages.challenges.gamma = reader.challenge(Check::Gamma);
    // 5. The masked evaluations.
    for _ in 0..model.sumcheck.num_masked {
        messages.masked.push((reader.scalar()?, reader.scalar()?));
    }
    // 6. η combines the equations.
    messages.challenges.eta = reader.challenge(Check::Eta);
    // 7. ζ separates the pieces.
    messages.challenges.zeta = reader.nonzero_challenge(Check::Zeta)?.0;
    Ok(())
}
