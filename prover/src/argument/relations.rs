//! Relations become one claim: see [`zkonnx_verifier::argument::relations`].

use super::Prover;
use crate::deviation::Deviation;
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::EqAffine;
use zkonnx_circuits::{functional::num_index_bits, messages::gate_weights};
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// 4. Draws `ρ` and `μ`.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(prover: &mut Prover<'_, T>, deviation: &mut dyn Deviation) {
    let model = &prover.model.keys.compiled;
    prover.challenges.rho = (0..num_index_bits(model)).map(|_| prover.challenge(Check::Rho, deviation)).collect();
    prover.challenges.mu = prover.challenge(Check::Mu, deviation);
    prover.challenges.gates = gate_weights(model, prover.challenges.mu);
    deviation.gates(&mut prover.challenges.gates);
    deviation.relations(&prover.challenges);
}
