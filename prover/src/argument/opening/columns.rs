//! The columns of the opening, folded in halves.
//!
//! A functional `U_j` is `Σ_f c_(j,f)·R_f` and a rest. What the first part has to do with a column is known from
//! `<a_j, R_f>` alone, one inner product of integers for each column and row vector, and folds as columns do: so the row vectors are added only once, at the
//! end. The columns themselves stay integers until the first fold.

use crate::{
    argument::Prover,
    columns::{add_at, Column, Multiples},
};
use ff::Field;
use halo2_proofs::arithmetic::best_fft;
use pasta_curves::Fp;
use rayon::prelude::*;
use zkonnx_circuits::{
    field::{from_i64, inner_product},
    length::num_fold_rounds,
    linear_system::{Combined, LinearSystem, RankOne},
    weighted::{weighted_inner_product, weighted_sum, Weights},
};
use zkonnx_quantize::{
    integers::{IntegerSlice, Integers},
    with_integers,
};
use zkonnx_verifier::argument::opening::root_of_unity;

/// What cells of columns hold beside their integers: (column or point, place, value). Nothing for an honest prover.
#[derive(Debug)]
pub(super) struct Strays {
    pub(super) parameters: Vec<(usize, usize, Fp)>,
    pub(super) committed: Vec<(usize, usize, Fp)>,
}

/// Values of a column; what is beyond their number is zero.
#[derive(Clone, Debug)]
enum Values<'a> {
    Integers(&'a Integers),
    Field(Vec<Fp>),
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Field(values) => values.len(),
        }
    }

    /// `Σ_i values[i]·functional[i]`.
    fn inner_product(&self, functional: &[Fp]) -> Fp {
        match self {
            Self::Field(values) => inner_product(values, functional),
            Self::Integers(values) if functional.len() < 16 => {
                functional.iter().enumerate().map(|(i, f)| values.get(i).map_or(Fp::ZERO, from_i64) * f).sum()
            }
            Self::Integers(values) if functional.is_empty() || values.is_empty() => Fp::ZERO,
            Self::Integers(values) => weighted_inner_product(values.as_slice(), &Weights::new(functional)),
        }
    }

    /// `self + by·other`.
    fn plus(self, other: Self, (one, by): (&Multiples, &Multiples)) -> Vec<Fp> {
        let mut sum = match self {
            Self::Field(values) => values,
            Self::Integers(values) => with_integers!(values, values => {
                values.iter().map(|v| one.of(*v)).collect()
            }),
        };
        if sum.len() < other.len() {
            sum.resize(other.len(), Fp::ZERO);
        }
        match other {
            Self::Field(values) => sum.iter_mut().zip(values).for_each(|(sum, v)| *sum += by.factor() * v),
            Self::Integers(values) => with_integers!(values, values => {
                sum.iter_mut().zip(values).filter(|(_, v)| **v != 0).for_each(|(sum, v)| *sum += by.of(*v));
            }),
        }
        sum
    }
}

/// A column with the rest of its functional.
#[derive(Clone, Debug)]
struct OpeningColumn<'a> {
    values: Values<'a>,
    functional: Vec<Fp>,
    blind: Fp,
    /// `<a_j, R_f>`.
    products: Vec<Fp>,
    /// `c_(j,f)`.
    coefs: Vec<Fp>,
}

impl OpeningColumn<'_> {
    /// `<a, U>` of this column and another's functional.
    fn cross(&self, other: &Self) -> Fp {
        self.values.inner_product(&other.functional) + inner_product(&self.products, &other.coefs)
    }
}

/// All columns in the order of the verifier; those that fill up to a power of two are zero and not stored.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    columns: Vec<OpeningColumn<'a>>,
    /// How many there are with those that are zero.
    size: usize,
    rows: Vec<Vec<Fp>>,
    num_rows: usize,
}

/// Row vectors, ready for integers.
struct RowVectors<'a> {
    rows: &'a [Vec<Fp>],
    ready: Vec<Weights>,
}

