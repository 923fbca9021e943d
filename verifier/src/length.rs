//! The exact length of a proof, known from the compiled model before a byte is read.

use zkonnx_circuits::{compiled::CompiledModel, shape::CircuitShape, words::Lane};

/// Bytes of a point or a scalar.
pub const ELEMENT: usize = 32;

/// Degree of the constraint system.
#[must_use]
pub fn circuit_degree(shape: &CircuitShape) -> usize {
    let lookups = shape.groups.iter().map(|g| 2 + g.iter().map(|l| l.degree()).sum::<usize>());
    let lanes = shape.lanes.iter().map(|placed| match placed.lane {
        Lane::ZeroProduct => 1 + placed.words.len(),
        Lane::Range | Lane::Interval { .. } => 2,
        Lane::Clamp { .. } | Lane::Table { .. } | Lane::Division { .. } => 3,
    });
    // h_t times a fingerprint of degree 1, or 2 where there are tags or pairs.
    let table = (!shape.table.is_empty()).then_some(if shape.has_theta() { 4 } else { 3 });
    lookups.chain(lanes).chain(table).max().unwrap_or(0).max(3)
}

/// Fixed columns that gates query, each on the current row.
#[must_use]
pub fn num_fixed_queries(shape: &CircuitShape) -> usize {
    // Without lookups there are no gadgets, and no gate reads the selector of active rows.
    shape.num_fixed_columns() - usize::from(shape.groups.is_empty())
}

/// Elements of halo2's proof.
#[must_use]
pub fn halo2_elements(shape: &CircuitShape) -> usize {
    let advice = shape.num_advice_columns();
    let fixed = num_fixed_queries(shape);
    // Advice, the random polynomial, the quotient's pieces.
    let commitments = advice + 1 + (circuit_degree(shape) - 1);
    // Instance, advice (φ, θ and s also at the next row), fixed, the random polynomial.
    let evaluations = 1 + advice + (2 + usize::from(shape.has_theta())) + fixed + 1;
    // Quotient and two evaluation sets; S, rounds, final scalar and blind.
    let opening = 1 + 2 + 1 + 2 * shape.k as usize + 2;
    commitments + evaluations + opening
}

/// Columns that the opening folds: words, pooled and combined parameters, messages, points of committed tensors.
#[must_use]
pub fn num_opening_columns(model: &CompiledModel) -> usize {
    model.shape.columns.len()
        + model.params.num_pooled
        + model.sumcheck.num_combined
        + model.sumcheck.num_message_columns
        + model.num_committed_points()
}

/// Rounds of the fold over columns.
#[must_use]
pub fn num_fold_rounds(model: &CompiledModel) -> usize {
    num_opening_columns(model).next_power_of_two().trailing_zeros() as usize
}

/// Elements of the linear part.
#[must_use]
pub fn linear_elements(model: &CompiledModel) -> usize {
    let sumcheck = model.sumcheck.pieces.len() + 2 * model.sumcheck.num_masked;
    let fold = 2 * num_fold_rounds(model);
    let opening = 1 + 2 * usize::from(model.layout.k) + 2;
    sumcheck + fold + opening
}

/// Bytes of a proof.
#[must_use]
pub fn proof_length(model: &CompiledModel) -> usize {
    (halo2_elements(&model.shape) + linear_elements(model)) * ELEMENT
}
