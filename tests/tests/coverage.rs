//! Coverage (T3): every used cell and every public output is determined. A forgotten relation would be a free witness,
//! a forgotten output relation a free answer, a forgotten slot a free cell.

use pasta_curves::Fp;
use std::collections::BTreeSet;
use zkonnx_circuits::{
    compiled::CompiledModel,
    functional::{num_index_bits, PublicTensors},
    gadgets::clamp::ClampWords,
    lower::{Mode, Modes, NodeWords},
    messages::{gate_weights, Challenges, LayerChallenges, Rounds},
    relations::{FormRef, Left, Relation, RelationKind, Right},
    slots::RowForm,
    system::linear_system,
    words::{CellKind, Lane, WordId},
};
use zkonnx_quantize::{
    graph::Op,
    index::IndexMap,
    model::{Gates, QuantizedModel},
};
use zkonnx_tests::{
    debug_verifier::Witness,
    graphs,
    lies::{place_of, Case},
};
use zkonnx_verifier::verify::public_values;

fn models() -> Vec<QuantizedModel> {
    vec![
        graphs::mlp((10, 6, 3), 6, 4, 1),
        graphs::mlp((40, 20, 6), 5, 4, 3),
        graphs::lenet_like(6, 4, 5),
        graphs::lenet_like(7, 6, 5),
        graphs::softmax_like(7, 5, 7),
        graphs::attention_like(6, 4, 9),
        graphs::gather_like(6, 4, 10),
        graphs::saturating_like(6, 4, 11),
    ]
}

fn each_case(mut check: impl FnMut(&Case)) {
    use Mode::{Hidden, Public};
    for model in models() {
        for (input, gates) in [(Public, Gates::Relations), (Hidden, Gates::Relations), (Hidden, Gates::Halo2)] {
            let mut model = model.clone();
            model.layout.gates = gates;
            let modes = Modes {
                inputs: vec![input; model.graph.inputs.len()],
                outputs: vec![Public; model.graph.outputs.len()],
            };
            check(&Case::new(model, modes, 11));
        }
    }
}

#[test]
fn every_used_cell_and_every_public_output_is_determined() {
    each_case(|case| {
        let model = case.model();
        let (inputs, outputs) = public_values(&case.statement);
        let mut cells = case.cells();
        let weights = &case.sides.prover.model.weights;
        let witness = Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs };
        assert_eq!(witness.faults(), [], "the honest witness is right");
        let mut perturbed = 0;
        for (w, word) in model.placement.words.iter().enumerate() {
            // Of long words, elements spread over the whole word, the last one among them.
            let step = word.len.div_ceil(12);
            for element in (0..word.len).filter(|e| e % step == 0 || *e + 1 == word.len) {
                for limb in 0..word.limbs.len() {
                    let (column, row) = place_of(model, WordId(w), limb, element);
                    for by in [1, -1] {
                        cells.columns[column][row] += by;
                        let faults =
                            Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs }.faults();
                        assert!(!faults.is_empty(), "word {w}, element {element}, limb {limb} is free");
                        cells.columns[column][row] -= by;
                        perturbed += 1;
                    }
                }
            }
        }
        assert!(perturbed > 20);
        for (o, values) in outputs.iter().enumerate() {
            for element in 0..values.len() {
                for by in [1, -1] {
                    let mut outputs = outputs.clone();
                    outputs[o][element] += by;
                    let faults =
                        Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs }.relation_faults();
                    assert_eq!(faults.len(), 1, "output {o}, element {element}");
                }
            }
        }
        for (i, values) in inputs.iter().enumerate() {
            for element in 0..values.len() {
                let mut inputs = inputs.clone();
                inputs[i][element] += if values[element] == model.graph.inputs[i].bounds.hi { -1 } else { 1 };
                let faults =
                    Witness { model, cells: &cells, weights, inputs: &inputs, outputs: &outputs }.relation_faults();
                assert!(!faults.is_empty(), "input {i}, element {element} does not matter");
            }
        }
    });
}

/// No two elements of words share a cell, and all cells are active ones.
#[test]
fn every_used_cell_is_used_once_and_active() {
    each_case(|case| {
        let model = case.model();
        let mut used = vec![vec![false; model.num_rows()]; model.shape.columns.len()];
        for (w, word) in model.placement.words.iter().enumerate() {
            for limb in 0..word.limbs.len() {
                for element in 0..word.len {
                    let (column, row) = place_of(model, WordId(w), limb, element);
                    assert!(row < model.shape.num_active_rows());
                    assert!(!std::mem::replace(&mut used[column][row], true), "column {column}, row {row}");
                    assert_eq!(model.shape.columns[column].kind, word.limbs[limb].kind);
                }
            }
        }
    });
}

