//! Lying provers of unrolled recurrences, whose steps read the same parameters.

use zkonnx_circuits::{lower::Modes, params::ParamPlace, relations::TensorCells};
use zkonnx_prover::deviation::Honest;
use zkonnx_quantize::{
    eval::{evaluate, Trace},
    graph::{Op, ParamId, Source, TensorId, Term},
    index::IndexMap,
    model::QuantizedModel,
};
use zkonnx_tests::{
    debug_verifier::Fault,
    graphs::{dense, form, read, GraphBuilder},
    lies::{force, reject, Case, CellLie},
};

const STEPS: u32 = 4;
const FEATURES: u32 = 3;
const HIDDEN: u32 = 8;
/// One step up, after the shift.
const ONE: i64 = 1 << 3;

/// The parameters: input weights, recurrent weights, bias.
const WEIGHTS: [ParamId; 3] = [ParamId(0), ParamId(1), ParamId(2)];

/// `h' = clamp(W·x_t + R·h + b)`, node by node, with the last state for an output.
fn recurrent() -> QuantizedModel {
    let mut b = GraphBuilder::new(11);
    let x = b.input(&[STEPS, FEATURES], -7, 8);
    let weights = [b.param(HIDDEN, FEATURES, 3), b.param(HIDDEN, HIDDEN, 3), b.param(1, HIDDEN, 10)];
    assert_eq!(weights, WEIGHTS);
    let mut state = None;
    for step in 0..STEPS {
        let mut next = form(&[HIDDEN]);
        let mut own = dense(weights[0], x, HIDDEN, FEATURES);
        own.right.map.base = step * FEATURES;
        next.products.push(own);
        if let Some(state) = state {
            next.products.push(dense(weights[1], state, HIDDEN, HIDDEN));
        }
        let map = IndexMap::identity(&[HIDDEN], 0);
        next.terms.push(Term { coef: 1, source: Source::Param(weights[2]), sums: Vec::new(), map });
        state = Some(b.node(next, 3, Op::Clamp { lo: Some(-100), hi: Some(100), under: false }));
    }
    let mut out = form(&[HIDDEN]);
    out.terms.push(read(1, state.expect("a step"), &[HIDDEN]));
    b.output(out);
    b.finish(5, 4)
}

fn case() -> Case {
    let case = Case::public(recurrent(), 3);
    case.is_sound();
    case
}

/// The trace of another model on the same inputs.
fn trace_of(case: &Case, model: &QuantizedModel) -> Trace {
    let trace = evaluate(model, &case.trace.tensors[..1]).expect("the same inputs");
    assert_ne!(trace, case.trace, "no lie");
    trace
}

/// All faults are in the relation of one node.
fn are_of(faults: &[Fault], node: &str) {
    let own = |f: &Fault| matches!(f, Fault::Relation { name, .. } if name == node);
    assert!(faults.iter().all(own), "{node}: {faults:?}");
}

#[test]
fn steps_read_one_parameter() {
    let case = case();
    let model = case.model();
    assert_eq!(model.graph.params.len(), 3);
    assert!(matches!(model.params.places[1], ParamPlace::Packed { count: 2, .. }), "a matrix of its own columns");
    // One contraction of two hidden sides and one combined column for every step but the first.
    assert_eq!(model.sumcheck.num_hidden, STEPS as usize - 1);
    assert_eq!(model.sumcheck.num_combined, STEPS as usize - 1);
}

#[test]
fn rejects_a_wrong_state_at_one_step_with_all_later_ones_consistent() {
    let case = case();
    for step in 0..STEPS as usize {
        for by in [ONE, -ONE] {
            let mut model = case.sides.prover.model.clone();
            model.graph.nodes[step].form.constant += by;
            let trace = trace_of(&case, &model);
            assert_eq!(trace.tensors[..=step], case.trace.tensors[..=step], "earlier states are the true ones");
            are_of(&reject(&case, &trace, &mut Honest), &format!("node{step}"));
        }
    }
}

