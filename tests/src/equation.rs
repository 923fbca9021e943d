//! The one linear equation, written from the protocol's text, number by number: `Σ η^i·E_i` of columns, messages and challenges that are all
//! random. Nothing is honest here, so no term can hide behind another.

use crate::{
    debug_verifier::{address, one_hot_element, points},
    lies::param_cell,
    weak_verifier::functionals,
};
use ff::Field;
use pasta_curves::Fp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::{eq_vector, from_i64, index_bits},
    functional::{num_index_bits, PublicTensors},
    messages::{gate_weights, Challenges, LayerChallenges, Piece, Rounds},
    relations::{Left, Right, TensorCells, WordTerm},
    slots::RowForm,
    system::{linear_system, word_system},
    words::WordId,
};
use zkonnx_quantize::{
    graph::{Form, Operand, Product, Source},
    index::IndexMap,
    model::Gates,
};

/// Columns, messages and challenges that have nothing to do with each other.
#[derive(Debug)]
pub struct Random<'a> {
    model: &'a CompiledModel,
    rounds: Rounds,
    inputs: &'a [Vec<i64>],
    outputs: &'a [Vec<i64>],
    /// Words, then multiplicities.
    columns: Vec<Vec<Fp>>,
    params: Vec<Vec<Fp>>,
    pieces: Vec<Vec<Fp>>,
    challenges: Challenges,
    clear: (Fp, Fp),
}

fn half() -> Fp {
    Fp::from(2).invert().expect("not zero")
}

fn power(base: Fp, exponent: usize) -> Fp {
    base.pow_vartime([exponent as u64])
}

impl<'a> Random<'a> {
    /// Everything from a seed; public inputs and outputs are those of a statement without committed tensors.
    #[must_use]
    pub fn new(model: &'a CompiledModel, (inputs, outputs): (&'a [Vec<i64>], &'a [Vec<i64>]), seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut random = |count: usize| -> Vec<Fp> { (0..count).map(|_| Fp::random(&mut rng)).collect() };
        let (shape, rounds, n) = (&model.shape, Rounds::of(model), model.num_rows());
        let columns = (0..shape.columns.len() + shape.num_table_groups()).map(|_| random(n)).collect();
        let params = (0..model.params.num_columns).map(|_| random(n)).collect();
        let pieces = rounds.pieces().iter().map(|piece| random(piece.len())).collect();
        let mut layers = Vec::new();
        for layer in 0..rounds.layers {
            let lambda = if layer == 0 { Fp::ZERO } else { random(1)[0] };
            layers.push(LayerChallenges { lambda, sigma: random(layer), beta: random(1)[0] });
        }
        let mut one = || random(1)[0];
        let (theta, phi, mu, omega, eta) = (one(), one(), one(), one(), one());
        let (rho, sigma) = (random(num_index_bits(model)), random(rounds.contractions));
        let delta = random(rounds.pair_rounds);
        let gates = gate_weights(model, mu);
        let challenges = Challenges { theta, phi, layers, rho, mu, gates, sigma, omega, delta, eta };
        let clear = if rounds.pairs > 0 { (random(1)[0], random(1)[0]) } else { (Fp::ZERO, Fp::ZERO) };
        Self { model, rounds, inputs, outputs, columns, params, pieces, challenges, clear }
    }

    fn piece(&self, piece: Piece) -> &[Fp] {
        let at = self.rounds.pieces().iter().position(|own| *own == piece).expect("a piece");
        &self.pieces[at]
    }

    /// `claim + (σ − z)·c1 + (σ² − z)·c2`.
    fn after(&self, claim: Fp, piece: Piece, sigma: Fp, z: Fp) -> Fp {
        let message = self.piece(piece);
        claim + (sigma - z) * message[0] + (sigma * sigma - z) * message[1]
    }

    fn word(&self, terms: &[WordTerm], constant: i64, point: &[u32]) -> Fp {
        let rows = self.model.shape.num_active_rows();
        let mut sum = from_i64(constant);
        for term in terms {
            for tail in points(&term.sums) {
                let Some(element) = address(&term.map, &[point, &tail].concat()) else { continue };
                sum += from_i64(term.coef) * self.element(term.word.0, element, rows);
            }
        }
        sum
    }