/// Every cell that must be small is in exactly one lookup, every other one in a product; every gate of every copy has its own slot, which
/// reads that copy alone.
#[test]
fn every_column_and_every_gate_has_its_slot() {
    each_case(|case| {
        let shape = &case.model().shape;
        let mut looked_up = vec![0; shape.columns.len()];
        for lookup in &shape.slots.lookups {
            let kind = shape.columns[lookup.x].kind;
            assert_eq!(lookup.y.is_some(), matches!(kind, CellKind::Argument { .. }));
            assert_eq!(Some(lookup.tag), zkonnx_circuits::table_rows::tag(kind));
            [Some(lookup.x), lookup.y].into_iter().flatten().for_each(|column| looked_up[column] += 1);
        }
        let (mut products, mut linear) = (shape.slots.products.iter(), shape.slots.linear.iter());
        let mut multiplied = BTreeSet::new();
        for placed in &shape.lanes {
            let own: BTreeSet<usize> = placed.words.iter().flatten().map(|(column, _)| *column).collect();
            let columns = |form: &RowForm| -> BTreeSet<usize> {
                assert!(form.terms.iter().all(|(_, coef)| *coef != 0), "{form:?}");
                let columns: BTreeSet<usize> = form.terms.iter().map(|(column, _)| *column).collect();
                assert_eq!(columns.len(), form.terms.len(), "every column once");
                assert!(columns.is_subset(&own), "another copy");
                columns
            };
            let (num_products, num_linear) = match placed.lane {
                Lane::Range => (0, 0),
                Lane::Interval { .. } => (0, 1),
                Lane::Clamp { under, over, complement } => {
                    (usize::from(under) + usize::from(over.is_some()), usize::from(complement))
                }
                Lane::Table { under, over, .. } => (usize::from(under) + usize::from(over.is_some()), 0),
                Lane::Select | Lane::Division { .. } => (1, 0),
            };
            for slot in products.by_ref().take(num_products) {
                [&slot.a, &slot.b, &slot.c].into_iter().for_each(|form| multiplied.extend(columns(form)));
            }
            for form in linear.by_ref().take(num_linear) {
                assert!(!columns(form).is_empty());
            }
        }
        assert!(products.next().is_none() && linear.next().is_none(), "a slot of no lane");
        for (column, own) in shape.columns.iter().enumerate() {
            match own.kind {
                CellKind::Range { .. } | CellKind::Argument { .. } | CellKind::Value => {
                    assert_eq!(looked_up[column], 1)
                }
                CellKind::Unchecked => assert!(looked_up[column] == 0 && multiplied.contains(&column)),
            }
        }
    });
}

/// Words that a relation does not read: what is left of an interval stands in its linear gate alone.
fn complements(model: &CompiledModel) -> BTreeSet<WordId> {
    let of = |clamp: &ClampWords| clamp.complement;
    let nodes = model.lowered.nodes.iter().filter_map(|node| match node {
        NodeWords::Clamp(words) => of(&words.clamp),
        NodeWords::Max(words) => of(&words.clamp),
        NodeWords::Table(_) | NodeWords::Division(_) | NodeWords::OneHot(_) => None,
    });
    nodes.chain(model.lowered.inputs.iter().flatten().filter_map(|words| words.complement)).collect()
}

/// Each input form and each output is the left side of exactly one definition, over its whole index space; constraints define nothing.
#[test]
fn every_form_is_defined_once() {
    each_case(|case| {
        let model = case.model();
        let is_whole = |relation: &Relation, map: &IndexMap| *map == IndexMap::identity(&relation.shape, 0);
        let mut defined = Vec::new();
        for relation in &model.lowered.relations {
            let (Left::Words(terms, _), node) = (&relation.left, |node: usize| &model.lowered.node_words[node]) else {
                assert_eq!(relation.kind, RelationKind::Define);
                match (&relation.left, &relation.right) {
                    (Left::Output(o), Right::Form(form)) => {
                        assert_eq!(*form, FormRef::Output(*o));
                        defined.push(*form);
                    }
                    other => panic!("{other:?}"),
                }
                continue;
            };
            match (relation.kind, &relation.right) {
                (RelationKind::Define, Right::Form(form)) => {
                    let (FormRef::Node(own) | FormRef::Denominator(own)) = *form else { panic!("{form:?}") };
                    let resolved = form.resolve(&model.graph).expect("a form");
                    assert_eq!(resolved.shape, relation.shape, "{}", relation.name);
                    assert!(terms.iter().all(|term| term.coef != 0 && node(own).contains(&term.word.0)));
                    let is_one_hot = matches!(model.graph.nodes[own].op, Op::OneHot { .. });
                    // Of places the bits of their numbers are read (`gadgets::one_hot`).
                    assert!(is_one_hot || terms.iter().any(|term| is_whole(relation, &term.map)), "{}", relation.name);
                    defined.push(*form);
                }
                (RelationKind::Constrain, Right::Words(right, 1)) => {
                    let [term] = terms.as_slice() else { panic!("one word of one gadget") };
                    let whole = [relation.shape.as_slice(), &term.sums].concat();
                    assert!(right.is_empty() && term.coef == 1 && term.map == IndexMap::identity(&whole, 0));
                    let owner = model.lowered.nodes.iter().position(|node| match node {
                        NodeWords::Max(words) => words.selector == term.word,
                        NodeWords::OneHot(words) => words.is_some_and(|words| words.hot == term.word),
                        _ => false,
                    });
                    let owner = &model.graph.nodes[owner.expect("a maximum, or one-hot vectors")];
                    let expected = match owner.op {
                        Op::OneHot { .. } => owner.output_shape(),
                        _ => owner.form.shape.clone(),
                    };
                    assert_eq!(whole, expected, "the whole window");
                }
                other => panic!("{}: {other:?}", relation.name),
            }
        }
        // Vectors of a public input have no words, and nothing to define.
        let is_public = |i: &usize| matches!(model.lowered.nodes[*i], NodeWords::OneHot(None));
        let nodes = model.graph.nodes.iter().enumerate().filter(|(i, _)| !is_public(i)).flat_map(|(i, node)| {
            let denominator = matches!(node.op, Op::Div { .. }).then_some(FormRef::Denominator(i));
            [Some(FormRef::Node(i)), denominator].into_iter().flatten()
        });
        let expected: Vec<FormRef> = nodes.chain((0..model.graph.outputs.len()).map(FormRef::Output)).collect();
        assert_eq!(defined, expected, "each once, in the order of the graph");
        let constraints = model.lowered.relations.len() - defined.len();
        let is_constrained = |node: &&NodeWords| matches!(node, NodeWords::Max(_) | NodeWords::OneHot(Some(_)));
        assert_eq!(constraints, model.lowered.nodes.iter().filter(is_constrained).count());
    });
}

