//! Several inferences in one proof: the grouped graph means the same, the model's file is enough to verify, lies are refused.
#![cfg(feature = "onnx")]

use std::sync::Arc;
use zkonnx_circuits::{
    committed::CommittedRef,
    compiled::CompiledModel,
    lower::{LowerError, Mode, Modes},
    params::ParamLayout,
    witness::assign,
};
use zkonnx_prover::{
    deviation::Honest,
    keys::ProverModel,
    prove::{prove, prove_committed, prove_registration, prove_trace, Proven},
};
use zkonnx_quantize::{
    eval::evaluate,
    graph::Interval,
    model::{LayoutChoice, QuantizedModel, WeightPrivacy},
    validate::has_conservative_bounds,
};
use zkonnx_tests::{
    debug_verifier::Witness,
    graphs::{self, GraphBuilder},
    onnx_fixtures::operator_cases,
    setup::{both_ways, params},
};
use zkonnx_verifier::{
    error::VerifyError,
    registry::{ModelHandle, Registry, WeightStatus},
    statement::{Context, Integers, TensorEntry, TensorValue},
    verify::verify,
    zkv::VerifierModel,
};

/// The inputs of one group.
fn stacked(members: &[Vec<Vec<i64>>]) -> Vec<Vec<i64>> {
    (0..members[0].len()).map(|input| members.iter().flat_map(|m| m[input].clone()).collect()).collect()
}

fn members(model: &QuantizedModel, size: u64) -> Vec<Vec<Vec<i64>>> {
    (0..size).map(|seed| GraphBuilder::random_inputs(model, 31 * seed + 7)).collect()
}

/// Outputs of the grouped model, and those of every member alone.
fn agrees(name: &str, model: &QuantizedModel, members: &[Vec<Vec<i64>>]) -> QuantizedModel {
    let size = u32::try_from(members.len()).expect("few");
    let grouped = model.grouped(size).unwrap_or_else(|e| panic!("{name}: {e}"));
    let together = evaluate(&grouped, &stacked(members)).expect(name);
    let apart: Vec<_> = members.iter().map(|inputs| evaluate(model, inputs).expect(name)).collect();
    let join = |of: &dyn Fn(usize) -> Vec<i64>| (0..members.len()).flat_map(of).collect::<Vec<i64>>();
    for output in 0..model.graph.outputs.len() {
        assert_eq!(together.outputs[output], join(&|m| apart[m].outputs[output].clone()), "{name}: output {output}");
    }
    for tensor in 0..together.tensors.len() {
        assert_eq!(together.tensors[tensor], join(&|m| apart[m].tensors[tensor].clone()), "{name}: tensor {tensor}");
    }
    grouped
}

/// Circuit and relations hold for the group's trace, and parameters stand where the model has them.
fn compiles(name: &str, model: &QuantizedModel, grouped: &QuantizedModel, inputs: &[Vec<i64>]) {
    let graph = Arc::new(grouped.graph.clone());
    let mut layout = grouped.layout;
    let compiled = loop {
        match CompiledModel::new(Arc::clone(&graph), Modes::public(&graph), layout) {
            Ok(compiled) => break compiled,
            Err(LowerError::TooManyColumns { .. }) => layout = LayoutChoice { k: layout.k + 1, ..layout },
            Err(e) => panic!("{name}: {e}"),
        }
    };
    assert_eq!(compiled.params, ParamLayout::new(&model.graph, 1 << layout.k), "{name}");
    let trace = evaluate(grouped, inputs).expect(name);
    let cells = assign(&compiled, &trace);
    let outputs = &trace.outputs;
    let witness = Witness { model: &compiled, cells: &cells, weights: &grouped.weights, inputs, outputs };
    assert_eq!(witness.faults(), vec![], "{name}");
}

#[test]
fn a_group_of_every_operator_case_is_its_members() {
    let (cases, _) = operator_cases();
    for case in cases {
        let mut members = members(&case.model, 2);
        members.insert(1, case.inputs.clone());
        let grouped = agrees(&case.name, &case.model, &members);
        compiles(&case.name, &case.model, &grouped, &stacked(&members));
    }
}

