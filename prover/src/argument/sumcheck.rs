//! One sumcheck for all contractions: see [`zkonnx_verifier::argument::sumcheck`].

use super::LinearProver;
use crate::deviation::Deviation;
use ff::Field;
use halo2_proofs::transcript::TranscriptWrite;
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use zkonnx_circuits::{
    functional::{axis_vectors, operand_table, product_weight, relation_weights},
    relations::Right,
};
use zkonnx_quantize::{graph::Source, integers::IntegerSlice};
use zkonnx_verifier::{checks::Check, transcript::Challenge};

/// Both sides of a contraction over the remaining variables.
#[derive(Clone, Debug)]
pub struct ProductTables {
    /// `κ_s`, halved for every missing round.
    pub kappa: Fp,
    /// The left side.
    pub left: Vec<Fp>,
    /// The right side.
    pub right: Vec<Fp>,
    /// Rounds that have to pass before the contraction enters.
    pub missing: usize,
}

/// 2. Sends `M_i`, draws `σ_i`; returns the tables, folded to single values.
///
/// # Errors
/// When the transcript cannot be written.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
    prover: &mut LinearProver<'_, T>,
    deviation: &mut dyn Deviation,
) -> std::io::Result<Vec<ProductTables>> {
    let mut tables = {
        let _span = tracing::info_span!("contraction tables").entered();
        tables(prover)
    };
    let num_rounds = prover.model.keys.compiled.sumcheck.num_rounds;
    for round in 0..num_rounds {
        let mut message = [Fp::ZERO; 2];
        for table in &tables {
            let [c0, c2] = if round < table.missing {
                // Constant: half of what is left, on either side.
                let sum = zkonnx_circuits::field::inner_product(&table.left, &table.right);
                let left = u64::try_from(table.missing - round - 1).unwrap_or(0);
                [sum * Fp::from(2).pow_vartime([left]), Fp::ZERO]
            } else {
                round_polynomial(&table.left, &table.right)
            };
            message[0] += table.kappa * c0;
            message[1] += table.kappa * c2;
        }
        deviation.round(round, &prover.messages.challenges.sigma, &mut message);
        let extra = deviation.piece(round, &prover.messages.challenges.sigma);
        prover.send_piece(round, &message, &extra)?;
        let sigma = prover.challenge(Check::Sigma, deviation);
        prover.messages.challenges.sigma.push(sigma);
        for table in &mut tables {
            if round >= table.missing {
                fold(&mut table.left, sigma);
                fold(&mut table.right, sigma);
            }
        }
    }
    Ok(tables)
}

/// `(c0, c2)` of `Σ_rest left(X, rest)·right(X, rest)`; the first variable is the lowest bit.
fn round_polynomial(left: &[Fp], right: &[Fp]) -> [Fp; 2] {
    left.chunks_exact(2)
        .zip(right.chunks_exact(2))
        .fold([Fp::ZERO; 2], |[c0, c2], (l, r)| [c0 + l[0] * r[0], c2 + (l[1] - l[0]) * (r[1] - r[0])])
}

fn fold(table: &mut Vec<Fp>, sigma: Fp) {
    let half = table.len() / 2;
    for i in 0..half {
        table[i] = table[2 * i] + sigma * (table[2 * i + 1] - table[2 * i]);
    }
    table.truncate(half);
}

fn tables<T: TranscriptWrite<EqAffine, Challenge>>(prover: &LinearProver<'_, T>) -> Vec<ProductTables> {
    let model = &prover.model.keys.compiled;
    let challenges = &prover.messages.challenges;
    let weights = relation_weights(model, challenges.mu);
    let half = Fp::from(2).invert().unwrap_or(Fp::ZERO);
    let (tensors, params) = (prover.tensors, prover.weights);
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
            let missing = model.sumcheck.num_rounds - entry.num_variables;
            let values = |source: Source| match source {
                Source::Tensor(id) => IntegerSlice::from(&tensors[id.0 as usize]),
                Source::Param(id) => IntegerSlice::from(&params[id.0 as usize]),
            };
            let (left, right) = rayon::join(
                || operand_table(form, product, true, &chi, &entry.inner, values(product.left.source)),
                || operand_table(form, product, false, &chi, &entry.inner, values(product.right.source)),
            );
            let kappa = product_weight(form, product, &chi, weights[entry.relation])
                * half.pow_vartime([u64::try_from(missing).unwrap_or(0)]);
            Some(ProductTables { kappa, left, right, missing })
        })
        .collect()
}
