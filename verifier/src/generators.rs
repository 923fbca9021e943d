//! The generators in the verifier's equations, and deciding one.

use crate::{argument::opening::Equation, multiexp::multiexp};
use group::{Curve as _, Group as _};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::{arithmetic::CurveExt as _, Eq, EqAffine, Fp};
use std::sync::OnceLock;

/// `W`, which carries blinds, and `U`, which carries values: halo2's own, the same for every `k`.
#[must_use]
pub fn blinding_and_value() -> (EqAffine, EqAffine) {
    static POINTS: OnceLock<(EqAffine, EqAffine)> = OnceLock::new();
    *POINTS.get_or_init(|| {
        let hasher = Eq::hash_to_curve("Halo2-Parameters");
        (hasher(&[1]).to_affine(), hasher(&[2]).to_affine())
    })
}

/// The terms of the generators of an equation.
pub(crate) fn generator_terms(params: &Params<EqAffine>, g: &[Fp], u: Fp, w: Fp) -> Vec<(Fp, EqAffine)> {
    let (blinding, value) = blinding_and_value();
    let own = [(u, value), (w, blinding)];
    g.iter().copied().zip(params.get_g()).chain(own).collect()
}

fn sum(params: &Params<EqAffine>, equation: &Equation, points: &[EqAffine]) -> Eq {
    let mut terms = generator_terms(params, &equation.g, equation.u, equation.w);
    terms.extend_from_slice(&equation.points);
    terms.extend(equation.params.iter().copied().zip(points.iter().copied()));
    multiexp(&terms)
}

/// The left side of an equation. `points` are those of the model's parameter columns.
pub(crate) fn sum_terms(params: &Params<EqAffine>, equation: &Equation, points: &[EqAffine]) -> EqAffine {
    sum(params, equation, points).to_affine()
}

/// Whether an equation holds.
pub(crate) fn vanishes(params: &Params<EqAffine>, equation: &Equation, points: &[EqAffine]) -> bool {
    sum(params, equation, points).is_identity().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_are_those_of_the_parameters() {
        let bytes = crate::params::write(&Params::new(4));
        let (blinding, value) = blinding_and_value();
        let expected = [blinding, value].map(|point| group::GroupEncoding::to_bytes(&point)).concat();
        assert_eq!(bytes[bytes.len() - 64..], expected[..]);
    }
}
