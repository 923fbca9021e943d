//! Provers with a wrong witness: every wrong cell, weight or activation is rejected, and at the right place.
//!
//! The debug verifier, which sees the witness, names the place; the real one names the step. Every lie is told in both ways of proving gates.

use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    gadgets::clamp::ClampNode,
    lower::{Mode, Modes, NodeWords},
};
use zkonnx_prover::{
    deviation::{Deviation, Honest},
    keys::ProverModel,
    prove::prove_trace,
};
use zkonnx_quantize::{
    eval::{evaluate, Trace},
    model::{Gates, QuantizedModel},
};
use zkonnx_tests::{
    debug_verifier::Fault,
    graphs::{self, form, read, relu, with_weight, GraphBuilder},
    lies::{force, place_of, reject, rejected_at, Case, CellLie},
    setup::{both_ways, Sides},
};
use zkonnx_verifier::{
    error::{Step, VerifyError},
    statement::Statement,
    verify::verify,
};

fn clamp_node(case: &Case, node: usize) -> ClampNode {
    match &case.model().lowered.nodes[node] {
        NodeWords::Clamp(words) => words.clone(),
        other => panic!("a clamp, not {other:?}"),
    }
}

fn both(model: &QuantizedModel, seed: u64) -> [Case; 2] {
    both_ways(model).map(|model| {
        let case = Case::public(model, seed);
        case.is_sound();
        case
    })
}

fn mlp() -> [Case; 2] {
    both(&graphs::mlp((10, 6, 3), 6, 4, 1), 2)
}

/// A trace in which the form of the first layer's `row` is off by `by`, and all that follows is consistent with it.
fn false_trace(case: &Case, row: usize, by: i64) -> Trace {
    let bias = 2;
    let model = with_weight(&case.sides.prover.model, bias, row, by);
    evaluate(&model, &case.trace.tensors[..1]).expect("the same inputs")
}

/// A neuron that is neither clamped nor next to it.
fn inner_neuron(case: &Case) -> usize {
    case.trace.tensors[1].iter().position(|y| (2..14).contains(y)).expect("a neuron inside the clamp")
}

#[test]
fn rejects_a_wrong_activation_with_all_later_layers_consistent() {
    for case in mlp() {
        let row = inner_neuron(&case);
        let trace = false_trace(&case, row, 8);
        assert_eq!(trace.tensors[1][row], case.trace.tensors[1][row] + 1);
        let faults = reject(&case, &trace, &mut Honest);
        assert!(matches!(&faults[..], [Fault::Relation { relation: 0, element, .. }] if *element == row), "{faults:?}");
    }
}

#[test]
fn rejects_wrong_weights() {
    for (model, param) in [
        (graphs::mlp((10, 6, 3), 6, 4, 1), 0),
        (graphs::mlp((10, 6, 3), 6, 4, 1), 1),
        (graphs::mlp((10, 6, 3), 6, 4, 1), 2),
        (graphs::mlp((40, 20, 6), 5, 4, 3), 0),
        (graphs::mlp((40, 20, 6), 5, 4, 3), 1),
        (graphs::lenet_like(6, 4, 5), 1),
        (graphs::lenet_like(6, 4, 5), 2),
    ] {
        for mode in [Mode::Public, Mode::Hidden] {
            let mut modes = Modes::public(&model.graph);
            modes.inputs.fill(mode);
            let handle = Sides::with_modes(model.clone(), modes.clone()).handle;
            // The thief's columns hold other weights; he claims the registered model's identity.
            let index = model.weights[param].iter().position(|w| w == 0).unwrap_or(0);
            let stolen = with_weight(&model, param, index, 1);
            let mut prover =
                ProverModel::new(stolen, modes, zkonnx_tests::setup::params(model.layout.k)).expect("a model");
            assert_ne!(prover.id, handle.id(), "other weights are another model");
            prover.id = handle.id();
            let sides = Sides { prover, handle };
            let inputs: Vec<Vec<i64>> = GraphBuilder::random_inputs(&model, 4);
            let trace = evaluate(&sides.prover.model, &inputs).expect("inputs");
            let values = (inputs.as_slice(), trace.outputs.as_slice());
            let keys = &sides.prover.keys.compiled;
            let statement = Statement::new(&model.graph, &keys.modes, sides.handle.id(), values, Default::default());
            let proof = prove_trace(&sides.prover, &trace, &statement, &mut Honest).expect("a proof");
            assert_eq!(rejected_at(&sides, &statement, &proof), Step::Linear, "parameter {param}");
        }
    }
}

