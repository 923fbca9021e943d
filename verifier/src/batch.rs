//! Many proofs at once, of any mix of models and contexts.
//!
//! Every check that is no multi-scalar multiplication comes first, proof by proof; one that fails is reported and left
//! out. What remains of proof `i` is an equation `E_i = 0` in the group. With weights `w_i` from the final transcript states
//! of *all* proofs ([`batch_weights`]) one multi-scalar multiplication per `k` checks `Σ w_i·E_i = 0`: generators and the
//! parameter commitments of one model occur once, however many proofs use them. Soundness error: `1/|F|` for each sum that is evaluated, as all
//! `E_i` are fixed before any `w_i`. When a sum does not vanish its halves are looked at, down to single proofs,
//! which [`verify`] decides alone: every verdict is the one that [`verify`] gives, and a bad proof never makes a
//! good one fail. There is no randomness of the verifier, and threads change nothing.

use crate::{
    argument::opening::Equation,
    checks::{drawn, Check},
    error::VerifyError,
    generators::generator_terms,
    limits::Limits,
    multiexp::multiexp,
    parallel::{self, map},
    registry::ModelHandle,
    statement::{ModelId, Statement},
    transcript::batch_weights,
    verify::{prepare, verify, Deferred, Verified},
};
use ff::Field;
use group::{Curve as _, Group as _};
use halo2_proofs::poly::commitment::{Params, MSM};
use pasta_curves::{EqAffine, Fp};
use std::{collections::BTreeMap, sync::Arc};

/// One proof of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchItem<'a> {
    /// The model, registered. Handles of one [`crate::registry::Registry`] share their parameters, and so the multiplication.
    pub handle: &'a ModelHandle,
    /// What is proven.
    pub statement: &'a Statement,
    /// The proof.
    pub proof: &'a [u8],
}

impl BatchItem<'_> {
    fn verify(&self, now: Option<u64>) -> Result<Verified, VerifyError> {
        verify(self.handle, self.statement, self.proof, now)
    }
}

/// Verifies many proofs; the verdicts are those of [`verify`], in the same order.
#[must_use]
pub fn verify_batch(items: &[BatchItem<'_>], now: Option<u64>) -> Vec<Result<Verified, VerifyError>> {
    let mut verdicts = Vec::with_capacity(items.len());
    let mut rest = items;
    while !rest.is_empty() {
        let (part, next) = rest.split_at(part_len(rest));
        verdicts.extend(parallel::apart(|| verify_part(part, now)));
        rest = next;
    }
    verdicts
}

/// How many of the items fit the limit, at least one.
fn part_len(items: &[BatchItem<'_>]) -> usize {
    let mut rows = 0_usize;
    let fits = |item: &&BatchItem<'_>| {
        rows = rows.saturating_add(1 << item.handle.layout().k);
        rows <= Limits::BATCH_ROWS
    };
    items.iter().take_while(fits).count().max(1)
}

/// A proof whose equation is left.
struct Pending<'p> {
    index: usize,
    verified: Verified,
    handle: &'p ModelHandle,
    equation: Equation,
    halo2: Option<MSM<'p, EqAffine>>,
}

