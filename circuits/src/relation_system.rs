//! Relations as one linear equation: what their sides read of every column (protocol, step 4).

use crate::{
    compiled::CompiledModel,
    field::{eq_vector, from_i64, index_bits, Fp},
    functional::{axis_points, contraction_weight, operand_table, product_weight, relation_weights, PublicTensors},
    linear_system::Combined,
    messages::Challenges,
    one_hot::OneHot,
    params::{low_bits, plain_row_axis, ParamPlace},
    products::{Side, SumcheckProduct},
    reads::{sides, Chi, Chis, Read},
    relations::{Left, Right, TensorCells, WordTerm},
    separable::{AxisWeights, Functional},
    word_system::WordFunctionals,
};
use ff::Field;
use std::{borrow::Cow, sync::Arc};
use zkonnx_quantize::{
    contraction::ProductAxes,
    graph::{Form, Operand, ParamId, Product, Source, TensorId},
    index::IndexMap,
    integers::IntegerSlice,
};

/// The part of the equation that relations make.
pub(crate) struct Accumulator<'a> {
    model: &'a CompiledModel,
    public: PublicTensors<'a>,
    challenges: &'a Challenges,
    chis: Chis,
    /// What is read of words and parameters.
    pub(crate) words: WordFunctionals,
    /// Combined parameters; their functionals are with those of words.
    pub(crate) combined: Vec<Combined>,
    /// What is read of committed tensors.
    pub(crate) committed: Vec<Vec<Fp>>,
    /// The constant.
    pub(crate) constant: Fp,
}

impl<'a> Accumulator<'a> {
    /// Nothing.
    pub(crate) fn new(model: &'a CompiledModel, public: PublicTensors<'a>, challenges: &'a Challenges) -> Self {
        Self {
            model,
            public,
            challenges,
            chis: Chis::default(),
            words: WordFunctionals::new(model.placement.words.len()),
            combined: Vec::new(),
            committed: model.committed.iter().map(|c| vec![Fp::ZERO; c.len]).collect(),
            constant: Fp::ZERO,
        }
    }

    /// Adds what another one holds; combined parameters after its own.
    pub(crate) fn merge(&mut self, other: Self) {
        self.words.merge(other.words);
        let committed = self.committed.iter_mut().flatten().zip(other.committed.into_iter().flatten());
        committed.for_each(|(to, from)| *to += from);
        self.combined.extend(other.combined);
        self.constant += other.constant;
    }

    fn chi(&mut self, shape: &[u32]) -> Arc<Chi> {
        self.chis.of(&self.challenges.rho, shape)
    }

    fn add_words(&mut self, terms: &[WordTerm], (shape, chi): (&[u32], &Chi), scale: Fp) {
        for term in terms {
            let read = Read::new(shape, &term.sums, &term.map);
            let functional = self.words.of(read, |read| chi.weights(&term.sums).functional(&read.map));
            self.words.add(functional, term.word.0, scale * from_i64(term.coef));
        }
    }

    fn add_committed(&mut self, tensor: usize, (shape, chi): (&[u32], &Chi), scale: Fp) {
        let functional = chi.weights(&[]).functional(&IndexMap::identity(shape, 0)).scaled(scale);
        functional.scatter(&mut self.committed[tensor]);
    }

    /// The cells of a parameter as a registration relates them; see [`Right::Weights`].
    fn add_weights(&mut self, id: ParamId, (shape, chi): (&[u32], &Chi), scale: Fp) {
        let [rows, cols] = chi.vectors.as_slice() else { return };
        match self.model.params.places[id.0 as usize] {
            ParamPlace::Pooled { start } => {
                let functional = Functional::of_vector(cols.clone()).times(cols.len(), rows.clone());
                let functional = self.words.define(functional);
                self.words.add_pooled(functional, scale, (start, self.model.graph.params[id.0 as usize].len()));
            }
            _ => self.add_matrix(id, (shape, 0), None, || Functional::of_vector(cols.clone()), scale),
        }
    }

