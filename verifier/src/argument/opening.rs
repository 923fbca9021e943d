//! One opening of `Σ_j <a_j, U_j> = v` (protocol, section 6).
//!
//! *Relation.* Points `C_j` commit to columns `a_j` (row basis, generators `L_i`, blind on `W`; those of committed tensors
//! to coefficients, generators `G_i`, which is the same after a DFT), and
//! `Σ_j <a_j, U_j> = v` for public `U_j`, `v`.
//!
//! *Rounds.* (a) The list of columns, padded with zeros to a power of two, is folded in halves: the prover sends
//! `X_L = c_L·U + r_L·W`, `X_R = c_R·U + r_R·W`; `a_j += τ·a_(j+h)`, `U_j += τ⁻¹·U_(j+h)`. (b) Only then `z` is drawn: `Ũ = z·U`. A part
//! of some `X` on the generators `G` would otherwise change a column after its functional is known.
//! (c) `S = s_0(G_0 + b_0·Ũ) + r_s·W` masks the final scalar. (d) `k` rounds `L`, `R` of the inner-product argument in the
//! coefficient basis (Bünz et al., *Bulletproofs*, 2018, section 3; Bowe, Grigg, Hopwood, *Halo*, 2019).
//!
//! *Verifier equation.* With `w_j` the product of the τ of the set bits of `j`, `s_i` that of the `u⁻¹`, `b = DFT(Σ w_j⁻¹ U_j)`:
//!
//! ```text
//! Σ w_j·C_j + z·(v·U + Σ(τ⁻¹·X_L + τ·X_R)) + ξ·S + Σ(u⁻¹·L + u·R) = c·Σ s_i·G_i + c·z·<s, b>·U + f·W
//! ```
//!
//! (`<s, b> = <DFT(s), Σ w_j⁻¹ U_j>`, and `DFT(s)` is a product over the rounds: no functional is folded or transformed,)
//! multiplied by `r`, which is squeezed after `f`, and added to the equation that halo2's verification leaves.
//! Soundness error: `(2·log2 C + 2 + 1 + 2k + 1)/|F|`. Cost: `2·log2 C + 1 + 2k` points, two scalars.

use super::{ReadError, Reader};
use crate::{checks::Check, length::num_fold_rounds, transcript::Challenge};
use ff::{Field, PrimeField};
use halo2_proofs::{
    arithmetic::best_fft,
    poly::commitment::{Params, MSM},
    transcript::TranscriptRead,
};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{compiled::CompiledModel, functional::LinearSystem, word_system::WordSystem};

/// The commitments of all columns, as sums of points with public weights.
#[derive(Clone, Debug)]
pub struct ColumnPoints<'a> {
    /// Word columns: points of halo2's proof.
    pub words: &'a [EqAffine],
    /// All parameter columns: points of the registered model.
    pub params: &'a [EqAffine],
    /// Pieces of messages, from this proof.
    pub pieces: &'a [EqAffine],
    /// Committed tensors: points of the statement.
    pub committed: &'a [EqAffine],
}

/// The equation that must vanish, already multiplied by `r`.
#[derive(Clone, Debug)]
pub struct Equation<'p> {
    /// Coefficients of the word columns' points, which are halo2's.
    pub words: Vec<Fp>,
    /// Points of this part of the proof, with their coefficients.
    pub points: Vec<(Fp, EqAffine)>,
    /// Coefficients of the points of all parameter columns, which are the model's.
    pub params: Vec<Fp>,
    /// The generators.
    pub rest: MSM<'p, EqAffine>,
}

/// A primitive `2^k`-th root of unity.
#[must_use]
pub fn root_of_unity(k: u32) -> Fp {
    (k..Fp::S).fold(Fp::ROOT_OF_UNITY, |root, _| root.square())
}

/// `DFT(Σ_j w_j⁻¹·U_j)` over all columns in order, given the inverse weights. Functionals of committed tensors are in the
/// coefficient basis already.
#[must_use]
pub fn fold_functionals(model: &CompiledModel, system: &LinearSystem, weights: &[Fp]) -> Vec<Fp> {
    let mut folded = vec![Fp::ZERO; model.num_rows()];
    let columns = system
        .words
        .iter()
        .chain(&system.pooled)
        .map(Vec::as_slice)
        .chain(system.combined.iter().map(|c| c.functional.as_slice()))
        .chain(system.messages.iter().map(Vec::as_slice));
    let mut weights = weights.iter();
    let add = |folded: &mut [Fp], functional: &[Fp], weight: &Fp| {
        for (out, value) in folded.iter_mut().zip(functional) {
            if *value != Fp::ZERO {
                *out += *weight * value;
            }
        }
    };
    for functional in columns {
        if let Some(weight) = weights.next() {
            add(&mut folded, functional, weight);
        }
    }
    best_fft(&mut folded, root_of_unity(model.layout.k.into()), model.layout.k.into());
    for (functional, weight) in system.committed.iter().zip(weights) {
        add(&mut folded, functional, weight);
    }
    folded
}

/// The product of `challenges[r]` over the bits of `index`, round `r` deciding bit `rounds − 1 − r`.
#[must_use]
pub fn bit_products(challenges: &[Fp], size: usize) -> Vec<Fp> {
    let mut products = vec![Fp::ONE];
    for challenge in challenges {
        products = products.iter().flat_map(|p| [*p, *p * challenge]).collect();
    }
    products.truncate(size);
    products
}

