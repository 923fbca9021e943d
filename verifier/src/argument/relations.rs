//! Relations become one claim (protocol, section 5, steps 1–3).
//!
//! For a random point `ρ` and weight `μ`, `Σ_ℓ μ^ℓ Σ_e χ_ℓ(e)·(left − right)(e) = 0` with `χ_ℓ(e) = eq(ρ, e)`.
//! Soundness error: `(d + L)/|F|` for `d` index bits and `L` relations. Nothing is sent.

use super::{LinearMessages, Reader};
use crate::{checks::Check, transcript::Challenge};
use halo2_proofs::transcript::Transcript;
use pasta_curves::EqAffine;
use zkonnx_circuits::{compiled::CompiledModel, functional::num_index_bits};

/// 1. Draws `ρ` and `μ`. All columns are fixed by now.
pub fn verify<T: Transcript<EqAffine, Challenge>>(
    model: &CompiledModel,
    reader: &mut Reader<'_, T>,
    messages: &mut LinearMessages,
) {
    messages.challenges.rho = (0..num_index_bits(model)).map(|_| reader.challenge(Check::Rho)).collect();
    messages.challenges.mu = reader.challenge(Check::Mu);
}
