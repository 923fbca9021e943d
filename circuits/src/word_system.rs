//! The linear equation by words: what a verifier needs of it.
//!
//! A word's functional is a sum of outer products (`outer_products`) with factors, and holds for all its limbs. It is never spread
//! out for a verifier: limbs on the same rows, words that are read in the same way, and words of one shape wherever they stand share
//! what is computed. Only a prover makes columns of it. Parameters that are matrices are read by outer products too.

use crate::{
    compiled::CompiledModel,
    field::{inner_product, Fp},
    linear_system::{Combined, LinearSystem},
    outer_products::OuterProducts,
    parallel::for_each_part,
    reads::Read,
    row_values::{add_up, RowValues},
    separable::Functional,
    words::{Place, Word},
};
use ff::Field;
use std::collections::HashMap;

/// Columns of words are made in so many parts.
const COLUMN_PARTS: usize = 32;

/// A functional that was added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    number: usize,
    scale: Fp,
    /// Its value on the tensor of ones.
    pub(crate) total: Fp,
}

/// The functionals of all words and parameters.
#[derive(Clone, Debug)]
pub(crate) struct WordFunctionals {
    products: OuterProducts,
    known: HashMap<Read, Known>,
    /// For each word the sum of its functionals: numbers and factors.
    words: Vec<Vec<(usize, Fp)>>,
    /// What is read of pooled parameters: position of the first element, number of elements, functional and factor.
    pooled: Vec<(usize, usize, usize, Fp)>,
    /// For each combined parameter column its functional, and how long that is.
    combined: Vec<(usize, Fp, usize)>,
}

impl WordFunctionals {
    /// Nothing, for so many words.
    pub(crate) fn new(count: usize) -> Self {
        let words = vec![Vec::new(); count];
        Self {
            products: OuterProducts::default(),
            known: HashMap::new(),
            words,
            pooled: Vec::new(),
            combined: Vec::new(),
        }
    }

    /// A functional that nothing reads yet.
    pub(crate) fn define(&mut self, functional: Functional) -> Known {
        let total = functional.total();
        let (number, scale) = self.products.number(functional);
        Known { number, scale, total }
    }

    /// The functional of a read, made if there was none like it.
    pub(crate) fn of(&mut self, read: Read, make: impl FnOnce(&Read) -> Functional) -> Known {
        if let Some(known) = self.known.get(&read) {
            return *known;
        }
        let known = self.define(make(&read));
        self.known.insert(read, known);
        known
    }

    /// Adds a functional, times a factor, to a word.
    pub(crate) fn add(&mut self, functional: Known, word: usize, factor: Fp) {
        self.words[word].push((functional.number, functional.scale * factor));
    }

    /// The functional, of `len` rows, of the next combined parameter column.
    pub(crate) fn add_combined(&mut self, functional: Known, factor: Fp, len: usize) {
        self.combined.push((functional.number, functional.scale * factor, len));
    }

    /// Adds a functional, times a factor, to `len` pooled elements from position `start` on.
    pub(crate) fn add_pooled(&mut self, functional: Known, factor: Fp, (start, len): (usize, usize)) {
        self.pooled.push((start, len, functional.number, functional.scale * factor));
    }

    /// Adds those of others, for the same words; combined parameters after its own.
    pub(crate) fn merge(&mut self, other: Self) {
        let numbers = self.products.merge(other.products);
        for (word, other) in self.words.iter_mut().zip(other.words) {
            word.extend(other.into_iter().map(|(number, factor)| (numbers[number], factor)));
        }
        let pooled = other.pooled.into_iter();
        self.pooled.extend(pooled.map(|(start, len, number, factor)| (start, len, numbers[number], factor)));
        self.combined.extend(other.combined.into_iter().map(|(number, factor, len)| (numbers[number], factor, len)));
    }

    /// What is read of each word column; empty where nothing is.
    fn columns(&self, model: &CompiledModel) -> Vec<Vec<Fp>> {
        let (rows, active) = (model.num_rows(), model.shape.num_active_rows());
        let mut functionals = self.words.clone();
        functionals.iter_mut().for_each(add_up);
        let mut columns = vec![Vec::new(); model.shape.columns.len()];
        let most = columns.len().div_ceil(COLUMN_PARTS);
        for_each_part(&mut columns, most, &|first, columns| {
            for (word, functionals) in model.placement.words.iter().zip(&functionals) {
                if functionals.is_empty() {
                    continue;
                }
                for (limb, place) in word.limbs.iter().zip(&word.places) {
                    let weight = Fp::from(1_u64 << limb.shift);
                    place.for_each_run(word.len, active, |column, cells, elements| {
                        let column: Option<&mut Vec<Fp>> = column.checked_sub(first).and_then(|c| columns.get_mut(c));
                        let Some(out) = column else { return };
                        if out.is_empty() {
                            out.resize(rows, Fp::ZERO);
                        }
                        for (number, factor) in functionals {
                            self.products.scatter(*number, elements.clone(), *factor * weight, &mut out[cells.clone()]);
                        }
                    });
                }
            }
        });
        columns
    }

