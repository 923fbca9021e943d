//! The terms of halo2's final equation that can be told from its transcript.
//!
//! halo2 hands out its equation as an `MSM` that can be added to and evaluated, but not read. For a batch, thousands of points are
//! multiplied faster by [`crate::multiexp`], so their terms are *moved*: subtracted from halo2's equation, where a coefficient of zero
//! then costs nothing, and added to the batch's own sum. The sum of both is the same whatever is moved: a wrong coefficient here
//! would cost time, never soundness.
//!
//! The coefficients are those of halo2's multi-opening (`halo2_proofs` 0.4.1) for a circuit without permutations and lookups, whose
//! commitments are queried at `x` alone, or at `x` and `ωx`: in each of these two sets, powers of `x_1`, from the last query to the first.

use crate::{
    length::{circuit_degree, num_fixed_queries},
    registry::ModelKeys,
    transcript::Record,
};
use ff::Field;
use pasta_curves::{EqAffine, Fp};

/// Points that halo2's verifier has read with their coefficients, advice columns first; none when the transcript is not as expected.
#[must_use]
pub fn known_terms(keys: &ModelKeys, record: &Record) -> Vec<(Fp, EqAffine)> {
    let shape = &keys.compiled.shape;
    let (advice, pieces, rounds) = (shape.num_advice_columns(), circuit_degree(shape) - 1, shape.k as usize);
    if record.points.len() != advice + 1 + pieces + 2 + 2 * rounds || record.challenges.len() != 11 + rounds {
        return Vec::new();
    }
    // θ, β, γ, y, x, x_1, x_2, x_3, x_4, ξ, z, then u of every round.
    let [x, x_1, x_4, xi] = [4, 5, 8, 9].map(|i| record.challenges[i]);
    let x_n = x.pow_vartime([1 << shape.k]);
    let mut coefficients = Vec::with_capacity(record.points.len());
    coefficients.resize(advice, Fp::ZERO);
    // At x: the random polynomial, the quotient, fixed columns, advice columns; at x and ωx: advice columns.
    let mut at_x = x_4 * x_1.pow_vartime([2 + num_fixed_queries(shape) as u64]);
    let mut at_both = Fp::ONE;
    for column in keys.query_order.iter().rev() {
        let both = keys.opened_at_next.get(*column).copied().unwrap_or(false);
        let next = if both { &mut at_both } else { &mut at_x };
        if let Some(coefficient) = coefficients.get_mut(*column) {
            *coefficient = *next;
        }
        *next *= x_1;
    }
    coefficients.push(x_4);
    coefficients.extend(std::iter::successors(Some(x_4 * x_1), |c| Some(*c * x_n)).take(pieces));
    coefficients.push(x_4.square());
    coefficients.push(xi);
    for u in &record.challenges[11..] {
        coefficients.push(u.invert().unwrap_or(Fp::ZERO));
        coefficients.push(*u);
    }
    coefficients.into_iter().zip(record.points.iter().copied()).collect()
}