#[test]
fn rejects_a_remainder_out_of_range() {
    for case in mlp() {
        let row = inner_neuron(&case);
        // q − 1 and r + 8: the relation holds, and all later layers.
        let trace = false_trace(&case, row, -8);
        let remainder = clamp_node(&case, 0).remainder.expect("a shift");
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            let r = i64::try_from(cells.read(model, remainder, row)).expect("a remainder");
            force(model, cells, remainder, row, r + 8);
        });
        let faults = reject(&case, &trace, &mut lie);
        let (column, at) = place_of(case.model(), remainder, 0, row);
        assert!(
            matches!(&faults[..], [Fault::Range { column: c, row: r, value: 8.. }] if (*c, *r) == (column, at)),
            "{faults:?}"
        );
    }
}

#[test]
fn rejects_a_wrong_limb_of_every_word() {
    for case in mlp() {
        for word in 0..case.model().placement.words.len() {
            for limb in 0..case.model().placement.words[word].limbs.len() {
                let (column, row) = place_of(case.model(), zkonnx_circuits::words::WordId(word), limb, 1);
                for by in [1, -1] {
                    let mut lie = CellLie(|_: &_, cells: &mut zkonnx_circuits::witness::Cells| {
                        cells.columns[column][row] += by;
                    });
                    reject(&case, &case.trace, &mut lie);
                }
            }
        }
    }
}

struct Counts(fn(&mut Vec<Vec<i64>>));

impl Deviation for Counts {
    fn multiplicities(&mut self, counts: &mut Vec<Vec<i64>>) {
        (self.0)(counts);
    }
}

#[test]
fn rejects_multiplicities_that_are_off() {
    for case in mlp() {
        for lie in [
            (|c| c[0][0] += 1) as fn(&mut Vec<Vec<i64>>),
            |c| c[0][0] -= 1,
            |c| *c[0].last_mut().expect("rows") += 1,
            |c| {
                // The same sum, on another tuple.
                c[0][0] -= 1;
                c[0][1] += 1;
            },
            // Nothing is counted.
            |c| c.iter_mut().flatten().for_each(|count| *count = 0),
        ] {
            let proof = case.prove(&case.statement, &mut Counts(lie));
            assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear);
        }
    }
}

/// A multiplicity beyond the rows of its tables, of a word column's own rows beside it.
struct Beyond(usize, usize);

impl Deviation for Beyond {
    fn strays(&mut self, _: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        vec![(self.0, self.1, Fp::from(5))]
    }
}

/// Multiplicity columns are as long as their part of the tables: what else they hold is read by nothing, and counts nothing.
#[test]
fn what_stands_below_the_tables_counts_nothing() {
    for case in mlp() {
        let shape = &case.model().shape;
        let (column, rows) = (shape.columns.len(), shape.table_group(0).len());
        assert!(shape.num_table_groups() == 1 && rows + 1 < shape.num_active_rows());
        for row in [rows, shape.num_active_rows() - 1] {
            let proof = case.prove(&case.statement, &mut Beyond(column, row));
            verify(&case.sides.handle, &case.statement, &proof, None).expect("nothing reads it");
        }
        let proof = case.prove(&case.statement, &mut Beyond(column, rows - 1));
        assert_eq!(case.rejected_at(&case.statement, &proof), Step::Linear);
    }
}

#[test]
fn rejects_swapped_columns() {
    for case in mlp().into_iter().chain(both(&graphs::lenet_like(6, 4, 5), 6)) {
        let columns = &case.model().shape.columns;
        let mut swapped = 0;
        for a in 0..columns.len() {
            for b in a + 1..columns.len().min(a + 4) {
                let cells = case.cells();
                if cells.columns[a] == cells.columns[b] {
                    continue;
                }
                swapped += 1;
                let mut lie = CellLie(|_: &_, cells: &mut zkonnx_circuits::witness::Cells| cells.columns.swap(a, b));
                reject(&case, &case.trace, &mut lie);
                if swapped > 8 {
                    break;
                }
            }
        }
        assert!(swapped > 3);
    }
}

