//! The linear equation by words: what a verifier needs of it.
//!
//! A word's functional holds for all its limbs, which stand on the same rows; and the words of one gadget are read by the same index
//! maps: `y' + v − w` of a clamp has three words and one functional, times a factor each. Neither is spread out: a verifier evaluates
//! every functional once per lane, whatever its words and limbs.

use crate::{
    compiled::CompiledModel,
    field::{inner_product, Fp},
    linear_system::LinearSystem,
    separable::Functional,
    words::{Place, Word},
};
use ff::Field;
use std::{borrow::Cow, collections::BTreeMap};

/// The functionals of all words.
#[derive(Clone, Debug)]
pub(crate) struct WordFunctionals {
    words: Vec<WordFunctional>,
    /// Functionals that several words have, times factors.
    shared: Vec<Vec<Fp>>,
}

/// The functional of one word: a sum.
#[derive(Clone, Debug, Default)]
struct WordFunctional {
    /// Its own part; empty where there is none.
    own: Vec<Fp>,
    /// Shared functionals, by number, with their factors.
    shared: Vec<(usize, Fp)>,
}

impl WordFunctionals {
    /// Nothing, for so many words.
    pub(crate) fn new(count: usize) -> Self {
        Self { words: vec![WordFunctional::default(); count], shared: Vec::new() }
    }

    /// Adds to the functional of a word of `len` elements.
    pub(crate) fn add(&mut self, word: usize, len: usize, functional: &Functional) {
        let own = &mut self.words[word].own;
        if own.is_empty() {
            own.resize(len, Fp::ZERO);
        }
        functional.scatter(own);
    }

    /// Adds one functional, times factors, to several words of `len` elements.
    pub(crate) fn share(
        &mut self,
        functional: &Functional,
        len: usize,
        factors: impl IntoIterator<Item = (usize, Fp)>,
    ) {
        let mut dense = vec![Fp::ZERO; len];
        functional.scatter(&mut dense);
        for (word, factor) in factors {
            self.words[word].shared.push((self.shared.len(), factor));
        }
        self.shared.push(dense);
    }

    /// Adds those of others, for the same words.
    pub(crate) fn merge(&mut self, other: Self) {
        let first = self.shared.len();
        self.shared.extend(other.shared);
        for (word, other) in self.words.iter_mut().zip(other.words) {
            word.shared.extend(other.shared.into_iter().map(|(number, factor)| (first + number, factor)));
            if word.own.is_empty() {
                word.own = other.own;
            } else {
                word.own.iter_mut().zip(other.own).for_each(|(to, from)| *to += from);
            }
        }
    }

    /// The whole functional of a word; empty where nothing reads it.
    fn dense<'a>(&'a self, word: &'a WordFunctional) -> Cow<'a, [Fp]> {
        if word.shared.is_empty() {
            return Cow::Borrowed(&word.own);
        }
        let mut dense = word.own.clone();
        for (number, factor) in &word.shared {
            let functional = &self.shared[*number];
            dense.resize(functional.len(), Fp::ZERO);
            for (out, value) in dense.iter_mut().zip(functional) {
                *out += *factor * value;
            }
        }
        Cow::Owned(dense)
    }
}

/// The one linear equation before words are spread over their limbs' columns.
#[derive(Clone, Debug)]
pub struct WordSystem {
    words: WordFunctionals,
    /// Everything else; without words.
    rest: LinearSystem,
}

impl WordSystem {
    pub(crate) fn new(words: WordFunctionals, rest: LinearSystem) -> Self {
        Self { words, rest }
    }

    /// The equation over columns.
    #[must_use]
    pub fn into_columns(self, model: &CompiledModel) -> LinearSystem {
        LinearSystem { words: word_columns(model, &self.words), ..self.rest }
    }

    /// Everything but words.
    #[must_use]
    pub fn rest(&self) -> &LinearSystem {
        &self.rest
    }

