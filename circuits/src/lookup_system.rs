//! The lookup argument's part of the equation: the leaves, layers' messages and pairs (protocol, step 3 and section 7).

use crate::{
    compiled::CompiledModel,
    field::{from_i64, Fp},
    messages::Challenges,
    slots::split_point,
    table_rows::TableRow,
};
use ff::Field;

/// What the two claims about the leaves read, without their coefficients in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Leaves {
    /// `R` on active rows.
    pub(crate) rows: Vec<Fp>,
    /// The factor of `R` for each word and multiplicity column.
    pub(crate) coefs: Vec<Fp>,
    /// Functionals of multiplicity columns that are not full.
    pub(crate) tails: Vec<Vec<Fp>>,
    /// The constant of `E0 + η·E1`.
    pub(crate) constant: Fp,
}

/// `E0 + η·E1` without the claims `P` and `Q`. The model has lookups.
pub(crate) fn leaves(model: &CompiledModel, challenges: &Challenges) -> Leaves {
    let shape = &model.shape;
    let (num_slots, num_lookups) = (shape.num_lookup_slots(), shape.slots.lookups.len());
    let point = challenges.layer_point(shape.num_layers());
    let (slots, mut rows) = split_point(&point, num_slots);
    rows.truncate(shape.num_active_rows());
    let active: Fp = rows.iter().sum();
    let Challenges { theta, phi, eta, .. } = challenges;
    let tag_factor = theta.square();
    let num_columns = shape.columns.len();
    let mut coefs = vec![Fp::ZERO; num_columns + shape.num_table_groups()];
    let mut constant = -*eta;
    for (lookup, slot) in shape.slots.lookups.iter().zip(&slots) {
        coefs[lookup.x] -= *eta * slot;
        if let Some(y) = lookup.y {
            coefs[y] -= *eta * slot * theta;
        }
        let base = *phi + tag_factor * Fp::from(lookup.tag) - Fp::ONE;
        constant -= active * slot * (Fp::ONE + *eta * base);
    }
    let mut tails = Vec::new();
    for (group, slot) in slots[num_lookups..].iter().enumerate() {
        let table = shape.table_group(group);
        constant -= *eta * slot * fingerprints(table, &rows, (*theta, *phi));
        if table.len() == rows.len() {
            coefs[num_columns + group] = *slot;
            tails.push(Vec::new());
        } else {
            tails.push(rows[..table.len()].iter().map(|r| *slot * r).collect());
        }
    }
    Leaves { rows, coefs, tails, constant }
}

/// `Σ_i rows[i]·(d(i) − 1)` over the table rows of a group, `d = φ + θ²·t + x + θ·y`.
///
/// Within one table `x` counts up by one, so `Σ rows·x` is a sum of sums.
fn fingerprints(table: &[TableRow], rows: &[Fp], (theta, phi): (Fp, Fp)) -> Fp {
    let mut sum = Fp::ZERO;
    let mut values = Fp::ZERO;
    let mut at = 0;
    for part in table.chunk_by(|a, b| a.tag == b.tag) {
        let rows = &rows[at..at + part.len()];
        at += part.len();
        let first = &part[0];
        // Backwards: what is left of Σ rows, and the sum of these.
        let (mut total, mut counted) = (Fp::ZERO, Fp::ZERO);
        for row in rows.iter().rev() {
            counted += total;
            total += row;
        }
        sum += counted + total * (phi + theta.square() * Fp::from(first.tag) + from_i64(first.x) - Fp::ONE);
        for (entry, row) in part.iter().zip(rows).filter(|(entry, _)| entry.y != 0) {
            values += *row * from_i64(entry.y);
        }
    }
    sum + theta * values
}
