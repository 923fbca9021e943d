//! The gates' part of the equation: two relations over slots and rows (protocol, step 4).
//!
//! `Σ_(s,i) χ(i, s)·(A_s(i)·B_s(i) − C_s(i)) = 0`, `χ = eq(ρ, (i, s))`: the first `k` coordinates of `ρ` are the bits of the row,
//! lowest first, the next ones those of the slot. `C` joins the relations' claim; the product is one contraction of
//! `p(i, s) = χ(i, s)·A_s(i)` and `q(i, s) = B_s(i)`, at the end of which
//! `p(σ) = Σ_s ε_s·Σ_i R^ρσ(i)·A_s(i)` and `q(σ) = Σ_s e_s·Σ_i R^σ(i)·B_s(i)`, `ε` and `R^ρσ` being products of
//! `(1 − ρ_b)(1 − σ_b)` and `ρ_b·σ_b` over bits.

use crate::{
    compiled::CompiledModel,
    field::{eq_vector, from_i64, Fp},
    functional::num_points,
    linear_system::RankOne,
    messages::Challenges,
    slots::{slot_bits, split_point, RowForm},
};
use ff::Field;

/// `κ'` of the gates' contraction: the relation's weight times the number of points.
#[must_use]
pub fn gate_kappa(model: &CompiledModel, challenges: &Challenges) -> Fp {
    challenges.gates.products * num_points(model.shape.product_variables())
}

/// `eq(ρ, ·)` over slots and over rows, for so many slots.
#[must_use]
pub fn gate_chi(model: &CompiledModel, rho: &[Fp], slots: usize) -> (Vec<Fp>, Vec<Fp>) {
    let k = model.layout.k as usize;
    let (rows, rest) = rho.split_at(k.min(rho.len()));
    (eq_vector(&rest[..slot_bits(slots).min(rest.len())], slots), eq_vector(rows, 1 << k))
}

/// Adds what gates read. `claim` is the coefficient of the relations' claim, `left` and `right` those of the pair's two sides.
/// Gives the constant.
pub(crate) fn add_gates(
    model: &CompiledModel,
    challenges: &Challenges,
    (claim, left, right): (Fp, Fp, Fp),
    rank_one: &mut RankOne,
) -> Fp {
    let shape = &model.shape;
    let (num_products, num_linear) = (shape.num_product_slots(), shape.num_linear_slots());
    let num_columns = shape.columns.len() + shape.num_table_groups();
    let mut constant = Fp::ZERO;
    let (mut on_rho, mut on_both, mut on_sigma) =
        (vec![Fp::ZERO; num_columns], vec![Fp::ZERO; num_columns], vec![Fp::ZERO; num_columns]);
    // `Σ_i rows(i)·form(i)` times a factor: a factor for each column, and the form's constant times `Σ rows`.
    let mut add = |coefs: &mut Vec<Fp>, form: &RowForm, factor: Fp, total: Fp| {
        for (column, coef) in &form.terms {
            coefs[*column] += factor * from_i64(*coef);
        }
        constant += factor * from_i64(form.constant) * total;
    };
    let (slots, rho_rows) = gate_chi(model, &challenges.rho, num_linear);
    for (form, slot) in shape.slots.linear.iter().zip(&slots) {
        add(&mut on_rho, form, claim * challenges.gates.linear * slot, Fp::ONE);
    }
    if num_products > 0 {
        let (slots, _) = gate_chi(model, &challenges.rho, num_products);
        let variables = shape.product_variables();
        let sigma = &challenges.sigma[challenges.sigma.len().saturating_sub(variables)..];
        let (ends, sigma_rows) = split_point(sigma, num_products);
        let both_rows: Vec<Fp> = rho_rows.iter().zip(&sigma_rows).map(|(a, b)| *a * b).collect();
        let both_total: Fp = both_rows.iter().sum();
        let left = left * gate_kappa(model, challenges);
        for ((slot, chi), end) in shape.slots.products.iter().zip(&slots).zip(&ends) {
            add(&mut on_rho, &slot.c, claim * challenges.gates.products * chi, Fp::ONE);
            add(&mut on_both, &slot.a, left * chi * end, both_total);
            add(&mut on_sigma, &slot.b, right * end, Fp::ONE);
        }
        rank_one.push(both_rows, on_both);
        rank_one.push(sigma_rows, on_sigma);
    }
    if num_products + num_linear > 0 {
        rank_one.push(rho_rows, on_rho);
    }
    constant
}
