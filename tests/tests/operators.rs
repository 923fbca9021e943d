//! Every operator case in `tests/ops`: the circuit's witness is the evaluator's trace bit for bit, and proofs are accepted.
#![cfg(feature = "onnx")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use zkonnx_circuits::{
    compiled::CompiledModel, cost::choose_layout, lower::Modes, relations::TensorCells, witness::assign,
};
use zkonnx_prover::prove::prove;
use zkonnx_quantize::{
    data::{quantise_input, read_npz, NamedTensor, Samples},
    eval::evaluate,
    model::QuantizedModel,
    quantize, OnnxModel, Recipe,
};
use zkonnx_tests::{debug_verifier::Witness, setup::Sides};
use zkonnx_verifier::{statement::Context, verify::verify};

struct Case {
    name: String,
    model: QuantizedModel,
    /// Integers of one sample.
    inputs: Vec<Vec<i64>>,
}

fn load(path: &Path) -> Case {
    let name = path.display().to_string();
    let onnx = OnnxModel::from_path(path, &BTreeMap::new()).expect(&name);
    let arrays = read_npz(&path.with_extension("npz")).expect(&name);
    let own = arrays.iter().filter_map(|a| Some((a.name.strip_prefix("in_")?.to_owned(), a)));
    let own = own.map(|(name, a)| NamedTensor { name, ..a.clone() }).collect();
    let samples = Samples::new(&onnx.inputs(), own).expect(&name);
    let (mut model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).expect(&name);
    model.layout = choose_layout(&Arc::new(model.graph.clone()), Some(8), None).expect(&name).0;
    let integers = |(input, values)| quantise_input(input, values).expect("finite").values;
    let inputs = model.graph.inputs.iter().zip(samples.sample(0)).map(integers).collect();
    Case { name, model, inputs }
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ops");
        let list = |folder: &Path| {
            let mut paths: Vec<PathBuf> =
                std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
            paths.sort();
            paths
        };
        let families: Vec<PathBuf> = list(&root).into_iter().filter(|path| path.is_dir()).collect();
        assert!(families.len() >= 12, "only {} families", families.len());
        let paths = families.iter().flat_map(|family| list(family));
        let cases: Vec<Case> =
            paths.filter(|path| path.extension().is_some_and(|e| e == "onnx")).map(|path| load(&path)).collect();
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
            let TensorCells::Word { offset, coef, word } = *tensor else { continue };
            for (element, value) in values.iter().enumerate() {
                let read = i128::from(offset) + i128::from(coef) * cells.read(&model, word, element);
                assert_eq!(read, i128::from(*value), "{}, element {element}", case.name);
            }
        }
        let (inputs, outputs) = (&case.inputs, &trace.outputs);
        let witness = Witness { model: &model, cells: &cells, weights: &case.model.weights, inputs, outputs };
        assert_eq!(witness.faults(), vec![], "{}", case.name);
    }
}

#[test]
fn every_case_is_proven() {
    for case in cases() {
        let sides = Sides::new(case.model.clone());
        let (statement, proof) = prove(&sides.prover, &case.inputs, Context::default()).expect(&case.name);
        assert_eq!(proof.len(), sides.prover.keys.proof_length, "{}", case.name);
        if let Err(error) = verify(&sides.handle, &statement, &proof, None) {
            panic!("{}: {error}", case.name);
        }
    }
}