    /// A functional of a tensor that the statement gives; zero for one that it does not.
    fn public_value(&self, cells: TensorCells, functional: &Functional) -> Fp {
        match cells {
            TensorCells::Public(input) => functional.evaluate(&self.public.inputs[input]),
            TensorCells::OneHot { node, .. } => {
                OneHot::new(&self.model.graph, node, self.public).map_or(Fp::ZERO, |hot| hot.evaluate(functional))
            }
            TensorCells::Word { .. } => Fp::ZERO,
        }
    }

    fn add_source<'w>(&mut self, source: Source, read: Read, weights: impl FnOnce() -> AxisWeights<'w>, scale: Fp) {
        let make = |read: &Read| weights().functional(&read.map);
        match source {
            Source::Tensor(id) => match self.model.lowered.tensors[id.0 as usize] {
                cells @ (TensorCells::Public(_) | TensorCells::OneHot { .. }) => {
                    self.constant += self.public_value(cells, &make(&read)) * scale;
                }
                TensorCells::Word { offset, coef, word, excess } => {
                    let functional = self.words.of(read, make);
                    self.constant += functional.total * scale * from_i64(offset);
                    self.words.add(functional, word.0, scale * from_i64(coef));
                    if let Some(excess) = excess {
                        self.words.add(functional, excess.0, scale);
                    }
                }
            },
            Source::Param(id) => {
                if let ParamPlace::Pooled { start } = self.model.params.places[id.0 as usize] {
                    let functional = self.words.of(read, make);
                    self.words.add_pooled(functional, scale, (start, self.model.graph.params[id.0 as usize].len()));
                }
            }
        }
    }

    /// A side of a contraction. A parameter's has χ over its rows.
    fn add_side(&mut self, entry: &SumcheckProduct, (form, product, is_left): (&Form, &Product, bool), scale: Fp) {
        let (operand, _) = sides(product, is_left);
        let (chi, sigma) = (self.chi(&form.shape), &self.challenges.sigma);
        let weights = || chi.side_weights((form, product, is_left), entry, sigma);
        let read = Read::side(form, product, is_left);
        let id = match operand.source {
            Source::Param(id) if !matches!(self.model.params.places[id.0 as usize], ParamPlace::Pooled { .. }) => id,
            source => return self.add_source(source, read, weights, scale),
        };
        // The row axis must not scale the rest: its weight is in the row functional.
        let cols = self.model.graph.params[id.0 as usize].cols;
        let axis = plain_row_axis(&self.model.graph, form, operand, id).unwrap_or(0);
        let row = || {
            let mut map = operand.map.clone();
            map.factors.retain(|f| f.stride != cols || f.size == 1);
            weights().without(axis).functional(&map)
        };
        self.add_matrix(id, (&form.shape, axis), Some(read), row, scale);
    }

    /// Adds the functional of a matrix parameter that is χ of an axis on its rows, and `row` on each. `read` tells it from others, if it has others
    /// like it.
    fn add_matrix(
        &mut self,
        id: ParamId,
        (shape, axis): (&[u32], usize),
        read: Option<Read>,
        row: impl FnOnce() -> Functional,
        scale: Fp,
    ) {
        let param = &self.model.graph.params[id.0 as usize];
        let (rows, cols) = (param.rows as usize, param.cols as usize);
        let point = axis_points(&self.challenges.rho, shape)[axis];
        let mut add = |columns, functional, words: &mut WordFunctionals, len| {
            self.combined.push(Combined { columns, functional: Vec::new() });
            words.add_combined(functional, scale, len);
        };
        match self.model.params.places[id.0 as usize] {
            ParamPlace::Pooled { .. } => {}
            ParamPlace::Packed { first, rows_per_column, count } => {
                let (low, high) = point.split_at(low_bits(rows_per_column));
                let make = || row().times(cols, eq_vector(low, rows_per_column));
                let functional = match read {
                    Some(read) => self.words.of(read.of_rows(axis, cols, rows_per_column), |_| make()),
                    None => self.words.define(make()),
                };
                let columns = eq_vector(high, count).into_iter().enumerate().map(|(c, w)| (first + c, w)).collect();
                add(columns, functional, &mut self.words, rows_per_column * cols);
            }
            ParamPlace::Chunked { first, chunks } => {
                let weights = eq_vector(point, rows);
                let mut dense = vec![Fp::ZERO; cols];
                row().scatter(&mut dense);
                for (chunk, part) in dense.chunks(self.model.params.num_rows).enumerate() {
                    let columns =
                        weights.iter().enumerate().map(|(row, w)| (first + row * chunks + chunk, *w)).collect();
                    let functional = self.words.define(Functional::of_vector(part.to_vec()));
                    add(columns, functional, &mut self.words, part.len());
                }
            }
        }
    }

    /// A contraction of a parameter with a public input: linear in the parameter.
    fn add_linear_product(&mut self, form: &Form, product: &Product, chi: &[Vec<Fp>], scale: Fp) {
        let (Source::Param(id), Source::Tensor(right)) = (product.left.source, product.right.source) else { return };
        let axes = ProductAxes::new(form, product);
        let inner = axes.inner();
        let table = match self.model.lowered.tensors[right.0 as usize] {
            TensorCells::Public(input) => {
                let values = IntegerSlice::I64(&self.public.inputs[input]);
                operand_table(form, product, false, chi, &inner, values)
            }
            TensorCells::OneHot { node, .. } => match OneHot::new(&self.model.graph, node, self.public) {
                Some(hot) => hot.table(form, product, chi, &inner),
                None => return,
            },
            TensorCells::Word { .. } => return,
        };
        // Column address of every inner point, and the χ of its batch axes.
        let ids: Vec<u8> = inner.iter().map(|a| a.id).collect();
        let sizes: Vec<u32> = inner.iter().map(|a| a.size).collect();
        let addresses = product.left.map.addresses(&ids, &sizes);
        let mut cols = vec![Fp::ZERO; addresses.iter().flatten().max().map_or(0, |a| *a as usize + 1)];
        // First bit and size of every inner axis.
        let mut bits: Vec<(usize, usize)> = Vec::new();
        let mut first_bit = 0;
        for axis in &inner {
            bits.push((first_bit, axis.size as usize));
            first_bit += index_bits(axis.size);
        }
        for (point, address) in addresses.iter().enumerate() {
            let Some(address) = address else { continue };
            let (mut rest, mut index, mut weight) = (point, 0, Fp::ONE);
            for (axis, (at, size)) in inner.iter().zip(&bits).rev() {
                let i = rest % size;
                rest /= size;
                index |= i << at;
                if let Some(chi) = chi.get(usize::from(axis.id)) {
                    weight *= chi[i];
                }
            }
            cols[*address as usize] += weight * table[index];
        }
        let param = &self.model.graph.params[id.0 as usize];
        if let ParamPlace::Pooled { start } = self.model.params.places[id.0 as usize] {
            let mut rows = product.left.map.clone();
            let is_row = |axis: usize| axes.rows.iter().any(|row| usize::from(row.id) == axis);
            rows.factors.retain(|f| f.axes.iter().all(|a| is_row(usize::from(*a))));
            // Other axes do not scale: they are in the columns.
            let weights = |(axis, chi): (usize, &Vec<Fp>)| if is_row(axis) { chi.clone() } else { vec![Fp::ONE] };
            let vectors = chi.iter().enumerate().map(weights).map(Cow::Owned).collect();
            let functional = AxisWeights::new(vectors).functional(&rows).times(1, cols);
            let functional = self.words.define(functional);
            self.words.add_pooled(functional, scale, (start, param.len()));
        } else if let Some(row_axis) = plain_row_axis(&self.model.graph, form, &product.left, id) {
            cols.truncate(param.cols as usize);
            self.add_matrix(id, (&form.shape, row_axis), None, || Functional::of_vector(cols), scale);
        }
    }
}