#[test]
fn bounds_from_declared_widths_stay() {
    for model in [graphs::mlp((5, 6, 4), 6, 4, 1), graphs::lenet_like(7, 6, 3), graphs::attention_like(7, 6, 3)] {
        let private = graphs::with_private_weights(model);
        assert!(has_conservative_bounds(&private.graph));
        assert!(has_conservative_bounds(&private.grouped(3).expect("a group").graph));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = graphs::mlp((5, 6, 4), 6, 4, 1);
    assert_eq!(model.grouped(1).expect("itself"), model);
    assert!(model.grouped(0).is_err());
    let error = model.grouped(1 << 26).expect_err("too large").to_string();
    assert!(error.contains("limit"), "{error}");
    let shape = |g: u32| vec![g, 5];
    assert_eq!(model.graph.group_size([shape(7).as_slice()]), Some(7));
    assert_eq!(model.graph.group_size([[7, 6].as_slice()]), None);
    assert_eq!(model.graph.group_size([[5].as_slice()]), None);
    assert_eq!(model.graph.group_size([shape(7).as_slice(), shape(7).as_slice()]), None);
    assert_eq!(model.graph.group_size([]), None);
}

fn of_group(model: &QuantizedModel, size: u32, modes: &Modes) -> ProverModel {
    ProverModel::of_group(model.clone(), size, modes.clone(), params(model.layout.k)).expect("a group")
}

fn registry(model: &QuantizedModel) -> (Registry, ModelHandle) {
    let mut registry = Registry::new();
    registry.insert_params(params(model.layout.k));
    let prover = of_group(model, 1, &Modes::public(&model.graph));
    let handle = registry.register(&prover.zkv).expect("a model");
    (registry, handle)
}

#[test]
fn the_models_file_is_enough_to_verify_a_group() {
    let models = [graphs::mlp((5, 6, 4), 6, 4, 1), graphs::lenet_like(7, 6, 3), graphs::attention_like(7, 6, 3)];
    for model in models.iter().flat_map(both_ways) {
        let (mut registry, handle) = registry(&model);
        for size in [2, 5] {
            let prover = of_group(&model, size, &Modes::public(&model.graph));
            let inputs = stacked(&members(&model, size.into()));
            let (statement, proof) = prove(&prover, &inputs, Context::default()).expect("a proof");
            assert!(registry.find(&statement, size - 1).expect("no such").is_none());
            let group = registry.find(&statement, size).expect("a group").expect("its model");
            assert_eq!((group.id(), group.group()), (prover.id, Some((handle.id(), size))));
            verify(&group, &statement, &proof, None).expect("an honest proof");
            // The model itself, another size, and what the prover's own file registers.
            assert!(matches!(verify(&handle, &statement, &proof, None), Err(VerifyError::UnknownModel { .. })));
            let other = handle.grouped(size + 1).expect("another");
            assert!(matches!(verify(&other, &statement, &proof, None), Err(VerifyError::UnknownModel { .. })));
            let mut fresh = Registry::new();
            fresh.insert_params(params(model.layout.k));
            assert_eq!(fresh.register(&prover.zkv).expect("a model").id(), group.id());
        }
    }
}

#[test]
fn the_modes_of_tensors_hold_for_groups() {
    let model = graphs::mlp((5, 6, 4), 6, 4, 1);
    let (_, handle) = registry(&model);
    let group = handle.grouped(3).expect("a group");
    let inputs = stacked(&members(&model, 3));
    for (input, output) in [
        (Mode::Hidden, Mode::Public),
        (Mode::Public, Mode::Hidden),
        (Mode::Committed, Mode::Public),
        (Mode::Hidden, Mode::Committed),
    ] {
        let modes = Modes { inputs: vec![input], outputs: vec![output] };
        let prover = of_group(&model, 3, &modes);
        let Proven { statement, proof, openings } =
            prove_committed(&prover, &inputs, &[], Context::default()).expect("a proof");
        verify(&group, &statement, &proof, None).expect("an honest proof");
        let committed = prover.keys.compiled.committed.first().map(|c| c.tensor);
        if let (Some(CommittedRef::Input(0)), Some(opening)) = (committed, openings.first()) {
            assert_eq!(opening.values, inputs[0]);
        }
    }
}

#[test]
fn a_group_of_private_weights_needs_no_registration_of_its_own() {
    let model = graphs::with_private_weights(graphs::mlp((5, 6, 4), 6, 4, 1));
    let prover = of_group(&model, 1, &Modes::public(&model.graph));
    let mut file = VerifierModel::from_bytes(&prover.zkv).expect("a model");
    file.registration = prove_registration(model.clone(), params(6)).expect("a registration");
    let mut registry = Registry::new();
    registry.insert_params(params(6));
    let handle = registry.register(&file.to_bytes()).expect("a model");
    assert_eq!(handle.weight_status(), WeightStatus::RangeProven);
    let prover = of_group(&model, 4, &Modes::public(&model.graph));
    let (statement, proof) = prove(&prover, &stacked(&members(&model, 4)), Context::default()).expect("a proof");
    let group = registry.find(&statement, 4).expect("a group").expect("its model");
    assert_eq!(group.weight_status(), WeightStatus::RangeProven);
    verify(&group, &statement, &proof, None).expect("an honest proof");
    // Another owner's commitments of the same weights are another model.
    let reseeded = QuantizedModel { privacy: WeightPrivacy::Private { blind_seed: [8; 32] }, ..model.clone() };
    let prover = of_group(&reseeded, 4, &Modes::public(&model.graph));
    assert_ne!(prover.id, group.id());
}

#[test]
fn an_output_of_another_member_is_refused() {
    let model = graphs::mlp((5, 6, 4), 6, 4, 1);
    let (_, handle) = registry(&model);
    let group = handle.grouped(3).expect("a group");
    let prover = of_group(&model, 3, &Modes::public(&model.graph));
    let inputs = stacked(&members(&model, 3));
    let trace = evaluate(&prover.model, &inputs).expect("a trace");
    let (statement, proof) = prove(&prover, &inputs, Context::default()).expect("a proof");
    verify(&group, &statement, &proof, None).expect("an honest proof");
    let TensorValue::Public(values) = &statement.outputs[0].value else { panic!("a public output") };
    let values = values.to_vec();
    let claim = |values: &[i64]| {
        let mut lie = statement.clone();
        let entry = &lie.outputs[0];
        lie.outputs[0] = TensorEntry::new(&entry.name, &entry.shape, TensorValue::Public(Integers::new(values)));
        lie
    };
    // Members in another order, a member twice, one element off by one in each member.
    let mut lies = vec![[&values[4..], &values[..4]].concat(), [&values[..8], &values[..4]].concat()];
    for at in 0..values.len() {
        let mut lie = values.clone();
        lie[at] += if lie[at] > 0 { -1 } else { 1 };
        lies.push(lie);
    }
    for values in lies.iter().filter(|lie| **lie != values) {
        let lie = claim(values);
        assert!(verify(&group, &lie, &proof, None).is_err(), "the honest proof, for a false statement");
        let made = prove_trace(&prover, &trace, &lie, &mut Honest).expect("a proof, if a wrong one");
        assert!(matches!(verify(&group, &lie, &made, None), Err(VerifyError::Rejected { .. })));
    }
}

#[test]
fn a_group_of_a_model_without_weights_is_proven() {
    // No weights at all: only tables and clamps.
    let model = graphs::elementwise(7, Interval::new(-30, 33), 5);
    let (_, handle) = registry(&model);
    let prover = of_group(&model, 6, &Modes::public(&model.graph));
    let inputs = stacked(&members(&model, 6));
    let (statement, proof) = prove(&prover, &inputs, Context::default()).expect("a proof");
    verify(&handle.grouped(6).expect("a group"), &statement, &proof, None).expect("an honest proof");
}