/// Parameters, and proofs that share them, with their weights.
type Group<'p> = (&'p Arc<Params<EqAffine>>, Vec<(Fp, Pending<'p>)>);

fn verify_part(items: &[BatchItem<'_>], now: Option<u64>) -> Vec<Result<Verified, VerifyError>> {
    let prepared = map(items.to_vec(), |item| {
        prepare(item.handle, item.statement, item.proof, now).map(|p| (p.verified, p.deferred))
    });
    let states: Vec<[u8; 64]> = prepared.iter().flatten().map(|p| p.1.final_state).collect();
    let weights = drawn(Check::Batch, batch_weights(&states), || vec![Fp::from(7); states.len()]);
    let mut weights = weights.into_iter();
    // Nothing is accepted before its equation is decided.
    let mut verdicts: Vec<Option<Result<Verified, VerifyError>>> = Vec::with_capacity(items.len());
    // One group per set of parameters, in order of first appearance.
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, (item, prepared)) in items.iter().zip(prepared).enumerate() {
        let (verified, Deferred { halo2, opening: equation, .. }) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                verdicts.push(Some(Err(error)));
                continue;
            }
        };
        verdicts.push(None);
        // A weight of zero would accept anything: such a proof is verified alone, like those that fail.
        if let Some(weight) = weights.next().filter(|w| *w != Fp::ZERO) {
            let params = item.handle.params();
            let pending = (weight, Pending { index, verified, handle: item.handle, equation, halo2 });
            match groups.iter_mut().find(|g| Arc::ptr_eq(g.0, params)) {
                Some(group) => group.1.push(pending),
                None => groups.push((params, vec![pending])),
            }
        }
    }
    for (params, group) in groups {
        let group = map(group, |(weight, mut pending)| {
            pending.equation.scale(weight);
            if let Some(equation) = &mut pending.halo2 {
                equation.scale(weight);
            }
            pending
        });
        let mut holding = Vec::new();
        find_holding(params, &group, false, &mut holding);
        for pending in holding {
            if let Some(verdict) = verdicts.get_mut(pending.index) {
                *verdict = Some(Ok(pending.verified));
            }
        }
    }
    let alone = |(verdict, item): (Option<_>, &BatchItem<'_>)| verdict.unwrap_or_else(|| item.verify(now));
    verdicts.into_iter().zip(items).map(alone).collect()
}

/// Bisection: the proofs whose equation holds. `fails` says that their sum is known not to vanish; gives whether it does not.
fn find_holding<'a, 'p>(
    params: &'p Params<EqAffine>,
    group: &'a [Pending<'p>],
    fails: bool,
    holding: &mut Vec<&'a Pending<'p>>,
) -> bool {
    if !fails && vanishes(params, group) {
        holding.extend(group);
        return false;
    }
    if group.len() > 1 {
        let (left, right) = group.split_at(group.len() / 2);
        let left_fails = find_holding(params, left, false, holding);
        // When the left half holds, the right one does not.
        find_holding(params, right, !left_fails, holding);
    }
    true
}

/// Whether the sum of equations is the neutral element.
fn vanishes(params: &Params<EqAffine>, group: &[Pending<'_>]) -> bool {
    let mut terms: Vec<(Fp, EqAffine)> = group.iter().flat_map(|p| p.equation.points.iter().copied()).collect();
    // Parameter points once for each model.
    let mut models: BTreeMap<ModelId, (&[EqAffine], Vec<Fp>)> = BTreeMap::new();
    for Pending { handle, equation, .. } in group {
        let none = || (handle.points(), vec![Fp::ZERO; handle.points().len()]);
        let (_, sums) = models.entry(handle.id()).or_insert_with(none);
        sums.iter_mut().zip(&equation.params).for_each(|(sum, scalar)| *sum += scalar);
    }
    terms.extend(models.into_values().flat_map(|(points, sums)| sums.into_iter().zip(points.iter().copied())));
    // Generators once.
    let (mut g, mut u, mut w) = (vec![Fp::ZERO; 1 << params.k()], Fp::ZERO, Fp::ZERO);
    for Pending { equation, .. } in group {
        g.iter_mut().zip(&equation.g).for_each(|(sum, scalar)| *sum += scalar);
        u += equation.u;
        w += equation.w;
    }
    terms.extend(generator_terms(params, &g, u, w));
    let own = multiexp(&terms);
    let mut halo2 = group.iter().filter_map(|pending| pending.halo2.as_ref()).peekable();
    if halo2.peek().is_none() {
        return own.is_identity().into();
    }
    let mut sum = params.empty_msm();
    halo2.for_each(|equation| sum.add_msm(equation));
    sum.append_term(Fp::ONE, own.to_affine());
    sum.eval()
}