    /// `Σ_j weights[j]·<rows, U_j>` over all columns in order; for committed tensors with `coefficients` instead of `rows`.
    #[must_use]
    pub fn evaluate(&self, model: &CompiledModel, weights: &[Fp], rows: &[Fp], coefficients: &[Fp]) -> Fp {
        let active = model.shape.num_active_rows();
        let mut sum = self.rest.rank_one.evaluate(weights, rows);
        // Factors of shared functionals by number and first position, one for each run of rows.
        let mut shared: BTreeMap<(usize, usize), (&Place, Vec<Fp>)> = BTreeMap::new();
        for (word, functional) in model.placement.words.iter().zip(&self.words.words) {
            if functional.own.is_empty() && functional.shared.is_empty() {
                continue;
            }
            for_each_start(word, |place| {
                let runs = run_weights(word, place, weights, active);
                for (number, factor) in &functional.shared {
                    let (_, factors) =
                        shared.entry((*number, place.start)).or_insert_with(|| (place, vec![Fp::ZERO; runs.len()]));
                    for (sum, weight) in factors.iter_mut().zip(&runs) {
                        *sum += *factor * weight;
                    }
                }
                if !functional.own.is_empty() {
                    sum += evaluate_runs(place, &functional.own, (rows, active), &runs);
                }
            });
        }
        for ((number, _), (place, factors)) in &shared {
            sum += evaluate_runs(place, &self.words.shared[*number], (rows, active), factors);
        }
        let others = self.rest.functionals().map(|functional| (functional, rows));
        let committed = self.rest.committed.iter().map(|functional| (functional.as_slice(), coefficients));
        let weights = weights.iter().skip(model.shape.columns.len());
        for ((functional, values), weight) in others.chain(committed).zip(weights) {
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

/// `Σ 2^shift·weight` over the limbs that stand where `place` does, for each run of rows.
fn run_weights(word: &Word, place: &Place, weights: &[Fp], active: usize) -> Vec<Fp> {
    let mut runs = Vec::new();
    let mut run = place.start / active;
    place.for_each_run(word.len, active, |_, _, _| {
        let limbs = word.limbs.iter().zip(&word.places).filter(|(_, other)| other.start == place.start);
        runs.push(limbs.map(|(limb, other)| Fp::from(1_u64 << limb.shift) * weights[other.columns[run]]).sum());
        run += 1;
    });
    runs
}

/// `Σ factor·<rows, functional>` over runs of rows.
fn evaluate_runs(place: &Place, functional: &[Fp], (rows, active): (&[Fp], usize), factors: &[Fp]) -> Fp {
    let mut sum = Fp::ZERO;
    let mut factors = factors.iter();
    place.for_each_run(functional.len(), active, |_, cells, elements| {
        if let Some(factor) = factors.next() {
            sum += *factor * inner_product(&rows[cells], &functional[elements]);
        }
    });
    sum
}

/// From words to their limbs' columns; empty where nothing is read.
fn word_columns(model: &CompiledModel, words: &WordFunctionals) -> Vec<Vec<Fp>> {
    let rows = model.shape.num_active_rows();
    let mut columns = vec![Vec::new(); model.shape.columns.len()];
    for (word, functional) in model.placement.words.iter().zip(&words.words) {
        let functional = words.dense(functional);
        if functional.is_empty() {
            continue;
        }
        for (limb, place) in word.limbs.iter().zip(&word.places) {
            let weight = Fp::from(1_u64 << limb.shift);
            place.for_each_run(word.len, rows, |column, cells, elements| {
                let out: &mut Vec<Fp> = &mut columns[column];
                if out.is_empty() {
                    out.resize(model.num_rows(), Fp::ZERO);
                }
                for (cell, value) in out[cells].iter_mut().zip(&functional[elements]) {
                    *cell += if limb.shift == 0 { *value } else { *value * weight };
                }
            });
        }
    }
    columns
}