/// The DFT, with `root`, of [`bit_products`] of all `2^rounds` indices: entry `i` is `Π_r (1 + c_r·root^(i·2^(rounds−1−r)))`.
#[must_use]
pub fn transformed_products(challenges: &[Fp], root: Fp) -> Vec<Fp> {
    let size = 1_usize << challenges.len();
    let powers: Vec<Fp> = std::iter::successors(Some(Fp::ONE), |p| Some(*p * root)).take(size / 2).collect();
    let mut products = vec![Fp::ONE];
    for challenge in challenges {
        // Twice as many: the factor has twice the period, and its second half is that of the negative.
        let step = size / (2 * products.len());
        let factors = powers.iter().step_by(step).map(|power| *challenge * power);
        let parts: Vec<Fp> = products.iter().zip(factors).map(|(product, factor)| *product * factor).collect();
        let sums = products.iter().zip(&parts).map(|(product, part)| *product + part);
        products = sums.chain(products.iter().zip(&parts).map(|(product, part)| *product - part)).collect();
    }
    products
}

/// 8.–13. Reads the opening and returns its equation.
///
/// # Errors
/// [`ReadError`].
pub fn verify<'p, T: TranscriptRead<EqAffine, Challenge>>(
    model: &CompiledModel,
    params: &'p Params<EqAffine>,
    reader: &mut Reader<'_, T>,
    system: &WordSystem,
    zeta: Fp,
    points: &ColumnPoints<'_>,
) -> Result<Equation<'p>, ReadError> {
    let mut rest = params.empty_msm();
    let mut terms = Vec::new();
    // 8. Fold the columns.
    let (mut tau, mut tau_inverse, mut value_points) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..num_fold_rounds(model) {
        let (left, right) = (reader.point()?, reader.point()?);
        let (challenge, inverse) = reader.nonzero_challenge(Check::Tau)?;
        value_points.push((inverse, left));
        value_points.push((challenge, right));
        tau.push(challenge);
        tau_inverse.push(inverse);
    }
    // 9. z, only now.
    let z = reader.challenge(Check::Z);
    for (weight, point) in value_points {
        terms.push((weight * z, point));
    }
    // 10. The mask.
    let mask = reader.point()?;
    let xi = reader.challenge(Check::Xi);
    terms.push((xi, mask));
    // 11. The rounds.
    let mut u_inverse = Vec::new();
    for _ in 0..model.layout.k {
        let (left, right) = (reader.point()?, reader.point()?);
        let (challenge, inverse) = reader.nonzero_challenge(Check::U)?;
        terms.push((inverse, left));
        terms.push((challenge, right));
        u_inverse.push(inverse);
    }
    // 12. The final scalar and blind.
    let (c, f) = (reader.scalar()?, reader.scalar()?);
    // 13. r separates this equation from halo2's.
    let r = reader.challenge(Check::R);

    let count = 1 << tau.len();
    let weights = bit_products(&tau, count);
    let mut words: Vec<Fp> = weights.iter().copied().take(points.words.len()).collect();
    let others = weights.get(words.len()..).unwrap_or(&[]);
    let mut param_weights = add_columns(&mut terms, model, system.rest(), others, zeta, points);
    let rows = transformed_products(&u_inverse, root_of_unity(model.layout.k.into()));
    let mut s = bit_products(&u_inverse, model.num_rows());
    let value = system.evaluate(model, &bit_products(&tau_inverse, count), &rows, &s);
    // The value is v = −constant; and minus the right side.
    rest.add_to_u_scalar(-z * system.rest().constant - c * z * value);
    for s in &mut s {
        *s *= -c;
    }
    rest.add_to_g_scalars(&s);
    rest.add_to_w_scalar(-f);
    rest.scale(r);
    for scalar in words.iter_mut().chain(&mut param_weights).chain(terms.iter_mut().map(|(scalar, _)| scalar)) {
        *scalar *= r;
    }
    Ok(Equation { words, points: terms, params: param_weights, rest })
}

/// Parameters and pieces, with the weights of all columns after the words; gives the coefficients of parameters.
fn add_columns(
    terms: &mut Vec<(Fp, EqAffine)>,
    model: &CompiledModel,
    system: &LinearSystem,
    weights: &[Fp],
    zeta: Fp,
    points: &ColumnPoints<'_>,
) -> Vec<Fp> {
    let mut weights = weights.iter();
    let mut params = vec![Fp::ZERO; points.params.len()];
    for (param, weight) in params.iter_mut().take(model.params.num_pooled).zip(&mut weights) {
        *param += weight;
    }
    for (combined, weight) in system.combined.iter().zip(&mut weights) {
        for (column, own) in &combined.columns {
            if let Some(param) = params.get_mut(*column) {
                *param += *weight * own;
            }
        }
    }
    let (messages, committed) = weights.as_slice().split_at(system.messages.len().min(weights.len()));
    for (point, weight) in points.committed.iter().zip(committed) {
        terms.push((*weight, *point));
    }
    let mut power = Fp::ONE;
    for (piece, point) in model.sumcheck.pieces.iter().zip(points.pieces) {
        if let Some(weight) = messages.get(piece.column) {
            terms.push((*weight * power, *point));
        }
        power *= zeta;
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_transformed_as_by_a_fourier_transform() {
        for rounds in 1..7 {
            let challenges: Vec<Fp> = (0..rounds).map(|r| Fp::from(r * r + 3).square()).collect();
            let k = u32::try_from(rounds).expect("few");
            let root = root_of_unity(k);
            let mut expected = bit_products(&challenges, 1 << k);
            best_fft(&mut expected, root, k);
            assert_eq!(transformed_products(&challenges, root), expected);
        }
    }
}