    fn element(&self, word: usize, element: usize, rows: usize) -> Fp {
        let word = &self.model.placement.words[word];
        let limbs = word.limbs.iter().zip(&word.places).map(|(limb, place)| {
            let at = place.start + element;
            Fp::from(1 << limb.shift) * self.columns[place.columns[at / rows]][at % rows]
        });
        limbs.sum()
    }

    fn read(&self, source: Source, map: &IndexMap, point: &[u32]) -> Fp {
        let Some(at) = address(map, point) else { return Fp::ZERO };
        match source {
            Source::Param(id) => {
                let (column, row) = param_cell(self.model, id.0 as usize, at);
                self.params[column][row]
            }
            Source::Tensor(id) => match self.model.lowered.tensors[id.0 as usize] {
                TensorCells::Public(input) => from_i64(self.inputs[input][at]),
                TensorCells::OneHot { input, node } => {
                    from_i64(one_hot_element(&self.model.graph.nodes[node], &self.inputs[input], at))
                }
                TensorCells::Word { offset, coef, word, excess } => {
                    let element = |word: WordId| self.element(word.0, at, self.model.shape.num_active_rows());
                    from_i64(offset) + from_i64(coef) * element(word) + excess.map_or(Fp::ZERO, element)
                }
            },
        }
    }

    fn side(&self, operand: &Operand, point: &[u32]) -> Fp {
        points(&operand.sums).map(|own| self.read(operand.source, &operand.map, &[point, &own].concat())).sum()
    }

    /// `χ_ℓ(e)`: the axes one after the other, each with its own bits, lowest first.
    fn chi(&self, shape: &[u32], point: &[u32]) -> Vec<Fp> {
        let mut at = 0;
        let axes = shape.iter().zip(point).map(|(size, index)| {
            let bits = index_bits(*size);
            at += bits;
            eq_vector(&self.challenges.rho[at - bits..at], *size as usize)[*index as usize]
        });
        axes.collect()
    }

    /// Left minus right of a relation at a point, without the contractions of the sumcheck.
    fn difference(&self, relation: usize, element: usize, point: &[u32]) -> Fp {
        let own = &self.model.lowered.relations[relation];
        let left = match &own.left {
            Left::Words(terms, constant) => self.word(terms, *constant, point),
            Left::Output(output) => from_i64(self.outputs[*output][element]),
            Left::Committed(_) | Left::Weights(_) => panic!("not in these models"),
        };
        let right = match &own.right {
            Right::Words(terms, constant) => self.word(terms, *constant, point),
            Right::Form(form) => {
                let form = form.resolve(&self.model.graph).expect("a form");
                let mut sum = from_i64(form.constant);
                for term in &form.terms {
                    for tail in points(&term.sums) {
                        sum += from_i64(term.coef) * self.read(term.source, &term.map, &[point, &tail].concat());
                    }
                }
                for (number, product) in form.products.iter().enumerate() {
                    let is_linear = self.model.sumcheck.linear.contains(&(relation, number));
                    for j in points(&product.summed).filter(|_| is_linear) {
                        let point = [point, &j].concat();
                        sum += from_i64(product.coef)
                            * self.side(&product.left, &point)
                            * self.side(&product.right, &point);
                    }
                }
                sum
            }
            Right::Committed(_) | Right::Weights(_) => panic!("not in these models"),
        };
        left - right
    }

