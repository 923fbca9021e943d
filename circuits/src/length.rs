//! The exact length of a proof, known from the compiled model before a byte is read.

use crate::{compiled::CompiledModel, messages::Rounds, shape::CircuitShape};

/// Bytes of a point or a scalar.
pub const ELEMENT: usize = 32;

/// Degree of halo2's constraint system: a product, with the selector.
const CIRCUIT_DEGREE: usize = 3;

/// Elements of halo2's proof, for the second way of proving gates: advice columns, the random polynomial, pieces of the quotient;
/// evaluations of these and of the selector; the quotient of the multi-opening with its evaluation, the mask, rounds, final scalar and blind.
#[must_use]
pub fn halo2_elements(shape: &CircuitShape) -> usize {
    match shape.gated.len() {
        0 => 0,
        advice => 2 * advice + CIRCUIT_DEGREE + 2 * shape.k as usize + 7,
    }
}

/// Points that are sent first: free word columns, multiplicities.
#[must_use]
pub fn num_free_points(shape: &CircuitShape) -> usize {
    shape.columns.len() - shape.gated.len() + shape.num_table_groups()
}

/// Columns that the opening folds: words, multiplicities, pooled and combined parameters, pieces, points of committed tensors.
#[must_use]
pub fn num_opening_columns(model: &CompiledModel) -> usize {
    model.shape.columns.len()
        + model.shape.num_table_groups()
        + model.params.num_pooled
        + model.sumcheck.num_combined
        + Rounds::of(model).num_pieces()
        + model.num_committed_points()
}

/// Rounds of the fold over columns.
#[must_use]
pub fn num_fold_rounds(model: &CompiledModel) -> usize {
    num_opening_columns(model).next_power_of_two().trailing_zeros() as usize
}

/// Elements of everything but halo2's proof.
#[must_use]
pub fn linear_elements(model: &CompiledModel) -> usize {
    let rounds = Rounds::of(model);
    let clear = if rounds.pairs > 0 { 2 } else { 0 };
    let opening = 2 * num_fold_rounds(model) + 1 + 2 * usize::from(model.layout.k) + 2;
    num_free_points(&model.shape) + rounds.num_pieces() + clear + opening
}

/// Elements of the points that a verifier decompresses and multiplies, with those of the model's parameters.
#[must_use]
pub fn num_points(model: &CompiledModel) -> usize {
    (halo2_elements(&model.shape) + linear_elements(model)).saturating_sub(4) + model.params.num_columns
}

/// Bytes of a proof.
#[must_use]
pub fn proof_length(model: &CompiledModel) -> usize {
    (halo2_elements(&model.shape) + linear_elements(model)) * ELEMENT
}
