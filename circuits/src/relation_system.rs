//! Relations as one linear equation: what their sides read of every column (protocol, step 4).

use crate::{
    compiled::CompiledModel,
    field::{eq_vector, from_i64, index_bits, Fp},
    functional::{
        axis_points, axis_vectors, contraction_weight, operand_table, operand_weights, product_weight,
        relation_weights, PublicTensors,
    },
    linear_system::Combined,
    messages::Challenges,
    one_hot::OneHot,
    params::{low_bits, plain_row_axis, ParamPlace},
    products::{Side, SumcheckProduct},
    relations::{Left, Right, TensorCells, WordTerm},
    separable::{AxisWeights, Functional},
    word_system::WordFunctionals,
};
use ff::Field;
use std::borrow::Cow;
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
    /// What is read of words.
    pub(crate) words: WordFunctionals,
    /// What is read of pooled parameters.
    pub(crate) pool: Vec<Fp>,
    /// What is read of other parameters.
    pub(crate) combined: Vec<Combined>,
    /// What is read of committed tensors.
    pub(crate) committed: Vec<Vec<Fp>>,
    /// The constant.
    pub(crate) constant: Fp,
}

impl<'a> Accumulator<'a> {
    /// Nothing.
    pub(crate) fn new(model: &'a CompiledModel, public: PublicTensors<'a>) -> Self {
        Self {
            model,
            public,
            words: WordFunctionals::new(model.placement.words.len()),
            pool: vec![Fp::ZERO; model.params.num_pooled * model.num_rows()],
            combined: Vec::new(),
            committed: model.committed.iter().map(|c| vec![Fp::ZERO; c.len]).collect(),
            constant: Fp::ZERO,
        }
    }

    /// Adds what another one holds; combined parameters after its own.
    pub(crate) fn merge(&mut self, other: Self) {
        self.words.merge(other.words);
        let committed = self.committed.iter_mut().flatten().zip(other.committed.into_iter().flatten());
        let pairs = self.pool.iter_mut().zip(other.pool).chain(committed);
        pairs.for_each(|(to, from)| *to += from);
        self.combined.extend(other.combined);
        self.constant += other.constant;
    }

    /// Words that are read in the same way, but for a factor, have one functional.
    fn add_words(&mut self, terms: &[WordTerm], weights: &AxisWeights<'_>, scale: Fp) {
        let len = |term: &WordTerm| self.model.placement.words[term.word.0].len;
        let is_alike = |a: &WordTerm, b: &WordTerm| (&a.map, &a.sums, len(a)) == (&b.map, &b.sums, len(b));
        let mut groups: Vec<Vec<&WordTerm>> = Vec::new();
        for term in terms {
            match groups.iter_mut().find(|group| is_alike(group[0], term)) {
                Some(group) => group.push(term),
                None => groups.push(vec![term]),
            }
        }
        for group in groups {
            let first = group[0];
            let functional = match first.sums.as_slice() {
                [] => weights.functional(&first.map),
                sums => weights.clone().with_sums(sums).functional(&first.map),
            };
            if group.len() == 1 {
                self.scatter_word(first.word.0, &functional.scaled(scale * from_i64(first.coef)));
            } else {
                let factors = group.iter().map(|term| (term.word.0, scale * from_i64(term.coef)));
                self.words.share(&functional, len(first), factors);
            }
        }
    }

    fn scatter_word(&mut self, word: usize, functional: &Functional) {
        self.words.add(word, self.model.placement.words[word].len, functional);
    }

    fn add_committed(&mut self, tensor: usize, shape: &[u32], weights: &AxisWeights<'_>, scale: Fp) {
        let functional = weights.functional(&IndexMap::identity(shape, 0)).scaled(scale);
        functional.scatter(&mut self.committed[tensor]);
    }