/// S4: the last active row is checked like every other one: the last row of all where gates are relations, the seventh from the end, before
/// halo2's own, in the other way.
#[test]
fn rejects_a_wrong_cell_on_the_last_active_row() {
    for (gates, len) in [(Gates::Relations, 16), (Gates::Halo2, 10)] {
        // k = 4: as many elements as active rows, in one limb; a word and what is left of the interval.
        let mut b = GraphBuilder::new(1);
        let x = b.input(&[len], 0, 13);
        let mut out = form(&[len]);
        out.terms.push(read(1, x, &[len]));
        b.output(out);
        let mut model = b.finish(4, 4);
        model.layout.gates = gates;
        let mut modes = Modes::public(&model.graph);
        modes.inputs.fill(Mode::Hidden);
        let len = len as usize;
        let case = Case::with_inputs(model, modes, &[vec![3; len]]);
        case.is_sound();
        let words = case.model().lowered.inputs[0].expect("a hidden input");
        let complement = words.complement.expect("13 is no 2^b − 1");
        for element in [len - 1, 0] {
            let (column, row) = place_of(case.model(), words.value, 0, element);
            assert_eq!(row == case.model().shape.num_active_rows() - 1, element == len - 1);
            for (value, rest) in [(16 + 3, 13 - 16 - 3), (4, 10), (3, 11)] {
                let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
                    force(model, cells, words.value, element, value);
                    force(model, cells, complement, element, rest);
                });
                let faults = reject(&case, &case.trace, &mut lie);
                let is_gate = |f: &Fault| matches!(f, Fault::Gate { row: at, .. } if *at == row);
                assert_eq!(faults.iter().any(is_gate), value + rest != 13, "{faults:?}");
                assert_eq!(faults.contains(&Fault::Range { column, row, value }), value == 19, "{faults:?}");
            }
        }
    }
}

#[test]
fn rejects_a_hidden_input_that_is_not_the_one_computed_with() {
    for model in both_ways(&graphs::mlp((10, 6, 3), 6, 4, 1)) {
        let mut modes = Modes::public(&model.graph);
        modes.inputs.fill(Mode::Hidden);
        let case = Case::new(model, modes, 3);
        case.is_sound();
        let words = case.model().lowered.inputs[0].expect("a hidden input");
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            let value = i64::try_from(cells.read(model, words.value, 4)).expect("small");
            force(model, cells, words.value, 4, if value == 15 { 14 } else { value + 1 });
        });
        let faults = reject(&case, &case.trace, &mut lie);
        assert!(faults.iter().all(|f| matches!(f, Fault::Relation { relation: 0, .. })), "{faults:?}");
    }
}

/// Two models with one circuit, and so one key where there is one: the relations tell them apart.
#[test]
fn rejects_a_proof_for_another_model_with_the_same_circuit() {
    let with = |constant: i64| -> QuantizedModel {
        let mut b = GraphBuilder::new(1);
        let x = b.input(&[4], -20, 20);
        let mut a = form(&[4]);
        a.terms.push(read(1, x, &[4]));
        let y = b.node(a, 0, relu(Some(7)));
        let mut out = form(&[4]);
        out.terms.push(read(1, y, &[4]));
        out.constant = constant;
        b.output(out);
        b.finish(6, 4)
    };
    for gates in [Gates::Relations, Gates::Halo2] {
        let case = |constant| {
            let mut model = with(constant);
            model.layout.gates = gates;
            let modes = Modes::public(&model.graph);
            Case::with_inputs(model, modes, &[vec![1, 2, 3, 19]])
        };
        let (one, two) = (case(0), case(1));
        assert_eq!(one.model().shape, two.model().shape);
        let digest = |case: &Case| case.sides.prover.keys.halo2.as_ref().map(|key| key.digest);
        assert_eq!(digest(&one), digest(&two));
        assert_eq!(digest(&one).is_some(), gates == Gates::Halo2);
        let proof = one.prove(&one.statement, &mut Honest);
        let error = verify(&two.sides.handle, &one.statement, &proof, None);
        assert!(matches!(error, Err(VerifyError::UnknownModel { .. })));
        // The statement says model two, with the outputs of model one.
        let claim = Statement { model_id: two.sides.handle.id(), ..one.statement.clone() };
        let proof = one.prove(&claim, &mut Honest);
        assert_eq!(rejected_at(&two.sides, &claim, &proof), Step::Linear);
    }
}
