//! All products of two hidden values at once: see [`zkonnx_verifier::argument::pairs`].

use super::{contractions::EndPair, lookup::LayerEquation, Prover};
use crate::{
    deviation::{Deviation, PieceView},
    sumcheck::{average_message, bind_lowest, half_to, lowest_sums, next_claim},
};
use ff::Field;
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{
    field::inner_product,
    messages::{Piece, Rounds},
};
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// 5., 6. Draws `ω`; sends the rounds; sends `l`, `r`; draws `η`. `contractions` are the pairs of the last equation, `claim` is its claim.
///
/// # Errors
/// When the transcript cannot be written.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
    rounds: &Rounds,
    prover: &mut Prover<'_, T>,
    layers: &[LayerEquation],
    (contractions, claim): (&[EndPair], Fp),
    deviation: &mut dyn Deviation,
) -> std::io::Result<()> {
    if rounds.pairs == 0 {
        return Ok(());
    }
    let omega = prover.challenge(Check::Omega, deviation);
    prover.challenges.omega = omega;
    let (mut f, mut g) = (Vec::with_capacity(rounds.pairs + 2), Vec::with_capacity(rounds.pairs + 2));
    let (mut power, mut combined) = (Fp::ONE, Fp::ZERO);
    for LayerEquation { values: [p0, p1, q0, q1], lambda, claim } in layers {
        f.extend([power * p0, power * q0]);
        g.extend([*q1, *p1 + *lambda * q1]);
        combined += power * claim;
        power *= omega;
    }
    combined += power * claim;
    for (left, right) in contractions {
        f.push(power * left);
        g.push(*right);
    }
    // Two pairs that mask the others.
    let (a, b) = (Fp::random(&mut prover.rng), Fp::random(&mut prover.rng));
    f.extend([a, Fp::ZERO]);
    g.extend([Fp::ZERO, b]);
    for side in [&mut f, &mut g] {
        side.resize(1 << rounds.pair_rounds, Fp::ZERO);
    }
    let mut claim = combined * half_to(rounds.pair_rounds);
    let mut truth = inner_product(&f, &g) * half_to(rounds.pair_rounds);
    for round in 0..rounds.pair_rounds {
        let message = average_message(truth, lowest_sums(&f, &g), half_to(rounds.pair_rounds - round - 1));
        let mut values = message.to_vec();
        if round == 0 {
            values.extend([a, b]);
        }
        let view = PieceView { claim, truth, z: half_to(1), lambda: Fp::ZERO };
        prover.send_piece(Piece::PairRound(round), &view, values, deviation)?;
        let delta = prover.challenge(Check::PairSigma, deviation);
        prover.challenges.delta.push(delta);
        claim = next_claim(claim, half_to(1), delta, prover.last_piece());
        truth = next_claim(truth, half_to(1), delta, &message);
        bind_lowest(&mut f, delta);
        bind_lowest(&mut g, delta);
    }
    prover.clear = (f[0], g[0]);
    deviation.clear(claim, &mut prover.clear);
    prover.transcript.write_scalar(prover.clear.0)?;
    prover.transcript.write_scalar(prover.clear.1)?;
    // 6. η combines the equations.
    prover.challenges.eta = prover.challenge(Check::Eta, deviation);
    deviation.linear(&prover.challenges, prover.clear);
    Ok(())
}
