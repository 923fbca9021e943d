//! All relations as one linear equation over committed columns.
//!
//! Given the challenges of the linear part, every relation becomes inner products of columns with
//! public vectors (*functionals*), and all of them together one equation
//! `Σ_j <a_j, U_j> + constant = 0`, `j` over word, pooled parameter, combined parameter and message columns.
//! Prover and verifier build it with the same code; see section 5 of `verifier/docs/protocol.md`.

use crate::{
    committed::POINT_LEN,
    compiled::CompiledModel,
    field::{eq_vector, from_i64, index_bits, Fp},
    params::{low_bits, plain_row_axis, ParamPlace},
    products::{Side, SumcheckProduct},
    relations::{Left, Right, TensorCells, WordTerm},
    separable::{contract, AxisWeights, Functional},
    word_system::{WordFunctionals, WordSystem},
};
use ff::Field;
use std::borrow::Cow;
use zkonnx_quantize::{
    contraction::{Axis, ProductAxes},
    graph::{Form, Operand, ParamId, Product, Source, TensorId},
    index::IndexMap,
    integers::IntegerSlice,
};

/// The public integers of a statement.
#[derive(Clone, Copy, Debug)]
pub struct PublicTensors<'a> {
    /// One per input; empty for hidden ones.
    pub inputs: &'a [Vec<i64>],
    /// One per output; empty for hidden ones.
    pub outputs: &'a [Vec<i64>],
}

/// Challenges of the linear part.
#[derive(Clone, Debug, Default)]
pub struct LinearChallenges {
    /// One per index bit of the largest index space.
    pub rho: Vec<Fp>,
    /// Combines relations.
    pub mu: Fp,
    /// One per round of the sumcheck.
    pub sigma: Vec<Fp>,
    /// Masks the evaluations.
    pub gamma: Fp,
    /// Combines equations.
    pub eta: Fp,
    /// Separates pieces of messages.
    pub zeta: Fp,
}

/// Parameter columns combined by public weights, with one functional.
#[derive(Clone, Debug)]
pub struct Combined {
    /// Parameter columns and their weights.
    pub columns: Vec<(usize, Fp)>,
    /// The functional, at most one coefficient per row.
    pub functional: Vec<Fp>,
}

/// The one linear equation.
#[derive(Clone, Debug)]
pub struct LinearSystem {
    /// One functional per word column.
    pub words: Vec<Vec<Fp>>,
    /// One functional per pooled parameter column.
    pub pooled: Vec<Vec<Fp>>,
    /// Combined parameter columns.
    pub combined: Vec<Combined>,
    /// One functional per message column, already divided by the powers of ζ.
    pub messages: Vec<Vec<Fp>>,
    /// One functional per point of a committed tensor, on the generators of the coefficient basis.
    pub committed: Vec<Vec<Fp>>,
    /// The constant.
    pub constant: Fp,
}

/// The number of index bits of the largest index space of all relations.
#[must_use]
pub fn num_index_bits(model: &CompiledModel) -> usize {
    let bits = |shape: &[u32]| shape.iter().map(|s| index_bits(*s)).sum();
    model.lowered.relations.iter().map(|r| bits(&r.shape)).max().unwrap_or(0)
}

/// The part of ρ that belongs to each axis of a shape.
fn axis_points<'a>(rho: &'a [Fp], shape: &[u32]) -> Vec<&'a [Fp]> {
    let mut at = 0;
    shape
        .iter()
        .map(|size| {
            let bits = index_bits(*size);
            at += bits;
            &rho[at - bits..at]
        })
        .collect()
}

/// χ of each axis.
#[must_use]
pub fn axis_vectors(rho: &[Fp], shape: &[u32]) -> Vec<Vec<Fp>> {
    axis_points(rho, shape).iter().zip(shape).map(|(point, size)| eq_vector(point, *size as usize)).collect()
}

