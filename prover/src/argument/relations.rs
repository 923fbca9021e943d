//! Relations become one claim: see [`zkonnx_verifier::argument::relations`].

use super::LinearProver;
use crate::deviation::Deviation;
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::EqAffine;
use zkonnx_circuits::functional::num_index_bits;
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// 1. Draws `ρ` and `μ`.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(prover: &mut LinearProver<'_, T>, deviation: &mut dyn Deviation) {
    let bits = num_index_bits(&prover.model.keys.compiled);
    prover.messages.challenges.rho = (0..bits).map(|_| prover.challenge(Check::Rho, deviation)).collect();
    prover.messages.challenges.mu = prover.challenge(Check::Mu, deviation);
}