/// Adds the relations' claim, `claim` times: left sides minus everything on the right but the contractions of the sumcheck.
pub(crate) fn add_relations(acc: &mut Accumulator<'_>, claim: Fp) {
    let model = acc.model;
    let weights = relation_weights(model, acc.challenges.mu);
    for (r, (relation, weight)) in model.lowered.relations.iter().zip(&weights).enumerate() {
        let scale = claim * weight;
        let shape = relation.shape.as_slice();
        let chi = acc.chi(shape);
        match &relation.left {
            Left::Words(terms, constant) => {
                acc.constant += scale * chi.total * from_i64(*constant);
                acc.add_words(terms, (shape, &chi), scale);
            }
            Left::Output(o) => {
                let functional = chi.weights(&[]).functional(&IndexMap::identity(shape, 0));
                acc.constant += functional.evaluate(&acc.public.outputs[*o]) * scale;
            }
            Left::Committed(tensor) => acc.add_committed(*tensor, (shape, &chi), scale),
            Left::Weights(id) => {
                let param = &model.graph.params[id.0 as usize];
                let own = Read::new(shape, &[], &IndexMap::identity(&[param.rows, param.cols], 0));
                acc.add_source(Source::Tensor(TensorId(id.0)), own, || chi.weights(&[]), scale);
            }
        }
        match &relation.right {
            Right::Words(terms, constant) => {
                acc.constant -= scale * chi.total * from_i64(*constant);
                acc.add_words(terms, (shape, &chi), -scale);
            }
            Right::Form(form) => {
                let Some(form) = form.resolve(&model.graph) else { continue };
                acc.constant -= scale * chi.total * from_i64(form.constant);
                for term in &form.terms {
                    let read = Read::new(shape, &term.sums, &term.map);
                    acc.add_source(term.source, read, || chi.weights(&term.sums), -scale * from_i64(term.coef));
                }
                // In order of their relations.
                let linear = &model.sumcheck.linear;
                let linear = linear.iter().skip(linear.partition_point(|l| l.0 < r));
                for (_, p) in linear.take_while(|l| l.0 == r) {
                    let product = &form.products[*p];
                    let kappa = product_weight(form, product, &chi.vectors, scale);
                    acc.add_linear_product(form, product, &chi.vectors, -kappa);
                }
            }
            Right::Committed(tensor) => acc.add_committed(*tensor, (shape, &chi), -scale),
            Right::Weights(id) => acc.add_weights(*id, (shape, &chi), -scale),
        }
    }
}

