//! The opening: see [`zkonnx_verifier::argument::opening`].

mod columns;

use super::Prover;
use crate::{
    deviation::{Deviation, FoldView},
    multiexp::multiexp,
    vartime::{Affine, Point},
};
use columns::Columns;
use ff::{Field, PrimeField};
use group::{Curve as _, Group as _};
use halo2_proofs::{arithmetic::best_fft, transcript::TranscriptWrite};
use pasta_curves::{arithmetic::CurveExt as _, Eq, EqAffine, Fp};
use rayon::prelude::*;
use zkonnx_circuits::{field::inner_product, length::num_fold_rounds, linear_system::LinearSystem};
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
    let value_generator = (generators.value * z).to_affine();
    // To the coefficient basis.
    let k = model.params.k();
    let mut a = to_coefficients(values, k);
    a[0] += z * stray;
    let mut b = functional;
    best_fft(&mut b, root_of_unity(k), k);
    // 7c. The mask.
    let (mask, mask_blind) = (Fp::random(&mut prover.rng), Fp::random(&mut prover.rng));
    prover.send_point(
        generators.coefficient[0] * mask
            + value_generator * (mask * b[0] + deviation.mask())
            + generators.blind(mask_blind),
    )?;
    let xi = prover.challenge(Check::Xi, deviation);
    a[0] += xi * mask;
    blind += xi * mask_blind;
    // 7d. The rounds.
    let _span = tracing::info_span!("inner product rounds").entered();
    let mut g = generators.coefficient.clone();
    for round in 0.. {
        if a.len() <= 1 {
            break;
        }
        let half = a.len() / 2;
        let stray = deviation.round_of_opening(round);
        let blinds = (Fp::random(&mut prover.rng), Fp::random(&mut prover.rng));
        let half_point = |a: &[Fp], b: &[Fp], g: &[Affine], (stray, blind): (Fp, Fp)| {
            let scalars: Vec<Fp> = a.iter().copied().chain([inner_product(a, b) + stray]).collect();
            let bases: Vec<Affine> = g.iter().copied().chain([value_generator]).collect();
            multiexp(&scalars, &bases) + generators.blind(blind)
        };
        let (left, right) = rayon::join(
            || half_point(&a[..half], &b[half..], &g[half..], (stray.0, blinds.0)),
            || half_point(&a[half..], &b[..half], &g[..half], (stray.1, blinds.1)),
        );
        prover.send_point(left)?;
        prover.send_point(right)?;
        let u = prover.challenge(Check::U, deviation);
        let inverse = u.invert().unwrap_or(Fp::ZERO);
        for i in 0..half {
            a[i] = a[i] + u * a[half + i];
            b[i] = b[i] + inverse * b[half + i];
        }
        a.truncate(half);
        b.truncate(half);
        if half > 1 {
            g = fold_generators(&g, inverse);
        }
        blind += inverse * blinds.0 + u * blinds.1;
    }
    // 7e. The final scalar and blind.
    let (mut c, mut f) = (a[0], blind);
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

/// `G_lo + u⁻¹·G_hi`.
fn fold_generators(g: &[Affine], inverse: Fp) -> Vec<Affine> {
    let half = g.len() / 2;
    let (low, high) = g.split_at(half);
    let chunk = half.div_ceil(rayon::current_num_threads()).max(16);
    let mut folded = vec![Affine::default(); half];
    folded.par_chunks_mut(chunk).zip(low.par_chunks(chunk)).zip(high.par_chunks(chunk)).for_each(
        |((out, low), high)| {
            // What pasta_curves shares among multiplications by one scalar is more than variable time saves.
            let high: Vec<EqAffine> = high.iter().copied().map(EqAffine::from).collect();
            let mut products = vec![Eq::identity(); high.len()];
            Eq::batch_mul_same_scalar_vartime(&high, &inverse, &mut products);
            let sums: Vec<Point> =
                products.into_iter().zip(low).map(|(product, low)| Point::from(product) + low).collect();
            Point::batch_normalize(&sums, out);
        },
    );
    folded
}