impl RowVectors<'_> {
    fn products(&self, values: &Values<'_>) -> Vec<Fp> {
        let all = self.rows.iter().zip(&self.ready);
        all.map(|(rows, ready)| match values {
            Values::Integers(values) if values.len() >= 16 => weighted_inner_product(values.as_slice(), ready),
            values => values.inner_product(&rows[..rows.len().min(values.len())]),
        })
        .collect()
    }
}

impl<'a> Columns<'a> {
    pub(super) fn new<T>(prover: &Prover<'a, T>, system: LinearSystem, strays: &Strays) -> Self {
        let model = prover.model;
        let compiled = &model.keys.compiled;
        let LinearSystem {
            rank_one: RankOne { rows, coefs },
            words,
            multiplicities,
            pooled,
            combined,
            pieces,
            committed,
            ..
        } = system;
        let mut columns: Vec<(Values<'a>, Vec<Fp>, Fp)> = Vec::new();
        let functionals = words.into_iter().chain(multiplicities);
        for ((column, functional), blind) in prover.columns.iter().zip(functionals).zip(prover.blinds) {
            let values = match column {
                Column::Integers(values) => Values::Integers(values),
                Column::Field(values) => Values::Field(values.clone()),
            };
            columns.push((values, functional, *blind));
        }
        for (column, functional) in pooled.into_iter().enumerate() {
            let values = if strays.parameters.iter().any(|stray| stray.0 == column) {
                let mut values = model.param_column(column);
                add_strays(&mut values, &strays.parameters, column, Fp::ONE);
                Values::Field(values)
            } else {
                Values::Integers(&model.columns.columns[column])
            };
            columns.push((values, functional, model.columns.blinds[column]));
        }
        columns.par_extend(combined.into_par_iter().map(|combined| combine(model, combined, strays)));
        for (sent, functional) in prover.pieces.iter().zip(pieces) {
            let mut values = sent.values.clone();
            sent.beside.iter().for_each(|(row, value)| add_at(&mut values, *row, *value));
            columns.push((Values::Field(values), functional, sent.blind));
        }
        // Committed tensors are coefficients: their rows are the DFT, their functionals that of the rows.
        let k = model.params.k();
        let points = prover.committed.par_iter().zip(committed).enumerate();
        columns.par_extend(points.map(|(point, ((integers, blind), mut functional))| {
            let mut values: Vec<Fp> = integers.iter().map(|v| from_i64(*v)).collect();
            values.resize(1 << k, Fp::ZERO);
            add_strays(&mut values, &strays.committed, point, Fp::ONE);
            best_fft(&mut values, root_of_unity(k), k);
            functional.resize(1 << k, Fp::ZERO);
            (Values::Field(values), super::to_coefficients(functional, k), *blind)
        }));
        let vectors = RowVectors { rows: &rows, ready: rows.iter().map(|rows| Weights::new(rows)).collect() };
        let columns = columns.into_par_iter().enumerate().map(|(j, (values, functional, blind))| OpeningColumn {
            products: vectors.products(&values),
            coefs: coefs.iter().map(|coefs| coefs.get(j).copied().unwrap_or(Fp::ZERO)).collect(),
            values,
            functional,
            blind,
        });
        let columns = columns.collect();
        Self { columns, size: 1 << num_fold_rounds(compiled), rows, num_rows: compiled.num_rows() }
    }

    /// `c_L = Σ <a_j, U_(j+h)>`, `c_R = Σ <a_(j+h), U_j>`.
    pub(super) fn cross_terms(&self) -> (Fp, Fp) {
        let (low, high) = self.halves();
        let terms = low.par_iter().zip(high).map(|(low, high)| (low.cross(high), high.cross(low)));
        terms.reduce(|| (Fp::ZERO, Fp::ZERO), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    fn halves(&self) -> (&[OpeningColumn<'a>], &[OpeningColumn<'a>]) {
        self.columns.split_at((self.size / 2).min(self.columns.len()))
    }

    /// `a_j += τ·a_(j+h)`, `U_j += τ⁻¹·U_(j+h)`.
    pub(super) fn fold(&mut self, tau: Fp, inverse: Fp) {
        self.size /= 2;
        let high = self.columns.split_off(self.size.min(self.columns.len()));
        let multiples = (Multiples::new(Fp::ONE, TABLE_BITS), Multiples::new(tau, TABLE_BITS));
        let alone = high.len();
        let add = |to: &mut Vec<Fp>, from: &[Fp], by: Fp| {
            if to.len() < from.len() {
                to.resize(from.len(), Fp::ZERO);
            }
            to.iter_mut().zip(from).for_each(|(to, from)| *to += by * from);
        };
        self.columns.par_iter_mut().zip(high).for_each(|(low, high)| {
            let values = std::mem::replace(&mut low.values, Values::Field(Vec::new()));
            low.values = Values::Field(values.plus(high.values, (&multiples.0, &multiples.1)));
            add(&mut low.functional, &high.functional, inverse);
            add(&mut low.products, &high.products, tau);
            add(&mut low.coefs, &high.coefs, inverse);
            low.blind += tau * high.blind;
        });
        // Those without a partner.
        let none = Values::Field(Vec::new());
        self.columns[alone..].par_iter_mut().for_each(|column| {
            let values = std::mem::replace(&mut column.values, none.clone());
            column.values = Values::Field(values.plus(none.clone(), (&multiples.0, &multiples.1)));
        });
    }

    fn whole_functional(&self, column: &OpeningColumn<'_>) -> Vec<Fp> {
        let mut functional = column.functional.clone();
        functional.resize(self.num_rows, Fp::ZERO);
        for (rows, coef) in self.rows.iter().zip(&column.coefs) {
            functional.iter_mut().zip(rows).for_each(|(out, row)| *out += *coef * row);
        }
        functional
    }

    /// The functionals of the first columns of both halves.
    pub(super) fn last_functionals(&self) -> (Vec<Fp>, Vec<Fp>) {
        let (low, high) = self.halves();
        let of = |columns: &[OpeningColumn<'_>]| columns.first().map_or_else(Vec::new, |c| self.whole_functional(c));
        (of(low), of(high))
    }

    /// The one column that is left, its functional and blind.
    pub(super) fn finish(mut self) -> (Vec<Fp>, Vec<Fp>, Fp) {
        let Some(column) = self.columns.pop() else {
            return (vec![Fp::ZERO; self.num_rows], vec![Fp::ZERO; self.num_rows], Fp::ZERO);
        };
        let functional = self.whole_functional(&column);
        let mut values = match column.values {
            Values::Field(values) => values,
            Values::Integers(values) => values.iter().map(from_i64).collect(),
        };
        values.resize(self.num_rows, Fp::ZERO);
        (values, functional, column.blind)
    }
}

/// Multiples by integers of so many bits come from a table.
const TABLE_BITS: u32 = 16;

/// Adds what a column holds beside its integers, `weight` times.
fn add_strays(values: &mut Vec<Fp>, strays: &[(usize, usize, Fp)], column: usize, weight: Fp) {
    for (_, place, value) in strays.iter().filter(|s| s.0 == column) {
        add_at(values, *place, weight * value);
    }
}

/// The sum of parameter columns with their weights.
fn combine<'a>(model: &crate::keys::ProverModel, combined: Combined, strays: &Strays) -> (Values<'a>, Vec<Fp>, Fp) {
    let mut values = vec![Fp::ZERO; combined.functional.len()];
    let columns = combined.columns.iter();
    let terms: Vec<(Fp, IntegerSlice<'_>)> =
        columns.map(|(column, weight)| (*weight, model.columns.columns[*column].as_slice())).collect();
    weighted_sum(&terms, &mut values);
    let mut blind = Fp::ZERO;
    for (column, weight) in &combined.columns {
        add_strays(&mut values, &strays.parameters, *column, *weight);
        blind += *weight * model.columns.blinds[*column];
    }
    (Values::Field(values), combined.functional, blind)
}
