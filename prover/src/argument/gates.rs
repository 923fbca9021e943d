//! The contraction of row gates that are products: see [`zkonnx_circuits::gate_system`].

use super::{contractions::EndPair, Prover};
use crate::{
    columns::{Column, Embedding},
    sumcheck::{add, average_message, bind_highest, bound, half_to, min_blocks, next_claim, Sums},
};
use ff::Field;
use pasta_curves::{
    deferred::{DeferredField, Product},
    Fp,
};
use rayon::prelude::*;
use zkonnx_circuits::{
    field::{from_i128, from_i64, inner_product},
    gate_system::{gate_chi, gate_kappa},
    slots::RowForm,
};
use zkonnx_quantize::with_integers;

/// `p = χ·A` and `q = B` over slots and rows: blocks of rows, slots that are not used being zero. Blocks stay where they are while
/// variables of slots are bound: after `r` of them slot `s` stands at the place of slot `s·2^r`.
#[derive(Debug)]
pub(super) struct GateTables {
    kappa: Fp,
    p: Vec<Fp>,
    q: Vec<Fp>,
    rows: usize,
    /// Variables of slots, and how many of them are bound.
    slot_variables: usize,
    bound: usize,
    /// Number of variables at the start.
    pub(super) variables: usize,
    /// `κ'` times the average of products.
    pub(super) claim: Fp,
}

impl GateTables {
    /// The tables of a model; `None` where no product gate is a relation.
    pub(super) fn new<T>(prover: &Prover<'_, T>) -> Option<Self> {
        let model = &prover.model.keys.compiled;
        let shape = &model.shape;
        let count = shape.num_product_slots();
        if count == 0 {
            return None;
        }
        let rows = shape.num_rows();
        let (slot_chi, row_chi) = gate_chi(model, &prover.challenges.rho, count);
        let (mut p, mut q) = (vec![Fp::ZERO; count * rows], vec![Fp::ZERO; count * rows]);
        let embedding = Embedding::new();
        let blocks = p.par_chunks_mut(rows).zip(q.par_chunks_mut(rows)).zip(&shape.slots.products).zip(&slot_chi);
        blocks.with_min_len(min_blocks(rows)).for_each(|(((p, q), slot), chi)| {
            evaluate(&slot.a, prover.columns, &embedding, p);
            for (p, row) in p.iter_mut().zip(&row_chi) {
                if *p != Fp::ZERO {
                    *p *= *chi * row;
                }
            }
            evaluate(&slot.b, prover.columns, &embedding, q);
        });
        let variables = shape.product_variables();
        let kappa = gate_kappa(model, &prover.challenges);
        let claim = kappa * half_to(variables) * inner_product(&p, &q);
        let slot_variables = variables - model.layout.k as usize;
        Some(Self { kappa, p, q, rows, slot_variables, bound: 0, variables, claim })
    }

    /// Places between slots that are left.
    fn step(&self) -> usize {
        self.rows << self.bound
    }

    /// `(c1, c2)` of the next variable.
    pub(super) fn message(&self) -> [Fp; 2] {
        let left = self.variables - self.bound - 1;
        let weight = self.kappa * half_to(left);
        let sums = if self.bound < self.slot_variables { self.slot_sums() } else { self.row_sums() };
        average_message(self.claim, sums, weight)
    }

    fn slot_sums(&self) -> Sums {
        let (rows, step) = (self.rows, self.step());
        let pairs = self.p.par_chunks(2 * step).zip(self.q.par_chunks(2 * step));
        let sums = pairs.with_min_len(min_blocks(rows)).map(|(p, q)| {
            let (mut low, mut square) = (Product::<Fp>::ZERO, Product::<Fp>::ZERO);
            for i in 0..rows {
                Fp::mul_accumulate(&mut low, &p[i], &q[i]);
                match p.get(step + i).zip(q.get(step + i)) {
                    Some((p_high, q_high)) => Fp::mul_accumulate(&mut square, &(*p_high - p[i]), &(*q_high - q[i])),
                    None => Fp::mul_accumulate(&mut square, &p[i], &q[i]),
                }
            }
            [Fp::reduce(low), Fp::reduce(square)]
        });
        sums.reduce(|| [Fp::ZERO; 2], add)
    }

    fn row_sums(&self) -> Sums {
        let half = self.p.len() / 2;
        let ((p0, p1), (q0, q1)) = (self.p.split_at(half), self.q.split_at(half));
        let (mut low, mut square) = (Product::<Fp>::ZERO, Product::<Fp>::ZERO);
        for i in 0..half {
            Fp::mul_accumulate(&mut low, &p0[i], &q0[i]);
            Fp::mul_accumulate(&mut square, &(p1[i] - p0[i]), &(q1[i] - q0[i]));
        }
        [Fp::reduce(low), Fp::reduce(square)]
    }

    /// Binds the next variable.
    pub(super) fn bind(&mut self, sigma: Fp, message: [Fp; 2]) {
        self.claim = next_claim(self.claim, half_to(1), sigma, &message);
        let (rows, step) = (self.rows, self.step());
        let over_slots = self.bound < self.slot_variables;
        self.bound += 1;
        for values in [&mut self.p, &mut self.q] {
            if over_slots {
                values.par_chunks_mut(2 * step).with_min_len(min_blocks(rows)).for_each(|pair| {
                    let (low, high) = pair.split_at_mut(step.min(pair.len()));
                    for (i, low) in low[..rows].iter_mut().enumerate() {
                        let high = high.get(i).copied().unwrap_or(Fp::ZERO);
                        *low += sigma * (high - *low);
                    }
                });
            } else {
                bind_highest(values, sigma);
            }
        }
        if self.bound == self.slot_variables {
            self.p.truncate(rows);
            self.q.truncate(rows);
        }
    }

    /// `(κ'·p(σ), q(σ))`.
    pub(super) fn finish(self) -> EndPair {
        (self.kappa * bound(&self.p), bound(&self.q))
    }
}

/// The values of a form on all rows.
fn evaluate(form: &RowForm, columns: &[Column], embedding: &Embedding, out: &mut [Fp]) {
    let terms: Option<Vec<_>> = form
        .terms
        .iter()
        .map(|(column, coef)| match &columns[*column] {
            Column::Integers(values) => Some((values, i128::from(*coef))),
            Column::Field(_) => None,
        })
        .collect();
    let Some(terms) = terms else {
        for (row, out) in out.iter_mut().enumerate() {
            let terms = form.terms.iter().map(|(column, coef)| columns[*column].get(row) * from_i64(*coef));
            *out = terms.fold(from_i64(form.constant), |sum, term| sum + term);
        }
        return;
    };
    let mut values = vec![i128::from(form.constant); out.len()];
    for (column, coef) in terms {
        with_integers!(column, column => {
            values.iter_mut().zip(column).for_each(|(value, cell)| *value += coef * i128::from(*cell));
        });
    }
    for (out, value) in out.iter_mut().zip(values) {
        *out = match i64::try_from(value) {
            Ok(value) => embedding.of(value),
            Err(_) => from_i128(value),
        };
    }
}
