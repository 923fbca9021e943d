//! Lookups, layer by layer: see [`zkonnx_verifier::argument::lookup`].

use super::Prover;
use crate::{
    columns::Column,
    deviation::{Deviation, PieceView},
    layers::{LayerClaim, Layers, LeafSlot, Leaves},
    sumcheck::next_claim,
};
use ff::Field;
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{
    field::from_i64,
    messages::{Challenges, LayerChallenges, Piece, Rounds},
    shape::CircuitShape,
    table_rows::TableRow,
};
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// An equation of a product at the end of a layer: what was sent, and the claim that it is to have.
#[derive(Clone, Copy, Debug)]
pub struct LayerEquation {
    /// `p0, p1, q0, q1` as they were sent.
    pub values: [Fp; 4],
    /// `λ`.
    pub lambda: Fp,
    /// What the messages leave of the claim.
    pub claim: Fp,
}

/// `p` and `q` of a layer at its point.
#[derive(Clone, Copy, Debug, Default)]
struct Claims {
    p: Fp,
    q: Fp,
}

impl Claims {
    /// On the line through the values at 0 and 1.
    fn on_line([p0, p1, q0, q1]: [Fp; 4], beta: Fp) -> Self {
        Self { p: p0 + beta * (p1 - p0), q: q0 + beta * (q1 - q0) }
    }

    fn with(self, lambda: Fp) -> Fp {
        self.p + lambda * self.q
    }
}

/// 3. Draws `θ`, `φ`; layer by layer draws `λ`, sends the rounds, sends the values, draws `β`. Gives the layers' equations.
///
/// # Errors
/// When the transcript cannot be written.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
    rounds: &Rounds,
    prover: &mut Prover<'_, T>,
    deviation: &mut dyn Deviation,
) -> std::io::Result<Vec<LayerEquation>> {
    let mut equations = Vec::with_capacity(rounds.layers);
    if rounds.layers == 0 {
        return Ok(equations);
    }
    prover.challenges.theta = prover.challenge(Check::Theta, deviation);
    prover.challenges.phi = prover.challenge(Check::Phi, deviation);
    let mut layers = {
        let _span = tracing::info_span!("add up fractions").entered();
        let Challenges { theta, phi, .. } = prover.challenges;
        Layers::new(leaves(&prover.model.keys.compiled.shape, prover.columns, (theta, phi)))
    };
    let (mut sent, mut truth) = (Claims::default(), Claims::default());
    for layer in 0..rounds.layers {
        // 3a. Layer 0 is the claim p = 0, and has no rounds.
        let lambda = if layer == 0 { Fp::ZERO } else { prover.challenge(Check::Lambda, deviation) };
        let point = prover.challenges.layer_point(layer);
        let mut own = LayerChallenges { lambda, ..LayerChallenges::default() };
        let mut claim = sent.with(lambda);
        let mut failure = Ok(());
        let mut exchange = |round: usize, truth: Fp, message: [Fp; 2]| {
            let z = point[round];
            let view = PieceView { claim, truth, z, lambda };
            let result = prover.send_piece(Piece::LayerRound { layer, round }, &view, message.to_vec(), deviation);
            if failure.is_ok() {
                failure = result;
            }
            let sigma = prover.challenge(Check::LayerSigma, deviation);
            claim = next_claim(claim, z, sigma, prover.last_piece());
            own.sigma.push(sigma);
            sigma
        };
        let value = truth.with(lambda);
        let values = layers.prove(layer, &LayerClaim { point: &point, lambda, value }, &mut exchange);
        failure?;
        // 3b. The four values.
        let view = PieceView {
            claim,
            truth: values[0] * values[3] + values[2] * (values[1] + lambda * values[3]),
            lambda,
            z: Fp::ZERO,
        };
        prover.send_piece(Piece::LayerValues { layer }, &view, values.to_vec(), deviation)?;
        let shown = <[Fp; 4]>::try_from(prover.last_piece()).unwrap_or_default();
        equations.push(LayerEquation { values: shown, lambda, claim });
        // 3c. β, only now.
        own.beta = prover.challenge(Check::Line, deviation);
        (sent, truth) = (Claims::on_line(shown, own.beta), Claims::on_line(values, own.beta));
        prover.challenges.layers.push(own);
    }
    Ok(equations)
}

/// The fractions of all cells that are looked up, and of all table rows. `columns` are words, then multiplicities.
#[must_use]
pub fn leaves<'a>(shape: &CircuitShape, columns: &'a [Column], (theta, phi): (Fp, Fp)) -> Leaves<'a> {
    let base = |tag: u64| phi + theta.square() * Fp::from(tag);
    let lookups = shape.slots.lookups.iter().map(|lookup| LeafSlot::Lookup {
        base: base(lookup.tag),
        x: &columns[lookup.x],
        y: lookup.y.map(|y| &columns[y]),
    });
    let fingerprint = |row: &TableRow| {
        let single = base(row.tag) + from_i64(row.x);
        if row.y == 0 {
            single
        } else {
            single + theta * from_i64(row.y)
        }
    };
    let tables = (0..shape.num_table_groups()).map(|group| LeafSlot::Table {
        multiplicities: &columns[shape.columns.len() + group],
        fingerprints: shape.table_group(group).iter().map(fingerprint).collect(),
    });
    Leaves::new(shape.num_rows(), shape.num_active_rows(), theta, lookups.chain(tables).collect())
}