/// Challenges without anything between them.
fn challenges(model: &CompiledModel) -> Challenges {
    let mut state = 0;
    let mut next = || {
        state += 1;
        Fp::from(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(state)).square()
    };
    let rounds = Rounds::of(model);
    let (theta, phi, mu, omega, eta) = (next(), next(), next(), next(), next());
    let mut many = |count: usize| -> Vec<Fp> { (0..count).map(|_| next()).collect() };
    let (rho, sigma, delta) = (many(num_index_bits(model)), many(rounds.contractions), many(rounds.pair_rounds));
    let layers =
        (0..rounds.layers).map(|layer| LayerChallenges { lambda: many(1)[0], sigma: many(layer), beta: many(1)[0] });
    let layers = layers.collect();
    Challenges { theta, phi, layers, rho, mu, gates: gate_weights(model, mu), sigma, omega, delta, eta }
}

/// Relations read used cells only, and all of them but complements; lookups and gates read active rows only, multiplicities rows of tables.
#[test]
fn functionals_read_used_cells_only() {
    each_case(|case| {
        let model = case.model();
        let (inputs, outputs) = public_values(&case.statement);
        let public = PublicTensors { inputs: &inputs, outputs: &outputs };
        let system = linear_system(model, public, &challenges(model), (Fp::from(3), Fp::from(5)));
        let complements = complements(model);
        let mut read = vec![vec![false; model.num_rows()]; model.shape.columns.len()];
        for (w, word) in model.placement.words.iter().enumerate() {
            for limb in 0..word.limbs.len() {
                for element in 0..word.len {
                    let (column, row) = place_of(model, WordId(w), limb, element);
                    read[column][row] = !complements.contains(&WordId(w));
                }
            }
        }
        for (column, (functional, read)) in system.words.iter().zip(&read).enumerate() {
            for (row, is_read) in read.iter().enumerate() {
                let value = functional.get(row).copied().unwrap_or(Fp::zero());
                assert_eq!(value != Fp::zero(), *is_read, "column {column}, row {row}");
            }
        }
        let shape = &model.shape;
        let (active, columns) = (shape.num_active_rows(), shape.columns.len());
        // Gates are three row vectors of the relations, and none where halo2 proves them.
        let gates = match shape.gates {
            Gates::Relations => 3,
            Gates::Halo2 => 0,
        };
        assert_eq!(system.rank_one.rows.len(), gates + 1);
        for (rows, coefs) in system.rank_one.rows.iter().zip(&system.rank_one.coefs) {
            assert!(rows.len() <= active && coefs.len() == columns + shape.num_table_groups());
        }
        let lookups = system.rank_one.coefs.last().expect("the last one");
        for (column, own) in shape.columns.iter().enumerate() {
            assert_eq!(lookups[column] != Fp::zero(), own.kind != CellKind::Unchecked, "column {column}");
        }
        for (group, functional) in system.multiplicities.iter().enumerate() {
            let (rows, is_full) = (shape.table_group(group).len(), lookups[columns + group] != Fp::zero());
            assert_eq!(functional.len(), if is_full { 0 } else { rows });
            assert_eq!(is_full, rows == active);
        }
    });
}