    /// `κ'·p(σ)` and `q(σ)` of a contraction: its axes are the sumcheck's variables, batch axes first, the first in the lowest bits.
    fn contraction(&self, form: &Form, product: &Product, variables: usize) -> (Fp, Fp) {
        let sigma = &self.challenges.sigma[self.rounds.contractions - variables..];
        let uses = |axis: usize| (product.left.map.uses(axis), product.right.map.uses(axis));
        let sizes = [form.shape.as_slice(), &product.summed].concat();
        let outer = form.shape.len();
        let inner: Vec<usize> =
            (0..outer).filter(|axis| uses(*axis) == (true, true)).chain(outer..sizes.len()).collect();
        let eq = |point: &[u32]| {
            let mut at = 0;
            inner.iter().fold(Fp::ONE, |eq, axis| {
                let bits = index_bits(sizes[*axis]);
                at += bits;
                eq * eq_vector(&sigma[at - bits..at], sizes[*axis] as usize)[point[*axis] as usize]
            })
        };
        // Each side over its own axes and the inner ones; axes that it does not read stay at zero.
        let sum = |operand: &Operand, is_left: bool| -> Fp {
            let of_side = |axis: usize| if is_left { uses(axis).0 } else { uses(axis).1 };
            let shape: Vec<u32> =
                (0..sizes.len()).map(|axis| if axis >= outer || of_side(axis) { sizes[axis] } else { 1 }).collect();
            points(&shape)
                .map(|point| {
                    let chi = self.chi(&form.shape, &point[..outer]);
                    let weighted = (0..outer).filter(|axis| match uses(*axis) {
                        (true, true) => is_left,
                        _ => of_side(*axis),
                    });
                    weighted.fold(eq(&point) * self.side(operand, &point), |value, axis| value * chi[axis])
                })
                .sum()
        };
        let free = (0..outer).filter(|axis| uses(*axis) == (false, false)).fold(Fp::ONE, |product, axis| {
            let shape: Vec<u32> = (0..outer).map(|a| if a == axis { sizes[a] } else { 1 }).collect();
            product * points(&shape).map(|point| self.chi(&form.shape, &point)[axis]).sum::<Fp>()
        });
        let kappa = from_i64(product.coef) * free * power(Fp::from(2), variables);
        (kappa * sum(&product.left, true), sum(&product.right, false))
    }

    fn row(&self, form: &RowForm, row: usize) -> Fp {
        let terms = form.terms.iter().map(|(column, coef)| from_i64(*coef) * self.columns[*column][row]);
        from_i64(form.constant) + terms.sum::<Fp>()
    }

    /// `eq(ρ, (i, s))`: the bits of the row first, lowest first, then those of the slot.
    fn gate_chi(&self, row: usize, slot: usize, variables: usize) -> Fp {
        let index = row | slot << self.model.shape.k;
        let bits = self.challenges.rho[..variables].iter().enumerate();
        bits.fold(Fp::ONE, |eq, (b, rho)| eq * if index >> b & 1 == 1 { *rho } else { Fp::ONE - rho })
    }

    /// `eq(σ, (s, i))`: the bits of the slot first, lowest first, then those of the row, highest first.
    fn eq_of_slot_and_row(&self, point: &[Fp], slot: usize, row: usize) -> Fp {
        let k = self.model.shape.k as usize;
        let slot_bits = point.len() - k;
        let bits = (0..slot_bits).map(|b| slot >> b & 1).chain((0..k).map(|b| row >> (k - 1 - b) & 1));
        bits.zip(point).fold(Fp::ONE, |eq, (bit, z)| eq * if bit == 1 { *z } else { Fp::ONE - z })
    }