/// Weights of a contraction's axes for one operand.
///
/// Own outer axes carry χ, batch axes χ on the left side and one on the right; with a `point` of the
/// sumcheck, inner axes also carry its equality polynomial. Axes of the other side carry nothing.
#[must_use]
pub fn operand_weights(
    form: &Form,
    product: &Product,
    is_left: bool,
    chi: &[Vec<Fp>],
    point: Option<(&[Fp], &[Axis])>,
) -> AxisWeights<'static> {
    let operand = if is_left { &product.left } else { &product.right };
    let axes = ProductAxes::new(form, product);
    let mut vectors: Vec<Cow<'static, [Fp]>> = Vec::new();
    for (axis, chi) in chi.iter().enumerate() {
        let is_batch = axes.batch.iter().any(|a| usize::from(a.id) == axis);
        vectors.push(if !operand.map.uses(axis) {
            Cow::Owned(vec![Fp::ONE])
        } else if is_batch && !is_left {
            Cow::Owned(vec![Fp::ONE; chi.len()])
        } else {
            Cow::Owned(chi.clone())
        });
    }
    for size in &product.summed {
        vectors.push(Cow::Owned(vec![Fp::ONE; *size as usize]));
    }
    if let Some((sigma, inner)) = point {
        let mut at = 0;
        for axis in inner {
            let bits = index_bits(axis.size);
            let eq = eq_vector(&sigma[at..at + bits], axis.size as usize);
            at += bits;
            let vector = vectors[usize::from(axis.id)].to_mut();
            for (weight, eq) in vector.iter_mut().zip(eq) {
                *weight *= eq;
            }
        }
    }
    AxisWeights::new(vectors).with_sums(&operand.sums)
}

/// `Σ χ` over form axes that a contraction does not use.
#[must_use]
pub fn free_weight(form: &Form, product: &Product, chi: &[Vec<Fp>]) -> Fp {
    ProductAxes::new(form, product)
        .free
        .iter()
        .fold(Fp::ONE, |weight, axis| weight * chi[usize::from(axis.id)].iter().sum::<Fp>())
}

/// The evaluation of one side at every point of the inner axes, as the sumcheck needs it. Batch axes
/// carry χ on the left side.
#[must_use]
pub fn operand_table(
    form: &Form,
    product: &Product,
    is_left: bool,
    chi: &[Vec<Fp>],
    inner: &[Axis],
    values: IntegerSlice<'_>,
) -> Vec<Fp> {
    let operand = if is_left { &product.left } else { &product.right };
    let weights = operand_weights(form, product, is_left, chi, None);
    let sizes: Vec<(u8, usize)> = inner.iter().map(|a| (a.id, a.size as usize)).collect();
    let mut table = contract(&operand.map, values, &weights, &sizes);
    if is_left {
        // Batch axes come first in `inner`, so in the lowest bits.
        let mut at = 0;
        for axis in inner.iter().take_while(|a| usize::from(a.id) < form.shape.len()) {
            let bits = index_bits(axis.size);
            let vector = &chi[usize::from(axis.id)];
            for (index, value) in table.iter_mut().enumerate() {
                let i = (index >> at) & ((1 << bits) - 1);
                *value *= vector.get(i).copied().unwrap_or(Fp::ZERO);
            }
            at += bits;
        }
    }
    table
}

/// `μ^ℓ` for every relation.
#[must_use]
pub fn relation_weights(model: &CompiledModel, mu: Fp) -> Vec<Fp> {
    std::iter::successors(Some(Fp::ONE), |w| Some(w * mu)).take(model.lowered.relations.len()).collect()
}

/// `κ_s`: weight of the relation, the integer factor, and unused axes. Missing rounds are not counted.
#[must_use]
pub fn product_weight(form: &Form, product: &Product, chi: &[Vec<Fp>], relation_weight: Fp) -> Fp {
    relation_weight * from_i64(product.coef) * free_weight(form, product, chi)
}

struct Accumulator<'a> {
    model: &'a CompiledModel,
    public: PublicTensors<'a>,
    words: WordFunctionals,
    pool: Vec<Fp>,
    combined: Vec<Combined>,
    committed: Vec<Vec<Fp>>,
    constant: Fp,
}

