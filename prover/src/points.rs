//! Points that a file has for the weights of a model: whether they are the commitments of these weights.
//!
//! Commitments are linear. With weights `r_j` that nobody knew when the file was written,
//!
//! ```text
//! Σ_j r_j·C_j = Σ_i (Σ_j r_j·a_(j,i))·L_i + (Σ_j r_j·b_j)·W
//! ```
//!
//! for columns `a_j` with blinds `b_j`, where one point that is another makes both sides equal for one `r_j` of all: with `2^128` of them, by chance only.
//! That takes one multi-scalar multiplication over the points, one over the generators, and four multiplications of words for a weight, where
//! committing takes a point addition for each.

use crate::{
    error::ProveError,
    generators::Generators,
    multiexp::multiexp,
    vartime::{Affine, Point},
};
use ff::{Field, PrimeField};
use pasta_curves::{EqAffine, Fp};
use rayon::prelude::*;
use zkonnx_circuits::weighted::weighted_sum;
use zkonnx_quantize::integers::{IntegerSlice, Integers};

/// Bytes of a random weight.
const WEIGHT_BYTES: usize = 16;
/// Rows that a thread adds up at a time, at least.
const ROWS: usize = 1024;

/// Whether the points are the commitments of the columns with these blinds.
///
/// True for points that are; for others false, but with probability `2^-128`. The three have one length.
///
/// # Errors
/// [`ProveError::Randomness`] when the operating system gives none.
pub fn commit_to(
    points: &[EqAffine],
    (columns, blinds): (&[Integers], &[Fp]),
    generators: &Generators,
) -> Result<bool, ProveError> {
    let _span = tracing::info_span!("check points").entered();
    if points.len() != columns.len() || columns.len() != blinds.len() {
        return Ok(false);
    }
    let weights = random_weights(points.len())?;
    let mut sums = vec![Fp::ZERO; generators.row.len()];
    let size = sums.len().div_ceil(rayon::current_num_threads()).max(ROWS);
    sums.par_chunks_mut(size).enumerate().for_each(|(part, sums)| {
        let (start, end) = (part * size, part * size + sums.len());
        let rows = |column: &Integers| column.len().min(start)..column.len().min(end);
        let terms: Vec<(Fp, IntegerSlice<'_>)> =
            weights.iter().zip(columns).map(|(weight, column)| (*weight, column.slice(rows(column)))).collect();
        weighted_sum(&terms, sums);
    });
    let blind: Fp = weights.iter().zip(blinds).map(|(weight, blind)| *weight * blind).sum();
    let points: Vec<Affine> = points.par_iter().map(|point| Affine::from(*point)).collect();
    let (left, right) =
        rayon::join(|| parallel_multiexp(&weights, &points), || parallel_multiexp(&sums, &generators.row));
    Ok(left == right + generators.blind(blind))
}

/// Fresh weights of 128 bits.
fn random_weights(count: usize) -> Result<Vec<Fp>, ProveError> {
    let mut entropy = vec![0; count * WEIGHT_BYTES];
    getrandom::fill(&mut entropy).map_err(|e| ProveError::Randomness(e.to_string()))?;
    let (weights, _) = entropy.as_chunks::<WEIGHT_BYTES>();
    Ok(weights.iter().map(|bytes| Fp::from_u128(u128::from_le_bytes(*bytes))).collect())
}

/// [`multiexp`] on all threads: one part for each.
fn parallel_multiexp(scalars: &[Fp], bases: &[Affine]) -> Point {
    let size = scalars.len().div_ceil(rayon::current_num_threads()).max(1);
    let parts = scalars.par_chunks(size).zip(bases.par_chunks(size));
    parts.map(|(scalars, bases)| multiexp(scalars, bases)).sum()
}