    /// `Σ_i η^i·E_i` by the text, or the relations' claim where there are no pairs.
    #[must_use]
    pub fn expected(&self) -> Fp {
        let (model, rounds, own) = (self.model, &self.rounds, &self.challenges);
        // (equation, A, B), and the claim of every equation.
        let (mut pairs, mut claims) = (Vec::new(), Vec::new());
        let (mut z, mut p, mut q) = (Vec::new(), Fp::ZERO, Fp::ZERO);
        for (layer, challenges) in own.layers.iter().enumerate() {
            let mut claim = if layer == 0 { Fp::ZERO } else { p + challenges.lambda * q };
            for (round, sigma) in challenges.sigma.iter().enumerate() {
                claim = self.after(claim, Piece::LayerRound { layer, round }, *sigma, z[round]);
            }
            claims.push(claim);
            let [p0, p1, q0, q1] = self.piece(Piece::LayerValues { layer }).try_into().expect("four");
            pairs.push((layer, p0, q1));
            pairs.push((layer, q0, p1 + challenges.lambda * q1));
            let beta = challenges.beta;
            z = [&[beta], challenges.sigma.as_slice()].concat();
            (p, q) = ((Fp::ONE - beta) * p0 + beta * p1, (Fp::ONE - beta) * q0 + beta * q1);
        }
        let mut equations = Vec::new();
        if rounds.layers > 0 {
            let (leaf_p, leaf_q) = self.leaves(&z);
            equations.extend([p - leaf_p, q - leaf_q]);
        }
        // Relations.
        let mut claim = Fp::ZERO;
        for (number, relation) in model.lowered.relations.iter().enumerate() {
            for (element, point) in points(&relation.shape).enumerate() {
                let chi: Fp = self.chi(&relation.shape, &point).iter().product();
                claim += power(own.mu, number) * chi * self.difference(number, element, &point);
            }
        }
        let mut ends = Vec::new();
        let mut public = Fp::ZERO;
        for entry in &model.sumcheck.products {
            let Right::Form(form) = &model.lowered.relations[entry.relation].right else { panic!("a form") };
            let form = form.resolve(&model.graph).expect("a form");
            let (left, right) = self.contraction(form, &form.products[entry.product], entry.num_variables);
            let left = power(own.mu, entry.relation) * left;
            if entry.is_hidden() {
                ends.push((left, right));
            } else {
                public += left * right;
            }
        }
        // Gates: two relations more, of which those that exist have the next powers of μ.
        let (gate_claim, gate_ends) = self.gates();
        claim += gate_claim;
        ends.extend(gate_ends);
        for (round, sigma) in own.sigma.iter().enumerate() {
            claim = self.after(claim, Piece::ContractionRound(round), *sigma, half());
        }
        claims.push(claim - public);
        if rounds.pairs == 0 {
            return claim - public;
        }
        pairs.extend(ends.into_iter().map(|(a, b)| (rounds.layers, a, b)));
        assert_eq!(pairs.len(), rounds.pairs);
        // Pairs.
        let weight = |t: usize| {
            let bits = own.delta.iter().enumerate();
            bits.fold(Fp::ONE, |eq, (b, delta)| eq * if t >> b & 1 == 1 { *delta } else { Fp::ONE - delta })
        };
        let first = self.piece(Piece::PairRound(0));
        let (mut left, mut right) = (weight(pairs.len()) * first[2], weight(pairs.len() + 1) * first[3]);
        for (t, (equation, a, b)) in pairs.iter().enumerate() {
            left += weight(t) * power(own.omega, *equation) * a;
            right += weight(t) * b;
        }
        let combined: Fp = claims.iter().enumerate().map(|(e, claim)| power(own.omega, e) * claim).sum();
        let mut claim = combined * power(half(), rounds.pair_rounds);
        for (round, delta) in own.delta.iter().enumerate() {
            claim = self.after(claim, Piece::PairRound(round), *delta, half());
        }
        let (l, r) = self.clear;
        // E2, E3, E4 keep their powers of η where there are no lookups.
        equations.resize(2, Fp::ZERO);
        equations.extend([l - left, r - right, l * r - claim]);
        equations.iter().enumerate().map(|(i, equation)| power(own.eta, i) * equation).sum()
    }

    /// What the two claims about the leaves are to be.
    fn leaves(&self, z: &[Fp]) -> (Fp, Fp) {
        let (shape, Challenges { theta, phi, .. }) = (&self.model.shape, &self.challenges);
        let (mut p, mut q) = (Fp::ZERO, Fp::ONE);
        let base = |tag: u64| *phi + theta.square() * Fp::from(tag);
        for (slot, lookup) in shape.slots.lookups.iter().enumerate() {
            for row in 0..shape.num_active_rows() {
                let eq = self.eq_of_slot_and_row(z, slot, row);
                let y = lookup.y.map_or(Fp::ZERO, |y| *theta * self.columns[y][row]);
                p += eq;
                q += eq * (base(lookup.tag) + self.columns[lookup.x][row] + y - Fp::ONE);
            }
        }
        for group in 0..shape.num_table_groups() {
            for (row, entry) in shape.table_group(group).iter().enumerate() {
                let eq = self.eq_of_slot_and_row(z, shape.slots.lookups.len() + group, row);
                p -= eq * self.columns[shape.columns.len() + group][row];
                q += eq * (base(entry.tag) + from_i64(entry.x) + *theta * from_i64(entry.y) - Fp::ONE);
            }
        }
        (p, q)
    }

