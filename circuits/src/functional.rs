//! Relations and contractions at a random point: weights of axes, and tables of a contraction's sides.
//!
//! Prover and verifier use the same code; see step 4 of `verifier/docs/protocol.md`.

use crate::{
    compiled::CompiledModel,
    field::{eq_vector, from_i64, index_bits, Fp},
    products::SumcheckProduct,
    separable::{contract, AxisWeights},
};
use ff::Field;
use std::borrow::Cow;
use zkonnx_quantize::{
    contraction::{Axis, ProductAxes},
    graph::{Form, Product},
    integers::IntegerSlice,
};

/// The public integers of a statement.
#[derive(Clone, Copy, Debug)]
pub struct PublicTensors<'a> {
    /// One per input; empty for hidden ones.
    pub inputs: &'a [Vec<i64>],
    /// One per output; empty for hidden ones.
    pub outputs: &'a [Vec<i64>],
}

/// The number of index bits of the largest index space of all relations, those of gates included.
#[must_use]
pub fn num_index_bits(model: &CompiledModel) -> usize {
    let bits = |shape: &[u32]| shape.iter().map(|s| index_bits(*s)).sum();
    let relations = model.lowered.relations.iter().map(|r| bits(&r.shape)).max().unwrap_or(0);
    relations.max(model.shape.gate_index_bits())
}

/// The part of ρ that belongs to each axis of a shape.
pub(crate) fn axis_points<'a>(rho: &'a [Fp], shape: &[u32]) -> Vec<&'a [Fp]> {
    let mut at = 0;
    shape
        .iter()
        .map(|size| {
            let bits = index_bits(*size);
            at += bits;
            &rho[at - bits..at]
        })
        .collect()
}

/// χ of each axis.
#[must_use]
pub fn axis_vectors(rho: &[Fp], shape: &[u32]) -> Vec<Vec<Fp>> {
    axis_points(rho, shape).iter().zip(shape).map(|(point, size)| eq_vector(point, *size as usize)).collect()
}

/// Weights of a contraction's axes for one operand.
///
/// Own outer axes carry χ, batch axes χ on the left side and one on the right; with a `point` of the
/// sumcheck, inner axes also carry its equality polynomial. Axes of the other side carry nothing.
#[must_use]
pub fn operand_weights(
    form: &Form,
    product: &Product,
    is_left: bool,
    chi: &[Vec<Fp>],
    point: Option<(&[Fp], &[Axis])>,
) -> AxisWeights<'static> {
    let operand = if is_left { &product.left } else { &product.right };
    let axes = ProductAxes::new(form, product);
    let mut vectors: Vec<Cow<'static, [Fp]>> = Vec::new();
    for (axis, chi) in chi.iter().enumerate() {
        let is_batch = axes.batch.iter().any(|a| usize::from(a.id) == axis);
        vectors.push(if !operand.map.uses(axis) {
            Cow::Owned(vec![Fp::ONE])
        } else if is_batch && !is_left {
            Cow::Owned(vec![Fp::ONE; chi.len()])
        } else {
            Cow::Owned(chi.clone())
        });
    }
    for size in &product.summed {
        vectors.push(Cow::Owned(vec![Fp::ONE; *size as usize]));
    }
    if let Some((sigma, inner)) = point {
        let mut at = 0;
        for axis in inner {
            let bits = index_bits(axis.size);
            let eq = eq_vector(&sigma[at..at + bits], axis.size as usize);
            at += bits;
            let vector = vectors[usize::from(axis.id)].to_mut();
            for (weight, eq) in vector.iter_mut().zip(eq) {
                *weight *= eq;
            }
        }
    }
    AxisWeights::new(vectors).with_sums(&operand.sums)
}

/// `Σ χ` over form axes that a contraction does not use.
#[must_use]
pub fn free_weight(form: &Form, product: &Product, chi: &[Vec<Fp>]) -> Fp {
    ProductAxes::new(form, product)
        .free
        .iter()
        .fold(Fp::ONE, |weight, axis| weight * chi[usize::from(axis.id)].iter().sum::<Fp>())
}

/// The evaluation of one side at every point of the inner axes, as the sumcheck needs it. Batch axes
/// carry χ on the left side.
#[must_use]
pub fn operand_table(
    form: &Form,
    product: &Product,
    is_left: bool,
    chi: &[Vec<Fp>],
    inner: &[Axis],
    values: IntegerSlice<'_>,
) -> Vec<Fp> {
    let operand = if is_left { &product.left } else { &product.right };
    let weights = operand_weights(form, product, is_left, chi, None);
    let sizes: Vec<(u8, usize)> = inner.iter().map(|a| (a.id, a.size as usize)).collect();
    let mut table = contract(&operand.map, values, &weights, &sizes);
    if is_left {
        // Batch axes come first in `inner`, so in the lowest bits.
        let mut at = 0;
        for axis in inner.iter().take_while(|a| usize::from(a.id) < form.shape.len()) {
            let bits = index_bits(axis.size);
            let vector = &chi[usize::from(axis.id)];
            for (index, value) in table.iter_mut().enumerate() {
                let i = (index >> at) & ((1 << bits) - 1);
                *value *= vector.get(i).copied().unwrap_or(Fp::ZERO);
            }
            at += bits;
        }
    }
    table
}

/// `μ^ℓ` for every relation.
#[must_use]
pub fn relation_weights(model: &CompiledModel, mu: Fp) -> Vec<Fp> {
    std::iter::successors(Some(Fp::ONE), |w| Some(w * mu)).take(model.lowered.relations.len()).collect()
}

/// `κ_s`: weight of the relation, the integer factor, and unused axes.
#[must_use]
pub fn product_weight(form: &Form, product: &Product, chi: &[Vec<Fp>], relation_weight: Fp) -> Fp {
    relation_weight * from_i64(product.coef) * free_weight(form, product, chi)
}

/// `κ'_s` of a contraction of the sumcheck: its claim is an average over `2^variables` points.
#[must_use]
pub fn contraction_weight(
    entry: &SumcheckProduct,
    (form, product): (&Form, &Product),
    chi: &[Vec<Fp>],
    relation_weight: Fp,
) -> Fp {
    product_weight(form, product, chi, relation_weight) * num_points(entry.num_variables)
}

/// `2^variables`.
#[must_use]
pub(crate) fn num_points(variables: usize) -> Fp {
    Fp::from(2).pow_vartime([variables as u64])
}
