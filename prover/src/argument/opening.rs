//! The opening: see [`zkonnx_verifier::argument::opening`].

mod columns;

use super::Prover;
use crate::{
    deviation::{Deviation, FoldView},
    inner_product::{Cross, Rounds},
};
use columns::Columns;
use ff::{Field, PrimeField};
use halo2_proofs::{arithmetic::best_fft, transcript::TranscriptWrite};
use pasta_curves::{EqAffine, Fp};
use zkonnx_circuits::{length::num_fold_rounds, linear_system::LinearSystem};
use zkonnx_verifier::{argument::opening::root_of_unity, checks::Check, transcript::Challenge};

/// 7. Sends the opening.
///
/// # Errors
/// When the transcript cannot be written.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
    prover: &mut Prover<'_, T>,
    system: LinearSystem,
    deviation: &mut dyn Deviation,
) -> std::io::Result<()> {
    let model = prover.model;
    let generators = &model.generators;
    let strays = columns::Strays { parameters: deviation.parameters(), committed: deviation.committed() };
    // 7a. Fold the columns.
    let num_folds = num_fold_rounds(&model.keys.compiled);
    let mut columns = {
        let _span = tracing::info_span!("collect columns").entered();
        Columns::new(prover, system, &strays)
    };
    let (mut value_blind, mut stray) = (Fp::ZERO, Fp::ZERO);
    {
        let _span = tracing::info_span!("fold columns").entered();
        for round in 0..num_folds {
            let mut cross = columns.cross_terms();
            let last = round + 1 == num_folds;
            // What a lying prover looks at; no other fold is of use to it.
            let (low, high) = if last { columns.last_functionals() } else { (Vec::new(), Vec::new()) };
            let view = FoldView { round, num_rounds: num_folds, low: &low, high: &high };
            deviation.fold(&view, &mut cross);
            let on_generator = deviation.fold_on_generator(&view);
            let blinds = (Fp::random(&mut prover.rng), Fp::random(&mut prover.rng));
            for (value, blind, lie) in [(cross.0, blinds.0, on_generator.0), (cross.1, blinds.1, on_generator.1)] {
                let mut point = generators.blind_value(blind, value);
                if lie != Fp::ZERO {
                    point += generators.coefficient[0] * lie;
                }
                prover.send_point(point)?;
            }
            let tau = prover.challenge(Check::Tau, deviation);
            let inverse = tau.invert().unwrap_or(Fp::ZERO);
            value_blind += inverse * blinds.0 + tau * blinds.1;
            stray += inverse * on_generator.0 + tau * on_generator.1;
            columns.fold(tau, inverse);
        }
    }
    let (values, functional, mut blind) = columns.finish();
    // 7b. z, only now.
    let z = prover.challenge(Check::Z, deviation);
    blind += z * value_blind;
    // To the coefficient basis.
    let k = model.params.k();
    let mut a = to_coefficients(values, k);
    a[0] += z * stray;
    let mut b = functional;
    best_fft(&mut b, root_of_unity(k), k);
    // 7c. The mask.
    let (mask, mask_blind) = (Fp::random(&mut prover.rng), Fp::random(&mut prover.rng));
    prover.send_point(
        generators.coefficient[0] * mask + generators.blind_value(mask_blind, z * (mask * b[0] + deviation.mask())),
    )?;
    let xi = prover.challenge(Check::Xi, deviation);
    a[0] += xi * mask;
    blind += xi * mask_blind;
    // 7d. The rounds.
    let _span = tracing::info_span!("inner product rounds").entered();
    let mut rounds = Rounds::new(generators, a, b);
    for round in 0.. {
        if rounds.is_done() {
            break;
        }
        let stray = deviation.round_of_opening(round);
        let blinds = (Fp::random(&mut prover.rng), Fp::random(&mut prover.rng));
        let Cross { left, right, left_value, right_value } = rounds.cross_terms();
        prover.send_point(left + generators.blind_value(blinds.0, z * (left_value + stray.0)))?;
        prover.send_point(right + generators.blind_value(blinds.1, z * (right_value + stray.1)))?;
        let u = prover.challenge(Check::U, deviation);
        let inverse = u.invert().unwrap_or(Fp::ZERO);
        rounds.fold(u, inverse);
        blind += inverse * blinds.0 + u * blinds.1;
    }
    // 7e. The final scalar and blind.
    let (mut c, mut f) = (rounds.finish(), blind);
    deviation.finish(&mut c, &mut f);
    prover.transcript.write_scalar(c)?;
    prover.transcript.write_scalar(f)?;
    Ok(())
}

/// The coefficients of the polynomial with these values: the inverse DFT.
fn to_coefficients(mut values: Vec<Fp>, k: u32) -> Vec<Fp> {
    let inverse = root_of_unity(k).invert().unwrap_or(Fp::ZERO);
    best_fft(&mut values, inverse, k);
    let size = Fp::TWO_INV.pow_vartime([u64::from(k)]);
    values.iter_mut().for_each(|value| *value *= size);
    values
}
