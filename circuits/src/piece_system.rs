//! The pieces' part of the equation: the coefficient of every message (protocol, section 7).

use crate::{
    field::Fp,
    messages::{Challenges, Rounds},
};
use ff::Field;

/// Coefficients of the quadratic checks in the one equation.
#[derive(Clone, Debug)]
pub(crate) struct PairWeights {
    /// `−η⁴·2^(−b_P)`, times `ω^e` the coefficient of the claim of equation `e`.
    pub(crate) claim: Fp,
    /// `w_t = eq(δ, t)`, for all pairs and the two masks.
    pub(crate) w: Vec<Fp>,
    /// `ω^e`.
    pub(crate) omega: Vec<Fp>,
    /// `−η²`: of the left sides.
    pub(crate) left: Fp,
    /// `−η³`: of the right sides.
    pub(crate) right: Fp,
}

impl PairWeights {
    /// Those of the challenges. There are pairs.
    pub(crate) fn new(rounds: &Rounds, challenges: &Challenges) -> Self {
        let eta = challenges.eta;
        let half = Fp::from(2).invert().unwrap_or(Fp::ZERO);
        let powers = std::iter::successors(Some(Fp::ONE), |power| Some(*power * challenges.omega));
        Self {
            claim: -eta.square().square() * half.pow_vartime([rounds.pair_rounds as u64]),
            w: crate::field::eq_vector(&challenges.delta, rounds.pairs + 2),
            omega: powers.take(rounds.layers + 1).collect(),
            left: -eta.square(),
            right: -eta.square() * eta,
        }
    }

    /// Coefficient of the relations' claim, which is that of the last equation.
    pub(crate) fn relations(&self) -> Fp {
        self.claim * self.omega.last().copied().unwrap_or(Fp::ONE)
    }

    /// Coefficients of the sides of a pair of the last equation, by its number.
    pub(crate) fn sides(&self, pair: usize) -> (Fp, Fp) {
        let w = self.w.get(pair).copied().unwrap_or(Fp::ZERO);
        (self.left * w * self.omega.last().copied().unwrap_or(Fp::ONE), self.right * w)
    }
}

/// `(σ − z, σ² − z)`: how a round's message moves a claim.
fn round(sigma: Fp, z: Fp, factor: Fp) -> Vec<Fp> {
    vec![factor * (sigma - z), factor * (sigma.square() - z)]
}

/// One functional per piece. `relations` is the coefficient of the relations' claim; `weights` are there if there are pairs.
pub(crate) fn piece_functionals(
    rounds: &Rounds,
    challenges: &Challenges,
    relations: Fp,
    weights: Option<&PairWeights>,
) -> Vec<Vec<Fp>> {
    let mut pieces = Vec::with_capacity(rounds.num_pieces());
    let half = Fp::from(2).invert().unwrap_or(Fp::ZERO);
    if let Some(weights) = weights {
        layers(&mut pieces, rounds, challenges, weights);
    }
    pieces.extend(challenges.sigma.iter().map(|sigma| round(*sigma, half, relations)));
    if let Some(weights) = weights {
        let claim = -challenges.eta.square().square();
        pieces.extend(challenges.delta.iter().map(|delta| round(*delta, half, claim)));
        if let Some(first) = pieces.get_mut(rounds.num_pieces() - rounds.pair_rounds) {
            first.extend([weights.left * weights.w[rounds.pairs], weights.right * weights.w[rounds.pairs + 1]]);
        }
    }
    pieces
}

fn layers(pieces: &mut Vec<Vec<Fp>>, rounds: &Rounds, challenges: &Challenges, weights: &PairWeights) {
    for (layer, own) in challenges.layers.iter().enumerate() {
        let claim = weights.claim * weights.omega[layer];
        let point = challenges.layer_point(layer);
        pieces.extend(own.sigma.iter().zip(&point).map(|(sigma, z)| round(*sigma, *z, claim)));
        // As the claims of the next layer, or about the leaves.
        let (p, q) = match challenges.layers.get(layer + 1) {
            Some(next) => {
                let claim = weights.claim * weights.omega[layer + 1];
                (claim, claim * next.lambda)
            }
            None => (Fp::ONE, challenges.eta),
        };
        let (low, high) = (Fp::ONE - own.beta, own.beta);
        let mut values = vec![p * low, p * high, q * low, q * high];
        // As the pairs (p0, q1) and (q0, p1 + λ·q1).
        let (first, second) = (weights.w[2 * layer], weights.w[2 * layer + 1]);
        let left = weights.left * weights.omega[layer];
        values[0] += left * first;
        values[2] += left * second;
        values[3] += weights.right * (first + second * own.lambda);
        values[1] += weights.right * second;
        pieces.push(values);
    }
    debug_assert_eq!(challenges.layers.len(), rounds.layers);
}