    /// What is read of each pooled parameter column.
    fn pooled_columns(&self, model: &CompiledModel) -> Vec<Vec<Fp>> {
        let mut pool = vec![Fp::ZERO; model.params.num_pooled * model.num_rows()];
        for (start, len, number, factor) in &self.pooled {
            self.products.scatter(*number, 0..*len, *factor, &mut pool[*start..start + len]);
        }
        pool.chunks(model.num_rows()).map(<[Fp]>::to_vec).collect()
    }

    /// `Σ_j weights[j]·<rows, U_j>` over word columns, pooled and combined parameters, which have weights of their own.
    fn evaluate(&self, model: &CompiledModel, (words, pooled, combined): (&[Fp], &[Fp], &[Fp]), rows: &[Fp]) -> Fp {
        let (n, active) = (model.num_rows(), model.shape.num_active_rows());
        let mut values = RowValues::new(&self.products, rows);
        for (word, functionals) in model.placement.words.iter().zip(&self.words) {
            if functionals.is_empty() || word.len == 0 {
                continue;
            }
            for_each_start(word, |place| {
                let columns = column_weights(word, place, words, active);
                for (functional, factor) in functionals {
                    values.add_stream(*functional, (place.start, word.len, active), &columns, *factor);
                }
            });
        }
        for (start, len, functional, factor) in &self.pooled {
            values.add_stream(*functional, (*start, *len, n), &pooled[start / n..], *factor);
        }
        for ((functional, factor, len), weight) in self.combined.iter().zip(combined) {
            values.add_column(*functional, *len, *factor * weight);
        }
        values.finish()
    }
}

/// The one linear equation before words are spread over their limbs' columns.
#[derive(Clone, Debug)]
pub struct WordSystem {
    words: WordFunctionals,
    /// Everything else; without words, and parameters without functionals.
    rest: LinearSystem,
}

impl WordSystem {
    pub(crate) fn new(words: WordFunctionals, rest: LinearSystem) -> Self {
        Self { words, rest }
    }

    /// The equation over columns.
    #[must_use]
    pub fn into_columns(self, model: &CompiledModel) -> LinearSystem {
        let Self { words, mut rest } = self;
        for_each_part(&mut rest.combined, 1, &|first, columns| {
            for (Combined { functional, .. }, (number, factor, len)) in columns.iter_mut().zip(&words.combined[first..])
            {
                functional.resize(*len, Fp::ZERO);
                words.products.scatter(*number, 0..*len, *factor, functional);
            }
        });
        LinearSystem { words: words.columns(model), pooled: words.pooled_columns(model), ..rest }
    }

    /// Everything but words; parameters have no functionals here.
    #[must_use]
    pub fn rest(&self) -> &LinearSystem {
        &self.rest
    }

    /// `Σ_j weights[j]·<rows, U_j>` over all columns in order; for committed tensors with `coefficients` instead of `rows`.
    #[must_use]
    pub fn evaluate(&self, model: &CompiledModel, weights: &[Fp], rows: &[Fp], coefficients: &[Fp]) -> Fp {
        let mut sum = self.rest.rank_one.evaluate(weights, rows);
        let (_, others) = weights.split_at(model.shape.columns.len());
        let (pooled, combined) = others[self.rest.multiplicities.len()..].split_at(model.params.num_pooled);
        sum += self.words.evaluate(model, (weights, pooled, combined), rows);
        let functionals = self.rest.functionals().map(|functional| (functional, rows));
        let committed = self.rest.committed.iter().map(|functional| (functional.as_slice(), coefficients));
        for ((functional, values), weight) in functionals.chain(committed).zip(others) {
            sum += *weight * inner_product(functional, values);
        }
        sum
    }
}

/// The places of a word's limbs, one of those that stand on the same rows.
fn for_each_start<'a>(word: &'a Word, mut visit: impl FnMut(&'a Place)) {
    for (l, place) in word.places.iter().enumerate() {
        if !word.places[..l].iter().any(|earlier| earlier.start == place.start) {
            visit(place);
        }
    }
}

/// `Σ 2^shift·weight` over the limbs that stand where `place` does, for each column of the word.
fn column_weights(word: &Word, place: &Place, weights: &[Fp], active: usize) -> Vec<Fp> {
    let limbs = word.limbs.iter().zip(&word.places).filter(|(_, other)| other.start == place.start);
    let (first, last) = (place.start / active, (place.start + word.len.saturating_sub(1)) / active);
    let mut sums = vec![Fp::ZERO; last + 1 - first];
    for (limb, other) in limbs {
        let factor = Fp::from(1_u64 << limb.shift);
        for (sum, column) in sums.iter_mut().zip(&other.columns[first..=last]) {
            *sum += factor * weights[*column];
        }
    }
    sums
}