#[test]
fn rejects_other_weights_at_one_step() {
    let case = case();
    for step in 1..STEPS as usize {
        for id in WEIGHTS {
            // The same weights but for one, as a parameter of this step alone.
            let mut model = case.sides.prover.model.clone();
            let place = id.0 as usize;
            let own = ParamId(u32::try_from(model.weights.len()).expect("few parameters"));
            let mut values = model.weights[place].to_vec();
            values[1] += ONE;
            model.weights.push(values.into());
            let param = model.graph.params[place].clone();
            model.graph.params.push(param);
            let form = &mut model.graph.nodes[step].form;
            let terms = form.terms.iter_mut().map(|t| &mut t.source);
            for source in terms.chain(form.products.iter_mut().map(|p| &mut p.left.source)) {
                if *source == Source::Param(id) {
                    *source = Source::Param(own);
                }
            }
            let trace = trace_of(&case, &model);
            are_of(&reject(&case, &trace, &mut Honest), &format!("node{step}"));
        }
    }
}

#[test]
fn rejects_a_step_that_is_left_out() {
    let case = case();
    for step in 1..STEPS as usize {
        // The state is that of the step before.
        let mut model = case.sides.prover.model.clone();
        let before = TensorId(u32::try_from(step).expect("few steps"));
        let node = &mut model.graph.nodes[step];
        node.form = form(&[HIDDEN]);
        node.form.terms.push(read(ONE, before, &[HIDDEN]));
        let trace = trace_of(&case, &model);
        are_of(&reject(&case, &trace, &mut Honest), &format!("node{step}"));
    }
}

#[test]
fn rejects_states_of_two_steps_exchanged() {
    let case = case();
    let word = |step: u32| match case.model().lowered.tensors[step as usize + 1] {
        TensorCells::Word { word, .. } => word,
        TensorCells::Public(_) | TensorCells::OneHot { .. } => panic!("a state is hidden"),
    };
    for step in 0..STEPS - 1 {
        let (a, b) = (word(step), word(step + 1));
        let mut lie = CellLie(|model: &_, cells: &mut zkonnx_circuits::witness::Cells| {
            for element in 0..HIDDEN as usize {
                let read = |cells: &zkonnx_circuits::witness::Cells, word| {
                    i64::try_from(cells.read(model, word, element)).expect("a small state")
                };
                let (x, y) = (read(cells, a), read(cells, b));
                force(model, cells, a, element, y);
                force(model, cells, b, element, x);
            }
        });
        reject(&case, &case.trace, &mut lie);
    }
}

#[cfg(feature = "onnx")]
#[test]
fn rejects_a_wrong_value_of_any_node_of_an_lstm() {
    use std::{collections::BTreeMap, path::PathBuf};
    use zkonnx_quantize::{
        data::{quantise_input, read_npz, NamedTensor, Samples},
        quantize, OnnxModel, Recipe,
    };
    use zkonnx_tests::setup::lay_out;

    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("variants/recurrent/lstm_last.onnx");
    let onnx = OnnxModel::from_path(&path, &BTreeMap::new()).expect("a fixture");
    let arrays = read_npz(&path.with_extension("npz")).expect("its samples");
    let own = arrays.iter().filter_map(|a| Some((a.name.strip_prefix("in_")?.to_owned(), a)));
    let own = own.map(|(name, a)| NamedTensor { name, ..a.clone() }).collect();
    let samples = Samples::new(&onnx.inputs(), own).expect("samples of the model");
    let (mut model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).expect("a model");
    lay_out(&mut model, Some(8));
    let integers = |(input, values)| quantise_input(input, values).expect("finite").values;
    let inputs: Vec<Vec<i64>> = model.graph.inputs.iter().zip(samples.sample(0)).map(integers).collect();
    let modes = Modes::public(&model.graph);
    let case = Case::with_inputs(model, modes, &inputs);
    case.is_sound();
    let nodes = case.sides.prover.model.graph.nodes.len();
    let mut lies = 0;
    for node in (0..nodes).step_by(3) {
        let mut model = case.sides.prover.model.clone();
        let shift = model.graph.nodes[node].shift;
        model.graph.nodes[node].form.constant += 2 << shift;
        let trace = evaluate(&model, &inputs).expect("the same inputs");
        if trace.tensors == case.trace.tensors {
            continue; // saturated
        }
        let relation = |f: &Fault| matches!(f, Fault::Relation { .. });
        assert!(reject(&case, &trace, &mut Honest).iter().all(relation));
        lies += 1;
    }
    assert!(lies > 5, "{lies} lies of {nodes} nodes");
}