    /// The cells of a parameter as a registration relates them; see [`Right::Weights`].
    fn add_weights(&mut self, id: ParamId, (rho, shape, chi): (&[Fp], &[u32], &[Vec<Fp>]), scale: Fp) {
        let [rows, cols] = chi else { return };
        match self.model.params.places[id.0 as usize] {
            ParamPlace::Pooled { start } => {
                let weights = rows.iter().flat_map(|row| cols.iter().map(move |col| *row * col));
                for (out, weight) in self.pool[start..].iter_mut().zip(weights) {
                    *out += scale * weight;
                }
            }
            _ => self.add_matrix(id, axis_points(rho, shape)[0], cols.iter().map(|col| scale * col).collect()),
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

    fn add_source(&mut self, source: Source, map: &IndexMap, weights: &AxisWeights<'_>, scale: Fp) {
        let functional = weights.functional(map).scaled(scale);
        match source {
            Source::Tensor(id) => match self.model.lowered.tensors[id.0 as usize] {
                cells @ (TensorCells::Public(_) | TensorCells::OneHot { .. }) => {
                    self.constant += self.public_value(cells, &functional);
                }
                TensorCells::Word { offset, coef, word, excess } => {
                    if offset != 0 {
                        self.constant += functional.total() * from_i64(offset);
                    }
                    if let Some(excess) = excess {
                        self.scatter_word(excess.0, &functional);
                    }
                    self.scatter_word(word.0, &functional.scaled(from_i64(coef)));
                }
            },
            Source::Param(id) => {
                if let ParamPlace::Pooled { start } = self.model.params.places[id.0 as usize] {
                    functional.scatter(&mut self.pool[start..]);
                }
            }
        }
    }

    /// A parameter's side of a contraction: χ over its rows, `inner` over its columns.
    fn add_param_operand(
        &mut self,
        form: &Form,
        operand: &Operand,
        id: ParamId,
        (rho, weights): (&[Fp], &AxisWeights<'_>),
        scale: Fp,
    ) {
        if matches!(self.model.params.places[id.0 as usize], ParamPlace::Pooled { .. }) {
            self.add_source(operand.source, &operand.map, weights, scale);
            return;
        }
        let cols = self.model.graph.params[id.0 as usize].cols;
        let mut map = operand.map.clone();
        map.factors.retain(|f| f.stride != cols || f.size == 1);
        // The row axis must not scale the rest: its weight is in the row functional.
        let row_axis = plain_row_axis(&self.model.graph, form, operand, id).unwrap_or(0);
        let weights = weights.without(row_axis);
        let mut functional = vec![Fp::ZERO; cols as usize];
        weights.functional(&map).scaled(scale).scatter(&mut functional);
        self.add_matrix(id, axis_points(rho, &form.shape)[row_axis], functional);
    }

    /// Adds the functional `eq(point, row)·cols[col]` of a matrix parameter.
    fn add_matrix(&mut self, id: ParamId, point: &[Fp], cols: Vec<Fp>) {
        let rows = self.model.graph.params[id.0 as usize].rows as usize;
        match self.model.params.places[id.0 as usize] {
            ParamPlace::Pooled { .. } => {}
            ParamPlace::Packed { first, rows_per_column, count } => {
                let (low, high) = point.split_at(low_bits(rows_per_column));
                let low = eq_vector(low, rows_per_column);
                let functional = low.iter().flat_map(|l| cols.iter().map(move |c| l * c)).collect();
                let columns = eq_vector(high, count).into_iter().enumerate().map(|(c, w)| (first + c, w)).collect();
                self.combined.push(Combined { columns, functional });
            }
            ParamPlace::Chunked { first, chunks } => {
                let weights = eq_vector(point, rows);
                for (chunk, part) in cols.chunks(self.model.params.num_rows).enumerate() {
                    let columns =
                        weights.iter().enumerate().map(|(row, w)| (first + row * chunks + chunk, *w)).collect();
                    self.combined.push(Combined { columns, functional: part.to_vec() });
                }
            }
        }
    }

    fn add_operand(&mut self, form: &Form, operand: &Operand, (rho, weights): (&[Fp], &AxisWeights<'_>), scale: Fp) {
        match operand.source {
            Source::Param(id) => self.add_param_operand(form, operand, id, (rho, weights), scale),
            Source::Tensor(_) => self.add_source(operand.source, &operand.map, weights, scale),
        }
    }

    /// A contraction of a parameter with a public input: linear in the parameter.
    fn add_linear_product(&mut self, form: &Form, product: &Product, (rho, chi): (&[Fp], &[Vec<Fp>]), scale: Fp) {
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
            let (mut rest, mut index, mut weight) = (point, 0, scale);
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
            rows.factors.retain(|f| f.axes.iter().all(|a| axes.rows.iter().any(|r| r.id == *a)));
            let row_ids: Vec<u8> = axes.rows.iter().map(|a| a.id).collect();
            let row_sizes: Vec<u32> = axes.rows.iter().map(|a| a.size).collect();
            let addresses = rows.addresses(&row_ids, &row_sizes);
            let mut weights = vec![Fp::ONE];
            for axis in &axes.rows {
                let vector = &chi[usize::from(axis.id)];
                weights = weights.iter().flat_map(|w| vector.iter().map(move |v| w * v)).collect();
            }
            let base = start + rows.base as usize;
            for (address, weight) in addresses.iter().zip(&weights) {
                if let Some(address) = address {
                    let out = &mut self.pool[base + *address as usize..];
                    for (out, col) in out.iter_mut().zip(&cols) {
                        *out += weight * col;
                    }
                }
            }
        } else if let Some(row_axis) = plain_row_axis(&self.model.graph, form, &product.left, id) {
            cols.resize(param.cols as usize, Fp::ZERO);
            self.add_matrix(id, axis_points(rho, &form.shape)[row_axis], cols);
        }
    }
}

/// Adds the relations' claim, `claim` times: left sides minus everything on the right but the contractions of the sumcheck.
pub(crate) fn add_relations(acc: &mut Accumulator<'_>, challenges: &Challenges, claim: Fp) {
    let model = acc.model;
    let weights = relation_weights(model, challenges.mu);
    for (r, (relation, weight)) in model.lowered.relations.iter().zip(&weights).enumerate() {
        let scale = claim * weight;
        let chi = axis_vectors(&challenges.rho, &relation.shape);
        let axes = AxisWeights::new(chi.iter().map(|v| Cow::Borrowed(v.as_slice())).collect());
        let all = chi.iter().fold(Fp::ONE, |total, v| total * v.iter().sum::<Fp>());
        match &relation.left {
            Left::Words(terms, constant) => {
                acc.constant += scale * all * from_i64(*constant);
                acc.add_words(terms, &axes, scale);
            }
            Left::Output(o) => {
                let map = IndexMap::identity(&relation.shape, 0);
                acc.constant += axes.functional(&map).evaluate(&acc.public.outputs[*o]) * scale;
            }
            Left::Committed(tensor) => acc.add_committed(*tensor, &relation.shape, &axes, scale),
            Left::Weights(id) => {
                let param = &model.graph.params[id.0 as usize];
                let own = IndexMap::identity(&[param.rows, param.cols], 0);
                acc.add_source(Source::Tensor(TensorId(id.0)), &own, &axes, scale);
            }
        }
        match &relation.right {
            Right::Words(terms, constant) => {
                acc.constant -= scale * all * from_i64(*constant);
                acc.add_words(terms, &axes, -scale);
            }
            Right::Form(form) => {
                let Some(form) = form.resolve(&model.graph) else { continue };
                acc.constant -= scale * all * from_i64(form.constant);
                for term in &form.terms {
                    let axes = axes.clone().with_sums(&term.sums);
                    acc.add_source(term.source, &term.map, &axes, -scale * from_i64(term.coef));
                }
                // In order of their relations.
                let linear = &model.sumcheck.linear;
                let linear = linear.iter().skip(linear.partition_point(|l| l.0 < r));
                for (_, p) in linear.take_while(|l| l.0 == r) {
                    let product = &form.products[*p];
                    let kappa = product_weight(form, product, &chi, scale);
                    acc.add_linear_product(form, product, (&challenges.rho, &chi), -kappa);
                }
            }
            Right::Committed(tensor) => acc.add_committed(*tensor, &relation.shape, &axes, -scale),
            Right::Weights(id) => acc.add_weights(*id, (&challenges.rho, &relation.shape, &chi), -scale),
        }
    }
}

/// Adds a contraction at the end of the sumcheck. `claim` is the coefficient of the relations' claim; a contraction with two hidden
/// sides is a pair, of which `left` and `right` are the sides' coefficients.
pub(crate) fn add_contraction(
    acc: &mut Accumulator<'_>,
    challenges: &Challenges,
    entry: &SumcheckProduct,
    relation_weight: Fp,
    (claim, left_factor, right_factor): (Fp, Fp, Fp),
) {
    let model = acc.model;
    let relation = &model.lowered.relations[entry.relation];
    let Right::Form(form) = &relation.right else { return };
    let Some(form) = form.resolve(&model.graph) else { return };
    let product = &form.products[entry.product];
    let chi = axis_vectors(&challenges.rho, &form.shape);
    let sigma = &challenges.sigma[challenges.sigma.len() - entry.num_variables..];
    let kappa = contraction_weight(entry, (form, product), &chi, relation_weight);
    let point = Some((sigma, entry.inner.as_slice()));
    let left = operand_weights(form, product, true, &chi, point);
    let right = operand_weights(form, product, false, &chi, point);
    let public_value = |acc: &Accumulator<'_>, operand: &Operand, weights: &AxisWeights<'_>| match operand.source {
        Source::Tensor(id) => {
            acc.public_value(acc.model.lowered.tensors[id.0 as usize], &weights.functional(&operand.map))
        }
        Source::Param(_) => Fp::ZERO,
    };
    match (entry.left, entry.right) {
        (Side::Hidden, Side::Hidden) => {
            acc.add_operand(form, &product.left, (&challenges.rho, &left), left_factor * kappa);
            acc.add_operand(form, &product.right, (&challenges.rho, &right), right_factor);
        }
        (Side::Hidden, Side::Public) => {
            let q = public_value(acc, &product.right, &right);
            acc.add_operand(form, &product.left, (&challenges.rho, &left), -claim * kappa * q);
        }
        (Side::Public, Side::Hidden) => {
            let p = public_value(acc, &product.left, &left);
            acc.add_operand(form, &product.right, (&challenges.rho, &right), -claim * kappa * p);
        }
        (Side::Public, Side::Public) => {
            let p = public_value(acc, &product.left, &left);
            let q = public_value(acc, &product.right, &right);
            acc.constant -= claim * kappa * p * q;
        }
    }
}