/// Adds a contraction at the end of the sumcheck. `claim` is the coefficient of the relations' claim; a contraction with two hidden
/// sides is a pair, of which `left` and `right` are the sides' coefficients.
pub(crate) fn add_contraction(
    acc: &mut Accumulator<'_>,
    entry: &SumcheckProduct,
    relation_weight: Fp,
    (claim, left, right): (Fp, Fp, Fp),
) {
    let model = acc.model;
    let relation = &model.lowered.relations[entry.relation];
    let Right::Form(form) = &relation.right else { return };
    let Some(form) = form.resolve(&model.graph) else { return };
    let product = &form.products[entry.product];
    let chi = acc.chi(&form.shape);
    let kappa = contraction_weight(entry, (form, product), &chi.vectors, relation_weight);
    let public_value = |acc: &Accumulator<'_>, is_left: bool| match sides(product, is_left).0 {
        Operand { source: Source::Tensor(id), map, .. } => {
            let weights = chi.side_weights((form, product, is_left), entry, &acc.challenges.sigma);
            acc.public_value(acc.model.lowered.tensors[id.0 as usize], &weights.functional(map))
        }
        _ => Fp::ZERO,
    };
    match (entry.left, entry.right) {
        (Side::Hidden, Side::Hidden) => {
            acc.add_side(entry, (form, product, true), left * kappa);
            acc.add_side(entry, (form, product, false), right);
        }
        (Side::Hidden, Side::Public) => {
            let q = public_value(acc, false);
            acc.add_side(entry, (form, product, true), -claim * kappa * q);
        }
        (Side::Public, Side::Hidden) => {
            let p = public_value(acc, true);
            acc.add_side(entry, (form, product, false), -claim * kappa * p);
        }
        (Side::Public, Side::Public) => {
            acc.constant -= claim * kappa * public_value(acc, true) * public_value(acc, false);
        }
    }
}
