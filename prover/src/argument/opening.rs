//! The opening: see [`zkonnx_verifier::argument::opening`].

use super::LinearProver;
use crate::{
    deviation::{Deviation, FoldView},
    multiexp::multiexp,
    randomness::AdviceRandomness,
    vartime::{Affine, Point},
};
use ff::Field;
use group::{Curve as _, Group as _};
use halo2_proofs::{arithmetic::best_fft, transcript::TranscriptWrite};
use pasta_curves::{arithmetic::CurveExt as _, Eq, EqAffine, Fp};
use rayon::prelude::*;
use zkonnx_circuits::{
    field::{from_i64, inner_product},
    functional::LinearSystem,
    weighted::weighted_sum,
};
use zkonnx_verifier::{
    argument::opening::root_of_unity,
    checks::Check,
    length::{num_fold_rounds, num_opening_columns},
    transcript::Challenge,
};

/// A column with its functional; an empty vector is zero.
#[derive(Clone, Debug, Default)]
struct OpeningColumn {
    values: Vec<Fp>,
    functional: Vec<Fp>,
    blind: Fp,
}

/// 8.–13. Sends the opening.
///
/// `words` are the word columns on all rows.
///
/// # Errors
/// When the transcript cannot be written.
pub fn prove<T: TranscriptWrite<EqAffine, Challenge>>(
    prover: &mut LinearProver<'_, T>,
    system: LinearSystem,
    words: Vec<Vec<Fp>>,
    randomness: &AdviceRandomness,
    deviation: &mut dyn Deviation,
) -> std::io::Result<()> {
    let model = prover.model;
    let generators = &model.generators;
    let strays = (deviation.parameters(), deviation.committed());
    let mut columns = collect_columns(prover, system, words, randomness, &strays);
    // 8. Fold the columns.
    let num_folds = num_fold_rounds(&model.keys.compiled);
    columns.resize_with(1 << num_folds, OpeningColumn::default);
    let (mut value_blind, mut stray) = (Fp::ZERO, Fp::ZERO);
    {
        let _span = tracing::info_span!("fold columns").entered();
        for round in 0..num_folds {
            let mut cross = cross_terms(&columns);
            let view = FoldView {
                round,
                num_rounds: num_folds,
                low: &columns[0].functional,
                high: &columns[columns.len() / 2].functional,
            };
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
            fold_columns(&mut columns, tau, inverse);
        }
    }
    let OpeningColumn { mut values, mut functional, mut blind } = columns.pop().unwrap_or_default();
    let n = model.keys.compiled.num_rows();
    values.resize(n, Fp::ZERO);
    functional.resize(n, Fp::ZERO);
    // 9. z, only now.
    let z = prover.challenge(Check::Z, deviation);
    blind += z * value_blind;
    let value_generator = (generators.value * z).to_affine();
    // To the coefficient basis.
    let k = model.params.k();
    let root = root_of_unity(k);
    let domain = model.pk.get_vk().get_domain();
    let mut a = domain.lagrange_to_coeff(domain.lagrange_from_vec(values)).to_vec();
    a[0] += z * stray;
    let mut b = functional;
    best_fft(&mut b, root, k);
    // 10. The mask.
    let (mask, mask_blind) = (Fp::random(&mut prover.rng), Fp::random(&mut prover.rng));
    prover.send_point(
        generators.coefficient[0] * mask
            + value_generator * (mask * b[0] + deviation.mask())
            + generators.blind(mask_blind),
    )?;
    let xi = prover.challenge(Check::Xi, deviation);
    a[0] += xi * mask;
    blind += xi * mask_blind;
    // 11. The rounds.
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
    // 12. The final scalar and blind.
    let (mut c, mut f) = (a[0], blind);
    deviation.finish(&mut c, &mut f);
    prover.transcript.write_scalar(c)?;
    prover.transcript.write_scalar(f)?;
    // 13. r is the verifier's alone.
    Ok(())
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

/// What cells hold beside their integers: (column or point, place, value). Nothing for an honest prover.
type Strays = Vec<(usize, usize, Fp)>;

/// Adds what a column holds beside its integers, `weight` times.
fn add_strays(values: &mut Vec<Fp>, strays: &Strays, column: usize, weight: Fp) {
    for (_, place, value) in strays.iter().filter(|s| s.0 == column) {
        if values.len() <= *place {
            values.resize(place + 1, Fp::ZERO);
        }
        values[*place] += weight * value;
    }
}

/// All columns in the order of the verifier.
fn collect_columns<T: TranscriptWrite<EqAffine, Challenge>>(
    prover: &LinearProver<'_, T>,
    system: LinearSystem,
    words: Vec<Vec<Fp>>,
    randomness: &AdviceRandomness,
    (in_parameters, in_committed): &(Strays, Strays),
) -> Vec<OpeningColumn> {
    let model = prover.model;
    let mut columns = Vec::with_capacity(num_opening_columns(&model.keys.compiled));
    let LinearSystem { words: functionals, pooled, combined, messages, committed, .. } = system;
    for ((values, functional), blind) in words.into_iter().zip(functionals).zip(&randomness.blinds) {
        columns.push(OpeningColumn { values, functional, blind: *blind });
    }
    for (column, functional) in pooled.into_iter().enumerate() {
        let (mut values, blind) = (model.param_column(column), model.columns.blinds[column]);
        add_strays(&mut values, in_parameters, column, Fp::ONE);
        columns.push(OpeningColumn { values, functional, blind });
    }
    columns.par_extend(combined.into_par_iter().map(|combined| {
        let mut values = vec![Fp::ZERO; combined.functional.len()];
        let mut blind = Fp::ZERO;
        let own = |(column, weight): &(usize, Fp)| (*weight, model.columns.columns[*column].as_slice());
        weighted_sum(&combined.columns.iter().map(own).collect::<Vec<_>>(), &mut values);
        for (column, weight) in &combined.columns {
            add_strays(&mut values, in_parameters, *column, *weight);
            blind += *weight * model.columns.blinds[*column];
        }
        OpeningColumn { values, functional: combined.functional, blind }
    }));
    let first_message = columns.len();
    let zeta = prover.messages.challenges.zeta;
    for functional in messages {
        columns.push(OpeningColumn { values: vec![Fp::ZERO; functional.len()], functional, blind: Fp::ZERO });
    }
    let mut power = Fp::ONE;
    let pieces = &model.keys.compiled.sumcheck.pieces;
    for (index, (piece, blind)) in pieces.iter().zip(&prover.piece_blinds).enumerate() {
        let column = &mut columns[first_message + piece.column];
        for row in piece.start..piece.start + piece.len {
            column.values[row] += power * prover.message_columns[piece.column][row];
        }
        for (_, row, value) in prover.strays.iter().filter(|s| s.0 == index) {
            column.values[*row] += power * value;
        }
        column.blind += power * blind;
        power *= zeta;
    }
    // Committed tensors are coefficients: their rows are the DFT, their functionals that of the rows.
    let (k, domain) = (model.params.k(), model.pk.get_vk().get_domain());
    let root = root_of_unity(k);
    let points = prover.committed.par_iter().zip(committed).enumerate();
    columns.par_extend(points.map(|(point, ((integers, blind), mut functional))| {
        let mut values: Vec<Fp> = integers.iter().map(|v| from_i64(*v)).collect();
        values.resize(1 << k, Fp::ZERO);
        add_strays(&mut values, in_committed, point, Fp::ONE);
        best_fft(&mut values, root, k);
        functional.resize(1 << k, Fp::ZERO);
        let functional = domain.lagrange_to_coeff(domain.lagrange_from_vec(functional)).to_vec();
        OpeningColumn { values, functional, blind: *blind }
    }));
    columns
}

/// `c_L = Σ <a_j, U_(j+h)>`, `c_R = Σ <a_(j+h), U_j>`.
fn cross_terms(columns: &[OpeningColumn]) -> (Fp, Fp) {
    let (low, high) = columns.split_at(columns.len() / 2);
    low.par_iter()
        .zip(high)
        .map(|(low, high)| (inner_product(&low.values, &high.functional), inner_product(&high.values, &low.functional)))
        .reduce(|| (Fp::ZERO, Fp::ZERO), |a, b| (a.0 + b.0, a.1 + b.1))
}

fn fold_columns(columns: &mut Vec<OpeningColumn>, tau: Fp, inverse: Fp) {
    let high = columns.split_off(columns.len() / 2);
    columns.par_iter_mut().zip(high).for_each(|(low, high)| {
        add_scaled(&mut low.values, &high.values, tau);
        add_scaled(&mut low.functional, &high.functional, inverse);
        low.blind += tau * high.blind;
    });
}

fn add_scaled(to: &mut Vec<Fp>, from: &[Fp], by: Fp) {
    if to.len() < from.len() {
        to.resize(from.len(), Fp::ZERO);
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to += by * from;
    }
}
