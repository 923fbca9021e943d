//! Relations and row gates become one claim (protocol, step 4).
//!
//! For a random point `ρ` and weight `μ`, `Σ_ℓ μ^ℓ Σ_e χ_ℓ(e)·(left − right)(e) = 0` with `χ_ℓ(e) = eq(ρ, e)`; the linear row gates and the
//! products of row gates are two relations more, with powers of `μ` of their own.
//! Soundness error: `(d + L + 1)/|F|` for `d` index bits and `L` relations. Nothing is sent.

use super::{Messages, Reader};
use crate::{
    checks::{drawn, Check},
    transcript::Challenge,
};
use halo2_proofs::transcript::Transcript;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{compiled::CompiledModel, functional::num_index_bits, messages::gate_weights};

/// 4. Draws `ρ` and `μ`. All columns are fixed by now.
pub fn verify<T: Transcript<EqAffine, Challenge>>(
    model: &CompiledModel,
    reader: &mut Reader<'_, T>,
    messages: &mut Messages,
) {
    let challenges = &mut messages.challenges;
    challenges.rho = (0..num_index_bits(model)).map(|_| reader.challenge(Check::Rho)).collect();
    challenges.mu = reader.challenge(Check::Mu);
    challenges.gates = gate_weights(model, challenges.mu);
    challenges.gates.linear = drawn(Check::LinearGates, challenges.gates.linear, Fp::zero);
    challenges.gates.products = drawn(Check::Gates, challenges.gates.products, Fp::zero);
}
