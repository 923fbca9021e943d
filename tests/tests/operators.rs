//! Every operator case in `tests/ops`: the circuit's witness is the evaluator's trace bit for bit, and proofs are accepted, with
//! gates proven in either way.
#![cfg(feature = "onnx")]

use std::sync::{Arc, OnceLock};
use zkonnx_circuits::{compiled::CompiledModel, lower::Modes, witness::assign};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::eval::evaluate;
use zkonnx_tests::{
    debug_verifier::Witness,
    onnx_fixtures::{operator_cases, OperatorCase},
    setup::Sides,
};
use zkonnx_verifier::{statement::Context, verify::verify};

fn cases() -> &'static [OperatorCase] {
    static CASES: OnceLock<Vec<OperatorCase>> = OnceLock::new();
    CASES.get_or_init(|| {
        let (cases, families) = operator_cases();
        assert!(families >= 11, "only {families} families");
        assert!(cases.len() >= 100, "only {} operator cases", cases.len());
        cases
    })
}

#[test]
fn every_case_has_the_trace_for_a_witness() {
    for case in cases() {
        let modes = Modes::public(&case.model.graph);
        let graph = Arc::new(case.model.graph.clone());
        let model = CompiledModel::new(graph, modes, case.model.layout).expect(&case.name);
        let trace = evaluate(&case.model, &case.inputs).expect(&case.name);
        let cells = assign(&model, &trace);
        for (tensor, values) in model.lowered.tensors.iter().zip(&trace.tensors) {
            for (element, value) in values.iter().enumerate() {
                let Some(read) = cells.value(&model, *tensor, element) else { continue };
                assert_eq!(read, i128::from(*value), "{}, element {element}", case.name);
            }
        }
        let (inputs, outputs) = (&case.inputs, &trace.outputs);
        let witness = Witness { model: &model, cells: &cells, weights: &case.model.weights, inputs, outputs };
        assert_eq!(witness.faults(), vec![], "{}", case.name);
    }
}

#[test]
fn every_case_is_proven_in_both_ways() {
    for case in cases() {
        for sides in Sides::both(&case.model) {
            let (statement, proof) = prove(&sides.prover, &case.inputs, Context::default()).expect(&case.name);
            assert_eq!(proof.len(), sides.prover.keys.proof_length, "{}", case.name);
            if let Err(error) = verify(&sides.handle, &statement, &proof, None) {
                panic!("{}, gates by {}: {error}", case.name, sides.prover.model.layout.gates);
            }
        }
    }
}