    fn gates(&self) -> (Fp, Option<(Fp, Fp)>) {
        let (shape, own) = (&self.model.shape, &self.challenges);
        if shape.gates == Gates::Halo2 {
            return (Fp::ZERO, None);
        }
        let mut weight = power(own.mu, self.model.lowered.relations.len());
        let mut claim = Fp::ZERO;
        let variables = |slots: usize| (0..).find(|bits| 1 << bits >= slots).expect("few") + shape.k as usize;
        for (slot, form) in shape.slots.linear.iter().enumerate() {
            for row in 0..shape.num_rows() {
                claim += weight * self.gate_chi(row, slot, variables(shape.slots.linear.len())) * self.row(form, row);
            }
        }
        if !shape.slots.linear.is_empty() {
            weight *= own.mu;
        }
        if shape.slots.products.is_empty() {
            return (claim, None);
        }
        let variables = variables(shape.slots.products.len());
        let sigma = &own.sigma[own.sigma.len() - variables..];
        let (mut left, mut right) = (Fp::ZERO, Fp::ZERO);
        for (slot, product) in shape.slots.products.iter().enumerate() {
            for row in 0..shape.num_rows() {
                let (chi, eq) = (self.gate_chi(row, slot, variables), self.eq_of_slot_and_row(sigma, slot, row));
                claim += weight * chi * self.row(&product.c, row);
                left += chi * eq * self.row(&product.a, row);
                right += eq * self.row(&product.b, row);
            }
        }
        (claim, Some((weight * power(Fp::from(2), variables) * left, right)))
    }

    /// `Σ_j weights[j]·<rows, U_j>` for random weights and rows: as the verifier evaluates it, and as the plain sum over the prover's columns.
    #[must_use]
    pub fn on_random_rows(&self, seed: u64) -> (Fp, Fp) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut random = |count: usize| -> Vec<Fp> { (0..count).map(|_| Fp::random(&mut rng)).collect() };
        let public = PublicTensors { inputs: self.inputs, outputs: self.outputs };
        let system = word_system(self.model, public, &self.challenges, self.clear);
        let (rows, coefficients) = (random(self.model.num_rows()), random(self.model.num_rows()));
        let columns = system.clone().into_columns(self.model);
        let dense = functionals(self.model, &columns);
        let weights = random(dense.len() + columns.committed.len());
        let dot = |a: &[Fp], b: &[Fp]| a.iter().zip(b).map(|(a, b)| *a * b).sum::<Fp>();
        let of_rows = dense.iter().map(|functional| dot(functional, &rows));
        let of_coefficients = columns.committed.iter().map(|functional| dot(functional, &coefficients));
        let plain = of_rows.chain(of_coefficients).zip(&weights).map(|(value, weight)| *weight * value).sum();
        (system.evaluate(self.model, &weights, &rows, &coefficients), plain)
    }

    /// The same by the system of prover and verifier: `Σ_j <a_j, U_j>` and the constant.
    #[must_use]
    pub fn of_the_system(&self) -> Fp {
        let public = PublicTensors { inputs: self.inputs, outputs: self.outputs };
        let system = linear_system(self.model, public, &self.challenges, self.clear);
        let n = self.model.num_rows();
        let mut values = self.columns.clone();
        values.extend(self.params[..self.model.params.num_pooled].iter().cloned());
        for combined in &system.combined {
            let mut column = vec![Fp::ZERO; n];
            for (param, weight) in &combined.columns {
                column.iter_mut().zip(&self.params[*param]).for_each(|(sum, cell)| *sum += *weight * cell);
            }
            values.push(column);
        }
        values.extend(self.pieces.iter().cloned());
        let functionals = functionals(self.model, &system);
        assert_eq!(values.len(), functionals.len());
        let parts = values.iter().zip(&functionals);
        let sum: Fp = parts.map(|(a, u)| a.iter().zip(u).map(|(a, u)| *a * u).sum::<Fp>()).sum();
        sum + system.constant
    }
}
