//! Provers with a wrong witness: every wrong cell, weight or activation is rejected, and at the right place.
//!
//! The debug verifier, which sees the witness, names the place; the real one names the step.

use zkonnx_circuits::{
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
    graph::Interval,
    model::QuantizedModel,
};
use zkonnx_tests::{
    debug_verifier::Fault,
    graphs::{self, form, read, relu, with_weight, GraphBuilder},
    lies::{force, place_of, reject, rejected_at, Case, CellLie},
    setup::Sides,
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

fn mlp() -> Case {
    let case = Case::public(graphs::mlp((10, 6, 3), 6, 4, 1), 2);
    case.is_sound();
    case
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
    let case = mlp();
    let row = inner_neuron(&case);
    let trace = false_trace(&case, row, 8);
    assert_eq!(trace.tensors[1][row], case.trace.tensors[1][row] + 1);
    let faults = reject(&case, &trace, &mut Honest);
    assert!(matches!(&faults[..], [Fault::Relation { relation: 0, element, .. }] if *element == row), "{faults:?}");
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
    let case = mlp();
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

#[test]
fn rejects_a_wrong_limb_of_every_word() {
    let case = mlp();
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

struct Counts(fn(&mut Vec<Vec<u64>>));

impl Deviation for Counts {
    fn multiplicities(&mut self, counts: &mut Vec<Vec<u64>>) {
        (self.0)(counts);
    }
}

#[test]
fn rejects_multiplicities_that_are_off() {
    let case = mlp();
    for lie in [
        (|c| c[0][0] += 1) as fn(&mut Vec<Vec<u64>>),
        |c| c[0][0] -= 1,
        |c| *c[0].last_mut().expect("rows") += 1,
        |c| {
            // The same sum, on another tuple.
            c[0][0] -= 1;
            c[0][1] += 1;
        },
        |c| {
            // Moved to the table's padding, which repeats the first tuple: no lie at all, see below.
            c[0][0] -= 1;
            *c[0].last_mut().expect("rows") += 2;
        },
    ] {
        let proof = case.prove(&case.statement, &mut Counts(lie));
        assert_eq!(case.rejected_at(&case.statement, &proof), Step::Halo2);
    }
    // Padding holds the table's first tuple and nothing else (T1).
    let shape = &case.model().shape;
    let last = shape.num_active_rows() - 1;
    assert!(shape.table.len() <= last);
    let honest_elsewhere = Counts(|c| {
        c[0][0] -= 1;
        *c[0].last_mut().expect("rows") += 1;
    });
    let proof = case.prove(&case.statement, &mut { honest_elsewhere });
    let accepted = verify(&case.sides.handle, &case.statement, &proof, None);
    assert!(accepted.is_ok(), "the padding is the first tuple again");
}

#[test]
fn rejects_swapped_columns() {
    for case in [mlp(), Case::public(graphs::lenet_like(6, 4, 5), 6)] {
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

/// S4: the last active row is checked like every other one, and the row after it is read by nobody.
#[test]
fn rejects_a_cell_out_of_range_on_the_last_active_row() {
    // k = 4: ten active rows, ten elements in one limb.
    let mut b = GraphBuilder::new(1);
    let x = b.input(&[10], 0, 15);
    let mut out = form(&[10]);
    out.terms.push(read(1, x, &[10]));
    b.output(out);
    let mut model = b.finish(4, 4);
    model.graph.outputs[0].form.bounds = Interval::new(0, 15);
    let mut modes = Modes::public(&model.graph);
    modes.inputs.fill(Mode::Hidden);
    let case = Case::with_inputs(model, modes, &[vec![3; 10]]);
    case.is_sound();
    let words = case.model().lowered.inputs[0].expect("a hidden input");
    for element in [9, 0] {
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            force(model, cells, words.value, element, 16 + 3);
        });
        let faults = reject(&case, &case.trace, &mut lie);
        let (column, row) = place_of(case.model(), words.value, 0, element);
        assert_eq!(row == case.model().shape.num_active_rows() - 1, element == 9);
        assert!(faults.contains(&Fault::Range { column, row, value: 19 }), "{faults:?}");
    }
}

#[test]
fn rejects_a_hidden_input_that_is_not_the_one_computed_with() {
    let model = graphs::mlp((10, 6, 3), 6, 4, 1);
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

/// Two models with one circuit, and so one verifying key: the relations tell them apart.
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
    let case = |constant| {
        let model = with(constant);
        let modes = Modes::public(&model.graph);
        Case::with_inputs(model, modes, &[vec![1, 2, 3, 19]])
    };
    let (one, two) = (case(0), case(1));
    assert_eq!(one.sides.prover.keys.vk_digest, two.sides.prover.keys.vk_digest);
    let proof = one.prove(&one.statement, &mut Honest);
    let error = verify(&two.sides.handle, &one.statement, &proof, None);
    assert!(matches!(error, Err(VerifyError::UnknownModel { .. })));
    // The statement says model two, with the outputs of model one.
    let claim = Statement { model_id: two.sides.handle.id(), ..one.statement.clone() };
    let proof = one.prove(&claim, &mut Honest);
    assert_eq!(rejected_at(&two.sides, &claim, &proof), Step::Linear);
}
