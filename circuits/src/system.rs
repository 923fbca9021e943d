//! The one linear equation of a proof, from the challenges (protocol, section 7). Prover and verifier build it with the same code.

use crate::{
    committed::POINT_LEN,
    compiled::CompiledModel,
    field::Fp,
    functional::{relation_weights, PublicTensors},
    gate_system::add_gates,
    linear_system::{LinearSystem, RankOne},
    lookup_system::leaves,
    messages::{Challenges, Rounds},
    parallel::join,
    piece_system::{piece_functionals, PairWeights},
    relation_system::{add_contraction, add_relations, Accumulator},
    word_system::WordSystem,
};
use ff::Field;

/// The equation over columns. `clear` are the scalars `l`, `r`; they are there if there are pairs.
#[must_use]
pub fn linear_system(
    model: &CompiledModel,
    public: PublicTensors<'_>,
    challenges: &Challenges,
    clear: (Fp, Fp),
) -> LinearSystem {
    word_system(model, public, challenges, clear).into_columns(model)
}

/// The equation by words.
#[must_use]
pub fn word_system(
    model: &CompiledModel,
    public: PublicTensors<'_>,
    challenges: &Challenges,
    (l, r): (Fp, Fp),
) -> WordSystem {
    let rounds = Rounds::of(model);
    let weights = (rounds.pairs > 0).then(|| PairWeights::new(&rounds, challenges));
    // Without pairs the relations' claim is the only equation.
    let claim = weights.as_ref().map_or(Fp::ONE, PairWeights::relations);
    let sides = |pair: usize| weights.as_ref().map_or((Fp::ZERO, Fp::ZERO), |weights| weights.sides(pair));
    let relations = || {
        let mut acc = Accumulator::new(model, public, challenges);
        add_relations(&mut acc, claim);
        acc
    };
    let contractions = || {
        let mut acc = Accumulator::new(model, public, challenges);
        let relation_weights = relation_weights(model, challenges.mu);
        let mut pair = 2 * rounds.layers;
        for product in &model.sumcheck.products {
            let (left, right) = sides(pair);
            pair += usize::from(product.is_hidden());
            add_contraction(&mut acc, product, relation_weights[product.relation], (claim, left, right));
        }
        acc
    };
    let (mut acc, others) = join(relations, contractions);
    acc.merge(others);
    let mut rank_one = RankOne::default();
    let (left, right) = sides(2 * rounds.layers + model.sumcheck.num_hidden);
    acc.constant += add_gates(model, challenges, (claim, left, right), &mut rank_one);
    let mut multiplicities = Vec::new();
    if rounds.layers > 0 {
        let leaves = leaves(model, challenges);
        acc.constant += leaves.constant;
        rank_one.push(leaves.rows, leaves.coefs);
        multiplicities = leaves.tails;
    }
    let pieces = piece_functionals(&rounds, challenges, claim, weights.as_ref());
    if let Some(weights) = &weights {
        acc.constant -= weights.left * l + weights.right * r;
        acc.constant += challenges.eta.square().square() * l * r;
    }
    let Accumulator { words, combined, committed, constant, .. } = acc;
    // Those of parameters are with the words'.
    let pooled = vec![Vec::new(); model.params.num_pooled];
    let committed = committed.iter().flat_map(|tensor| tensor.chunks(POINT_LEN)).map(<[Fp]>::to_vec).collect();
    let rest =
        LinearSystem { rank_one, words: Vec::new(), multiplicities, pooled, combined, pieces, committed, constant };
    WordSystem::new(words, rest)
}