impl Accumulator<'_> {
    /// Words that are read in the same way, but for a factor, have one functional.
    fn add_words(&mut self, terms: &[WordTerm], weights: &AxisWeights<'_>, scale: Fp) {
        let model = self.model;
        let functionals = terms.iter().map(|term| {
            let functional = weights.functional(&term.map).scaled(scale * from_i64(term.coef));
            (term.word.0, model.placement.words[term.word.0].len, functional)
        });
        let mut rest: Vec<(usize, usize, Functional)> = functionals.collect();
        while let Some((_, len, first)) = rest.first().cloned() {
            let (same, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(_, other, f)| *other == len && f.factor_of(&first).is_some());
            rest = others;
            if let [(word, _, functional)] = same.as_slice() {
                self.scatter_word(*word, functional);
            } else {
                let factors = same.iter().filter_map(|(word, _, f)| Some((*word, f.factor_of(&first)?)));
                self.words.share(&first.clone().unscaled(), len, factors);
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

    fn add_source(&mut self, source: Source, map: &IndexMap, weights: &AxisWeights<'_>, scale: Fp) {
        let functional = weights.functional(map).scaled(scale);
        match source {
            Source::Tensor(id) => match self.model.lowered.tensors[id.0 as usize] {
                TensorCells::Public(input) => {
                    self.constant += functional.evaluate(&self.public.inputs[input]);
                }
                TensorCells::Word { offset, coef, word } => {
                    if offset != 0 {
                        self.constant += functional.total() * from_i64(offset);
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
        let TensorCells::Public(input) = self.model.lowered.tensors[right.0 as usize] else { return };
        let axes = ProductAxes::new(form, product);
        let inner = axes.inner();
        let table = operand_table(form, product, false, chi, &inner, (&self.public.inputs[input]).into());
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

/// The equation of all relations.
///
/// `masked` holds `(p', q')` for every contraction with two hidden sides, in order. The scale of the
/// relations' own equation is `γ²·Π σ`, as in section 5, step 5.
#[must_use]
pub fn linear_system(
    model: &CompiledModel,
    public: PublicTensors<'_>,
    challenges: &LinearChallenges,
    masked: &[(Fp, Fp)],
) -> LinearSystem {
    word_system(model, public, challenges, masked).into_columns(model)
}

/// The equation of all relations, by words.
#[must_use]
pub fn word_system(
    model: &CompiledModel,
    public: PublicTensors<'_>,
    challenges: &LinearChallenges,
    masked: &[(Fp, Fp)],
) -> WordSystem {
    let shape = &model.sumcheck;
    let gamma_squared = challenges.gamma.square();
    let claim_scale = challenges.sigma.iter().fold(gamma_squared, |s, sigma| s * sigma);
    let weights = relation_weights(model, challenges.mu);
    let mut acc = Accumulator {
        model,
        public,
        words: WordFunctionals::new(model.placement.words.len()),
        pool: vec![Fp::ZERO; model.params.num_pooled * model.num_rows()],
        combined: Vec::new(),
        committed: model.committed.iter().map(|c| vec![Fp::ZERO; c.len]).collect(),
        constant: Fp::ZERO,
    };
    // The claim: left sides minus everything on the right but the contractions of the sumcheck.
    for (r, (relation, weight)) in model.lowered.relations.iter().zip(&weights).enumerate() {
        let scale = claim_scale * weight;
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
                acc.constant += axes.functional(&map).evaluate(&public.outputs[*o]) * scale;
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
                let linear = shape.linear.iter().skip(shape.linear.partition_point(|l| l.0 < r));
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
    // The contractions at the end of the sumcheck.
    let mut next_masked = masked.iter();
    let mut eta_power = Fp::ONE;
    for product in &shape.products {
        let (p_prime, q_prime) = match product.is_masked() {
            true => next_masked.next().copied().unwrap_or_default(),
            false => Default::default(),
        };
        let eta_p = eta_power * challenges.eta;
        let eta_q = eta_p * challenges.eta;
        if product.is_masked() {
            eta_power = eta_q;
        }
        add_sumcheck_product(
            &mut acc,
            challenges,
            product,
            weights[product.relation],
            ((p_prime, eta_p), (q_prime, eta_q)),
        );
    }
    let messages = message_functionals(model, challenges, gamma_squared);
    let Accumulator { words, pool, combined, committed, constant, .. } = acc;
    let pooled = pool.chunks(model.num_rows()).map(<[Fp]>::to_vec).collect();
    let committed = committed.iter().flat_map(|tensor| tensor.chunks(POINT_LEN)).map(<[Fp]>::to_vec).collect();
    WordSystem::new(words, LinearSystem { words: Vec::new(), pooled, combined, messages, committed, constant })
}

type Masked = (Fp, Fp);

fn add_sumcheck_product(
    acc: &mut Accumulator<'_>,
    challenges: &LinearChallenges,
    entry: &SumcheckProduct,
    relation_weight: Fp,
    ((p_prime, eta_p), (q_prime, eta_q)): (Masked, Masked),
) {
    let model = acc.model;
    let relation = &model.lowered.relations[entry.relation];
    let Right::Form(form) = &relation.right else { return };
    let Some(form) = form.resolve(&model.graph) else { return };
    let product = &form.products[entry.product];
    let chi = axis_vectors(&challenges.rho, &form.shape);
    let missing = model.sumcheck.num_rounds - entry.num_variables;
    let sigma = &challenges.sigma[missing..];
    let half = Fp::from(2).invert().unwrap_or(Fp::ZERO);
    let kappa = product_weight(form, product, &chi, relation_weight) * half.pow_vartime([missing as u64]);
    let point = Some((sigma, entry.inner.as_slice()));
    let left = operand_weights(form, product, true, &chi, point);
    let right = operand_weights(form, product, false, &chi, point);
    let gamma = challenges.gamma;
    let public_value = |acc: &Accumulator<'_>, operand: &Operand, weights: &AxisWeights<'_>| match operand.source {
        Source::Tensor(id) => match acc.model.lowered.tensors[id.0 as usize] {
            TensorCells::Public(input) => weights.functional(&operand.map).evaluate(&acc.public.inputs[input]),
            TensorCells::Word { .. } => Fp::ZERO,
        },
        Source::Param(_) => Fp::ZERO,
    };
    match (entry.left, entry.right) {
        (Side::Hidden, Side::Hidden) => {
            acc.constant -= kappa * p_prime * q_prime + eta_p * p_prime + eta_q * q_prime;
            acc.add_operand(form, &product.left, (&challenges.rho, &left), eta_p * gamma);
            acc.add_operand(form, &product.right, (&challenges.rho, &right), eta_q * gamma);
        }
        (Side::Hidden, Side::Public) => {
            let q = public_value(acc, &product.right, &right);
            acc.add_operand(form, &product.left, (&challenges.rho, &left), -gamma.square() * kappa * q);
        }
        (Side::Public, Side::Hidden) => {
            let p = public_value(acc, &product.left, &left);
            acc.add_operand(form, &product.right, (&challenges.rho, &right), -gamma.square() * kappa * p);
        }
        (Side::Public, Side::Public) => {
            let p = public_value(acc, &product.left, &left);
            let q = public_value(acc, &product.right, &right);
            acc.constant -= gamma.square() * kappa * p * q;
        }
    }
}

/// Coefficients of the message column: rounds `(c0, c2)`, then masks `a_s, b_s`, then `t1, t0`.
fn message_functionals(model: &CompiledModel, challenges: &LinearChallenges, gamma_squared: Fp) -> Vec<Vec<Fp>> {
    let shape = &model.sumcheck;
    let mut coefficients = Vec::new();
    let mut after = gamma_squared;
    for sigma in challenges.sigma.iter().rev() {
        // The claim after round i: c0·(1 − 2σ) + claim·σ + c2·(σ² − σ).
        coefficients.push(after * (sigma.square() - sigma));
        coefficients.push(after * (Fp::ONE - sigma.double()));
        after *= sigma;
    }
    coefficients.reverse();
    if shape.num_masked > 0 {
        let mut eta_power = challenges.eta;
        for _ in 0..2 * shape.num_masked {
            coefficients.push(eta_power);
            eta_power *= challenges.eta;
        }
        coefficients.push(challenges.gamma);
        coefficients.push(Fp::ONE);
    }
    // A piece's commitment is multiplied by its own power of ζ: undo it at the piece's own positions.
    let inverse = challenges.zeta.invert().unwrap_or(Fp::ZERO);
    let mut columns = vec![vec![Fp::ZERO; model.num_rows()]; shape.num_message_columns];
    let mut values = coefficients.into_iter();
    let mut power = Fp::ONE;
    for piece in &shape.pieces {
        for (cell, value) in columns[piece.column][piece.start..piece.start + piece.len].iter_mut().zip(&mut values) {
            *cell = value * power;
        }
        power *= inverse;
    }
    columns
}
