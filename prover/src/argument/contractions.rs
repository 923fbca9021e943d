//! One sumcheck for all contractions: see [`zkonnx_verifier::argument::contractions`].

use super::{gates::GateTables, Prover};
use crate::{
    deviation::{Deviation, PieceView},
    sumcheck::{add, average_message, bind_lowest, bound, half_to, lowest_sums, next_claim},
};
use ff::Field;
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use zkonnx_circuits::{
    field::inner_product,
    functional::{axis_vectors, contraction_weight, operand_table, relation_weights},
    messages::{Piece, Rounds},
    relations::Right,
};
use zkonnx_quantize::{graph::Source, integers::IntegerSlice};
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// Both sides of a contraction over the remaining variables, the first in the lowest bit.
#[derive(Clone, Debug)]
struct ProductTables {
    /// `κ'`.
    kappa: Fp,
    left: Vec<Fp>,
    right: Vec<Fp>,
    /// Number of variables at the start.
    variables: usize,
    /// `κ'` times the average of products.
    claim: Fp,
}

impl ProductTables {
    fn new(kappa: Fp, left: Vec<Fp>, right: Vec<Fp>, variables: usize) -> Self {
        let claim = kappa * half_to(variables) * inner_product(&left, &right);
        Self { kappa, left, right, variables, claim }
    }

    /// `(c1, c2)` of the next variable.
    fn message(&self) -> [Fp; 2] {
        let weight = self.kappa * half_to(self.left.len().trailing_zeros() as usize - 1);
        average_message(self.claim, lowest_sums(&self.left, &self.right), weight)
    }

    fn bind(&mut self, sigma: Fp, message: [Fp; 2]) {
        self.claim = next_claim(self.claim, half_to(1), sigma, &message);
        bind_lowest(&mut self.left, sigma);
        bind_lowest(&mut self.right, sigma);
    }
}

/// Two sides at the end of the sumcheck: `(κ'·p(σ), q(σ))`.
pub type EndPair = (Fp, Fp);

/// 4. Sends `(c1, c2)`, draws `σ`, round by round. Gives the pairs of two hidden sides, and what the messages leave of the claim.
///
/// # Errors
/// When the transcript cannot be written.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
    rounds: &Rounds,
    prover: &mut Prover<'_, T>,
    deviation: &mut dyn Deviation,
) -> std::io::Result<(Vec<EndPair>, Fp)> {
    let (mut tables, mut gates) = {
        let _span = tracing::info_span!("contraction tables").entered();
        (tables(prover), GateTables::new(prover))
    };
    let truth = |tables: &[ProductTables], gates: &Option<GateTables>| {
        tables.iter().map(|table| table.claim).sum::<Fp>() + gates.as_ref().map_or(Fp::ZERO, |gates| gates.claim)
    };
    let mut claim = truth(&tables, &gates);
    for round in 0..rounds.contractions {
        let enters = |variables: usize| round + variables >= rounds.contractions;
        let messages: Vec<[Fp; 2]> = tables
            .par_iter()
            .map(|table| if enters(table.variables) { table.message() } else { [Fp::ZERO; 2] })
            .collect();
        let of_gates = gates.as_ref().filter(|gates| enters(gates.variables)).map(GateTables::message);
        let all = messages.iter().copied().chain(of_gates);
        let message = all.fold([Fp::ZERO; 2], add);
        let view = PieceView { claim, truth: truth(&tables, &gates), z: half_to(1), lambda: Fp::ZERO };
        prover.send_piece(Piece::ContractionRound(round), &view, message.to_vec(), deviation)?;
        let sigma = prover.challenge(Check::Sigma, deviation);
        prover.challenges.sigma.push(sigma);
        claim = next_claim(claim, half_to(1), sigma, prover.last_piece());
        let entered = tables.par_iter_mut().zip(messages).filter(|(table, _)| enters(table.variables));
        entered.for_each(|(table, message)| table.bind(sigma, message));
        if let (Some(gates), Some(message)) = (&mut gates, of_gates) {
            gates.bind(sigma, message);
        }
    }
    let sumcheck = &prover.model.keys.compiled.sumcheck;
    let mut pairs = Vec::new();
    let mut public = Fp::ZERO;
    for (entry, table) in sumcheck.products.iter().zip(&tables) {
        let (left, right) = (table.kappa * bound(&table.left), bound(&table.right));
        match entry.is_hidden() {
            true => pairs.push((left, right)),
            // A public side makes the product linear: it joins the claim.
            false => public += left * right,
        }
    }
    pairs.extend(gates.map(GateTables::finish));
    Ok((pairs, claim - public))
}

fn tables<T: TranscriptWrite<EqAffine, Challenge>>(prover: &Prover<'_, T>) -> Vec<ProductTables> {
    let model = &prover.model.keys.compiled;
    let challenges = &prover.challenges;
    let weights = relation_weights(model, challenges.mu);
    let (tensors, params) = (prover.tensors, &prover.model.model.weights);
    model
        .sumcheck
        .products
        .par_iter()
        .filter_map(|entry| {
            let relation = &model.lowered.relations[entry.relation];
            let Right::Form(form) = &relation.right else { return None };
            let form = form.resolve(&model.graph)?;
            let product = &form.products[entry.product];
            let chi = axis_vectors(&challenges.rho, &form.shape);
            let values = |source: Source| match source {
                Source::Tensor(id) => IntegerSlice::I64(&tensors[id.0 as usize]),
                Source::Param(id) => params[id.0 as usize].as_slice(),
            };
            let (left, right) = rayon::join(
                || operand_table(form, product, true, &chi, &entry.inner, values(product.left.source)),
                || operand_table(form, product, false, &chi, &entry.inner, values(product.right.source)),
            );
            let kappa = contraction_weight(entry, (form, product), &chi, weights[entry.relation]);
            Some(ProductTables::new(kappa, left, right, entry.num_variables))
        })
        .collect()
}
