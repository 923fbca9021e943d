//! One opening of `Σ_j <a_j, U_j> = v` (protocol, section 8, step 7).
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
//! Where gates are proven by halo2, it is multiplied by `r`, squeezed after `f`, and added to the equation that halo2's verification leaves.
//! Soundness error: `(2·log2 C + 2 + 1 + 3k + 1)/|F|`. Cost: `2·log2 C + 1 + 2k` points, two scalars.

use super::{ReadError, Reader};
use crate::{checks::Check, length::num_fold_rounds, transcript::Challenge};
use ff::{Field, PrimeField};
use halo2_proofs::transcript::TranscriptRead;
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{compiled::CompiledModel, linear_system::LinearSystem, word_system::WordSystem};

/// The commitments of all columns, as sums of points with public weights.
#[derive(Clone, Debug)]
pub struct ColumnPoints<'a> {
    /// Word columns, then multiplicities: points of this proof.
    pub columns: &'a [EqAffine],
    /// All parameter columns: points of the registered model.
    pub params: &'a [EqAffine],
    /// Pieces, from this proof.
    pub pieces: &'a [EqAffine],
    /// Committed tensors: points of the statement.
    pub committed: &'a [EqAffine],
}

/// A sum that must vanish.
#[derive(Clone, Debug, Default)]
pub struct Equation {
    /// Points of this proof and its statement, with their coefficients.
    pub points: Vec<(Fp, EqAffine)>,
    /// Coefficients of the points of all parameter columns, which are the model's.
    pub params: Vec<Fp>,
    /// Coefficients of the generators `G_i`.
    pub g: Vec<Fp>,
    /// Coefficient of `U`.
    pub u: Fp,
    /// Coefficient of `W`.
    pub w: Fp,
}

impl Equation {
    /// Multiplies everything.
    pub fn scale(&mut self, by: Fp) {
        let points = self.points.iter_mut().map(|(scalar, _)| scalar);
        let all = points.chain(&mut self.params).chain(&mut self.g).chain([&mut self.u, &mut self.w]);
        all.for_each(|scalar| *scalar *= by);
    }
}

/// A primitive `2^k`-th root of unity.
#[must_use]
pub fn root_of_unity(k: u32) -> Fp {
    (k..Fp::S).fold(Fp::ROOT_OF_UNITY, |root, _| root.square())
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

/// 7. Reads the opening and returns its equation.
///
/// # Errors
/// [`ReadError`].
pub fn verify<T: TranscriptRead<EqAffine, Challenge>>(
    model: &CompiledModel,
    reader: &mut Reader<'_, T>,
    system: &WordSystem,
    points: &ColumnPoints<'_>,
) -> Result<Equation, ReadError> {
    let mut terms = Vec::new();
    // 7a. Fold the columns.
    let (mut tau, mut tau_inverse, mut value_points) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..num_fold_rounds(model) {
        let (left, right) = (reader.point()?, reader.point()?);
        let (challenge, inverse) = reader.nonzero_challenge(Check::Tau)?;
        value_points.push((inverse, left));
        value_points.push((challenge, right));
        tau.push(challenge);
        tau_inverse.push(inverse);
    }
    // 7b. z, only now.
    let z = reader.challenge(Check::Z);
    for (weight, point) in value_points {
        terms.push((weight * z, point));
    }
    // 7c. The mask.
    let mask = reader.point()?;
    let xi = reader.challenge(Check::Xi);
    terms.push((xi, mask));
    // 7d. The rounds.
    let mut u_inverse = Vec::new();
    for _ in 0..model.layout.k {
        let (left, right) = (reader.point()?, reader.point()?);
        let (challenge, inverse) = reader.nonzero_challenge(Check::U)?;
        terms.push((inverse, left));
        terms.push((challenge, right));
        u_inverse.push(inverse);
    }
    // 7e. The final scalar and blind.
    let (c, f) = (reader.scalar()?, reader.scalar()?);

    let count = 1 << tau.len();
    let params = add_columns(&mut terms, model, system.rest(), &bit_products(&tau, count), points);
    let rows = transformed_products(&u_inverse, root_of_unity(model.layout.k.into()));
    let mut g = bit_products(&u_inverse, model.num_rows());
    let value = system.evaluate(model, &bit_products(&tau_inverse, count), &rows, &g);
    // The value is v = −constant; and minus the right side.
    let u = -z * system.rest().constant - c * z * value;
    for s in &mut g {
        *s *= -c;
    }
    Ok(Equation { points: terms, params, g, u, w: -f })
}

/// All columns with their weights; gives the coefficients of parameters.
fn add_columns(
    terms: &mut Vec<(Fp, EqAffine)>,
    model: &CompiledModel,
    system: &LinearSystem,
    weights: &[Fp],
    points: &ColumnPoints<'_>,
) -> Vec<Fp> {
    let mut weights = weights.iter().copied();
    terms.extend(weights.by_ref().take(points.columns.len()).zip(points.columns.iter().copied()));
    let mut params = vec![Fp::ZERO; points.params.len()];
    for (param, weight) in params.iter_mut().take(model.params.num_pooled).zip(&mut weights) {
        *param += weight;
    }
    for (combined, weight) in system.combined.iter().zip(&mut weights) {
        for (column, own) in &combined.columns {
            if let Some(param) = params.get_mut(*column) {
                *param += weight * own;
            }
        }
    }
    terms.extend(weights.zip(points.pieces.iter().chain(points.committed).copied()));
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use halo2_proofs::arithmetic::best_fft;

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
