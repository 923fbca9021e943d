//! The messages of the linear part: which pieces are sent, in which order, and the challenges between them.
//!
//! A *piece* is what is sent before one challenge: at most four field elements on the first rows of a column of its own. The
//! verifier sees its commitment alone. Steps are those of `verifier/docs/protocol.md`.

use crate::{compiled::CompiledModel, field::Fp};

/// A piece, by its place in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Step 3a: `(c1, c2)` of a round of a layer's sumcheck.
    LayerRound {
        /// The layer.
        layer: usize,
        /// The round.
        round: usize,
    },
    /// Step 3b: `(p0, p1, q0, q1)` of a layer.
    LayerValues {
        /// The layer.
        layer: usize,
    },
    /// Step 4: `(c1, c2)` of a round of the contractions.
    ContractionRound(usize),
    /// Step 5: `(c1, c2)` of a round of the pairs; in round 0 also the masks `a`, `b`.
    PairRound(usize),
}

impl Piece {
    /// Number of field elements.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(self) -> usize {
        match self {
            Self::LayerValues { .. } | Self::PairRound(0) => 4,
            Self::LayerRound { .. } | Self::ContractionRound(_) | Self::PairRound(_) => 2,
        }
    }
}

/// How many rounds every part of the linear part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// Layers of the lookup argument, `ν`.
    pub layers: usize,
    /// Rounds of the contractions, `R`.
    pub contractions: usize,
    /// Pairs: products of two hidden values, `T`.
    pub pairs: usize,
    /// Rounds of the pairs' sumcheck; none without pairs.
    pub pair_rounds: usize,
}

impl Rounds {
    /// Those of a model.
    #[must_use]
    pub fn of(model: &CompiledModel) -> Self {
        let (shape, sumcheck) = (&model.shape, &model.sumcheck);
        let layers = shape.num_layers();
        let pairs = 2 * layers + sumcheck.num_hidden + usize::from(shape.num_product_slots() > 0);
        // Two more, which mask the others.
        let pair_rounds = if pairs == 0 { 0 } else { (pairs + 2).next_power_of_two().trailing_zeros() as usize };
        Self { layers, contractions: sumcheck.num_variables.max(shape.product_variables()), pairs, pair_rounds }
    }

    /// All pieces in the order of sending.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let layers = (0..self.layers).flat_map(|layer| {
            let rounds = (0..layer).map(move |round| Piece::LayerRound { layer, round });
            rounds.chain([Piece::LayerValues { layer }])
        });
        let contractions = (0..self.contractions).map(Piece::ContractionRound);
        layers.chain(contractions).chain((0..self.pair_rounds).map(Piece::PairRound)).collect()
    }

    /// Number of pieces.
    #[must_use]
    pub fn num_pieces(&self) -> usize {
        self.layers * (self.layers + 1) / 2 + self.contractions + self.pair_rounds
    }

    /// Number of the first piece of a layer.
    #[must_use]
    pub fn first_piece_of_layer(&self, layer: usize) -> usize {
        layer * (layer + 1) / 2
    }
}

/// The challenges of one layer of the lookup argument.
#[derive(Clone, Debug, Default)]
pub struct LayerChallenges {
    /// `λ`: zero in layer 0.
    pub lambda: Fp,
    /// `σ_0 …`, one per round.
    pub sigma: Vec<Fp>,
    /// `β`.
    pub beta: Fp,
}

impl LayerChallenges {
    /// The point of the next layer: `(β, σ_0, …)`.
    #[must_use]
    pub fn next_point(&self) -> Vec<Fp> {
        std::iter::once(self.beta).chain(self.sigma.iter().copied()).collect()
    }
}

/// The challenges of the linear part up to `η`, in order.
#[derive(Clone, Debug, Default)]
pub struct Challenges {
    /// Separates a tuple's parts.
    pub theta: Fp,
    /// The point of the sum of fractions.
    pub phi: Fp,
    /// Those of every layer.
    pub layers: Vec<LayerChallenges>,
    /// One per index bit of the largest relation.
    pub rho: Vec<Fp>,
    /// Combines relations.
    pub mu: Fp,
    /// Weights of the two relations of gates; see [`gate_weights`].
    pub gates: GateWeights,
    /// One per round of the contractions.
    pub sigma: Vec<Fp>,
    /// Combines the equations of products.
    pub omega: Fp,
    /// One per round of the pairs.
    pub delta: Vec<Fp>,
    /// Combines the equations.
    pub eta: Fp,
}

impl Challenges {
    /// The point at which layer `layer` is claimed; the leaves are layer `ν`.
    #[must_use]
    pub fn layer_point(&self, layer: usize) -> Vec<Fp> {
        layer
            .checked_sub(1)
            .and_then(|before| self.layers.get(before))
            .map_or_else(Vec::new, LayerChallenges::next_point)
    }
}

/// Powers of `μ` of the relations of gates, which come after all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateWeights {
    /// Of the linear gates.
    pub linear: Fp,
    /// Of the products.
    pub products: Fp,
}

/// The weights of the relations of gates: `μ^L` and the next power, for those of the two that exist.
#[must_use]
pub fn gate_weights(model: &CompiledModel, mu: Fp) -> GateWeights {
    let count = u64::try_from(model.lowered.relations.len()).unwrap_or(u64::MAX);
    let linear = ff::Field::pow_vartime(&mu, [count]);
    let products = if model.shape.num_linear_slots() > 0 { linear * mu } else { linear };
    GateWeights { linear, products }
}
