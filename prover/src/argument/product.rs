//! The masked products: see [`zkonnx_verifier::argument::product`].

use super::{sumcheck::ProductTables, LinearProver};
use crate::deviation::Deviation;
use ff::Field;
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::{EqAffine, Fp};
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// 3.–7. Sends mask pieces, draws `γ`; sends `p'`, `q'`, draws `η`, then `ζ`.
///
/// # Errors
/// When the transcript cannot be written.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
    prover: &mut LinearProver<'_, T>,
    tables: &[ProductTables],
    deviation: &mut dyn Deviation,
) -> std::io::Result<()> {
    let shape = prover.model.keys.compiled.sumcheck.clone();
    let evaluations: Vec<(Fp, Fp, Fp)> = shape
        .products
        .iter()
        .zip(tables)
        .filter(|(entry, _)| entry.is_masked())
        .map(|(_, table)| (table.kappa, table.left[0], table.right[0]))
        .collect();
    // 3. The masks, fresh for every contraction, and the cross terms.
    let mut masks: Vec<Fp> = (0..2 * evaluations.len()).map(|_| Fp::random(&mut prover.rng)).collect();
    let (mut t1, mut t0) = (Fp::ZERO, Fp::ZERO);
    for ((kappa, p, q), mask) in evaluations.iter().zip(masks.chunks_exact(2)) {
        t1 += *kappa * (*p * mask[1] + mask[0] * q);
        t0 += *kappa * mask[0] * mask[1];
    }
    if shape.num_masked > 0 {
        masks.extend([t1, t0]);
    }
    deviation.masks(&mut masks);
    let mut sent = 0;
    for (index, piece) in shape.pieces.iter().enumerate().skip(shape.num_rounds) {
        let extra = deviation.piece(index, &prover.messages.challenges.sigma);
        prover.send_piece(index, &masks[sent..sent + piece.len], &extra)?;
        sent += piece.len;
    }
    // 4. γ.
    let gamma = prover.challenge(Check::Gamma, deviation);
    prover.messages.challenges.gamma = gamma;
    // 5. The masked evaluations.
    let mut masked: Vec<(Fp, Fp)> = evaluations
        .iter()
        .zip(masks.chunks_exact(2))
        .map(|((_, p, q), mask)| (gamma * p + mask[0], gamma * q + mask[1]))
        .collect();
    deviation.masked(gamma, &mut masked);
    for (p, q) in &masked {
        prover.transcript.write_scalar(*p)?;
        prover.transcript.write_scalar(*q)?;
    }
    prover.messages.masked = masked;
    // 6. η combines the equations.
    prover.messages.challenges.eta = prover.challenge(Check::Eta, deviation);
    // 7. ζ separates the pieces.
    prover.messages.challenges.zeta = prover.challenge(Check::Zeta, deviation);
    Ok(())
}
